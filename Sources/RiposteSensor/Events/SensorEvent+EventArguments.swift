internal import CRiposte
internal import RiposteCore
internal import RiposteRules

/// The arguments of events: `evt.arg`, `evt.rawarg`, `evt.args` (spec: fields.md 1, Arguments as text, and 5).
extension SensorEvent {
    /// The longest text of one argument but for paths and texts: all flags there are, a printable buffer.
    private static let argumentBytes = 640
    private static let allArgumentsBytes = 48 << 10

    /// By name or place; nil where the event has no such argument.
    func argument(_ field: EventField, _ record: SensorRecord) -> SystemCall.Argument? {
        guard let arguments = knownCall?.facts.pointee.arguments else { return nil }
        switch field.argument {
        case .none: return nil
        case .index(let index): return arguments.indices.contains(index) ? arguments[index] : nil
        case .key(let name):
            for argument in arguments where argument.name.hasSameBytes(as: name) { return argument }
            var index = 0
            guard 1...2 ~= name.count else { return nil }
            for digit in name {
                guard 0x30...0x39 ~= digit else { return nil }
                index = index * 10 + Int(digit - 0x30)
            }
            return arguments.indices.contains(index) ? arguments[index] : nil
        }
    }

    /// What the argument stands for where that is known: a name, a full path; else the argument itself.
    func argumentText(_ argument: SystemCall.Argument, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        switch argument.kind {
        case .path:
            guard let raw = rawText(argument, record), !raw.isEmpty else { return StaticString("<NA>").view }
            return raw.first == UInt8(ascii: "/") ? .text(raw) : joinedPath(argument.source == .firstPath ? .first : .second, record)
        case .text, .comm, .exe, .directory, .kernelPath, .executablePath, .programName:
            guard let raw = rawText(argument, record) else { return StaticString("<NA>").view }
            return .text(raw)
        default: break
        }
        var text = ArenaText(arena, capacity: Self.capacity(of: argument.kind, rawText(argument, record)))
        writeResolved(argument, record, to: &text, arena)
        if text.count == 0 { writeRaw(argument, record, to: &text, arena) }
        return text.view
    }

    private static func capacity(of kind: SystemCall.Argument.Kind, _ raw: UnsafeRawBufferPointer?) -> Int {
        switch kind {
        // Of a descriptor, its name: a path.
        case .descriptor: 8 + JoinedPaths.limit
        default: argumentBytes + (raw?.count ?? 0)
        }
    }

    /// `name=value` of each argument, with what it stands for in parentheses; of calls whose arguments are not known, the result.
    func allArguments(_ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard let arguments = knownCall?.facts.pointee.arguments else { return StaticString("").view }
        var text = ArenaText(arena, capacity: Self.allArgumentsBytes)
        for argument in arguments {
            if text.count > 0 { text.append(byte: UInt8(ascii: " ")) }
            text.append(argument.name)
            text.append(byte: UInt8(ascii: "="))
            writeRaw(argument, record, to: &text, arena)
            let mark = text.count
            text.append(byte: UInt8(ascii: "("))
            writeResolved(argument, record, to: &text, arena)
            if text.count == mark + 1 { text.shorten(to: mark) } else { text.append(byte: UInt8(ascii: ")")) }
        }
        return text.view
    }

    /// In the argument's own type; absent where the event carries nothing of it.
    func argumentValue(_ argument: SystemCall.Argument, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        if let number = number(argument, record) { return .integer(number) }
        if let raw = rawText(argument, record) { return raw.isEmpty ? .absent : .text(raw) }
        switch argument.kind {
        case .data, .tuple, .address:
            var text = ArenaText(arena, capacity: Self.argumentBytes)
            writeRaw(argument, record, to: &text, arena)
            return argument.kind == .data ? movedData(record) : text.view
        default: return .absent
        }
    }

    // MARK: - As it was given

    private func writeRaw(_ argument: SystemCall.Argument, _ record: SensorRecord, to text: inout ArenaText, _ arena: FieldArena) {
        if let number = number(argument, record) { return Self.write(number, as: argument.kind, to: &text) }
        switch argument.kind {
        case .tuple: writeTuple(record, to: &text)
        case .address: writeAddress(record, to: &text)
        case .data:
            guard case .text(let data) = movedData(record) else { return text.append("NULL") }
            text.append(printable: data)
        case .arguments, .environment, .cgroups:
            guard let raw = rawText(argument, record), !raw.isEmpty else { return text.append("NULL") }
            text.append(printable: raw)
        default:
            guard let raw = rawText(argument, record), !raw.isEmpty || argument.kind == .text else { return text.append("<NA>") }
            text.append(raw)
        }
    }

    private static func write(_ number: Int64, as kind: SystemCall.Argument.Kind, to text: inout ArenaText) {
        switch kind {
        case .hexadecimal8, .hexadecimal32, .hexadecimal64, .errorOrAddress, .device, .inheritable, .permitted, .effective:
            text.append(UInt64(bitPattern: number), radix: 16)
        case .openMode:
            if number != 0 { text.append("0") }
            text.append(UInt64(bitPattern: number), radix: 8)
        case .uint64, .inode, .executableInode: text.append(UInt64(bitPattern: number), radix: 10)
        case .executableChange, .executableModification:
            SensorEvent.write(Timestamp(nanoseconds: number), to: &text, date: true, fraction: true, isUTC: false)
        default: text.append(decimal: number)
        }
    }

    /// What the caller is connected to or was passed, as `fd.name` has it.
    private func writeTuple(_ record: SensorRecord, to text: inout ArenaText) {
        guard let socket = record.socket, let call = knownCall else { return text.append("NULL") }
        let mark = text.count
        if let ends = SocketEnds(socket, record, call) {
            if ends.isConnected { ends.write(to: &text) }
        } else if socket.family == 1, socket.peer != 0 || record[.address] != nil {
            UnixSocketName.write(socket, record, isServer: isUnixServer(socket, call), byPeer: usesKernelPath, to: &text)
        }
        if text.count == mark { text.append("NULL") }
    }

    private func writeAddress(_ record: SensorRecord, to text: inout ArenaText) {
        guard let address = record[.address], address.count >= 2 else { return text.append("<NA>") }
        if let end = SocketEnds.end(address) {
            end.write(to: &text, withPort: true)
        } else if let path = UnixSocketName.path(inAddress: address) {
            UnixSocketName.append(path, to: &text)
        } else {
            text.append("family ")
            text.append(UInt64(address.loadUnaligned(as: UInt16.self)), radix: 10)
        }
    }

    // MARK: - What it stands for

    private func writeResolved(_ argument: SystemCall.Argument, _ record: SensorRecord, to text: inout ArenaText, _ arena: FieldArena) {
        if argument.kind == .path {
            guard let raw = rawText(argument, record), !raw.isEmpty, raw.first != UInt8(ascii: "/") else { return }
            return text.append(joinedPath(argument.source == .firstPath ? .first : .second, record))
        }
        guard let number = number(argument, record) else { return }
        switch argument.kind {
        case .error, .errorOrAddress: if let name = KernelNames.error(0 &- number) { text.append(name) }
        case .descriptor: writeDescriptor(number, argument, record, to: &text, arena)
        case .named: argument.names?.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .openFlags, .socketFlags: fileFlags.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .creationFlags: ValueNames.creation.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .resolve: ValueNames.openat2Resolve.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .executableFlags: ValueNames.executable.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .quotaCommand: ValueNames.quotaCommand.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .quotaType: ValueNames.quotaType.write(UInt32(truncatingIfNeeded: number), to: &text)
        case .signal, .exitSignal: if let name = KernelNames.signal(UInt8(truncatingIfNeeded: number)) { text.append(name) }
        case .process: if let name = commandName(asSeen: number, record) { text.append(name) }
        case .thread, .leader, .parent: if let name = commandName(of: number, record) { text.append(name) }
        case .user, .login, .effectiveUser: writeAccount(number, record, to: &text) { world.accounts.user($0, mountNamespace: $1, pid: $2, container: $3)?.name }
        case .group, .effectiveGroup: writeAccount(number, record, to: &text) { world.accounts.group($0, mountNamespace: $1, pid: $2, container: $3) }
        default: break
        }
    }

    private func writeAccount(
        _ number: Int64, _ record: SensorRecord, to text: inout ArenaText, name: (UInt32, UInt32, UInt32, ContainerReference) -> UnsafeRawBufferPointer?
    ) {
        guard number >= 0, number < Int64(UInt32.max) else { return text.append("<NONE>") }
        let header = record.header
        guard let name = name(UInt32(number), header.pointee.mount_ns, header.pointee.pid, process?.container ?? .host), !name.isEmpty else { return text.append("<NA>") }
        text.append(name)
    }

    /// The command of a process or thread; threads other than this one are known by their process only.
    private func commandName(of number: Int64, _ record: SensorRecord) -> UnsafeRawBufferPointer? {
        guard let pid = UInt32(exactly: number), pid > 0 else { return nil }
        if pid == record.header.pointee.tid || pid == record.header.pointee.pid { return record.comm }
        return world.processes.process(withPID: pid)?.comm
    }

    /// The same of a number as the caller counts: in a pid namespace of its own that of another process than the host's, which the table does not know by it.
    private func commandName(asSeen number: Int64, _ record: SensorRecord) -> UnsafeRawBufferPointer? {
        guard let process, process.isInPIDNamespace else { return commandName(of: number, record) }
        return number > 0 && (number == Int64(record.header.pointee.vtid) || number == Int64(process.virtualPID)) ? record.comm : nil
    }

    /// `<f>/etc/passwd`, `<4t>10.0.0.5:41822->10.0.0.9:443`; AT_FDCWD and errors by their names; nothing of a descriptor that is not the event's own nor a
    /// directory that a path is relative to.
    private func writeDescriptor(_ number: Int64, _ argument: SystemCall.Argument, _ record: SensorRecord, to text: inout ArenaText, _ arena: FieldArena) {
        guard number >= 0 else { return text.append(number == -100 ? StaticString("AT_FDCWD").bytes : KernelNames.error(0 &- number) ?? .nothing) }
        guard let call = knownCall else { return }
        let isDuplicated = UInt32(call.kernelCall.flags) & RIPOSTE_CALL_OLD_FD.rawValue != 0 && record.header.pointee.result >= 0
        if number == Int64(record.header.pointee.fd) || isDuplicated {
            guard let kind = descriptorKind(record, call) else { return }
            text.append("<")
            text.append(kind.character)
            if kind.isIP, let letter = record.socket.flatMap({ SocketEnds($0, record, call) })?.letter { text.append(byte: letter) }
            text.append(">")
            text.append(descriptorName(record, call, kind, arena) ?? .nothing)
        } else if let base = base(ofDescriptor: argument, call, record) {
            text.append("<d>")
            text.append(base)
        }
    }

    /// Where an argument is the directory of a relative path, the kernel side has told its path.
    private func base(ofDescriptor argument: SystemCall.Argument, _ call: SystemCall, _ record: SensorRecord) -> UnsafeRawBufferPointer? {
        guard case .register(let register) = argument.source else { return nil }
        if Int(call.kernelCall.base1) == register, record.detail(.base1) == 0 { return record[.base1] }
        if Int(call.kernelCall.base2) == register, record.detail(.base2) == 0 { return record[.base2] }
        return nil
    }
}

extension SocketEnds {
    /// t, u, i or r: the protocol behind the type of a descriptor.
    fileprivate var letter: UInt8? {
        guard proto == .raw || local != nil else { return nil }
        return switch proto {
        case .tcp: UInt8(ascii: "t")
        case .udp: UInt8(ascii: "u")
        case .icmp: UInt8(ascii: "i")
        case .raw: UInt8(ascii: "r")
        case .other: nil
        }
    }
}
