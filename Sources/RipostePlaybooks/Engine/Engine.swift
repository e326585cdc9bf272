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
        case result(ActionResult)
        case breaker(BreakerChange)
    }

    package let configuration: Configuration
    package let surroundings: Surroundings
    package let catalogue: ActionCatalogue
    let guards: [any Guard]
    /// Where budgets of namespaces look; nil: nobody says.
    let world: (any TargetFacts)?
    let log: any AuditLog
    let logger: Logger
    /// Shared with ``variant(mode:maximumAlertAge:playbooks:observe:)``s.
    let lanes: Lanes
    let state: SharedInterior
    /// Rung when something may fall due earlier than was known.
    let timeChanged: Bell
    private let playbooksInForce: Mutex<PlaybookSet>
    private let observe: @Sendable (Event) -> Void

    final class SharedInterior: Sendable {
        private let interior: Mutex<Interior>

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
        /// When the journal is tried again that would not take a breaker's change.
        var breakerPause: Timestamp?
        var whenIdle: [CheckedContinuation<Void, Never>] = []
        var undosUnderWay: Set<Identifier> = []
        /// Undos that failed, and when they are tried again.
        var undoRetries: [Identifier: (at: Timestamp, pause: Duration)] = [:]
        var counters = Counters()
    }

    /// Since start; for `status`.
    package struct Counters: Sendable, Equatable {
        package var alerts = 0
        package var matched = 0
        package var shed = 0
        /// Orders and runs that found too many waiting for the same target.
        package var crowded = 0
        package var outcomes: [Outcome: Int] = [:]
        package var journalFailures = 0
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
        lanes = Lanes()
        timeChanged = Bell()
        self.state = SharedInterior(
            Interior(state: state, book: BudgetBook(state.ledger, wall: surroundings.now(), at: surroundings.uptime())))
        playbooksInForce = Mutex(playbooks)
    }

    init(variantOf other: Engine, configuration: Configuration, playbooks: PlaybookSet, observe: @escaping @Sendable (Event) -> Void) {
        self.configuration = configuration
        // Breakers are common to both: whoever looks after them hears of each change.
        self.observe = { event in
            if case .breaker = event { other.report(event) }
            observe(event)
        }
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
    package var snapshot: EngineState { state.withLock { $0.state } }
    package var underWay: Int { state.withLock { $0.underWay } }

    /// Takes a new set into use: runs under way finish on the steps that they began with.
    package func use(_ playbooks: PlaybookSet) { playbooksInForce.withLock { $0 = playbooks } }

    // MARK: - Records

    /// Writes a record and lets the state follow. The one place where both happen.
    func record(_ record: AuditRecord) throws {
        do { try log.append(record) } catch {
            state.withLock { $0.counters.journalFailures += 1 }
            logger.error("journal refused a record", metadata: ["audit.kind": "\(record.kind.rawValue)", "error": "\(error)"])
            throw error
        }
        let uptime = surroundings.uptime()
        state.withLock { interior in
            interior.state.apply(record)
            interior.book.follow(interior.state.ledger, at: uptime)
            if record.kind == .outcome, record.actor?.kind == .recovery, let id = record.id { interior.book.release(id) }
            if record.kind == .outcome, let outcome = record.outcome { interior.counters.outcomes[outcome, default: 0] += 1 }
        }
        if record.mayFallDue { timeChanged.ring() }
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
        case .outcome: detail["undo"] != nil
        case .brake: true
        default: false
        }
    }
}
