import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let pause = Bench.pause
/// Leaves the container as it is.
private let unpause = pause.replacing("container.pause", with: "container.unpause")

/// An alert's fields about a process in container one.
private func process(_ pid: Int64, startedAt: Timestamp? = nil, _ more: JSONObject = JSONObject()) -> JSONObject {
    var fields: JSONObject = ["proc.pid": .integer(pid)]
    if let startedAt { fields.append("proc.pid.ts", .integer(startedAt.nanoseconds)) }
    fields.members += more.members
    return fields
}

@Suite("Facts that are told twice")
struct DedupTests {
    private func bench(_ playbooks: String = pause, state: EngineState = EngineState()) throws -> Bench {
        try Bench(playbooks, state: state, configure: { $0.dedup = .seconds(60) })
    }

    /// A second telling after a first one at noon by `t`, about process 7 that began a second before.
    struct Second: Sendable, CustomTestStringConvertible {
        var name: String
        var after = Duration.zero
        /// How much later the event itself is.
        var event = Duration.zero
        var pid: Int64 = 7
        var start: Duration? = .seconds(-1)
        var intake = "t"
        var rule = "r"
        var more = JSONObject()
        var isRepeat: Bool

        var testDescription: String { name }
    }

    static let seconds = [
        Second(name: "the very same", isRepeat: true),
        Second(name: "the same process does it again", event: .seconds(20), isRepeat: true),
        Second(name: "after a minute it is a new fact", after: .seconds(60), event: .seconds(60), isRepeat: false),
        Second(name: "told late, of that moment", after: .seconds(59), isRepeat: true),
        Second(name: "another process", pid: 8, isRepeat: false),
        Second(name: "the pid came round", event: .seconds(20), start: .seconds(10), isRepeat: false),
        Second(name: "another rule", rule: "q", isRepeat: false),
        Second(name: "another file", more: ["fd.name": "/etc/shadow"], isRepeat: false),
        Second(name: "the other source, a little later by its clock", event: .milliseconds(3), start: .milliseconds(-1003), intake: "u", isRepeat: true),
        Second(name: "the other source, without a start time", event: .milliseconds(3), start: nil, intake: "u", isRepeat: true),
        Second(name: "the other source, without a start time, of another moment", event: .seconds(5), start: nil, intake: "u", isRepeat: false),
        Second(name: "the same source, without a start time, of another moment", event: .milliseconds(3), start: nil, isRepeat: false),
    ]

    @Test("what counts as the same fact", arguments: seconds)
    func same(_ second: Second) async throws {
        let bench = try bench(pause + pause.replacing("name: p", with: "name: q").replacing("rules: r", with: "rules: q"))
        let noon = bench.clock.now
        let first = try bench.alert(Bench.one, fields: process(7, startedAt: noon + .seconds(-1)))
        _ = try await bench.respond(to: first)
        bench.clock.advance(by: second.after)
        _ = try await bench.respond(
            Bench.one, rule: second.rule, intake: second.intake, time: noon + second.event,
            fields: process(second.pid, startedAt: second.start.map { noon + $0 }, second.more))
        let repeated = bench.log.records.filter { $0.kind == .repeat }
        #expect(repeated.count == (second.isRepeat ? 1 : 0))
        #expect(bench.log.records.count { $0.kind == .run } == (second.isRepeat ? 1 : 2))
        if second.isRepeat { #expect(repeated[0].alert == first.id && repeated[0].id != first.id && bench.engine.counters.repeats == 1) }
    }

    @Test("a source that is not trusted never silences one that is")
    func trust() async throws {
        let bench = try bench()
        let fields = process(7, startedAt: bench.clock.now)
        #expect(try await bench.respond(Bench.one, intake: "u", trust: .untrusted, fields: fields).map(\.outcome) == [.planned])
        #expect(try await bench.respond(Bench.one, fields: fields).map(\.outcome) == [.done])
        #expect(try await bench.respond(Bench.one, intake: "u", trust: .untrusted, fields: fields).isEmpty)
    }

    @Test("what failed is tried again when it is told again")
    func failure() async throws {
        let bench = try bench()
        bench.world.fail(with: ActionError(.denied, "do it", "no"))
        let fields = process(7, startedAt: bench.clock.now)
        #expect(try await bench.respond(Bench.one, fields: fields).map(\.outcome) == [.failed])
        bench.world.fail(with: nil)
        #expect(try await bench.respond(Bench.one, fields: fields).map(\.outcome) == [.done])
        #expect(try await bench.respond(Bench.one, fields: fields).isEmpty)
    }

    @Test("one playbook's failure is no reason for another one to answer again")
    func failureOfOne() async throws {
        let bench = try bench(unpause + "  - name: q\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n")
        bench.world.fail(with: ActionError(.denied, "do it", "no"), action: "container.kill")
        let fields = process(7, startedAt: bench.clock.now)
        let (first, again) = (try await bench.respond(Bench.one, fields: fields), try await bench.respond(Bench.one, fields: fields))
        #expect(first.map(\.outcome) == [.already, .failed])
        #expect(again.compactMap(\.playbook) == ["q"])
        #expect(bench.state == bench.engine.snapshot)
    }

    @Test("what fails long after is tried again too, though the fact of another playbook was forgotten since")
    func lateFailure() async throws {
        let text =
            unpause.replacing("match:", with: "dedup: { for: 10s }\n    match:")
            + "  - name: q\n    dedup: { for: 1h }\n    match: { rules: r }\n    steps: [{ action: container.kill, approval: { expires: 30m } }]\n"
        let bench = try bench(text)
        let fields = process(7, startedAt: bench.clock.now)
        let first = try await bench.respond(Bench.one, fields: fields)
        let asked = try #require(first.first { $0.outcome == .pending })
        bench.clock.advance(by: .seconds(20))
        _ = try await bench.respond(Bench.two, fields: process(8, startedAt: bench.clock.now))
        bench.world.fail(with: ActionError(.denied, "do it", "no"), action: "container.kill")
        let time = bench.clock.now
        #expect(await bench.engine.answer(.approve, asked.id, by: person("ann", 1)).results.map(\.outcome) == [.failed])
        #expect(try await bench.respond(Bench.one, time: time, fields: fields).compactMap(\.playbook).contains("q"))
        #expect(bench.state == bench.engine.snapshot && EngineState(json: bench.state.json) == bench.state)
    }

    @Test("at the same moment, many times: one run")
    func together() async throws {
        let bench = try bench()
        let fields = process(7, startedAt: bench.clock.now)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<40 { group.addTask { try await bench.engine.respond(to: bench.alert(Bench.one, fields: fields)) } }
            try await group.waitForAll()
        }
        #expect(bench.world.performed.count == 1)
        #expect(bench.log.records.count { $0.kind == .repeat } == 39)
        // The words of the first few are kept, as evidence; after that only that there were more.
        #expect(bench.log.records.count { $0.kind == .repeat && $0.detail["alert"] != nil } == 16)
        #expect(bench.state == bench.engine.snapshot)
    }

    @Test("cut anywhere, the fact is not lost: it is answered, by the run that was begun or by the next telling")
    func everyCrash() async throws {
        let whole = try bench()
        let alert = try whole.alert(Bench.one, fields: process(7, startedAt: whole.clock.now))
        _ = try await whole.respond(to: alert)
        let records = whole.log.records
        for cut in 0...records.count {
            let state = records.prefix(cut).reduce(into: EngineState()) { $0.apply($1) }
            let next = try bench(state: state)
            if records.prefix(cut).contains(where: { $0.outcome == .done }) { try await next.world.mark(Bench.one) }
            _ = await next.engine.recover()
            await next.engine.idle()
            _ = try await next.respond(to: next.alert(Bench.one, fields: process(7, startedAt: whole.clock.now)))
            #expect(next.world.marks == ["container:\(Bench.one)"], "cut \(cut)")
            #expect(next.engine.snapshot.openRuns.isEmpty)
        }
    }

    /// What the step is given, what the second alert says, and whether it tells the same.
    struct Given: Sendable, CustomTestStringConvertible {
        var name: String
        var action = "container.pause"
        var value = "{{ fd.rip }}"
        var by = ""
        var second: JSONObject = ["fd.rip": "203.0.113.8"]
        var isRepeat: Bool

        var testDescription: String { name }
    }

    @Test(
        "what a deed is made of tells facts apart",
        arguments: [
            Given(name: "another address", isRepeat: false), Given(name: "the same address", second: ["fd.rip": "203.0.113.7"], isRepeat: true),
            Given(name: "the same address, and another value that no step asks for", second: ["fd.rip": "203.0.113.7", "fd.rport": 444], isRepeat: true),
            Given(name: "in a text", value: "host/{{ fd.rip }}", isRepeat: false),
            Given(name: "with a default, which it has", value: "{{ fd.rip | default: \"none\" }}", second: [:], isRepeat: false),
            Given(name: "nothing of the alert is asked for", value: "all", isRepeat: true), Given(name: "of a message", action: "host.tell", isRepeat: true),
            Given(name: "a playbook that goes by the target and more", by: "[target, user.name]", isRepeat: false),
            Given(name: "a playbook that goes by something else alone", by: "[user.name]", isRepeat: true),
        ])
    func deeds(_ given: Given) async throws {
        let catalogue = ActionCatalogue([GivenAction("container.pause", .reversible), GivenAction("host.tell", .readsOnly)])
        let dedup = given.by.isEmpty ? "" : "    dedup: { for: 1m, by: \(given.by) }\n"
        let bench = try Bench(
            "  - name: p\n    match: { rules: r }\n\(dedup)    steps: [{ action: \(given.action), with: { value: '\(given.value)' } }]\n", catalogue: catalogue,
            configure: { $0.dedup = .seconds(60) })
        let start = bench.clock.now
        _ = try await bench.respond(Bench.one, fields: process(7, startedAt: start, ["fd.rip": "203.0.113.7", "fd.rport": 443, "user.name": "ann"]))
        var second = given.second
        second.append("user.name", "ann")
        _ = try await bench.respond(Bench.one, fields: process(7, startedAt: start, second))
        #expect(bench.log.records.count { $0.kind == .repeat } == (given.isRepeat ? 1 : 0))
        #expect(bench.log.records.count { $0.kind == .run } == (given.isRepeat ? 1 : 2))
    }

    @Test("the fields that a playbook names, and off")
    func keys() async throws {
        let byUser = pause.replacing("match:", with: "dedup: { for: 5m, by: [user.name] }\n    match:")
        let bench = try bench(byUser)
        _ = try await bench.respond(Bench.one, fields: ["user.name": "ann"])
        bench.clock.advance(by: .seconds(299))
        #expect(try await bench.respond(Bench.two, fields: ["user.name": "ann"]).count == 1)
        let other = try self.bench(pause.replacing("match:", with: "dedup: off\n    match:"))
        _ = try await other.respond(Bench.one)
        #expect(try await other.respond(Bench.one).map(\.outcome) == [.already])
    }

    @Test("an alert that one playbook has answered and another has not is answered by that one")
    func partly() async throws {
        let bench = try bench(pause + "  - name: q\n    dedup: off\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n")
        let fields = process(7, startedAt: bench.clock.now)
        _ = try await bench.respond(Bench.one, fields: fields)
        #expect(try await bench.respond(Bench.one, fields: fields).compactMap(\.playbook) == ["q"])
        #expect(bench.log.records.last { $0.kind == .alert }?.detail["repeats"]?.array?.count == 1)
    }

    @Test("an exec that Falco recorded, told by Falco and by the sensor: one run")
    func twoSources() async throws {
        let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/falco-alerts.jsonl")
        let line = try String(contentsOf: fixtures, encoding: .utf8).split(separator: "\n").first { $0.contains("\"Basic Interactive Reconnaissance\"") }
        let recorded = try JSON(parsing: Array(try #require(line).utf8))
        let fields = try #require(recorded["output_fields"]?.object)
        // As the sensor tells it: its rules' output has no evt.num, its clock differs, and every alert of it carries what proves the process.
        var own = try #require(recorded.object)
        var ownFields = JSONObject(fields.members.filter { $0.key != "evt.num" })
        let time = Timestamp(nanoseconds: try #require(fields["evt.time"]?.integer))
        ownFields["evt.time"] = .integer((time + .microseconds(41)).nanoseconds)
        ownFields.append("proc.pid.ts", .integer((time + .milliseconds(-2)).nanoseconds))
        ownFields.append("container.full_id", "host")
        own["time"] = .text("\(time + .microseconds(41))")
        own["output_fields"] = .object(ownFields)
        for order in [["sensor", "http"], ["http", "sensor"]] {
            let bench = try Bench(
                "  - name: p\n    match: { rules: Basic Interactive Reconnaissance }\n    steps: [{ action: container.pause }]\n", mode: .observe,
                clock: HandClock(at: time), configure: { $0.dedup = .seconds(60) })
            for intake in order {
                let alert = try Alert(intake == "sensor" ? .object(own) : recorded, id: .new(at: bench.clock.now), arrival: .init(intake: intake, time: bench.clock.now))
                try await bench.engine.respond(to: alert)
                bench.clock.advance(by: .milliseconds(12))
            }
            #expect(bench.log.records.count { $0.kind == .run } == 1)
            #expect(bench.log.records.filter { $0.kind == .repeat }.map(\.detail).allSatisfy { $0["arrival"]?["intake"]?.string?.valid == order[1] })
            #expect(bench.engine.counters.repeats == 1)
        }
    }

    @Test("what the kernel did is put on record, though Falco had told of it before")
    func kernel() async throws {
        let world = RecordingWorld()
        let catalogue = ActionCatalogue([RecordingAction("process.kill", world: world, target: .process)])
        let text = "  - name: x\n    match: { rules: [r] }\n    budget: { actions: 9, per: 1m }\n    steps: [{ action: process.kill, reflex: true }]\n"
        let bench = try Bench(text, world: world, catalogue: catalogue, configure: { $0.dedup = .seconds(60) })
        let fields = process(7, startedAt: bench.clock.now)
        _ = try await bench.respond(Bench.one, intake: "http", fields: fields)
        let answer = KernelAnswer(verdict: .sent, playbook: "x", identity: .init(pid: 7, startTicks: 1, bootID: "b", startedAt: bench.clock.now, name: "m"))
        #expect(try await bench.respond(Bench.one, intake: "sensor", fields: process(7, startedAt: bench.clock.now, JSONObject(answer.fields))).map(\.outcome) == [.done])
    }

    @Test("what was told is bounded: the oldest is forgotten, and then answered anew")
    func bound() throws {
        var facts = ToldFacts()
        let start = Timestamp("2026-03-04T11:22:33Z") ?? .now()
        for number in 0..<20_000 {
            var record = AuditRecord(.alert, at: start, id: .new())
            record.detail = [
                "arrival": Alert.Arrival(intake: "t", time: start).json,
                "runs": [["run": .text("\(Identifier.new())"), "playbook": "p", "fact": ["key": .text("k\(number)"), "time": .text("\(start)"), "for": "60s"]]],
            ]
            facts.apply(record)
        }
        #expect(facts.json.array?.count == 16384)
        #expect(ToldFacts(json: facts.json)?.json == facts.json)
    }
}

@Suite("Thresholds and the order of playbooks")
struct ThresholdTests {
    private let third = "  - name: p\n    match: { rules: r, threshold: { count: 3, within: 2m, by: [fd.rip] } }\n    steps: [{ action: container.pause }]\n"

    @Test("the third within the time makes one run, with the others as evidence, and the count begins anew")
    func third() async throws {
        let bench = try Bench(third, configure: { $0.dedup = .seconds(60) })
        var ids: [Identifier] = []
        for number in 0..<7 {
            let alert = try bench.alert(Bench.one, fields: ["fd.rip": "192.0.2.7"])
            ids.append(alert.id)
            #expect(try await bench.respond(to: alert).count == (number == 2 || number == 5 ? 1 : 0), "alert \(number)")
            bench.clock.advance(by: .seconds(1))
        }
        let runs = bench.log.records.compactMap { $0.detail["runs"]?.array?.first }
        #expect(runs.count == 2)
        #expect(runs[0]["evidence"]?.array?.compactMap { $0.string?.valid } == ids[0..<2].map { "\($0)" })
        #expect(bench.state == bench.engine.snapshot)
    }

    @Test("others' values, and what is too long ago, do not count")
    func window() async throws {
        let bench = try Bench(third)
        for address in ["192.0.2.7", "192.0.2.8", "192.0.2.7"] { #expect(try await bench.respond(Bench.one, fields: ["fd.rip": .text(address)]).isEmpty) }
        bench.clock.advance(by: .seconds(121))
        #expect(try await bench.respond(Bench.one, fields: ["fd.rip": "192.0.2.7"]).isEmpty)
    }

    @Test("one that comes late, or says a time ahead, ends no count, and counts for none that is elsewhere", arguments: [-7200, -121, 121, 7200])
    func outOfOrder(_ offset: Int) async throws {
        let bench = try Bench(third)
        let fields: JSONObject = ["fd.rip": "192.0.2.7"]
        for seconds in [0, 0, offset] { #expect(try await bench.respond(Bench.one, time: bench.clock.now + .seconds(seconds), fields: fields).isEmpty) }
        bench.clock.advance(by: .seconds(1))
        #expect(try await bench.restarted(third).respond(Bench.one, fields: fields).map(\.outcome) == [.done])
        // In their order they are forgotten as before.
        bench.clock.advance(by: .seconds(121))
        #expect(try await bench.respond(Bench.one, fields: fields).isEmpty && bench.state == bench.engine.snapshot)
    }

    @Test("the same event told twice counts once, and a source that is not trusted counts for itself")
    func once() async throws {
        let bench = try Bench(third, configure: { $0.dedup = .seconds(60) })
        for _ in 0..<5 { #expect(try await bench.respond(Bench.one, fields: ["fd.rip": "192.0.2.7"]).isEmpty) }
        for _ in 0..<2 {
            bench.clock.advance(by: .seconds(1))
            #expect(try await bench.respond(Bench.one, trust: .untrusted, fields: ["fd.rip": "192.0.2.7"]).isEmpty)
        }
        bench.clock.advance(by: .seconds(1))
        #expect(try await bench.respond(Bench.one, fields: ["fd.rip": "192.0.2.7"]).isEmpty)
    }

    @Test("a count outlives a restart")
    func restart() async throws {
        let first = try Bench(third)
        for _ in 0..<2 { _ = try await first.respond(Bench.one, fields: ["fd.rip": "192.0.2.7"]) }
        #expect(try await first.restarted(third).respond(Bench.one, fields: ["fd.rip": "192.0.2.7"]).map(\.outcome) == [.done])
    }

    @Test("order, final and intake")
    func places() async throws {
        func playbook(_ name: String, _ keys: String, match: String = "rules: r") -> String {
            "  - name: \(name)\n    \(keys)\n    match: { \(match) }\n    steps: [{ action: container.pause }]\n"
        }
        let text =
            playbook("late", "order: 5") + playbook("never", "order: 9") + playbook("last", "order: 7\n    final: true") + playbook("first", "order: -1")
            + playbook("elsewhere", "order: -2\n    final: true", match: "rules: r, intake: stdin")
        let bench = try Bench(text)
        #expect(try await bench.respond(Bench.one, intake: "http").compactMap(\.playbook) == ["first", "late", "last"])
        #expect(try await bench.respond(Bench.two, intake: "stdin").compactMap(\.playbook) == ["elsewhere"])
    }

    @Test("who never sees an alert is told so")
    func unreachable() throws {
        let text = ["all", "one", "other"].map { name in
            "  - { name: \(name), final: \(name == "all"), match: { \(name == "all" ? "rules: [a, b]" : name == "one" ? "rules: b" : "rules: c") }, steps: [{ action: container.pause }] }"
        }
        let document = PlaybookSet.Document(name: "t", text: "apiVersion: riposte/v1\nplaybooks:\n" + text.joined(separator: "\n"))
        let warnings = try PlaybookSet.load([document], Bench.catalogue(RecordingWorld())).warnings.filter { $0.code == "P028" }
        #expect(warnings.map(\.message).count == 1 && warnings[0].message.contains("playbook one never sees an alert: all"))
    }

    @Test("a file's defaults, an owner, links")
    func defaults() throws {
        let text = """
            apiVersion: riposte/v1
            defaults: { mode: ask, owner: soc, budget: { actions: 5, per: 1h }, cooldown: { for: 1m }, dedup: off }
            playbooks:
              - { name: a, match: { rules: r }, steps: [{ action: container.pause }] }
              - { name: b, mode: observe, owner: web, links: ["https://wiki/b"], dedup: { for: 10s }, match: { rules: r }, steps: [{ action: container.pause }] }
            """
        let set = try PlaybookSet.load([.init(name: "t", text: text)], Bench.catalogue(RecordingWorld())).set.playbooks
        #expect(set[0].mode == .ask && set[0].owner == "soc" && set[0].budget?.actions == 5 && set[0].cooldown?.length == .seconds(60) && set[0].dedup?.length == nil)
        #expect(set[1].mode == .observe && set[1].owner == "web" && set[1].links == ["https://wiki/b"] && set[1].dedup?.length == .seconds(10))
        #expect(set[0].dedup != nil && set[1].dedup?.by == ["rule", "target"])
    }

    @Test(
        "what does not fit is said",
        arguments: [
            ("match: { rules: r, threshold: { count: 1, within: 1m } }", "from 2 to 1000"), ("match: { rules: r, intake: htpp }", "did you mean \"http\""),
            ("dedup: { for: 2d }\n    match: { rules: r }", "at most 1d"), ("dedup: { for: 1m, by: [proc.pidd] }\n    match: { rules: r }", "proc.pid"),
            ("final: yes\n    match: { rules: r }", "true or false"), ("dedup: on\n    match: { rules: r }", "expected off"),
        ])
    func problems(_ keys: String, _ expected: String) {
        #expect(Bench.problems(of: "  - name: p\n    \(keys)\n    steps: [{ action: container.pause }]\n").contains(expected))
    }
}

/// Is given a text, and does nothing with it.
private struct GivenAction: Action {
    let description: ActionDescription

    init(_ name: ActionName, _ impact: ActionDescription.Impact) {
        description = ActionDescription(name: name, summary: "", target: .host, impact: impact, parameters: [Parameter("value", .text(maxBytes: 256), summary: "")])
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        Plan(action: description.name, target: .host(machineID: "m"), parameters: request.parameters, summary: "do it")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance { Performance(.done) }
}
