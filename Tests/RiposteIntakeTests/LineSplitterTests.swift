@testable import RiposteIntake
import Testing

@Suite("a stream of bytes becomes lines of a bounded length")
struct LineSplitterTests {
    @Test(
        "however the bytes arrive, the lines are the same",
        arguments: [
            ("", [], nil), ("a\n", ["a"], nil), ("a\nb\n", ["a", "b"], nil), ("a\nb", ["a"], "b"), ("\n\na\n", ["", "", "a"], nil), ("12345678\n", ["12345678"], nil),
            ("123456789\nb\n", ["!123456789", "b"], nil), ("123456789012345678901234567890\nb", ["!", "b"], nil),
        ] as [(String, [String], String?)], [1, 2, 3, 7, 1000])
    func split(stream: (text: String, lines: [String], rest: String?), chunk: Int) {
        var splitter = LineSplitter(limit: 8)
        var seen: [String] = []
        let bytes = Array(stream.text.utf8)
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            for piece in splitter.take(bytes[start..<min(start + chunk, bytes.count)]) {
                switch piece {
                case .line(let line): seen.append(String(decoding: line, as: UTF8.self))
                case .tooLong: seen.append("!")
                }
            }
        }
        // The last one may still be open: without its newline it is a line all the same, unless it is too long.
        let rest = splitter.end().map { String(decoding: $0, as: UTF8.self) }
        let expected = stream.lines.map { $0.hasPrefix("!") ? "!" : $0 }
        #expect(seen + [rest].compactMap(\.self) == expected.filter { $0 != stream.rest } + [stream.rest].compactMap(\.self))
    }

    @Test("what belongs to no finished line is counted, skipped bytes too: an offset in a file stands behind the last line that was taken")
    func pending() {
        var splitter = LineSplitter(limit: 8)
        _ = splitter.take(Array("abc\nde".utf8))
        #expect(splitter.pendingBytes == 2)
        _ = splitter.take(Array("0123456789".utf8))
        #expect(splitter.pendingBytes == 12)
        _ = splitter.take(Array("\nx".utf8))
        #expect(splitter.pendingBytes == 1)
    }
}
