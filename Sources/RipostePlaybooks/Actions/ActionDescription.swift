/// `target.verb`: `process.kill`.
package struct ActionName: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }
    package init(stringLiteral value: String) { rawValue = value }

    package var description: String { rawValue }
}

/// What an action says of itself, beside its code.
package struct ActionDescription: Sendable {
    package enum TargetKind: String, CaseIterable, Sendable { case process, container, pod, address, host }

    /// How much it costs to be wrong.
    package enum Impact: Int, Comparable, Sendable {
        case readsOnly, reversible, usersFeelIt, destroys

        package static func < (left: Impact, right: Impact) -> Bool { left.rawValue < right.rawValue }
    }

    package var name: ActionName
    /// One sentence.
    package var summary: String
    package var target: TargetKind
    package var impact: Impact
    package var parameters: [Parameter]
    /// The action that takes it back.
    package var inverse: ActionName?
    /// Rights and facilities, for `doctor` and the reference page: "CAP_KILL", "Docker socket".
    package var needs: [String]
    /// Alert fields from which the target is found, the first ones needed, for `playbook check`.
    package var fields: [String]
    /// Offered in playbooks and on the command line; false for inverses that only an undo uses.
    package var isOffered: Bool
    /// The parameter that says how long performing may rightly wait for its target, where there is one: a grace, a stop's timeout.
    package var waits: String?
    /// The parameter that gets the story of the run where a playbook gives no words of its own.
    package var tells: String?
    /// Whether planning and performing wait for nobody but by `await`: a handful of system calls that answer at once. They are made where the order is,
    /// without a task of their own, which is half of the time from an alert to the deed. A call that can block without an `await` must not say so: nobody
    /// could give up waiting for it.
    package var isPrompt: Bool

    package init(
        name: ActionName, summary: String, target: TargetKind, impact: Impact, parameters: [Parameter] = [], inverse: ActionName? = nil,
        needs: [String] = [], fields: [String] = [], isOffered: Bool = true, waits: String? = nil, tells: String? = nil, isPrompt: Bool = false
    ) {
        self.name = name
        self.summary = summary
        self.target = target
        self.impact = impact
        self.parameters = parameters
        self.inverse = inverse
        self.needs = needs
        self.fields = fields
        self.isOffered = isOffered
        self.waits = waits
        self.tells = tells
        self.isPrompt = isPrompt
    }
}

/// The actions that this agent has, by name.
package struct ActionCatalogue: Sendable {
    private let actions: [ActionName: any Action]
    /// Those that take another one back.
    let releases: Set<ActionName>

    package init(_ actions: [any Action]) {
        self.actions = Dictionary(actions.map { ($0.description.name, $0) }, uniquingKeysWith: { first, _ in first })
        releases = Set(actions.compactMap(\.description.inverse))
    }

    package subscript(name: ActionName) -> (any Action)? { actions[name] }

    /// Sorted by name.
    package var descriptions: [ActionDescription] { actions.values.map(\.description).sorted { $0.name.rawValue < $1.name.rawValue } }
}
