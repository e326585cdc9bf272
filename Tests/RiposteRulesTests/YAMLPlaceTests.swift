import RiposteCore
import RiposteRules
import Testing

@Suite("a mistake inside a text is shown where it stands in the file, however YAML lets one write the text")
struct YAMLPlaceTests {
    @Test(
        "styles",
        arguments: [
            "key: a b HERE c", "key:   HERE", "key: 'a HERE'", "key: 'it''s, isn''t it, HERE'", #"key: "a \t \"b\" \x41 \u00e9 HERE""#, "key: ü é HERE",
            "key: >\n  a b\n  c HERE d\n", "key: |\n  a b\n  c HERE d\n", "key: >-\n\n  a\n\n  HERE\n", "key: a\n  b\n  c  HERE\n", "key: 'a\n  b\n  HERE'",
            "key: |2\n    a\n   HERE",
            "other: 1\nkey: >\n  spawned_process and\n  container and\n    HERE and\n  x\n", "- key: HERE", "{ key: [a, b], other: HERE }",
        ])
    func styles(text: String) throws {
        let reader = YAMLReader(file: "f.yaml", text: text)
        let root = try #require(reader.root())
        let scalar = try #require(find("HERE", in: root))
        let value = try #require(scalar.text())
        let range = try #require(value.utf8.indices.first { value[$0...].hasPrefix("HERE") })
        scalar.report(code: "T1", atCharacter: value.utf8.distance(from: value.startIndex, to: range), "here")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let line = try #require(lines.firstIndex { $0.contains("HERE") })
        let column = try #require(Array(lines[line]).indices.first { lines[line].dropFirst($0).hasPrefix("HERE") })
        #expect(reader.diagnostics.last?.place == Diagnostic.Place(line: line + 1, column: column + 1))
    }

    private func find(_ word: String, in node: YAMLNode) -> YAMLNode? {
        if node.isMapping { return node.members()?.lazy.compactMap { find(word, in: $0.value) }.first }
        if node.isSequence { return node.list()?.lazy.compactMap { find(word, in: $0) }.first }
        return node.text()?.contains(word) == true ? node : nil
    }

    @Test("behind the last character, for what is missing there")
    func end() throws {
        let reader = YAMLReader(file: "f.yaml", text: "key: >\n  a and\n  b =\n")
        let scalar = try #require(reader.root()?.members()?.first?.value)
        scalar.report(code: "T1", atCharacter: try #require(scalar.text()).utf8.count - 1, "a value is missing")
        #expect(reader.diagnostics.last?.place == Diagnostic.Place(line: 3, column: 6))
    }
}
