package import RiposteCore

/// How far each playbook's roll-out has come, and how often persons said that a playbook was wrong.
///
/// A false positive is a run that a person denied, whose deeds a person took back, or whose alert a person called benign; a run counts once.
package struct Rollouts: EngineStatePart {
    package struct Counts: Sendable, Equatable {
        package var runs = 0
        package var faults: [Rollout.Fault: Int] = [:]

        package subscript(fault: Rollout.Fault) -> Int {
            fault == .falsePositives ? falsePositives : faults[fault, default: 0]
        }

        package var falsePositives: Int { [.denied, .undoneByHand, .benign].reduce(0) { $0 + faults[$1, default: 0] } }

        fileprivate mutating func count(_ fault: Rollout.Fault, _ difference: Int = 1) {
            let count = max(0, faults[fault, default: 0] + difference)
            faults[fault] = count > 0 ? count : nil
        }
    }

    package struct Track: Sendable, Equatable {
        /// The stages that ``stage`` is one of.
        package var definition: String?
        package var stage = 0
        package var since: Timestamp?
        package var inStage = Counts()
        package var total = Counts()
    }

    /// An action that is in force: whose it is, and what takes it back.
    fileprivate struct Act: Sendable, Equatable {
        var run: Identifier
        var playbook: String
        var inverse: String
        var target: String
    }

    fileprivate struct Run: Sendable, Equatable {
        var id: Identifier
        var playbook: String
    }

    fileprivate struct Judgement: Sendable, Equatable {
        var fault: Rollout.Fault
        /// When the stage began in which it was counted; a stage that was entered since knows nothing of it.
        var stageSince: Timestamp?
    }

    private static let playbookLimit = 4096
    private static let memory = 8192

    package private(set) var tracks: [String: Track] = [:]
    /// Alerts that were answered, newest last: what can be marked.
    private var answered = Recent<Identifier, [Run]>(limit: memory)
    private var acts = Recent<Identifier, Act>(limit: memory)
    /// What each run that was found wrong counts as.
    private var judged = Recent<Identifier, Judgement>(limit: memory)

    package init() {}

    package func isKnown(_ alert: Identifier) -> Bool { answered[alert] != nil }

    /// The playbooks that answered an alert.
    package func playbooks(for alert: Identifier) -> [String] { answered[alert]?.map(\.playbook) ?? [] }

    package func track(of playbook: String) -> Track { tracks[playbook] ?? Track() }

    // MARK: - Records

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .alert: admit(record)
        case .run: if record.outcome == nil, !record.isRunLeft, let playbook = record.playbook { change(playbook) { $0.runs += 1 } }
        case .brake: if let playbook = record.playbook, record.opensBreaker(of: playbook) { change(playbook) { $0.count(.breaker) } }
        case .outcome: settle(record)
        case .rollout: move(record)
        default: break
        }
    }

    private mutating func admit(_ record: AuditRecord) {
        guard let id = record.id else { return }
        let runs = record.detail["runs"]?.array?.compactMap { run in
            run.identifier("run").flatMap { id in run.text("playbook").map { Run(id: id, playbook: $0) } }
        }
        if let runs, !runs.isEmpty { answered.insert(runs, for: id) }
    }

    private mutating func settle(_ record: AuditRecord) {
        guard !record.dryRun, let outcome = record.outcome else { return }
        if let undoes = record.undoes {
            if outcome == .undone || outcome == .done || outcome == .already || outcome == .gone { takenBack(undoes, by: record.doer) }
        } else {
            // One no settles a question of many plans, each of a run of its own.
            if record.failure == .declined, let run = record.run { judge(run, record.playbook, .denied) }
            if outcome == .done { closeActs(takenBackBy: record) }
            // Also what was done in part, or may have been.
            if let id = record.id, let run = record.run, let playbook = record.playbook, let inverse = record.detail["undo"]?.text("inverse"), let target = record.target {
                acts.insert(Act(run: run, playbook: playbook, inverse: inverse, target: target.key), for: id)
            }
        }
    }

    private mutating func takenBack(_ action: Identifier, by actor: AuditRecord.Actor?) {
        guard let act = acts.remove(action), actor?.kind == .person else { return }
        judge(act.run, act.playbook, .undoneByHand)
    }

    /// A release by hand is an undo by hand, also where it does not say of what.
    private mutating func closeActs(takenBackBy record: AuditRecord) {
        guard let doer = record.doer, doer.kind == .person, let action = record.action, let target = record.target?.key else { return }
        for (id, act) in acts.entries where act.inverse == action && act.target == target { takenBack(id, by: doer) }
    }

    private mutating func judge(_ run: Identifier, _ playbook: String?, _ fault: Rollout.Fault) {
        guard let playbook, judged[run] == nil else { return }
        judged.insert(Judgement(fault: fault, stageSince: tracks[playbook]?.since), for: run)
        change(playbook) { $0.count(fault) }
    }

    private mutating func move(_ record: AuditRecord) {
        if record.detail.text("state") == "marked" { return mark(record) }
        guard let playbook = record.playbook, let stage = record.detail["stage"]?.integer.flatMap({ Int(exactly: $0) }) else { return }
        var track = tracks[playbook] ?? Track()
        track.definition = record.detail.text("stages")
        track.stage = stage
        track.since = record.time
        track.inStage = Counts()
        put(track, playbook)
    }

    private mutating func mark(_ record: AuditRecord) {
        guard let alert = record.alert, let runs = answered[alert] else { return }
        for run in runs {
            if record.detail.text("verdict") == "benign" {
                judge(run.id, run.playbook, .benign)
            } else if let judgement = judged[run.id], judgement.fault == .benign {
                judged.remove(run.id)
                takeBack(judgement, of: run.playbook)
            }
        }
    }

    private mutating func takeBack(_ judgement: Judgement, of playbook: String) {
        var track = tracks[playbook] ?? Track()
        if track.since == judgement.stageSince { track.inStage.count(judgement.fault, -1) }
        track.total.count(judgement.fault, -1)
        put(track, playbook)
    }

    private mutating func change(_ playbook: String, _ body: (inout Counts) -> Void) {
        var track = tracks[playbook] ?? Track()
        body(&track.inStage)
        body(&track.total)
        put(track, playbook)
    }

    private mutating func put(_ track: Track, _ playbook: String) {
        tracks[playbook] = track
        // Names come from files and not from alerts; what is forgotten first is one without stages, and of those the one with the fewest runs.
        guard tracks.count > Self.playbookLimit else { return }
        let least = tracks.min { left, right in
            let (a, b) = (left.value, right.value)
            return (a.definition == nil ? 0 : 1, a.total.runs, left.key) < (b.definition == nil ? 0 : 1, b.total.runs, right.key)
        }
        if let least { tracks[least.key] = nil }
    }
}

// MARK: - Questions

extension Rollouts {
    /// What the roll-out says about a step of this playbook.
    struct StageVoice: Sendable {
        var mode: Mode
        var because: String
        /// In hundredths of a percent, with the mode of all other targets.
        var share: (hundredths: Int, beside: Mode)?
    }

    /// Where the playbook stands. One that nobody has written down yet, or whose stages were changed, is in its first stage.
    package func index(of playbook: String, _ rollout: Rollout) -> Int {
        guard let track = tracks[playbook], track.definition == rollout.definition, rollout.stages.indices.contains(track.stage) else { return 0 }
        return isThrownBack(playbook, rollout) == nil ? track.stage : rollout.retreat(from: track.stage)
    }

    func stage(of playbook: Playbook) -> StageVoice? {
        guard let rollout = playbook.rollout else { return nil }
        let index = index(of: playbook.name, rollout)
        let stage = rollout.stages[index]
        let because = "its roll-out is in stage \(index + 1) of \(rollout.stages.count), \(stage.mode.rawValue)"
        let share = stage.share.flatMap { $0 < 10_000 ? ($0, rollout.modeBeside(index)) : nil }
        return StageVoice(mode: stage.mode, because: because, share: share)
    }

    /// The first rule of `back_on` that is broken.
    package func isThrownBack(_ playbook: String, _ rollout: Rollout) -> Rollout.Retreat? {
        guard let track = tracks[playbook], track.definition == rollout.definition, track.stage > 0, rollout.stages.indices.contains(track.stage) else { return nil }
        return rollout.backOn.first { track.inStage[$0.fault] > $0.above }
    }

    /// What stands in the way of the next stage, in words; empty: nothing does. `due`: when the last of what only takes time is over.
    package func obstacles(_ playbook: String, _ rollout: Rollout, at now: Timestamp) -> (texts: [String], due: Timestamp?) {
        let index = index(of: playbook, rollout)
        guard index + 1 < rollout.stages.count else { return (["it is in its last stage"], nil) }
        guard let track = tracks[playbook], track.definition == rollout.definition, let since = track.since else { return (["its roll-out has not begun"], nil) }
        let stage = rollout.stages[index]
        var texts: [String] = []
        let length = max(stage.length ?? .zero, rollout.stages[index + 1].after ?? .zero)
        let due = since + length
        if now < due { texts.append("stage \(index + 1) must last \(length.text), until \(due)") }
        if let least = stage.minimumRuns, track.inStage.runs < least { texts.append("\(track.inStage.runs) of \(least) runs in stage \(index + 1)") }
        let denied = track.inStage[.denied]
        if let most = stage.maximumDenied, denied * 10_000 > most * track.inStage.runs {
            texts.append("\(denied) of \(track.inStage.runs) runs in stage \(index + 1) were denied, more than \(Rollout.percent(most))")
        }
        return (texts, due)
    }
}

// MARK: - Snapshot

extension Rollouts {
    package var json: JSON {
        [
            "tracks": .array(tracks.sorted { $0.key < $1.key }.map { $1.json(of: $0) }),
            "answered": .array(
                answered.entries.map { entry in
                    ["alert": .text("\(entry.key)"), "runs": .array(entry.value.map { ["run": .text("\($0.id)"), "playbook": .text($0.playbook)] })] as JSON
                }),
            "acts": .array(
                acts.entries.map { entry in
                    [
                        "action_id": .text("\(entry.key)"), "run": .text("\(entry.value.run)"), "playbook": .text(entry.value.playbook),
                        "inverse": .text(entry.value.inverse), "target": .text(entry.value.target),
                    ] as JSON
                }),
            "judged": .array(
                judged.entries.map { entry in
                    var object: JSONObject = ["run": .text("\(entry.key)"), "as": .text(entry.value.fault.rawValue)]
                    object.append("stage_since", entry.value.stageSince.map { .text("\($0)") })
                    return .object(object)
                }),
        ]
    }

    package init?(json: JSON) {
        guard let tracks = json["tracks"]?.array, let answered = json["answered"]?.array, let acts = json["acts"]?.array, let judged = json["judged"]?.array
        else { return nil }
        for entry in tracks {
            guard let name = entry.text("playbook"), let track = Track(json: entry) else { return nil }
            self.tracks[name] = track
        }
        for entry in answered {
            guard let alert = entry.identifier("alert"), let runs = entry["runs"]?.array else { return nil }
            self.answered.insert(
                runs.compactMap { run in run.identifier("run").flatMap { id in run.text("playbook").map { Run(id: id, playbook: $0) } } }, for: alert)
        }
        for entry in acts {
            guard let id = entry.identifier("action_id"), let run = entry.identifier("run"), let playbook = entry.text("playbook"),
                let inverse = entry.text("inverse"), let target = entry.text("target")
            else { return nil }
            self.acts.insert(Act(run: run, playbook: playbook, inverse: inverse, target: target), for: id)
        }
        for entry in judged {
            guard let run = entry.identifier("run"), let fault = entry.text("as").flatMap(Rollout.Fault.init(rawValue:)) else { return nil }
            self.judged.insert(Judgement(fault: fault, stageSince: entry.time("stage_since")), for: run)
        }
    }
}

extension Rollouts.Track {
    fileprivate func json(of playbook: String) -> JSON {
        var object: JSONObject = ["playbook": .text(playbook), "stage": .integer(Int64(stage)), "in_stage": inStage.json, "total": total.json]
        object.append("stages", definition.map(JSON.text))
        object.append("since", since.map { .text("\($0)") })
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let stage = json.number("stage"), let inStage = json["in_stage"].flatMap(Rollouts.Counts.init(json:)),
            let total = json["total"].flatMap(Rollouts.Counts.init(json:))
        else { return nil }
        self.init(definition: json.text("stages"), stage: stage, since: json.time("since"), inStage: inStage, total: total)
    }
}

extension Rollouts.Counts {
    package var json: JSON {
        var object: JSONObject = ["runs": .integer(Int64(runs))]
        for fault in Rollout.Fault.allCases { object.append(ByteText(fault.rawValue), faults[fault].map { .integer(Int64($0)) }) }
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let runs = json.number("runs") else { return nil }
        self.init(runs: runs)
        for fault in Rollout.Fault.allCases { faults[fault] = json.number(ByteText(fault.rawValue)) }
    }
}

extension AuditRecord {
    /// The breaker of the playbook's own budget, or of that of one of its steps. One of the agent's may have been spent by others.
    fileprivate func opensBreaker(of playbook: String) -> Bool { detail.text("state") == "open" && detail.text("breaker") == Breakers.name(ofPlaybook: playbook) }

    /// The end of a run that was not carried on, and proves nothing of its playbook.
    private static let runLeft: ByteText = "not_carried_on"

    var isRunLeft: Bool {
        get { kind == .run && detail[Self.runLeft]?.bool == true }
        set { detail[Self.runLeft] = newValue ? true : nil }
    }
}
