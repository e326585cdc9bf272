package import RiposteCore

/// One action that somebody wants: a playbook's step, an operator's command, an undo. All go through the engine's one door.
package struct Order: Sendable {
    /// The run that a step belongs to.
    package struct Cause: Sendable, Equatable {
        package var run: Identifier?
        package var alert: Identifier?
        package var playbook: String
        package var step: String
        /// When the alert came in, of a step that follows it without waiting for anybody.
        package var arrivedAt: Timestamp?
    }

    package var id: Identifier
    package var actor: AuditRecord.Actor
    package var action: ActionName
    package var claim: TargetClaim
    /// As given; checked against the action's description at the door.
    package var parameters: JSONObject
    package var token: JSONObject?
    package var mode: Mode
    /// Why the mode is no wider; see ``ModeVerdict``.
    package var modeBecause: String?
    /// A roll-out lets only this share of targets have ``mode``.
    var share: RolloutShare?
    /// An operator's words.
    package var reason: String?
    package var cause: Cause?
    /// Take it back after this time.
    package var undoAfter: Duration?
    /// Of a playbook's step: where what is asked for is in force already, its time is made longer, but not beyond ``undoLimit`` from its beginning.
    package var prolongs = false
    package var undoLimit: Duration?
    /// The action that this one takes back.
    package var undoes: Identifier?
    /// The action whose effect this one puts right, after somebody else's change. It makes no undo of its own.
    package var restores: Identifier?
    /// How long after its due time an undo is done, where that is worth telling.
    package var lateBy: Duration?
    /// The playbook's.
    package var budget: Budget?
    package var stepBudget: Budget?
    /// Lifts guards of the configuration, never those that are built in.
    package var isForced = false
    package var cooldownValues: [ByteText]?
    /// Of all but the wait for a person; nil: the standard one.
    package var timeLimit: Duration?
    /// Whether failures that may pass are tried again: of a playbook's steps. Nobody waits longer than needed for an order given by hand.
    package var retries = false
    /// Nil: by the class of the failure.
    package var retry: RetryPolicy?
    /// The alert is so young that those who know the target's names may not have heard of it.
    package var metadataMayLag = false
    /// Why a plan for this target is to be skipped, or nil: a step's condition on it.
    package var skips: (@Sendable (Plan) -> String?)?
    /// How people are asked, where the mode is ask; nil: as the agent's configuration says.
    var question: Question?
    /// The yes that this order rests on.
    var consent: Consent?
    /// What follows on it if nobody answers.
    var follower: Follower?

    package init(
        id: Identifier = .new(), actor: AuditRecord.Actor, action: ActionName, claim: TargetClaim, parameters: JSONObject = JSONObject(),
        mode: Mode, reason: String? = nil
    ) {
        self.id = id
        self.actor = actor
        self.action = action
        self.claim = claim
        self.parameters = parameters
        self.mode = mode
        self.reason = reason
    }

    package var isDryRun: Bool { mode == .observe }
    /// What `plan` is called as this order has it performed.
    func digest(of plan: Plan) -> String { plan.digest(undoAfter: undoAfter, token: token) }

    /// A person wants it, now.
    var isByHand: Bool { cause == nil && actor.kind == .person }
}

/// A part of all targets, chosen by what they are and not by chance.
struct RolloutShare: Sendable, Equatable {
    var playbook: String
    /// In hundredths of a percent.
    var hundredths: Int
    /// The mode for all other targets.
    var beside: Mode

    func includes(_ target: Target) -> Bool { Rollout.isOfShare(target, hundredths, of: playbook) }

    /// Why a target is treated otherwise than those of the share.
    var words: String { "the target is not of the \(Rollout.percent(hundredths)) that the roll-out has come to" }
}
