package import RiposteCore

/// How records open, prolong and close what can be taken back.
extension EngineState {
    mutating func settleUndos(_ record: AuditRecord, _ outcome: Outcome, intent: AuditRecord?) {
        if let restored = record.detail["restores"] { return refresh(restored, outcome) }
        if outcome == .done || record.detail["undo"] != nil { openUndo(record, intent: intent) }
        if let prolongs = record.detail["prolongs"] { prolong(prolongs) }
        if let undoes = record.undoes { closeUndo(undoes, outcome: outcome, by: record, intent: intent) }
        guard record.undoes == nil else { return }
        if outcome == .done || outcome == .already && record.actor?.kind == .person { closeUndos(takenBackBy: record) }
    }

    /// The open undo of this name, or of the act that took its place.
    package func openUndo(of action: Identifier) -> OpenUndo? {
        openUndos[action] ?? openUndos.values.first { $0.absorbed.contains(action) }
    }

    /// What stands of this kind on this target.
    func openUndo(of name: ActionName, on key: String) -> OpenUndo? {
        openUndos.values.filter { $0.actionName == name && $0.target.key == key }.max { ($0.since, $0.action) < ($1.since, $1.action) }
    }

    private mutating func openUndo(_ record: AuditRecord, intent: AuditRecord?) {
        guard let id = record.id, let name = record.action, let target = record.target, let undo = record.detail["undo"],
            let inverse = undo["inverse"]?.string?.valid
        else { return }
        let plan = intent?.detail["plan"] ?? record.detail["plan"]
        var open = OpenUndo(
            action: id, actionName: ActionName(rawValue: name), inverse: ActionName(rawValue: inverse), target: target,
            parameters: plan?["parameters"]?.object ?? JSONObject(), token: undo["token"]?.object, due: undo["due"]?.string.flatMap { Timestamp($0.bytes) },
            playbook: record.playbook, alert: record.alert, incident: record.incident, actor: intent?.actor ?? record.actor, since: record.time)
        open.workload = (intent?.detail["spends"] ?? record.detail["spends"])?["workload"]?.text("name")
        // One and the same state of the world is taken back once: by the newest, when the last time is up.
        for older in openUndos.values.filter({ $0.actionName == open.actionName && $0.target.key == target.key && $0.action != id }).sorted(by: { $0.action < $1.action }) {
            open.absorb(older)
            openUndos[older.action] = nil
        }
        if let known = openUndos[id] { open.follow(known, term: intent?.detail["undo_after"]?.string?.valid.flatMap { Duration(text: $0) }) }
        openUndos[id] = open
    }

    /// A time is only ever made longer.
    private mutating func prolong(_ prolongs: JSON) {
        guard let id = prolongs["action"]?.string?.valid.flatMap({ Identifier($0) }), let due = openUndos[id]?.due else { return }
        openUndos[id]?.due = prolongs["due"]?.string.flatMap { Timestamp($0.bytes) }.map { max(due, $0) }
    }

    /// Put right after somebody else's change: the same act stands, as the world looks now.
    private mutating func refresh(_ restored: JSON, _ outcome: Outcome) {
        guard outcome == .done, let id = restored["action"]?.string?.valid.flatMap({ Identifier($0) }), let token = restored["token"]?.object else { return }
        // Of several members only those were hit that somebody had let go.
        let before = openUndos[id]?.token
        openUndos[id]?.token = before.map { token.restoring(too: $0) } ?? token
    }

    /// Somebody did by hand what an undo would have done: a release, an unpause.
    private mutating func closeUndos(takenBackBy record: AuditRecord) {
        guard let name = record.action, let key = record.target?.key else { return }
        for open in openUndos.values.sorted(by: { $0.action < $1.action }) where open.inverse.rawValue == name && open.target.key == key {
            closeUndo(open.action, outcome: .done, by: record, intent: nil)
        }
    }

    /// `undone`, `already` and `gone` leave nothing to take back; after a refusal only a person may try again; after a failure the due time stands. What a playbook wanted
    /// back at once, and did not get, is due since then. An attempt that came to nothing says nothing of what has taken the act's place meanwhile; one that a person called off,
    /// and that was not made because the time was up, says nothing at all.
    private mutating func closeUndo(_ id: Identifier, outcome: Outcome, by record: AuditRecord, intent: AuditRecord?) {
        guard let open = openUndo(of: id) else { return }
        switch outcome {
        case .undone, .done, .already, .gone:
            openUndos[open.action] = nil
            takenBack += open.absorbed + [open.action]
            if takenBack.count > Self.takenBackLimit { takenBack.removeFirst(takenBack.count - Self.takenBackLimit) }
        case .failed where open.action != id, .refused where open.action != id: break
        case .refused where record.failure == .cancelled && (intent ?? record).actor?.kind != .timer: break
        case .refused:
            openUndos[open.action]?.dueBefore = open.due ?? open.dueBefore
            openUndos[open.action]?.due = nil
            openUndos[open.action]?.refusal = record.message ?? "refused"
        case .failed where (intent ?? record).actor?.kind == .playbook: openUndos[open.action]?.due = min(open.due ?? record.time, record.time)
        default: break
        }
    }
}
