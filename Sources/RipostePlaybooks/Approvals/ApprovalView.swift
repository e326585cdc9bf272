package import RiposteCore

/// An open question as people see it: all that they need for a yes or a no, and the JSON of `riposte approvals`.
package struct ApprovalView: Sendable {
    package struct Plan: Sendable {
        package var id: Identifier?
        package var summary: String
        package var target: Target?
        package var digest: String
        package var remarks: [String]
        package var facts: JSONObject
        package var alert: Identifier?
        package var why: JSON?
        package var held: Bool
    }

    package let id: Identifier
    package let request: ApprovalRequest
    package let plans: [Plan]
    /// For the person on call, from the playbook.
    package let description: String?
    package let impact: ActionDescription.Impact?
    package let inverse: String?
    package let budgetLeft: Int?
    package let before: ApprovalBook.Tally

    init(_ request: ApprovalRequest, _ playbook: Playbook?, impact: ActionDescription.Impact?, budgetLeft: Int?, before: ApprovalBook.Tally) {
        id = request.id
        self.request = request
        plans = request.members.map(Plan.init)
        description = playbook.flatMap { $0.description.isEmpty ? nil : $0.description }
        self.impact = impact
        inverse = request.opening.detail["plan"]?["inverse"]?.string?.valid
        self.budgetLeft = budgetLeft
        self.before = before
    }

    package var json: JSON {
        let opening = request.opening
        var object: JSONObject = ["id": .text("\(id)"), "kind": .text(request.kind.rawValue), "state": .text(request.phase.name)]
        object.append("playbook", opening.playbook.map(JSON.text))
        object.append("description", description.map(JSON.text))
        object.append("step", opening.step.map(JSON.text))
        object.append("action", opening.action.map(JSON.text))
        object.append("impact", impact.map { .integer(Int64($0.rawValue)) })
        object.append("workload", .text(request.workload))
        object.append("requested_by", request.requester.map(\.json))
        object.append("reason", opening.reason.map(JSON.text))
        object.append("escalates", request.escalates.map { .text("\($0)") })
        object.append("undoes", request.undoes.map { .text("\($0)") })
        object.append("restores", request.restores.map { .text("\($0)") })
        if opening.detail["forced"]?.bool == true { object.append("forced", true) }
        object.append("asked", .text("\(request.askedAt)"))
        object.append("deadline", .text("\(request.deadline)"))
        object.append("on_expiry", .text(request.terms.onExpiry.rawValue))
        object.append("approvers", .array(request.terms.approvers.map { .text($0.description) }))
        object.append("quorum", .integer(Int64(request.terms.quorum)))
        object.append("approved_by", .array(request.voices.map(\.json)))
        var undo: JSONObject = ["available": .bool(inverse != nil)]
        undo.append("after", request.members.first?.undoAfter.map { .text($0.text) })
        object.append("undo", .object(undo))
        object.append("budget_left", budgetLeft.map { .integer(Int64($0)) })
        object.append("before", ["granted": .integer(Int64(before.granted)), "denied": .integer(Int64(before.denied)), "expired": .integer(Int64(before.expired))])
        object.append("plans", .array(plans.map(\.json)))
        return .object(object)
    }
}

extension ApprovalView.Plan {
    fileprivate init(_ member: ApprovalRequest.Member) {
        let plan = member.record.detail["plan"]
        self.init(
            id: member.id, summary: member.summary, target: member.target, digest: member.digest ?? "",
            remarks: plan?["remarks"]?.array?.compactMap { $0.string?.repaired } ?? [], facts: plan?["facts"]?.object ?? JSONObject(), alert: member.record.alert,
            why: member.record.detail["why"], held: member.hold == .inForce)
    }

    fileprivate var json: JSON {
        var object = JSONObject()
        object.append("id", id.map { .text("\($0)") })
        object.append("summary", .text(summary))
        object.append("target", target?.json)
        object.append("digest", .text(digest))
        if !remarks.isEmpty { object.append("remarks", .array(remarks.map(JSON.text))) }
        if !facts.isEmpty { object.append("facts", .object(facts)) }
        object.append("alert", alert.map { .text("\($0)") })
        object.append("why", why)
        object.append("held", .bool(held))
        return .object(object)
    }
}
