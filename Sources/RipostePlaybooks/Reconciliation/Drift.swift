package import RiposteCore

/// The world is not as an action left it, or has something of ours that no record explains.
package struct Drift: Sendable, Equatable {
    package enum Finding: String, Sendable {
        case missing
        /// Missing since the target was started anew.
        case restarted
        case foreignChange = "foreign_change"
        case orphan
    }

    package enum State: String, Sendable {
        case found
        /// It is again as it should be: put right, by us or by others, or not wanted any more.
        case over
        /// It was put right so often that somebody must be undoing it.
        case contested
    }

    package var object: String
    package var state: State
    package var finding: Finding
    package var action: Identifier?
    package var actionName: ActionName
    package var target: Target
    package var message: String
    package var time: Timestamp
}

/// What is known to be otherwise than it should, and how often it was put right. A plain value that follows from the records.
package struct DriftBook: EngineStatePart, Equatable {
    package struct Entry: Sendable, Equatable {
        /// Nil: as it should be; only the repairs are remembered.
        package var drift: Drift?
        package var repairs: [Timestamp] = []
    }

    /// Repairs are forgotten after this at the latest; a longer window of ``ReconciliationSettings/fightWindow`` is taken as this.
    private static let memory = Duration.seconds(86400)
    private static let repairLimit = 64

    package private(set) var entries: [String: Entry] = [:]

    package init() {}

    /// What is otherwise now, oldest first.
    package var open: [Drift] { entries.values.compactMap(\.drift).sorted { ($0.time, $0.object) < ($1.time, $1.object) } }

    func drift(of object: String) -> Drift? { entries[object]?.drift }

    func repairs(of object: String, since time: Timestamp) -> Int { entries[object]?.repairs.count { $0 > time } ?? 0 }

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .drift:
            guard let drift = Drift(record) else { return }
            if drift.state == .over { return clear(drift.object, at: record.time) }
            entries[drift.object, default: Entry()].drift = drift
            // Who makes a container start again and again would use up the repairs, and be rid of us.
            if drift.finding == .restarted, drift.state == .found { entries[drift.object]?.repairs = [] }
        case .outcome:
            if let restored = record.detail["restores"]?["action"]?.string?.valid {
                // Also one that failed, or was refused: what does not help is not tried for ever.
                entries[restored, default: Entry()].repairs.append(record.time)
                if let count = entries[restored]?.repairs.count, count > Self.repairLimit { entries[restored]?.repairs.removeFirst() }
                if record.outcome == .done { clear(restored, at: record.time) }
            }
            if !record.dryRun, let undone = record.undoes, record.outcome.map({ [.undone, .done, .already, .gone].contains($0) }) ?? false { entries["\(undone)"] = nil }
        default: break
        }
    }

    private mutating func clear(_ object: String, at time: Timestamp) {
        entries[object]?.drift = nil
        for (key, entry) in entries where entry.drift == nil && !entry.repairs.contains(where: { time - $0 < Self.memory }) { entries[key] = nil }
    }

    package var json: JSON {
        .array(
            entries.sorted { $0.key < $1.key }.map { key, entry in
                var object: JSONObject = ["object": .text(key), "repairs": .array(entry.repairs.map { .text("\($0)") })]
                object.append("drift", entry.drift?.json)
                return .object(object)
            })
    }

    package init?(json: JSON) {
        guard let list = json.array else { return nil }
        for element in list {
            guard let key = element["object"]?.string?.valid, let repairs = element["repairs"]?.array else { return nil }
            entries[key] = Entry(
                drift: element["drift"].flatMap(Drift.init(json:)), repairs: repairs.compactMap { $0.string.flatMap { Timestamp($0.bytes) } })
        }
    }
}

extension Drift {
    /// As it stands in the journal.
    var record: AuditRecord {
        var record = AuditRecord(.drift, at: time, detail: ["object": .text(object), "state": .text(state.rawValue), "finding": .text(finding.rawValue)])
        record.detail.append("of", action.map { .text("\($0)") })
        record.actor = AuditRecord.Actor(.agent, name: "reconcile")
        record.action = actionName.rawValue
        record.target = target
        record.message = message
        return record
    }

    init?(_ record: AuditRecord) {
        guard let object = record.detail["object"]?.string?.valid, let state = record.detail["state"]?.string?.valid.flatMap(State.init(rawValue:)),
            let finding = record.detail["finding"]?.string?.valid.flatMap(Finding.init(rawValue:)), let name = record.action, let target = record.target
        else { return nil }
        self.init(
            object: object, state: state, finding: finding, action: record.detail["of"]?.string?.valid.flatMap { Identifier($0) },
            actionName: ActionName(rawValue: name), target: target, message: record.message ?? "", time: record.time)
    }

    package var json: JSON { .object(record.members) }

    package init?(json: JSON) {
        guard let drift = json.object.flatMap(AuditRecord.init(members:)).flatMap(Drift.init) else { return nil }
        self = drift
    }
}
