package import RiposteCore

/// A question to people: one plan, or several alike about the same workload, and what was answered so far.
///
/// A value: no clock, no I/O. ``ruling(on:by:seen:at:)`` says what an answer comes to; the engine writes that down, and the record moves the
/// question on. So what is in memory is never ahead of what a restart would find.
package struct ApprovalRequest: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// A step, or an action by hand, waits for a yes.
        case plan
        /// A stronger action follows by itself if nobody answers.
        case escalation
    }

    /// Somebody's yes.
    package struct Voice: Sendable, Equatable {
        package var name: String
        package var uid: UInt32?

        package init(_ actor: AuditRecord.Actor) {
            name = actor.name
            uid = actor.uid
        }

        init(name: String, uid: UInt32?) {
            self.name = name
            self.uid = uid
        }

        /// Users by number: a name can be given twice.
        func isOf(_ actor: AuditRecord.Actor) -> Bool { uid != nil || actor.uid != nil ? uid == actor.uid : name == actor.name }
    }

    /// Why nobody needs to answer any more.
    package enum Withdrawal: String, Sendable, CaseIterable {
        case gone, playbook, undone, superseded
    }

    /// Once it is no longer ``waiting(_:)`` the answer stands, and what follows from it is under way until each plan has its outcome.
    package enum Phase: Sendable, Equatable {
        case waiting([Voice])
        case granted([Voice], at: Timestamp)
        case denied(by: String, reason: String?)
        case expired(at: Timestamp)
        case withdrawn(Withdrawal, why: String)

        package var name: String {
            switch self {
            case .waiting: "waiting"
            case .granted: "granted"
            case .denied: "denied"
            case .expired: "expired"
            case .withdrawn: "withdrawn"
            }
        }
    }

    /// One plan that is asked about.
    package struct Member: Sendable, Equatable {
        package enum Hold: String, Sendable { case none, wanted, inForce }

        /// Of kind `approval`, `requested` or `joined`: it holds all that performing needs.
        package var record: AuditRecord
        /// Its intent is on record: whatever became of it, it is not performed a second time.
        package var isAnnounced = false
        package var hold: Hold
    }

    /// The id of the first plan: what the result `pending` shows.
    package let id: Identifier
    /// Of kind `approval`, state `requested`.
    package let opening: AuditRecord
    let facts: ApprovalFacts
    /// Those that have no outcome yet.
    package internal(set) var members: [Member]
    package internal(set) var phase: Phase

    package enum Answer: Sendable, Equatable { case approve, deny }

    package enum Ruling: Sendable, Equatable {
        /// Enough have said yes.
        case grant
        /// One more yes, and so many are missing.
        case voice(missing: Int)
        case deny
        /// The time is over: whatever was answered comes too late.
        case expire
        /// The answer does not count; why.
        case refuse(String)
    }

    /// What an answer comes to. `seen`: how many plans the person has looked at, so that nobody says yes to what came in since; nil where there is only one.
    package func ruling(on answer: Answer, by person: Person, seen: Int? = nil, at now: Timestamp) -> Ruling {
        guard case .waiting(let voices) = phase else { return .refuse("it was \(phase.name) before") }
        guard now < deadline else { return .expire }
        let isRequester = requesters.contains { Voice($0).isOf(person.actor) }
        guard terms.mayDecide(person) || (isRequester && answer == .deny) else {
            return .refuse("\(person.actor.name) is none of those who decide about it (\(terms.approvers.map(\.description).joined(separator: ", ")))")
        }
        guard answer == .approve else { return .deny }
        if isRequester { return .refuse("\(person.actor.name) asked for it: somebody else must approve") }
        if voices.contains(where: { $0.isOf(person.actor) }) { return .refuse("\(person.actor.name) has approved it before: somebody else is needed too") }
        if (seen ?? 1) != members.count { return .refuse("it holds \(members.count) plans; look at them all, and say --plans \(members.count)") }
        let missing = terms.quorum - voices.count - 1
        return missing > 0 ? .voice(missing: missing) : .grant
    }

    package func isOverdue(at now: Timestamp) -> Bool {
        guard case .waiting = phase else { return false }
        return now >= deadline
    }

    package var isWaiting: Bool { if case .waiting = phase { true } else { false } }
    package var voices: [Voice] {
        switch phase {
        case .waiting(let voices), .granted(let voices, _): voices
        case .denied, .expired, .withdrawn: []
        }
    }
}

// MARK: - What the records say

extension AuditRecord {
    /// Of a question: the person whose command it is, or who fed in the alert.
    fileprivate var requester: Actor? { actor.flatMap { $0.kind == .person ? $0 : nil } ?? detail["requester"].flatMap(Actor.init(json:)) }
}

extension ApprovalRequest {
    package var kind: Kind { facts.kind }
    package var deadline: Timestamp { facts.deadline }
    package var terms: ApprovalTerms { facts.terms }
    package var workload: String { facts.workload }
    package var playbookDigest: String? { facts.playbookDigest }
    /// The action that this one follows on.
    package var escalates: Identifier? { facts.escalates }
    /// The action that is taken back if somebody says yes.
    package var undoes: Identifier? { opening.undoes }
    /// The action whose effect is put right if somebody says yes.
    package var restores: Identifier? { opening.detail["restores"]?["action"]?.string?.valid.flatMap { Identifier($0) } }
    /// Once that action is taken back there is nothing left to ask.
    func hangs(on action: Identifier) -> Bool { [escalates, undoes, restores].contains(action) }
    /// Persons who want it done, or one of its plans, and so may not approve it.
    package var requesters: [AuditRecord.Actor] { ([opening] + members.map(\.record)).compactMap(\.requester) }
    package var requester: AuditRecord.Actor? { requesters.first }
    package var askedAt: Timestamp { opening.time }
    /// Everything but the question itself said enforce of this plan when it was put. Records of earlier versions say so of the first plan only, for all.
    func mayEnforce(_ member: Member) -> Bool { member.record.detail["may_enforce"]?.bool ?? facts.mayEnforce }
}

/// What the first record of a question says beside the plan; read once.
struct ApprovalFacts: Sendable, Equatable {
    var kind: ApprovalRequest.Kind
    var deadline: Timestamp
    var terms: ApprovalTerms
    var workload: String
    var playbookDigest: String?
    var escalates: Identifier?
    /// Everything but the question itself said enforce when it was asked.
    var mayEnforce: Bool
    /// The mode was given by hand, for alerts that were fed in by hand: the agent's own mode has no say.
    var isModeGiven: Bool
}

extension ApprovalRequest.Member {
    package var id: Identifier? { record.id }
    var target: Target? { record.target }
    package var digest: String? { record.detail["plan_digest"]?.string?.valid }
    /// Where the alert came in. Records of earlier versions say so among the evidence, or not at all.
    var intake: String? { record.detail.text("intake") ?? record.detail["why"]?.text("intake") }
    package var undoAfter: Duration? { record.detail["undo_after"]?.string?.valid.flatMap { Duration(text: $0) } }
    var holdID: Identifier? { record.detail["hold"]?["id"]?.string?.valid.flatMap { Identifier($0) } }
    var holdAction: ActionName? { record.detail["hold"]?["action"]?.string?.valid.map(ActionName.init(rawValue:)) }
    package var summary: String { record.message ?? "" }
}
