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
        /// The widest mode that a person may set while the agent runs, where that is wider than ``mode``.
        package var modeCeiling: Mode?
        /// How long a fact that is told again counts as the same, for playbooks that do not say; nil: each alert is answered.
        package var dedup = Dedup.standard.length
        /// Nil: alerts are not grouped.
        package var incidents: IncidentSettings? = IncidentSettings()
        /// Alerts are fed in by a person, who has said what is to be done: the agent's live mode does not count, and each alert is answered.
        package var isByHand = false

        var effectiveCeiling: Mode { max(mode, modeCeiling ?? mode) }

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
        /// An alert that tells what an earlier one has told: it is counted onto that, and nobody answers it.
        case repeated(Alert, of: Identifier)
        case result(ActionResult)
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
    /// Called when a mode may be another one than before: whoever goes by it looks again.
    private let whenModesChange = Mutex<(@Sendable () -> Void)?>(nil)

    final class SharedInterior: Sendable {
        private let interior: Mutex<Interior>
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
        var openRuns = 0
        /// Acts that were let through and have no outcome yet, by playbook.
        var budgetHeld: [String: Int] = [:]
        var whenIdle: [CheckedContinuation<Void, Never>] = []
        var undosUnderWay: Set<Identifier> = []
        /// Undos that failed, and when they are tried again.
        var undoRetries: [Identifier: (at: Timestamp, pause: Duration)] = [:]
        var counters = Counters()
        /// Until then the journal is not asked again to take records that only keep books.
        var bookkeepingRests: Timestamp?
    }

    /// Since start; for `status`.
    package struct Counters: Sendable, Equatable {
        package var alerts = 0
        package var matched = 0
        package var shed = 0
        /// Alerts that told again what an earlier one had told.
        package var repeats = 0
        /// Alerts that were to open an incident when as many were open as there is room for.
        package var ungrouped = 0
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
        self.state = SharedInterior(Interior(state: state))
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
    package func use(_ playbooks: PlaybookSet) {
        playbooksInForce.withLock { $0 = playbooks }
        beginRollouts()
    }

    package func whenModesChange(_ call: @escaping @Sendable () -> Void) { whenModesChange.withLock { $0 = call } }

    // MARK: - Records

    /// Writes a record and lets the state follow. The one place where both happen.
    func record(_ record: AuditRecord) throws {
        var record = record
        if record.incident == nil { record.incident = state.withLock { $0.state.incidents.incident(of: record) } }
        do { try state.recording.withLock { _ throws in try appendAndApply(record) } } catch {
            state.withLock { $0.counters.journalFailures += 1 }
            logger.error("journal refused a record", metadata: ["audit.kind": "\(record.kind.rawValue)", "error": "\(error)"])
            throw error
        }
        if record.mayFallDue { timeChanged.ring() }
        if record.kind == .mode || record.kind == .rollout { whenModesChange.withLock(\.self)?() }
        followRollouts(record)
    }

    private func appendAndApply(_ record: AuditRecord) throws {
        try log.append(record)
        state.withLock { interior in
            interior.state.apply(record)
            if record.kind == .outcome, let outcome = record.outcome { interior.counters.outcomes[outcome, default: 0] += 1 }
        }
    }

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
        case .outcome: detail["undo"] != nil
        case .mode: detail["until"] != nil
        default: false
        }
    }
}
