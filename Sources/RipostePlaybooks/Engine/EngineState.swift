package import RiposteCore

/// What must survive the agent's death, as replaying the journal gives it: what can be taken back and when, what was begun and not
/// finished, who is cooling down, what was spent.
///
/// A plain value that takes records and nothing else: no clock, no I/O. The engine feeds it each record that it writes, a
/// restart feeds it the journal; both come to the same state.
package struct EngineState: Sendable, Equatable {
    /// An intent whose outcome is not known: the agent ended in between, or is at it now.
    package struct OpenIntent: Sendable, Equatable {
        package var record: AuditRecord
    }

    /// A run that was accepted and has not come to its end.
    package struct OpenRun: Sendable, Equatable {
        package var id: Identifier
        package var playbook: String
        package var alert: Identifier
        /// Of the playbook as it was when it took the alert; nil: the record does not say (journals of before).
        package var digest: String?
        /// Steps that have an outcome, by name.
        package var settled: [String: StepFacts]
        /// How often an agent was started since.
        package var restarts = 0
        /// The intent of one of its steps is on record, whatever became of that.
        package var hasBegun = false
    }

    package internal(set) var openUndos: [Identifier: OpenUndo] = [:]
    package private(set) var openIntents: [Identifier: OpenIntent] = [:]
    /// Intents of deeds that have an outcome and have not come back: they may still be carried out.
    package private(set) var hanging: [Identifier: OpenIntent] = [:]
    package private(set) var openRuns: [Identifier: OpenRun] = [:]
    /// The records of alerts that open runs are about, with the number of those runs.
    package private(set) var alerts: [Identifier: (record: AuditRecord, openRuns: Int)] = [:]
    /// When a playbook last acted, by playbook and cool-down key.
    package private(set) var lastActed: [CooldownKey: Timestamp] = [:]
    /// What budgets are held against.
    package internal(set) var ledger = BudgetLedger()
    package internal(set) var breakers = Breakers()
    /// Actions that were taken back, newest last, so that asking again gets an answer that helps.
    package internal(set) var takenBack: [Identifier] = []
    package internal(set) var pardons = Pardons()
    package internal(set) var drifts = DriftBook()
    /// What people are asked.
    package internal(set) var approvals = ApprovalBook()
    package internal(set) var modes = ModeTable()
    package internal(set) var widenings = Widenings()
    package internal(set) var rollouts = Rollouts()
    package internal(set) var facts = ToldFacts()
    package internal(set) var tallies = Tallies()
    package internal(set) var incidents = IncidentBook()

    package struct CooldownKey: Hashable, Sendable {
        package var playbook: String
        package var values: [ByteText]

        init(playbook: String, values: [ByteText]) {
            self.playbook = playbook
            self.values = values
        }

        /// Nil: the outcome begins none.
        init?(begunBy record: AuditRecord) {
            guard !record.dryRun, let playbook = record.playbook, record.undoes == nil, let values = record.detail["cooldown"]?.array?.compactMap(\.string) else { return nil }
            self.init(playbook: playbook, values: values)
        }
    }

    static let takenBackLimit = 4096
    private static let cooldownLimit = 65536

    package init() {}

    package static func == (left: EngineState, right: EngineState) -> Bool { left.json == right.json }

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .alert: admit(record)
        case .intent:
            if let id = record.id { openIntents[id] = OpenIntent(record: record) }
            if let run = record.run { openRuns[run]?.hasBegun = true }
        case .outcome: settle(record)
        case .run: if let run = record.id { close(run) }
        case .start: if record.actor?.name == "agent" { for run in openRuns.keys { openRuns[run]?.restarts += 1 } }
        case .approval: wait(for: record)
        default: break
        }
        Self.parts.forEach { $0.apply(record, &self) }
        // A hold may have been taken back by other ways than its own undo.
        if record.kind == .outcome { approvals.forgetHolds(exceptThose: { openUndos[$0] != nil }) }
    }

    // MARK: - Transitions

    private mutating func admit(_ record: AuditRecord) {
        guard let alert = record.id, let runs = record.detail["runs"]?.array, !runs.isEmpty else { return }
        for run in runs {
            guard let id = run["run"]?.string?.valid.flatMap({ Identifier($0) }), let playbook = run["playbook"]?.string?.valid else { continue }
            openRuns[id] = OpenRun(id: id, playbook: playbook, alert: alert, digest: run["digest"]?.string?.valid, settled: [:])
            alerts[alert] = (record, (alerts[alert]?.openRuns ?? 0) + 1)
        }
    }

    private mutating func settle(_ record: AuditRecord) {
        guard let id = record.id, let outcome = record.outcome else { return }
        // Of a deed that comes back late its first outcome has taken the intent away.
        let intent = openIntents.removeValue(forKey: id) ?? hanging[id]
        if record.detail["late"]?.bool == true {
            hanging[id] = nil
            // Only that it has come back: what was said first stands.
            if outcome == .failed, record.detail["undo"] == nil { return }
        } else if record.detail["hanging"]?.bool == true, outcome == .failed {
            hanging[id] = intent
        }
        // What nobody knows is not settled: a restart does the step again. What cannot be taken back, and may have been done, is not done twice, nor is what would be another deed.
        if let run = record.run, let step = record.step {
            let isDoneOnce = record.detail["done_once"]?.bool == true || record.mayHaveActed && record.detail["undo"] == nil
            openRuns[run]?.settled[step] = record.failure == .unknown && !isDoneOnce ? nil : StepFacts(record, intent: intent?.record)
        }
        guard !record.dryRun else { return }
        beginCooldown(record, intent: intent?.record)
        settleUndos(record, outcome, intent: intent?.record)
    }

    /// From the question on the step waits, whatever happens before its outcome `pending` is on record: it is not asked a second time.
    private mutating func wait(for record: AuditRecord) {
        guard record.approvalState == .requested || record.approvalState == .joined, let run = record.run, let step = record.step else { return }
        openRuns[run]?.settled[step] = StepFacts(.pending)
    }

    private mutating func close(_ run: Identifier) {
        guard let open = openRuns.removeValue(forKey: run), let entry = alerts[open.alert] else { return }
        alerts[open.alert] = entry.openRuns > 1 ? (entry.record, entry.openRuns - 1) : nil
    }

    /// After an act, and after what may have been one: its outcome says so. Of one whose outcome was found out after a restart the time of the deed counts.
    private mutating func beginCooldown(_ record: AuditRecord, intent: AuditRecord?) {
        guard let key = CooldownKey(begunBy: record) else { return }
        let time = record.actor?.kind == .recovery ? intent?.time ?? record.time : record.time
        lastActed[key] = max(time, lastActed[key] ?? time)
        if lastActed.count > Self.cooldownLimit { forgetOldCooldowns(now: record.time) }
    }

    /// Keeps the newer half: an attacker who makes up a million container ids must not grow this table, nor lift a cool-down of this minute.
    private mutating func forgetOldCooldowns(now: Timestamp) {
        let median = lastActed.values.sorted()[lastActed.count / 2]
        lastActed = lastActed.filter { $0.value >= median }
    }
}

// MARK: - Parts

/// A chapter of the state that follows from the journal alone: what is asked and not answered, which brakes are on. A plain value: no clock, no I/O.
package protocol EngineStatePart: Sendable {
    init()

    mutating func apply(_ record: AuditRecord)

    /// For the snapshot beside the journal; ``init(json:)`` reads it back, or gives nil where it is no such thing: then the journal is replayed.
    var json: JSON { get }

    init?(json: JSON)
}

extension EngineState {
    /// A part by its name in the snapshot.
    struct PartAccess: Sendable {
        let name: ByteText
        let apply: @Sendable (AuditRecord, inout EngineState) -> Void
        let json: @Sendable (EngineState) -> JSON
        /// False where the JSON is not that of such a part.
        let load: @Sendable (JSON, inout EngineState) -> Bool

        init<Part: EngineStatePart>(_ name: ByteText, _ path: any WritableKeyPath<EngineState, Part> & Sendable) {
            self.name = name
            apply = { record, state in state[keyPath: path].apply(record) }
            json = { state in state[keyPath: path].json }
            load = { json, state in
                guard let part = Part(json: json) else { return false }
                state[keyPath: path] = part
                return true
            }
        }
    }

    /// Every part; what is not listed here is neither fed nor kept.
    static let parts: [PartAccess] = [
        PartAccess("ledger", \.ledger), PartAccess("breakers", \.breakers), PartAccess("approvals", \.approvals), PartAccess("modes", \.modes),
        PartAccess("rollouts", \.rollouts), PartAccess("facts", \.facts), PartAccess("tallies", \.tallies), PartAccess("incidents", \.incidents),
        PartAccess("pardons", \.pardons), PartAccess("drifts", \.drifts), PartAccess("widenings", \.widenings),
    ]
}

// MARK: - Snapshot

extension EngineState {
    /// The state as JSON, so that a start need not read the whole journal: the records from which it follows.
    package var json: JSONObject {
        func identifier(_ id: Identifier) -> JSON { .text("\(id)") }
        var object: JSONObject = [
            "undos": .array(openUndos.values.sorted { $0.action < $1.action }.map(\.json)),
            "intents": .array(openIntents.sorted { $0.key < $1.key }.map { .object($0.value.record.members) }),
            "hanging": .array(hanging.sorted { $0.key < $1.key }.map { .object($0.value.record.members) }),
            "runs": .array(openRuns.values.sorted { $0.id < $1.id }.map(\.json)),
            "alerts": .array(alerts.sorted { $0.key < $1.key }.map { .object($0.value.record.members) }),
            "cooldowns": .array(
                lastActed.map { key, time in
                    ["playbook": .text(key.playbook), "values": .array(key.values.map(JSON.string)), "time": .text("\(time)")] as JSON
                }.sorted { $0.line < $1.line }),
            "taken_back": .array(takenBack.map(identifier)),
        ]
        for part in Self.parts { object.append(part.name, part.json(self)) }
        return object
    }

    /// Nil where it is not such a snapshot: then the journal is replayed.
    package init?(json: JSONObject) {
        self.init()
        guard let undos = json["undos"]?.array, let intents = json["intents"]?.array, let hanging = json["hanging"]?.array, let runs = json["runs"]?.array,
            let alertRecords = json["alerts"]?.array, let cooldowns = json["cooldowns"]?.array,
            let takenBack = json["taken_back"]?.array
        else { return nil }
        for undo in undos.compactMap(OpenUndo.init(json:)) { openUndos[undo.action] = undo }
        for record in intents.compactMap({ $0.object.flatMap(AuditRecord.init(members:)) }) {
            if let id = record.id { openIntents[id] = OpenIntent(record: record) }
        }
        for record in hanging.compactMap({ $0.object.flatMap(AuditRecord.init(members:)) }) {
            if let id = record.id { self.hanging[id] = OpenIntent(record: record) }
        }
        for run in runs.compactMap(OpenRun.init(json:)) { openRuns[run.id] = run }
        for record in alertRecords.compactMap({ $0.object.flatMap(AuditRecord.init(members:)) }) {
            if let id = record.id { alerts[id] = (record, openRuns.values.count { $0.alert == id }) }
        }
        for entry in cooldowns {
            guard let playbook = entry["playbook"]?.string?.valid, let values = entry["values"]?.array?.compactMap(\.string),
                let time = entry["time"]?.string.flatMap({ Timestamp($0.bytes) })
            else { return nil }
            lastActed[CooldownKey(playbook: playbook, values: values)] = time
        }
        for part in Self.parts {
            guard let json = json[part.name], part.load(json, &self) else { return nil }
        }
        self.takenBack = takenBack.compactMap { $0.string?.valid.flatMap { Identifier($0) } }
        guard openUndos.count == undos.count, openIntents.count == intents.count, self.hanging.count == hanging.count, openRuns.count == runs.count else { return nil }
    }
}

extension EngineState.OpenRun {
    fileprivate var json: JSON {
        var object: JSONObject = [
            "run": .text("\(id)"), "playbook": .text(playbook), "alert": .text("\(alert)"),
            "settled": .object(
                JSONObject(settled.sorted { $0.key < $1.key }.map { .init(key: ByteText($0.key), value: $0.value.json) })),
            "restarts": .integer(Int64(restarts)),
        ]
        object.append("digest", digest.map(JSON.text))
        if hasBegun { object.append("has_begun", true) }
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let id = json["run"]?.string?.valid.flatMap({ Identifier($0) }), let playbook = json["playbook"]?.string?.valid,
            let alert = json["alert"]?.string?.valid.flatMap({ Identifier($0) }), let settled = json["settled"]?.object
        else { return nil }
        let outcomes = settled.members.compactMap { member in
            StepFacts(json: member.value).map { (member.key.repaired, $0) }
        }
        self.init(
            id: id, playbook: playbook, alert: alert, digest: json["digest"]?.string?.valid, settled: Dictionary(outcomes, uniquingKeysWith: { $1 }),
            restarts: Int(json["restarts"]?.integer ?? 0), hasBegun: json["has_begun"]?.bool ?? false)
    }
}
