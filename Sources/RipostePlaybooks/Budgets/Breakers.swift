package import RiposteCore

/// The breakers that are not closed, as the journal tells: a restart or other playbooks do not arm them anew.
///
/// ```
///            over budget                    quiet for long enough
///   closed ───────────────▶ open ◀────────────────┐──────────▶ half-open
///      ▲                     │ over budget again  └───────────── │
///      └── a person ─────────┴───────── a person, or one act done ┘
/// ```
package struct Breakers: EngineStatePart, Equatable {
    package enum State: String, Sendable {
        /// Acts go on in the mode that the budget names.
        case open
        /// One act at a time is let through.
        case halfOpen = "half_open"
        case closed
    }

    package struct Breaker: Sendable, Equatable {
        package var name: String
        package var state: State
        package var over: Budget.Overflow
        package var reopening: Budget.Reopening
        /// The budget that was over, in words: "the budget of playbook p is spent: 10 of 10 actions per 1h".
        package var cause: String
        package var since: Timestamp
        /// When something last asked: quiet is counted from here.
        package var lastAsked: Timestamp
        /// Acts that went on in the more careful mode.
        package var heldBack: Int
        /// How often it was tripped without having been closed.
        package var trips: Int

        fileprivate mutating func isAsked(at time: Timestamp) {
            heldBack += 1
            lastAsked = max(lastAsked, time)
        }

        /// When it becomes half-open, if nothing asks until then.
        package var halfOpens: Timestamp? {
            guard state == .open, case .quiet(let pause) = reopening else { return nil }
            return lastAsked + pause
        }
    }

    /// Targets and namespaces can be made up without end. Of more than this no further breaker is opened; what is over budget is
    /// held back all the same.
    static let limit = 4096

    private var breakers: [String: Breaker] = [:]
    /// Acts that a half-open breaker lets through, from the intent to the outcome.
    private var trials: [Identifier: String] = [:]

    package init() {}

    static func name(ofPlaybook name: String) -> String { "playbook/\(name)" }
    static func name(ofAction name: String) -> String { "action/\(name)" }

    /// Those that are not closed, by name.
    package var all: [Breaker] { breakers.values.sorted { $0.name < $1.name } }
    package subscript(name: String) -> Breaker? { breakers[name] }
    var count: Int { breakers.count }
    var isFull: Bool { breakers.count >= Self.limit }
    func isOnTrial(_ name: String) -> Bool { trials.values.contains(name) }

    /// Whether a playbook's signals are held back that the kernel would send.
    package func holdBackReflex(of playbook: String) -> Bool {
        breakers[Self.name(ofPlaybook: playbook)] != nil || breakers[Self.name(ofAction: "process.kill")] != nil
    }

    // MARK: - Records

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .brake: turn(record)
        case .intent: if let id = record.id, let name = record.detail["trial"]?.string?.repaired { trials[id] = name }
        case .outcome: settle(record)
        default: break
        }
    }

    private mutating func turn(_ record: AuditRecord) {
        guard let name = record.detail["breaker"]?.string?.repaired, let state = record.detail["state"]?.string?.valid.flatMap(State.init(rawValue:)) else { return }
        switch state {
        case .open: trip(name, record)
        case .halfOpen: breakers[name]?.state = .halfOpen
        case .closed: breakers[name] = nil
        }
    }

    private mutating func trip(_ name: String, _ record: AuditRecord) {
        let detail = record.detail
        let over = detail["over"]?.string?.valid.flatMap(Budget.Overflow.init(rawValue:)) ?? .observe
        let reopening = detail["reopen"]?.string?.valid.flatMap(Budget.Reopening.init(text:)) ?? .byHand
        var breaker =
            breakers[name]
            ?? Breaker(name: name, state: .open, over: over, reopening: reopening, cause: "", since: record.time, lastAsked: record.time, heldBack: 0, trips: 0)
        (breaker.state, breaker.over, breaker.reopening, breaker.lastAsked) = (.open, over, reopening, record.time)
        breaker.cause = record.message ?? ""
        breaker.trips += 1
        breakers[name] = breaker
    }

    private mutating func settle(_ record: AuditRecord) {
        if let name = record.detail["held_back_by"]?.string?.repaired {
            breakers[name]?.isAsked(at: record.time)
        }
        guard let id = record.id, let name = trials.removeValue(forKey: id), breakers[name]?.state == .halfOpen, Self.closes(record) else { return }
        breakers[name] = nil
    }

    /// The act that was let through is done, or nobody can say that it is not. Of what a restart found not in effect that is said: it proves nothing, though budgets count it.
    private static func closes(_ record: AuditRecord) -> Bool {
        guard record.actor?.kind == .recovery else { return BudgetLedger.counts(record) }
        return record.outcome == .done || record.mayHaveActed
    }
}

extension Breakers {
    package var json: JSON {
        [
            "breakers": .array(all.map(\.json)),
            "trials": .array(trials.sorted { $0.key < $1.key }.map { ["id": .text("\($0.key)"), "breaker": .text($0.value)] }),
        ]
    }

    package init?(json: JSON) {
        guard let entries = json["breakers"]?.array, let trials = json["trials"]?.array else { return nil }
        for entry in entries {
            guard let breaker = Breaker(json: entry) else { return nil }
            breakers[breaker.name] = breaker
        }
        for trial in trials {
            guard let id = trial["id"]?.string?.valid.flatMap({ Identifier($0) }), let name = trial["breaker"]?.string?.repaired else { return nil }
            self.trials[id] = name
        }
    }
}

extension Breakers.Breaker {
    package var json: JSON {
        var object: JSONObject = [
            "breaker": .text(name), "state": .text(state.rawValue), "over": .text(over.rawValue), "reopen": .text(reopening.text), "cause": .text(cause),
            "since": .text("\(since)"), "last_asked": .text("\(lastAsked)"), "held_back": .integer(Int64(heldBack)), "trips": .integer(Int64(trips)),
        ]
        object.append("half_opens", halfOpens.map { .text("\($0)") })
        return .object(object)
    }

    package init?(json: JSON) {
        func text(_ key: ByteText) -> String? { json[key]?.string?.repaired }
        guard let name = text("breaker"), let state = text("state").flatMap(Breakers.State.init(rawValue:)),
            let over = text("over").flatMap(Budget.Overflow.init(rawValue:)), let reopening = text("reopen").flatMap(Budget.Reopening.init(text:)),
            let since = text("since").flatMap({ Timestamp($0) }), let lastAsked = text("last_asked").flatMap({ Timestamp($0) }),
            let heldBack = json["held_back"]?.integer, let trips = json["trips"]?.integer
        else { return nil }
        self.init(
            name: name, state: state, over: over, reopening: reopening, cause: text("cause") ?? "", since: since, lastAsked: lastAsked,
            heldBack: Int(heldBack), trips: Int(trips))
    }
}
