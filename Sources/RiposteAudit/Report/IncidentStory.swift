internal import RiposteCore

/// What a bundle's records tell: alerts, what was done about them, by whom, and what became of it. A value that follows from the records alone.
struct IncidentStory {
    struct Alarm {
        var seq: Int64
        var id: Identifier?
        /// When the detector says that it happened; the arrival where it does not.
        var time: Timestamp
        var alert: Alert?
        var playbooks: [String]
    }

    struct Deed {
        var id: Identifier
        var name = ""
        var target: Target?
        var playbook: String?
        var step: String?
        var actor: AuditRecord.Actor?
        var mode: Mode?
        var isDryRun = false
        var undoes: Identifier?
        var reason: String?
        var intended: (seq: Int64, time: Timestamp)?
        var ended: (seq: Int64, time: Timestamp)?
        var outcome: Outcome?
        var failure: FailureClass?
        var message: String?
        /// What guards and budgets said, as the records have it.
        var remarks: [String] = []
        var evidence = JSONObject()
        var undo: Undo?
    }

    struct Undo {
        var inverse: String
        var due: Timestamp?
        /// The deed that took it back.
        var takenBack: (id: Identifier, time: Timestamp)?
    }

    /// A person's part in it.
    struct Word {
        var seq: Int64
        var time: Timestamp
        var name: String
        var user: UInt32?
        var what: String
        var reason: String?
    }

    /// A record of another kind: the end of a run, a drift, a change of mode.
    struct Note {
        var seq: Int64
        var time: Timestamp
        var kind: String
        var text: String
    }

    private(set) var alarms: [Alarm] = []
    private(set) var deeds: [Deed] = []
    private(set) var words: [Word] = []
    private(set) var notes: [Note] = []
    private(set) var span: (from: Timestamp, to: Timestamp)?
    private(set) var host: String?

    init(_ records: [JournalEntry]) {
        var places: [Identifier: Int] = [:]
        for entry in records {
            take(entry, &places)
            let time = entry.record.time
            span = span.map { (min($0.from, time), max($0.to, time)) } ?? (time, time)
        }
        host = alarms.lazy.compactMap { $0.alert?.hostname.map { Excerpt.of($0, limit: 120) } }.first
        settleUndos(places)
    }

    /// What was acted on, in the order of the first deed.
    var targets: [(summary: String, json: JSON, deeds: [Deed])] {
        var order: [String] = []
        var groups: [String: [Deed]] = [:]
        for deed in deeds {
            guard let key = deed.target?.key else { continue }
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(deed)
        }
        return order.compactMap { key in
            guard let deeds = groups[key], let target = deeds.first?.target else { return nil }
            return (target.summary, target.json, deeds)
        }
    }

    // MARK: - Records

    private mutating func take(_ entry: JournalEntry, _ places: inout [Identifier: Int]) {
        let record = entry.record
        switch record.kind {
        case .alert: alarms.append(Alarm(entry))
        case .intent, .outcome:
            guard let id = record.id else { break }
            let place = places[id] ?? deeds.count
            if place == deeds.count { deeds.append(Deed(id: id)) }
            places[id] = place
            deeds[place].take(entry)
        default: notes.append(Note(seq: entry.seq, time: record.time, kind: record.kind.rawValue, text: Self.text(of: record)))
        }
        // The outcome of a person's own action repeats what its intent said.
        let isRepeated = record.kind == .outcome && record.id.flatMap { places[$0] }.map { deeds[$0].intended != nil } ?? false
        guard let actor = record.actor, actor.kind == .person, !isRepeated else { return }
        let what = [record.kind.rawValue, record.action, record.outcome?.rawValue].compactMap(\.self).joined(separator: " ")
        words.append(
            Word(
                seq: entry.seq, time: record.time, name: Excerpt.of(actor.name, limit: 80), user: actor.uid, what: Excerpt.of(what, limit: 120),
                reason: record.reason.map { Excerpt.of($0) }))
    }

    private static func text(of record: AuditRecord) -> String {
        let parts = [record.playbook, record.outcome?.rawValue, record.failure?.rawValue, record.message, record.reason].compactMap(\.self)
        if parts.isEmpty { return record.detail.isEmpty ? "" : Excerpt.of(.object(record.detail), limit: 200) }
        return Excerpt.of(parts.joined(separator: ": "), limit: 300)
    }

    private mutating func settleUndos(_ places: [Identifier: Int]) {
        for deed in deeds {
            guard let undone = deed.undoes.flatMap({ places[$0] }), let outcome = deed.outcome, [.undone, .already, .gone].contains(outcome), !deed.isDryRun,
                let time = deed.ended?.time
            else { continue }
            deeds[undone].undo?.takenBack = (deed.id, time)
        }
    }
}

extension IncidentStory.Alarm {
    fileprivate init(_ entry: JournalEntry) {
        let record = entry.record
        let arrival = record.detail["arrival"].flatMap(Alert.Arrival.init(json:)) ?? Alert.Arrival(intake: "", time: record.time)
        // A record without an id is none of ours, but it is shown all the same.
        let id = record.id ?? .new(at: record.time)
        if let document = record.detail["alert"], document != .null {
            alert = try? Alert(document, id: id, arrival: arrival)
        } else if let bytes = record.detail["alert_base64"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) {
            alert = try? Alert(parsing: bytes, id: id, arrival: arrival)
        }
        seq = entry.seq
        self.id = record.id
        time = alert?.time ?? record.time
        playbooks = record.detail["runs"]?.array?.compactMap { $0["playbook"]?.string.map { Excerpt.of($0, limit: 80) } } ?? []
    }
}

extension IncidentStory.Deed {
    fileprivate mutating func take(_ entry: JournalEntry) {
        let record = entry.record
        name = record.action.map { Excerpt.of($0, limit: 80) } ?? name
        target = record.target ?? target
        playbook = record.playbook ?? playbook
        step = record.step ?? step
        actor = record.actor ?? actor
        mode = record.mode ?? mode
        undoes = record.undoes ?? undoes
        reason = record.reason ?? reason
        for key in ["guards", "budget"] as [ByteText] {
            guard let remark = record.detail[key] else { continue }
            let text = "\(key.shown): \(Excerpt.of(remark, limit: 200))"
            if !remarks.contains(text) { remarks.append(text) }
        }
        guard record.kind == .outcome else {
            intended = (entry.seq, record.time)
            return
        }
        ended = (entry.seq, record.time)
        isDryRun = record.dryRun
        outcome = record.outcome
        failure = record.failure
        message = record.message
        evidence = record.detail["evidence"]?.object ?? evidence
        if let undo = record.detail["undo"], let inverse = undo["inverse"]?.string {
            self.undo = IncidentStory.Undo(inverse: Excerpt.of(inverse, limit: 80), due: undo["due"]?.string.flatMap { Timestamp($0.bytes) })
        }
    }

    /// Whether it changed the world.
    var isInEffect: Bool { outcome == .done && !isDryRun && undoes == nil }

    /// When it was first heard of.
    var time: Timestamp? { intended?.time ?? ended?.time }

    /// Who wanted it, in words.
    var by: String {
        guard let actor else { return "" }
        switch actor.kind {
        case .playbook: return "playbook " + Excerpt.of(actor.name, limit: 80) + (step.map { ", step \(Excerpt.of($0, limit: 80))" } ?? "")
        case .person: return Excerpt.of(actor.name, limit: 80) + (actor.uid.map { " (uid \($0))" } ?? "")
        case .timer: return "timer"
        case .recovery, .agent: return "the agent (\(actor.kind.rawValue))"
        }
    }

    /// How it stands with taking it back.
    var undoState: String {
        guard let undo else { return isInEffect ? "cannot be taken back" : "" }
        if let takenBack = undo.takenBack { return "taken back \(takenBack.time.clock)" }
        return "in force" + (undo.due.map { ", due back \($0.clock)" } ?? ", until somebody takes it back")
    }
}
