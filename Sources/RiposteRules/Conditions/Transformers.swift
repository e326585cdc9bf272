internal import RiposteCore

/// Falco's transformers: functions from values to values, which are made in an arena. Absent arguments give an absent value.
enum Transformers {
    static func apply(_ name: Condition.Transform.Name, _ values: [FieldView], selector: [UInt8]?, _ arena: FieldArena) -> FieldView {
        guard let first = values.first, !values.contains(where: \.isAbsent) else { return .absent }
        if case .list(let elements) = first, name == .tolower || name == .toupper || name == .b64 || name == .basename {
            return arena.list(elements.map { apply(name, [$0], selector: nil, arena) }.filter { !$0.isAbsent })
        }
        switch name {
        case .tolower: return mapped(first, arena) { $0.asciiLowercased }
        case .toupper: return mapped(first, arena) { $0.asciiUppercased }
        case .b64: return decodeBase64(text(first, arena), arena)
        case .basename:
            let text = text(first, arena)
            guard let slash = text.lastIndex(of: UInt8(ascii: "/")) else { return .text(text) }
            return .text(UnsafeRawBufferPointer(rebasing: text[(slash + 1)...]))
        case .len:
            if case .list(let elements) = first { return .integer(Int64(elements.count)) }
            return .integer(Int64(text(first, arena).count))
        case .concat: return arena.joined(values, separator: [])
        case .join:
            guard values.count == 2, case .list(let elements) = values[1] else { return values.count == 2 ? .text(text(values[1], arena)) : .absent }
            return arena.joined(elements, separator: text(first, arena))
        case .getopt: return options(values, selector, arena)
        }
    }

    /// The bytes of a value as text, made where it is none.
    static func text(_ value: FieldView, _ arena: FieldArena) -> UnsafeRawBufferPointer {
        if case .text(let text) = value { return text }
        var bytes: [UInt8] = []
        value.append(to: &bytes)
        guard case .text(let text) = arena.text(bytes) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return text
    }

    private static func mapped(_ value: FieldView, _ arena: FieldArena, _ change: (UInt8) -> UInt8) -> FieldView {
        let text = text(value, arena)
        let memory = arena.allocate(bytes: text.count, alignment: 1)
        for index in 0..<text.count { memory[index] = change(text[index]) }
        return .text(UnsafeRawBufferPointer(memory))
    }

    /// Padding may be missing; absent where a character is no base 64.
    private static func decodeBase64(_ text: UnsafeRawBufferPointer, _ arena: FieldArena) -> FieldView {
        let symbols = text.prefix { $0 != UInt8(ascii: "=") }
        guard symbols.count % 4 != 1 else { return .absent }
        let memory = arena.allocate(bytes: symbols.count * 3 / 4, alignment: 1)
        var (bits, held, written): (UInt32, UInt32, Int) = (0, 0, 0)
        for symbol in symbols {
            guard let value = sixBits(symbol) else { return .absent }
            bits = bits << 6 | value
            held += 6
            guard held >= 8 else { continue }
            held -= 8
            memory[written] = UInt8(truncatingIfNeeded: bits >> held)
            written += 1
        }
        return .text(UnsafeRawBufferPointer(rebasing: memory[..<written]))
    }

    private static func sixBits(_ symbol: UInt8) -> UInt32? {
        switch symbol {
        case 0x41...0x5A: UInt32(symbol) - 0x41
        case 0x61...0x7A: UInt32(symbol) - 0x61 + 26
        case 0x30...0x39: UInt32(symbol) - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    private static func options(_ values: [FieldView], _ selector: [UInt8]?, _ arena: FieldArena) -> FieldView {
        guard values.count == 2, case .list(let words) = values[0] else { return .absent }
        let options = parseOptions(words.map { Array(text($0, arena)) }, Array(text(values[1], arena)))
        guard let selector else { return arena.list(options.flatMap { [arena.text([$0.letter]), arena.text($0.value ?? [])] }) }
        return options.last { [$0.letter] == selector }.map { arena.text($0.value ?? [$0.letter]) } ?? .absent
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
