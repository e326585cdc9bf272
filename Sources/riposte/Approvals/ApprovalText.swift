internal import RiposteCore

/// Open questions for people. All that came from an alert is escaped.
enum ApprovalText {
    static func table(_ questions: [JSON]) -> String {
        guard !questions.isEmpty else { return "nothing waits for a person" }
        return Terminal.table(
            ["ID", "UNTIL", "YES", "WHAT", "PLAYBOOK", "WHY"],
            questions.map { question in
                let plans = question["plans"]?.array ?? []
                let more = plans.count > 1 ? " and \(plans.count - 1) more" : ""
                return [
                    word(question, "id"), "\(word(question, "deadline").prefix(19))Z", "\(question["approved_by"]?.array?.count ?? 0)/\(number(question, "quorum"))",
                    word(plans.first, "summary") + more, owner(question), word(plans.first?["why"], "rule").isEmpty ? word(question, "reason") : word(plans.first?["why"], "rule"),
                ]
            })
    }

    static func whole(_ question: JSON) -> String {
        var lines = [Terminal.paint("\(word(question, "action")) \(heading(question))", .bold)]
        func add(_ name: String, _ text: String) { if !text.isEmpty { lines.append("\(name.padded(to: 10))\(text)") } }
        add("asked by", owner(question))
        add("reason", word(question, "reason"))
        add("about", word(question, "description"))
        for plan in question["plans"]?.array ?? [] { lines += self.plan(plan) }
        add("undo", undo(question))
        add("budget", question["budget_left"]?.integer.map { "\($0) actions are left to the playbook" } ?? "")
        let before = question["before"]
        add("before", "\(number(before, "granted")) approved, \(number(before, "denied")) denied, \(number(before, "expired")) not answered, of this playbook")
        add("deciders", deciders(question))
        add("silence", silence(question))
        let plans = question["plans"]?.array?.count ?? 1
        add("answer", "riposte approvals approve \(word(question, "id"))\(plans > 1 ? " --plans \(plans)" : "") | riposte approvals deny \(word(question, "id"))")
        return lines.joined(separator: "\n")
    }

    private static func heading(_ question: JSON) -> String {
        let state = word(question, "state") == "waiting" ? "waits" : word(question, "state")
        let kind = word(question, "kind") == "escalation" ? ", as an escalation," : ""
        return "\(state)\(kind) until \(word(question, "deadline").prefix(19))Z"
    }

    private static func plan(_ plan: JSON) -> [String] {
        let why = plan["why"]
        var lines = ["", "plan      \(word(plan, "summary"))", "target    \(plan["target"].flatMap(Target.init(json:))?.summary ?? "?")"]
        func add(_ name: String, _ text: String) { if !text.isEmpty { lines.append("\(name.padded(to: 10))\(text)") } }
        add("why", word(why, "rule").isEmpty ? "" : "\(word(why, "rule")) (\(word(why, "priority")), \(word(why, "time").prefix(19))Z)")
        add("", word(why, "output"))
        for member in why?["fields"]?.object?.members ?? [] { add("", "\(member.key.shown) = \(member.value.displayText)") }
        for remark in plan["remarks"]?.array ?? [] { add("mind", remark.displayText) }
        if let members = plan["facts"]?["members"]?.array, members.count > 1 { add("hits", "\(members.count) processes") }
        if plan["held"] == true { add("held", "something reversible is in force until there is an answer") }
        lines.append("digest    \(word(plan, "digest").prefix(16))")
        return lines
    }

    private static func undo(_ question: JSON) -> String {
        guard question["undo"]?["available"] == true else { return "none: what is done cannot be taken back" }
        let after = word(question["undo"], "after")
        return after.isEmpty ? "by hand" : "by itself after \(after), or by hand"
    }

    private static func deciders(_ question: JSON) -> String {
        let approvers = question["approvers"]?.array?.map(\.displayText) ?? []
        let voices = question["approved_by"]?.array?.map { word($0, "name") } ?? []
        let quorum = number(question, "quorum")
        var text = approvers.isEmpty ? "whoever may give the agent orders" : approvers.joined(separator: ", ")
        if quorum > 1 { text += "; \(voices.count) of \(quorum) have approved\(voices.isEmpty ? "" : " (\(voices.joined(separator: ", ")))")" }
        return text
    }

    private static func silence(_ question: JSON) -> String {
        switch word(question, "on_expiry") {
        case "perform": "it is performed"
        case "observe": "it is planned once more, and the run goes on"
        default: "nothing is done"
        }
    }

    private static func owner(_ question: JSON) -> String {
        let playbook = word(question, "playbook")
        return playbook.isEmpty ? word(question["requested_by"], "name") : "\(playbook)/\(word(question, "step"))"
    }

    private static func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
    private static func number(_ json: JSON?, _ key: ByteText) -> Int64 { json?[key]?.integer ?? 0 }
}
