internal import RiposteCore

/// Clauses in the words of the rules language, for people.
extension AtomTable {
    func text(of clause: Alternatives.Clause, _ traits: CallTraits) -> String {
        let ordered = clause.literals.sorted { (atom(of: $0).kind, $0) < (atom(of: $1).kind, $1) }
        return ordered.map { atom(of: $0).text(isDenied: $0 & 1 == 1, traits) }.joined(separator: " and ")
    }
}

extension KernelFilter.Atom {
    func text(isDenied: Bool, _ traits: CallTraits) -> String {
        if case .number(let test) = self { return test.text(isDenied: isDenied, traits) }
        let isPlain = [KernelFilter.PathText([UInt8(ascii: "/")], isWhole: false)]
        if isDenied, self == .path(isPlain) { return "\(traits.pathField) relative or with //, /. or .. in it" }
        if isDenied, self == .secondPath(isPlain) { return "\(traits.secondPathField) relative or with //, /. or .. in it" }
        let text =
            switch self {
            case .number: ""
            case .name(let names): Self.membership("proc.name", names)
            case .parentName(let names): Self.membership("proc.pname", names)
            case .fileName(let names): Self.membership("basename(\(traits.pathField))", names)
            case .path(let texts): Self.paths(traits.pathField, texts)
            case .secondFileName(let names): Self.membership("basename(\(traits.secondPathField))", names)
            case .secondPath(let texts): Self.paths(traits.secondPathField, texts)
            case .exeName(let names): Self.membership("basename(proc.exepath)", names)
            case .exe(let texts): Self.paths("proc.exepath", texts)
            case .sparedProgram(let names): "root's own \(Self.membership("basename(proc.exepath)", names))"
            case .argument(let texts): Self.containment("proc.cmdline", texts)
            case .environment(let texts): Self.containment("proc.env", texts)
            case .network(let networks): "fd.snet in (\(Self.listed(networks.map { "\($0.address)/\($0.prefixLength)" })))"
            }
        return isDenied ? "not \(text)" : text
    }

    private static func membership(_ field: String, _ names: [[UInt8]]) -> String {
        names.count == 1 ? "\(field) = \(quoted(names[0]))" : "\(field) in (\(listed(names.map(quoted))))"
    }

    private static func containment(_ field: String, _ texts: [[UInt8]]) -> String {
        "\(field) icontains \(texts.count == 1 ? quoted(texts[0]) : "anyof (\(listed(texts.map(quoted))))")"
    }

    /// A path and all below it is `pmatch`, the rest is `in` and `startswith`.
    private static func paths(_ field: String, _ texts: [KernelFilter.PathText]) -> String {
        let slash = UInt8(ascii: "/")
        let wholes = Set(texts.filter(\.isWhole).map(\.bytes))
        let beginnings = Set(texts.filter { !$0.isWhole }.map(\.bytes))
        let below = wholes.filter { beginnings.contains($0 + [slash]) }
        var parts: [String] = []
        func add(_ head: String, _ tail: String, _ texts: Set<[UInt8]>) {
            guard !texts.isEmpty else { return }
            let texts = inOrder(Array(texts)).map(quoted)
            parts.append(texts.count == 1 && !tail.isEmpty ? "\(field) \(head)\(texts[0])" : "\(field) \(tail.isEmpty ? head : tail)(\(listed(texts)))")
        }
        add("= ", "in ", wholes.subtracting(below))
        add("startswith ", "startswith anyof ", beginnings.subtracting(below.map { $0 + [slash] }))
        add("pmatch ", "", below)
        guard parts.count != 1 else { return parts[0] }
        return parts.isEmpty ? "\(field) in ()" : "(\(parts.joined(separator: " or ")))"
    }

    /// Of a long list the beginning.
    fileprivate static func listed(_ values: [String]) -> String {
        values.count <= 12 ? values.joined(separator: ", ") : values.prefix(10).joined(separator: ", ") + ", … \(values.count) in all"
    }

    fileprivate static func quoted(_ bytes: [UInt8]) -> String {
        let text = ByteText(bytes).shown
        return text.isEmpty || text.contains(where: { " ,()=".contains($0) }) ? "\"\(text)\"" : text
    }
}

extension KernelFilter.NumberTest {
    fileprivate func text(isDenied: Bool, _ traits: CallTraits) -> String {
        switch (source, operation) {
        case (.openFlags, .hasAny) where mask == 3: return "evt.is_open_write = \(!isDenied)"
        case (.openFlags, .equal) where number == 1 && mask == 3 && isDenied: return "evt.is_open_read = true"
        case (.openFlags, .hasAny) where mask == 1 && isDenied: return "evt.is_open_write = false"
        case (.openFlags, .hasAny) where mask == 0o20_000_100: return "\(isDenied ? "not " : "")evt.arg.flags contains anyof (O_CREAT, O_TMPFILE)"
        case (.openFlags, .hasAny) where mask == 1 || mask == 2: return "\(isDenied ? "not " : "")evt.arg.flags contains \(mask == 1 ? "O_WRONLY" : "O_RDWR")"
        case (.openFlags, .equal): return "\(isDenied ? "not " : "")evt.arg.flags contains \(number == 1 ? "O_WRONLY" : "O_RDWR")"
        case (.openMode, _): return "\(isDenied ? "not " : "")evt.arg.mode contains anyof (S_IXUSR, S_IXGRP, S_IXOTH)"
        case (.container, _): return "container.id \(isDenied ? "!=" : "=") host"
        case (.family, _) where mask == ~8: return "\(isDenied ? "not " : "")fd.type in (ipv4, ipv6)"
        case (.family, _): return "fd.type \(isDenied ? "!=" : "=") \(number == 1 ? "unix" : number == 2 ? "ipv4" : "ipv6")"
        case (.protocol, _): return "fd.l4proto \(isDenied ? "!=" : "=") \(number == 6 ? "tcp" : "udp")"
        case (.exeFlags, _): return exeText(isDenied: isDenied)
        case (.nameHead, _): return "\(isDenied ? "not " : "")proc.name startswith \(nameText)"
        case (.nameTail, _): return "\(isDenied ? "not " : "")substr(proc.name, 8) startswith \(nameText)"
        case (.argumentHead, _): return "\(isDenied ? "not " : "")proc.exe \(nameBytes.last == 0 ? "=" : "startswith") \(nameText)"
        case (.effectiveCapabilities, _), (.permittedCapabilities, _): return capabilityText(isDenied: isDenied)
        case (.loginUID, _) where number == 0xFFFF_FFFF: return "user.loginuid \(isDenied ? "!=" : "=") -1"
        default: break
        }
        if let argument = traits.argumentName(of: source) { return argumentText(argument.name, argument.text, isDenied: isDenied) }
        switch operation {
        case .equal: return "\(field) \(isDenied ? "!=" : "=") \(number)"
        case .less: return "\(field) \(isDenied ? ">=" : "<") \(number)"
        case .greater: return "\(field) \(isDenied ? "<=" : ">") \(number)"
        case .hasAny: return "\(isDenied ? "not " : "")\(field) has a bit of \(mask)"
        }
    }

    private var field: String {
        switch source {
        case .result: "evt.rawres"
        case .uid: "user.uid"
        case .loginUID: "user.loginuid"
        case .remotePort: "fd.sport"
        case .fd: "fd.num"
        case .tty: "proc.tty"
        case .vpid: "proc.vpid"
        default: "\(source)"
        }
    }

    private func argumentText(_ name: String, _ text: CallTraits.ArgumentText, isDenied: Bool) -> String {
        switch text {
        case .flags(let flags):
            let names = flags.filter { $0.bits & mask != 0 }.map(\.name)
            return "\(isDenied ? "not " : "")evt.arg.\(name) contains \(names.count == 1 ? names[0] : "anyof (\(names.joined(separator: ", ")))")"
        case .names(let known):
            return "evt.arg.\(name) \(isDenied ? "!=" : "=") \(known.first { $0.number == number }?.names[0] ?? "\(number)")"
        }
    }

    /// The bytes that a word of a name begins with; with the NUL behind it where it is whole.
    private var nameBytes: [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0.prefix((mask.nonzeroBitCount + 7) / 8)) } }
    private var nameText: String { KernelFilter.Atom.quoted(nameBytes.filter { $0 != 0 }) }

    private func exeText(isDenied: Bool) -> String {
        switch mask {
        case 1: return "proc.is_exe_upper_layer = \(!isDenied)"
        case 2: return "proc.is_exe_lower_layer = \(!isDenied)"
        case 8: return "proc.is_exe_writable = \(!isDenied)"
        default: return "proc.is_exe_from_memfd = \(!isDenied)"
        }
    }

    private func capabilityText(isDenied: Bool) -> String {
        let names = CallTraits.capabilities.enumerated().filter { mask >> UInt64($0.offset) & 1 == 1 }.map(\.element)
        let field = source == .effectiveCapabilities ? "thread.cap_effective" : "thread.cap_permitted"
        return "\(isDenied ? "not " : "")\(field) contains \(names.count == 1 ? names[0] : "anyof (\(KernelFilter.Atom.listed(names)))")"
    }
}
