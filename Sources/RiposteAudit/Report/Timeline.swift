internal import RiposteCore

/// Everything that happened, one after the other, and where it goes in a drawing.
struct Timeline {
    enum Lane: String, CaseIterable {
        case alert, intent, outcome, undo, other

        var title: String {
            switch self {
            case .alert: "Alerts"
            case .intent: "Intents"
            case .outcome: "Outcomes"
            case .undo: "Taken back"
            case .other: "Other"
            }
        }
    }

    struct Event {
        var seq: Int64
        var time: Timestamp
        var lane: Lane
        /// How it looks: an outcome's name, a priority's, the lane's.
        var look: String
        var text: String
    }

    let events: [Event]

    init(_ story: IncidentStory) {
        var events = story.alarms.map { alarm in
            Event(
                seq: alarm.seq, time: alarm.time, lane: .alert, look: "alert",
                text: alarm.alert.map { "\($0.priority.name): \(Excerpt.of($0.rule, limit: 160))" } ?? "an alert that cannot be read")
        }
        for deed in story.deeds {
            let what = [deed.name, deed.target?.summary].compactMap(\.self).joined(separator: " ")
            if let intended = deed.intended { events.append(Event(seq: intended.seq, time: intended.time, lane: .intent, look: "intent", text: what)) }
            guard let ended = deed.ended, let outcome = deed.outcome else { continue }
            let message = deed.message.map { " · \(Excerpt.of($0, limit: 160))" } ?? ""
            events.append(
                Event(
                    seq: ended.seq, time: ended.time, lane: deed.undoes == nil ? .outcome : .undo, look: outcome.rawValue,
                    text: "\(what): \(outcome.rawValue)\(deed.isDryRun ? " (dry run)" : "")\(message)"))
        }
        events += story.notes.map { Event(seq: $0.seq, time: $0.time, lane: .other, look: "other", text: $0.text.isEmpty ? $0.kind : "\($0.kind): \($0.text)") }
        self.events = events.sorted { ($0.time, $0.seq) < ($1.time, $1.seq) }
    }
}

/// Puts moments on a line so that milliseconds and hours are both to be seen: the width between two neighbours grows with the logarithm of the time
/// between them. What comes later stands further right; how long it took must be read, and is written there.
struct TimeScale {
    private let times: [Timestamp]
    private let places: [Double]

    init(_ times: [Timestamp], width: Double) {
        self.times = Array(Set(times)).sorted()
        var sums: [Double] = [0]
        for (left, right) in zip(self.times, self.times.dropFirst()) {
            let milliseconds = Double((right - left).wholeNanoseconds) / 1_000_000
            sums.append((sums.last ?? 0) + Self.width(of: milliseconds))
        }
        let total = sums.last ?? 0
        places = sums.map { total > 0 ? $0 / total * width : width / 2 }
    }

    /// 1 for each factor of ten over a tenth of a millisecond, and a little so that no two stand on each other.
    private static func width(of milliseconds: Double) -> Double {
        var decades = 0.3
        var rest = milliseconds * 10
        while rest >= 10 {
            decades += 1
            rest /= 10
        }
        return decades + max(0, rest - 1) / 9
    }

    func place(_ time: Timestamp) -> Double {
        // Binary search: the last moment that is not after it.
        var (low, high) = (0, times.count)
        while low < high {
            let middle = (low + high) / 2
            if times[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return places[max(0, low - 1)]
    }

    /// Moments with room for a label, as the time since the first.
    func ticks(apart: Double) -> [(place: Double, time: Timestamp)] {
        var ticks: [(place: Double, time: Timestamp)] = []
        for (time, place) in zip(times, places) where ticks.last.map({ place - $0.place >= apart }) ?? true { ticks.append((place, time)) }
        return ticks
    }
}

extension Duration {
    /// With one unit and three digits at most: `420 µs`, `1.8 s`, `31 m`.
    var brief: String {
        let microseconds = Double(wholeNanoseconds) / 1000
        let units: [(String, Double)] = [("d", 86400e6), ("h", 3600e6), ("m", 60e6), ("s", 1e6), ("ms", 1e3)]
        for (unit, length) in units where abs(microseconds) >= length {
            let value = microseconds / length
            let tenths = Int((value * 10).rounded())
            return value >= 10 || tenths % 10 == 0 ? "\(Int(value.rounded())) \(unit)" : "\(tenths / 10).\(abs(tenths) % 10) \(unit)"
        }
        return "\(Int(microseconds.rounded())) µs"
    }
}
