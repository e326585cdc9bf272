internal import Glibc
internal import RiposteAudit
internal import RiposteCore
internal import RiposteIntake
internal import RiposteOutputs
internal import RipostePlaybooks
internal import RiposteRules

extension Agent.Banner {
    init(_ configuration: AgentConfiguration, _ house: EngineHouse, _ keepers: Keepers, _ intakes: [any Intake], _ auditIntakes: [any Intake], metrics: String?) {
        let (loaded, verdict) = (keepers.rules.rules, house.engine.agentMode)
        self.init(
            mode: verdict.mode, modeBecause: verdict.mode == configuration.mode ? nil : house.engine.agentModeBecause, playbooks: house.engine.playbooks.playbooks.count,
            rules: (loaded.armed, loaded.ruleSet.rules.count),
            intakes: keepers.sensor.places + intakes.map { ($0.name, $0.place, false) } + auditIntakes.map { ($0.name, $0.place, true) },
            journal: configuration.stateDirectory + "/journal", controlSocket: configuration.controlSocket,
            alertSocket: configuration.intake.socket.isEnabled ? configuration.alertSocket : nil,
            httpPlace: intakes.first { $0.name == "http" }?.place, metrics: metrics.map { "\($0)/metrics" },
            remarks: notes(on: house) + keepers.sensor.remarks(loaded.armed(for: "syscall")) + notes(on: loaded, hasAuditEvents: !auditIntakes.isEmpty) + notes(on: configuration))
    }
}

private func notes(on house: EngineHouse) -> [String] {
    var remarks: [String] = []
    let opening = house.journal.opening
    if !opening.wasClosedInOrder { remarks.append("the journal was not closed in order: the agent before this one ended at once") }
    if let torn = opening.tornPart { remarks.append("an unfinished record was set aside: \(torn)") }
    if let problem = opening.problem { remarks.append("the journal was tampered with or damaged: \(problem); see `riposte audit verify`") }
    for result in house.recovery.intents {
        let target = result.target.map { " \($0.summary)" } ?? ""
        remarks.append("\(result.action)\(target): \(result.outcome.rawValue), \(result.reason ?? "")")
    }
    if house.recovery.unclear > 0 { remarks.append("\(house.recovery.unclear) actions were under way, and what became of them is not clear yet: it is found out meanwhile") }
    if house.recovery.resumedRuns > 0 { remarks.append("\(house.recovery.resumedRuns) unfinished runs are carried on") }
    if house.recovery.openUndos > 0 { remarks.append("\(house.recovery.openUndos) actions are in force and can be taken back") }
    return remarks
}

private func notes(on configuration: AgentConfiguration) -> [String] {
    var remarks = [("intake.http", configuration.intake.http), ("intake.kubernetes_audit", configuration.intake.kubernetesAudit.http)].compactMap(note)
    for section in [configuration.intake.http, configuration.intake.kubernetesAudit.http, configuration.metrics.http] {
        remarks += section.exposedSecrets.map { "\($0) may be read by everybody on this host: whoever has read it is believed; chmod o-r it" }
    }
    if configuration.network.managementAllow.isEmpty {
        remarks.append("network.management_allow is empty: network.isolate will be refused unless it names who stays reachable")
    }
    return remarks
}

/// Whom a listener believes where nobody shows who he is.
private func note(on key: String, _ section: AgentConfiguration.IntakeSection.HTTP) -> String? {
    guard section.asksNobody else { return nil }
    if section.allowsUnauthenticated { return "\(key).allow_unauthenticated: whoever can connect is believed, and what he sends is acted on" }
    if let obstacle = SocketOwner.obstacle() {
        return "\(key): the kernel does not tell who sends (\(obstacle)): all that comes in there is observed only; set token_file or tls.client_ca"
    }
    return "\(key) believes \(section.believed); from others on this host alerts are observed only (\(key).uids)"
}

extension AgentConfiguration.IntakeSection.HTTP {
    /// Whether alerts are acted on from senders who do not have to show who they are.
    var asksNobody: Bool { isEnabled && trust == .trusted && tokenFile == nil && clientAuthority == nil }

    /// Whom the kernel has to name then; for people.
    var believed: String {
        let others = Set(userIDs.map { UInt32(clamping: $0) }).union([geteuid()]).subtracting([0]).sorted()
        return (["root"] + others.map { "uid \($0)" }).joined(separator: ", ")
    }
}

/// Rules without events, and events without rules.
private func notes(on rules: LoadedRules, hasAuditEvents: Bool) -> [String] {
    var remarks: [String] = []
    let audit = rules.armed(for: "k8s_audit")
    if audit > 0, !hasAuditEvents {
        remarks.append("\(audit) \(audit == 1 ? "rule" : "rules") for Kubernetes audit events: neither intake.kubernetes_audit nor intake.kubernetes_audit_log is on")
    }
    if audit == 0, hasAuditEvents { remarks.append("no rule judges Kubernetes audit events: nothing comes of them") }
    if rules.warnings > 0 { remarks.append("\(rules.warnings) \(rules.warnings == 1 ? "warning" : "warnings") in the rules; see `riposte rules check`") }
    return remarks
}

/// What `riposte status` shows.
func status(_ house: EngineHouse, _ keepers: Keepers, _ intakes: [any Intake], _ audit: KubernetesAuditDoor?, _ outputs: Outputs, since began: Timestamp) -> JSON {
    let counters = house.engine.counters
    let state = house.engine.snapshot
    let position = house.journal.position
    var object: JSONObject = [
        "version": .text(Version.text), "pid": .integer(Int64(getpid())), "since": .text("\(began)"),
        "mode": .text(house.engine.agentMode.mode.rawValue), "modes": house.engine.modesInForce, "playbooks": keepers.playbooks.status,
        "rules": keepers.rules.status,
        "sensor": keepers.sensor.status,
        "intakes": .array(
            intakes.map { intake in
                let values = intake.counters.snapshot
                var object: JSONObject = [
                    "name": .text(intake.name), "place": .text(intake.place), "accepted": .integer(Int64(values.accepted)),
                    "rejected": .integer(Int64(values.rejected)), "shed": .integer(Int64(values.shed)), "denied": .integer(Int64(values.denied)),
                    "untrusted": .integer(Int64(values.untrusted)), "evicted": .integer(Int64(values.evicted)), "rationed": .integer(Int64(values.rationed)),
                ]
                object.append("obstacle", intake.obstacle.map(JSON.text))
                return .object(object)
            }),
        "engine": [
            "alerts": .integer(Int64(counters.alerts)), "matched": .integer(Int64(counters.matched)), "shed": .integer(Int64(counters.shed)),
            "repeats": .integer(Int64(counters.repeats)),
            "crowded": .integer(Int64(counters.crowded)), "under_way": .integer(Int64(house.engine.underWay)),
            "outcomes": .object(
                JSONObject(counters.outcomes.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init(key: ByteText($0.key.rawValue), value: .integer(Int64($0.value))) })),
        ],
        "drifts": .array(state.drifts.open.map(\.json)),
        "pardons": .array(house.engine.pardons.map(\.json)),
        "orders": .array(house.engine.ordersUnderWay().prefix(100).map(\.json)),
        "breakers": .array(state.breakers.all.map(\.json)), "budgets": .array(house.engine.strainedBudgets.map(\.json)),
        "shed": .array(
            house.engine.floods.map { ["intake": .text($0.intake), "rule": .string($0.rule), "count": .integer(Int64($0.count))] }),
        "approvals": approvals(state.approvals),
        "incidents": [
            "open": .array(state.incidents.open.values.sorted { $0.id < $1.id }.map(\.json)), "ungrouped": .integer(Int64(counters.ungrouped)),
        ],
        "undos": .array(state.openUndos.values.sorted { $0.since < $1.since }.map(\.json)),
        "journal": [
            "seq": .integer(position.seq), "failures": .integer(Int64(counters.journalFailures)),
            "sync_failures": .integer(Int64(house.journal.syncFailures)),
            "trouble": house.journal.trouble(within: ReadinessReport.journalMemory).map { .text($0.message) } ?? .null,
            "problem": house.journal.opening.problem.map(JSON.text) ?? .null,
            "checkpoints": house.checkpoints?.status ?? .null,
        ],
    ]
    object.append("outputs_configuration", keepers.outputs.status)
    object.append("credentials", keepers.credentials.status)
    if !outputs.isEmpty { object.append("outputs", outputs.status) }
    if let counts = audit?.counts {
        object.append(
            "kubernetes_audit", ["judged": .integer(Int64(counts.judged)), "dropped": .integer(Int64(counts.dropped)), "alerts": .integer(Int64(counts.alerts))])
    }
    return .object(object)
}

/// What waits for a person.
private func approvals(_ book: ApprovalBook) -> JSON {
    let waiting = book.requests.values.filter(\.isWaiting)
    var object: JSONObject = ["open": .integer(Int64(waiting.count)), "plans": .integer(Int64(waiting.map(\.members.count).reduce(0, +)))]
    object.append("next_deadline", waiting.map(\.deadline).min().map { .text("\($0)") })
    if book.isOverflowing { object.append("overflowing", true) }
    return .object(object)
}

/// Those who keep what is in force equal to its files.
struct Keepers: Sendable {
    let playbooks: PlaybookKeeper
    let rules: RulesKeeper
    let outputs: OutputsKeeper
    let credentials: CredentialsKeeper
    let sensor: SensorKeeper

    /// Each whole or not at all, whatever becomes of the others.
    @Sendable func reload() async -> JSON {
        let playbooks = playbooks.reload()
        var judged = rules.reload().object ?? JSONObject()
        // In force here is not in force in the kernel.
        judged.append("kernel_problem", sensor.kernelProblem.map(JSON.text))
        return ["playbooks": playbooks, "rules": .object(judged), "outputs": await outputs.reload(), "credentials": credentials.reload()]
    }
}
