import RiposteCore
import RiposteOutputs
import Testing

/// Whatever a value says, it arrives as text.
struct TextFormatTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var format: TextFormat
        var value: ByteText
        var escaped: String

        init(_ name: String, _ format: TextFormat, _ value: ByteText, _ escaped: String) {
            (self.name, self.format, self.value, self.escaped) = (name, format, value, escaped)
        }

        var testDescription: String { name }
    }

    @Test(arguments: [
        Case("a line has no second one", .line, "a\nb\u{1B}[31m", #"a\nb\x1b[31m"#),
        Case("plain text keeps its lines and nothing else", .plain, "a\nb\u{1B}[31m\rc", "a\n" + #"b\x1b[31m\rc"#),
        Case("JSON ends where we end it", .jsonString, #"","admin":true,"x":"\"#, #"\",\"admin\":true,\"x\":\"\\"#),
        Case("HTML has no tags and no attributes", .html, #"<img src=x onerror='a("b")'>&"#, "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;"),
        Case("a combining character hides no mark", .html, "<\u{338}script>", "&lt;\u{338}script&gt;"),
        Case("Slack makes no mention and no link", .slack, "<!channel> <https://e.example|x>", "&lt;!channel&gt; &lt;https://e.example|x&gt;"),
        Case("Slack makes nothing bold", .slack, "*a* _b_ `c`", "*\u{2060}a*\u{2060} _\u{2060}b_\u{2060} `\u{2060}c`\u{2060}"),
        Case("Markdown has its marks escaped", .markdown, "[x](javascript:1) *b*", #"\[x\]\(javascript\:1\) \*b\*"#),
        Case("a URL's part is one part", .urlQuery, "a&b=c/../?#", "a%26b%3Dc%2F..%2F%3F%23"),
        Case("bytes that are no text are shown as such", .line, ByteText([0x61, 0xFF]), #"a\xff"#),
    ])
    func escapes(_ sample: Case) { #expect(sample.format.escaped(sample.value) == sample.escaped) }
}
