package import RiposteCore

/// What is asked and not settled, what is held meanwhile, and which escalations are still to be put: what replaying the journal gives of approvals.
package struct ApprovalBook: EngineStatePart, Equatable {
    /// How people decided about a playbook's plans before.
    package struct Tally: Sendable, Equatable {
        package var granted = 0
        package var denied = 0
        package var expired = 0
    }

    /// Open questions by id.
    package private(set) var requests: [Identifier: ApprovalRequest] = [:]
    /// The question that a plan is in.
    private var requestOf: [Identifier: Identifier] = [:]
    /// The plan that a hold is for, as long as that has no outcome.
    private var planHeldBy: [Identifier: Identifier] = [:]
    /// Intents that say what is to follow if nobody answers, until their outcome is known.
    private var announced: [Identifier: AuditRecord] = [:]
    /// Acts that are done, whose escalation has not been put yet: their intents.
    package private(set) var owed: [Identifier: AuditRecord] = [:]
    /// Holds in force whose question is settled: to be taken back now.
    package private(set) var looseHolds: Set<Identifier> = []
    package private(set) var tallies: [String: Tally] = [:]
    /// The last plan found no room.
    package private(set) var isOverflowing = false

    /// Playbooks are named by operators; a journal of many years still has no more of them than this.
    private static let tallyLimit = 4096

    package init() {}

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .approval: take(record)
        case .intent: announce(record)
        case .outcome: settle(record)
        default: break
        }
    }

    // MARK: - For the engine

    package func request(holding plan: Identifier) -> ApprovalRequest? { requestOf[plan].flatMap { requests[$0] } }

    /// The question whether an action is to be taken back.
    func request(toTakeBack action: Identifier) -> ApprovalRequest? { requests.values.filter { $0.undoes == action }.min { $0.id < $1.id } }

    /// The question whether what an action did is to be put right.
    func request(toRestore action: Identifier) -> ApprovalRequest? { requests.values.filter { $0.restores == action }.min { $0.id < $1.id } }

    /// Actions about which people are asked whether they are to be taken back.
    var asksToTakeBack: Set<Identifier> { Set(requests.values.lazy.compactMap(\.undoes)) }

    /// Where a plan goes.
    enum Place: Equatable {
        case new
        case join(Identifier)
        case overflow(open: Int)
    }

    /// One that is like an open question nobody has answered in part goes into it; another one becomes a question if there is room.
    func place(_ question: Order.Question, _ kind: ApprovalRequest.Kind, step: String?, action: ActionName, limit: Int, isOver: (ApprovalRequest) -> Bool) -> Place {
        if kind == .plan, question.playbookDigest != nil {
            let open = requests.values.filter { request in
                request.phase == .waiting([]) && request.kind == .plan && request.isPutLike(question) && request.opening.step == step
                    && request.opening.action == action.rawValue && !isOver(request) && request.members.count < ApprovalPolicy.memberLimit
            }
            if let oldest = open.map(\.id).min() { return .join(oldest) }
        }
        let open = requests.values.count(where: \.isWaiting)
        return open < limit ? .new : .overflow(open: open)
    }

    /// What is not in force any more needs nobody to let it go.
    mutating func forgetHolds(exceptThose isInForce: (Identifier) -> Bool) {
        guard !looseHolds.isEmpty else { return }
        looseHolds = looseHolds.filter(isInForce)
    }

    // MARK: - Records

    private mutating func take(_ record: AuditRecord) {
        guard let state = record.approvalState, let id = record.id else { return }
        switch state {
        case .requested:
            guard let request = ApprovalRequest(record) else { return }
            requests[id] = request
            file(record, plan: id, in: id)
            isOverflowing = false
            if let escalates = request.escalates { owed[escalates] = nil }
        case .joined:
            guard let request = record.detail["request"]?.string?.valid.flatMap({ Identifier($0) }), requests[request] != nil else { return }
            requests[request]?.members.append(ApprovalRequest.Member(record))
            file(record, plan: id, in: request)
        case .overflow: isOverflowing = true
        case .refused: break
        case .voted, .granted, .denied, .expired, .withdrawn:
            requests[id]?.follow(record, state)
            if state == .withdrawn { owed[id] = nil }
            count(state, record.playbook)
        }
    }

    private mutating func file(_ record: AuditRecord, plan: Identifier, in request: Identifier) {
        requestOf[plan] = request
        if let hold = ApprovalRequest.Member(record).holdID { planHeldBy[hold] = plan }
    }

    private mutating func count(_ state: ApprovalState, _ playbook: String?) {
        guard let playbook, tallies[playbook] != nil || tallies.count < Self.tallyLimit else { return }
        switch state {
        case .granted: tallies[playbook, default: Tally()].granted += 1
        case .denied: tallies[playbook, default: Tally()].denied += 1
        case .expired: tallies[playbook, default: Tally()].expired += 1
        default: break
        }
    }

    private mutating func announce(_ record: AuditRecord) {
        guard let id = record.id else { return }
        change(id) { $0.isAnnounced = true }
        if record.detail["escalation"] != nil { announced[id] = record }
    }

    private mutating func settle(_ record: AuditRecord) {
        guard let id = record.id, let outcome = record.outcome, outcome != .pending else { return }
        if let intent = announced.removeValue(forKey: id), outcome == .done { owed[id] = intent }
        if let undone = record.undoes { takeBack(undone, outcome) }
        if let prolonged = record.detail["prolongs"]?["action"]?.string?.valid.flatMap({ Identifier($0) }) { giveAway(prolonged) }
        // Also what was done in part, or may have been, is to be let go. Of a deed that came back late and did no more, what was said first stands.
        let hasUndo = record.detail["undo"] != nil
        if let plan = planHeldBy[id], hasUndo || record.detail["late"] == nil { change(plan) { $0.hold = hasUndo ? .inForce : .none } }
        close(id)
    }

    /// A plan has its outcome. What was held for it is to be let go.
    private mutating func close(_ plan: Identifier) {
        guard let request = requestOf.removeValue(forKey: plan), let index = requests[request]?.members.firstIndex(where: { $0.id == plan }) else { return }
        guard let member = requests[request]?.members.remove(at: index) else { return }
        if let hold = member.holdID {
            planHeldBy[hold] = nil
            if member.hold == .inForce { looseHolds.insert(hold) }
        }
        if requests[request]?.members.isEmpty == true { requests[request] = nil }
    }

    /// Somebody wants it to stand, for a time of its own: whatever becomes of the question, it is not let go for that.
    private mutating func giveAway(_ hold: Identifier) {
        looseHolds.remove(hold)
        if let plan = planHeldBy.removeValue(forKey: hold) { change(plan) { $0.hold = .none } }
    }

    /// What was to follow on an action does not, once that is taken back, and nobody is asked about it any more; a hold that is taken back is not held.
    private mutating func takeBack(_ action: Identifier, _ outcome: Outcome) {
        guard [.undone, .done, .already, .gone, .refused].contains(outcome) else { return }
        looseHolds.remove(action)
        owed[action] = nil
        if let plan = planHeldBy[action] { change(plan) { $0.hold = .none } }
        for request in requests.values where request.isWaiting && request.hangs(on: action) && (outcome != .refused || request.escalates == action) {
            requests[request.id]?.phase = .withdrawn(.undone, why: request.undoes == nil ? "the action that it follows on was taken back" : "it was taken back meanwhile")
        }
    }

    private mutating func change(_ plan: Identifier, _ body: (inout ApprovalRequest.Member) -> Void) {
        guard let request = requestOf[plan], let index = requests[request]?.members.firstIndex(where: { $0.id == plan }) else { return }
        requests[request]?.members.withMember(at: index, body)
    }
}

extension ApprovalRequest {
    /// The same persons decide about the same, and what counts beside their word is the same: neither is a plan whose mode was given by hand decided with one that heeds the
    /// agent's, nor one by the terms of another.
    fileprivate func isPutLike(_ question: Order.Question) -> Bool {
        playbookDigest == question.playbookDigest && workload == question.workload && facts.isModeGiven == question.isModeGiven && terms == question.terms
            && (requester == nil) == (question.requester == nil)
    }
}

extension [ApprovalRequest.Member] {
    fileprivate mutating func withMember(at index: Int, _ body: (inout ApprovalRequest.Member) -> Void) { body(&self[index]) }
}

// MARK: - Snapshot

extension ApprovalBook {
    package var json: JSON {
        func records(_ records: [Identifier: AuditRecord]) -> JSON { .array(records.sorted { $0.key < $1.key }.map { .object($0.value.members) }) }
        return [
            "requests": .array(requests.values.sorted { $0.id < $1.id }.map(\.json)), "announced": records(announced), "owed": records(owed),
            "loose_holds": .array(looseHolds.sorted().map { .text("\($0)") }),
            "tallies": .array(
                tallies.sorted { $0.key < $1.key }.map {
                    [
                        "playbook": .text($0.key), "granted": .integer(Int64($0.value.granted)), "denied": .integer(Int64($0.value.denied)),
                        "expired": .integer(Int64($0.value.expired)),
                    ]
                }),
            "overflowing": .bool(isOverflowing),
        ]
    }

    package init?(json: JSON) {
        self.init()
        guard let requests = json["requests"]?.array, let announced = Self.records(json["announced"]), let owed = Self.records(json["owed"]),
            let holds = json["loose_holds"]?.array, let tallies = json["tallies"]?.array, let isOverflowing = json["overflowing"]?.bool
        else { return nil }
        for request in requests {
            guard let request = ApprovalRequest(json: request) else { return nil }
            self.requests[request.id] = request
            for member in request.members { if let plan = member.id { file(member.record, plan: plan, in: request.id) } }
        }
        for tally in tallies {
            guard let name = tally["playbook"]?.string?.repaired, let granted = tally["granted"]?.integer, let denied = tally["denied"]?.integer,
                let expired = tally["expired"]?.integer
            else { return nil }
            self.tallies[name] = Tally(granted: Int(clamping: granted), denied: Int(clamping: denied), expired: Int(clamping: expired))
        }
        self.announced = announced
        self.owed = owed
        self.isOverflowing = isOverflowing
        looseHolds = Set(holds.compactMap { $0.string?.valid.flatMap { Identifier($0) } })
        guard looseHolds.count == holds.count else { return nil }
    }

    private static func records(_ json: JSON?) -> [Identifier: AuditRecord]? {
        guard let records = json?.array?.map({ $0.object.flatMap(AuditRecord.init(members:)) }) else { return nil }
        var result: [Identifier: AuditRecord] = [:]
        for record in records {
            guard let record, let id = record.id else { return nil }
            result[id] = record
        }
        return result
    }
}
