package import RiposteCore

/// The rules of Falco Talon, as its files have them after all files were read and merged: which alerts, and what is then done to whom
/// (source: Talon's documentation of rules, and what its program does where that says nothing).
package struct TalonRules: Sendable, Equatable {
    /// In the order in which Talon asks them.
    package var rules: [Rule]
    /// Keys and entries that Talon passes over without a word.
    package var passedOver: [PassedOver]
    package var files: [String]

    package struct Place: Sendable, Equatable, CustomStringConvertible {
        package var file: String
        package var line: Int

        package var description: String { "\(file):\(line)" }
    }

    package struct PassedOver: Sendable, Equatable {
        package var place: Place
        package var what: String
        package var suggestion: String?
    }

    package struct Rule: Sendable, Equatable {
        package var name: String
        package var description: String
        /// False: after it no other rule sees the alert. Nil is true.
        package var isFollowed: Bool?
        package var isDryRun: Bool?
        package var match: Match
        package var actions: [Action]
        package var notifiers: [String]
        package var place: Place
    }

    /// All that is given must hold.
    package struct Match: Sendable, Equatable {
        /// Exact names.
        package var rules: [String] = []
        package var priority: Match.Priority?
        /// Any of these groups; of a group all.
        package var tags: [[String]] = []
        package var source: String?
        /// Any of these groups; of a group all.
        package var fields: [[FieldTest]] = []

        package struct Priority: Sendable, Equatable {
            package var test: RipostePlaybooks.Match.PriorityTest
            /// As it was written: `Critical`, `>=Warning`.
            package var text: String
        }
    }

    /// `k8s.ns.name!=kube-system`
    package struct FieldTest: Sendable, Equatable {
        package var field: String
        package var isNegated: Bool
        package var value: String
        package var quirk: Quirk?

        /// Where Talon takes a test for another one than was written.
        package enum Quirk: Sendable, Equatable {
            /// Not tested at all.
            case dropped
            /// The whole group never holds.
            case neverHolds
            /// `!=` inside the value is read as `!`.
            case readDifferently
        }
    }

    package struct Action: Sendable, Equatable {
        package var name: String
        package var description: String
        /// `kubernetes:terminate`
        package var actionner: String
        /// Whether the rule's next action follows; nil: as the actionner has it.
        package var isFollowed: Bool?
        package var ignoresErrors: Bool?
        package var additionalContexts: [String]
        package var parameters: JSONObject
        package var output: Output?
        package var place: Place
    }

    package struct Output: Sendable, Equatable {
        /// `aws:s3`
        package var target: String
        package var parameters: JSONObject
    }
}
