import RiposteCore
import RipostePlaybooks

/// What was put to people: a plan is performed only after a yes of enough of them who may say it, as the plan that they saw, in time.
struct Consents: Sendable {
    private struct Question: Sendable {
        var deadline: Timestamp
        /// The same by the time that really passes.
        var ends: Duration
        var term: Duration
        var quorum: Int
        var needsOnCall: Bool
        /// The record's `kind`: a plan, or an escalation.
        var isEscalation: Bool
        var escalates: Identifier?
        var actsOnSilence: Bool
        var voices: Set<UInt32> = []
        var end: String?
    }

    private var questions: [Identifier: Question] = [:]
    /// Plans, with their question and their digest, and whether everything but the question said enforce.
    private var plans: [Identifier: (question: Identifier, digest: JSON?, mayEnforce: Bool)] = [:]

    func escalated(by plan: Identifier) -> Identifier? { plans[plan].flatMap { questions[$0.question]?.escalates } }

    /// After a restart the wall clock is all that there is to go by, as it stands at that moment; but no question begins anew for longer than its term.
    mutating func begin(now: Timestamp, uptime: Duration) {
        for (id, question) in questions { questions[id]?.ends = uptime + min(question.deadline - now, question.term) }
    }

    mutating func problem(with record: AuditRecord, _ uptime: Duration) -> String? {
        switch record.kind {
        case .approval: return follow(record, uptime)
        case .intent: return problem(withIntent: record, uptime)
        default: return nil
        }
    }

    private mutating func follow(_ record: AuditRecord, _ uptime: Duration) -> String? {
        guard let id = record.id, let state = record.detail["state"]?.string?.valid else { return "an approval without a name" }
        switch state {
        case "requested":
            guard let deadline = record.detail["deadline"]?.string.flatMap({ Timestamp($0.bytes) }) else { return "question \(id) has no end" }
            let isEscalation = record.detail["kind"]?.string?.valid == "escalation"
            questions[id] = Question(
                deadline: deadline, ends: uptime + (deadline - record.time), term: deadline - record.time, quorum: Int(record.detail["quorum"]?.integer ?? 0),
                needsOnCall: record.detail["approvers"]?.array?.isEmpty == false,
                isEscalation: isEscalation,
                escalates: record.detail["escalates"]?.string?.valid.flatMap { Identifier($0) },
                actsOnSilence: record.detail["on_expiry"]?.string?.valid == "perform")
            plans[id] = (id, record.detail["plan_digest"], record.detail["may_enforce"] == true)
        case "joined":
            guard let question = record.detail["request"]?.string?.valid.flatMap({ Identifier($0) }) else { return "\(id) joined nothing" }
            if questions[question]?.end != nil { return "\(id) joined a question that was \(questions[question]?.end ?? "") before" }
            plans[id] = (question, record.detail["plan_digest"], record.detail["may_enforce"] == true)
        case "voted", "granted": return hear(record, id, uptime, isEnough: state == "granted")
        case "denied", "expired", "withdrawn":
            // Of an escalation that was never put there is no question.
            if let end = questions[id]?.end { return "question \(id) was \(end), and then \(state)" }
            questions[id]?.end = state
        default: break
        }
        return nil
    }

    private mutating func hear(_ record: AuditRecord, _ id: Identifier, _ uptime: Duration, isEnough: Bool) -> String? {
        guard var question = questions[id], let uid = record.actor?.uid else { return "a yes to what nobody asked" }
        if let end = question.end { return "question \(id) was \(end), and then approved" }
        if record.time >= question.deadline || uptime >= question.ends { return "a yes to \(id) counted after its time" }
        if question.needsOnCall, !SimulatedPeople.onCall.contains(uid) { return "a yes of somebody who has no say" }
        if !question.voices.insert(uid).inserted { return "two voices of one person" }
        if isEnough != (question.voices.count >= question.quorum) { return "\(question.voices.count) of \(question.quorum) said yes to \(id)" }
        if isEnough { question.end = "granted" }
        questions[id] = question
        return nil
    }

    private func problem(withIntent intent: AuditRecord, _ uptime: Duration) -> String? {
        guard let id = intent.id else { return nil }
        if isBesideShare(intent), plans[id].flatMap({ questions[$0.question]?.end }) != "granted" {
            return "\(id) is begun beside the share of its roll-out, and nobody has said yes"
        }
        guard let plan = plans[id], let question = questions[plan.question] else {
            let step = "\(intent.playbook ?? "")/\(intent.step ?? "")"
            let needsOne = intent.undoes == nil && (SimulatedPlaybooks.asking.contains(step) || step == SimulatedPlaybooks.escalation.step)
            let isAskedAbout = intent.playbook != nil && intent.action == "network.block" && intent.target?.key == SimulatedWorld.askedAbout
            return needsOne || isAskedAbout ? "\(step) is begun, and nobody was asked" : nil
        }
        if intent.detail["plan_digest"] != plan.digest { return "\(id) was approved as another plan" }
        switch question.end {
        case "granted": return intent.time < question.deadline && uptime < question.ends ? nil : "\(id) was approved, and is begun after its time"
        case "expired": return question.actsOnSilence && plan.mayEnforce ? nil : "\(id) is begun, and nobody has said yes"
        default: return "\(id) is begun, and its question is \(question.end ?? "open")"
        }
    }

    private func isBesideShare(_ intent: AuditRecord) -> Bool {
        guard intent.undoes == nil, let playbook = intent.playbook, let step = intent.step, let target = intent.target else { return false }
        return SimulatedPlaybooks.besideShare.steps.contains("\(playbook)/\(step)") && SimulatedPlaybooks.besideShare.targets.contains(target.key)
    }

    /// Silence is a yes only when the time is over: by the wall clock, or by the time that has really passed.
    func prematureEscalation(_ record: AuditRecord, after deed: AuditRecord, _ done: Duration?, _ uptime: Duration) -> String? {
        guard let id = record.id, let plan = plans[id], questions[plan.question]?.end == "expired", let done else { return nil }
        let isEarly = record.time - deed.time < SimulatedPlaybooks.escalation.after && uptime - done < SimulatedPlaybooks.escalation.after - .seconds(60)
        return isEarly ? "\(id) follows before its time" : nil
    }
}
