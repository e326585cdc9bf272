import Logging
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Synchronization
import Testing

/// An engine on a world of marks, with a journal in memory and a clock that the test moves.
final class Bench: Sendable {
    static let one = "aaaaaaaaaaaa"
    static let two = "bbbbbbbbbbbb"
    static let pause = "  - name: p\n    match: { rules: r }\n    steps: [{ action: container.pause }]\n"

    let world: RecordingWorld
    let log = RecordingLog()
    let clock: HandClock
    let engine: Engine
    private let results = Mutex<[ActionResult]>([])
    private let crowdedOut = Mutex<[UnaskedPlan]>([])

    /// `playbooks` are the elements of the list, indented by two; `catalogue` is made of the world unless given.
    init(
        _ playbooks: String, mode: Mode = .enforce, state: EngineState = EngineState(), runLimit: Int = 100, guards: [any Guard] = [],
        clock: HandClock = HandClock(), world: RecordingWorld = RecordingWorld(), catalogue: ActionCatalogue? = nil,
        configure: (inout Engine.Configuration) -> Void = { _ in }
    ) throws {
        let catalogue = catalogue ?? Self.catalogue(world)
        let set = try Self.load(playbooks, catalogue)
        let sink = Sink()
        var configuration = Engine.Configuration(mode: mode, runLimit: runLimit)
        // Most tests send the same alert again and mean another one; those of deduplication set it.
        configuration.dedup = nil
        // Nor is every test about the records of incidents.
        configuration.incidents = nil
        configure(&configuration)
        self.world = world
        self.clock = clock
        engine = Engine(
            configuration: configuration, catalogue: catalogue, guards: guards, log: log, playbooks: set, state: state, surroundings: clock.surroundings,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, observe: { sink.take($0) })
        sink.bench = self
    }

    static func load(_ playbooks: String, _ catalogue: ActionCatalogue) throws -> PlaybookSet {
        try PlaybookSet.load([.init(name: "t.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + playbooks)], catalogue).set
    }

    /// What the reader says of playbooks that it does not take.
    static func problems(of playbooks: String) -> String {
        do { _ = try load(playbooks, catalogue(RecordingWorld())) } catch { return "\(error)" }
        return ""
    }

    static func catalogue(_ world: RecordingWorld, isPrompt: Bool = false) -> ActionCatalogue {
        ActionCatalogue([
            RecordingAction("container.pause", world: world, inverse: "container.unpause", isPrompt: isPrompt),
            RecordingAction("container.unpause", world: world, takesAway: true), RecordingAction("container.kill", world: world),
        ])
    }

    /// An alert about a container, of this moment unless told otherwise.
    func alert(
        _ container: String, rule: String = "r", priority: String = "Warning", intake: String = "t", trust: Alert.Arrival.Trust = .trusted,
        time: Timestamp? = nil, fields: JSONObject = JSONObject()
    ) throws -> Alert {
        var output: JSONObject = ["container.id": .text(container)]
        output.members += fields.members
        let document: JSON = [
            "rule": .text(rule), "priority": .text(priority), "time": .text("\(time ?? clock.now)"), "output_fields": .object(output),
        ]
        return try Alert(document, id: .new(at: clock.now), arrival: .init(intake: intake, trust: trust, time: clock.now))
    }

    /// Sends such an alert in and sees it through; what came of it.
    func respond(
        _ container: String, rule: String = "r", priority: String = "Warning", intake: String = "t", trust: Alert.Arrival.Trust = .trusted,
        time: Timestamp? = nil, fields: JSONObject = JSONObject()
    ) async throws -> [ActionResult] {
        try await respond(to: alert(container, rule: rule, priority: priority, intake: intake, trust: trust, time: time, fields: fields))
    }

    func respond(to alert: Alert) async throws -> [ActionResult] {
        try await engine.respond(to: alert)
        return takeResults()
    }

    /// Every result since the last call.
    func takeResults() -> [ActionResult] {
        results.withLock { results in
            defer { results = [] }
            return results
        }
    }

    /// What was told of plans that nobody was asked about for want of room.
    var unasked: [UnaskedPlan] { crowdedOut.withLock(\.self) }

    /// Time passes, and the engine does what has fallen due.
    func pass(_ length: Duration) async {
        clock.advance(by: length)
        await engine.doWhatIsDue()
    }

    /// What replaying the journal gives.
    var state: EngineState { log.records.reduce(into: EngineState()) { $0.apply($1) } }

    /// The same agent after a restart: the state of the journal, the world and the clock as they are. The state goes through its snapshot, as on disk.
    func restarted(_ playbooks: String, mode: Mode = .enforce, configure: (inout Engine.Configuration) -> Void = { _ in }) throws -> Bench {
        let state = try #require(EngineState(json: state.json))
        #expect(state == self.state)
        return try Bench(playbooks, mode: mode, state: state, clock: clock, world: world, configure: configure)
    }

    private final class Sink: Sendable {
        private let held = Mutex<Weak>(Weak(bench: nil))

        struct Weak { weak var bench: Bench? }

        var bench: Bench? {
            get { held.withLock(\.bench) }
            set { held.withLock { $0 = Weak(bench: newValue) } }
        }

        func take(_ event: Engine.Event) {
            if case .result(let result) = event { bench?.results.withLock { $0.append(result) } }
            if case .crowdedOut(let plan) = event { bench?.crowdedOut.withLock { $0.append(plan) } }
        }
    }
}

/// Opens once.
actor Gate {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func open() {
        isOpen = true
        waiters.forEach { $0.resume() }
        waiters = []
    }

    func pass() async {
        if !isOpen { await withCheckedContinuation { waiters.append($0) } }
    }
}

/// Cannot do what it is asked to, and asking again does not help.
struct FailingAction: Action {
    let description: ActionDescription

    init(_ name: ActionName) { description = ActionDescription(name: name, summary: "", target: .container, impact: .destroys) }

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        guard case .container(let claim) = request.claim else { throw ActionError(.unresolved, "find", "none") }
        return Plan(action: description.name, target: .container(.init(id: claim.reference, name: "n", image: "i")), parameters: request.parameters, summary: "fail")
    }

    func perform(_ plan: Plan) async throws(ActionError) -> Performance { throw ActionError(.denied, "do it", "the world said no") }
}
