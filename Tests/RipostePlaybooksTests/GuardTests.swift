import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

/// A world as the test says it is.
private struct DescribedWorld: TargetFacts {
    var subjects: [GuardFacts.Subject]

    init(_ subjects: [GuardFacts.Subject]) { self.subjects = subjects }

    func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts { GuardFacts(subjects) }
}

private struct SilentWorld: TargetFacts {
    func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts { throw ActionError(.unavailable, "ask the engine", "no answer") }
}

private func subject(_ change: (inout GuardFacts.Subject) -> Void) -> GuardFacts.Subject {
    var subject = GuardFacts.Subject()
    change(&subject)
    return subject
}

private func plan(_ action: ActionName = "process.kill") -> Plan {
    Plan(action: action, target: .host(machineID: "m"), parameters: Parameters(), summary: "")
}

private let noon = Timestamp("2026-11-25T12:00:00Z") ?? .now()

@Suite("Guards of the configuration")
struct GuardRuleTests {
    /// A process `postgres` of user 999 in container `db-1`, of a StatefulSet's pod.
    private static let database = subject { subject in
        subject.process = .known(.init(pid: 10, name: "postgres", executable: "/usr/lib/postgresql/17/bin/postgres", userID: 999, user: "postgres"))
        subject.container = .known(.init(id: "aa", name: "db-1", image: "registry.example/postgres:17", labels: ["tier": "db", "keep": ""]))
        subject.namespace = .known("payments")
        subject.pod = .known(.init(namespace: "payments", name: "db-0", owner: "StatefulSet/db", annotations: ["example/keep": "yes"]))
    }
    private static let address = subject { $0.address = IPNetwork("10.1.0.0/16") }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let holds: Bool
        let subject: GuardFacts.Subject
        let condition: @Sendable (inout GuardRule) -> Void

        init(_ name: String, _ holds: Bool, on subject: GuardFacts.Subject = database, _ condition: @escaping @Sendable (inout GuardRule) -> Void) {
            (testDescription, self.holds, self.subject, self.condition) = (name, holds, subject, condition)
        }
    }

    @Test(
        "each condition, held and not",
        arguments: [
            Case("name", true) { $0.processNames = ["mysqld", "postgres"] }, Case("name, pattern", true) { $0.processNames = ["post*"] },
            Case("other name", false) { $0.processNames = ["mysqld"] }, Case("executable", true) { $0.executables = ["/usr/lib/postgresql/*"] },
            Case("other executable", false) { $0.executables = ["/opt/*"] }, Case("user by name", true) { $0.users = ["postgres"] },
            Case("user by number", true) { $0.users = ["999"] },
            Case("other user", false) { $0.users = ["0", "root"] },
            Case("name and user, all must hold", false) { ($0.processNames, $0.users) = (["postgres"], ["root"]) },
            Case("container's name", true) { $0.containerNames = ["db-*"] }, Case("other container", false) { $0.containerNames = ["web-*"] },
            Case("image", true) { $0.images = ["*/postgres:*"] }, Case("other image", false) { $0.images = ["postgres:*"] },
            Case("label", true) { $0.labels = ["keep"] }, Case("label and value", true) { $0.labels = ["tier=db"] }, Case("other value", false) { $0.labels = ["tier=web"] },
            Case("namespace", true) { $0.namespaces = ["pay*"] }, Case("other namespace", false) { $0.namespaces = ["shop"] },
            Case("owner", true) { $0.podOwners = ["StatefulSet/*"] }, Case("other owner", false) { $0.podOwners = ["ReplicaSet/*"] },
            Case("annotation", true) { $0.annotations = ["example/keep"] }, Case("annotation and value", true) { $0.annotations = ["example/keep=yes"] },
            Case("other annotation", false) { $0.annotations = ["example/drop"] },
            Case("address inside the block", true, on: address) { $0.addresses = [IPNetwork("10.0.0.0/8")].compactMap(\.self) },
            Case("block inside the address", true, on: address) { $0.addresses = [IPNetwork("10.1.2.3")].compactMap(\.self) },
            Case("other address", false, on: address) { $0.addresses = [IPNetwork("192.0.2.0/24")].compactMap(\.self) },
            Case("an address is no process", false, on: address) { $0.processNames = ["*"] },
            Case("a process is no address", false) { $0.addresses = [IPNetwork("0.0.0.0/0")].compactMap(\.self) },
            Case("a process outside containers is in none", false, on: subject { $0.process = .known(.init(pid: 1, name: "sh")) }) { $0.images = ["*"] },
            Case("action", true) { $0.actions = ["process.*"] }, Case("other action", false) { $0.actions = ["container.*"] },
            Case("playbook", true) { $0.playbooks = ["p"] }, Case("other playbook", false) { $0.playbooks = ["q"] },
        ])
    func conditions(_ example: Case) async {
        var rule = GuardRule(name: "g", place: "riposte.yaml:7")
        example.condition(&rule)
        let answer = await ConfiguredGuard(rule, world: DescribedWorld([example.subject])).answer(to: GuardQuestion(plan: plan(), playbook: "p", time: noon))
        #expect((answer != nil) == example.holds)
        if let answer { #expect(answer.title == "guard g (riposte.yaml:7)" && answer.verdict == .refuse && !answer.reason.isEmpty) }
    }

    @Test("of several that would be hit, one that is protected protects all")
    func oneOfMany() async {
        var rule = GuardRule(name: "g", place: "f:1")
        rule.processNames = ["postgres"]
        let world = DescribedWorld([subject { $0.process = .known(.init(pid: 1, name: "sh")) }, Self.database])
        let answer = await ConfiguredGuard(rule, world: world).answer(to: GuardQuestion(plan: plan(), time: noon))
        #expect(answer?.reason == "process 10 is postgres")
    }

    @Test("what cannot be found out refuses and says so, unless something known speaks against the guard")
    func unknown() async {
        var rule = GuardRule(name: "g", place: "f:1")
        (rule.labels, rule.answer) = (["keep"], .observe)
        let hidden = subject { subject in
            subject.process = .known(.init(pid: 1, name: "sh"))
            subject.container = .unknown("the engine does not answer")
        }
        func answer(_ rule: GuardRule, _ world: any TargetFacts) async -> GuardAnswer? {
            await ConfiguredGuard(rule, world: world).answer(to: GuardQuestion(plan: plan(), time: noon))
        }
        let unclear = await answer(rule, DescribedWorld([hidden]))
        #expect(unclear?.verdict == .refuse && unclear?.reason == "which container it is could not be found out: the engine does not answer")
        #expect(await answer(rule, SilentWorld())?.verdict == .refuse)
        rule.processNames = ["postgres"]
        #expect(await answer(rule, DescribedWorld([hidden])) == nil)
    }

    @Test("releases pass, unless a guard names them")
    func releases() async {
        var rule = GuardRule(name: "g", place: "f:1")
        rule.processNames = ["*"]
        func answer(_ rule: GuardRule) async -> GuardAnswer? {
            await ConfiguredGuard(rule, world: DescribedWorld([Self.database])).answer(to: GuardQuestion(plan: plan("process.resume"), isRelease: true, time: noon))
        }
        #expect(await answer(rule) == nil)
        rule.actions = ["*.resume"]
        #expect(await answer(rule) != nil)
        let undo = GuardQuestion(plan: plan("process.resume"), isRelease: true, isUndo: true, time: noon)
        #expect(await ConfiguredGuard(rule, world: DescribedWorld([Self.database])).answer(to: undo) == nil)
    }
}

@Suite("Time windows")
struct TimeWindowTests {
    @Test(
        "in and out, at the very edge too",
        arguments: [
            // 2026-11-27 is a Friday.
            ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-27T15:59:59Z", false), ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-27T16:00:00Z", true),
            ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-29T23:59:59Z", true), ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-30T07:59:59Z", true),
            ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-30T08:00:00Z", false), ("Fri 16:00-Mon 08:00", "UTC", "2026-11-28T12:00:00Z", true),
            ("Mon - Fri 09:00 - 17:00", "UTC", "2026-11-27T09:00:00Z", true), ("Mon - Fri 09:00 - 17:00", "UTC", "2026-11-27T17:00:00Z", false),
            ("Mon-Fri 09:00-17:00", "UTC", "2026-11-28T12:00:00Z", false), ("Sat 09:00 - 17:00", "UTC", "2026-11-28T12:00:00Z", true),
            ("22:00 - 06:00", "UTC", "2026-11-25T23:00:00Z", true), ("22:00 - 06:00", "UTC", "2026-11-26T05:59:59Z", true), ("22:00 - 06:00", "UTC", "2026-11-26T06:00:00Z", false),
            ("22:00 - 06:00", "UTC", "2026-11-30T00:30:00Z", true), ("Sun 22:00 - 06:00", "UTC", "2026-11-30T05:00:00Z", true),
            ("Sat - Sun", "UTC", "2026-11-28T00:00:00Z", true), ("Sat - Sun", "UTC", "2026-11-29T23:59:59Z", true), ("Sat - Sun", "UTC", "2026-11-30T00:00:00Z", false),
            ("00:00 - 24:00", "UTC", "2026-11-30T00:00:00Z", true),
            // Berlin is an hour ahead in winter, two in summer; the clock's own hour counts.
            ("09:00 - 17:00", "Europe/Berlin", "2026-11-25T08:00:00Z", true), ("09:00 - 17:00", "Europe/Berlin", "2026-11-25T16:00:00Z", false),
            ("09:00 - 17:00", "Europe/Berlin", "2026-07-25T07:00:00Z", true), ("09:00 - 17:00", "Europe/Berlin", "2026-07-25T15:00:00Z", false),
            ("Mon 00:00 - Mon 12:00", "Pacific/Auckland", "2026-11-29T12:00:00Z", true), ("Fri 16:00 - Mon 08:00", "UTC", "1969-12-31T12:00:00Z", false),
        ])
    func contains(_ text: String, _ zone: String, _ time: String, _ expected: Bool) throws {
        #expect(try TimeWindow(text, zone: zone).contains(#require(Timestamp(time))) == expected)
    }

    @Test(
        "what is no window is said",
        arguments: ["", "Fri", "Fri 16:00", "Fri 16:00 Mon 08:00", "Fri 25:00 - Mon 08:00", "fri 16:00 - mon 08:00", "9:00 - 17:00", "24:01 - 02:00", "a - b"])
    func refuses(_ text: String) {
        #expect(throws: TimeWindow.Invalid.self) { try TimeWindow(text, zone: "UTC") }
    }

    @Test("a time zone that there is not is said")
    func zone() {
        #expect(throws: TimeWindow.Invalid(message: "there is no time zone \"Europe/Berln\"; write one such as Europe/Berlin")) {
            try TimeWindow("Sat - Sun", zone: "Europe/Berln")
        }
    }
}

@Suite("Guards in the engine")
struct EngineGuardTests {
    private static let playbook = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.kill }]\n"
    private static let one = BrakeScene.id(1)

    private struct BuiltIn: Guard {
        let name = "builtin.test"
        func refusal(of plan: Plan) async -> String? { "never this one" }
    }

    private static func configured(_ answer: GuardRule.Answer, name: String = "freeze", actions: [String] = ["container.*"]) -> ConfiguredGuard {
        var rule = GuardRule(name: name, place: "riposte.yaml:41")
        (rule.actions, rule.answer) = (actions, answer)
        return ConfiguredGuard(rule, world: DescribedWorld([]))
    }

    private func order(_ action: ActionName = "container.kill", forced: Bool = false) -> Order {
        var order = Order(actor: .init(.person, name: "ann"), action: action, claim: .container(.init(reference: Self.one)), mode: .enforce)
        order.isForced = forced
        return order
    }

    @Test("a guard answers with its name and place", arguments: [(GuardRule.Answer.refuse, Outcome.refused), (.ask, .pending), (.observe, .planned)])
    func answers(_ answer: GuardRule.Answer, _ expected: Outcome) async throws {
        let scene = try BrakeScene(Self.playbook, guards: [Self.configured(answer)])
        let result = try await scene.respond(Self.one)[0]
        #expect(result.outcome == expected && scene.world.performed.isEmpty)
        if expected == .refused { #expect(result.reason == "guard freeze (riposte.yaml:41): it stands in the way of all such actions") }
        if expected == .planned { #expect(result.detail?.contains("guard freeze (riposte.yaml:41)") == true) }
        if expected != .refused { #expect(scene.log.records.first { $0.kind == .outcome }?.detail["guards"]?["limiting"]?.array?.first?["place"]?.string == "riposte.yaml:41") }
    }

    @Test("by hand a person has been asked; what only lets observe needs force, which is on record; what is built in stands")
    func byHand() async throws {
        let asking = try BrakeScene(Self.playbook, guards: [Self.configured(.ask)])
        #expect(await asking.engine.carryOut(order()).outcome == .done)
        for answer in [GuardRule.Answer.refuse, .observe] {
            let scene = try BrakeScene(Self.playbook, guards: [Self.configured(answer)])
            #expect(await scene.engine.carryOut(order()).outcome == (answer == .refuse ? .refused : .planned))
            #expect(await scene.engine.carryOut(order(forced: true)).outcome == .done)
            #expect(scene.log.records.last { $0.kind == .intent }?.detail["guards"]?["lifted"]?.array?.first?["guard"]?.string == "freeze")
        }
        let scene = try BrakeScene(Self.playbook, guards: [Self.configured(.refuse), BuiltIn()])
        let result = await scene.engine.carryOut(order(forced: true))
        #expect(result.outcome == .refused && result.reason == "guard builtin.test: never this one")
    }

    struct Undo: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var answer = GuardRule.Answer.refuse
        /// Nil: nobody can say.
        var facts: [GuardFacts.Subject]? = [subject { $0.container = .known(.init(id: "a", name: "n", image: "i")) }]
        let condition: @Sendable (inout GuardRule) -> Void
    }

    @Test(
        "an undo is stopped by no guard of the configuration, neither in its time nor by hand",
        arguments: [
            Undo(testDescription: "by what it would hit") { $0.containerNames = ["*"] }, Undo(testDescription: "by its name, refuse") { $0.actions = ["container.*"] },
            Undo(testDescription: "by its name, ask", answer: .ask) { $0.actions = ["container.unpause"] },
            Undo(testDescription: "by its name, observe", answer: .observe) { $0.actions = ["*"] },
            Undo(testDescription: "by its name, and nobody can say what it would hit", facts: nil) { ($0.actions, $0.containerNames) = (["container.*"], ["db-*"]) },
        ])
    func undo(_ example: Undo) async throws {
        var rule = GuardRule(name: "g", place: "f:1")
        rule.answer = example.answer
        example.condition(&rule)
        let guards = [ConfiguredGuard(rule, world: example.facts.map { DescribedWorld($0) as any TargetFacts } ?? SilentWorld())]
        for isByHand in [false, true] {
            let scene = try BrakeScene(Self.playbook)
            var pause = order("container.pause")
            pause.undoAfter = .seconds(60)
            let paused = await scene.engine.carryOut(pause)
            let guarded = try BrakeScene(Self.playbook, state: scene.engine.snapshot, clock: scene.clock, world: scene.world, guards: guards)
            if isByHand {
                #expect(await guarded.engine.undo(paused.id, actor: .init(.person, name: "ann")).outcome == .undone)
            } else {
                await guarded.letTimePass(.seconds(60))
            }
            #expect(guarded.world.marks.isEmpty && guarded.engine.snapshot.openUndos.isEmpty)
            #expect(guarded.log.records.filter { $0.kind == .outcome }.map(\.outcome) == [.undone])
        }
    }

    @Test("what comes into force between two attempts at a deed ends them, also where it only asks or lets observe", arguments: [GuardRule.Answer.refuse, .ask, .observe])
    func betweenAttempts(_ answer: GuardRule.Answer) async throws {
        let window = Window(Self.configured(answer))
        let scene = try BrakeScene(Self.playbook, guards: [window])
        scene.world.fail(with: ActionError(.conflict, "end it", "not now"), times: 1)
        scene.world.hold { window.begin() }
        let result = try await scene.respond(Self.one)[0]
        #expect(result.outcome == .refused && scene.world.performed.isEmpty)
        #expect(scene.log.records.last { $0.kind == .outcome }?.failure == .guarded && result.reason?.hasPrefix("guard freeze (riposte.yaml:41)") == true)
    }

    /// In force from a moment on.
    private final class Window: Guard {
        private let inner: ConfiguredGuard
        private let hasBegun = Mutex(false)

        init(_ inner: ConfiguredGuard) { self.inner = inner }

        var name: String { inner.name }
        func begin() { hasBegun.withLock { $0 = true } }
        func answer(to question: GuardQuestion) async -> GuardAnswer? { hasBegun.withLock(\.self) ? await inner.answer(to: question) : nil }
    }

    @Test("all answers can be asked for, built-in ones first")
    func all() async throws {
        let scene = try BrakeScene(Self.playbook, guards: [Self.configured(.ask, name: "a"), BuiltIn(), Self.configured(.refuse, name: "b")])
        #expect(await scene.engine.guardAnswers(about: plan("container.kill")).map(\.name) == ["builtin.test", "a", "b"])
    }
}
