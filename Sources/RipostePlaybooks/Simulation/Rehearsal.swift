internal import Logging
package import RiposteCore
internal import Synchronization

/// The whole engine on a described world, in the alerts' own time. Nothing outside is read and nothing is touched.
package final class Rehearsal: Sendable {
    package struct Settings: Sendable {
        package var engine = Engine.Configuration(mode: .enforce)
        package var guards: [GuardRule] = []
        package var protectedNamespaces: [String] = []

        package init() {}
    }

    package let scene: DescribedScene
    package let engine: Engine
    private let time: AlertTime
    private let keeper: Task<Void, Never>

    /// Begins at `start`; `log` is told every record.
    package init(
        _ playbooks: PlaybookSet, actions: [ActionDescription], world: DescribedWorld, knowledge: DescribedScene.Knowledge = .complete, settings: Settings = Settings(),
        start: Timestamp, log: any AuditLog, observe: @escaping @Sendable (Engine.Event) -> Void = { _ in }
    ) {
        let time = AlertTime(origin: start)
        let scene = DescribedScene(world, knowledge: knowledge, now: { time.now })
        let guards: [any Guard] = [DescribedProtection(scene, protectedNamespaces: settings.protectedNamespaces)]
        self.time = time
        self.scene = scene
        let engine = Engine(
            configuration: settings.engine, catalogue: scene.catalogue(actions), guards: guards + settings.guards.map { ConfiguredGuard($0, world: scene) }, world: scene,
            log: log, playbooks: playbooks, surroundings: time.surroundings, logger: Logger(label: "riposte.rehearsal", factory: { _ in SwiftLogNoOpLogHandler() }),
            observe: observe)
        self.engine = engine
        engine.beginRollouts()
        keeper = time.run { await engine.keepTime() }
        time.settle()
    }

    package var now: Timestamp { time.now }
    package var surroundings: Surroundings { time.surroundings }

    /// Lets time come to the alert's, then lets it in and its runs go as far as they go without time.
    package func feed(_ alert: Alert) throws(Engine.AdmissionError) {
        time.advance(to: alert.time)
        scene.learn(alert)
        try engine.accept(alert.arriving(at: time.now))
        time.settle()
    }

    /// Time passes, and what falls due is done.
    package func advance(to end: Timestamp) { time.advance(to: end) }

    /// Sees an asynchronous question through; time does not pass meanwhile.
    package func ask<Value: Sendable>(_ question: @escaping @Sendable (Engine) async -> Value) -> Value? {
        let answer = Answer<Value>()
        let engine = engine
        _ = time.run { answer.set(await question(engine)) }
        time.settle()
        return answer.value
    }

    private final class Answer<Value: Sendable>: Sendable {
        private let held = Mutex<Value?>(nil)

        var value: Value? { held.withLock(\.self) }
        func set(_ value: Value) { held.withLock { $0 = value } }
    }

    package func close() {
        engine.close()
        keeper.cancel()
        time.settle()
    }

    deinit { keeper.cancel() }
}

extension Alert {
    /// The same, come in elsewhere.
    func arriving(by intake: String) throws(AlertError) -> Alert {
        var arrival = arrival
        arrival.intake = intake
        return try Alert(.object(document), original: original, id: id, arrival: arrival)
    }

    /// The same, come in at another time.
    fileprivate func arriving(at time: Timestamp) -> Alert {
        var arrival = arrival
        arrival.time = time
        // What was an alert once is one again.
        return (try? Alert(.object(document), original: original, id: id, arrival: arrival)) ?? self
    }
}
