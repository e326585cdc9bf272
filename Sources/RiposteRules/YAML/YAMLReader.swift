internal import Dispatch
internal import Foundation
package import RiposteCore
internal import Yams

/// A YAML file that a person wrote, read strictly: every node knows its place, and everything that is wrong is collected, not only the first thing.
///
/// What YAML lets pass and people trip over is an error here: keys that stand twice, `yes` and `no` for true and false, anchors and aliases,
/// more than one document.
package final class YAMLReader {
    package let file: String
    let lines: [Substring]
    package private(set) var diagnostics: [Diagnostic] = []

    static let sizeLimit = 16 << 20
    private static let nodeLimit = 1_000_000
    private static let depthLimit = 64

    package init(file: String, text: String) {
        self.file = file
        // A byte order mark is no part of the text.
        let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Substring($0) }
        self.text = text
    }

    private let text: String

    /// The document's root; nil where the text is empty or no YAML, which is then reported.
    package func root() -> YAMLNode? {
        let documents = documents()
        guard documents.count <= 1 else {
            report(code: "Y001", at: nil, "the file has \(documents.count) documents; only one is read")
            return nil
        }
        return documents.first
    }

    /// The roots of all documents; none where the text is no YAML, which is then reported.
    package func documents() -> [YAMLNode] {
        guard text.utf8.count <= Self.sizeLimit else {
            report(code: "Y001", at: nil, "the file is larger than \(Self.sizeLimit >> 20) MiB")
            return []
        }
        // An alias that is a key would be hashed, as large as it becomes, while the tree is made.
        if let place = aliasedKeyPlace() {
            report(code: "Y003", at: place, "anchors and aliases are not supported")
            return []
        }
        switch composed() {
        case .success(let nodes): return nodes.map { YAMLNode($0, reader: self) }
        case .failure(let error as YamlError): reportYAMLError(error)
        case .failure(Refusal.anchor(let place)):
            report(code: "Y003", at: place, "anchors and aliases are not supported")
        case .failure(Refusal.size):
            report(code: "Y001", at: nil, "the file is nested deeper than \(Self.depthLimit) levels or has more than \(Self.nodeLimit) values")
        case .failure(let error): report(code: "Y001", at: nil, "\(error)")
        }
        return []
    }

    /// What the composing thread found: written by it before it says that it is done, read after that.
    private final class Composition: @unchecked Sendable {
        var result: Result<[Node], any Error> = .success([])
    }

    /// Composing descends as deep as the text is nested, a thousand levels at most, which is more than the stack of every thread can take.
    private func composed() -> Result<[Node], any Error> {
        let (composition, done, text) = (Composition(), DispatchSemaphore(value: 0), text)
        let thread = Thread {
            composition.result = Result { try Self.compose(text) }
            done.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
        done.wait()
        return composition.result
    }

    private static func compose(_ text: String) throws -> [Node] {
        // Not `compose_all`: its sequence ends silently where it finds an error.
        let parser = try Yams.Parser(yaml: text, encoding: .utf8)
        var nodes: [Node] = []
        var budget = nodeLimit
        while let node = try parser.nextRoot() {
            try check(node, depth: 0, &budget)
            nodes.append(node)
        }
        return nodes
    }

    package func report(_ severity: Diagnostic.Severity = .error, code: String, at place: Diagnostic.Place?, _ message: String, suggestion: String? = nil) {
        let snippet = place.flatMap(snippet)
        diagnostics.append(
            Diagnostic(severity, code: code, file: file, place: place, message: message, suggestion: suggestion, snippet: snippet))
    }

    /// The parser names where the mapping begins. In block style its keys stand in one column, and the second can be found.
    private func place(ofSecond key: String?, inMappingAt mark: Mark) -> Diagnostic.Place {
        let start = Diagnostic.Place(line: mark.line, column: mark.column)
        guard let key else { return start }
        var found = 0
        for (index, line) in lines.enumerated().dropFirst(mark.line - 1) where line.dropFirst(mark.column - 1).hasPrefix("\(key):") {
            found += 1
            if found == 2 { return Diagnostic.Place(line: index + 1, column: mark.column) }
        }
        return start
    }

    private func reportYAMLError(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            let isDeep = problem.localizedCaseInsensitiveContains("nesting level")
            let words = isDeep ? "the file is nested too deep" : "not YAML: \(problem)"
            report(code: "Y001", at: Diagnostic.Place(line: mark.line, column: mark.column), words)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map(\.escapedForDisplay).joined(separator: ", ")
            report(code: "Y002", at: place(ofSecond: duplicates.first, inMappingAt: context.mark), "key \(names) stands twice in one mapping")
        case .reader(let problem, let offset, _, _):
            report(code: "Y001", at: offset.map(place(ofByte:)), "not readable: \(problem)")
        default: report(code: "Y001", at: nil, "not YAML: \(error)")
        }
    }

    /// Bytes from the start of the text.
    func offset(of place: Diagnostic.Place) -> Int {
        let before = lines.prefix(place.line - 1).reduce(0) { $0 + $1.utf8.count + 1 }
        guard lines.indices.contains(place.line - 1) else { return before }
        return before + lines[place.line - 1].prefix(place.column - 1).utf8.count
    }

    func snippet(at place: Diagnostic.Place) -> String? { 1...lines.count ~= place.line ? String(lines[place.line - 1]) : nil }

    private func place(ofByte offset: Int) -> Diagnostic.Place {
        let before = text.utf8.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let column = offset - (before.lastIndex(of: UInt8(ascii: "\n")).map { text.utf8.distance(from: text.startIndex, to: $0) + 1 } ?? 0) + 1
        return Diagnostic.Place(line: line, column: column)
    }

    private enum Refusal: Error {
        case anchor(Diagnostic.Place?)
        case size
    }

    /// An alias is expanded where it stands, and a few of them inside one another are a bomb; so a tree is left at its first anchor, which stands
    /// before all of its aliases.
    private static func check(_ node: Node, depth: Int, _ budget: inout Int) throws(Refusal) {
        budget -= 1
        guard depth <= depthLimit, budget > 0 else { throw .size }
        guard node.anchor == nil else { throw .anchor(node.mark.map { Diagnostic.Place(line: $0.line, column: $0.column) }) }
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                try check(key, depth: depth + 1, &budget)
                try check(value, depth: depth + 1, &budget)
            }
        case .sequence(let sequence): for element in sequence { try check(element, depth: depth + 1, &budget) }
        case .scalar, .alias: break
        }
    }

    /// Where an alias of an anchor in the same text seems to stand as a key.
    private func aliasedKeyPlace() -> Diagnostic.Place? {
        guard text.utf8.contains(UInt8(ascii: "&")), text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        for (index, line) in lines.enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "{" || $0 == "," || $0 == "?" || $0 == "[" || $0 == "]" })
            for (number, word) in words.enumerated() where word.first == "*" && word.count > 1 {
                let isKey = word.last == ":" || (number + 1 < words.count && words[number + 1] == ":") || line.contains("? *")
                let name = word.dropFirst().prefix { $0 != ":" }
                if isKey, text.contains("&\(name)") { return Diagnostic.Place(line: index + 1, column: line.distance(from: line.startIndex, to: word.startIndex) + 1) }
            }
        }
        return nil
    }
}
