package import RiposteCore

/// The same alerts through two sets of playbooks: which runs come, go, or end otherwise.
package struct RehearsalComparison: Sendable, Equatable {
    package enum Change: String, Sendable { case appears, vanishes, changes }

    package struct Example: Sendable, Equatable {
        package var time: Timestamp
        package var rule: String
        package var playbook: String
        package var change: Change
        package var before: [String]
        package var after: [String]
    }

    static let exampleLimit = 100

    package private(set) var counts: [String: [Change: Int]] = [:]
    package private(set) var examples: [Example] = []

    package init() {}

    /// What both sets answered to one alert, by playbook.
    package mutating func take(_ alert: Alert, before: [String: [String]], after: [String: [String]]) {
        for playbook in Set(before.keys).union(after.keys).sorted() {
            let change: Change
            switch (before[playbook], after[playbook]) {
            case (nil, _?): change = .appears
            case (_?, nil): change = .vanishes
            case (let old, let new): if old == new { continue } else { change = .changes }
            }
            counts[playbook, default: [:]][change, default: 0] += 1
            guard examples.count < Self.exampleLimit else { continue }
            examples.append(
                Example(time: alert.time, rule: alert.rule.repaired, playbook: playbook, change: change, before: before[playbook] ?? [], after: after[playbook] ?? []))
        }
    }

    package var rows: [(playbook: String, counts: [Change: Int])] { counts.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 } }

    package var json: JSON {
        let rows = rows.map { row -> JSON in
            var object: JSONObject = ["playbook": .text(row.playbook)]
            for change in [Change.appears, .vanishes, .changes] { object.append(ByteText(change.rawValue), .integer(Int64(row.counts[change] ?? 0))) }
            return .object(object)
        }
        let examples = examples.map { example -> JSON in
            [
                "ts": .text("\(example.time)"), "rule": .text(example.rule), "playbook": .text(example.playbook), "change": .text(example.change.rawValue),
                "before": .array(example.before.map(JSON.text)), "after": .array(example.after.map(JSON.text)),
            ]
        }
        return ["playbooks": .array(rows), "examples": .array(examples)]
    }
}
