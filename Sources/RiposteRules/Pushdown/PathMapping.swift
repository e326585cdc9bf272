/// Tests of a path: what they say of its last component, of its beginning, and of the whole.
struct PathMapping {
    private let value: CallTraits.PathValue

    init(_ value: CallTraits.PathValue) { self.value = value }

    private static let slash = UInt8(ascii: "/")

    /// The path is one that the kernel looks at: see ``KernelFilter/Facts/isPlain(_:)``.
    private static let isPlain = AtomFormula.atom(.path([KernelFilter.PathText([slash], isWhole: false)]))

    func mapping(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        switch value {
        case .path: return ofPath(predicate, isAlwaysThere: true)
        case .pathOfSuccess:
            var mapping = ofPath(predicate, isAlwaysThere: false)
            mapping.exact = nil
            return mapping
        case .directory: return .only(ofDirectory(predicate))
        case .name:
            guard case .textIn(let names) = predicate, let atom = Self.fileNames(names) else { return .unknown }
            return .only(.atom(atom))
        }
    }

    // MARK: - Paths

    private func ofPath(_ predicate: ConditionGraph.Predicate, isAlwaysThere: Bool) -> AtomMapping {
        switch predicate {
        case .textIn(let paths): return whole(paths, isAlwaysThere: isAlwaysThere)
        case .hasPrefix(let text): return beginning(text, isAlwaysThere: isAlwaysThere)
        case .pathPrefixes(let paths): return below(paths, isAlwaysThere: isAlwaysThere)
        case .hasSuffix(let text): return .only(.all([Self.lastComponent(of: text), Self.marks(in: text)]))
        case .contains(let text, _): return .only(Self.marks(in: text))
        case .glob(let pattern, foldsCase: false): return glob(pattern, isAlwaysThere: isAlwaysThere)
        default: return .unknown
        }
    }

    /// A plain path is equal to none of the texts that are not.
    private func whole(_ paths: [[UInt8]], isAlwaysThere: Bool) -> AtomMapping {
        let absolute = paths.filter { $0.first == Self.slash }
        guard !absolute.isEmpty else {
            let name = Self.fileNames(paths.compactMap { KernelFilter.Atom.fileName($0) }, of: paths.count).map(AtomFormula.atom)
            return .only(.all([.not(Self.isPlain), name ?? .constant(true)]))
        }
        guard absolute.allSatisfy({ $0.count <= KernelFilter.pathByteLimit && !$0.contains(0) }) else { return .only(Self.cut(absolute)) }
        let path = AtomFormula.atom(.paths(absolute.map { .init($0, isWhole: true) }))
        let name = Self.fileNames(paths.compactMap { KernelFilter.Atom.fileName($0) }, of: paths.count).map(AtomFormula.atom)
        return AtomMapping(upper: .all([name ?? .constant(true), path]), lower: path, isAlwaysThere: isAlwaysThere, exact: (path, .not(path)))
    }

    private static func cut(_ paths: [[UInt8]]) -> AtomFormula {
        guard !paths.contains(where: { $0.contains(0) }) else { return .constant(true) }
        return .atom(
            .paths(
                paths.map {
                    $0.count <= KernelFilter.pathByteLimit ? .init($0, isWhole: true) : .init(Array($0.prefix(KernelFilter.pathByteLimit)), isWhole: false)
                }))
    }

    private func beginning(_ text: [UInt8], isAlwaysThere: Bool) -> AtomMapping {
        guard let first = text.first else { return .unknown }
        guard first == Self.slash else { return .only(.not(Self.isPlain)) }
        guard text.count > 1 else { return .unknown }
        let atom = AtomFormula.atom(.path([.init(Array(text.prefix(KernelFilter.pathByteLimit)), isWhole: false)]))
        return text.count <= KernelFilter.pathByteLimit ? .same(atom, isAlwaysThere: isAlwaysThere) : .only(atom)
    }

    private func below(_ paths: [[UInt8]], isAlwaysThere: Bool) -> AtomMapping {
        guard !paths.isEmpty else { return .same(.constant(false), isAlwaysThere: isAlwaysThere) }
        var texts: [KernelFilter.PathText] = []
        var sure: [KernelFilter.PathText] = []
        for path in paths {
            guard let own = Self.texts(below: path) else { return .unknown }
            texts += own
            if own.count == 2 { sure += own }
        }
        let lower = sure.isEmpty ? AtomFormula.constant(false) : .atom(.paths(sure))
        return AtomMapping(upper: .atom(.paths(texts)), lower: lower, isAlwaysThere: isAlwaysThere, exact: sure.count == texts.count ? (lower, .not(lower)) : nil)
    }

    /// What a path that lies at or below this one is or begins with; nil where that may be anything. A pattern counts up to its first special sign.
    private static func texts(below path: [UInt8]) -> [KernelFilter.PathText]? {
        var text: [UInt8] = []
        for component in path.split(separator: slash) {
            let head = component.prefix { ![UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "\\")].contains($0) }
            text.append(slash)
            text += head
            guard head.count == component.count else { return text.count > 1 ? [beginning(text)] : nil }
        }
        guard !text.isEmpty, !text.contains(0) else { return nil }
        guard text.count < KernelFilter.pathByteLimit else { return [beginning(text)] }
        return [.init(text, isWhole: true), .init(text + [slash], isWhole: false)]
    }

    private static func beginning(_ text: [UInt8]) -> KernelFilter.PathText { .init(Array(text.prefix(KernelFilter.pathByteLimit)), isWhole: false) }

    private func glob(_ pattern: [UInt8], isAlwaysThere: Bool) -> AtomMapping {
        if let plain = PlanBuilder.plain(pattern) { return ofPath(plain, isAlwaysThere: isAlwaysThere) }
        return .only(Self.formula(ofGlob: pattern, hasLastComponent: true))
    }

    private static func formula(ofGlob pattern: [UInt8], hasLastComponent: Bool) -> AtomFormula {
        // A backslash or a set makes it hard to tell what stands for itself.
        let special = pattern.split(omittingEmptySubsequences: false) { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
        let isSimple = !pattern.contains { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "\\") }
        let head = (special.first ?? []).prefix { $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "\\") }
        var formulas: [AtomFormula] = []
        if head.first == slash, head.count > 1 { formulas.append(.atom(.path([beginning(Array(head))]))) }
        if isSimple { formulas += special.map { marks(in: $0) } }
        let tail = Array(pattern.suffix { ![UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "\\")].contains($0) })
        if hasLastComponent { formulas.append(lastComponent(of: tail)) }
        return .all(formulas)
    }

    // MARK: - Directories

    /// The path itself, or something below it.
    private func ofDirectory(_ predicate: ConditionGraph.Predicate) -> AtomFormula {
        switch predicate {
        case .textIn(let paths):
            var texts: [KernelFilter.PathText] = []
            for path in paths {
                guard path.first == Self.slash, path.count > 1, path.count < KernelFilter.pathByteLimit, !path.contains(0) else { return .constant(true) }
                texts += [.init(path, isWhole: true), .init(path + [Self.slash], isWhole: false)]
            }
            return texts.isEmpty ? .constant(false) : .atom(.paths(texts))
        case .hasPrefix, .pathPrefixes: return ofPath(predicate, isAlwaysThere: false).upper
        case .contains(let text, _), .hasSuffix(let text): return Self.marks(in: text)
        case .glob(let pattern, foldsCase: false):
            if let plain = PlanBuilder.plain(pattern) { return ofDirectory(plain) }
            return Self.formula(ofGlob: pattern, hasLastComponent: false)
        default: return .constant(true)
        }
    }

    // MARK: - Parts

    /// A path with this in it is not plain.
    private static func marks(in text: some Sequence<UInt8>) -> AtomFormula { KernelFilter.Facts.hasMark(text) ? .not(isPlain) : .constant(true) }

    /// What a path's last component is, if the path ends so.
    private static func lastComponent(of text: [UInt8]) -> AtomFormula {
        guard text.contains(slash), let name = KernelFilter.Atom.fileName(text), let atom = fileNames([name]) else { return .constant(true) }
        return .atom(atom)
    }

    /// The last component of what stands for a path that is too long (spec: `/DIR_TOO_LONG/FILENAME_TOO_LONG`): of the path that was given it tells nothing.
    private static let tooLong = Array("FILENAME_TOO_LONG".utf8)

    /// Nil where one of them is too long, or no name of a file, or not that of the file.
    static func fileNames(_ names: [[UInt8]], of count: Int? = nil) -> KernelFilter.Atom? {
        guard count.map({ $0 == names.count }) ?? true, !names.isEmpty, !names.contains(tooLong) else { return nil }
        guard names.allSatisfy({ $0.count <= KernelFilter.nameByteLimit && KernelFilter.Atom.fileName($0) == $0 && !$0.contains(0) }) else { return nil }
        return .fileName(KernelFilter.Atom.inOrder(names))
    }
}

/// Tests of an executable's path at the start of a program. User space has it as `memfd:NAME` where it never had another name; of one whose name is gone
/// both have the path that it had. Programs that are *not* at some path are so many that to test it only
/// helps reflexes.
enum ExecutableMapping {
    static let memfd: UInt64 = 64
    private static let isElsewhere = AtomFormula.number(.exeFlags, .hasAny, mask: memfd)
    private static let slash = UInt8(ascii: "/")
    private static let deleted = Array(" (deleted)".utf8)

    static func mapping(_ predicate: ConditionGraph.Predicate) -> AtomMapping {
        switch predicate {
        case .textIn(let paths):
            guard !paths.isEmpty, paths.allSatisfy(isBare) else { return .unknown }
            let path = AtomFormula.atom(.exe(KernelFilter.Atom.inOrder(paths.map { KernelFilter.PathText($0, isWhole: true) })))
            return whole(path, names: paths.compactMap { KernelFilter.Atom.fileName($0) })
        case .pathPrefixes(let paths):
            guard !paths.isEmpty, paths.allSatisfy({ isBare($0) && !$0.isPathPattern && $0.last != slash }) else { return .unknown }
            let texts = paths.flatMap { [KernelFilter.PathText($0, isWhole: true), KernelFilter.PathText($0 + [slash], isWhole: false)] }
            let path = AtomFormula.atom(.exe(KernelFilter.Atom.inOrder(texts)))
            let below = AtomFormula.atom(.exe(KernelFilter.Atom.inOrder(texts.filter { !$0.isWhole })))
            // What is below one of them stays so with anything behind it.
            let exact = AtomFormula.any([below, .all([path, .not(isElsewhere)])])
            return AtomMapping(upper: path, lower: .constant(false), exact: (exact, .not(exact)))
        case .hasPrefix(let text):
            guard isBare(text), !canBeginDeleted(text) else { return .unknown }
            return .same(.atom(.exe([KernelFilter.PathText(text, isWhole: false)])), isAlwaysThere: false)
        case .hasSuffix(let text):
            guard text.contains(slash), !canBeginDeleted(text), let name = KernelFilter.Atom.fileName(text), let atom = fileName([name]) else { return .unknown }
            return .only(.any([.atom(atom), isElsewhere]))
        case .glob(let pattern, foldsCase: false):
            if let plain = PlanBuilder.plain(pattern) { return mapping(plain) }
            let head = Array(pattern.prefix { ![UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "\\")].contains($0) })
            return .only(mapping(.hasPrefix(head)).upper)
        default: return .unknown
        }
    }

    private static func whole(_ path: AtomFormula, names: [[UInt8]]) -> AtomMapping {
        let exact = AtomFormula.all([path, .not(isElsewhere)])
        let name = fileName(names).map(AtomFormula.atom) ?? .constant(true)
        return AtomMapping(upper: .all([name, path]), lower: .constant(false), exact: (exact, .not(exact)))
    }

    private static func fileName(_ names: [[UInt8]]) -> KernelFilter.Atom? {
        names.allSatisfy { $0.count <= KernelFilter.nameByteLimit } && !names.isEmpty ? .exeName(KernelFilter.Atom.inOrder(names)) : nil
    }

    /// Whether it is written as the kernel has it.
    private static func isBare(_ path: [UInt8]) -> Bool {
        2..<KernelFilter.pathByteLimit ~= path.count && path.first == slash && !path.contains(0) && !path.ends(with: deleted) && !Array("/memfd:".utf8).starts(with: path)
            && !path.starts(with: Array("/memfd:".utf8)) && KernelFilter.Atom.fileName(path + [UInt8(ascii: "x")]) != nil && !hasSlashTooMany(path)
    }

    private static func hasSlashTooMany(_ path: [UInt8]) -> Bool { zip(path, path.dropFirst()).contains { $0 == slash && $1 == slash } }

    /// Whether a path with ` (deleted)` behind it could begin so and the bare one could not.
    private static func canBeginDeleted(_ text: [UInt8]) -> Bool { (1...deleted.count).contains { text.ends(with: deleted.prefix($0)) } }
}

extension [UInt8] {
    fileprivate func ends(with end: some Collection<UInt8>) -> Bool { suffix(end.count).elementsEqual(end) }

    fileprivate func suffix(_ holds: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        var start = endIndex
        while start > startIndex, holds(self[start - 1]) { start -= 1 }
        return self[start...]
    }
}
