package import RiposteCore

/// `retry`: how often a step tries again what may pass by itself.
package struct RetryPolicy: Sendable, Equatable {
    /// Further attempts after the first; 0: none.
    package var max = 3
    package var delay = Duration.milliseconds(200)
    /// By which the delay grows from attempt to attempt.
    package var factor = 2.0
    /// Up to half of the delay is left out, by chance, so that many who failed together do not come back together.
    package var jitter = true
    package var on: Set<FailureClass> = [.busy, .unavailable, .conflict]

    /// What may pass. Who is meant, what is forbidden and what makes no sense does not change by asking again.
    package static let classes: [FailureClass] = [.busy, .unavailable, .conflict, .timeout]
    package static let limit = 20
    package static let longestDelay = Duration.seconds(30)

    package init() {}
}

/// The attempts at one deed: whether there is another one, and after how long. A plain value: no clock, no chance of its own.
struct Attempts: Sendable {
    /// Nil: by the class of the failure.
    let policy: RetryPolicy?
    /// Failed ones.
    private(set) var failures: [ActionError] = []

    init(_ policy: RetryPolicy?) { self.policy = policy }

    /// How long to wait before the next attempt after a failure; nil: there is none. `chance` decides the jitter.
    mutating func pause(after error: ActionError, chance: UInt64) -> Duration? {
        failures.append(error)
        guard let failure = error.failure, let policy = policy ?? Self.standard(failure), policy.on.contains(failure) else { return nil }
        guard failures.count(where: { policy.on.contains($0.failure ?? .invalid) }) <= policy.max else { return nil }
        var delay = policy.delay
        for _ in 1..<failures.count where delay < RetryPolicy.longestDelay { delay = delay * policy.factor }
        delay = min(delay, RetryPolicy.longestDelay)
        if policy.jitter { delay = delay * (1 - 0.5 * Double(chance >> 11) / Double(UInt64(1) << 53)) }
        return max(delay, error.retryAfter ?? .zero)
    }

    /// What a failure of this class deserves where the playbook does not say.
    private static func standard(_ failure: FailureClass) -> RetryPolicy? {
        var policy = RetryPolicy()
        policy.on = [failure]
        switch failure {
        case .busy, .unavailable: policy.max = RetryPolicy.limit
        // Somebody else was at it: what counts is what is found now.
        case .conflict: (policy.max, policy.delay) = (5, .zero)
        case .timeout: (policy.max, policy.delay) = (1, .zero)
        default: return nil
        }
        return policy
    }
}
