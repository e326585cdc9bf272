package import RiposteCore

/// Who decides about a plan, and until when.
package struct ApprovalTerms: Sendable, Equatable {
    /// What becomes of a plan that nobody decided about in time.
    package enum OnExpiry: String, CaseIterable, Sendable {
        /// Nothing: the step ends `expired`, which counts as a failure of the step.
        case drop
        /// It is looked at once more, and ends `planned`: the run goes on.
        case observe
        /// It is performed. Only what can be taken back, and only where everything but the question itself says enforce.
        case perform
    }

    /// How long the question stands.
    package var expires: Duration
    /// Empty: whoever may give the agent orders.
    package var approvers: [Approver]
    /// So many different persons must say yes.
    package var quorum: Int
    package var onExpiry: OnExpiry

    package init(expires: Duration = .seconds(900), approvers: [Approver] = [], quorum: Int = 1, onExpiry: OnExpiry = .drop) {
        self.expires = expires
        self.approvers = approvers
        self.quorum = quorum
        self.onExpiry = onExpiry
    }

    static let longest = Duration.seconds(7 * 86400)

    package func mayDecide(_ person: Person) -> Bool { approvers.isEmpty || approvers.contains { $0.includes(person) } }
}

/// `user:NAME` or `group:NAME`, as the machine's user database knows them.
package enum Approver: Sendable, Equatable, CustomStringConvertible {
    case user(String)
    case group(String)

    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        switch parts[0] {
        case "user": self = .user(String(parts[1]))
        case "group": self = .group(String(parts[1]))
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .user(let name): "user:\(name)"
        case .group(let name): "group:\(name)"
        }
    }

    package func includes(_ person: Person) -> Bool {
        switch self {
        case .user(let name): person.actor.name == name
        case .group(let name): person.groups.contains(name)
        }
    }
}

/// Somebody who decides, as the kernel and the user database tell, never as they say themselves.
package struct Person: Sendable, Equatable {
    package var actor: AuditRecord.Actor
    /// Names.
    package var groups: Set<String>

    package init(_ actor: AuditRecord.Actor, groups: Set<String> = []) {
        self.actor = actor
        self.groups = groups
    }
}

/// The key `approval` of a playbook or a step: what it says differently from those above it.
package struct ApprovalKeys: Sendable, Equatable {
    package var expires: Duration?
    package var approvers: [Approver]?
    package var quorum: Int?
    package var onExpiry: ApprovalTerms.OnExpiry?

    package init(expires: Duration? = nil, approvers: [Approver]? = nil, quorum: Int? = nil, onExpiry: ApprovalTerms.OnExpiry? = nil) {
        self.expires = expires
        self.approvers = approvers
        self.quorum = quorum
        self.onExpiry = onExpiry
    }

    func over(_ terms: ApprovalTerms) -> ApprovalTerms {
        ApprovalTerms(
            expires: expires ?? terms.expires, approvers: approvers ?? terms.approvers, quorum: quorum ?? terms.quorum, onExpiry: onExpiry ?? terms.onExpiry)
    }
}

/// What the agent's configuration says of all questions.
package struct ApprovalPolicy: Sendable, Equatable {
    /// Where a playbook says nothing.
    package var terms = ApprovalTerms()
    /// At least so many persons for the gravest: what destroys a pod or harms this host. A playbook can ask for more and not for fewer.
    package var gravestQuorum = 1
    /// Questions that are open at the same time; what comes beyond is observed, and told.
    package var openLimit = 20
    /// Actions by hand that destroy something wait for a second person.
    package var asksByHand = false
    /// Nobody alone sets a mode, or moves a roll-out on, so that something that destroys acts unasked.
    package var asksToWiden = false

    package init() {}

    /// Plans that one question can hold.
    static let memberLimit = 100

    /// `keys`: of the playbook and of the step, the narrower last.
    func terms(_ keys: [ApprovalKeys?], for action: ActionDescription) -> ApprovalTerms {
        var terms = keys.compactMap(\.self).reduce(terms) { $1.over($0) }
        if action.isGravest { terms.quorum = max(terms.quorum, gravestQuorum) }
        if terms.onExpiry == .perform, action.impact > .reversible { terms.onExpiry = .drop }
        return terms
    }
}

extension ActionDescription {
    /// What hits more than one workload's owner would notice: a pod destroyed, this host cut off.
    var isGravest: Bool {
        switch target {
        case .pod: impact == .destroys
        case .host: impact >= .usersFeelIt
        case .process, .container, .address: false
        }
    }
}

/// The key `escalate` of a step: what follows if nobody answers.
package struct Escalation: Sendable, Equatable {
    package var after: Duration
    package var action: ActionName
    package var parameters: [String: ParameterSource]

    package init(after: Duration, action: ActionName, parameters: [String: ParameterSource] = [:]) {
        self.after = after
        self.action = action
        self.parameters = parameters
    }
}
