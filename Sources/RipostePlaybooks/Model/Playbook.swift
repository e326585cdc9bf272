package import RiposteCore
package import RiposteRules

/// What to do when an alert says something: one entry of a playbook file, checked and compiled.
package struct Playbook: Sendable {
    package var name: String
    /// For the person on call: what this alert means and what to look at.
    package var description: String
    /// False: read and checked, never matched.
    package var isEnabled: Bool
    /// Nil: the agent's.
    package var mode: Mode?
    package var match: Match
    package var cooldown: Cooldown?
    package var budget: Budget?
    package var steps: [Step]
    package var file: String
    package var line: Int
    /// How people are asked, where they are.
    package var approval: ApprovalKeys?
    /// Of what the file says of this playbook: tells whether it is still the one that somebody was asked about.
    package var digest = ""
    /// Who answers for it, for approvers and the story of an incident.
    package var owner: String?
    /// What to look at: run books, dashboards.
    package var links: [String] = []
    package var rollout: Rollout?
    /// Nil: the agent's.
    package var dedup: Dedup?
    /// No later playbook sees an alert that this one answers.
    package var isFinal = false
    /// Those of a smaller one see an alert first; of equal ones, those of earlier files and places.
    package var order = 0
    /// `on_finish`: what is told when all steps have ended.
    package var finish: [Step] = []
    /// Fields of the alert that its steps are given and act by, in the order of their names: of two alerts that differ in one of them each asks for another deed.
    var deedFields: [ByteText] = []
    /// What the machine must be able to do, or the playbook is not taken.
    package var requires: [Requirement] = []

    package struct Requirement: Sendable, Equatable {
        package var ability: Ability
        package var place: Diagnostic.Place?
    }
}

extension Playbook {
    /// What only tells somebody makes no other deed, whatever it tells.
    mutating func noteDeedFields() {
        let given = steps.filter { $0.impact > .readsOnly }.flatMap { step in step.parameters.map(\.value) + (step.escalation.map { Array($0.parameters.values) } ?? []) }
        let names = Set(given.flatMap(\.fields)).filter { !StepScope.families.contains(String($0.prefix { $0 != "." })) }
        deedFields = names.sorted().map { ByteText($0) }
    }
}

/// Which alerts a playbook answers. All keys must hold; of a list any one.
package struct Match: Sendable {
    /// Where alerts come in: the intakes' names, the own sensor, and alerts that are fed in by hand.
    package static let intakeNames = ["http", "file", "socket", "stdin", "sensor", "kubernetes_audit", "kubernetes_audit_log", "respond", "dry-run"]

    /// Rule names: exact, or with `*` and `?`.
    package var rules: [String] = []
    /// Names with `!` before them: never these.
    package var exceptRules: [String] = []
    package var priority: PriorityTest?
    /// Any of these groups; of a group all.
    package var tags: [[String]] = []
    /// Falco's event sources. Alerts about the detector itself (`internal`) match only where named.
    package var sources: [String] = []
    package var when: WhenClause?
    /// Names of intakes; none: alerts of every intake.
    package var intakes: [String] = []
    /// One run for so many alerts.
    package var threshold: Threshold?

    package struct PriorityTest: Sendable, Equatable {
        package enum Comparison: String, CaseIterable, Sendable {
            case atLeast = ">="
            case above = ">"
            case atMost = "<="
            case below = "<"
            case equal = "="
        }

        package var comparison: Comparison
        package var priority: Priority

        package func holds(_ other: Priority) -> Bool {
            switch comparison {
            case .atLeast: other >= priority
            case .above: other > priority
            case .atMost: other <= priority
            case .below: other < priority
            case .equal: other == priority
            }
        }
    }
}

/// A condition over an alert's fields, as written and compiled.
package struct WhenClause: Sendable {
    package var text: String
    package var condition: CompiledCondition
    /// Of a step: what may be asked beside the alert.
    package var scope: ConditionScope?

    package init(text: String, condition: CompiledCondition, scope: ConditionScope? = nil) {
        self.text = text
        self.condition = condition
        self.scope = scope
    }

    package func holds(for alert: Alert) -> Bool { condition.matches(alert) }
}

/// After a run that acted, no other one for the same values within this time.
package struct Cooldown: Sendable, Equatable {
    package var length: Duration
    /// Fields whose values must be the same; none: the playbook as a whole.
    package var by: [String]
}

/// One action of a playbook.
package struct Step: Sendable {
    package enum OnFailure: Equatable, Sendable {
        /// The run ends.
        case stop
        case `continue`
        /// What this run did is taken back, last first, and the run ends.
        case undo
        /// The run goes on at a later step.
        case goto(String)
    }

    /// Unique within the playbook; the action's name unless given.
    package var name: String
    package var action: ActionName
    package var parameters: [(name: String, value: ParameterSource)]
    package var when: WhenClause?
    package var undoAfter: Duration?
    /// Another alert for a target on which the action stands makes its time longer, but not beyond ``undoMax`` from its beginning.
    package var prolongsUndo = false
    package var undoMax: Duration?
    package var onFailure: OnFailure
    /// Only more careful than the playbook's.
    package var mode: Mode?
    /// Of this step, within the playbook's.
    package var budget: Budget?
    /// Answered in the kernel, before the program's next instruction, where the own sensor sees what the rule names; see ``Reflex``.
    package var isReflex = false
    /// Runs only if these earlier steps ended `done` or `already`.
    package var needs: [String] = []
    /// The block in which it runs together with others.
    package var block: ParallelBlock?
    /// Of planning, waiting for its turn, performing and retries together; nil: ``standardTimeLimit`` and what the action waits for its target.
    package var timeLimit: Duration?
    /// Nil: by the class of the failure, see ``Attempts``.
    package var retry: RetryPolicy?
    /// Of its action.
    package var impact = ActionDescription.Impact.reversible
    /// Set: a person is asked before this step, whatever the mode.
    package var approval: ApprovalKeys?
    /// What is done at once while a person decides, and taken back if the answer is no.
    package var hold: ActionName?
    /// What follows if nobody answers.
    package var escalation: Escalation?

    package static let standardTimeLimit = Duration.seconds(10)
}

/// Steps that run together: `parallel`.
package struct ParallelBlock: Sendable {
    package var name: String
    /// Hold for each of its steps.
    package var needs: [String]
    package var when: WhenClause?
}

/// A parameter as a playbook gives it: a value, or a text with fields of the alert in it.
package enum ParameterSource: Sendable, Equatable {
    case literal(JSON)
    case template(Template)
    case list([ParameterSource])

    /// Those that are put into it.
    var fields: [String] {
        switch self {
        case .literal: []
        case .template(let template): template.fields
        case .list(let elements): elements.flatMap(\.fields)
        }
    }
}
