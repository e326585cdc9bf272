import Logging
import RiposteCore
@testable import RipostePlaybooks
import RiposteTestSupport
import Synchronization

/// An engine on a world of marks whose clocks stand until a test moves them.
final class BrakeScene: Sendable {
    /// Wall clock and time since start.
    final class Clock: Sendable {
        private let state = Mutex<(wall: Int64, uptime: Duration)>((1_800_000_000_000_000_000, .seconds(1000)))

        init() {}

        var now: Timestamp { Timestamp(nanoseconds: state.withLock(\.wall)) }
        var uptime: Duration { state.withLock(\.uptime) }

        func pass(_ time: Duration) {
            state.withLock { state in
                state.wall += time.wholeNanoseconds
                state.uptime += time
            }
        }

        /// Somebody sets it.
        func jump(_ time: Duration) { state.withLock { $0.wall += time.wholeNanoseconds } }
    }

    let clock: Clock
    let world: RecordingWorld
    let log = RecordingLog()
    let engine: Engine
    private let seen: Seen

    private final class Seen: Sendable {
        let events = Mutex<(results: [ActionResult], breakers: [BreakerChange])>(([], []))
    }

    init(
        _ playbooks: String, mode: Mode = .enforce, budgets: [AgentBudget] = [], state: EngineState = EngineState(), clock: Clock = Clock(),
        world: RecordingWorld = RecordingWorld(),
        guards: [any Guard] = [], facts: (any TargetFacts)? = nil, runLimit: Int = 4096
    ) throws {
        let catalogue = ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause"), RecordingAction("container.unpause", world: world, takesAway: true),
            DestroyingAction("container.kill", world: world),
        ])
        let seen = Seen()
        var surroundings = Surroundings.machine
        surroundings.now = { clock.now }
        surroundings.uptime = { clock.uptime }
        var configuration = Engine.Configuration(mode: mode, runLimit: runLimit, budgets: budgets)
        // A storm here is many alerts that each mean something.
        (configuration.dedup, configuration.incidents) = (nil, nil)
        engine = Engine(
            configuration: configuration, catalogue: catalogue, guards: guards, world: facts, log: log,
            playbooks: try PlaybookSet.load([.init(name: "t.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + playbooks)], catalogue).set, state: state,
            surroundings: surroundings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            observe: { event in
                seen.events.withLock { events in
                    switch event {
                    case .result(let result): events.results.append(result)
                    case .breaker(let change): events.breakers.append(change)
                    default: break
                    }
                }
            })
        (self.clock, self.world, self.seen) = (clock, world, seen)
    }

    func alert(_ container: String, rule: String = "r", intake: String = "t", trust: Alert.Arrival.Trust = .trusted) throws -> Alert {
        let text = #"{"rule":"\#(rule)","priority":"Warning","time":"\#(clock.now)","output_fields":{"container.id":"\#(container)"}}"#
        return try Alert(parsing: Array(text.utf8), id: .new(), arrival: .init(intake: intake, trust: trust, time: clock.now))
    }

    /// What became of an alert about a container.
    @discardableResult
    func respond(_ container: String, rule: String = "r") async throws -> [ActionResult] {
        try await engine.respond(to: alert(container, rule: rule))
        return results
    }

    /// Twelve digits that are a container's short id.
    static func id(_ number: Int) -> String { String(String(number + 0x1000_0000_0000, radix: 16).suffix(12)) }

    /// Of each of so many containers one alert; the outcomes.
    func respond(times: Int, from first: Int = 0, rule: String = "r") async throws -> [Outcome] {
        var outcomes: [Outcome] = []
        for number in first..<(first + times) { outcomes += try await respond(Self.id(number), rule: rule).map(\.outcome) }
        return outcomes
    }

    /// Since the last look.
    var results: [ActionResult] {
        seen.events.withLock { events in
            defer { events.results = [] }
            return events.results
        }
    }

    var changes: [String] { seen.events.withLock { $0.breakers.map { "\($0.name) \($0.state.rawValue)" } } }
    var breakers: [String] { engine.snapshot.breakers.all.map { "\($0.name) \($0.state.rawValue)" } }

    /// What is due is done.
    func letTimePass(_ time: Duration) async {
        clock.pass(time)
        for chore in Engine.chores where chore.next(engine).map({ $0 <= clock.now }) ?? false { await chore.perform(engine, clock.now) }
    }

    /// An engine that begins with what this one's journal tells, through a snapshot too.
    func restarted(_ playbooks: String, budgets: [AgentBudget] = []) throws -> BrakeScene {
        let replayed = log.records.reduce(into: EngineState()) { $0.apply($1) }
        return try BrakeScene(playbooks, budgets: budgets, state: EngineState(json: replayed.json) ?? EngineState(), clock: clock, world: world)
    }
}

/// A marking action that cannot be taken back and can be done over and over.
struct DestroyingAction: Action {
    let description: ActionDescription
    private let inner: RecordingAction

    init(_ name: ActionName, world: RecordingWorld) {
        description = ActionDescription(name: name, summary: "Ends a target.", target: .container, impact: .destroys)
        inner = RecordingAction(name, world: world)
    }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        var plan = try await inner.plan(request)
        plan.alreadySo = nil
        return plan
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let performance = try await inner.perform(plan)
        return Performance(performance.outcome, message: performance.message)
    }
}
