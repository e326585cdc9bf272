internal import RiposteCore
internal import RiposteRules

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// The fields of `evt.*` that are about time.
extension SensorEvent {
    private static let second: Int64 = 1_000_000_000
    private static let millisecond: UInt64 = 1_000_000

    func timeValue(_ known: EventValueField, _ field: EventField, _ arena: FieldArena) -> FieldView {
        let raw = time.nanoseconds
        let relative = raw &- firstTime.nanoseconds
        let delta = previousTime.map { raw &- $0.nanoseconds } ?? 0
        return switch known {
        case .rawTime: .integer(raw)
        case .rawTimeSeconds: .integer(raw / Self.second)
        case .rawTimeNanoseconds: .integer(raw % Self.second)
        case .relativeTime: .integer(relative)
        case .relativeSeconds: .integer(relative / Self.second)
        case .relativeNanoseconds: .integer(relative % Self.second)
        case .delta: .integer(delta)
        case .deltaSeconds: .integer(delta / Self.second)
        case .deltaNanoseconds: .integer(delta % Self.second)
        case .around: distance(field)
        case .time: clock(arena, date: false, fraction: true, isUTC: false)
        case .timeSeconds: clock(arena, date: false, fraction: false, isUTC: false)
        case .dateTime: clock(arena, date: true, fraction: true, isUTC: false)
        case .dateTimeSeconds: clock(arena, date: true, fraction: false, isUTC: false)
        case .timeISO: clock(arena, date: true, fraction: true, isUTC: true)
        default: .absent
        }
    }

    /// Milliseconds between the event and the time in the argument, begun ones counted whole: `evt.around[T]<=D` is what it is for.
    private func distance(_ field: EventField) -> FieldView {
        var other: Int64 = 0
        switch field.argument {
        case .none: return .absent
        case .index(let number): other = Int64(number)
        case .key(let digits):
            for digit in digits {
                guard 0x30...0x39 ~= digit else { return .absent }
                other = other &* 10 &+ Int64(digit - 0x30)
            }
        }
        let distance = (time.nanoseconds > other ? time.nanoseconds &- other : other &- time.nanoseconds).magnitude
        return .integer(Int64(clamping: distance / Self.millisecond + (distance % Self.millisecond == 0 ? 0 : 1)))
    }

    /// `11:22:33.123456789`, `2026-03-04 11:22:33.123456789`; in UTC `2026-03-04T11:22:33.123456789+0000`.
    private func clock(_ arena: FieldArena, date: Bool, fraction: Bool, isUTC: Bool) -> FieldView {
        var text = ArenaText(arena, capacity: 48)
        Self.write(time, to: &text, date: date, fraction: fraction, isUTC: isUTC)
        return text.view
    }

    static func write(_ time: Timestamp, to text: inout ArenaText, date: Bool, fraction: Bool, isUTC: Bool) {
        let (seconds, rest) = time.nanoseconds.quotientAndRemainder(dividingBy: second)
        var moment = time_t(rest < 0 ? seconds - 1 : seconds)
        var parts = tm()
        if isUTC { gmtime_r(&moment, &parts) } else { localtime_r(&moment, &parts) }
        func append(_ number: Int32, digits: Int = 2) { text.append(UInt64(number.magnitude), radix: 10, minimumDigits: digits) }
        if date {
            append(parts.tm_year + 1900, digits: 4)
            text.append("-")
            append(parts.tm_mon + 1)
            text.append("-")
            append(parts.tm_mday)
            text.append(isUTC ? "T" : " ")
        }
        append(parts.tm_hour)
        text.append(":")
        append(parts.tm_min)
        text.append(":")
        append(parts.tm_sec)
        if fraction {
            text.append(".")
            text.append(UInt64(rest < 0 ? rest + second : rest), radix: 10, minimumDigits: 9)
        }
        if isUTC { text.append("+0000") }
    }
}
