internal import RiposteCore

/// The lists of a set of files, each with the lists in it written out.
final class ListTable {
    /// Of one list with the lists in it, and of everything written out, in bytes. A few lists that hold one another twice would be without end.
    private static let limits = (list: 16 << 20, all: 64 << 20)
    private static let depthLimit = 64

    private let lists: [String: RulesCollection.List]
    private var texts: [String: SourcedText] = [:]
    private var open: Set<String> = []
    private(set) var used: Set<String> = []
    private var written = 0
    /// The list that could not be written out, and why. There is no going on then, and all lists are empty.
    private(set) var problem: (name: String, list: RulesCollection.List, message: String)?

    init(_ collection: RulesCollection) {
        lists = collection.lists
        // In this order lists mostly hold earlier ones, which then are written out already.
        for (name, _) in lists.sorted(by: { $0.value.position.first < $1.value.position.first }) { _ = items(of: name) }
    }

    /// A text with lists in the place of their names.
    func substituted(in text: SourcedText) -> SourcedText {
        guard !lists.isEmpty else { return text }
        return text.substitutingLists { name in
            guard lists[name] != nil else { return nil }
            used.insert(name)
            guard problem == nil else { return SourcedText() }
            guard let items = items(of: name) else { return nil }
            count(items, name)
            return items
        }
    }

    /// Names of lists that stand as words in quoted texts, and where: they become the items there too, which nobody means who puts them in quotes.
    func namesInQuotes(of text: [UInt8]) -> [(name: String, offset: Int)] {
        guard !lists.isEmpty else { return [] }
        var names: [(name: String, offset: Int)] = []
        var quotes = QuoteState()
        var position = 0
        while position < text.count {
            let end = text[position].delimitsWords ? position + 1 : text[position...].firstIndex(where: \.delimitsWords) ?? text.count
            let word = text[position..<end]
            if quotes.isInside {
                let name = String(decoding: word, as: UTF8.self)
                if lists[name] != nil { names.append((name, position)) }
            }
            for byte in word { quotes.take(byte) }
            position = end
        }
        return names
    }

    /// What is said of such a name.
    static func warning(ofQuoted name: String) -> String {
        "\"\(name)\" is a list, whose items take its place in this quoted text too; rename the list if the word is meant"
    }

    private func count(_ items: SourcedText, _ name: String) {
        written += items.cost
        if written > Self.limits.all { refuse(name, "with lists written out, the conditions are larger than \(Self.limits.all >> 20) MiB") }
    }

    private func refuse(_ name: String, _ message: String) {
        guard problem == nil, let list = lists[name] else { return }
        problem = (name, list, message)
    }

    /// The same of a text that stands in no file.
    func substituted(in text: String) -> String {
        guard !lists.isEmpty else { return text }
        var result: [UInt8] = []
        var word: [UInt8] = []
        for byte in Array(text.utf8) + [UInt8(ascii: " ")] {
            guard byte.delimitsWords else {
                word.append(byte)
                continue
            }
            let name = String(decoding: word, as: UTF8.self)
            if lists[name] != nil {
                used.insert(name)
                result += items(of: name)?.bytes ?? word
            } else {
                result += word
            }
            result.append(byte)
            word = []
        }
        return String(decoding: result.dropLast(), as: UTF8.self)
    }

    /// The items joined by commas. The name of a list that holds itself stays there as text.
    private func items(of name: String) -> SourcedText? {
        if let known = texts[name] { return known }
        guard problem == nil, let list = lists[name], open.insert(name).inserted else { return nil }
        defer { open.remove(name) }
        guard open.count <= Self.depthLimit else {
            refuse(name, "lists are nested deeper than \(Self.depthLimit) levels")
            return nil
        }
        var result = SourcedText()
        for item in list.items {
            let text = item.scalarText ?? ""
            var inner: SourcedText?
            if lists[text] != nil, text != name {
                used.insert(text)
                inner = items(of: text)
                if inner?.bytes.isEmpty ?? false { continue }
            }
            let part = inner ?? SourcedText(quotedIfNeeded: item)
            guard result.cost + part.cost < Self.limits.list else {
                refuse(name, "with the lists in it, the list is larger than \(Self.limits.list >> 20) MiB")
                return nil
            }
            if !result.bytes.isEmpty { result.append(", ", for: item) }
            result.append(part)
        }
        count(result, name)
        texts[name] = result
        return result
    }
}

/// Whether a byte of a condition stands in a quoted text.
private struct QuoteState {
    private var quote: UInt8?
    private var isEscaped = false

    var isInside: Bool { quote != nil }

    mutating func take(_ byte: UInt8) {
        if isEscaped {
            isEscaped = false
        } else if let open = quote {
            if byte == open { quote = nil }
            isEscaped = byte == UInt8(ascii: "\\")
        } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
            quote = byte
        }
    }
}

extension SourcedText {
    /// As Falco puts items into conditions: one with a blank gets quotes unless it begins with one.
    init(quotedIfNeeded node: YAMLNode) {
        let text = node.scalarText ?? ""
        let needsQuotes = text.utf8.contains(where: \.isBlank) && text.utf8.first != UInt8(ascii: "\"") && text.utf8.first != UInt8(ascii: "'")
        self.init()
        if needsQuotes || text.isEmpty { append("\"", for: node) }
        append(SourcedText(node))
        if needsQuotes || text.isEmpty { append("\"", for: node) }
    }
}
