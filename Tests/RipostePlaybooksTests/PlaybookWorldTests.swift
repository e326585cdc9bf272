import RiposteCore
import RipostePlaybooks
import Testing

private let playbooks = """
      - name: contain
        match: { rules: [Shell] }
        budget: { actions: 10, per: 1h, over: ask }
        steps:
          - { name: hold, action: container.pause, undo: { after: 10m } }
          - { name: kill, action: process.kill, when: "proc.name != gdb", approval: { expires: 5m } }
      - name: cool
        match: { rules: [Cool] }
        cooldown: { for: 1m, by: [container.id] }
        dedup: off
        steps: [{ action: container.pause }]
    """

private let world = """
        now: 2026-03-04T11:22:40Z
        world:
          processes: [{ pid: 4711, start: 2026-03-04T11:22:33Z, exe: /bin/sh, container: 3f0c9a1b77de }]
          containers: [{ id: 3f0c9a1b77de, image: shop/web }]

    """

/// Playbook tests that name a world or outcomes run through the whole engine.
@Suite("Playbook tests with a world")
struct PlaybookWorldTests {
    private func alerts(_ path: String) throws -> [Alert] {
        let fields: JSONObject = [
            "container.id": "3f0c9a1b77de", "proc.pid": 4711, "proc.pid.ts": .integer(Timestamp("2026-03-04T11:22:33Z")?.nanoseconds ?? 0), "proc.name": "sh",
        ]
        let time = path.hasPrefix("later") ? "2026-03-04T11:23:50Z" : "2026-03-04T11:22:34Z"
        return [try Stage.alert(path.hasSuffix("cool.json") ? "Cool" : path == "other.json" ? "Other" : "Shell", at: time, fields)]
    }

    private func run(_ test: String) throws -> (failures: [String], coverage: PlaybookCoverage) {
        let file = try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - name: t\n" + test)
        let set = try Stage.playbooks(playbooks)
        let first = try #require(file.tests.first)
        let result = file.run(first, alerts: try file.alerts(of: first, reading: alerts), playbooks: set, catalogue: Stage.catalogue)
        return (result.failures.map(\.message), result.coverage)
    }

    @Test(
        "what holds passes",
        arguments: [
            (
                "outcomes, targets and parameters",
                world
                    + "    alerts: [a.json]\n    expect:\n      - { playbook: contain, step: hold, action: container.pause, outcome: done, target: { container: 3f0c9a1b77de } }\n      - { step: kill, outcome: pending, target: { process: 4711 }, with: { signal: KILL } }\n    never: [\"network.*\"]\n"
            ),
            ("mode observe plans", world + "    mode: observe\n    alerts: [a.json]\n    expect: [{ step: hold, outcome: planned }]\n"),
            (
                "time passes: the pause is taken back, the question has expired",
                world + "    wait: 11m\n    alerts: [a.json]\n    expect: [{ action: container.unpause, outcome: undone }, { step: kill, outcome: expired }]\n"
            ),
            (
                "whom nobody described is gone",
                "    world: { containers: [{ id: aaaaaaaaaaaa }] }\n    alerts: [a.json]\n    expect: [{ step: hold, outcome: gone }]\n    never: [process.kill]\n"
            ),
            (
                "a storm stays inside the budget",
                "    alerts: { repeat: a.json, times: 300, over: 10s, vary: [container.id, proc.pid] }\n    expect: [{ count: { outcome: done, max: 10, min: 10 } }, { breaker: open, playbook: contain }]\n"
            ),
            ("told twice it is answered once", world + "    alerts: [a.json, a.json]\n    expect: [{ step: hold, count: { max: 1 } }, { breaker: closed }]\n"),
            (
                "a cool-down refuses, and ends",
                "    alerts: [cool.json, { repeat: cool.json, times: 1 }, later-cool.json]\n    expect: [{ playbook: cool, count: { outcome: refused, min: 1, max: 1 } }]\n"
            ),
        ])
    func passes(name: String, test: String) throws {
        let failures = try run(test).failures
        #expect(failures.isEmpty, "\(name): \(failures)")
    }

    @Test(
        "what does not hold fails, with what came instead",
        arguments: [
            (
                world + "    alerts: [a.json]\n    expect: [{ step: hold, outcome: refused }]\n",
                "nothing comes to outcome refused, step hold; what came: contain/hold done, contain/kill pending"
            ),
            (world + "    alerts: [a.json]\n    expect: [{ step: hold, target: { container: ffffffffffff } }]\n", "nothing comes to target container ffffffffffff"),
            (world + "    alerts: [a.json]\n    expect: [{ count: { outcome: done, min: 2 } }]\n", "1 done, at least 2 expected"),
            (world + "    alerts: [a.json]\n    expect: [{ count: { max: 1 } }]\n", "2 in all, at most 1 expected"),
            (world + "    alerts: [a.json]\n    expect: [{ breaker: open }]\n", "a breaker is expected to be open: none is open"),
            (world + "    alerts: [a.json]\n    never: [\"container.*\"]\n", "contain/hold comes to done of container.pause, which container.* forbids"),
            (world + "    alerts: [other.json]\n    expect: [{ step: hold }]\n", "what came: nothing"),
            (
                "    alerts: { repeat: a.json, times: 300, over: 10s, vary: [container.id] }\n    expect: [{ breaker: closed }]\n",
                "breakers are expected to be closed: playbook/contain is open"
            ),
        ])
    func fails(test: String, expected: String) throws {
        let failures = try run(test).failures
        #expect(failures.count == 1 && failures[0].contains(expected), "\(failures)")
    }

    @Test(
        "a test that cannot mean anything is told with its place",
        arguments: [
            ("    alerts: { times: 3 }\n    expect: [{ step: hold }]\n", "need repeat (a file) and times"),
            ("    alerts: { repeat: a, times: 0 }\n    expect: [{ step: a }]\n", "from 1 to"),
            ("    alerts: [a]\n    expect: [{}]\n", "names nothing cannot fail"), ("    alerts: [a]\n    expect: [{ count: { outcome: done } }]\n", "a count needs min or max"),
            ("    alerts: [a]\n    expect: [{ outcome: finished }]\n", "expected one of done"),
            ("    alerts: [a]\n    intake: htpp\n    never: [a]\n", "there is no intake \"htpp\""),
            ("    alerts: [a]\n    expect: [{ breaker: ajar }]\n", "expected open, half_open or closed"),
            ("    alerts: [a]\n    expect: [{ target: { container: a, process: 1 } }]\n", "expected one of { process: PID }"),
            ("    alerts: [a]\n    expect: [{ breaker: open, step: a }]\n", "beside breaker only playbook"),
            ("    alerts: [a]\n    expect: [{ count: { min: 0 } }]\n", "0 or more cannot fail"),
            ("    alerts: [a]\n    expect: []\n", "neither expects nor forbids anything cannot fail"),
            ("    alerts: [a]\n    expect: []\n    never: []\n", "neither expects nor forbids anything cannot fail"),
            ("    alerts: [a]\n", "neither expects nor forbids anything cannot fail"), ("    alerts: [a]\n    now: noon\n    never: [a]\n", "expected a time"),
            ("    alerts: [a]\n    world: { processes: [{ pid: x }] }\n    never: [a]\n", "x.test.yaml:4:"),
        ])
    func problems(test: String, expected: String) throws {
        let error = #expect(throws: Diagnostics.self) { try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - name: t\n" + test) }
        #expect(error.map { "\($0)".contains(expected) } == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test(
        "a test that names what there is not, or has no alert, could not fail: it is not run",
        arguments: [
            ("    alerts: [a.json]\n    never: [\"container.*\", \"contianer.*\"]\n", "never: \"contianer.*\" fits no action; did you mean \"container.*\"?"),
            ("    alerts: [a.json]\n    never: container.paus\n", "never: \"container.paus\" fits no action; did you mean \"container.pause\"?"),
            ("    alerts: [a.json]\n    expect: [{ action: procces.kill, count: { max: 0 } }]\n", "line 4: there is no action \"procces.kill\"; did you mean \"process.kill\"?"),
            ("    alerts: [a.json]\n    expect: [{ playbook: contian, count: { max: 3 } }]\n", "line 4: there is no playbook \"contian\" here; did you mean \"contain\"?"),
            ("    alerts: [a.json]\n    expect: [{ playbook: contain, step: holt, count: { max: 3 } }]\n", "there is no step \"holt\" in playbook contain; did you mean \"hold\"?"),
            ("    alerts: [a.json]\n    expect: [{ step: holt, count: { max: 3 } }]\n", "there is no step \"holt\" here; did you mean \"hold\"?"),
            ("    alerts: []\n    never: [container.pause]\n", "there is no alert in its files: it cannot fail"),
            ("    alerts: [none.json]\n    never: [container.pause]\n", "there is no alert in its files: it cannot fail"),
            ("    alerts: { repeat: none.json, times: 3 }\n    never: [container.pause]\n", "there is no alert in its files: it cannot fail"),
        ])
    func unusable(test: String, expected: String) throws {
        let file = try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - name: t\n" + test)
        let first = try #require(file.tests.first)
        let error = #expect(throws: PlaybookTestFile.Unusable.self) {
            try file.check(first, against: try Stage.playbooks(playbooks), Stage.catalogue)
            _ = try file.alerts(of: first) { $0 == "none.json" ? [] : try alerts($0) }
        }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }

    @Test("a number is varied whatever it is", arguments: [Int64.max, .max - 1, .min, -1, 0, 4_194_303])
    func numbers(pid: Int64) throws {
        let test = "    alerts: { repeat: a.json, times: 3, over: 1s, vary: [proc.pid, fd.num] }\n    never: [container.pause]\n"
        let file = try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - name: t\n" + test)
        let varied = try file.alerts(of: #require(file.tests.first)) { _ in
            [try Stage.alert("Shell", at: "2026-03-04T11:22:34Z", ["proc.pid": .integer(pid), "fd.num": .integer(pid)])]
        }
        #expect(Set(varied.compactMap { $0.fields["proc.pid"]?.integer }).count == 3 && Set(varied.compactMap { $0.fields["fd.num"]?.integer }).count == 3)
        #expect(varied.dropFirst().allSatisfy { (1...4_194_304).contains($0.fields["proc.pid"]?.integer ?? 0) })
    }

    private static let told = """
          - { name: early, final: true, match: { rules: [Shell], intake: [http, socket] }, steps: [{ action: container.pause }] }
          - { name: many, order: 1, final: true, match: { rules: [Shell], threshold: { count: 3, within: 1m } }, steps: [{ action: container.stop }] }
          - name: late
            order: 2
            match: { rules: [Shell] }
            steps: [{ name: kill, action: process.kill }]
            on_finish:
              - { name: tell, action: notify.send, with: { to: soc, message: "it {{ steps.kill.outcome }}" } }
              - { action: notify.send, with: { to: [soc], message: "{{ proc.name }}" } }

        """

    @Test(
        "a plain test sees what the engine does: final playbooks, what is told at the end, and where the alerts come in",
        arguments: [
            ("expect: [{ playbook: late }]", []), ("expect: [{ playbook: early }]", ["nothing asks for playbook early"]),
            ("intake: http\n    expect: [{ playbook: early }]\n    never: [process.kill, notify.send]", []),
            ("intake: stdin\n    expect: [{ playbook: late }, { playbook: many }]", []),
            ("expect: [{ step: tell, action: notify.send, with: { to: [soc] } }, { step: finish-2, with: { message: sh } }]", []),
            ("never: [notify.send]", ["late/tell asks for notify.send", "late/finish-2 asks for notify.send"]),
            // The same through the engine.
            ("intake: socket\n    expect: [{ playbook: early, outcome: done }]\n    never: [process.kill]", []),
            ("expect: [{ step: tell, outcome: done }, { playbook: early, count: { max: 0 } }]", []),
        ])
    func plain(_ test: String, _ expected: [String]) throws {
        let catalogue = DescribedScene(DescribedWorld(), now: { Timestamp(nanoseconds: 0) }).catalogue(Stage.actions + [Stage.telling])
        let set = try PlaybookSet.load([.init(name: "p.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + Self.told)], catalogue).set
        let file = try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - name: t\n    alerts: [a.json]\n    \(test)\n")
        let first = try #require(file.tests.first)
        try file.check(first, against: set, catalogue)
        let result = file.run(first, alerts: try file.alerts(of: first, reading: alerts), playbooks: set, catalogue: catalogue)
        #expect(result.failures.count == expected.count && zip(result.failures, expected).allSatisfy { $0.message.contains($1) }, "\(result.failures)")
    }

    @Test("steps that a rehearsal reached are covered, those it passed over are not")
    func coverage() throws {
        let coverage = try run(world + "    alerts: [a.json]\n    expect: [{ step: hold }, { step: kill, outcome: pending }]\n").coverage
        #expect(coverage.unreached(of: try Stage.playbooks(playbooks)).map(\.playbook) == ["cool"])
    }

    @Test("the same test gives the same answer every time")
    func deterministic() throws {
        let storm = "    alerts: { repeat: a.json, times: 200, over: 30s, vary: [container.id] }\n    expect: [{ step: never-there }]\n"
        #expect(try run(storm).failures == run(storm).failures)
    }
}
