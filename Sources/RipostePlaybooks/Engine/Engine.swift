package import Logging
package import RiposteCore
internal import Synchronization

/// The one door to every action. From match to deed it is a straight line: plan, guards, mode, budget, intent on record, perform, outcome on record.
///
/// Any number of orders are under way at once; those about the same target take turns. Nothing is performed whose intent is not in the
/// journal. What must outlive the process is ``EngineState``, and the journal gives it back.
package final class Engine: Sendable {
    package struct Configuration: Sendable {
        package var mode: Mode
        /// Runs that are accepted and not finished; one more alert that matches is turned away until there is room.
        package var runLimit: Int
        /// An alert that is older, or from further ahead than ``clockSkew``, is observed only.
        package var maximumAlertAge: Duration
        package var clockSkew: Duration
        /// Over all playbooks and orders by hand.
        package var budgets: [AgentBudget]
        package var approvals = ApprovalPolicy()
        /// The widest mode that a person may set while the agent runs, where that is wider than ``mode``.
        package var modeCeiling: Mode?
        /// How long a fact that is told again counts as the same, for playbooks that do not say; nil: each alert is answered.
        package var dedup = Dedup.standard.length
        /// Nil: alerts are not grouped.
        package var incidents: IncidentSettings? = IncidentSettings()
        /// Alerts are fed in by a person, who has said what is to be done: the agent's live mode does not count, and each alert is answered.
        package var isByHand: Bool { person != nil }
        /// Who feeds them in.
        package var person: AuditRecord.Actor?
        package var undo = UndoSettings()
        package var reconciliation = ReconciliationSettings()

        var effectiveCeiling: Mode { max(mode, modeCeiling ?? mode) }

        package init(
            mode: Mode = .observe, runLimit: Int = 4096, maximumAlertAge: Duration = .seconds(3600), clockSkew: Duration = .seconds(30), budgets: [AgentBudget] = []
        ) {
            self.budgets = budgets
            self.mode = mode
            self.runLimit = runLimit
            self.maximumAlertAge = maximumAlertAge
            self.clockSkew = clockSkew
        }
    }

    /// What happened, as it happens, for terminals and outputs. Called from many threads; must not wait.
    package enum Event: Sendable {
        case alert(Alert, playbooks: [String])
        /// An alert that tells what an earlier one has told: it is counted onto that, and nobody answers it.
        case repeated(Alert, of: Identifier)
        case result(ActionResult)
        case breaker(BreakerChange)
        /// No room is left for questions: plans that would ask are only observed. Told once until there is room again.
        case crowdedOut(UnaskedPlan)
        /// The world is no longer as an action left it.
        case drift(Drift)
    }

    package let configuration: Configuration
    package let surroundings: Surroundings
    package let catalogue: ActionCatalogue
    let guards: [any Guard]
    /// Where budgets of namespaces look; nil: nobody says.
    let world: (any TargetFacts)?
    let log: any AuditLog
    let logger: Logger
    /// Shared with ``variant(mode:maximumAlertAge:playbooks:by:observe:)``s.
    let lanes: Lanes
    let state: SharedInterior
    /// Rung when something may fall due earlier than was known.
    let timeChanged: Bell
    /// Whose playbooks are in force beside those of this variant; nil: it is none.
    private let origin: Engine?
    private let playbooksInForce: Mutex<PlaybookSet>
    private let observe: @Sendable (Event) -> Void
    /// Called when a mode may be another one than before: whoever goes by it looks again.
    private let whenModesChange = Mutex<(@Sendable () -> Void)?>(nil)

    final class SharedInterior: Sendable {
        private let interior: Mutex<Interior>
        /// Held from looking at the open questions to the record that changes them.
        let questions = Mutex(())
        /// Held while an alert is decided on and written down.
        let admission = Mutex<Void>(())
        /// Held while a record is written and taken into the state, so that both have one order: replaying the journal gives the state.
        let recording = Mutex<Void>(())

        init(_ interior: Interior) { self.interior = Mutex(interior) }

        func withLock<Value: Sendable>(_ body: (inout Interior) -> Value) -> Value { interior.withLock { body(&$0) } }
    }

    struct Interior {
        var state: EngineState
        var isClosed = false
        /// Runs and orders under way.
        var underWay = 0
        var admission = AdmissionBook()
        var book = BudgetBook()
        /// What orders that only plan would have spent.
        var shadow = BudgetBook()
        /// Breakers that are being tripped, or that let an act through, before a record says so.
        var tripping: Set<String> = []
        var trials: Set<String> = []
        /// At which ``Surroundings/uptime`` the journal is tried again that would not take a breaker's change.
        var breakerPause: Duration?
        var whenIdle: [CheckedContinuation<Void, Never>] = []
        var undosUnderWay: Set<Identifier> = []
        /// When each undo that has a time is due by ``Surroundings/uptime``.
        var undoClocks: [Identifier: UndoClock] = [:]
        /// Undos that failed, and at which ``Surroundings/uptime`` they are tried again.
        var undoRetries: [Identifier: (at: Duration, pause: Duration)] = [:]
        var reconciliation = ReconciliationTurn()
        /// Orders that have no outcome yet, and those whose deed hangs.
        var watches: [Identifier: OrderWatch] = [:]
        var counters = Counters()
        /// Outcomes, and ends of runs, that the journal did not take, oldest first: it gets them before anything else, as soon as it takes records again.
        var owed: [AuditRecord] = []
        /// At which uptime it is tried again.
        var owedAt: Duration?
        /// Intents of an earlier life, also of deeds that hung when it ended, of which the world could not be asked yet, and at which uptime it is asked again.
        var unclear: [Identifier: (at: Duration, pause: Duration)] = [:]
        /// Those that it is being asked about.
        var beingCleared: Set<Identifier> = []
        /// Runs that go on when their last step is clear.
        var runsToResume: Set<Identifier> = []
        var approvals = ApprovalWork()
        /// When the first incident ends at the earliest, found after so many changes.
        var incidentEnd: (changes: Int, time: Timestamp)?
        var questionClocks: [Identifier: TermClock] = [:]
        var terms: [Term: TermClock] = [:]
        var cooldowns = CooldownClocks()
        /// Until this ``Surroundings/uptime`` the journal is not asked again to take records that only keep books.
        var bookkeepingRests: Duration?

        func owes(nothingOf run: Identifier?) -> Bool { !owed.contains { $0.kind == .run && $0.id == run } }

        init(state: EngineState, now: Timestamp, uptime: Duration) {
            self.state = state
            book = BudgetBook(state.ledger, wall: now, at: uptime)
            unclear = state.openIntents.merging(state.hanging) { intent, _ in intent }.mapValues { _ in (uptime, .seconds(1)) }
            for id in state.openUndos.keys { arm(id, now: now, uptime: uptime) }
            for id in state.approvals.requests.keys { startClock(ofQuestion: id, now: now, uptime: uptime) }
            startTerms(now: now, uptime: uptime)
            // Nobody takes back what may be taken back at this moment.
            undosUnderWay = Set(state.openIntents.values.compactMap(\.record.undoes))
        }
    }

    package init(
        configuration: Configuration, catalogue: ActionCatalogue, guards: [any Guard], world: (any TargetFacts)? = nil, log: any AuditLog, playbooks: PlaybookSet,
        state: EngineState = EngineState(), surroundings: Surroundings = .machine, logger: Logger, observe: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.surroundings = surroundings
        self.catalogue = catalogue
        self.guards = guards
        self.world = world
        self.log = log
        self.logger = logger
        self.observe = observe
        origin = nil
        lanes = Lanes()
        timeChanged = Bell()
        self.state = SharedInterior(Interior(state: state, now: surroundings.now(), uptime: surroundings.uptime()))
        playbooksInForce = Mutex(playbooks)
    }

    init(variantOf other: Engine, configuration: Configuration, playbooks: PlaybookSet, observe: @escaping @Sendable (Event) -> Void) {
        self.configuration = configuration
        // Breakers are common to both: whoever looks after them hears of each change.
        self.observe = { event in
            if case .breaker = event { other.report(event) }
            observe(event)
        }
        origin = other
        surroundings = other.surroundings
        timeChanged = other.timeChanged
        catalogue = other.catalogue
        guards = other.guards
        world = other.world
        log = other.log
        logger = other.logger
        lanes = other.lanes
        state = other.state
        playbooksInForce = Mutex(playbooks)
    }

    // MARK: - For status

    package var counters: Counters { state.withLock { $0.counters } }
    package var playbooks: PlaybookSet { playbooksInForce.withLock(\.self) }
    /// Whether a budget of any playbook bounds a share of a workload.
    var boundsShares: Bool { playbooksInForce.withLock(\.boundsShares) || origin?.boundsShares ?? false }
    package var snapshot: EngineState { state.withLock { $0.state } }
    package var underWay: Int { state.withLock { $0.underWay } }

    /// Takes a new set into use: runs under way finish on the steps that they began with.
    package func use(_ playbooks: PlaybookSet) {
        let before = playbooksInForce.withLock { inForce in
            defer { inForce = playbooks }
            return inForce
        }
        withdrawQuestions(of: before, thatChangedIn: playbooks)
        beginRollouts()
    }

    package func whenModesChange(_ call: @escaping @Sendable () -> Void) { whenModesChange.withLock { $0 = call } }

    // MARK: - Records

    /// Writes a record and lets the state follow. The one place where both happen.
    ///
    /// An outcome that the journal does not take is owed to it: the deed is done, and the undo that it arms must not be forgotten. So is the end of a run, which
    /// would else be taken up again.
    package func record(_ record: AuditRecord) throws {
        var record = record
        if record.incident == nil { record.incident = state.withLock { $0.state.incidents.incident(of: record) } }
        do {
            let written = try state.recording.withLock { _ throws in
                let paid = try writeOwed()
                try appendAndApply(record)
                return paid + [record]
            }
            written.forEach(follow)
        } catch {
            owe(record)
            logger.error("journal refused a record", metadata: ["audit.kind": "\(record.kind.rawValue)", "error": "\(error)"])
            throw error
        }
    }

    /// The state, and beside it what `beside` says at a moment when no record is written that the state does not know yet: how far the journal goes.
    package func snapshot<Value>(beside other: () -> Value) -> (state: EngineState, other: Value) { state.recording.withLock { _ in (snapshot, other()) } }

    /// Writes what is owed to the journal; throws where it still takes nothing.
    package func payOwed() throws { try state.recording.withLock { _ throws in try writeOwed() }.forEach(follow) }

    static let owedChore = Chore(next: { engine in engine.state.withLock(\.owedAt).map(engine.wallTime) }, perform: { engine, _ in try? engine.payOwed() })

    /// What is owed that no intent announced: a person can ask as often as they like for what stands already to last longer.
    private static let unannouncedLimit = 256

    /// As many as there are deeds and runs under way at most, as the journal takes no new ones meanwhile, and ``unannouncedLimit``: of other outcomes nothing depends, but that a
    /// run could not take something back.
    private func owe(_ record: AuditRecord) {
        let retry = surroundings.uptime() + .seconds(1)
        state.withLock { interior in
            interior.counters.journalFailures += 1
            let isOfDeed = record.detail["late"] != nil || record.id.map { interior.state.openIntents[$0] != nil } ?? false
            let isOfRunsUndo = record.undoes != nil && record.actor?.kind == .playbook
            // What the kernel has done, and a time that was made longer.
            let isUnannounced = !record.dryRun && record.outcome == .done || record.detail["prolongs"] != nil
            let hasRoom = interior.owed.count { $0.outcome == .done || $0.detail["prolongs"] != nil } < Self.unannouncedLimit
            let isMissed = isOfDeed || isOfRunsUndo || isUnannounced && hasRoom
            if record.kind == .outcome && isMissed || record.kind == .run && interior.owes(nothingOf: record.id) { interior.owed.append(record) }
            if !interior.owed.isEmpty { interior.owedAt = retry }
        }
        timeChanged.ring()
    }

    private func writeOwed() throws -> [AuditRecord] {
        var paid: [AuditRecord] = []
        while let next = state.withLock({ $0.owed.first }) {
            do { try appendAndApply(next) } catch {
                let retry = surroundings.uptime() + .seconds(1)
                state.withLock { $0.owedAt = retry }
                throw error
            }
            state.withLock { _ = $0.owed.removeFirst() }
            paid.append(next)
        }
        state.withLock { $0.owedAt = nil }
        return paid
    }

    private func appendAndApply(_ record: AuditRecord) throws {
        try log.append(record)
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        state.withLock { interior in
            interior.state.apply(record)
            for id in record.armedActions { interior.arm(id, now: now, uptime: uptime) }
            if record.opensQuestion, let id = record.id { interior.startClock(ofQuestion: id, now: now, uptime: uptime) }
            if record.kind == .run, let id = record.id { interior.approvals.fedIn[id] = nil }
            interior.startTerms(of: record, now: now, uptime: uptime)
            interior.book.follow(interior.state.ledger, at: uptime)
            // From here on the act counts by its record. One that hangs may still take place, also when that counts no more.
            if record.kind == .outcome, let id = record.id {
                if record.detail["hanging"] == nil || record.detail["late"] != nil { interior.book.release(id) } else { interior.book.count(id, at: uptime) }
            }
            interior.counters.count(record)
        }
    }

    /// What a record sets going.
    private func follow(_ record: AuditRecord) {
        if record.mayFallDue { timeChanged.ring() }
        if record.kind == .mode || record.kind == .rollout { whenModesChange.withLock(\.self)?() }
        followRollouts(record)
    }

    func report(_ event: Event) { observe(event) }

    func countCrowded() { state.withLock { $0.counters.crowded += 1 } }

    // MARK: - Coming and going

    func begin() -> Bool {
        state.withLock { interior in
            guard !interior.isClosed else { return false }
            interior.underWay += 1
            return true
        }
    }

    func end() {
        let waiting = state.withLock { interior -> [CheckedContinuation<Void, Never>] in
            interior.underWay -= 1
            guard interior.underWay == 0 else { return [] }
            defer { interior.whenIdle = [] }
            return interior.whenIdle
        }
        waiting.forEach { $0.resume() }
    }

    /// Takes nothing new from here on.
    package func close() { state.withLock { $0.isClosed = true } }

    /// Waits until nothing is under way.
    package func idle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { interior in
                if interior.underWay > 0 { interior.whenIdle.append(continuation) }
                return interior.underWay == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}

extension Engine {
    /// Lets go whoever waits in ``idle()``, though something is still under way.
    package func abandonWaiters() {
        let waiting = state.withLock { interior in
            defer { interior.whenIdle = [] }
            return interior.whenIdle
        }
        waiting.forEach { $0.resume() }
    }
}

extension AuditRecord {
    /// Something may be due earlier than before because of this record.
    fileprivate var mayFallDue: Bool {
        switch kind {
        case .outcome: detail["undo"] != nil || undoes != nil || detail["prolongs"] != nil
        case .brake, .approval: true
        case .mode: detail["until"] != nil
        default: false
        }
    }
}
