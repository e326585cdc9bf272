internal import RiposteCore

/// Falco's transformers: functions from values to values. Nil is an absent value.
enum Transformers {
    static func apply(_ name: Condition.Transform.Name, _ values: [FieldValue], selector: String?) -> FieldValue? {
        guard let first = values.first else { return nil }
        switch name {
        case .tolower: return .text(first.bytes.map(\.asciiLowercased))
        case .toupper: return .text(first.bytes.map(\.asciiUppercased))
        case .b64: return decodeBase64(first.bytes).map(FieldValue.text)
        case .basename: return .text(Array(first.bytes.suffix(while: { $0 != UInt8(ascii: "/") })))
        case .len:
            if case .list(let elements) = first { return .integer(Int64(elements.count)) }
            return .integer(Int64(first.bytes.count))
        case .concat: return .text(values.flatMap(\.bytes))
        case .join:
            guard values.count == 2 else { return nil }
            guard case .list(let elements) = values[1] else { return .text(values[1].bytes) }
            return .text(Array(elements.map(\.bytes).joined(separator: first.bytes)))
        case .getopt:
            guard values.count == 2, case .list(let words) = first else { return nil }
            let options = parseOptions(words.map(\.bytes), values[1].bytes)
            guard let selector else { return .list(options.flatMap { [.text([$0.letter]), .text($0.value ?? [])] }) }
            return options.last { [$0.letter] == Array(selector.utf8) }.map { .text($0.value ?? [$0.letter]) }
        }
    }

    /// Padding may be missing; nil where a character is no base 64.
    private static func decodeBase64(_ text: [UInt8]) -> [UInt8]? {
        let symbols = text.prefix { $0 != UInt8(ascii: "=") }
        guard symbols.count % 4 != 1 else { return nil }
        let padded = symbols + Array(repeating: UInt8(ascii: "="), count: (4 - symbols.count % 4) % 4)
        return [UInt8](base64: String(decoding: padded, as: UTF8.self))
    }

    /// getopt(3) without permutation: stops at `--` and at the first word that is no option; long options are passed over.
    private static func parseOptions(_ words: [[UInt8]], _ known: [UInt8]) -> [(letter: UInt8, value: [UInt8]?)] {
        var result: [(UInt8, [UInt8]?)] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.count > 1, word[0] == UInt8(ascii: "-"), word != Array("--".utf8) else { break }
            if word[1] == UInt8(ascii: "-") { continue }
            var place = 1
            while place < word.count {
                let letter = word[place]
                place += 1
                guard let at = known.firstIndex(of: letter), letter != UInt8(ascii: ":") else {
                    result.append((UInt8(ascii: "?"), nil))
                    continue
                }
                guard at + 1 < known.count, known[at + 1] == UInt8(ascii: ":") else {
                    result.append((letter, nil))
                    continue
                }
                if place < word.count {
                    result.append((letter, Array(word[place...])))
                } else if index < words.count {
                    result.append((letter, words[index]))
                    index += 1
                } else {
                    result.append((letter, []))
                }
                break
            }
        }
        return result.map { (letter: $0.0, value: $0.1) }
    }
}

extension [UInt8] {
    /// The longest end of which all bytes pass.
    fileprivate func suffix(while passes: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        self[(lastIndex { !passes($0) }.map { $0 + 1 } ?? startIndex)...]
    }
}
