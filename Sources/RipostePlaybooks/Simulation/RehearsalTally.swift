package import RiposteCore
internal import Synchronization

/// Adds up what an engine writes down: the journal of a rehearsal, of which only sums are kept. It grows with the playbooks, not with the alerts.
package final class RehearsalTally: AuditLog {
    private let report: Mutex<RehearsalReport>
    /// Of the alert that is answered at the moment, what each playbook came to; nil: nobody compares.
    private let answers: Mutex<[String: [String]]?>

    package init(keepsAnswers: Bool = false) {
        report = Mutex(RehearsalReport())
        answers = Mutex(keepsAnswers ? [:] : nil)
    }

    package var current: RehearsalReport { report.withLock(\.self) }

    package func append(_ record: AuditRecord) {
        report.withLock { $0.take(record) }
        guard record.kind == .outcome || (record.kind == .run && record.outcome != nil), record.undoes == nil, let playbook = record.playbook else { return }
        let answer = [record.step, record.action, record.outcome?.rawValue, record.target?.summary].compactMap(\.self).joined(separator: " ")
        answers.withLock { $0?[playbook, default: []].append(answer) }
    }

    /// What the playbooks answered since the last call.
    package func takeAnswers() -> [String: [String]] {
        answers.withLock { answers in
            defer { if answers != nil { answers = [:] } }
            return answers ?? [:]
        }
    }

    /// Something was no alert, found no room, or came after what happened later.
    package func count(unreadable: Int = 0, turnedAway: Int = 0, late: Int = 0) {
        report.withLock { report in
            report.late += late
            report.unreadable += unreadable
            report.turnedAway += turnedAway
        }
    }
}

/// What a rehearsal came to.
package struct RehearsalReport: Sendable, Equatable {
    /// One step of one playbook.
    package struct Row: Sendable, Equatable, Hashable {
        package var playbook: String
        package var step: String
        package var action: String

        package init(playbook: String, step: String, action: String) {
            self.playbook = playbook
            self.step = step
            self.action = action
        }
    }

    /// What a playbook would have done to a target.
    package struct Act: Sendable, Equatable {
        package var time: Timestamp
        package var row: Row
        package var target: String
        package var outcome: Outcome
        package var message: String?

        package init(time: Timestamp, row: Row, target: String, outcome: Outcome, message: String? = nil) {
            self.time = time
            self.row = row
            self.target = target
            self.outcome = outcome
            self.message = message
        }
    }

    package struct TargetCount: Sendable, Equatable {
        package var target: String
        package var acts = 0
        package var heldBack = 0
    }

    package struct UndoLoad: Sendable, Equatable {
        /// Acts that were to be taken back by themselves.
        package var armed = 0
        package var takenBack = 0
        package var failed = 0
        /// The most that were waiting for it at the same time.
        package var mostAtOnce = 0
        /// Those that were still waiting at the end.
        package var open: Set<Identifier> = []
    }

    static let actLimit = 1000
    static let targetLimit = 65_536
    static let nameLimit = 256

    package var alerts = 0
    package var matched = 0
    package var repeats = 0
    package var unreadable = 0
    package var turnedAway = 0
    /// Alerts that stand after one of a later time, by more than a second.
    package var late = 0
    /// Alerts that only counted towards a threshold.
    package var belowThreshold = 0
    package var outcomes: [Row: [Outcome: Int]] = [:]
    /// Acts that were not allowed, by the class of the refusal.
    package var refusals: [FailureClass: Int] = [:]
    /// By what stepped in: a guard's title, a breaker's name.
    package var guards: [String: Int] = [:]
    package var breakers: [String: Int] = [:]
    /// Steps that an open breaker held back, by its name.
    package var heldBackBy: [String: Int] = [:]
    package var expired = 0
    package var floods = 0
    package var targets: [String: TargetCount] = [:]
    /// Some targets with one act were left out of ``targets`` for lack of room.
    package var targetsAreIncomplete = false
    package var overlaps: [String: Int] = [:]
    package var undo = UndoLoad()
    package var acts: [Act] = []
    /// Of all acts, also those that ``acts`` has no room for.
    package var actCount = 0
    package var timeline = RehearsalTimeline()

    package init() {}

    mutating func take(_ record: AuditRecord) {
        switch record.kind {
        case .alert: take(alert: record)
        case .repeat:
            alerts += 1
            repeats += 1
            timeline.count(.alert, at: record.time)
        case .outcome: record.undoes == nil ? take(outcome: record) : take(undo: record)
        case .run: if record.outcome == .refused { refuse(record) }
        case .brake: take(brake: record)
        default: break
        }
    }

    private mutating func take(alert record: AuditRecord) {
        alerts += 1
        timeline.count(.alert, at: record.time)
        if !(record.detail["counted"]?.array ?? []).isEmpty { belowThreshold += 1 }
        guard let runs = record.detail["runs"]?.array, !runs.isEmpty else { return }
        matched += 1
        guard runs.count > 1 else { return }
        Self.count(runs.compactMap { $0["playbook"]?.string?.repaired }.sorted().joined(separator: " + "), &overlaps)
    }

    private mutating func take(outcome record: AuditRecord) {
        guard let outcome = record.outcome, let playbook = record.playbook, record.detail["late"] == nil else { return }
        let row = Row(playbook: playbook, step: record.step ?? "", action: record.action ?? "")
        outcomes[row, default: [:]][outcome, default: 0] += 1
        if outcome == .expired { expired += 1 }
        if outcome == .refused { refuse(record) }
        for answer in record.detail["guards"]?["limiting"]?.array ?? [] { Self.count(Self.title(of: answer), &guards) }
        if let breaker = record.detail["held_back_by"]?.string?.repaired {
            Self.count(breaker, &heldBackBy)
            // Planned because it was not to act is no act.
            guard outcome != .planned else {
                timeline.count(.refusal, at: record.time)
                return count(record.target) { $0.heldBack += 1 }
            }
        }
        guard outcome == .done || outcome == .planned || outcome == .pending else {
            if outcome == .refused { count(record.target) { $0.heldBack += 1 } }
            return
        }
        actCount += 1
        timeline.count(.act, at: record.time)
        count(record.target) { $0.acts += 1 }
        if acts.count < Self.actLimit {
            acts.append(Act(time: record.time, row: row, target: record.target?.summary ?? "", outcome: outcome, message: record.message))
        }
        if let id = record.id, record.detail["undo"]?["due"] != nil {
            undo.armed += 1
            undo.open.insert(id)
            undo.mostAtOnce = max(undo.mostAtOnce, undo.open.count)
        }
    }

    private mutating func take(undo record: AuditRecord) {
        guard let id = record.undoes, undo.open.contains(id) else { return }
        guard let outcome = record.outcome, [.undone, .done, .already, .gone].contains(outcome) else {
            if record.outcome == .failed || record.outcome == .refused { undo.failed += 1 }
            return
        }
        undo.open.remove(id)
        undo.takenBack += 1
        timeline.count(.undo, at: record.time)
    }

    /// What is in the way says so first: "guard freeze (riposte.yaml:41): …".
    private mutating func refuse(_ record: AuditRecord) {
        timeline.count(.refusal, at: record.time)
        guard let failure = record.failure else { return }
        refusals[failure, default: 0] += 1
        if failure == .guarded, let message = record.message { Self.count(message.split(separator: ": ", maxSplits: 1).first.map(String.init) ?? message, &guards) }
    }

    private mutating func take(brake record: AuditRecord) {
        if record.detail["flood"] != nil { floods += 1 }
        if let name = record.detail["breaker"]?.string?.repaired, record.detail["state"] == "open" { Self.count(name, &breakers) }
    }

    private mutating func count(_ target: Target?, _ change: (inout TargetCount) -> Void) {
        guard let target else { return }
        if targets.count >= Self.targetLimit, targets[target.key] == nil {
            targetsAreIncomplete = true
            targets = targets.filter { $0.value.acts + $0.value.heldBack > 1 }
            // Where all have several there is no room for new ones.
            guard targets.count < Self.targetLimit else { return }
        }
        change(&targets[target.key, default: TargetCount(target: target.summary)])
    }

    private static func title(of answer: JSON) -> String {
        let name = answer["guard"]?.string?.repaired ?? ""
        return "guard \(name)" + (answer["place"]?.string.map { " (\($0.repaired))" } ?? "")
    }

    private static func count(_ name: String, _ counts: inout [String: Int]) {
        counts[counts.count < nameLimit || counts[name] != nil ? name : "others", default: 0] += 1
    }

    // MARK: - Sums

    package var rows: [(row: Row, outcomes: [Outcome: Int])] {
        outcomes.map { ($0.key, $0.value) }.sorted { ($0.0.playbook, $0.0.step, $0.0.action) < ($1.0.playbook, $1.0.step, $1.0.action) }
    }

    package func total(_ outcome: Outcome) -> Int { outcomes.values.reduce(0) { $0 + ($1[outcome] ?? 0) } }

    /// The most first, of equal ones by name.
    package static func ranked(_ counts: [String: Int]) -> [(name: String, count: Int)] {
        counts.map { ($0.key, $0.value) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    }

    package var mostAffected: [TargetCount] {
        Array(targets.values.sorted { ($1.acts + $1.heldBack, $0.target) < ($0.acts + $0.heldBack, $1.target) }.prefix(10))
    }

    package var json: JSON {
        func counts(_ counts: [String: Int]) -> JSON { .object(JSONObject(Self.ranked(counts).map { .init(key: ByteText($0.name), value: .integer(Int64($0.count))) })) }
        var object: JSONObject = [
            "alerts": .integer(Int64(alerts)), "matched": .integer(Int64(matched)), "repeats": .integer(Int64(repeats)), "unreadable": .integer(Int64(unreadable)),
            "turned_away": .integer(Int64(turnedAway)), "late": .integer(Int64(late)), "below_threshold": .integer(Int64(belowThreshold)), "floods": .integer(Int64(floods)),
        ]
        object.append("from", timeline.begin.map { .text("\($0)") })
        object.append("to", timeline.end.map { .text("\($0)") })
        object.append(
            "steps",
            .array(
                rows.map { row, outcomes in
                    let sums = outcomes.map { ($0.key.rawValue, $0.value) }.sorted { $0.0 < $1.0 }
                    return [
                        "playbook": .text(row.playbook), "step": .text(row.step), "action": .text(row.action),
                        "outcomes": .object(JSONObject(sums.map { .init(key: ByteText($0.0), value: .integer(Int64($0.1))) })),
                    ]
                }))
        object.append("refused", counts(Dictionary(uniqueKeysWithValues: refusals.map { ($0.key.rawValue, $0.value) })))
        object.append("guards", counts(guards))
        object.append("breakers_opened", counts(breakers))
        object.append("held_back_by", counts(heldBackBy))
        object.append("overlaps", counts(overlaps))
        object.append(
            "targets", .array(mostAffected.map { ["target": .text($0.target), "acts": .integer(Int64($0.acts)), "held_back": .integer(Int64($0.heldBack))] }))
        if targetsAreIncomplete { object.append("targets_incomplete", true) }
        object.append(
            "undo",
            [
                "armed": .integer(Int64(undo.armed)), "taken_back": .integer(Int64(undo.takenBack)), "failed": .integer(Int64(undo.failed)),
                "most_at_once": .integer(Int64(undo.mostAtOnce)), "open_at_end": .integer(Int64(undo.open.count)),
            ])
        object.append("acts", .integer(Int64(actCount)))
        object.append("timeline", timeline.json)
        object.append("first_acts", .array(acts.map(\.json)))
        return .object(object)
    }
}

extension RehearsalReport.Act {
    fileprivate var json: JSON {
        var object: JSONObject = [
            "ts": .text("\(time)"), "playbook": .text(row.playbook), "step": .text(row.step), "action": .text(row.action), "target": .text(target),
            "outcome": .text(outcome.rawValue),
        ]
        object.append("message", message.map(JSON.text))
        return .object(object)
    }
}
