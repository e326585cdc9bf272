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

    private struct Plans {
        /// What was asked of the sensor last.
        var wanted: ReflexPlan?
        /// What the journal has.
        var onRecord: ReflexPlan?
        /// The journal did not take what was to be armed, and it is not armed.
        var isUnrecorded = false
        /// Why the kernel did not take what was asked of it last, as the journal has it.
        var problem: SensorError?
    }

    private let section: AgentConfiguration.SensorSection
    private let house: EngineHouse
    private let door: SensorDoor
    private let containers: ContainerDirectory
    private let guards: GuardedFiles?
    private let pins: SensorPins?
    private let guardRules: [GuardRule]
    private let logger: Logger
    private let state = Mutex<State>(.off)
    private let rulesInForce = Mutex<RuleSet?>(nil)
    private let plans = Mutex(Plans())
    /// One after the other: what is planned last is what is in force.
    private let turn = Mutex(())

    /// `guards`: the files of the agent, with which nobody may tamper unseen; nil: tampering raises no alert.
    init(
        _ section: AgentConfiguration.SensorSection, _ house: EngineHouse, _ door: SensorDoor, _ containers: ContainerDirectory, guards: GuardedFiles?, guardRules: [GuardRule],
        pins: SensorPins?, logger: Logger
    ) {
        self.section = section
        self.pins = pins
        self.guards = guards
        self.guardRules = guardRules
        self.house = house
        self.door = door
        self.containers = containers
        self.logger = logger
    }

    /// When this returns the programs are at work, or it is known why not.
    func start(_ rules: RuleSet, _ loading: SensorLoading?) {
        for left in pins?.removeOrphans() ?? [] { logger.warning("\(left.words)", metadata: left.isOrphaned ? [:] : ["remedy": "\(left.remedy)"]) }
        guard section.isEnabled else {
            pins?.removeAll()
            return
        }
        rulesInForce.withLock { $0 = rules }
        do throws(SensorError) {
            var configuration = section.configuration
            configuration.guards = guards
            configuration.pins = pins
            configuration.sparedPrograms = ProcessGuards.protectedExecutables.sorted()
            configuration.sparedEntrances = ProcessGuards.entrances.sorted()
            let plan = record(plan(rules))
            let sensor = try Sensor(configuration, rules: rules, reflexes: plan.set, containers: containers, sink: door, logger: logger, loading: loading)
            state.withLock { $0 = .running(sensor) }
            if let problem = sensor.pinProblem { logger.warning("\(problem.problem)", metadata: ["remedy": "\(problem.remedy ?? "")"]) }
            turn.withLock { _ in catchUp(rules, plan) }
        } catch {
            state.withLock { $0 = .lacking(error) }
            logger.warning("the sensor does not run", metadata: ["problem": "\(error.problem.escapedForDisplay)", "remedy": "\(error.remedy ?? "")"])
        }
    }

    /// What has changed while the sensor was made, when nobody could tell it: modes, breakers, playbooks, rules.
    private func catchUp(_ rules: RuleSet, _ plan: ReflexPlan) {
        guard let rulesNow = rulesInForce.withLock(\.self) else { return }
        let now = self.plan(rulesNow)
        if rulesNow !== rules || now.set != plan.set || now.problems != plan.problems { arm(rulesNow) }
    }

    var current: State { state.withLock(\.self) }

    /// Judges by these from here on. What is given back is why the kernel has not taken what they need.
    @discardableResult func use(_ rules: RuleSet) -> String? {
        turn.withLock { _ in
            rulesInForce.withLock { $0 = rules }
            arm(rules)
        }
        return kernelProblem
    }

    private func arm(_ rules: RuleSet) {
        guard case .running(let sensor) = current else { return }
        let plan = record(plan(rules))
        do throws(SensorError) {
            try sensor.use(rules, plan.set)
            tell(nil, plan)
        } catch {
            tell(error, plan)
        }
    }

    /// On record where it is another one than before.
    private func tell(_ problem: SensorError?, _ plan: ReflexPlan) {
        let isNew = plans.withLock { plans in
            defer { plans.problem = problem }
            return plans.problem != problem
        }
        guard isNew else { return }
        var record = AuditRecord(.config, at: .now(), detail: ["reflexes": problem == nil ? plan.json : []])
        record.outcome = problem == nil ? .done : .failed
        record.message = problem.map { "the kernel did not take its tables, and no reflex is armed: \($0)" } ?? "the kernel has taken its tables, and reflexes are armed"
        do { try house.journal.append(record) } catch { logger.error("what the kernel took is not on record", metadata: ["error": "\(error)"]) }
        if let problem {
            logger.error("the kernel did not take the new tables; those before stay, and no reflex acts", metadata: ["error": "\(problem)"])
        } else {
            logger.info("the kernel has taken the tables")
        }
    }

    /// The playbooks have changed, and with them the reflexes.
    func playbooksChanged() {
        // Before it runs there is nobody to tell, and whoever starts it looks for what has changed since.
        guard case .running(let sensor) = current else { return }
        // The sensor's own thread, on which an alert may change a mode, cannot wait for itself.
        if sensor.isOnItsThread {
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

    private func plan(_ rules: RuleSet) -> ReflexPlan { ReflexPlan(house.engine.playbooks, rules, mode: house.engine.modeInKernel, brakes) }

    /// The reflexes that are to be armed, on record before they are: they act without being asked again. Without a record none is.
    private func record(_ plan: ReflexPlan) -> ReflexPlan {
        let (before, isAgain) = plans.withLock { plans in
            defer { (plans.wanted, plans.isUnrecorded) = (plan, false) }
            return (plans.onRecord, plans.isUnrecorded)
        }
        guard plan.set.reflexes != before?.set.reflexes ?? [] || plan.problems != before?.problems ?? [] else { return plan }
        var record = AuditRecord(.config, at: .now(), detail: ["reflexes": plan.json])
        record.message = "reflexes are armed"
        record.outcome = .done
        do { try house.journal.append(record) } catch {
            if !isAgain { logger.error("reflexes are not armed: the journal does not take them; tried again until it does", metadata: ["error": "\(error)"]) }
            let plan = plan.without(plan.set.reflexes, because: "the journal does not take it; the agent acts")
            plans.withLock { ($0.wanted, $0.onRecord, $0.isUnrecorded) = (plan, nil, true) }
            return plan
        }
        plans.withLock { $0.onRecord = plan }
        for problem in plan.problems {
            logger.warning(
                "reflex not armed", metadata: ["playbook": "\(problem.playbook)", "rule": "\(problem.rule.escapedForDisplay)", "reason": "\(problem.reason.escapedForDisplay)"])
        }
        return plan
    }

    /// Why the kernel goes on by tables of before; nil: it does as it was told.
    var kernelProblem: String? {
        guard case .running(let sensor) = current, let problem = sensor.armament.problem else { return nil }
        return "the kernel did not take its tables, and no reflex acts until it does: \(problem)"
    }

    /// How long after the kernel did not take what was asked of it, or had no room, or the journal did not take that it is asked, it is tried again.
    private static let pause = Duration.seconds(2)

    /// As long as the agent: asks for containers, and tries again what the kernel or the journal did not take.
    func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await self.containers.run() }
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.pause)
                    guard case .running(let sensor) = self.current else { continue }
                    if sensor.armament.isUnfinished || self.plans.withLock(\.isUnrecorded) { self.playbooksChanged() }
                }
            }
            try await group.next()
            group.cancelAll()
        }
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
        case .running(let sensor):
            return [sensor.pinProblem.map { "\($0)" }, rules == 0 ? "no rule judges system calls: the sensor only keeps the process table" : nil].compactMap(\.self)
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

    /// What was asked for, less what the kernel has not taken.
    private func armed(by sensor: Sensor) -> ReflexPlan? {
        guard let plan = plans.withLock(\.wanted) else { return nil }
        let armament = sensor.armament
        if armament.problem != nil { return plan.without(plan.set.reflexes, because: "the kernel did not take its tables; the agent acts") }
        let (armed, waiting) = (Set(armament.armed), Set(armament.waiting))
        var left = plan.without(
            plan.set.reflexes.filter(waiting.contains), because: "its place in the kernel is another reflex's, of which events may come, for a few seconds; the agent acts")
        for reflex in left.set.reflexes {
            if let reason = armament.unfit[reflex] { left = left.without([reflex], because: "\(reason); the agent acts") }
        }
        return left.without(left.set.reflexes.filter { !armed.contains($0) }, because: "the kernel does not have it yet; the agent acts")
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
            "unrecorded_reflexes": object(made.unrecorded), "containers": containers.status, "reflexes": armed(by: sensor)?.json(sensor.armament) ?? [],
            "pinned": section.configuration.isPinned && sensor.pinProblem == nil ? (pins?.folder).map(JSON.text) ?? .null : .null,
            "pin_problem": (sensor.pinProblem?.problem).map(JSON.text) ?? .null,
            "io_uring": ["seen": .array(sensor.requests.types.map(JSON.text)), "problem": sensor.requests.problem.map(JSON.text) ?? .null],
            "left_by_others": .array(SensorPins.left(butOf: pins).map { .text($0.place) }),
            "unspared": .integer(Int64(counts.unspared)), "late_accounts": .integer(Int64(clamping: counts.lateAccounts)),
            "kernel_problem": kernelProblem.map(JSON.text) ?? .null,
            "processes": [
                "known": .integer(Int64(counts.processes)), "evicted": .integer(Int64(clamping: counts.table.evicted)),
                "from_proc": .integer(Int64(clamping: counts.table.rebuiltFromProc)),
                "incomplete": .integer(Int64(clamping: counts.table.incomplete)),
            ],
        ]
    }
}

extension SensorPins.Left {
    var words: String {
        let whose = stateDirectory.isEmpty ? "another state folder" : "the state folder \(stateDirectory.escapedForDisplay)"
        return isOrphaned ? "ended the programs of an agent with \(whose), which is no longer there" : "programs of an agent with \(whose), which has ended, are at work: \(place)"
    }

    var remedy: String { "start that agent, or end them: rm -r \(place)" }
}

extension ReflexPlan {
    /// Those that are to be armed, and those that are not, with the reason.
    var json: JSON { .array(set.reflexes.map { .object(Self.json($0)) } + unarmed) }

    /// The same with what the kernel has come to: `denies` are the types of calls that are refused before they are done.
    func json(_ armament: Armament) -> JSON {
        .array(
            set.reflexes.map { reflex in
                var json = Self.json(reflex)
                json.append("denies", .array((armament.refused[reflex] ?? []).map(JSON.text)))
                return .object(json)
            } + unarmed)
    }

    private static func json(_ reflex: ArmedReflex) -> JSONObject {
        ["playbook": .text(reflex.playbook), "rule": .text(reflex.rule), "signal": .integer(Int64(reflex.signal)), "acts": .bool(reflex.acts)]
    }

    private var unarmed: [JSON] { problems.map { ["playbook": .text($0.playbook), "rule": .text($0.rule), "problem": .text($0.reason)] } }
}
