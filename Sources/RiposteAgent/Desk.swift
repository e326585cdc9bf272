package import RiposteCore
package import RipostePlaybooks

/// Where a command's questions go: to the running agent, or, where there is none, to the journal. Nothing is touched or written down for them.
package protocol QuestionDesk: Sendable {
    /// What is in force and meant, the newest first.
    func inForce(_ selection: UndoSelection) async throws(DeskError) -> [EngineState.OpenUndo]
    /// Whom persons let go, and until when nothing automatic may touch them.
    func pardons() async throws(DeskError) -> [Pardons.Pardon]
    /// The questions that wait for a person, as ``ApprovalView/json``.
    func questions() async throws(DeskError) -> [JSON]
    /// Breakers that are not closed.
    func breakers() async throws(DeskError) -> [Breakers.Breaker]
    /// The modes in force; see ``Engine/modesInForce``.
    func modes() async throws(DeskError) -> JSON
    func close() async
}

/// Where a command's wishes go: to the running agent, or, where there is none, to an engine in the command's own process. Either
/// way the same guards, the same journal, the same results.
package protocol Desk: QuestionDesk {
    /// One action by hand.
    func act(_ command: ManualCommand) async throws(DeskError) -> ActionResult
    /// Takes back what is meant, the newest first.
    func undo(_ command: UndoCommand) async throws(DeskError) -> [ActionResult]
    /// Lets playbooks act on these targets again; gives those that it lifted.
    func liftPardons(_ command: PardonLiftCommand) async throws(DeskError) -> [Pardons.Pardon]
    /// A person's answer to one of them.
    func decide(_ command: DecisionCommand) async throws(DeskError) -> Engine.Answered
    /// Feeds alerts through playbooks; one report per alert.
    func respond(_ command: RespondCommand) async throws(DeskError) -> [AlertReport]
    /// Closes a breaker; gives it as it was.
    func closeBreaker(_ command: BreakerCommand) async throws(DeskError) -> Breakers.Breaker
    /// Changes a mode, moves a playbook on in its roll-out, or judges an alert.
    func steer(_ command: SteeringCommand) async throws(DeskError) -> SteeringResult
}

/// An operator's word that a breaker is to be closed.
package struct BreakerCommand: Sendable, Equatable {
    package var name: String
    package var reason: String?

    package init(name: String, reason: String? = nil) {
        self.name = name
        self.reason = reason
    }
}

/// An operator's wish for one action.
package struct ManualCommand: Sendable, Equatable {
    package var action: ActionName
    package var claim: TargetClaim
    package var parameters: JSONObject
    package var isDryRun: Bool
    package var reason: String?
    /// Take it back by itself after this.
    package var undoAfter: Duration?
    /// Lifts guards of the configuration.
    package var isForced: Bool
    /// Somebody else must approve it first.
    package var asks: Bool

    package init(
        action: ActionName, claim: TargetClaim, parameters: JSONObject = JSONObject(), isDryRun: Bool, reason: String? = nil,
        undoAfter: Duration? = nil, isForced: Bool = false, asks: Bool = false
    ) {
        self.isForced = isForced
        self.action = action
        self.claim = claim
        self.parameters = parameters
        self.isDryRun = isDryRun
        self.reason = reason
        self.undoAfter = undoAfter
        self.asks = asks
    }
}

package struct DecisionCommand: Sendable, Equatable {
    /// The question's id, or that of a plan in it.
    package var question: Identifier
    package var answer: ApprovalRequest.Answer
    /// How many plans the person has looked at.
    package var seen: Int?
    package var reason: String?
    /// With a no: playbooks leave the targets alone for a while.
    package var pardons: Bool

    package init(question: Identifier, answer: ApprovalRequest.Answer, seen: Int? = nil, reason: String? = nil, pardons: Bool = false) {
        self.question = question
        self.answer = answer
        self.seen = seen
        self.reason = reason
        self.pardons = pardons
    }
}

package struct UndoCommand: Sendable, Equatable {
    package var selection: UndoSelection
    package var isDryRun: Bool
    package var reason: String?
    /// Also where the world is no longer as the action left it.
    package var isForced: Bool

    package init(_ selection: UndoSelection, isDryRun: Bool, reason: String? = nil, isForced: Bool = false) {
        self.selection = selection
        self.isDryRun = isDryRun
        self.reason = reason
        self.isForced = isForced
    }
}

package struct PardonLiftCommand: Sendable, Equatable {
    package var target: String
    package var reason: String?

    package init(target: String, reason: String? = nil) {
        self.target = target
        self.reason = reason
    }
}

/// Calls off an action that is under way. Only an agent has such; a command sees its own action through.
package struct CancelCommand: Sendable, Equatable {
    package var action: Identifier
    package var reason: String?

    package init(action: Identifier, reason: String? = nil) {
        self.action = action
        self.reason = reason
    }
}

/// Alerts to put through playbooks once.
package struct RespondCommand: Sendable, Equatable {
    package struct Document: Sendable, Equatable {
        package var name: String
        package var text: String

        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// Playbook files, read by whoever asks; nil: those that the agent has in force.
    package var playbooks: [Document]?
    /// One alert as JSON per element.
    package var alerts: [[UInt8]]
    package var mode: Mode
    /// Recorded alerts are old; without this they are only observed.
    package var maximumAlertAge: Duration?

    package init(playbooks: [Document]?, alerts: [[UInt8]], mode: Mode, maximumAlertAge: Duration? = nil) {
        self.playbooks = playbooks
        self.alerts = alerts
        self.mode = mode
        self.maximumAlertAge = maximumAlertAge
    }
}

/// One alert, to be told what would become of it.
package struct ExplainCommand: Sendable, Equatable {
    /// As JSON text.
    package var alert: [UInt8]
    package var intake: String
    /// Nil: those that the agent has in force.
    package var playbooks: [RespondCommand.Document]?

    package init(alert: [UInt8], intake: String, playbooks: [RespondCommand.Document]?) {
        self.alert = alert
        self.intake = intake
        self.playbooks = playbooks
    }
}

/// What became of one alert.
package struct AlertReport: Sendable, Equatable {
    /// The alert's place among those handed in, from 1.
    package var number: Int
    package var rule: String
    package var playbooks: [String]
    package var results: [ActionResult]
    /// Set where the text was no alert, or was not taken.
    package var problem: String?
    /// It is an alert, and the engine did not take it: nothing came of it.
    package var isNotTaken: Bool
    /// Why playbooks that it fits did not answer it: it was told before, or is one of several that a threshold waits for.
    package var remarks: [String]

    package init(number: Int, rule: String, playbooks: [String] = [], results: [ActionResult] = [], problem: String? = nil, isNotTaken: Bool = false, remarks: [String] = []) {
        self.isNotTaken = isNotTaken
        self.remarks = remarks
        self.number = number
        self.rule = rule
        self.playbooks = playbooks
        self.results = results
        self.problem = problem
    }
}

/// Why a desk could not even take a wish.
package struct DeskError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The caller asked for something that makes no sense.
        case invalid
        /// The agent does not take orders from this user.
        case denied
        /// No agent answers: nothing was asked of one.
        case noAgent
        /// There is one, and it does not answer: nobody else may be asked in its place.
        case silent
        /// It was sent to the agent, and no answer that can be read came back: it may have been done, or be under way, or never have been begun.
        case unclear
        /// What is named is not there.
        case notFound
        /// Somebody else holds the journal, or it cannot be written.
        case journal
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    /// The command line's exit status (design: 1 failed, 2 bad usage, 3 refused, 6 no agent).
    package var exitStatus: Int32 {
        switch code {
        case .invalid: 2
        case .denied: 3
        case .notFound: 4
        case .noAgent, .silent: 6
        case .journal, .unclear: 1
        }
    }
}
