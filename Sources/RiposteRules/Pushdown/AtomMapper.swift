internal import RiposteCore

/// Says what a test of a rule comes to in the kernel. What is not known for certain here is left open: the kernel then hands the event up.
struct AtomMapper {
    private typealias Predicate = ConditionGraph.Predicate

    let graph: ConditionGraph
    let traits: CallTraits

    func mapping(_ test: ConditionGraph.Test) -> AtomMapping {
        guard test.mode == .one else { return .unknown }
        switch graph.slots[test.slot] {
        case .field(let key) where key.id != .unlisted: return field(key, test.predicate)
        case .transform(.basename, let parts, _):
            guard let part = parts.first, case .field(let key) = graph.slots[part], case .textIn(let names) = test.predicate else { return .unknown }
            return baseName(key, names)
        default: return .unknown
        }
    }

    private func field(_ key: ConditionGraph.FieldKey, _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        let name = FieldCatalogue[key.id].name
        if let value = traits.pathValue(name, argument: key.argument) { return PathMapping(value).mapping(predicate) }
        if let value = traits.secondPathValue(name, argument: key.argument) { return PathMapping(value).mapping(predicate).ofSecondPath }
        switch name {
        case "proc.name": return self.name(predicate)
        case "proc.pname": return parentName(predicate)
        case "proc.exe": return traits.isExec ? StartMapping.executable(predicate) : .unknown
        case "proc.args", "proc.cmdline": return traits.isExec ? StartMapping.arguments(predicate) : .unknown
        case "proc.env": return traits.isExec ? StartMapping.environment(predicate, variable: key.isIndex ? nil : key.argument) : .unknown
        case "proc.exepath": return traits.isExec ? ExecutableMapping.mapping(predicate) : .unknown
        case "proc.is_exe_upper_layer": return exeFlag(1, predicate)
        case "proc.is_exe_lower_layer": return exeFlag(2, predicate)
        case "proc.is_exe_writable": return exeFlag(8, predicate)
        case "proc.is_exe_from_memfd": return exeFlag(ExecutableMapping.memfd, predicate)
        case "proc.tty": return atStartOnly(number(.tty, predicate, isAlwaysThere: true))
        case "proc.vpid": return atStartOnly(number(.vpid, predicate, isAlwaysThere: true))
        case "user.uid": return number(.uid, predicate, isAlwaysThere: false)
        case "user.loginuid": return loginUID(predicate)
        case "thread.cap_effective": return capabilities(.effectiveCapabilities, predicate)
        case "thread.cap_permitted": return capabilities(.permittedCapabilities, predicate)
        case "container.id": return containerID(predicate)
        case "container.image.repository", "container.image.tag", "container.image", "container.image.id", "container.image.digest": return ofContainer(predicate)
        case "container.privileged": return predicate == .bool(true) ? .only(.not(Self.host)) : .unknown
        case "k8s.pod.name", "k8s.ns.name", "k8s.pod.uid", "k8s.pod.ip", "k8s.pod.label": return .present(.not(Self.host))
        case "evt.rawres": return number(.result, predicate, isAlwaysThere: true)
        case "evt.failed": return bool(.number(.result, .less), predicate)
        case "evt.res": return result(predicate)
        case "fd.num": return descriptor(predicate)
        case "evt.is_open_read": return access(predicate, upper: .not(.number(.openFlags, .equal, 1, mask: 3)), lower: .not(.number(.openFlags, .hasAny, mask: 1)))
        case "evt.is_open_write":
            let writes = [1, 2].map { AtomFormula.number(.openFlags, .equal, $0, mask: 3) }
            return access(predicate, upper: .number(.openFlags, .hasAny, mask: 3), lower: .any(writes))
        case "evt.is_open_exec": return openExec(predicate)
        case "evt.is_open_create": return openCreate(predicate)
        case "evt.arg": return key.argument.map { argument($0, predicate) } ?? .unknown
        case "fd.typechar": return socketKind(predicate, ip: ["4", "6"], unix: "u")
        case "fd.type": return socketKind(predicate, ip: ["ipv4", "ipv6"], unix: "unix")
        case "fd.sockfamily": return socketKind(predicate, ip: ["ip"], unix: "unix")
        case "fd.l4proto": return transport(predicate)
        case "fd.sport", "fd.rport": return port(predicate)
        case "fd.sip", "fd.rip", "fd.snet", "fd.rnet": return network(predicate)
        default: return .unknown
        }
    }

    // MARK: - Processes

    /// The kernel keeps no longer name.
    private static let nameBytes = 15

    private func name(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        switch predicate {
        case .exists: .same(.constant(true), isAlwaysThere: true)
        case .textIn(let names): Self.names(names).map { .same($0.isEmpty ? .constant(false) : .atom(.names($0)), isAlwaysThere: true) } ?? .unknown
        case .hasPrefix(let text): .same(Self.beginning(ofName: text), isAlwaysThere: true)
        default: .unknown
        }
    }

    private static func beginning(ofName text: [UInt8]) -> AtomFormula {
        guard text.count <= nameBytes, !text.contains(0) else { return .constant(false) }
        let words = KernelFilter.Facts.words(ofName: text)
        func word(_ source: KernelFilter.NumberSource, _ count: Int, _ number: Int64) -> AtomFormula {
            count < 1 ? .constant(true) : .number(source, .equal, number, mask: count < 8 ? 1 << UInt64(8 * count) - 1 : .max)
        }
        return .all([word(.nameHead, text.count, words.head), word(.nameTail, text.count - 8, words.tail)])
    }

    /// The parent may be unknown to user space, and then is neither one nor the other.
    private func parentName(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard case .textIn(let names) = predicate, let known = Self.names(names) else { return .unknown }
        let formula = known.isEmpty ? AtomFormula.constant(false) : .atom(.parentName(KernelFilter.Atom.inOrder(known)))
        var mapping = AtomMapping.only(formula)
        mapping.exact = (formula, .not(formula))
        return mapping
    }

    /// Without those that no name can be equal to; nil where one is empty.
    private static func names(_ names: [[UInt8]]) -> [[UInt8]]? { names.contains([]) ? nil : names.filter { $0.count <= nameBytes && !$0.contains(0) } }

    private func exeFlag(_ bit: UInt64, _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        traits.isExec ? bool(.number(.exeFlags, .hasAny, mask: bit), predicate, isAlwaysThere: false) : .unknown
    }

    /// What the kernel has now and what user space keeps of the start of the program are the same at that start only, where a reflex may ask it.
    private func atStartOnly(_ mapping: AtomMapping) -> AtomMapping {
        var result = AtomMapping.unknown
        if traits.isExec { result.exact = mapping.exact }
        return result
    }

    private static let unsetLoginUID: Int64 = 0xFFFF_FFFF

    /// In rules an unset one is -1, less than all others.
    private func loginUID(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        let unset = AtomFormula.number(.loginUID, .equal, Self.unsetLoginUID)
        let formula: AtomFormula
        switch predicate {
        case .integerIn(let numbers) where numbers.count <= Self.setLimit && !numbers.contains(Self.unsetLoginUID):
            formula = .any(numbers.map { .number(.loginUID, .equal, $0 == -1 ? Self.unsetLoginUID : $0) })
        case .integerOrder(let order, let number, _) where 0..<Self.unsetLoginUID ~= number:
            let compared = Self.order(.loginUID, order, number)
            formula = order == .less || order == .lessOrEqual ? .any([unset, compared]) : .all([compared, .not(unset)])
        default: return .unknown
        }
        return .same(formula, isAlwaysThere: false)
    }

    private func capabilities(_ source: KernelFilter.NumberSource, _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard case .contains(let part, let foldsCase) = predicate, part.count > 3, !part.contains(UInt8(ascii: " ")) else { return .unknown }
        var mask: UInt64 = 0
        for (bit, name) in CallTraits.capabilities.enumerated() where Self.contains(name, part, foldsCase: foldsCase) { mask |= 1 << UInt64(bit) }
        guard mask != 0 else { return .unknown }
        return .same(.number(source, .hasAny, mask: mask), isAlwaysThere: false)
    }

    // MARK: - Containers

    private static let host = AtomFormula.number(.container, .equal, 0)

    private func containerID(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard case .textIn(let ids) = predicate else { return .unknown }
        let word = Array("host".utf8)
        if ids == [word] { return .same(Self.host, isAlwaysThere: false) }
        return ids.contains(word) ? .unknown : .only(.not(Self.host))
    }

    /// On the host these are empty.
    private func ofContainer(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        let holdsForEmpty: Bool
        switch predicate {
        case .textIn(let texts): holdsForEmpty = texts.contains([])
        case .hasPrefix(let text), .hasSuffix(let text), .contains(let text, _): holdsForEmpty = text.isEmpty
        default: return .unknown
        }
        return holdsForEmpty ? .unknown : .only(.not(Self.host))
    }

    // MARK: - Results

    private func result(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        let failed = AtomFormula.number(.result, .less)
        switch predicate {
        // All names of errors begin so.
        case .hasPrefix(let text) where text.first == UInt8(ascii: "E"): return .only(failed)
        case .textIn(let texts):
            var known: [AtomFormula] = []
            var hasUnknown = false
            for text in texts {
                let name = String(decoding: text, as: UTF8.self)
                if name == "SUCCESS" {
                    known.append(.not(failed))
                } else if let number = CallTraits.errors[name] {
                    known.append(.number(.result, .equal, -number))
                } else {
                    hasUnknown = true
                }
            }
            guard known.count <= Self.setLimit else { return .unknown }
            if hasUnknown { return AtomMapping(upper: .any(known + [failed]), lower: .any(known), isAlwaysThere: true) }
            return .same(.any(known), isAlwaysThere: true)
        default: return .unknown
        }
    }

    private func descriptor(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard traits.makesDescriptor || traits.usesDescriptor else { return .unknown }
        var mapping = number(.fd, predicate, isAlwaysThere: traits.makesDescriptor)
        if !traits.makesDescriptor { mapping.exact = nil }
        return mapping
    }

    // MARK: - Opening

    /// A mode of access of 3 is neither reading nor writing, or both, and is left open.
    private func access(_ predicate: ConditionGraph.Predicate, upper: AtomFormula, lower: AtomFormula) -> AtomMapping {
        if let mapping = neverOpening(predicate) { return mapping }
        guard traits.isOpen, !traits.isCreat, case .bool(let value) = predicate else { return .unknown }
        let (upper, lower) = value ? (upper, lower) : (.not(lower), .not(upper))
        return AtomMapping(upper: upper, lower: lower, isAlwaysThere: true, exact: (lower, .not(upper)))
    }

    private static let creates: UInt64 = 0o100 | 0o20_000_000

    private func openExec(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        if let mapping = neverOpening(predicate) { return mapping }
        guard traits.isOpen else { return .unknown }
        return bool(.all([.number(.openFlags, .hasAny, mask: Self.creates), .number(.openMode, .hasAny, mask: 0o111)]), predicate)
    }

    private func openCreate(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        if let mapping = neverOpening(predicate) { return mapping }
        guard traits.isOpen, predicate == .bool(true) else { return .unknown }
        return .only(.all([.number(.openFlags, .hasAny, mask: Self.creates), .not(.number(.result, .less))]))
    }

    private func neverOpening(_ predicate: ConditionGraph.Predicate) -> AtomMapping? {
        traits.neverOpens && predicate == .bool(true) ? .same(.constant(false), isAlwaysThere: true) : nil
    }

    // MARK: - Arguments

    private func argument(_ name: String, _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard let (source, text) = traits.argument(name) else { return .unknown }
        if source == .openFlags, let mapping = accessName(predicate) { return mapping }
        switch text {
        case .flags(let flags): return self.flags(source, flags, predicate)
        case .names(let names): return self.names(source, names, predicate)
        }
    }

    private func accessName(_ predicate: ConditionGraph.Predicate) -> AtomMapping? {
        guard case .contains(let part, foldsCase: false) = predicate else { return nil }
        let number: Int64
        switch String(decoding: part, as: UTF8.self) {
        case "O_WRONLY": number = 1
        case "O_RDWR": number = 2
        default: return nil
        }
        let upper = AtomFormula.number(.openFlags, .hasAny, mask: UInt64(number))
        let lower = AtomFormula.number(.openFlags, .equal, number, mask: 3)
        return AtomMapping(upper: upper, lower: lower, isAlwaysThere: true, exact: (lower, .not(upper)))
    }

    /// Only where a whole name is asked for is it known which others have it in them.
    private func flags(_ source: KernelFilter.NumberSource, _ flags: [(name: String, bits: UInt64)], _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        switch predicate {
        case .contains(let part, let foldsCase):
            guard let flag = flags.first(where: { Self.isEqual($0.name, part, foldsCase: foldsCase) }) else { return .unknown }
            return .same(.number(source, .hasAny, mask: flag.bits), isAlwaysThere: true)
        case .textIn(let texts):
            var formulas: [AtomFormula] = []
            for text in texts {
                guard let flag = flags.first(where: { Array($0.name.utf8) == text }) else { return .unknown }
                formulas.append(.number(source, .hasAny, mask: flag.bits))
            }
            return .only(.any(formulas))
        default: return .unknown
        }
    }

    private func names(_ source: KernelFilter.NumberSource, _ names: [(number: Int64, names: [String])], _ predicate: ConditionGraph.Predicate) -> AtomMapping {
        var numbers: [Int64] = []
        var sure: [Int64] = []
        switch predicate {
        case .contains(let part, let foldsCase):
            guard names.contains(where: { $0.names.contains { Self.isEqual($0, part, foldsCase: foldsCase) } }) else { return .unknown }
            numbers = names.filter { $0.names.contains { Self.contains($0, part, foldsCase: foldsCase) } }.map(\.number)
            sure = numbers
        case .textIn(let texts):
            for text in texts {
                let text = String(decoding: text, as: UTF8.self)
                if let number = Int64(text) {
                    // Printed where it has no name.
                    numbers.append(number)
                } else if let entry = names.first(where: { text.split(separator: "|").map(String.init).contains(where: $0.names.contains) }) {
                    numbers.append(entry.number)
                    if entry.names == [text] { sure.append(entry.number) }
                } else {
                    return .unknown
                }
            }
        default: return .unknown
        }
        guard numbers.count <= Self.setLimit, !numbers.contains(where: { $0 < 0 || $0 > Int64(UInt32.max) }) else { return .unknown }
        // Whether the upper half of an argument counts differs from call to call.
        let upper = AtomFormula.any(numbers.map { .number(source, .equal, $0, mask: 0xFFFF_FFFF) })
        let lower = AtomFormula.any(sure.map { .number(source, .equal, $0) })
        return AtomMapping(upper: upper, lower: lower, isAlwaysThere: true, exact: sure == numbers ? (lower, .not(upper)) : nil)
    }

    // MARK: - Connections

    // What a call that failed, other than by going on in the background, left of the socket need not be what was asked for: of that the kernel says nothing.

    /// AF_INET and AF_INET6, which differ in one bit.
    private static let isIP = AtomFormula.number(.family, .equal, 2, mask: ~8)
    private static let isUnix = AtomFormula.number(.family, .equal, 1)

    private func socketKind(_ predicate: ConditionGraph.Predicate, ip: [String], unix: String) -> AtomMapping {
        guard traits.isConnect, case .textIn(let texts) = predicate else { return .unknown }
        let kinds = Set(texts.map { String(decoding: $0, as: UTF8.self) })
        // Sockets of other families, and what is no socket, have a kind that is told here of none.
        if kinds.isSubset(of: ip) {
            return AtomMapping(upper: .not(Self.isUnix), lower: .constant(false), exact: kinds == Set(ip) ? (Self.isIP, Self.isUnix) : nil)
        }
        return kinds == [unix] ? AtomMapping(upper: .not(Self.isIP), lower: .constant(false), exact: (Self.isUnix, Self.isIP)) : .unknown
    }

    private func transport(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard traits.isConnect, case .textIn(let texts) = predicate, texts.count == 1 else { return .unknown }
        switch String(decoding: texts[0], as: UTF8.self) {
        case "tcp": return .only(.not(.number(.protocol, .equal, 17)))
        case "udp": return .only(.not(.number(.protocol, .equal, 6)))
        default: return .unknown
        }
    }

    private func port(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard traits.isConnect else { return .unknown }
        return ofIP(number(.remotePort, predicate, isAlwaysThere: true))
    }

    private func network(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        guard traits.isConnect else { return .unknown }
        let networks: [IPNetwork]
        switch predicate {
        case .addressIn(let addresses): networks = addresses.map { IPNetwork($0) }
        case .networkIn(let some): networks = some
        default: return .unknown
        }
        return ofIP(.same(networks.isEmpty ? .constant(false) : .atom(.networks(networks)), isAlwaysThere: true))
    }

    /// Other sockets have no such value, and it is neither one nor another.
    private func ofIP(_ mapping: AtomMapping) -> AtomMapping {
        var result = mapping
        result.exact = mapping.exact.map { (.all([$0.holds, Self.isIP]), .all([$0.fails, Self.isIP])) }
        return result
    }

    // MARK: - Numbers and texts

    /// More numbers than this become a range.
    private static let setLimit = 8

    private func number(_ source: KernelFilter.NumberSource, _ predicate: ConditionGraph.Predicate, isAlwaysThere: Bool) -> AtomMapping {
        switch predicate {
        case .integerIn(let numbers) where numbers.count <= Self.setLimit:
            return .same(.any(numbers.map { .number(source, .equal, $0) }), isAlwaysThere: isAlwaysThere)
        case .integerIn(let numbers):
            guard let low = numbers.min(), let high = numbers.max() else { return .unknown }
            return .only(.all([.not(.number(source, .less, low)), .not(.number(source, .greater, high))]))
        // Without a sign a negative number here is a huge one there.
        case .integerOrder(let order, let number, let isUnsigned):
            guard !isUnsigned || number >= 0 else { return .unknown }
            return .same(Self.order(source, order, number), isAlwaysThere: isAlwaysThere)
        default: return .unknown
        }
    }

    private static func order(_ source: KernelFilter.NumberSource, _ order: ConditionGraph.Order, _ number: Int64) -> AtomFormula {
        switch order {
        case .less: .number(source, .less, number)
        case .lessOrEqual: .not(.number(source, .greater, number))
        case .greater: .number(source, .greater, number)
        case .greaterOrEqual: .not(.number(source, .less, number))
        }
    }

    private func bool(_ formula: AtomFormula, _ predicate: ConditionGraph.Predicate, isAlwaysThere: Bool = true) -> AtomMapping {
        guard case .bool(let value) = predicate else { return .unknown }
        return .same(value ? formula : .not(formula), isAlwaysThere: isAlwaysThere)
    }

    private func baseName(_ key: ConditionGraph.FieldKey, _ names: [[UInt8]]) -> AtomMapping {
        guard key.id != .unlisted, let atom = PathMapping.fileNames(names) else { return .unknown }
        let name = FieldCatalogue[key.id].name
        func isWhole(_ value: CallTraits.PathValue?) -> Bool { value == .path || value == .pathOfSuccess }
        if isWhole(traits.pathValue(name, argument: key.argument)) { return .only(.atom(atom)) }
        return isWhole(traits.secondPathValue(name, argument: key.argument)) ? AtomMapping.only(.atom(atom)).ofSecondPath : .unknown
    }

    private static func contains(_ name: String, _ part: [UInt8], foldsCase: Bool) -> Bool {
        part.withUnsafeBytes { part in Array(name.utf8).withUnsafeBytes { $0.contains(part, foldsCase: foldsCase) } }
    }

    private static func isEqual(_ name: String, _ text: [UInt8], foldsCase: Bool) -> Bool {
        name.utf8.count == text.count && contains(name, text, foldsCase: foldsCase)
    }
}
