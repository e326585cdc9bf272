internal import RiposteCore

/// When the time of a question is over by the clock that nobody sets, beside the wall clock's deadline.
///
/// While the agent runs, what comes first counts, as for undos: a clock that is set back gives nobody a longer time to say yes. After a restart only the wall
/// clock is left to go by; but no question then has more than its whole term before it.
struct QuestionClock: Sendable, Equatable {
    var deadline: Timestamp
    var uptime: Duration

    init(_ request: ApprovalRequest, now: Timestamp, uptime: Duration) {
        (deadline, self.uptime) = (request.deadline, uptime + min(request.deadline - now, request.deadline - request.askedAt))
    }
}

extension Engine.Interior {
    /// After the record that puts a question, and at the start.
    mutating func startClock(ofQuestion id: Identifier, now: Timestamp, uptime: Duration) {
        if questionClocks.count > 2 * state.approvals.requests.count + 64 { questionClocks = questionClocks.filter { state.approvals.requests[$0.key] != nil } }
        questionClocks[id] = state.approvals.requests[id].map { QuestionClock($0, now: now, uptime: uptime) }
    }
}

extension AuditRecord {
    var opensQuestion: Bool { approvalState == .requested }
}

extension Engine {
    /// What time it is for a question: what the wall clock says, and its deadline where that much time has passed.
    func time(of question: Identifier) -> Timestamp {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        guard let clock = state.withLock({ $0.questionClocks[question] }), uptime >= clock.uptime else { return now }
        return max(now, clock.deadline)
    }

    /// When the wall clock, as it stands, will show that a question's time is over.
    func deadline(of request: ApprovalRequest, _ interior: Interior, at now: Timestamp, uptime: Duration) -> Timestamp {
        guard let clock = interior.questionClocks[request.id] else { return request.deadline }
        return min(request.deadline, Self.time(now, in: clock.uptime - uptime))
    }
}
