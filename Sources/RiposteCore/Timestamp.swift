#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A moment of wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, the unit of Falco's `evt.time`.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    package static func + (left: Timestamp, right: Duration) -> Timestamp {
        let (sum, overflowed) = left.nanoseconds.addingReportingOverflow(right.wholeNanoseconds)
        return Timestamp(nanoseconds: overflowed ? (right < .zero ? .min : .max) : sum)
    }

    /// The time from `right` to `left`, negative where `left` is the earlier one. What is further apart than 292 years is held there: an alert may name any
    /// number as a time, and one that came round would pass for near.
    package static func - (left: Timestamp, right: Timestamp) -> Duration {
        let (difference, overflowed) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return .nanoseconds(overflowed ? (left < right ? .min : .max) : difference)
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339, UTC, nine decimals: `2026-11-23T17:38:14.438967994Z`.
    package var description: String {
        let (seconds, fraction) = nanoseconds.flooredQuotientAndRemainder(by: 1_000_000_000)
        let (days, secondOfDay) = seconds.flooredQuotientAndRemainder(by: 86400)
        let (year, month, day) = civilDate(fromDays: days)
        // Each record and each alert has some of these: digits are put in place, no text is joined.
        return String(unsafeUninitializedCapacity: 30) { bytes in
            var place = 0
            func put(_ value: Int64, _ digits: Int, _ end: Unicode.Scalar) {
                var rest = value
                for index in stride(from: place + digits - 1, through: place, by: -1) {
                    bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                bytes[place + digits] = UInt8(ascii: end)
                place += digits + 1
            }
            put(year, 4, "-")
            put(month, 2, "-")
            put(day, 2, "T")
            put(secondOfDay / 3600, 2, ":")
            put(secondOfDay / 60 % 60, 2, ":")
            put(secondOfDay % 60, 2, ".")
            put(fraction, 9, "Z")
            return place
        }
    }
}

extension Timestamp {
    /// Reads RFC 3339 and ISO 8601 as Falco and falcosidekick write them: any number of decimals, none too, `Z`, `+00:00` or `+0000`.
    package init?(_ text: some StringProtocol) { self.init(Array(text.utf8)) }

    package init?(_ text: [UInt8]) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"), let day = reader.number(2),
            reader.take("T") || reader.take("t") || reader.take(" "),
            let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.take(":"), let second = reader.number(2),
            1...12 ~= month, 1...31 ~= day, hour < 24, minute < 60, second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if reader.take(".") || reader.take(",") {
            guard let value = reader.fraction() else { return nil }
            fraction = value
        }
        var offset: Int64 = 0
        if !reader.take("Z"), !reader.take("z") {
            let isNegative = reader.take("-")
            guard isNegative || reader.take("+"), let hours = reader.number(2) else { return nil }
            _ = reader.take(":")
            guard let minutes = reader.number(2), hours < 24, minutes < 60 else { return nil }
            offset = (hours * 60 + minutes) * 60 * (isNegative ? -1 : 1)
        }
        // A civil date that does not survive the way to a day number and back is no date: 2026-02-30.
        let days = dayNumber(year: year, month: month, day: day)
        guard reader.isAtEnd, civilDate(fromDays: days) == (year, month, day) else { return nil }
        let seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
        guard let nanoseconds = Self.nanoseconds(seconds, fraction) else { return nil }
        self.init(nanoseconds: nanoseconds)
    }

    /// Nil where the sum does not fit: before 1677-09-21T00:12:43.145224192Z and after 2262-04-11T23:47:16.854775807Z.
    private static func nanoseconds(_ seconds: Int64, _ fraction: Int64) -> Int64? {
        // Of a moment before 1970 the seconds count from the end of its second: the first ones of all would not fit without their fraction.
        let (whole, part) = seconds < 0 ? (seconds + 1, fraction - 1_000_000_000) : (seconds, fraction)
        let (scaled, overflowed) = whole.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowedToo) = scaled.addingReportingOverflow(part)
        return overflowed || overflowedToo ? nil : sum
    }
}

extension Duration {
    /// This duration in nanoseconds, held at the ends of `Int64` (292 years).
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflowed) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowedToo) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed || overflowedToo ? (seconds < 0 ? .min : .max) : sum
    }

    package var wholeMicroseconds: Int64 { wholeNanoseconds / 1000 }
}

// MARK: - Calendar

/// Days since 1970-01-01 of a proleptic Gregorian date, by counting years from March, so that the leap day is the last.
private func dayNumber(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let (era, yearOfEra) = shiftedYear.flooredQuotientAndRemainder(by: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468
}

private func civilDate(fromDays days: Int64) -> (Int64, Int64, Int64) {
    let (era, dayOfEra) = (days + 719468).flooredQuotientAndRemainder(by: 146097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
}

extension Int64 {
    fileprivate func flooredQuotientAndRemainder(by divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

private struct DigitReader {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) { self.text = text }

    var isAtEnd: Bool { position == text.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int64? {
        guard position + width <= text.count else { return nil }
        var value: Int64 = 0
        for _ in 0..<width {
            let digit = text[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int64(digit)
            position += 1
        }
        return value
    }

    /// Decimals as nanoseconds; what is finer than that is cut.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var digits = 0
        while position < text.count, case let digit = text[position] &- UInt8(ascii: "0"), digit < 10 {
            if digits < 9 { value = value * 10 + Int64(digit) }
            digits += 1
            position += 1
        }
        guard digits > 0 else { return nil }
        for _ in Swift.min(digits, 9)..<9 { value *= 10 }
        return value
    }
}
