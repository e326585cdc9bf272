internal import Logging
internal import RiposteActions
internal import RiposteCore
internal import RiposteIntake
internal import RipostePlaybooks
internal import RiposteRules
internal import RiposteSensor
internal import Synchronization

/// Where the own sensor's findings come in: what a rule found becomes an alert, which goes through the door of all alerts.
final class SensorDoor: SensorSink {
    struct Counts: Sendable, Equatable {
        var alerts = 0
        /// Turned away by the engine, for lack of room or because it could not be made safe.
        var shed = 0
        var lost: [String: UInt64] = [:]
        /// Signals that reflexes sent and no alert tells of, by playbook.
        var unrecorded: [String: UInt64] = [:]
        var tampering = 0
    }

    /// What proves a target. Whatever a rule's output says, its alert carries these.
    private static let proof = ["proc.pid", "proc.pid.ts", "proc.name", "proc.exepath", "proc.cmdline", "container.id", "container.full_id", "evt.type"]
    /// Of tampering so many are told in a minute: a loop of it must not bury what else happens.
    private static let tamperingsPerMinute = 60

    private let alerts: AlertDoor
    private let own: OwnAlerts
    private let formatter: AlertFormatter
    private let logger: Logger
    private let counters = Mutex(Counts())
    private let losses: Mutex<LossWatch>
    private let tamperings = Mutex<(minute: Int64, told: Int, untold: Int)>((0, 0, 0))
    private let proof: Carried

    /// Used by the sensor's thread only, which is the only one to call ``take(_:_:_:)``.
    private struct Carried: @unchecked Sendable { let fields: FieldSelection }

    /// An alert of its own is raised once `lossLimit` events were lost; 0: never.
    init(_ alerts: AlertDoor, formatter: AlertFormatter, lossLimit: Int, logger: Logger) throws(ConditionError) {
        self.alerts = alerts
        own = OwnAlerts(alerts)
        self.formatter = formatter
        losses = Mutex(LossWatch(limit: lossLimit))
        self.logger = logger
        proof = Carried(fields: try FieldSelection(Self.proof, source: "syscall"))
    }

    var counts: Counts { counters.withLock(\.self) }

    func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
        var document = formatter.document(of: rule, at: event.time, values)
        var fields = document["output_fields"]?.object ?? JSONObject()
        let told = Set(fields.members.map(\.key))
        for member in proof.fields.values(of: event) where !told.contains(member.key) { fields.append(member.key, member.value) }
        if let path = event.containerCgroup { fields.append(ContainerClaim.Membership.field, .string(ByteText(Array(path)))) }
        if event.isRequest, !told.contains("evt.is_io_uring") { fields.append("evt.is_io_uring", .bool(true)) }
        if event.lacksContainerFacts { fields.append("container.incomplete", .bool(true)) }
        if let answer = answer(event, of: rule) { for member in answer.fields { fields.append(member.key, member.value) } }
        // Whichever rule it is that holds: the event says what the call would have done.
        if event.reflex?.isDenied == true { fields.append(KernelAnswer.deniedField, .bool(true)) }
        document["output_fields"] = .object(fields)
        hand(document)
    }

    /// What the kernel did about the event in the name of a playbook that names this rule.
    private func answer(_ event: SensorEvent, of rule: Rule) -> KernelAnswer? {
        guard let report = event.reflex, report.reflex.rule == rule.name, let identity = event.identity else { return nil }
        let verdict: KernelAnswer.Verdict =
            switch report.verdict {
            case .would: .would
            case .sent: .sent
            case .spent: .spent
            case .protected: .protected
            case .failed: .failed
            }
        return KernelAnswer(
            verdict: verdict, playbook: report.reflex.playbook, isDenied: report.isDenied,
            identity: ProcessIdentity(
                pid: Int32(clamping: identity.pid), startTicks: Host.ticks(ofBootNanoseconds: identity.start), bootID: Host.bootID,
                startedAt: event.time, name: ByteText(identity.comm)))
    }

    private func hand(_ document: JSONObject) {
        guard let alert = own.alert(document, Alert.Arrival(intake: KernelAnswer.intake)) else { return }
        do throws(AdmissionError) {
            try alerts.accept(alert)
            counters.withLock { $0.alerts += 1 }
        } catch {
            counters.withLock { $0.shed += 1 }
        }
    }

    // MARK: - Tampering

    func tampered(_ tampering: Tampering, _ event: SensorEvent) {
        counters.withLock { $0.tampering += 1 }
        let untold = tamperings.withLock { state -> Int? in
            let minute = event.time.nanoseconds / 60_000_000_000
            if state.minute != minute { (state.minute, state.told) = (minute, 0) }
            guard state.told < Self.tamperingsPerMinute else {
                state.untold += 1
                return nil
            }
            state.told += 1
            defer { state.untold = 0 }
            return state.untold
        }
        guard let untold else { return }
        var fields = JSONObject(proof.fields.values(of: event))
        fields.append("tampering.kind", .text(tampering.kind.rawValue))
        fields.append("tampering.deed", .text(tampering.deed))
        fields.append("tampering.target", .string(tampering.target))
        if untold > 0 { fields.append("tampering.untold", .integer(Int64(untold))) }
        logger.warning(
            "somebody tampered with Riposte",
            metadata: ["tampering.deed": "\(tampering.deed)", "tampering.target": "\(tampering.target.shown)", "pid": "\(event.identity?.pid ?? 0)"])
        hand([
            "hostname": .text(formatter.hostname),
            "output": .text("Somebody tampered with Riposte: \(tampering.words)"),
            "output_fields": .object(fields), "priority": .text(tampering.priority.name), "rule": "Riposte tampered with", "source": "internal",
            "tags": ["riposte", "sensor", "mitre_defense_evasion", "T1562.001"], "time": .text("\(event.time)"),
        ])
    }

    // MARK: - Losses

    func lost(_ events: [String: UInt64]) {
        counters.withLock { counts in for (type, count) in events { counts.lost[type, default: 0] += count } }
        losses.withLock { $0.note(events) }
    }

    func looked(isLast: Bool) {
        guard let due = losses.withLock({ $0.due(at: .now, isLast: isLast) }) else { return }
        let total = due.values.reduce(0, +)
        logger.warning("events were lost: the ring buffer was full", metadata: ["sensor.lost": "\(total)", "remedy": "raise sensor.buffer_size, or let rules ask for less"])
        hand(lossAlert(due, total))
    }

    func unrecorded(_ reflexes: [String: UInt64]) {
        counters.withLock { counts in for (playbook, count) in reflexes { counts.unrecorded[playbook, default: 0] += count } }
        for (playbook, count) in reflexes.sorted(by: { $0.key < $1.key }) {
            logger.error("a reflex acted without a record: the ring buffer was full, or its rule is gone", metadata: ["playbook": "\(playbook)", "reflexes": "\(count)"])
            let now = Timestamp.now()
            hand([
                "hostname": .text(formatter.hostname),
                "output": .text("The reflex of playbook \(playbook) ended \(count) processes of which nothing more is known: the ring buffer was full, or its rule is gone"),
                "output_fields": ["evt.time": .integer(now.nanoseconds), "reflex.playbook": .text(playbook), "reflex.unrecorded": .integer(Int64(clamping: count))],
                "priority": "Critical", "rule": "Riposte reflex without a record", "source": "internal", "tags": ["riposte", "sensor"], "time": .text("\(now)"),
            ])
        }
    }

    private func lossAlert(_ lost: [String: UInt64], _ total: UInt64) -> JSONObject {
        let now = Timestamp.now()
        let types = lost.sorted { $0.value > $1.value }
        var fields: JSONObject = ["evt.time": .integer(now.nanoseconds), "lost.events": .integer(Int64(clamping: total))]
        for (type, count) in types { fields.append(ByteText("lost.\(type)"), .integer(Int64(clamping: count))) }
        return [
            "hostname": .text(formatter.hostname),
            "output": .text("Riposte lost \(total) events because it could not read them in time (\(types.prefix(5).map { "\($0.key) \($0.value)" }.joined(separator: ", ")))"),
            "output_fields": .object(fields), "priority": "Warning", "rule": "Riposte lost events", "source": "internal", "tags": ["riposte", "sensor"],
            "time": .text("\(now)"),
        ]
    }
}

/// When losses are worth an alert, and which ones it tells of.
struct LossWatch {
    /// Alerts are at least this far apart, but for the last one.
    private static let pause = Duration.seconds(30)

    /// So many have to be lost; 0: there are no alerts.
    private let limit: Int
    /// Not told yet, by type.
    private var untold: [String: UInt64] = [:]
    private var told: ContinuousClock.Instant?

    init(limit: Int) { self.limit = limit }

    mutating func note(_ events: [String: UInt64]) { for (type, count) in events { untold[type, default: 0] += count } }

    /// What is to be told at this moment. Asked now and then, also when nothing more was lost: what was lost in the pause after an alert is told behind it, or at
    /// the end.
    mutating func due(at now: ContinuousClock.Instant, isLast: Bool) -> [String: UInt64]? {
        let isQuiet = told.map { now - $0 >= Self.pause } ?? true
        guard limit > 0, isQuiet || isLast, untold.values.reduce(0, +) >= UInt64(limit) else { return nil }
        defer { (untold, told) = ([:], now) }
        return untold
    }
}

extension Tampering {
    /// SIGTERM and SIGINT are how it is ended in order, and files may be changed by whoever keeps them: told, and less grave than the rest.
    fileprivate var priority: Priority {
        switch kind {
        case .signal where deed == "SIGTERM" || deed == "SIGINT": .notice
        case .file, .bpf: .warning
        case .signal, .trace, .memory: .critical
        }
    }

    fileprivate var words: String {
        switch kind {
        case .signal: "\(deed) was sent to it"
        case .trace: "it is traced (\(deed))"
        case .memory: "its memory was \(deed)"
        case .file: "\(target.shown) was \(deed)"
        case .bpf: "\(deed) (id \(target.shown))"
        }
    }
}
