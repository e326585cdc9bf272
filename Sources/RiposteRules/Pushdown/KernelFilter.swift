package import RiposteCore

/// What an event of one type must be like so that a rule could match it, in the tests ("atoms") that the kernel can answer. Necessary conditions
/// only: an event that fails all clauses matches no rule, and one that passes may still match none.
///
/// An atom may be unknown for an event (a relative path, a container that nobody has classified yet); then it may hold and may not.
package struct KernelFilter: Sendable, Equatable {
    package static let atomLimit = 64
    package static let numberLimit = 40
    package static let clauseLimit = 96
    /// Bytes of a name, and of a path or the beginning of one.
    package static let nameByteLimit = 60
    package static let pathByteLimit = 240

    /// Where a number comes from. The values are those of the wire format.
    package enum NumberSource: UInt8, Sendable, CaseIterable {
        case result = 0
        case argument0 = 1
        case argument1, argument2, argument3, argument4, argument5
        case openFlags = 8
        case openMode = 9
        case uid = 10
        /// 2^32-1: unset.
        case loginUID = 11
        case family = 12
        case remotePort = 13
        case fd = 14
        /// 0: the host, 1: a container.
        case container = 15
        case tty = 16
        case call = 17
        case effectiveCapabilities = 18
        case permittedCapabilities = 19
        case `protocol` = 20
        case exeFlags = 21
        case vpid = 22
        case fileKind = 23
        /// The first and the other eight bytes of the thread's `comm`, NUL padded, as little-endian numbers: beginnings of names are tests of these.
        case nameHead = 24
        case nameTail = 25
        /// The first eight bytes of argv[0] in the same way; known at the start of a program only.
        case argumentHead = 26
    }

    package enum NumberOperation: UInt8, Sendable {
        case equal = 0
        /// Signed.
        case less = 1
        case greater = 2
        /// Some bit of the mask is set; the number counts for nothing.
        case hasAny = 3
    }

    /// A comparison of `value & mask`.
    package struct NumberTest: Hashable, Sendable {
        package var source: NumberSource
        package var operation: NumberOperation
        package var mask: UInt64
        package var number: Int64

        package init(_ source: NumberSource, _ operation: NumberOperation, _ number: Int64 = 0, mask: UInt64 = .max) {
            self.source = source
            self.operation = operation
            self.mask = mask
            self.number = number
        }

        package func holds(for value: Int64) -> Bool {
            let masked = Int64(bitPattern: UInt64(bitPattern: value) & mask)
            return switch operation {
            case .equal: masked == number
            case .less: masked < number
            case .greater: masked > number
            case .hasAny: masked != 0
            }
        }
    }

    /// A whole path, or what a path begins with.
    package struct PathText: Hashable, Sendable {
        package var bytes: [UInt8]
        package var isWhole: Bool

        package init(_ bytes: [UInt8], isWhole: Bool) {
            self.bytes = bytes
            self.isWhole = isWhole
        }

        package func holds(for path: [UInt8]) -> Bool { isWhole ? path == bytes : path.starts(with: bytes) }
    }

    /// How the kernel decides an atom. Of several texts or networks one must fit; they are in order, each once.
    package enum Atom: Hashable, Sendable {
        case number(NumberTest)
        /// `comm` of the thread.
        case name([[UInt8]])
        /// `comm` of the parent's main thread.
        case parentName([[UInt8]])
        /// The last component of the call's first path.
        case fileName([[UInt8]])
        /// The call's first path; unknown where it is not plain (``KernelFacts/isPlain(_:)``).
        case path([PathText])
        /// The same of the call's second path: the new name of a rename, of a link.
        case secondFileName([[UInt8]])
        case secondPath([PathText])
        /// The executable's path and its last component; known at the start of a program only.
        case exeName([[UInt8]])
        case exe([PathText])
        /// The remote address.
        case network([IPNetwork])
        /// One of these texts stands somewhere in the name and the arguments, or in the environment, that a program was started with, in letters of whatever
        /// case. May hold, or does not: see ``TextPieces``. Known at the start of a program only.
        case argument([[UInt8]])
        case environment([[UInt8]])
        /// The last component of the program's file, of a program that is root's alone and in no known container. No rule asks for it.
        case sparedProgram([[UInt8]])
    }

    /// A conjunction: all atoms of `positive` hold, and none of `negative`. A bit for each atom.
    package struct Clause: Hashable, Sendable {
        package var positive: UInt64
        package var negative: UInt64
        /// The rules that it came from, as indices into ``RuleSet/rules``, ascending.
        package var rules: [Int]
        /// The reflex, by its place among those that were asked for, whose condition this is; such a clause hands nothing up.
        package var reflex: Int?

        package init(positive: UInt64, negative: UInt64, rules: [Int] = [], reflex: Int? = nil) {
            self.positive = positive
            self.negative = negative
            self.rules = rules
            self.reflex = reflex
        }
    }

    /// By their number.
    package var atoms: [Atom]
    package var clauses: [Clause]

    package init(atoms: [Atom] = [], clauses: [Clause] = []) {
        self.atoms = atoms
        self.clauses = clauses
    }
}

/// The kernel's answer to all atoms of a filter, and to its clauses.
extension KernelFilter {
    /// What the kernel knows of one event. The reference for what the BPF programs do, in the words of the wire format.
    package struct Facts: Sendable {
        /// Those that are known.
        package var numbers: [NumberSource: Int64] = [:]
        package var name: [UInt8]?
        package var parentName: [UInt8]?
        /// The path as it was given, and of a successful open the one that the kernel opened; a nil among them is one that could not be read.
        package var paths: [[UInt8]?] = []
        /// The second path as it was given; nil where there is none or it could not be read.
        package var secondPath: [UInt8]?
        package var exe: [UInt8]?
        package var remote: IPAddress?
        /// argv and the environment, each text ended by NUL.
        package var arguments: [UInt8]?
        package var environment: [UInt8]?
        /// The last component of the program's file; empty where others than root can change that, and in containers.
        package var trustedProgram: [UInt8]?

        package init() {}

        /// ``NumberSource/argumentHead``.
        package static func head(ofArguments arguments: [UInt8]) -> Int64 { words(ofName: Array(arguments.prefix { $0 != 0 })).head }

        /// Where texts of ``Atom/argument(_:)`` are looked for: what was given, and the name in the place of argv[0].
        var argumentTexts: [[UInt8]]? {
            guard let arguments, let name else { return nil }
            return [arguments, name + [0] + arguments.drop { $0 != 0 }.dropFirst().prefix(8)]
        }

        /// A name as ``NumberSource/nameHead`` and ``NumberSource/nameTail`` have it.
        package static func words(ofName name: [UInt8]) -> (head: Int64, tail: Int64) {
            func word(_ bytes: ArraySlice<UInt8>) -> Int64 {
                Int64(bitPattern: bytes.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) })
            }
            return (word(name[...]), word(name.dropFirst(8)))
        }

        /// Whether atoms about a path are known: absolute, without a slash at its end, and nowhere `//`, `/.` or `..`. What rules look for in
        /// other paths, the filter counts on being unknown for them.
        package static func isPlain(_ path: [UInt8]) -> Bool {
            guard path.first == slash, path.last != slash else { return false }
            return !Self.hasMark(path)
        }

        /// Whether a text has something in it that no plain path has.
        static func hasMark(_ text: some Sequence<UInt8>) -> Bool {
            var last: UInt8 = 0
            for byte in text {
                if (last == slash && (byte == slash || byte == dot)) || (last == dot && byte == dot) { return true }
                last = byte
            }
            return false
        }

        private static let slash = UInt8(ascii: "/")
        private static let dot = UInt8(ascii: ".")
    }

    /// Whether an atom may hold and whether it surely does.
    package struct Answer: Equatable, Sendable {
        package var may: Bool
        package var surely: Bool

        static let unknown = Answer(may: true, surely: false)

        init(may: Bool, surely: Bool) {
            self.may = may
            self.surely = surely
        }

        init(_ value: Bool?) { self = value.map { Answer(may: $0, surely: $0) } ?? .unknown }
    }

    /// Whether the event is handed up, and whether a reflex holds.
    package struct Verdict: Equatable, Sendable {
        /// Some clause may hold.
        package var may: Bool
        /// Some clause surely holds.
        package var surely: Bool
        /// Those whose clauses surely hold, ascending.
        package var reflexes: [Int]
    }

    package func verdict(_ facts: Facts) -> Verdict {
        var (can, must): (UInt64, UInt64) = (0, 0)
        for (index, atom) in atoms.enumerated() {
            let answer = atom.answer(facts)
            if answer.may { can |= 1 << UInt64(index) }
            if answer.surely { must |= 1 << UInt64(index) }
        }
        var verdict = Verdict(may: false, surely: false, reflexes: [])
        for clause in clauses {
            let surely = clause.positive & ~must == 0 && clause.negative & can == 0
            if let reflex = clause.reflex {
                if surely, !verdict.reflexes.contains(reflex) { verdict.reflexes.append(reflex) }
            } else {
                verdict.may = verdict.may || (clause.positive & ~can == 0 && clause.negative & must == 0)
                verdict.surely = verdict.surely || surely
            }
        }
        verdict.reflexes.sort()
        return verdict
    }
}

extension KernelFilter.Atom {
    func answer(_ facts: KernelFilter.Facts) -> KernelFilter.Answer {
        switch self {
        case .number(let test): .init(facts.numbers[test.source].map { test.holds(for: $0) })
        case .name(let names): .init(facts.name.map { names.contains($0) })
        case .parentName(let names): .init(facts.parentName.map { names.contains($0) })
        case .fileName(let names): answer(facts.paths) { path in Self.fileName(path).map { names.contains($0) } }
        case .path(let texts): answer(facts.paths) { Self.holds(texts, $0) }
        case .secondFileName(let names): .init(facts.secondPath.flatMap(Self.fileName).map { names.contains($0) })
        case .secondPath(let texts): .init(facts.secondPath.flatMap { Self.holds(texts, $0) })
        case .exeName(let names): .init(facts.exe.flatMap(Self.fileName).map { names.contains($0) })
        case .exe(let texts): .init(facts.exe.map { exe in texts.contains { $0.holds(for: exe) } })
        case .network(let networks): .init(facts.remote.map { address in networks.contains { $0.contains(address) } })
        case .argument(let texts): .init(may: facts.argumentTexts.map { Self.mayBe(.arguments, texts, in: $0) } ?? true, surely: false)
        case .sparedProgram(let names): .init(facts.trustedProgram.map { names.contains($0) })
        case .environment(let texts): .init(may: facts.environment.map { Self.mayBe(.environment, texts, in: [$0]) } ?? true, surely: false)
        }
    }

    private static func mayBe(_ pieces: TextPieces, _ texts: [[UInt8]], in wholes: [[UInt8]]) -> Bool {
        wholes.contains { whole in texts.contains { pieces.mayBe($0, in: whole) } }
    }

    /// Nil: not known of such a path.
    private static func holds(_ texts: [KernelFilter.PathText], _ path: [UInt8]) -> Bool? {
        KernelFilter.Facts.isPlain(path) ? texts.contains { $0.holds(for: path) } : nil
    }

    /// May hold where it may for one of the paths, and surely holds where it does for all.
    private func answer(_ paths: [[UInt8]?], _ test: ([UInt8]) -> Bool?) -> KernelFilter.Answer {
        guard !paths.isEmpty else { return .unknown }
        var answer = KernelFilter.Answer(may: false, surely: true)
        for path in paths {
            let one = KernelFilter.Answer(path.flatMap(test))
            answer = KernelFilter.Answer(may: answer.may || one.may, surely: answer.surely && one.surely)
        }
        return answer
    }

    /// The last component; nil where it is empty, `.` or `..`.
    static func fileName(_ path: [UInt8]) -> [UInt8]? {
        let name = Array(path.suffix(while: { $0 != UInt8(ascii: "/") }))
        return name.isEmpty || name == [UInt8(ascii: ".")] || name == [UInt8(ascii: "."), UInt8(ascii: ".")] ? nil : name
    }
}

extension Array where Element == UInt8 {
    fileprivate func suffix(while holds: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        var start = endIndex
        while start > startIndex, holds(self[start - 1]) { start -= 1 }
        return self[start...]
    }
}
