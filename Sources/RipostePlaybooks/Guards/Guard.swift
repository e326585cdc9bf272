package import RiposteCore

/// What a guard is asked: a plan, and who wants it.
package struct GuardQuestion: Sendable {
    package var plan: Plan
    /// Nil: a person, by hand.
    package var playbook: String?
    /// Takes an earlier action back, or lets go of what one holds.
    package var isRelease: Bool
    /// Takes an earlier action back: what was done stays bounded in time, whatever is guarded meanwhile.
    package var isUndo: Bool
    package var time: Timestamp

    package init(plan: Plan, playbook: String? = nil, isRelease: Bool = false, isUndo: Bool = false, time: Timestamp) {
        self.plan = plan
        self.playbook = playbook
        self.isRelease = isRelease
        self.isUndo = isUndo
        self.time = time
    }
}

/// What a guard says that has something to say.
package struct GuardAnswer: Sendable, Equatable {
    package enum Verdict: Sendable, Equatable {
        case refuse
        /// No less careful than this.
        case atMost(Mode)
    }

    package var name: String
    /// `config/riposte.yaml:41`; nil for one that is built in.
    package var place: String?
    package var verdict: Verdict
    package var reason: String

    package init(name: String, place: String? = nil, verdict: Verdict, reason: String) {
        self.name = name
        self.place = place
        self.verdict = verdict
        self.reason = reason
    }

    /// "guard freeze-weekends (config/riposte.yaml:41)"
    package var title: String { "guard \(name)" + (place.map { " (\($0))" } ?? "") }

    package var json: JSON {
        var object: JSONObject = ["guard": .text(name)]
        object.append("place", place.map(JSON.text))
        switch verdict {
        case .refuse: object.append("verdict", "refuse")
        case .atMost(let mode): object.append("verdict", .text(mode.rawValue))
        }
        object.append("reason", .text(reason))
        return .object(object)
    }
}

/// Something that must never be hit, or not without being asked: it is heard between plan and deed. A guard reads the plan and the world, never the alert.
package protocol Guard: Sendable {
    /// For the journal: `builtin.ancestors`.
    var name: String { get }

    /// No flag and no file switches it off.
    var isBuiltIn: Bool { get }

    /// Why this plan must not be performed, or nil. A guard that cannot find out refuses.
    func refusal(of plan: Plan) async -> String?

    /// Nil where it has nothing against it.
    func answer(to question: GuardQuestion) async -> GuardAnswer?
}

extension Guard {
    package var isBuiltIn: Bool { true }

    package func refusal(of plan: Plan) async -> String? { nil }

    /// For those who only refuse.
    package func answer(to question: GuardQuestion) async -> GuardAnswer? {
        await refusal(of: question.plan).map { GuardAnswer(name: name, verdict: .refuse, reason: $0) }
    }
}
