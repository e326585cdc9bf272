import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let ann = AuditRecord.Actor(.person, name: "ann")

@Suite("Incidents")
struct IncidentTests {
    private func bench(_ playbooks: String = Bench.pause, mode: Mode = .enforce, settings: (inout IncidentSettings) -> Void = { _ in }) throws -> Bench {
        var incidents = IncidentSettings()
        settings(&incidents)
        return try Bench(playbooks, mode: mode, configure: { $0.incidents = incidents })
    }

    /// The incidents of the alerts on record, as numbers in the order in which they came up.
    private func groups(_ bench: Bench) -> [Int?] {
        var known: [Identifier] = []
        return bench.log.records.filter { $0.kind == .alert }.map { record in
            record.incident.map { id in
                if !known.contains(id) { known.append(id) }
                return known.firstIndex(of: id) ?? -1
            }
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// Container and fields of each alert.
        var alerts: [(String, JSONObject)]
        var groups: [Int?]
        var testDescription: String { name }
    }

    static let cases = [
        Case(name: "the same container", alerts: [(Bench.one, [:]), (Bench.one, [:]), (Bench.two, [:])], groups: [0, 0, 1]),
        Case(name: "a container by its short and its long id", alerts: [(Bench.one, [:]), (Bench.one + "ffff", [:])], groups: [0, 0]),
        Case(name: "the same session of the host", alerts: [("host", ["proc.pid": 10, "proc.sid": 9]), ("host", ["proc.pid": 11, "proc.sid": 9])], groups: [0, 0]),
        Case(name: "sessions of containers are theirs", alerts: [(Bench.one, ["proc.sid": 9]), (Bench.two, ["proc.sid": 9])], groups: [0, 1]),
        Case(name: "a child", alerts: [("host", ["proc.pid": 10]), ("host", ["proc.pid": 11, "proc.ppid": 10])], groups: [0, 0]),
        Case(
            name: "a grandchild", alerts: [("host", ["proc.pid": 10]), ("host", ["proc.pid": 12, "proc.ppid": 11, "proc.apid[2]": 10])], groups: [0, 0]),
        Case(
            name: "everything descends from pid 1, which says nothing", alerts: [("host", ["proc.pid": 10, "proc.ppid": 1]), ("host", ["proc.pid": 11, "proc.ppid": 1])],
            groups: [0, 1]),
        Case(
            name: "a pid that came round", alerts: [("host", ["proc.pid": 10, "proc.pid.ts": 1_000_000_000]), ("host", ["proc.pid": 10, "proc.pid.ts": 90_000_000_000])],
            groups: [0, 1]),
        Case(
            name: "a pod",
            alerts: [
                ("", ["k8s.ns.name": "shop", "k8s.pod.name": "web"]), ("", ["k8s.ns.name": "shop", "k8s.pod.name": "web"]), ("", ["k8s.ns.name": "shop", "k8s.pod.name": "db"]),
            ],
            groups: [0, 0, 1]),
        Case(
            name: "from host to container by descent", alerts: [("host", ["proc.pid": 10]), (Bench.one, ["proc.pid": 11, "proc.ppid": 10]), (Bench.one, [:])], groups: [0, 0, 0]),
        Case(name: "nobody is named: the rule holds them together", alerts: [("", [:]), ("", [:])], groups: [0, 0]),
    ]

    @Test("what belongs together", arguments: cases)
    func together(_ example: Case) async throws {
        let bench = try bench(mode: .observe)
        for (container, fields) in example.alerts { _ = try await bench.respond(container, rule: "x", fields: fields) }
        #expect(groups(bench) == example.groups)
        #expect(bench.state == bench.engine.snapshot)
    }

    @Test("everything about an incident says so: alert, intent, outcome, run, and an undo long after it was closed")
    func everything() async throws {
        let bench = try bench()
        let id = try await bench.respond(Bench.one)[0].id
        let incident = try #require(bench.log.records.first?.incident)
        #expect(bench.log.records.map(\.kind) == [.incident, .alert, .intent, .outcome, .run])
        #expect(bench.log.records.allSatisfy { $0.incident == incident })
        await bench.pass(.seconds(15 * 60))
        #expect(bench.log.records.last?.kind == .incident && bench.log.records.last?.detail["state"]?.string == "closed")
        #expect(bench.engine.snapshot.incidents.open.isEmpty)
        let later = try bench.restarted(Bench.pause, configure: { $0.incidents = IncidentSettings() })
        _ = await later.engine.undo(id, actor: ann)
        // In between the pardon that comes of a person's undo.
        #expect(later.log.records.map(\.kind) == [.intent, .brake, .outcome] && later.log.records.allSatisfy { $0.incident == incident })
    }

    @Test("open as long as something new comes; what comes after that is another incident")
    func quiet() async throws {
        let bench = try bench(mode: .observe)
        for _ in 0..<3 {
            _ = try await bench.respond(Bench.one)
            await bench.pass(.seconds(14 * 60))
        }
        await bench.pass(.seconds(60))
        _ = try await bench.respond(Bench.one)
        #expect(groups(bench) == [0, 0, 0, 1])
        #expect(bench.log.records.count { $0.kind == .incident && $0.detail["state"]?.string == "closed" } == 1)
    }

    @Test("no incident is endless")
    func longest() async throws {
        let bench = try bench(mode: .observe, settings: { $0.longest = .seconds(1800) })
        for _ in 0..<4 {
            _ = try await bench.respond(Bench.one)
            bench.clock.advance(by: .seconds(600))
        }
        #expect(groups(bench) == [0, 0, 0, 1])
    }

    @Test("alerts that nobody answers open one only where they are grave, and the others only join")
    func priorities() async throws {
        let bench = try bench(mode: .observe)
        _ = try await bench.respond(Bench.one, rule: "x", priority: "Notice")
        _ = try await bench.respond(Bench.one, rule: "x", priority: "Warning")
        bench.clock.advance(by: .seconds(14 * 60))
        _ = try await bench.respond(Bench.one, rule: "x", priority: "Notice")
        // What only joins does not keep it open.
        await bench.pass(.seconds(60))
        _ = try await bench.respond(Bench.two, rule: "r", priority: "Notice")
        #expect(groups(bench) == [nil, 0, 0, 1])
        #expect(bench.engine.snapshot.incidents.open.count == 1)
    }

    @Test("as many as there is room for; of sources that are not trusted half as many")
    func room() async throws {
        let bench = try bench(mode: .observe, settings: { $0.limit = 4 })
        for number in 0..<4 { _ = try await bench.respond("cccccccccc\(10 + number)", rule: "x", trust: .untrusted) }
        for number in 0..<4 { _ = try await bench.respond("dddddddddd\(10 + number)", rule: "x") }
        #expect(groups(bench) == [0, 1, nil, nil, 2, 3, nil, nil])
        #expect(bench.engine.counters.ungrouped == 4)
    }

    @Test("many at the same moment: one incident, opened once")
    func concurrent() async throws {
        let bench = try bench(mode: .observe)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 { group.addTask { try await bench.engine.respond(to: bench.alert(Bench.one, rule: "x\(number)")) } }
            try await group.waitForAll()
        }
        #expect(bench.log.records.count { $0.kind == .incident } == 1)
        #expect(Set(groups(bench)) == [0])
    }

    @Test("its story: what happened in order, to whom, what was done, what stands")
    func story() async throws {
        let bench = try bench(Bench.pause + "  - name: k\n    match: { rules: k }\n    steps: [{ action: container.kill }]\n")
        let paused = try await bench.respond(Bench.one)[0].id
        bench.clock.advance(by: .seconds(5))
        _ = try await bench.respond(Bench.one, rule: "k")
        let id = try #require(bench.log.records.first?.incident)
        let story = try #require(self.story(id, bench))
        #expect(story.alerts == 2 && story.acts == 1 && story.closed == nil)
        #expect(story.targets.map(\.key) == ["container:\(Bench.one)"])
        #expect(story.standing?.map(\.id) == [paused])
        _ = await bench.engine.undo(paused, actor: ann, reason: "false alarm")
        await bench.pass(.seconds(15 * 60))
        let ended = try #require(self.story(id, bench))
        #expect(ended.standing == [] && ended.closed == bench.clock.now)
        #expect(ended.events.map(\.what).contains { $0.contains("container.unpause") && $0.contains("by ann") })
        #expect(self.story(.new(), bench) == nil)
        let cut = try #require(IncidentStory(id, bench.log.records, inForce: nil, isCutOff: true)).json
        #expect(cut["standing"] == nil && cut["cut_off"] == true)
    }

    private func story(_ id: Identifier, _ bench: Bench) -> IncidentStory? { IncidentStory(id, bench.log.records, inForce: Array(bench.state.openUndos.values)) }

    @Test("what stands is what can be taken back, whatever has happened to it since: let go by hand, done again, made longer")
    func standing() async throws {
        let bench = try bench("  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause, undo: { after: 5m, extend: true, max: 1h } }]\n")
        func order(_ action: ActionName) -> Order { Order(actor: ann, action: action, claim: .container(.init(reference: Bench.one)), mode: .enforce) }
        let first = try await bench.respond(Bench.one)[0].id
        let id = try #require(bench.log.records.first?.incident)
        bench.clock.advance(by: .seconds(100))
        #expect(try await bench.respond(Bench.one).map(\.outcome) == [.already])
        #expect(story(id, bench)?.standing?.map(\.due) == [bench.clock.now + .seconds(300)])
        // Somebody took it away, and it was done again: one state of the world, taken back once.
        bench.world.unmark(Bench.one)
        let second = try await bench.respond(Bench.one)[0].id
        #expect(story(id, bench)?.standing?.map(\.id) == [second] && first != second)
        #expect(await bench.engine.carryOut(order("container.unpause")).outcome == .done)
        #expect(story(id, bench)?.standing == [])
    }

    @Test("an alert that is no UTF-8 opens an incident with its priority and rule, and is told in its story")
    func notUTF8() async throws {
        let bench = try bench()
        let head = #"{"rule":"r","priority":"Critical","time":"\#(bench.clock.now)","output_fields":{"container.id":"\#(Bench.one)","proc.cmdline":"cat "#
        let text = Array(head.utf8) + [0xFF] + Array(#""}}"#.utf8)
        let alert = try Alert(parsing: text, id: .new(at: bench.clock.now), arrival: .init(intake: "t", trust: .trusted, time: bench.clock.now))
        _ = try await bench.respond(to: alert)
        #expect(bench.log.records.first { $0.kind == .alert }?.detail["alert"] == nil)
        let (id, open) = try #require(bench.engine.snapshot.incidents.open.first)
        #expect(open.priority == .critical && open.rule == "r")
        let told = try #require(story(id, bench))
        #expect(told.priority == .critical && told.rule == "r" && told.events.contains { $0.what.contains("r \"cat ") }, "\(told.events)")
    }

    @Test(
        "numbers and rules of one host say nothing of another's; containers do",
        arguments: [
            (["proc.pid": 812, "container.id": "host"], 2), (["proc.pid": 10, "proc.sid": 812, "container.id": "host"], 2), ([:], 2), (["container.id": .text(Bench.one)], 1),
            (["proc.pid": 10, "proc.ppid": 812, "container.id": "host"], 2),
        ] as [(JSONObject, Int)])
    func hosts(_ fields: JSONObject, _ incidents: Int) async throws {
        let bench = try bench(mode: .observe)
        for host in ["a", "b", "a"] {
            for fields in [fields["proc.ppid"] == nil ? fields : ["proc.pid": 812, "container.id": "host"], fields] {
                let document: JSON = [
                    "rule": "r", "priority": "Warning", "time": .text("\(bench.clock.now)"), "hostname": .text(host), "output_fields": .object(fields),
                ]
                _ = try await bench.respond(to: Alert(document, id: .new(at: bench.clock.now), arrival: .init(intake: "t", trust: .trusted, time: bench.clock.now)))
            }
        }
        #expect(Set(groups(bench)).count == incidents && bench.state == bench.engine.snapshot)
    }

    @Test("cut at any record, what comes next belongs to the same incident")
    func everyCrash() async throws {
        let whole = try bench()
        _ = try await whole.respond(Bench.one)
        let records = whole.log.records
        let incident = try #require(records.first?.incident)
        for cut in 1...records.count {
            let state = records.prefix(cut).reduce(into: EngineState()) { $0.apply($1) }
            let next = try Bench(Bench.pause, state: #require(EngineState(json: state.json)), clock: whole.clock, configure: { $0.incidents = IncidentSettings() })
            _ = await next.engine.recover()
            await next.engine.idle()
            // An incident that was opened by an alert which did not come to be is known by nothing: the alert opens another when it is sent again.
            if cut == 1 { continue }
            _ = try await next.respond(Bench.one)
            #expect(next.log.records.allSatisfy { $0.incident == incident }, "cut \(cut)")
        }
    }
}
