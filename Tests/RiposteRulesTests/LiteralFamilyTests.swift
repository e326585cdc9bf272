import RiposteRules
import Testing

extension Array where Element == UInt8 {
    fileprivate func contains(bytes literal: [UInt8]) -> Bool {
        guard literal.count <= count else { return false }
        return (0...count - literal.count).contains { self[$0..<$0 + literal.count].elementsEqual(literal) }
    }

    fileprivate func ends(with literal: [UInt8]) -> Bool { suffix(literal.count).elementsEqual(literal) }

    fileprivate var lowercased: [UInt8] { map { 0x41...0x5A ~= $0 ? $0 + 0x20 : $0 } }
}

/// The bytes at an odd address, with others before and behind them that a matcher must not look at.
private func inTheMiddle<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let surrounded = Array("abc".utf8) + bytes + Array("abcabcabcabcabcabc".utf8)
    return try surrounded.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[3..<3 + bytes.count])) }
}

private func distinct(_ numbers: inout SeededNumbers, _ count: Int, upTo length: Int, of alphabet: String) -> [[UInt8]] {
    var seen: Set<[UInt8]> = []
    return (0..<count).map { _ in numbers.text(upTo: length, of: alphabet) }.filter { seen.insert($0).inserted }
}

private func chain(_ longest: Int32, _ parent: (Int32) -> Int32) -> Set<Int> {
    var result: Set<Int> = []
    var next = longest
    while next >= 0, result.insert(Int(next)).inserted { next = parent(next) }
    return result
}

private func scan(_ automaton: SubstringAutomaton, _ text: [UInt8]) -> Set<Int> {
    var bits = [UInt64](repeating: 0, count: automaton.wordCount + 1)
    inTheMiddle(text) { text in bits.withUnsafeMutableBufferPointer { words in words.baseAddress.map { automaton.scan(text, into: $0) } } }
    return Set((0..<automaton.count).filter { bits[$0 / 64] >> UInt64($0 % 64) & 1 != 0 })
}

@Suite("Many literals at once")
struct LiteralFamilyTests {
    // MARK: - Equal

    @Test("equal to one, or to none", arguments: [("", 3), ("a", 0), ("b", -1), ("abcdefgh", 1), ("abcdefgi", -1), ("\u{0}", 2), ("\u{0}\u{0}", -1), ("aa", -1)])
    func equal(_ text: String, _ expected: Int32) {
        let literals = LiteralClasses(["a", "abcdefgh", "\u{0}", "", "a"].map { Array($0.utf8) })
        #expect(inTheMiddle(Array(text.utf8)) { literals.find($0) } == expected)
    }

    @Test("equality, by chance")
    func randomEqual() {
        SeededNumbers.rounds(2000) { numbers in
            let literals = distinct(&numbers, 40, upTo: numbers.one(of: 2, 9, 40), of: "ab\u{0}")
            let classes = LiteralClasses(literals)
            for text in literals.prefix(5) + (0..<10).map({ _ in numbers.text(upTo: 9, of: "ab\u{0}") }) {
                #expect(inTheMiddle(text) { classes.find($0) } == Int32(literals.firstIndex(of: text) ?? -1), "\(literals) \(text)")
            }
        }
    }

    @Test("texts of every length are told from others that differ in one byte")
    func lengths() {
        let literals = (0..<300).map { count in (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) } }
        let classes = LiteralClasses(literals)
        for (index, literal) in literals.enumerated() {
            #expect(inTheMiddle(literal) { classes.find($0) } == Int32(index))
            for place in Set([0, index / 2, index - 1]) where literal.indices.contains(place) {
                var text = literal
                text[place] ^= 0x40
                #expect(inTheMiddle(text) { classes.find($0) } == -1)
            }
        }
    }

    @Test("no literals at all")
    func nothing() {
        let text = Array("abc".utf8)
        for text in [[], text] {
            #expect(inTheMiddle(text) { LiteralClasses([]).find($0) } == -1)
            #expect(inTheMiddle(text) { PrefixTrie([]).find($0) } == -1)
            #expect(inTheMiddle(text) { SuffixTrie([]).find($0) } == -1)
            #expect(inTheMiddle(text) { PathTrie([]).find($0) } == -1)
            #expect(scan(SubstringAutomaton([]), text).isEmpty)
        }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(LiteralClasses([[]]).find(none) == 0)
        #expect(PrefixTrie([[]]).find(none) == 0)
        #expect(SuffixTrie([[]]).find(none) == 0)
        #expect(PathTrie([[]]).find(none) == 0)
        #expect(SubstringSearch([]).isContained(in: none))
        #expect(!SubstringSearch([1]).isContained(in: none))
    }

    // MARK: - Beginnings and ends

    @Test(
        "the longest beginning and all shorter ones",
        arguments: [("/etc/ssh/x", [0, 1, 4]), ("/etc/ss", [0, 4]), ("/et", [4]), ("", [4]), ("/usr/bin/", [2, 3, 4]), ("/usr/bin", [2, 4]), ("x", [4])])
    func beginning(_ text: String, _ expected: [Int]) {
        let trie = PrefixTrie(["/etc/", "/etc/ssh/", "/usr", "/usr/bin/", ""].map { Array($0.utf8) })
        #expect(chain(inTheMiddle(Array(text.utf8)) { trie.find($0) }, trie.parent) == Set(expected))
    }

    @Test("beginnings and ends, by chance")
    func randomBeginning() {
        SeededNumbers.rounds(2000) { numbers in
            let alphabet = numbers.one(of: "ab", "ab\u{0}", "abcdefghijklmnop")
            var literals = distinct(&numbers, Int.random(in: 0...30, using: &numbers), upTo: numbers.one(of: 3, 6, 24), of: alphabet)
            if let repeated = literals.randomElement(using: &numbers) { literals.append(repeated) }
            let prefixes = PrefixTrie(literals)
            let suffixes = SuffixTrie(literals)
            for index in 0..<10 {
                var text = numbers.text(upTo: 10, of: alphabet)
                if index < 5, let literal = literals.randomElement(using: &numbers) { text = index < 3 ? literal + text : text + literal }
                let beginnings = Set(literals.indices.filter { text.starts(with: literals[$0]) })
                let found = inTheMiddle(text) { prefixes.find($0) }
                #expect(chain(found, prefixes.parent) == beginnings, "\(literals) \(text)")
                #expect(found < 0 || literals[Int(found)].count == beginnings.map { literals[$0].count }.max())
                let ends = Set(literals.indices.filter { text.ends(with: literals[$0]) })
                let last = inTheMiddle(text) { suffixes.find($0) }
                #expect(chain(last, suffixes.parent) == ends, "\(literals) \(text)")
                #expect(last < 0 || literals[Int(last)].count == ends.map { literals[$0].count }.max())
            }
        }
    }

    @Test("literals that each begin with the one before, thousands deep")
    func deep() {
        let literals = (0..<700).map { [UInt8](repeating: 0x61, count: $0) }
        let trie = PrefixTrie(literals)
        #expect(inTheMiddle([UInt8](repeating: 0x61, count: 100_000)) { trie.find($0) } == 699)
        #expect(chain(699, trie.parent).count == 700)
        #expect(scan(SubstringAutomaton(literals), [UInt8](repeating: 0x61, count: 100_000)).count == 700)
    }

    // MARK: - Paths

    @Test(
        "the deepest path and all above it",
        arguments: [
            ("/etc/ssh/x", [0, 1, 4, 5]), ("/etc//ssh", [0, 1, 4, 5]), ("etc/ssh/", [0, 1, 4, 5]), ("/etc/sshd", [0, 4, 5]), ("/etcx", [4, 5]), ("", [4, 5]), ("///", [4, 5]),
            ("//usr///bin//a", [2, 3, 4, 5]), ("/usr/bi", [2, 4, 5]), ("/us", [4, 5]),
        ])
    func paths(_ text: String, _ expected: [Int]) {
        let trie = PathTrie(["/etc", "/etc//ssh/", "usr/", "/usr/bin", "/", ""].map { Array($0.utf8) })
        #expect(chain(inTheMiddle(Array(text.utf8)) { trie.find($0) }, trie.parent) == Set(expected))
    }

    @Test("paths, by chance")
    func randomPaths() {
        let components = { (path: [UInt8]) in path.split(separator: UInt8(ascii: "/")).map { Array($0) } }
        SeededNumbers.rounds(2000) { numbers in
            let alphabet = numbers.one(of: "a/", "ab//", "abcdefgh/")
            let literals = (0..<Int.random(in: 0...20, using: &numbers)).map { _ in numbers.text(upTo: numbers.one(of: 4, 8, 30), of: alphabet) }
            let trie = PathTrie(literals)
            let prefixes = PathPrefixes(literals)
            for index in 0..<10 {
                var text = numbers.text(upTo: 10, of: alphabet)
                if index < 5, let literal = literals.randomElement(using: &numbers) { text = literal.flatMap { $0 == 0x2F && index > 1 ? [$0, $0] : [$0] } + text }
                let above = Set(literals.indices.filter { components(text).starts(with: components(literals[$0])) })
                let found = inTheMiddle(text) { trie.find($0) }
                #expect(chain(found, trie.parent) == above, "\(literals) \(text)")
                #expect(found < 0 || components(literals[Int(found)]).count == above.map { components(literals[$0]).count }.max())
                #expect(inTheMiddle(text) { prefixes.match($0) } == !above.isEmpty)
            }
        }
    }

    // MARK: - Inside

    @Test(
        "what a text contains",
        arguments: [("xshadow", [0, 2, 5]), ("hado", [2, 5]), ("", [5]), ("SHADOW", [5]), ("ad\u{0}", [2, 4, 5]), ("shado", [2, 5]), ("passwd", [3, 5])])
    func inside(_ text: String, _ expected: [Int]) {
        let automaton = SubstringAutomaton(["shadow", "shadows", "ad", "passwd", "\u{0}", ""].map { Array($0.utf8) })
        #expect(scan(automaton, Array(text.utf8)) == Set(expected))
    }

    @Test("what a text contains, by chance")
    func randomInside() {
        SeededNumbers.rounds(1000) { numbers in
            let alphabet = numbers.one(of: "ab", "abAB", "aB\u{0}[", "abcdefghijklmnop")
            var literals = (0..<Int.random(in: 0...numbers.one(of: 8, 80), using: &numbers))
                .map { _ in numbers.text(upTo: numbers.one(of: 2, 4, 20), of: alphabet) }
            if let repeated = literals.randomElement(using: &numbers) { literals.append(repeated) }
            let foldsCase = Bool.random(using: &numbers)
            let automaton = SubstringAutomaton(literals, foldsCase: foldsCase)
            for index in 0..<5 {
                var text = numbers.text(upTo: numbers.one(of: 3, 20, 60), of: alphabet)
                if index < 3, let literal = literals.randomElement(using: &numbers) { text += literal + numbers.text(upTo: 20, of: alphabet) }
                let expected = Set(literals.indices.filter { foldsCase ? text.lowercased.contains(bytes: literals[$0].lowercased) : text.contains(bytes: literals[$0]) })
                #expect(scan(automaton, text) == expected, "\(literals) \(text) \(foldsCase)")
            }
        }
    }

    @Test("every byte value in literals, and literals too long for the table")
    func large() {
        let all = (0...UInt8.max).map { [$0, $0 &+ 1] }
        #expect(scan(SubstringAutomaton(all), [5, 6, 7, 255, 0]) == [5, 6, 255])
        let long = [[1, 2], [UInt8](repeating: 0x61, count: 400_000), [UInt8](repeating: 0x61, count: 399_999) + [0x62], [0x61]]
        let automaton = SubstringAutomaton(long)
        #expect(scan(automaton, [0, 1, 2, 0x61]) == [0, 3])
        #expect(scan(automaton, [1] + long[1]) == [1, 3])
        #expect(scan(automaton, [1, 2] + long[2]) == [0, 2, 3])
        let many = (0..<5000).map { Array("literal number \($0)".utf8) }
        #expect(scan(SubstringAutomaton(many), Array("xx literal number 4321 literal".utf8)).count == 4)
    }

    // MARK: - One literal

    @Test("one literal in a text, by chance")
    func randomSearch() {
        SeededNumbers.rounds(2000) { numbers in
            let alphabet = numbers.one(of: "ab", "abAB", "aB\u{0}[{@`", "/abcdefghijkl")
            let literal = numbers.text(upTo: numbers.one(of: 2, 5, 40), of: alphabet)
            let foldsCase = Bool.random(using: &numbers)
            let search = SubstringSearch(literal, foldsCase: foldsCase)
            for index in 0..<5 {
                var text = numbers.text(upTo: numbers.one(of: 10, 40, 200), of: alphabet)
                if index < 2 { text += literal + numbers.text(upTo: 20, of: alphabet) }
                let expected = foldsCase ? text.lowercased.contains(bytes: literal.lowercased) : text.contains(bytes: literal)
                #expect(inTheMiddle(text) { search.isContained(in: $0) } == expected, "\(literal) \(text) \(foldsCase)")
            }
        }
    }

    @Test("near misses in every place", arguments: [false, true])
    func nearMisses(foldsCase: Bool) {
        let half = [UInt8](repeating: 0x61, count: 5000)
        let literal = half + [0x62] + half
        let search = SubstringSearch(literal, foldsCase: foldsCase)
        let text = [UInt8](repeating: 0x61, count: 100_000)
        #expect(!inTheMiddle(text) { search.isContained(in: $0) })
        #expect(inTheMiddle(text + [0x62] + half) { search.isContained(in: $0) })
        #expect(!inTheMiddle(text + [0x62] + half.dropLast()) { search.isContained(in: $0) })
        // Both bytes that are looked for are in every place of the text.
        let periodic = SubstringSearch(Array(repeatElement([0x61, 0x62], count: 100).joined()) + [0x62, 0x61, 0x61, 0x62], foldsCase: foldsCase)
        #expect(!inTheMiddle(Array(repeatElement([0x61, 0x62], count: 50_000).joined())) { periodic.isContained(in: $0) })
    }
}
