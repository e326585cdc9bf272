/// A place in a YAML file that moves on as the text of a scalar is read along with it. Lines and columns count from 0.
struct YAMLCursor {
    let lines: [Substring]
    var line: Int
    var column: Int

    private var current: Substring.SubSequence { lines.indices.contains(line) ? lines[line].dropFirst(column) : "" }

    mutating func nextLine() {
        line += 1
        column = 0
    }

    /// One blank of the text: here, or the line's end, behind which the next line begins after its indentation.
    mutating func skipOneBlank(between quote: Character?) {
        if let first = current.first, first.isWhitespace { column += 1 } else if quote == "\"", takeEscape() {} else { _ = skipBlanks() }
    }

    /// To the next character that is none; false at the file's end.
    mutating func skipBlanks() -> Bool {
        while lines.indices.contains(line) {
            let blanks = current.prefix(while: \.isWhitespace).count
            column += blanks
            if !current.isEmpty { return true }
            nextLine()
        }
        return false
    }

    /// The character itself, or what stands for it between quotes: `''` between single ones, an escape between double ones. False where
    /// something else stands here.
    mutating func take(_ character: Character, between quote: Character?) -> Bool {
        guard let first = current.first else { return false }
        if first == character, first != "\\" || quote != "\"" {
            column += quote == "'" && character == "'" ? 2 : 1
            return true
        }
        return quote == "\"" && takeEscape()
    }

    private mutating func takeEscape() -> Bool {
        guard current.first == "\\" else { return false }
        let digits = ["x": 2, "u": 4, "U": 8][current.dropFirst().first.map(String.init) ?? ""] ?? 0
        column += 2 + digits
        return true
    }
}
