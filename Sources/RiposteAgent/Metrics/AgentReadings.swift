internal import RiposteAudit
internal import RiposteCore
internal import RiposteIntake
internal import RiposteMetrics
internal import RiposteOutputs
internal import RipostePlaybooks

/// What the agent's parts have counted, read when somebody asks: they know nothing of metrics.
struct AgentReadings: Sendable {
    let house: EngineHouse
    let keepers: Keepers
    let intakes: [any Intake]
    let audit: KubernetesAuditDoor?
    let outputs: Outputs
    let registry: MetricRegistry
    let began: Timestamp

    /// All metrics, in the order of ``AgentMetric/all``.
    func families(at now: Timestamp = .now()) -> [MetricFamily] {
        let counted = registry.families
        var sheet = Sheet()
        agent(&sheet)
        sensor(&sheet)
        intakes(&sheet)
        engine(&sheet)
        state(&sheet, now)
        journal(&sheet, now)
        outputs(&sheet)
        process(&sheet)
        let read = sheet.families
        for family in counted + read where family.redirected > 0 { sheet.set(AgentMetric.redirected, Double(family.redirected), [family.metric.name]) }
        sheet.set(AgentMetric.undeclared, Double(registry.undeclared))
        return counted + sheet.families
    }

    /// The families that are read, each there from the start.
    struct Sheet {
        private var byName = Dictionary(AgentMetric.read.map { ($0.name, MetricFamily($0)) }) { first, _ in first }

        var families: [MetricFamily] { AgentMetric.read.compactMap { byName[$0.name] } }

        /// Adds: what has the same labels, as all that is put into the rest, is one series with the sum.
        mutating func set(_ metric: Metric, _ value: Double, _ labels: [String] = []) { byName[metric.name]?.add(value, labels) }
        mutating func set(_ metric: Metric, _ value: Int, _ labels: [String] = []) { set(metric, Double(value), labels) }
        mutating func set(_ metric: Metric, _ value: Bool, _ labels: [String] = []) { set(metric, value ? 1.0 : 0.0, labels) }
    }

    // MARK: - Parts

    private func agent(_ sheet: inout Sheet) {
        sheet.set(AgentMetric.buildInfo, 1, [Version.text])
        sheet.set(AgentMetric.startTime, began.seconds)
        let mode = house.engine.agentMode.mode
        for each in Mode.allCases { sheet.set(AgentMetric.mode, each == mode, [each.rawValue]) }
        sheet.set(AgentMetric.playbooks, house.engine.playbooks.playbooks.count)
        sheet.set(AgentMetric.degraded, Set(keepers.playbooks.degraded.degradations(of: house).map(\.playbook)).count)
        sheet.set(AgentMetric.rules, keepers.rules.rules.armed)
        for (files, reloads) in [
            ("playbooks", keepers.playbooks.reloads), ("rules", keepers.rules.reloads), ("outputs", keepers.outputs.reloads),
            ("credentials", keepers.credentials.reloads),
        ] {
            sheet.set(AgentMetric.reloads, reloads.successes, [files, "success"])
            sheet.set(AgentMetric.reloads, reloads.failures, [files, "failure"])
            sheet.set(AgentMetric.reloadRejected, reloads.isRejected, [files])
        }
    }

    private func sensor(_ sheet: inout Sheet) {
        let made = keepers.sensor.findings
        sheet.set(AgentMetric.sensorEnabled, keepers.sensor.isEnabled)
        for (type, count) in made.lost.sorted(by: { $0.key < $1.key }) { sheet.set(AgentMetric.sensorLost, Double(count), [type]) }
        sheet.set(AgentMetric.sensorShed, made.shed)
        sheet.set(AgentMetric.sensorTampering, made.tampering)
        guard case .running(let sensor) = keepers.sensor.current else { return }
        let (counts, kernel) = (sensor.counts, sensor.kernelCounts())
        sheet.set(AgentMetric.sensorRunning, true)
        sheet.set(AgentMetric.sensorEvents, Double(counts.events))
        sheet.set(AgentMetric.sensorMatches, Double(counts.matches))
        sheet.set(AgentMetric.sensorMalformed, Double(counts.malformed))
        sheet.set(AgentMetric.sensorLateAccounts, Double(counts.lateAccounts))
        sheet.set(AgentMetric.sensorProcesses, counts.processes)
        // From zero: a series that appears with the first loss hides it from `increase`.
        for type in kernel.seen.keys.sorted() { sheet.set(AgentMetric.sensorLost, 0, [type]) }
        for (stage, types) in [("seen", kernel.seen), ("passed", kernel.passed)] {
            for (type, count) in types.sorted(by: { $0.key < $1.key }) where count > 0 { sheet.set(AgentMetric.sensorKernelEvents, Double(count), [type, stage]) }
        }
    }

    private func intakes(_ sheet: inout Sheet) {
        for intake in intakes {
            let values = intake.counters.snapshot
            for (result, count) in [("accepted", values.accepted), ("rejected", values.rejected), ("shed", values.shed), ("rationed", values.rationed), ("denied", values.denied)] {
                sheet.set(AgentMetric.intakeAlerts, count, [intake.name, result])
            }
            sheet.set(AgentMetric.intakeUntrusted, values.untrusted, [intake.name])
            sheet.set(AgentMetric.intakeEvicted, values.evicted, [intake.name])
        }
        guard let counts = audit?.counts else { return }
        sheet.set(AgentMetric.auditEvents, counts.judged, ["judged"])
        sheet.set(AgentMetric.auditEvents, counts.dropped, ["dropped"])
    }

    private func engine(_ sheet: inout Sheet) {
        let counters = house.engine.counters
        sheet.set(AgentMetric.matches, counters.matched)
        sheet.set(AgentMetric.repeats, counters.repeats)
        sheet.set(AgentMetric.shed, counters.shed, ["run_limit"])
        sheet.set(AgentMetric.shed, counters.crowded, ["crowded"])
        sheet.set(AgentMetric.ungrouped, counters.ungrouped)
        sheet.set(AgentMetric.runs, counters.runs)
        sheet.set(AgentMetric.plans, counters.intents)
        sheet.set(AgentMetric.drift, counters.drifts)
        sheet.set(AgentMetric.journalFailures, counters.journalFailures)
        sheet.set(AgentMetric.underWay, house.engine.underWay)
        for (deed, count) in counters.deeds.sorted(by: { $0.key.sortKey.lexicographicallyPrecedes($1.key.sortKey) }) {
            sheet.set(AgentMetric.outcomes, count, deed.sortKey)
        }
        for use in house.engine.budgetsInForce {
            let labels = [use.name, use.countsTargets ? "targets" : "actions"]
            sheet.set(AgentMetric.budgetUsed, use.used, labels)
            sheet.set(AgentMetric.budgetLimit, use.limit, labels)
        }
    }

    private func state(_ sheet: inout Sheet, _ now: Timestamp) {
        let state = house.engine.snapshot
        let waiting = state.approvals.requests.values.filter(\.isWaiting)
        sheet.set(AgentMetric.approvals, waiting.count)
        sheet.set(AgentMetric.approvalDeadline, waiting.map(\.deadline).min().map { max(0, ($0 - now).seconds) } ?? 0)
        sheet.set(AgentMetric.incidents, state.incidents.open.count)
        sheet.set(AgentMetric.undos, state.openUndos.count)
        sheet.set(AgentMetric.overdueUndos, state.openUndos.values.count { $0.due.map { now - $0 > .seconds(60) } ?? false })
        for state in [Breakers.State.open, .halfOpen] { sheet.set(AgentMetric.breakers, 0, [state.rawValue]) }
        for breaker in state.breakers.all {
            sheet.set(AgentMetric.breakers, 1, [breaker.state.rawValue])
            sheet.set(AgentMetric.breakerTripped, 1, [breaker.name, breaker.state.rawValue])
        }
    }

    private func journal(_ sheet: inout Sheet, _ now: Timestamp) {
        sheet.set(AgentMetric.journalSeq, Double(house.journal.position.seq))
        sheet.set(AgentMetric.journalBytes, house.journal.bytesOnDisk)
        sheet.set(AgentMetric.journalSyncFailures, house.journal.syncFailures)
        sheet.set(AgentMetric.journalWritable, house.journal.trouble(within: ReadinessReport.journalMemory) == nil)
        sheet.set(AgentMetric.journalProblem, house.journal.opening.problem != nil)
        guard let counts = house.checkpoints?.counts else { return }
        sheet.set(AgentMetric.checkpoints, counts.written, ["written"])
        sheet.set(AgentMetric.checkpoints, counts.failures, ["failed"])
        sheet.set(AgentMetric.checkpointAge, counts.last.map { max(0, (now - $0).seconds) } ?? 0)
        sheet.set(AgentMetric.unanchored, Double(house.journal.unanchored))
    }

    private func outputs(_ sheet: inout Sheet) {
        for output in outputs.status.array ?? [] {
            let name = output["name"]?.string?.repaired ?? ""
            func number(_ key: ByteText) -> Double { Double(output[key]?.integer ?? 0) }
            for result in ["sent", "retried", "dead", "shed", "missing"] { sheet.set(AgentMetric.outputMessages, number(ByteText(result)), [name, result]) }
            sheet.set(AgentMetric.outputBehind, number("behind"), [name])
            sheet.set(AgentMetric.outputBytes, number("behind_bytes"), [name])
            sheet.set(AgentMetric.outputFailing, output["state"] != "ok", [name])
            let success = output["last_success"]?.string.flatMap { Timestamp($0.bytes) }
            if let success { sheet.set(AgentMetric.outputSuccess, success.seconds, [name]) }
        }
    }

    private func process(_ sheet: inout Sheet) {
        guard let facts = ProcessFacts.own() else { return }
        sheet.set(AgentMetric.cpuTime, facts.cpuSeconds)
        sheet.set(AgentMetric.residentMemory, facts.residentBytes)
        sheet.set(AgentMetric.virtualMemory, facts.virtualBytes)
        sheet.set(AgentMetric.openDescriptors, facts.openDescriptors)
        sheet.set(AgentMetric.descriptorLimit, facts.descriptorLimit)
        sheet.set(AgentMetric.processStart, facts.startSeconds)
    }
}

extension Engine.Counters.Deed {
    /// In the order of the labels.
    fileprivate var sortKey: [String] { [action, outcome.rawValue, mode?.rawValue ?? ""] }
}

extension Timestamp {
    fileprivate var seconds: Double { Double(nanoseconds) / 1e9 }
}

extension Duration {
    fileprivate var seconds: Double { Double(wholeNanoseconds) / 1e9 }
}
