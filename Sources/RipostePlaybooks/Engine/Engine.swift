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
        package var undo = UndoSettings()
        package var reconciliation = ReconciliationSettings()

        package init(mode: Mode = .observe, runLimit: Int = 4096, maximumAlertAge: Duration = .seconds(3600), clockSkew: Duration = .seconds(30)) {
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
        /// The world is no longer as an action left it.
        case drift(Drift)
    }

    package let configuration: Configuration
    package let surroundings: Surroundings
    package let catalogue: ActionCatalogue
    let guards: [any Guard]
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
        var openRuns = 0
        /// Acts that were let through and have no outcome yet, by playbook.
        var budgetHeld: [String: Int] = [:]
        var whenIdle: [CheckedContinuation<Void, Never>] = []
        var undosUnderWay: Set<Identifier> = []
        /// When each undo that has a time is due by ``Surroundings/uptime``.
        var undoClocks: [Identifier: UndoClock] = [:]
        /// Undos that failed, and at which ``Surroundings/uptime`` they are tried again.
        var undoRetries: [Identifier: (at: Duration, pause: Duration)] = [:]
        var reconciliation = ReconciliationTurn()
        var counters = Counters()
        /// Outcomes that the journal did not take, oldest first: it gets them before anything else, as soon as it takes records again.
        var owed: [AuditRecord] = []
        /// At which uptime it is tried again.
        var owedAt: Duration?
        /// Intents of an earlier life of which the world could not be asked yet, and at which uptime it is asked again.
        var unclear: [Identifier: (at: Duration, pause: Duration)] = [:]
        /// Those that it is being asked about.
        var beingCleared: Set<Identifier> = []

        init(state: EngineState, now: Timestamp, uptime: Duration) {
            self.state = state
            unclear = state.openIntents.mapValues { _ in (uptime, .seconds(1)) }
            for id in state.openUndos.keys { arm(id, now: now, uptime: uptime) }
            // Nobody takes back what may be taken back at this moment.
            undosUnderWay = Set(state.openIntents.values.compactMap(\.record.undoes))
        }
    }

    /// Since start; for `status`.
    package struct Counters: Sendable, Equatable {
        package var alerts = 0
        package var matched = 0
        package var shed = 0
        package var outcomes: [Outcome: Int] = [:]
        package var journalFailures = 0
    }

    package init(
        configuration: Configuration, catalogue: ActionCatalogue, guards: [any Guard], log: any AuditLog, playbooks: PlaybookSet,
        state: EngineState = EngineState(), surroundings: Surroundings = .machine, logger: Logger, observe: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.surroundings = surroundings
        self.catalogue = catalogue
        self.guards = guards
        self.log = log
        self.logger = logger
        self.observe = observe
        lanes = Lanes()
        timeChanged = Bell()
        self.state = SharedInterior(Interior(state: state, now: surroundings.now(), uptime: surroundings.uptime()))
        playbooksInForce = Mutex(playbooks)
    }

    init(variantOf other: Engine, configuration: Configuration, playbooks: PlaybookSet, observe: @escaping @Sendable (Event) -> Void) {
        self.configuration = configuration
        self.observe = observe
        surroundings = other.surroundings
        timeChanged = other.timeChanged
        catalogue = other.catalogue
        guards = other.guards
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
    ///
    /// An outcome that the journal does not take is owed to it: the deed is done, and the undo that it arms must not be forgotten.
    func record(_ record: AuditRecord) throws {
        do {
            try payOwed()
            try write(record)
        } catch {
            let retry = surroundings.uptime() + .seconds(1)
            state.withLock { interior in
                interior.counters.journalFailures += 1
                // As many as there are deeds under way at most.
                guard record.kind == .outcome, let id = record.id, interior.state.openIntents[id] != nil else { return }
                interior.owed.append(record)
                interior.owedAt = retry
            }
            timeChanged.ring()
            logger.error("journal refused a record", metadata: ["audit.kind": "\(record.kind.rawValue)", "error": "\(error)"])
            throw error
        }
    }

    /// Writes what is owed to the journal; throws where it still takes nothing.
    package func payOwed() throws {
        while let next = state.withLock({ $0.owed.isEmpty ? nil : $0.owed.removeFirst() }) {
            do { try write(next) } catch {
                let retry = surroundings.uptime() + .seconds(1)
                state.withLock { interior in
                    interior.owed.insert(next, at: 0)
                    interior.owedAt = retry
                }
                throw error
            }
        }
        state.withLock { $0.owedAt = $0.owed.isEmpty ? nil : $0.owedAt }
    }

    private func write(_ record: AuditRecord) throws {
        try log.append(record)
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        state.withLock { interior in
            interior.state.apply(record)
            for id in record.armedActions { interior.arm(id, now: now, uptime: uptime) }
            if record.kind == .outcome, let outcome = record.outcome { interior.counters.outcomes[outcome, default: 0] += 1 }
        }
        if record.mayFallDue { timeChanged.ring() }
    }

    static let owedChore = Chore(next: { engine in engine.state.withLock(\.owedAt).map(engine.wallTime) }, perform: { engine, _ in try? engine.payOwed() })

    func report(_ event: Event) { observe(event) }

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
        case .outcome: !armedActions.isEmpty
        default: false
        }
    }
}
