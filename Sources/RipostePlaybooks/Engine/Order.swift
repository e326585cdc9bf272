package import RiposteCore

/// One action that somebody wants: a playbook's step, an operator's command, an undo. All go through the engine's one door.
package struct Order: Sendable {
    /// The run that a step belongs to.
    package struct Cause: Sendable, Equatable {
        package var run: Identifier?
        package var alert: Identifier?
        package var playbook: String
        package var step: String
    }

    package var id: Identifier
    package var actor: AuditRecord.Actor
    package var action: ActionName
    package var claim: TargetClaim
    /// As given; checked against the action's description at the door.
    package var parameters: JSONObject
    package var token: JSONObject?
    package var mode: Mode
    /// An operator's words.
    package var reason: String?
    package var cause: Cause?
    /// Take it back after this time.
    package var undoAfter: Duration?
    /// The action that this one takes back.
    package var undoes: Identifier?
    package var budget: Budget?
    package var cooldownValues: [ByteText]?
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
}
