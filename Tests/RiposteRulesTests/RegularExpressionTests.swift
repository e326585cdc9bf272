import RiposteRules
import Testing

extension RegularExpressionTests {
    @Test(
        "syntax, and what it means, as RE2 has it",
        arguments: [
            // Lines.
            ("a$\n^b", "a\nb", true), ("a$b", "a\nb", false), ("(a$|b|\n)*", "a\nb", true), ("(a$|b|\n)*", "ab", false), ("(^b|[a\n])*", "a\nb", true),
            ("(^b|[a\n])*", "ab", false),
            ("^$", "", true), ("$^", "", true), ("(\n|$^)*", "\n\n", true), ("\n$^\n", "\n\n", true), ("x$^\n", "x\n", false), ("a.b", "a\nb", false), ("[^a]b", "\nb", true),
            ("^*", "", true), ("(^a$\n?)+", "a\na\na", true), ("(^a$)+", "aa", false), ("a^b", "ab", false), ("", "", true), ("", "a", false),
            // Characters.
            ("\\x41\\x{1F600}\\101\\060", "A😀A0", true), ("\\08", "\u{0}8", true), ("\\_\\ \\-", "_ -", true), ("[\\x41-\\x43]+", "ABC", true), ("a.b", "a\u{0}b", true),
            (".", "é", true), ("..", "é", false), ("[à-ü]+", "éè", true), ("[^é]", "è", true), ("[^é]", "é", false), ("[[:^alpha:]]+", "12é", true), ("[[:word:]-]+", "a_-", true),
            ("[a-]+", "a-", true), ("[-a]+", "a-", true), ("[^-a]", "-", false), ("[a]]", "a]", true), ("[]a]", "]", true), ("[^]a]", "]", false), ("[[.a.]]", "a", false),
            // Repetitions.
            ("a**", "aa", true), ("x*?", "xx", true), ("a++", "a", true), ("a{,3}", "a{,3}", true), ("a{2}{2}", "aaaa", true), ("a{0,0}b", "b", true), ("(a{10}){10}", "a", false),
            ("a{,", "a{,", true), ("a{1", "a{1", true), ("(){1000}", "", true), ("a{2,}", "a", false), ("a{2,}", "aaa", true), ("(|a){3}", "aa", true), ("(a|b|)*c", "abac", true),
            ("(((a{2}){2}){2}){2}", String(repeating: "a", count: 16), true),
        ])
    func syntax(_ pattern: String, _ text: String, _ expected: Bool) throws {
        #expect(try RegularExpression(pattern).matchesWhole(Array(text.utf8)) == expected)
        #expect(try RegularExpression(pattern, stateLimit: 0).matchesWhole(Array(text.utf8)) == expected)
    }

    @Test(
        "what RE2 refuses is refused",
        arguments: [
            "{2}", "a|{2}", "({2})", "a|*", "(*)", "[a-c-e]", "\\é", "\\8", "\\1", "\\x4", "\\x{110000}", "\\x{}", "\\C", "\\pN", "(?i)a", "(?:a)", "[\\d]", "[[:digit]", "[a",
            "(a{100}){100}",
            "(a{100}b*){11}", "a{99999999999999999999}", "((a{10}){10}){11}", "[]", "a)",
        ])
    func refusedLikeRE2(_ pattern: String) { #expect(throws: RegularExpression.Invalid.self) { try RegularExpression(pattern) } }

    @Test("the table and the program agree, by chance")
    func tableAndProgram() throws {
        var tabled = 0
        try SeededNumbers.rounds(2000) { numbers in
            let pattern = Self.pattern(&numbers, depth: 4)
            let table = try RegularExpression(pattern)
            let program = try RegularExpression(pattern, stateLimit: 0)
            #expect(!program.isTabled)
            tabled += table.isTabled ? 1 : 0
            for _ in 0..<12 {
                let text = Self.text(&numbers)
                let expected = program.matchesWhole(text)
                #expect(table.matchesWhole(text) == expected, "\(pattern) \(text)")
                if expected, let literal = table.requiredLiteral {
                    #expect(text.withUnsafeBytes { SubstringSearch(literal).isContained(in: $0) }, "\(pattern) \(text) \(literal)")
                }
            }
        }
        #expect(tabled > 1950)
    }

    @Test("bytes that are not UTF-8 count as Swift mends them, by chance")
    func mended() throws {
        try SeededNumbers.rounds(2000) { numbers in
            let bytes: [UInt8] = [0x61, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF]
            let text = (0..<Int.random(in: 0...8, using: &numbers)).map { _ in bytes[Int.random(in: bytes.indices, using: &numbers)] }
            let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
            let pattern = scalars.map { "\\x{\(String($0.value, radix: 16))}" }.joined()
            for limit in [0, 2000] {
                let same = try RegularExpression(pattern, stateLimit: limit)
                let asMany = try RegularExpression("[^a]{\(scalars.count)}", stateLimit: limit)
                let more = try RegularExpression("(a|[^a]){\(scalars.count + 1),}", stateLimit: limit)
                #expect(same.matchesWhole(text), "\(text)")
                #expect(asMany.matchesWhole(text) == !text.contains(0x61), "\(text)")
                #expect(!more.matchesWhole(text), "\(text)")
            }
        }
    }

    @Test(
        "hostile texts and patterns cost their length and no more",
        arguments: [
            "(a|a)*b", "(a*)*b", "((a*)*)*b", "(a|aa)*b", "(a?){500}b", "a{0,500}b", "(.*a){20}b", "((a{0,10}){0,10}){0,10}b", ".*a.{12}b", "(.*)(.*)(.*)(.*)(.*)b",
            "(a|b)*a(a|b){20}c",
            "([[:alpha:]]*[[:digit:]]*){100}_", "(é|a)*é{500}b", "[^é]{1000}", "(.{1,30}a){30}b",
        ])
    func hostilePatterns(_ pattern: String) throws {
        let expression = try RegularExpression(pattern)
        for text in [[UInt8](repeating: 0x61, count: 100_000), Array(repeatElement(Array("é".utf8), count: 50_000).joined()), [UInt8](repeating: 0xE2, count: 100_000)] {
            // Where the program runs, in a debug build, a hundredth part is telling enough.
            let text = expression.isTabled ? text : Array(text.prefix(1000))
            #expect(!expression.matchesWhole(text))
        }
    }

    @Test(
        "common patterns have tables",
        arguments: ["/etc/(passwd|shadow)", "(.*/)?\\.ssh/(id_.*|authorized_keys)", "[a-z0-9]{64}", "^/proc/[0-9]+/(mem|maps)$", ".*(curl|wget).*https?://.*"])
    func tabled(_ pattern: String) throws { #expect(try RegularExpression(pattern).isTabled) }

    @Test(
        "what every match must have in it",
        arguments: [
            ("abc", "abc"), (".*foo.*", "foo"), ("/etc/(passwd|shadow)", "/etc/"), ("(a|b)c+d", "cd"), ("x*", nil), ("(foo|foobar)x", "foo"), ("(xfoo|yfoo)*", nil),
            ("(xfoo|yfoo)+", "foo"),
            ("a{3}", "aaa"), ("a{2,}b", "aab"), ("(ab){2}c", "ababc"), ("[a]b", "ab"), ("a\u{FFFD}b", "a"), ("é.", "é"), ("^ab$", "ab"), ("a?b?", nil), ("(ab|ab)c", "abc"),
            ("", nil),
            ("(.a){3}", "a"), ("[^a]", nil), ("(ab.*cde){2}", "cdeab"), ("(a{0}b){0,0}", nil), ("([^/]*/)+etc/", "/etc/"),
        ])
    func required(_ pattern: String, _ expected: String?) throws { #expect(try RegularExpression(pattern).requiredLiteral == expected.map { Array($0.utf8) }) }

    @Test("are equal by their pattern")
    func equality() throws {
        #expect(try RegularExpression("a") == RegularExpression("a", stateLimit: 0))
        #expect(try RegularExpression("a") != RegularExpression("(a)"))
        #expect(try RegularExpression("a.").pattern == "a.")
        #expect(try RegularExpression("a*").matchesWhole(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(try !RegularExpression("a", stateLimit: 0).matchesWhole(UnsafeRawBufferPointer(start: nil, count: 0)))
    }

    private static func pattern(_ numbers: inout SeededNumbers, depth: Int) -> String {
        let leaf = numbers.one(of: "a", "b", "ab", ".", "[ab]", "[^a]", "é", "[^é]", "[b-é]", "^", "$", "\n", "\u{FFFD}", "")
        guard depth > 0 else { return leaf }
        switch Int.random(in: 0..<8, using: &numbers) {
        case 0: return leaf
        case 1, 2, 3: return pattern(&numbers, depth: depth - 1) + pattern(&numbers, depth: depth - 1)
        case 4, 5: return "(\(pattern(&numbers, depth: depth - 1))|\(pattern(&numbers, depth: depth - 1)))"
        default: return "(\(pattern(&numbers, depth: depth - 1)))" + numbers.one(of: "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}")
        }
    }

    private static func text(_ numbers: inout SeededNumbers) -> [UInt8] {
        let parts: [[UInt8]] = [[0x61], [0x61], [0x62], [0x62], [10], Array("é".utf8), [0xFF], [0xC3], [0xE2, 0x82], Array("😀".utf8), [0]]
        return (0..<Int.random(in: 0...7, using: &numbers)).flatMap { _ in parts[Int.random(in: parts.indices, using: &numbers)] }
    }
}
