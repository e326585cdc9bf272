package import RiposteCore

/// Alerts that playbooks with a threshold have counted and not answered yet.
package struct Tallies: EngineStatePart {
    package struct Entry: Sendable, Equatable {
        package var alert: Identifier
        package var time: Timestamp
    }

    private static let limit = 16384

    private var entries = Recent<String, [Entry]>(limit: limit)

    package init() {}

    /// What was counted under this name within the time before `time`, oldest first.
    func counted(_ key: String, within: Duration, of time: Timestamp) -> [Entry] { entries[key]?.filter { (time - $0.time).magnitude <= within } ?? [] }

    package mutating func apply(_ record: AuditRecord) {
        guard record.kind == .alert, let alert = record.id else { return }
        for counted in record.detail["counted"]?.array ?? [] {
            guard let key = counted.text("key"), let time = counted.time("time"), let within = counted.text("within").flatMap({ Duration(text: $0) }) else { continue }
            // One that comes late, or says a time ahead, ends no count of others: only what is too old for both its time and that of its arrival is over.
            let now = min(time, record.time)
            let kept = entries[key]?.filter { now - $0.time <= within } ?? []
            entries.insert((kept + [Entry(alert: alert, time: time)]).suffix(Threshold.countLimit), for: key)
        }
        // A run begins the count anew.
        for run in record.detail["runs"]?.array ?? [] { if let key = run.text("tally") { entries.remove(key) } }
    }

    package var json: JSON {
        .array(
            entries.entries.map { entry in
                [
                    "key": .text(entry.key), "alerts": .array(entry.value.map { ["alert": .text("\($0.alert)"), "time": .text("\($0.time)")] }),
                ] as JSON
            })
    }

    package init?(json: JSON) {
        guard let keys = json.array else { return nil }
        for entry in keys {
            guard let key = entry.text("key"), let alerts = entry["alerts"]?.array else { return nil }
            entries.insert(
                alerts.compactMap { alert in alert.identifier("alert").flatMap { id in alert.time("time").map { Entry(alert: id, time: $0) } } }, for: key)
        }
    }
}
