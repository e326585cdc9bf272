internal import CRiposte
internal import RiposteRules

/// One row of ``SystemCallTable``, read. The rows are our own text: what is wrong with one is a bug.
struct SystemCallRow {
    let facts: SystemCall.Facts
    /// Of x86-64, arm64, i386 and arm.
    let numbers: [[Int]]

    init(_ line: Substring) {
        let columns = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.split(separator: " ") }
        let head = columns[0]
        guard head.count == 7, let type = EventType(named: String(head[0])), let category = SystemCall.Category(rawValue: String(head[5])) else {
            preconditionFailure("system call table: \(line)")
        }
        numbers = head[1...4].map { $0.split(separator: ",").compactMap { Int($0) } }
        let arguments = columns.count > 1 ? columns[1] : ["res:err:r"]
        facts = SystemCall.Facts(
            type: type, category: category, traits: Self.traits(head[6], isCall: numbers.contains { !$0.isEmpty }),
            kind: SystemCall.Kind(rawValue: String(head[0])) ?? .other, paths: Self.paths(of: String(head[0])),
            arguments: .kept(arguments.map(Self.argument)), kernelCall: Self.kernelCall(columns.count > 2 ? columns[2] : []))
    }

    private static func traits(_ letters: Substring, isCall: Bool) -> SystemCall.Traits {
        var traits: SystemCall.Traits = isCall ? [] : .isNoCall
        for letter in letters {
            switch letter {
            case "C": traits.insert(.makesDescriptor)
            case "U": traits.insert(.usesDescriptor)
            case "R": traits.insert(.reads)
            case "W": traits.insert(.writes)
            case "X": traits.insert(.waits)
            default: break
            }
        }
        return traits
    }

    // MARK: - Arguments

    private static func argument(_ word: Substring) -> SystemCall.Argument {
        let parts = word.split(separator: ":")
        var kind = SystemCall.Argument.Kind(rawValue: String(parts[1]))
        var names: ValueNames?
        if parts[1].dropFirst().hasPrefix(".") {
            kind = .named
            names = .named(parts[1].dropFirst(2))
        }
        guard let kind else { preconditionFailure("system call table: argument \(word)") }
        return SystemCall.Argument(name: .kept(parts[0]), kind: kind, source: parts.count > 2 ? source(parts[2], kind) : .none, names: names)
    }

    private static func source(_ word: Substring, _ kind: SystemCall.Argument.Kind) -> SystemCall.Argument.Source {
        switch (word, kind) {
        case ("r", _): .result
        case ("x", _): .structure
        case ("1", .path), ("1", .text): .firstPath
        case ("2", .path), ("2", .text): .secondPath
        default: Int(word).map { .register($0) } ?? .none
        }
    }

    private static func paths(of name: String) -> SystemCall.PathRoles {
        switch name {
        case "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "open", "openat", "openat2", "chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "umount", "umount2",
            "quotactl":
            .name(.first)
        case "fchmod", "fchown": .name(.descriptor)
        case "rename", "renameat", "renameat2": .pair(source: .first, target: .second)
        // As Falco has it: the source is the new name.
        case "link", "linkat": .pair(source: .second, target: .first)
        case "symlink", "symlinkat": .pair(source: .second, target: .first)
        case "mount": .pair(source: .first, target: .second)
        default: .none
        }
    }

    // MARK: - The kernel side

    private static func kernelCall(_ words: [Substring]) -> riposte_call {
        var call = riposte_call()
        (call.path1, call.base1, call.path2, call.base2, call.fd, call.address, call.address_length) = (-1, -1, -1, -1, -1, -1, -1)
        (call.data, call.data_length, call.open_flags, call.open_mode, call.extra) = (-1, -1, -1, -1, -1)
        for word in words {
            let parts = word.split(separator: "=")
            guard parts.count == 2 else {
                apply(word, to: &call)
                continue
            }
            guard let number = parts[1] == "r" ? -2 : Int8(parts[1]) else { preconditionFailure("system call table: \(word)") }
            switch parts[0] {
            case "path1": call.path1 = number
            case "base1": call.base1 = number
            case "path2": call.path2 = number
            case "base2": call.base2 = number
            case "fd": call.fd = number
            case "addr": call.address = number
            case "alen": call.address_length = number
            case "data": call.data = number
            case "dlen": call.data_length = number
            case "oflags": call.open_flags = number
            case "omode": call.open_mode = number
            case "extra": call.extra = number
            default: preconditionFailure("system call table: \(word)")
            }
        }
        return call
    }

    private static func apply(_ word: Substring, to call: inout riposte_call) {
        switch word {
        case "open": call.kind = UInt8(RIPOSTE_CALL_OPEN.rawValue)
        case "socket": call.kind = UInt8(RIPOSTE_CALL_SOCKET.rawValue)
        case "message": call.kind = UInt8(RIPOSTE_CALL_MESSAGE.rawValue)
        case "exec": call.kind = UInt8(RIPOSTE_CALL_EXEC.rawValue)
        case "vector": call.kind = UInt8(RIPOSTE_CALL_VECTOR.rawValue)
        case "back": call.flags |= UInt8(RIPOSTE_CALL_ADDRESS_BACK.rawValue)
        case "how": call.flags |= UInt8(RIPOSTE_CALL_OPEN_HOW.rawValue)
        case "messages": call.flags |= UInt8(RIPOSTE_CALL_MESSAGES.rawValue)
        case "old": call.flags |= UInt8(RIPOSTE_CALL_OLD_FD.rawValue)
        case "accept": call.flags |= UInt8(RIPOSTE_CALL_ACCEPT.rawValue)
        case "connect": call.flags |= UInt8(RIPOSTE_CALL_CONNECT.rawValue)
        case "bind": call.flags |= UInt8(RIPOSTE_CALL_BIND.rawValue)
        default: preconditionFailure("system call table: \(word)")
        }
    }
}
