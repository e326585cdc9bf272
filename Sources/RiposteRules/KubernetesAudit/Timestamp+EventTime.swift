#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif
internal import RiposteCore

/// The spellings of an event's time (spec: rules-language.md 7). All but the last are in local time.
extension Timestamp {
    /// `11:22:33.123456789`, or without decimals.
    func localClock(decimals: Bool) -> String {
        let time = localTime
        let clock = [time.tm_hour, time.tm_min, time.tm_sec].map { Self.digits($0, 2) }.joined(separator: ":")
        return decimals ? "\(clock).\(Self.digits(nanosecond, 9))" : clock
    }

    /// `2026-03-04 11:22:33.123456789`, or without decimals.
    func localDateAndClock(decimals: Bool) -> String {
        let time = localTime
        return "\(Self.digits(time.tm_year + 1900, 4))-\(Self.digits(time.tm_mon + 1, 2))-\(Self.digits(time.tm_mday, 2)) \(localClock(decimals: decimals))"
    }

    /// `2026-03-04T11:22:33.123456789+0000`.
    var iso8601: String { "\(description.dropLast())+0000" }

    var wholeSeconds: Int64 { (nanoseconds - nanosecond) / 1_000_000_000 }

    /// Within its second.
    var nanosecond: Int64 {
        let rest = nanoseconds % 1_000_000_000
        return rest < 0 ? rest + 1_000_000_000 : rest
    }

    private var localTime: tm {
        var (seconds, result) = (time_t(wholeSeconds), tm())
        localtime_r(&seconds, &result)
        return result
    }

    private static func digits(_ value: some BinaryInteger, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
