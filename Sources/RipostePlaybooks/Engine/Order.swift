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
    /// Why the mode is no wider; see ``ModeVerdict``.
    package var modeBecause: String?
    /// A roll-out lets only this share of targets have ``mode``.
    var share: RolloutShare?
    /// An operator's words.
    package var reason: String?
    package var cause: Cause?
    /// Take it back after this time.
    package var undoAfter: Duration?
    /// The action that this one takes back.
    package var undoes: Identifier?
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

/// A part of all targets, chosen by what they are and not by chance.
struct RolloutShare: Sendable, Equatable {
    var playbook: String
    /// In hundredths of a percent.
    var hundredths: Int
    /// The mode for all other targets.
    var beside: Mode
}
