import RiposteRules
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Patterns with wildcards")
struct GlobTests {
    @Test(
        "match the whole text or do not",
        arguments: [
            ("", "", true), ("", "a", false), ("*", "", true), ("*", "a/b", true), ("**", "a", true), ("?", "", false), ("?", "/", true), ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false), ("*.ssh/*", "/root/.ssh/id", true), ("/home/*/.ssh/*", "/home/a/b/.ssh/x", true), ("/home/*/.ssh/*", "/home/.ssh/x", false),
            ("[a-c]", "b", true),
            ("[!a-c]", "b", false), ("[^a-c]", "d", true), ("[]]", "]", true), ("[!]]", "]", false), ("[", "[", true), ("[a", "[a", true), ("[a-]", "-", true), ("\\*", "*", true),
            ("\\*", "x", false), ("[\\]]", "]", true), ("[[:digit:]]*", "5x", true), ("[[:digit:]]", "x", false), ("*a*b*c", "xaybzc", true), ("*a*b*c", "xcybza", false),
            ("*ab", "aab", true), ("*?b", "b", false), ("a?c", "a\u{0}c", true), ("*é", "né", true), ("?", "é", false),
        ])
    func matching(_ pattern: String, _ text: String, _ expected: Bool) {
        #expect(GlobPattern(Array(pattern.utf8)).matches(Array(text.utf8)) == expected)
        #expect(Array(text.utf8).withUnsafeBytes { GlobPattern(Array(pattern.utf8)).matches($0) } == expected)
    }

    @Test("fold case", arguments: [("ABC", "abc", true), ("a[B-D]", "AC", true), ("a[!b]", "aB", false), ("[[:upper:]]", "[", false), ("x-@", "X-`", false), ("?@", "a@", true)])
    func foldedCase(_ pattern: String, _ text: String, _ expected: Bool) {
        #expect(GlobPattern(Array(pattern.utf8), foldsCase: true).matches(Array(text.utf8)) == expected)
    }

    @Test("come to something simpler, or do not")
    func shapes() {
        let shape = { (pattern: String, foldsCase: Bool) in GlobPattern(Array(pattern.utf8), foldsCase: foldsCase).simplified }
        let bytes = { (text: String) in Array(text.utf8) }
        #expect(shape("", false) == .exact([]))
        #expect(shape("a\\*b", false) == .exact(bytes("a*b")))
        #expect(shape("a/**", false) == .prefix(bytes("a/")))
        #expect(shape("*.so", false) == .suffix(bytes(".so")))
        #expect(shape("*/.ssh/*", false) == .contains(bytes("/.ssh/")))
        #expect(shape("*", false) == .any)
        #expect(shape("***", false) == .any)
        for pattern in ["?", "*?", "a*b", "[a]", "*a*b*"] { #expect(shape(pattern, false) == .general) }
        #expect(shape("*A*", true) == .general)
        #expect(shape("*/1*", true) == .contains(bytes("/1")))
    }

    #if canImport(Glibc)
        @Test(
            "sets, as the C library has them", arguments: [false, true],
            [
                "[[:alnum:]]", "[[:alpha:]]", "[[:blank:]]", "[[:cntrl:]]", "[[:digit:]]", "[[:graph:]]", "[[:lower:]]", "[[:print:]]", "[[:punct:]]", "[[:space:]]", "[[:upper:]]",
                "[[:xdigit:]]", "[![:alpha:]]", "[[:digit:]a-c]", "[[:digit:]-z]", "[a[:digit:]", "[[:alpha:]", "[:alpha:]", "[[:Alpha:]]", "[[:alpha]]", "[[:foo:]]", "[z-a]",
                "[A-z]", "[+--]", "[--0]",
                "[a\\-z]", "[\\]-a]", "[a-\\z]", "[[-a]", "[[]", "[[a]", "[]-a]", "[!]-a]", "[a-c-e]", "[\\", "[a\\", "[a-", "[a-\\", "[]", "[!]", "[^a]", "[!!]",
                "[Z-b]", "[[:upper:]x]",
            ])
        func setsLikeTheLibrary(foldsCase: Bool, pattern: String) {
            let glob = GlobPattern(Array(pattern.utf8), foldsCase: foldsCase)
            let matched = (1...127).filter { glob.matches([UInt8($0)]) }
            #expect(matched == (1...127).filter { fnmatch(pattern, [CChar($0), 0], foldsCase ? 1 << 4 : 0) == 0 })
        }

        @Test("as the C library has it, by chance", arguments: [false, true])
        func likeTheLibrary(foldsCase: Bool) {
            SeededNumbers.rounds(5000) { numbers in
                let (patterns, texts) = numbers.one(of: ("ab*?", "ab"), ("abAB*[]!-", "abAB]-!"), ("a*?[]\\-c", "abc\\[]-"))
                let pattern = numbers.text(upTo: 9, of: patterns)
                let glob = GlobPattern(pattern, foldsCase: foldsCase)
                for _ in 0..<8 {
                    let text = numbers.text(upTo: 8, of: texts)
                    let expected = fnmatch(String(decoding: pattern, as: UTF8.self), String(decoding: text, as: UTF8.self), foldsCase ? 1 << 4 : 0) == 0
                    #expect(glob.matches(text) == expected, "\(String(decoding: pattern, as: UTF8.self)) \(String(decoding: text, as: UTF8.self))")
                }
            }
        }
    #endif

    @Test("a simplified pattern means the same, by chance")
    func simplifiedAlike() {
        SeededNumbers.rounds(3000) { numbers in
            let glob = GlobPattern(numbers.text(upTo: 1, of: "*") + numbers.text(upTo: 3, of: "ab\\") + numbers.text(upTo: 1, of: "*"))
            for _ in 0..<8 {
                let text = numbers.text(upTo: 6, of: "ab\\*")
                let expected: Bool? =
                    switch glob.simplified {
                    case .exact(let bytes): text == bytes
                    case .prefix(let bytes): text.starts(with: bytes)
                    case .suffix(let bytes): text.reversed().starts(with: bytes.reversed())
                    case .contains(let bytes): text.withUnsafeBytes { SubstringSearch(bytes).isContained(in: $0) }
                    case .any: true
                    case .general: nil
                    }
                if let expected { #expect(glob.matches(text) == expected, "\(glob.pattern) \(text)") }
            }
        }
    }

    @Test("a hostile text costs its length and no more", arguments: ["*a*a*a*a*b", "*aaaaaaaaab", "*?*?*?*?b", "*[ab]*[ab]*c"])
    func hostile(_ pattern: String) {
        #expect(!GlobPattern(Array(pattern.utf8)).matches([UInt8](repeating: UInt8(ascii: "a"), count: 100_000)))
    }

    @Test(
        "components of paths",
        arguments: [
            ("/*/shadow", "/etc/shadow", true), ("/*/shadow", "/etc/x/shadow", false), ("/home/*/.ssh", "//home//me/.ssh/id", true), ("/home/*/.ssh", "/home/me", false),
            ("/e?c", "/etc/passwd", true), ("/e?c", "/e/c", false), ("/[a-e]*/x", "etc/x", true), ("/lib*/x\\y", "/lib64/x\\y/z", true), ("/*", "/", false), ("/*", "a", true),
            ("/*", "", false),
        ])
    func components(_ path: String, _ value: String, _ expected: Bool) {
        #expect(PathPrefixes(["/nowhere/*", "/never", path].map { Array($0.utf8) }).match(Array(value.utf8)) == expected)
        #expect(Array(value.utf8).withUnsafeBytes { PathPrefixes([Array(path.utf8)]).match($0) } == expected)
    }
}
