package import RiposteCore
internal import RipostePlaybooks

/// The control socket's words: JSON over HTTP on `<run-dir>/riposte.sock`. Both ends read them from here.
enum ControlPath {
    static let actions = "/v1/actions"
    static let undo = "/v1/undo"
    static let inForce = "/v1/in-force"
    static let pardons = "/v1/pardons"
    static let liftPardons = "/v1/pardons/lift"
    static let cancel = "/v1/cancel"
    static let approvals = "/v1/approvals"
    static let respond = "/v1/respond"
    static let explain = "/v1/explain"
    static let status = "/v1/status"
    static let breakers = "/v1/breakers"
    static let closeBreaker = "/v1/breakers/close"
    static let reload = "/v1/reload"
    static let steering = "/v1/steering"
    static let modes = "/v1/modes"
    static let outputTest = "/v1/outputs/test"
}

extension ManualCommand {
    var json: JSON {
        var object: JSONObject = [
            "action": .text(action.rawValue), "target": claim.json, "parameters": .object(parameters), "dry_run": .bool(isDryRun),
        ]
        object.append("reason", reason.map(JSON.text))
        object.append("undo_after", undoAfter.map { .text($0.text) })
        if isForced { object.append("force", true) }
        if asks { object.append("ask", true) }
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["action", "target", "parameters", "dry_run", "reason", "undo_after", "force", "ask"])
        self.init(
            action: ActionName(rawValue: try reader.needed("action", "a text") { $0.string?.valid }),
            claim: try reader.needed("target", "a target as this agent knows them", TargetClaim.init(json:)),
            parameters: try reader.value("parameters", "an object", \.object) ?? JSONObject(), isDryRun: try reader.isTrue("dry_run"),
            reason: try reader.words("reason"), undoAfter: try reader.duration("undo_after"), isForced: try reader.isTrue("force"), asks: try reader.isTrue("ask"))
    }
}

extension BreakerCommand {
    var json: JSON {
        var object: JSONObject = ["breaker": .text(name)]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["breaker", "reason"])
        self.init(name: try reader.needed("breaker", "a name") { $0.string?.valid }, reason: try reader.words("reason"))
    }
}

extension DecisionCommand {
    var json: JSON {
        var object: JSONObject = ["id": .text("\(question)"), "answer": .text(answer == .approve ? "approve" : "deny")]
        object.append("plans", seen.map { .integer(Int64($0)) })
        object.append("reason", reason.map(JSON.text))
        if pardons { object.append("pardon", true) }
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["id", "answer", "plans", "reason", "pardon"])
        let answers: [ByteText: ApprovalRequest.Answer] = ["approve": .approve, "deny": .deny]
        self.init(
            question: try reader.needed("id", "a question's id", ControlReader.identifier),
            answer: try reader.needed("answer", "approve or deny") { $0.string.flatMap { answers[$0] } },
            seen: try reader.value("plans", "a number") { $0.integer.flatMap { $0 < 0 ? nil : Int(clamping: $0) } }, reason: try reader.words("reason"),
            pardons: try reader.isTrue("pardon"))
    }
}

extension UndoSelection {
    var json: JSONObject {
        var object = JSONObject()
        if !actions.isEmpty { object.append("ids", .array(actions.map { .text("\($0)") })) }
        object.append("incident", incident.map { .text("\($0)") })
        object.append("playbook", playbook.map(JSON.text))
        object.append("alert", alert.map { .text("\($0)") })
        object.append("target", target.map(JSON.text))
        object.append("within", within.map { .text($0.text) })
        if isAll { object.append("all", true) }
        return object
    }

    static let keys = ["ids", "incident", "playbook", "alert", "target", "within", "all"]

    init(json: JSON) throws(DeskError) { try self.init(ControlReader(json, known: Self.keys)) }

    fileprivate init(_ reader: ControlReader) throws(DeskError) {
        self.init()
        actions = try reader.value("ids", "a list of actions' ids") { $0.array?.all(ControlReader.identifier) } ?? []
        incident = try reader.identifier("incident", "an incident's id")
        playbook = try reader.text("playbook", "a playbook's name")
        alert = try reader.identifier("alert", "an alert's id")
        target = try reader.text("target")
        within = try reader.duration("within")
        isAll = try reader.isTrue("all")
    }
}

extension UndoCommand {
    var json: JSON {
        var object = selection.json
        object.append("dry_run", .bool(isDryRun))
        object.append("reason", reason.map(JSON.text))
        if isForced { object.append("force", true) }
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: UndoSelection.keys + ["dry_run", "reason", "force"])
        let selection = try UndoSelection(reader)
        guard !selection.isEmpty else { throw DeskError(.invalid, "what is to be taken back? give ids, incident, playbook, alert, target, within, or all") }
        self.init(selection, isDryRun: try reader.isTrue("dry_run"), reason: try reader.words("reason"), isForced: try reader.isTrue("force"))
    }
}

extension PardonLiftCommand {
    var json: JSON {
        var object: JSONObject = ["target": .text(target)]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["target", "reason"])
        self.init(target: try reader.needed("target", "a text") { $0.string?.valid }, reason: try reader.words("reason"))
    }
}

extension CancelCommand {
    var json: JSON {
        var object: JSONObject = ["id": .text("\(action)")]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["id", "reason"])
        self.init(action: try reader.needed("id", "an action's id", ControlReader.identifier), reason: try reader.words("reason"))
    }
}

extension RespondCommand {
    var json: JSON {
        var object: JSONObject = ["mode": .text(mode.rawValue)]
        object.append("playbooks", playbooks.map { .array($0.map(\.json)) })
        object.append("maximum_alert_age", maximumAlertAge.map { .text($0.text) })
        // As text: an alert that is not UTF-8, or no JSON at all, must reach the reader that says so.
        object.append("alerts", .array(alerts.map { .text($0.base64) }))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["mode", "playbooks", "maximum_alert_age", "alerts"])
        self.init(
            playbooks: try reader.playbooks(), alerts: try reader.needed("alerts", "a list of texts in base 64") { $0.array?.all(\.base64Bytes) },
            mode: try reader.needed("mode", "a mode") { $0.string?.valid.flatMap(Mode.init(rawValue:)) }, maximumAlertAge: try reader.duration("maximum_alert_age"))
    }
}

extension RespondCommand.Document {
    fileprivate var json: JSON { ["name": .text(name), "text": .text(text)] }

    fileprivate init?(json: JSON) {
        guard let reader = try? ControlReader(json, known: ["name", "text"]), let name = try? reader.text("name"), let text = try? reader.text("text") else { return nil }
        self.init(name: name, text: text)
    }
}

extension ControlReader {
    /// One that is left out would be one that does not answer.
    fileprivate func playbooks() throws(DeskError) -> [RespondCommand.Document]? {
        try value("playbooks", "a list of documents, each with name and text") { $0.array?.all(RespondCommand.Document.init(json:)) }
    }
}

extension JSON {
    fileprivate var base64Bytes: [UInt8]? { string?.valid.flatMap { [UInt8](base64: $0) } }
}

extension ExplainCommand {
    var json: JSON {
        var object: JSONObject = ["alert": .text(alert.base64), "intake": .text(intake)]
        object.append("playbooks", playbooks.map { .array($0.map(\.json)) })
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let reader = try ControlReader(json, known: ["alert", "intake", "playbooks"])
        self.init(
            alert: try reader.needed("alert", "a text in base 64", \.base64Bytes), intake: try reader.words("intake") ?? "dry-run", playbooks: try reader.playbooks())
    }
}

extension AlertReport {
    package var json: JSON {
        var object: JSONObject = ["alert": .integer(Int64(number)), "rule": .text(rule)]
        object.append("playbooks", .array(playbooks.map(JSON.text)))
        object.append("results", .array(results.map(\.json)))
        object.append("problem", problem.map(JSON.text))
        if isNotTaken { object.append("not_taken", true) }
        if !remarks.isEmpty { object.append("remarks", .array(remarks.map(JSON.text))) }
        return .object(object)
    }

    init?(json: JSON) {
        guard let number = json["alert"]?.integer, let rule = json["rule"]?.string?.repaired else { return nil }
        self.init(
            number: Int(number), rule: rule, playbooks: json["playbooks"]?.array?.compactMap { $0.string?.repaired } ?? [],
            results: json["results"]?.array?.compactMap(ActionResult.init(json:)) ?? [], problem: json["problem"]?.string?.repaired,
            isNotTaken: json["not_taken"]?.bool ?? false, remarks: json["remarks"]?.array?.compactMap { $0.string?.repaired } ?? [])
    }
}

extension DeskError {
    var json: JSON { ["error": .text(message), "code": .text(code.rawValue)] }
}
