internal import RiposteCore

extension JSON {
    /// Reads JSON whose parts were written by different hands: in an audit event the body of a patch stands as the client sent it. The API
    /// server takes bodies with keys that stand twice, and deeper ones than ``JSON/init(parsing:)`` does; were they refused here, one such
    /// patch would hide itself and the batch it came in.
    ///
    /// Of a key that stands twice the last counts, as for the API server. What is nested too deeply stays, as the text that it was.
    init(forgiving text: [UInt8]) throws(KubernetesAuditError) {
        self = try ForgivingReader(text: text).value(text.startIndex..<text.endIndex, depth: 0)
    }
}

/// Reads strictly what can be read strictly, and of a value that cannot each part by itself.
private struct ForgivingReader {
    let text: [UInt8]

    func value(_ range: Range<Int>, depth: Int) throws(KubernetesAuditError) -> JSON {
        do throws(JSONError) { return try JSON(parsing: text[range]) } catch {
            let placed = KubernetesAuditError(problem: "not JSON: \(error.problem)", offset: error.offset + range.lowerBound)
            guard var parts = JSONParts(of: text, range) else { throw placed }
            guard depth < JSON.depthLimit else { return .string(ByteText(Array(text[parts.whole]))) }
            let value: JSON
            do throws(KubernetesAuditError) { value = parts.areMembers ? try object(&parts, placed, depth) : try array(&parts, depth) } catch {
                throw parts.areBalanced ? error : placed
            }
            guard parts.areBalanced else { throw placed }
            return value
        }
    }

    private func array(_ parts: inout JSONParts, _ depth: Int) throws(KubernetesAuditError) -> JSON {
        var elements: [JSON] = []
        while let part = parts.next() { elements.append(try value(part.value, depth: depth + 1)) }
        return .array(elements)
    }

    private func object(_ parts: inout JSONParts, _ problem: KubernetesAuditError, _ depth: Int) throws(KubernetesAuditError) -> JSON {
        var object = JSONObject()
        var places: [ByteText: Int] = [:]
        while let part = parts.next() {
            guard let keyRange = part.key, let name = try? JSON(parsing: text[keyRange]), case .string(let key) = name else { throw problem }
            let value = try value(part.value, depth: depth + 1)
            if let place = places[key] {
                object.members[place].value = value
            } else {
                places[key] = object.members.count
                object.append(key, value)
            }
        }
        return .object(object)
    }
}

/// The parts of an object or array, by its brackets, commas and quotes alone. What is between them may be anything.
private struct JSONParts {
    struct Part {
        var key: Range<Int>?
        let value: Range<Int>
    }

    /// With its brackets.
    let whole: Range<Int>
    let areMembers: Bool
    private(set) var areBalanced = true
    private let text: [UInt8]
    private var position: Int
    private var isAtEnd: Bool

    /// Nil where it is neither.
    init?(of text: [UInt8], _ range: Range<Int>) {
        guard let first = text[range].firstIndex(where: { !$0.isJSONBlank }), let last = text[range].lastIndex(where: { !$0.isJSONBlank }), first < last else {
            return nil
        }
        switch (text[first], text[last]) {
        case (UInt8(ascii: "{"), UInt8(ascii: "}")): areMembers = true
        case (UInt8(ascii: "["), UInt8(ascii: "]")): areMembers = false
        default: return nil
        }
        self.text = text
        whole = first..<(last + 1)
        position = first + 1
        isAtEnd = text[position..<last].allSatisfy(\.isJSONBlank)
    }

    mutating func next() -> Part? {
        guard !isAtEnd else { return nil }
        let (start, end) = (position, whole.upperBound - 1)
        var (colon, depth, isInText) = (Int?.none, 0, false)
        while position < end {
            let byte = text[position]
            if isInText {
                if byte == UInt8(ascii: "\\") { position += 1 } else if byte == UInt8(ascii: "\"") { isInText = false }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInText = true
                case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
                case UInt8(ascii: "]"), UInt8(ascii: "}"):
                    depth -= 1
                    if depth < 0 { areBalanced = false }
                case UInt8(ascii: ":") where depth == 0 && colon == nil: colon = position
                case UInt8(ascii: ",") where depth == 0:
                    defer { position += 1 }
                    return part(start, colon, position)
                default: break
                }
            }
            position += 1
        }
        isAtEnd = true
        return part(start, colon, end)
    }

    private func part(_ start: Int, _ colon: Int?, _ end: Int) -> Part {
        guard areMembers, let colon else { return Part(key: nil, value: start..<end) }
        return Part(key: start..<colon, value: (colon + 1)..<end)
    }
}

extension UInt8 {
    fileprivate var isJSONBlank: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}
