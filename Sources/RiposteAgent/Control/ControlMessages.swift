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
        guard let action = json["action"]?.string?.valid else { throw DeskError(.invalid, "action must be a text") }
        guard let claim = json["target"].flatMap(TargetClaim.init(json:)) else { throw DeskError(.invalid, "target names nobody") }
        self.init(
            action: ActionName(rawValue: action), claim: claim, parameters: json["parameters"]?.object ?? JSONObject(),
            isDryRun: json["dry_run"]?.bool ?? false, reason: json["reason"]?.string?.repaired,
            undoAfter: json["undo_after"]?.string?.valid.flatMap { Duration(text: $0) }, isForced: json["force"]?.bool ?? false,
            asks: json["ask"]?.bool ?? false)
    }
}

extension BreakerCommand {
    var json: JSON {
        var object: JSONObject = ["breaker": .text(name)]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        guard let name = json["breaker"]?.string?.valid else { throw DeskError(.invalid, "breaker must be a name") }
        self.init(name: name, reason: json["reason"]?.string?.repaired)
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
        guard let id = json["id"]?.string?.valid.flatMap({ Identifier($0) }) else { throw DeskError(.invalid, "id must be a question's id") }
        let answer: ApprovalRequest.Answer
        switch json["answer"]?.string?.valid {
        case "approve": answer = .approve
        case "deny": answer = .deny
        default: throw DeskError(.invalid, "answer must be approve or deny")
        }
        self.init(
            question: id, answer: answer, seen: json["plans"]?.integer.map { Int(clamping: $0) }, reason: json["reason"]?.string?.repaired,
            pardons: json["pardon"]?.bool ?? false)
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

    /// A member that is there and makes no sense is an error: left out it would widen what is meant.
    init(json: JSON) throws(DeskError) {
        self.init()
        func read<Value>(_ key: ByteText, _ expected: String, _ value: (JSON) -> Value?) throws(DeskError) -> Value? {
            guard let member = json[key], member != .null else { return nil }
            guard let value = value(member) else { throw DeskError(.invalid, "\(key.shown) must be \(expected)") }
            return value
        }
        func identifier(_ json: JSON) -> Identifier? { json.string?.valid.flatMap { Identifier($0) } }
        actions =
            try read("ids", "a list of actions' ids") { member in
                let ids = member.array?.map(identifier)
                return ids.flatMap { $0.contains(nil) ? nil : $0.compactMap(\.self) }
            } ?? []
        incident = try read("incident", "an incident's id", identifier)
        playbook = try read("playbook", "a playbook's name") { $0.string?.valid }
        alert = try read("alert", "an alert's id", identifier)
        target = try read("target", "a text") { $0.string?.valid }
        within = try read("within", "a duration such as 1h") { $0.string?.valid.flatMap { Duration(text: $0) } }
        isAll = try read("all", "true or false", \.bool) ?? false
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
        let selection = try UndoSelection(json: json)
        guard !selection.isEmpty else { throw DeskError(.invalid, "what is to be taken back? give ids, incident, playbook, alert, target, within, or all") }
        self.init(
            selection, isDryRun: json["dry_run"]?.bool ?? false, reason: json["reason"]?.string?.repaired, isForced: json["force"]?.bool ?? false)
    }
}

extension PardonLiftCommand {
    var json: JSON {
        var object: JSONObject = ["target": .text(target)]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        guard let target = json["target"]?.string?.valid else { throw DeskError(.invalid, "target must be a text") }
        self.init(target: target, reason: json["reason"]?.string?.repaired)
    }
}

extension CancelCommand {
    var json: JSON {
        var object: JSONObject = ["id": .text("\(action)")]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        guard let id = json["id"]?.string?.valid.flatMap({ Identifier($0) }) else { throw DeskError(.invalid, "id must be an action's id") }
        self.init(action: id, reason: json["reason"]?.string?.repaired)
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
        guard let mode = json["mode"]?.string?.valid.flatMap(Mode.init(rawValue:)) else { throw DeskError(.invalid, "mode must be a mode") }
        let alerts = json["alerts"]?.array?.compactMap { $0.string?.valid.flatMap { [UInt8](base64: $0) } }
        guard let alerts else { throw DeskError(.invalid, "alerts must be a list") }
        self.init(
            playbooks: try json["playbooks"].map(Document.list), alerts: alerts, mode: mode,
            maximumAlertAge: json["maximum_alert_age"]?.string?.valid.flatMap { Duration(text: $0) })
    }
}

extension RespondCommand.Document {
    fileprivate var json: JSON { ["name": .text(name), "text": .text(text)] }

    fileprivate static func list(_ json: JSON) throws(DeskError) -> [Self] {
        let documents = json.array?.compactMap { document -> Self? in
            guard let name = document["name"]?.string?.valid, let text = document["text"]?.string?.valid else { return nil }
            return Self(name: name, text: text)
        }
        // One that is left out would be one that does not answer.
        guard let documents, documents.count == json.array?.count else { throw DeskError(.invalid, "playbooks must be a list of documents, each with name and text") }
        return documents
    }
}

extension ExplainCommand {
    var json: JSON {
        var object: JSONObject = ["alert": .text(alert.base64), "intake": .text(intake)]
        object.append("playbooks", playbooks.map { .array($0.map(\.json)) })
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        guard let alert = json["alert"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) else { throw DeskError(.invalid, "alert must be a text") }
        self.init(alert: alert, intake: json["intake"]?.string?.repaired ?? "dry-run", playbooks: try json["playbooks"].map(RespondCommand.Document.list))
    }
}

extension AlertReport {
    package var json: JSON {
        var object: JSONObject = ["alert": .integer(Int64(number)), "rule": .text(rule)]
        object.append("playbooks", .array(playbooks.map(JSON.text)))
        object.append("results", .array(results.map(\.json)))
        object.append("problem", problem.map(JSON.text))
        return .object(object)
    }

    init?(json: JSON) {
        guard let number = json["alert"]?.integer, let rule = json["rule"]?.string?.repaired else { return nil }
        self.init(
            number: Int(number), rule: rule, playbooks: json["playbooks"]?.array?.compactMap { $0.string?.repaired } ?? [],
            results: json["results"]?.array?.compactMap(ActionResult.init(json:)) ?? [], problem: json["problem"]?.string?.repaired)
    }
}

extension DeskError {
    var json: JSON { ["error": .text(message), "code": .text(code.rawValue)] }
}
