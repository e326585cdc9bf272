internal import Foundation
internal import Logging
internal import RiposteActions
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules
internal import RiposteSensor
internal import Synchronization

/// The own sensor in the agent: begun with it, told of new rules, ended with it. Where it cannot run, the agent goes on without.
final class SensorKeeper: Sendable {
    enum State: Sendable {
        case off
        case lacking(SensorError)
        case running(Sensor)
    }

    private let section: AgentConfiguration.SensorSection
    private let house: EngineHouse
    private let door: SensorDoor
    private let containers: ContainerDirectory
    private let guards: GuardedFiles?
    private let guardRules: [GuardRule]
    private let logger: Logger
    private let state = Mutex<State>(.off)
    private let rulesInForce = Mutex<RuleSet?>(nil)
    private let planned = Mutex<ReflexPlan?>(nil)
    /// One after the other: what is planned last is what is in force.
    private let turn = Mutex(())

    /// `guards`: the files of the agent, with which nobody may tamper unseen; nil: tampering raises no alert.
    init(
        _ section: AgentConfiguration.SensorSection, _ house: EngineHouse, _ door: SensorDoor, _ containers: ContainerDirectory, guards: GuardedFiles?, guardRules: [GuardRule],
        logger: Logger
    ) {
        self.section = section
        self.guards = guards
        self.guardRules = guardRules
        self.house = house
        self.door = door
        self.containers = containers
        self.logger = logger
    }

    /// When this returns the programs are at work, or it is known why not.
    func start(_ rules: RuleSet, _ loading: SensorLoading?) {
        guard section.isEnabled else { return }
        rulesInForce.withLock { $0 = rules }
        do throws(SensorError) {
            var configuration = section.configuration
            configuration.guards = guards
            configuration.sparedPrograms = ProcessGuards.protectedExecutables.sorted()
            let sensor = try Sensor(configuration, rules: rules, reflexes: plan(rules), containers: containers, sink: door, logger: logger, loading: loading)
            state.withLock { $0 = .running(sensor) }
        } catch {
            state.withLock { $0 = .lacking(error) }
            logger.warning("the sensor does not run", metadata: ["problem": "\(error.problem.escapedForDisplay)", "remedy": "\(error.remedy ?? "")"])
        }
    }

    var current: State { state.withLock(\.self) }

    /// Judges by these from here on.
    func use(_ rules: RuleSet) { turn.withLock { _ in arm(rules) } }

    private func arm(_ rules: RuleSet) {
        guard case .running(let sensor) = current else { return }
        rulesInForce.withLock { $0 = rules }
        do throws(SensorError) { try sensor.use(rules, plan(rules)) } catch {
            logger.error("the kernel did not take the new rules; the tables before stay", metadata: ["error": "\(error)"])
        }
    }

    /// The playbooks have changed, and with them the reflexes.
    func playbooksChanged() {
        // The sensor's own thread, on which an alert may change a mode, cannot wait for itself.
        if case .running(let sensor) = current, sensor.isOnItsThread {
            Thread.detachNewThread { [self] in playbooksChanged() }
            return
        }
        turn.withLock { _ in
            guard let rules = rulesInForce.withLock(\.self) else { return }
            arm(rules)
        }
    }

    private var brakes: ReflexPlan.Brakes {
        let state = house.engine.snapshot
        return ReflexPlan.Brakes(
            budgets: house.engine.reflexBudgets, guards: guardRules, spent: { state.ledger.times(ofPlaybook: $0) }, isTripped: { state.breakers.holdBackReflex(of: $0) })
    }

    /// The reflexes that are to be armed, on record before they are: they act without being asked again.
    private func plan(_ rules: RuleSet) -> ReflexSet {
        let plan = ReflexPlan(house.engine.playbooks, rules, mode: house.engine.modeInKernel, brakes)
        let before = planned.withLock(\.self)
        guard plan.set.reflexes != before?.set.reflexes ?? [] || plan.problems != before?.problems ?? [] else { return plan.set }
        var record = AuditRecord(.config, at: .now(), detail: ["reflexes": plan.json])
        record.message = "reflexes are armed"
        record.outcome = .done
        do { try house.journal.append(record) } catch {
            logger.error("reflexes are not armed: the journal does not take them", metadata: ["error": "\(error)"])
            planned.withLock { $0 = nil }
            return ReflexSet()
        }
        planned.withLock { $0 = plan }
        for problem in plan.problems {
            logger.warning(
                "reflex not armed", metadata: ["playbook": "\(problem.playbook)", "rule": "\(problem.rule.escapedForDisplay)", "reason": "\(problem.reason.escapedForDisplay)"])
        }
        return plan.set
    }

    /// As long as the agent: asks for containers, and ends the sensor at the end.
    func run() async throws {
        await containers.run()
    }

    /// What the kernel has written by now is still judged.
    func stop() {
        let ended = state.withLock { state -> State in
            defer { state = .off }
            return state
        }
        if case .running(let sensor) = ended { sensor.stop() }
    }

    /// For the banner: where events come from.
    var places: [(name: String, place: String, takesEvents: Bool)] {
        guard case .running = current else { return [] }
        return [("sensor", "system calls of this host", true)]
    }

    /// For the banner: why there is less than there could be.
    func remarks(_ rules: Int) -> [String] {
        let waiting = rules == 0 ? nil : rules == 1 ? "1 rule for system calls judges nothing" : "\(rules) rules for system calls judge nothing"
        switch current {
        case .running: return rules == 0 ? ["no rule judges system calls: the sensor only keeps the process table"] : []
        case .lacking(let error): return ["the sensor does not run: \(error)"] + [waiting].compactMap(\.self)
        case .off: return waiting.map { ["the sensor is off: \($0)"] } ?? []
        }
    }

    // MARK: - Status

    var isEnabled: Bool { section.isEnabled }
    /// It runs, or nobody wants it to.
    var isAsWanted: Bool { if case .running = current { true } else { !section.isEnabled } }
    /// What came of its findings.
    var findings: SensorDoor.Counts { door.counts }

    var status: JSON {
        switch current {
        case .off: ["state": "off"]
        case .lacking(let error): ["state": "lacking", "problem": .text(error.problem), "remedy": error.remedy.map(JSON.text) ?? .null]
        case .running(let sensor): running(sensor)
        }
    }

    private func running(_ sensor: Sensor) -> JSON {
        func object(_ counts: [String: UInt64]) -> JSON {
            .object(JSONObject(counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { .init(key: ByteText($0.key), value: .integer(Int64(clamping: $0.value))) }))
        }
        let (counts, kernel, made) = (sensor.counts, sensor.kernelCounts(), door.counts)
        return [
            "state": "running", "events": .integer(Int64(clamping: counts.events)), "matches": .integer(Int64(clamping: counts.matches)),
            "alerts": .integer(Int64(made.alerts)), "shed": .integer(Int64(made.shed)), "malformed": .integer(Int64(clamping: counts.malformed)),
            "tampering": .integer(Int64(made.tampering)),
            "push_down": .bool(section.configuration.pushesDown), "seen": object(kernel.seen), "passed": object(kernel.passed), "dropped": object(kernel.dropped),
            "unrecorded_reflexes": object(made.unrecorded), "containers": containers.status, "reflexes": planned.withLock { $0?.json ?? [] },
            "processes": [
                "known": .integer(Int64(counts.processes)), "evicted": .integer(Int64(clamping: counts.table.evicted)),
                "from_proc": .integer(Int64(clamping: counts.table.rebuiltFromProc)),
                "incomplete": .integer(Int64(clamping: counts.table.incomplete)),
            ],
        ]
    }
}

extension ReflexPlan {
    /// Those that are armed, and those that are not, with the reason.
    var json: JSON {
        .array(
            set.reflexes.map { ["playbook": .text($0.playbook), "rule": .text($0.rule), "signal": .integer(Int64($0.signal)), "acts": .bool($0.acts)] }
                + problems.map { ["playbook": .text($0.playbook), "rule": .text($0.rule), "problem": .text($0.reason)] })
    }
}
