import Logging
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let good = """
      - name: stop-miner
        mode: enforce
        match: { rules: [Miner started] }
        budget: { actions: 5, per: 1m }
        steps: [{ action: process.kill, reflex: true }]

    """

@Suite("Reflexes in playbooks")
struct ReflexTests {
    @Test("a step that the kernel can carry out is a reflex")
    func reads() throws {
        let reflex = try #require(try load(good).playbooks[0].reflex)
        #expect(reflex.playbook == "stop-miner" && reflex.step == "process-kill" && reflex.rules == ["Miner started"])
        #expect(reflex.signal == 9 && reflex.mode == .enforce && reflex.budget.actions == 5 && reflex.budget.per == .seconds(60))
    }

    @Test("a signal of its own, and the step's more careful mode")
    func details() throws {
        let set = try load(good.replacing("process.kill, reflex: true", with: "process.kill, with: { signal: TERM }, mode: observe, reflex: true"))
        #expect(set.playbooks[0].reflex?.signal == 15 && set.playbooks[0].reflex?.mode == .observe)
    }

    @Test(
        "what the kernel cannot do is said where it stands",
        arguments: [
            ("[Miner started]", "[\"Miner *\"]", "exactly"), ("[Miner started]", "[Miner started, \"!Other\"]", "exactly"),
            ("rules: [Miner started]", "any: true", "exactly"), ("rules: [Miner started]", "rules: [Miner started], when: proc.name = x", "when"),
            ("    budget: { actions: 5, per: 1m }\n", "", "budget"), ("reflex: true", "reflex: true, with: { tree: true }", "tree"),
            ("reflex: true", "reflex: true, when: proc.name = x", "when"), ("process.kill", "container.pause", "process.kill"),
            ("[{ action: process.kill, reflex: true }]", "[{ action: container.pause }, { action: process.kill, reflex: true }]", "first"),
            ("    budget:", "    cooldown: { for: 5m }\n    budget:", "cooldown"),
        ])
    func refuses(_ part: String, _ replacement: String, _ word: String) throws {
        let error = try #require(throws: Diagnostics.self) { try load(good.replacing(part, with: replacement)) }
        #expect(error.entries.contains { $0.code == "P018" && $0.message.contains(word) && $0.place != nil }, "\(error)")
    }

    private static let process = ProcessIdentity(pid: 4711, startTicks: 99, bootID: "b", startedAt: Timestamp(nanoseconds: 1), name: "xmrig")

    private func settle(
        _ verdict: KernelAnswer.Verdict, isDenied: Bool = false, intake: String = KernelAnswer.intake, playbook: String = "stop-miner", mode: Mode = .enforce,
        state: EngineState = EngineState()
    ) async throws
        -> (RecordingLog, [AuditRecord])
    {
        let log = RecordingLog()
        let engine = Engine(
            configuration: .init(mode: mode), catalogue: testCatalogue, guards: [], log: log, playbooks: try load(good), state: state,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let answer = KernelAnswer(verdict: verdict, playbook: playbook, identity: Self.process)
        let denied: [JSONObject.Member] = isDenied ? [.init(key: KernelAnswer.deniedField, value: true)] : []
        let document: JSONObject = [
            "rule": "Miner started", "priority": "Critical", "time": .text("\(Timestamp.now())"),
            "output_fields": .object(JSONObject(answer.fields + denied + [.init(key: "proc.pid", value: 4711), .init(key: "proc.name", value: "xmrig")])),
        ]
        try await engine.respond(to: Alert(.object(document), id: .new(), arrival: .init(intake: intake)))
        return (log, log.records.filter { $0.kind == .outcome })
    }

    @Test(
        "what the kernel did is put on record as the step's outcome",
        arguments: [(KernelAnswer.Verdict.sent, Outcome.done), (.would, .planned), (.spent, .refused), (.failed, .failed)])
    func records(_ verdict: KernelAnswer.Verdict, _ outcome: Outcome) async throws {
        let (_, outcomes) = try await settle(verdict, mode: verdict == .would ? .observe : .enforce)
        #expect(outcomes.map(\.outcome) == [outcome])
        #expect(outcomes.first?.target?.key == Target.process(Self.process).key)
        #expect(outcomes.first?.playbook == "stop-miner" && outcomes.first?.step == "process-kill")
    }

    @Test("what the kernel did, and could not be put on record at once, is owed to the journal: it is in the budget")
    func owed() async throws {
        let log = RecordingLog()
        let engine = Engine(
            configuration: .init(mode: .enforce), catalogue: testCatalogue, guards: [], log: log, playbooks: try load(good),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let answer = KernelAnswer(verdict: .sent, playbook: "stop-miner", identity: Self.process)
        let document: JSONObject = [
            "rule": "Miner started", "priority": "Critical", "time": .text("\(Timestamp.now())"),
            "output_fields": .object(JSONObject(answer.fields + [.init(key: "proc.pid", value: 4711), .init(key: "proc.name", value: "xmrig")])),
        ]
        log.refuse([.outcome])
        try await engine.respond(to: Alert(.object(document), id: .new(), arrival: .init(intake: KernelAnswer.intake)))
        #expect(!log.records.contains { $0.kind == .outcome } && engine.snapshot.ledger.acts.isEmpty)
        log.refuse([])
        try engine.payOwed()
        #expect(log.records.filter { $0.kind == .outcome }.map(\.outcome) == [.done] && engine.snapshot.ledger.acts.count == 1 && engine.snapshot.openRuns.isEmpty)
    }

    @Test("that the call was refused as well is in the evidence", arguments: [false, true])
    func denied(_ isDenied: Bool) async throws {
        let outcome = try #require(try await settle(.sent, isDenied: isDenied).1.first)
        #expect(outcome.detail["evidence"]?["reflex"] == true && outcome.detail["evidence"]?["denied"] == (isDenied ? true : nil))
        #expect(outcome.message?.contains("refused") == isDenied)
    }

    /// testCatalogue's process.kill can only be described: the order came as far as that.
    @Test("what the kernel has spared is looked at here, by what it runs now", arguments: [Mode.enforce, .observe])
    func spared(_ mode: Mode) async throws {
        let (_, outcomes) = try await settle(.protected, mode: mode)
        #expect(outcomes.first?.message?.contains("only described") == true)
    }

    @Test("what the kernel would have done and the playbook may do, is done here: it does not know a roll-out's share")
    func wouldHave() async throws {
        let (_, outcomes) = try await settle(.would)
        #expect(outcomes.first?.message?.contains("only described") == true)
    }

    @Test("what the kernel was kept from for want of budget trips the breaker, which disarms it; from then on user space is asked, and held back")
    func breaker() async throws {
        let (log, _) = try await settle(.spent)
        let brake = try #require(log.records.first { $0.kind == .brake })
        #expect(brake.detail["breaker"]?.string == "playbook/stop-miner" && brake.message == "the budget of playbook stop-miner is spent: 5 of 5 actions per 1m")
        let state = log.records.reduce(into: EngineState()) { $0.apply($1) }
        #expect(state.breakers.holdBackReflex(of: "stop-miner") && !state.breakers.holdBackReflex(of: "other"))
        // testCatalogue's process.kill can only be described: the order came as far as that.
        let (_, outcomes) = try await settle(.would, state: state)
        #expect(outcomes.first?.message?.contains("only described") == true)
    }

    /// testCatalogue's process.kill can only be described: reaching it at all shows that the claim was not believed.
    @Test("only the sensor is believed, and only about the playbook that it names", arguments: [("http", "stop-miner"), (KernelAnswer.intake, "another")])
    func forged(_ intake: String, _ playbook: String) async throws {
        let (_, outcomes) = try await settle(.sent, intake: intake, playbook: playbook)
        let own = outcomes.filter { $0.playbook == "stop-miner" }
        #expect(own.map(\.outcome) == [.failed] && own.first?.message?.contains("only described") == true)
        // What the kernel has done for a playbook that is not there any more is on record in that one's name.
        #expect(outcomes.filter { $0.playbook == "another" }.map(\.outcome) == (intake == KernelAnswer.intake ? [.done] : []))
    }

    @Test("what the kernel has done is no dry run, whatever the mode has become since")
    func doneBefore() async throws {
        let (_, outcomes) = try await settle(.sent, mode: .observe)
        #expect(outcomes.map(\.outcome) == [.done] && outcomes.first?.dryRun == false)
    }

    @Test(
        "what the kernel has done is on record, and in the budget, where no run tells of it",
        arguments: [
            // Earlier, final, and it may answer.
            "  - name: first\n    order: -1\n    final: true\n    match: { rules: Miner started }\n    steps: [{ action: container.kill }]\n",
            // It takes no alerts of the sensor.
            nil,
        ] as [String?])
    func orphan(_ earlier: String?) async throws {
        let text = earlier.map { good + $0 } ?? good.replacing("[Miner started] }", with: "[Miner started], intake: [http] }")
        let catalogue = ActionCatalogue([try #require(testCatalogue["process.kill"]), DestroyingAction("container.kill", world: RecordingWorld())])
        let log = RecordingLog()
        let engine = Engine(
            configuration: .init(mode: .enforce), catalogue: catalogue, guards: [], log: log,
            playbooks: try PlaybookSet.load([.init(name: "t.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + text)], catalogue).set,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let fields = JSONObject(KernelAnswer(verdict: .sent, playbook: "stop-miner", identity: Self.process).fields + [.init(key: "container.id", value: .text(BrakeScene.id(1)))])
        let document: JSONObject = ["rule": "Miner started", "priority": "Critical", "time": .text("\(Timestamp.now())"), "output_fields": .object(fields)]
        let alert = try Alert(.object(document), id: .new(), arrival: .init(intake: KernelAnswer.intake))
        try await engine.respond(to: alert)
        let outcome = try #require(log.records.first { $0.kind == .outcome && $0.playbook == "stop-miner" })
        #expect(outcome.outcome == .done && outcome.dryRun == false && outcome.alert == alert.id && outcome.target?.key == Target.process(Self.process).key)
        #expect(engine.snapshot.ledger.times(ofPlaybook: "stop-miner").count == 1)
    }

    @Test("in the kernel the mode of the source sensor counts, too, and that of others does not", arguments: [("sensor", Mode.observe), ("http", .enforce)])
    func source(_ name: String, _ mode: Mode) throws {
        let engine = Engine(
            configuration: .init(mode: .enforce), catalogue: testCatalogue, guards: [], log: RecordingLog(), playbooks: try load(good),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try engine.setMode(.observe, for: .source(name), actor: AuditRecord.Actor(.person, name: "op"))
        #expect(engine.modeInKernel(of: engine.playbooks.playbooks[0]) == mode)
    }

    @Test("what the kernel has done is put on record where there is no room for more runs, too; what it only would have done is turned away like anything else")
    func full() async throws {
        let (log, world, gate) = (RecordingLog(), RecordingWorld(), Latch())
        world.hold { await gate.pass() }
        let catalogue = ActionCatalogue([try #require(testCatalogue["process.kill"]), DestroyingAction("container.kill", world: world)])
        let text = good + "  - name: hangs\n    match: { rules: Miner started }\n    steps: [{ action: container.kill }]\n"
        let engine = Engine(
            configuration: .init(mode: .enforce, runLimit: 4), catalogue: catalogue, guards: [], log: log,
            playbooks: try PlaybookSet.load([.init(name: "t.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + text)], catalogue).set,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        func alert(_ number: Int, _ verdict: KernelAnswer.Verdict) throws -> Alert {
            let answer = KernelAnswer(verdict: verdict, playbook: "stop-miner", identity: Self.process)
            let fields = JSONObject(answer.fields + [.init(key: "proc.pid", value: 4711), .init(key: "container.id", value: .text(BrakeScene.id(number)))])
            let document: JSONObject = ["rule": "Miner started", "priority": "Critical", "time": .text("\(Timestamp.now())"), "output_fields": .object(fields)]
            return try Alert(.object(document), id: .new(), arrival: .init(intake: KernelAnswer.intake))
        }
        for number in 0..<20 { try engine.accept(alert(number, .sent)) }
        #expect(throws: Engine.AdmissionError.full) { try engine.accept(alert(20, .would)) }
        await gate.open()
        await engine.idle()
        let outcomes = log.records.filter { $0.kind == .outcome && $0.playbook == "stop-miner" }.map(\.outcome)
        #expect(outcomes == Array(repeating: .done, count: 20))
    }
}
