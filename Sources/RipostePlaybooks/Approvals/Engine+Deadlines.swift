internal import RiposteCore

extension Engine.Interior {
    /// After the record that puts a question, and at the start.
    mutating func startClock(ofQuestion id: Identifier, now: Timestamp, uptime: Duration) {
        if questionClocks.count > 2 * state.approvals.requests.count + 64 { questionClocks = questionClocks.filter { state.approvals.requests[$0.key] != nil } }
        questionClocks[id] = state.approvals.requests[id].map { TermClock(since: $0.askedAt, until: $0.deadline, now: now, uptime: uptime) }
    }
}

extension AuditRecord {
    var opensQuestion: Bool { approvalState == .requested }
}

extension Engine {
    /// What time it is for a question: what the wall clock says, and its deadline where that much time has passed.
    func time(of question: Identifier) -> Timestamp {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        return state.withLock { $0.questionClocks[question] }?.time(at: now, uptime: uptime) ?? now
    }

    /// When the wall clock, as it stands, will show that a question's time is over.
    func deadline(of request: ApprovalRequest, _ interior: Interior, at now: Timestamp, uptime: Duration) -> Timestamp {
        interior.questionClocks[request.id]?.end(at: now, uptime: uptime) ?? request.deadline
    }
}
