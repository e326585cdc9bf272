internal import RiposteCore

extension TextFormat {
    /// Escaped, and cut with `…` where it would be longer than a receiver takes; never in the middle of an escape. Counted in UTF-16 code units as chats
    /// do, unless told otherwise.
    func escaped(_ value: ByteText, atMost limit: Int, in length: (String) -> Int = { $0.utf16.count }) -> String {
        // No escape is shorter than what it stands for: of a value from whoever attacks no more is looked at than can fit.
        if value.bytes.count <= 4 * limit, case let whole = escaped(value), length(whole) <= limit { return whole }
        let scalars = Array((value.valid ?? value.shown).unicodeScalars.prefix(limit))
        func cut(_ count: Int) -> String {
            var text = String.UnicodeScalarView()
            text.append(contentsOf: scalars.prefix(count))
            return escaped(ByteText(String(text))) + "…"
        }
        var (fits, fails) = (0, scalars.count + 1)
        while fails - fits > 1 {
            let middle = (fits + fails) / 2
            if length(cut(middle)) <= limit { fits = middle } else { fails = middle }
        }
        return cut(fits)
    }
}

extension String {
    /// Cut with `…` to so many UTF-16 code units. By scalars: a single character may be as long as a book.
    func cut(to limit: Int) -> String {
        guard utf16.count > limit else { return self }
        var (result, length) = (String.UnicodeScalarView(), 1)
        for scalar in unicodeScalars {
            length += UTF16.width(scalar)
            guard length <= limit else { break }
            result.append(scalar)
        }
        return String(result) + "…"
    }
}
