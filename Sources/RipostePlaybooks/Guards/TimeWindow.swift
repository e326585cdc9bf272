internal import Foundation
package import RiposteCore

/// A time of the week, in some time zone: `Fri 16:00 - Mon 08:00`, `Mon - Fri 09:00 - 17:00`, `22:00 - 06:00`, `Sat - Sun`.
///
/// The end is not part of it. A window of times ends on the next day where its end is not after its begin.
package struct TimeWindow: Sendable, Equatable {
    package let text: String
    /// Minutes of the week, Monday 00:00 being 0; may run past the week's end.
    private let spans: [Range<Int>]
    private let zone: TimeZone

    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let day = 24 * 60
    private static let week = 7 * day

    package struct Invalid: Error, Equatable { package let message: String }

    /// `zone`: a name of the time zone database.
    package init(_ text: String, zone name: String) throws(Invalid) {
        guard let zone = TimeZone(identifier: name) else { throw Invalid(message: "there is no time zone \"\(name.escapedForDisplay)\"; write one such as Europe/Berlin") }
        self.zone = zone
        self.text = name == "UTC" ? text : "\(text) \(name)"
        let words = text.split { $0 == " " || $0 == "-" }.map(String.init)
        let kinds = words.map { word in Self.days.contains(word) ? "d" : Self.minute(word) != nil ? "t" : "?" }.joined()
        func day(_ index: Int) -> Int { Self.days.firstIndex(of: words[index]) ?? 0 }
        func minute(_ index: Int) -> Int { Self.minute(words[index]) ?? 0 }
        guard text.contains("-") else { throw Self.misspelt(text) }
        switch kinds {
        case "dtdt": spans = [Self.span(day(0) * Self.day + minute(1), day(2) * Self.day + minute(3), Self.week)]
        case "dd": spans = [Self.span(day(0) * Self.day, (day(1) + 1) * Self.day, Self.week)]
        case "ddtt": spans = Self.everyDay(from: day(0), to: day(1), minute(2), minute(3))
        case "dtt": spans = Self.everyDay(from: day(0), to: day(0), minute(1), minute(2))
        case "tt": spans = Self.everyDay(from: 0, to: 6, minute(0), minute(1))
        default: throw Self.misspelt(text)
        }
    }

    private static func misspelt(_ text: String) -> Invalid {
        Invalid(message: "\"\(text.escapedForDisplay)\" is no time window; write \"Fri 16:00 - Mon 08:00\", \"Mon - Fri 09:00 - 17:00\", \"22:00 - 06:00\" or \"Sat - Sun\"")
    }

    /// `HH:MM`, up to 24:00.
    private static func minute(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { 0x30...0x39 ~= $0 } }), let hour = Int(parts[0]), let minute = Int(parts[1]),
            minute < 60, hour < 24 || (hour == 24 && minute == 0)
        else { return nil }
        return hour * 60 + minute
    }

    /// From begin to end, around the corner where the end is not after the begin.
    private static func span(_ begin: Int, _ end: Int, _ around: Int) -> Range<Int> { begin..<(end > begin ? end : end + around) }

    private static func everyDay(from first: Int, to last: Int, _ begin: Int, _ end: Int) -> [Range<Int>] {
        let count = (last - first + 7) % 7 + 1
        return (0..<count).map { offset in
            let start = (first + offset) % 7 * day
            return span(start + begin, start + end, day)
        }
    }

    package func contains(_ time: Timestamp) -> Bool {
        let seconds = Int((Double(time.nanoseconds) / 1e9).rounded(.down))
        let local = seconds + zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(seconds)))
        // 1970-01-01 was a Thursday.
        let minutes = Int((Double(local) / 60).rounded(.down)) + 3 * Self.day
        let minute = (minutes % Self.week + Self.week) % Self.week
        return spans.contains { $0.contains(minute) || $0.contains(minute + Self.week) }
    }
}
