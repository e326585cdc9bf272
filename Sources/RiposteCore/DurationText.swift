/// Durations as they are written in files and on the command line: `250ms`, `10s`, `5m`, `2h`, `7d`, `1h30m`.
extension Duration {
    private static let units: [(suffix: String, nanoseconds: Int64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1),
    ]

    /// Nil where the text is no such duration, or longer than 292 years.
    package init?(text: some StringProtocol) {
        var total: Int64 = 0
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let suffix = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(suffix.count)
            guard let count = Int64(digits), let unit = Self.units.first(where: { $0.suffix == suffix }) else { return nil }
            let (scaled, overflowed) = count.multipliedReportingOverflow(by: unit.nanoseconds)
            let (sum, overflowedToo) = total.addingReportingOverflow(scaled)
            guard !overflowed, !overflowedToo else { return nil }
            total = sum
        }
        self = .nanoseconds(total)
    }

    /// The same text that ``init(text:)`` reads, largest units first: `1h30m`.
    package var text: String {
        var rest = wholeNanoseconds
        guard rest > 0 else { return rest == 0 ? "0s" : "-\((Duration.zero - self).text)" }
        var result = ""
        for unit in Self.units where rest >= unit.nanoseconds {
            result += "\(rest / unit.nanoseconds)\(unit.suffix)"
            rest %= unit.nanoseconds
        }
        return result
    }
}
