/// How an action ended. Every action ends in exactly one of these, and a record says which.
package enum Outcome: String, CaseIterable, Sendable {
    /// The world was changed as asked.
    case done
    /// The world was as asked before; nothing was touched.
    case already
    /// The target had ended; nothing was touched.
    case gone
    /// A guard, a budget, a cool-down or a proof of identity that failed forbade it; nothing was touched.
    case refused
    case failed
    /// Looked at in full and not done: dry run or mode `observe`.
    case planned
    /// Waits for a person.
    case pending
    /// Nobody answered in time.
    case expired
    /// Taken back.
    case undone
    /// A condition of the step did not hold, or an earlier step stopped the run.
    case skipped

    /// The command line's exit status (design: 0 done, 1 failed, 3 refused, 4 gone, 5 pending).
    package var exitStatus: Int32 {
        switch self {
        case .done, .already, .planned, .undone, .skipped: 0
        case .failed: 1
        case .refused: 3
        case .gone, .expired: 4
        case .pending: 5
        }
    }
}

extension Sequence<Outcome> {
    /// Of several results the gravest: 1, 3, 4, 5, 0 in this order.
    package var exitStatus: Int32 {
        let statuses = Set(map(\.exitStatus))
        return [1, 3, 4, 5].first(where: statuses.contains) ?? 0
    }
}

/// What the engine may do with a plan. Of several that apply the most careful one wins.
package enum Mode: String, CaseIterable, Comparable, Sendable {
    /// Plan and report.
    case observe
    /// Wait for a person.
    case ask
    case enforce

    package static func < (left: Mode, right: Mode) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .observe: 0
        case .ask: 1
        case .enforce: 2
        }
    }
}

/// Why an action did not end well; decides between `failed` and `refused` and, later, what may be retried.
package enum FailureClass: String, CaseIterable, Sendable {
    /// A parameter that makes no sense, or an answer 400 or 422.
    case invalid
    /// The alert has too little to say who is meant.
    case unresolved
    /// Something else is under the number or name that was meant.
    case identity
    case guarded
    case cooldown
    /// The playbook has acted as often as it may within its window.
    case budget
    case mode
    /// A person let the target go a short while ago.
    case pardoned
    /// EPERM, 401, 403: we lack the right.
    case denied
    /// The kernel, the engine or the cluster cannot do this.
    case unsupported
    case conflict
    /// Try later: 429 without a policy behind it, EAGAIN.
    case busy
    /// A policy of the other side forbids it: a disruption budget, an admission hook.
    case policy
    case unavailable
    case timeout
    /// Some members of the target were hit, some were not.
    case partial
    /// A person called it off.
    case cancelled
    /// The world is no longer as the action left it.
    case drifted
    /// A person said no.
    case declined
    /// What was asked about is not asked for any more.
    case withdrawn
    /// The agent ended between intent and outcome, and the world does not tell which.
    case unknown

    /// Asked again later, the answer may be another.
    package var mayPass: Bool {
        switch self {
        case .busy, .unavailable, .conflict, .timeout: true
        default: false
        }
    }

    /// The request may have been carried out all the same: what failed is the answer.
    package var leavesDoubt: Bool {
        switch self {
        case .timeout, .unavailable, .unknown, .cancelled: true
        default: false
        }
    }

    package var outcome: Outcome {
        switch self {
        case .unresolved, .identity, .guarded, .cooldown, .budget, .mode, .pardoned, .policy, .cancelled, .drifted, .declined, .withdrawn: .refused
        case .invalid, .denied, .unsupported, .conflict, .busy, .unavailable, .timeout, .partial, .unknown: .failed
        }
    }
}
