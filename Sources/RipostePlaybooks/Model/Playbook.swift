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
}

/// Which alerts a playbook answers. All keys must hold; of a list any one.
package struct Match: Sendable {
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

    package func holds(for alert: Alert) -> Bool { condition.matches(alert) }
}

/// After a run that acted, no other one for the same values within this time.
package struct Cooldown: Sendable, Equatable {
    package var length: Duration
    /// Fields whose values must be the same; none: the playbook as a whole.
    package var by: [String]
}

/// At most so many actions that change something within any window of this length.
package struct Budget: Sendable, Equatable {
    package var actions: Int
    package var per: Duration
}

/// One action of a playbook.
package struct Step: Sendable {
    package enum OnFailure: String, CaseIterable, Sendable {
        /// The run ends.
        case stop
        case `continue`
        /// What this run did is taken back, last first, and the run ends.
        case undo
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
    /// Answered in the kernel, before the program's next instruction, where the own sensor sees what the rule names; see ``Reflex``.
    package var isReflex = false
}

/// A parameter as a playbook gives it: a value, or a text with fields of the alert in it.
package enum ParameterSource: Sendable, Equatable {
    case literal(JSON)
    case template(Template)
    case list([ParameterSource])
}
