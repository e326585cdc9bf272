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
    /// Of a playbook's step: where what is asked for is in force already, its time is made longer, but not beyond ``undoLimit`` from its beginning.
    package var prolongs = false
    package var undoLimit: Duration?
    /// The action that this one takes back.
    package var undoes: Identifier?
    /// The action whose effect this one puts right, after somebody else's change. It makes no undo of its own.
    package var restores: Identifier?
    /// How long after its due time an undo is done, where that is worth telling.
    package var lateBy: Duration?
    /// Of a person: also where the world has changed since.
    package var isForced = false
    package var budget: Budget?
    package var cooldownValues: [ByteText]?

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
