package import RiposteCore

/// One thing that Riposte can do to one kind of target: `process.kill`, `container.pause`.
///
/// Intention and deed are apart. ``plan(_:)`` looks at the world and says exactly what would be touched; ``perform(_:)`` takes that plan and
/// touches it. Dry run, approval, audit and undo all read the same plan, so none of them can drift from the real thing.
package protocol Action: Sendable {
    /// What the reference page, the validator, `playbook schema` and the command line's help are made from.
    var description: ActionDescription { get }

    /// Proves who the target is and what would be done. Only reads: a dry run ends here, so every check that can be made without a
    /// write is made here, permission included.
    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan

    /// Does what the plan says and looks whether it took effect. Checks the target's identity once more through a handle that cannot be
    /// reused; doing the same plan twice gives `already` or `gone`.
    func perform(_ plan: Plan) async throws(ActionError) -> Performance

    /// The same for an action that may find more to hit than the plan names: it asks `guards` about those before it does to them what cannot be taken back.
    func perform(_ plan: Plan, guards: GuardCall) async throws(ActionError) -> Performance

    /// What a performance of this plan would have left for taking it back, where nobody knows what it left: its answer was lost, or the agent ended.
    func presumedToken(of plan: Plan) -> JSONObject?

    /// What stands of a performance of this plan that was broken off, where it is made of several deeds: the token that takes those back which were done.
    /// `seen` is a plan for the same that was made since. Looks at the world and touches nothing; nil where nothing of it stands.
    func remains(of plan: Plan, seen: Plan?) -> JSONObject?

    /// Whether a performance of this plan took place that nobody saw to its end: `seen` is a plan for the same that was made since. `age` is the time since it was begun;
    /// zero: it may be on its way still. What leaves no trace must say so, or it is done a second time.
    func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace

    /// The third look, beside plan and performance: is what this action did still so?
    func standing(of deed: StandingDeed) async throws(ActionError) -> Standing

    /// What bears this action's mark in the world, whoever made it; nil where it leaves no mark that can be told from others'.
    func marks() async throws(ActionError) -> [Target]?
}

extension Action {
    /// Most plans name all that is hit.
    package func perform(_ plan: Plan, guards: GuardCall) async throws(ActionError) -> Performance { try await perform(plan) }

    package func presumedToken(of plan: Plan) -> JSONObject? { nil }

    /// One deed is done or not.
    package func remains(of plan: Plan, seen: Plan?) -> JSONObject? { nil }

    /// The plan says what is so already.
    package func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace { seen.alreadySo.map { .inEffect($0) } ?? .absent }

    /// What takes back a performance that nobody saw to its end, and that is in effect.
    func token(of plan: Plan, seen: Plan) -> JSONObject? { remains(of: plan, seen: seen) ?? presumedToken(of: plan) }

    /// A plan for the same says whether the world is as the action leaves it.
    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing { try await standingByPlan(of: deed) }

    package func marks() async throws(ActionError) -> [Target]? { nil }
}

/// What can be seen of a deed that may or may not have taken place.
package enum DeedTrace: Sendable, Equatable {
    /// In these words.
    case inEffect(String)
    /// It did not take place, or doing it again is the same as having done it once.
    case absent
    /// Asked later, the world tells.
    case notYet(String)
    /// Nobody can tell, and a second one would be another deed: it is not done again.
    case untold(String)
}

/// Asks all guards in the midst of a deed, about a plan that names whom the first one does not. Throws `guarded` where one is against it.
package typealias GuardCall = @Sendable (Plan) async throws(ActionError) -> Void

/// What is asked of an action.
package struct ActionRequest: Sendable {
    /// Who is meant. Nothing in it is believed where the kernel or an API can be asked.
    package var claim: TargetClaim
    /// Checked against the action's description, defaults filled in.
    package var parameters: Parameters
    /// What an earlier performance left for taking it back (``Performance/undoToken``), where this request does so. It may be
    /// missing after a crash: then the world is all there is to go by.
    package var token: JSONObject?
    /// A person says: also where the world is no longer as the token says.
    package var isForced: Bool
    package var time: Timestamp

    package init(claim: TargetClaim, parameters: Parameters, token: JSONObject? = nil, isForced: Bool = false, time: Timestamp = .now()) {
        self.claim = claim
        self.parameters = parameters
        self.token = token
        self.isForced = isForced
        self.time = time
    }
}

/// What a performance came to.
package struct Performance: Sendable, Equatable {
    /// `done`, `already` or `gone`; everything else is an ``ActionError``.
    package var outcome: Outcome
    /// What the world answered, in words for people.
    package var message: String?
    /// The effect was seen, not only accepted.
    package var isConfirmed: Bool
    /// For the journal.
    package var evidence: JSONObject
    /// What the inverse action needs to restore the world, and to notice that somebody else changed it. Nil where there is nothing to take back.
    package var undoToken: JSONObject?

    package init(
        _ outcome: Outcome, message: String? = nil, isConfirmed: Bool = true, evidence: JSONObject = JSONObject(), undoToken: JSONObject? = nil
    ) {
        self.outcome = outcome
        self.message = message
        self.isConfirmed = isConfirmed
        self.evidence = evidence
        self.undoToken = undoToken
    }
}

extension Performance {
    /// With what attempts before this one have left standing, which it did not see as its own.
    func including(_ left: JSONObject?) -> Self {
        guard let left else { return self }
        var whole = self
        if outcome == .already { whole.outcome = .done }
        whole.undoToken = (undoToken ?? JSONObject()).restoring(too: left)
        return whole
    }
}

/// What an action would touch, as a value: the journal, a dry run, an approval and the performance all hold the same one.
package struct Plan: Sendable, Equatable {
    package var action: ActionName
    package var target: Target
    package var parameters: Parameters
    /// What looking found and performing relies on: members of a process tree, the container's state, the interface to cut.
    package var facts: JSONObject
    /// Set where the world is already as asked; the engine then performs nothing.
    package var alreadySo: String?
    /// What would happen, in one line for people: "send KILL to 3 processes".
    package var summary: String
    /// The action that would take this one back, where there is one.
    package var inverse: ActionName?
    /// What a dry run cannot prove, and what a person should know before saying yes: "the restart policy will start it again".
    package var remarks: [String]

    package init(
        action: ActionName, target: Target, parameters: Parameters, facts: JSONObject = JSONObject(), alreadySo: String? = nil, summary: String,
        inverse: ActionName? = nil, remarks: [String] = []
    ) {
        self.action = action
        self.target = target
        self.parameters = parameters
        self.facts = facts
        self.alreadySo = alreadySo
        self.summary = summary
        self.inverse = inverse
        self.remarks = remarks
    }

    package var json: JSONObject {
        var object: JSONObject = ["summary": .text(summary), "parameters": .object(parameters.json)]
        if !facts.isEmpty { object.append("facts", .object(facts)) }
        object.append("already", alreadySo.map(JSON.text))
        object.append("inverse", inverse.map { .text($0.rawValue) })
        if !remarks.isEmpty { object.append("remarks", .array(remarks.map(JSON.text))) }
        return object
    }
}

/// Why an action did not, or must not, take place: what we were doing, and what the world answered.
package struct ActionError: Error, Equatable, Sendable {
    /// Nil where the target had ended, which is no failure: the outcome is then `gone`.
    package let failure: FailureClass?
    /// "signal KILL to pid 4121"
    package let doing: String
    /// "no such process"
    package let answer: String
    /// What a person can do about it.
    package let remedy: String?
    /// What had been found or done when it failed.
    package let evidence: JSONObject
    /// When the other side wants to be asked again (`Retry-After`), where it said so.
    package let retryAfter: Duration?

    package init(
        _ failure: FailureClass, _ doing: String, _ answer: String, remedy: String? = nil, evidence: JSONObject = JSONObject(), retryAfter: Duration? = nil
    ) {
        self.init(failure: failure, doing: doing, answer: answer, remedy: remedy, evidence: evidence, retryAfter: retryAfter)
    }

    package static func gone(_ doing: String, _ answer: String) -> ActionError {
        ActionError(failure: nil, doing: doing, answer: answer, remedy: nil, evidence: JSONObject(), retryAfter: nil)
    }

    private init(failure: FailureClass?, doing: String, answer: String, remedy: String?, evidence: JSONObject, retryAfter: Duration?) {
        self.failure = failure
        self.doing = doing
        self.answer = answer
        self.remedy = remedy
        self.evidence = evidence
        self.retryAfter = retryAfter
    }

    package var outcome: Outcome { failure?.outcome ?? .gone }

    package var message: String { "\(doing): \(answer)" + (remedy.map { " (\($0))" } ?? "") }
}
