import Dispatch
import RiposteCore
@testable import RiposteIntake
import Synchronization
import Testing

/// The engine's door, as a list of what came through it.
final class RecordingSink: AlertSink {
    private struct State {
        var alerts: [Alert] = []
        var problems: [(problem: AlertError, excerpt: [UInt8])] = []
        var refusal: AdmissionError?
        var room = Int.max
        var withoutRoom: Set<ByteText> = []
    }

    private let state = Mutex(State())

    func accept(_ alert: Alert) throws(AdmissionError) {
        let refusal = state.withLock { state -> AdmissionError? in
            if let refusal = state.refusal { return refusal }
            guard state.alerts.count < state.room, !state.withoutRoom.contains(alert.rule) else { return .full }
            state.alerts.append(alert)
            return nil
        }
        if let refusal { throw refusal }
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) { state.withLock { $0.problems.append((problem, excerpt)) } }

    var alerts: [Alert] { state.withLock(\.alerts) }
    var rules: [String] { alerts.map { $0.rule.shown } }
    var problems: [AlertError] { state.withLock { $0.problems.map(\.problem) } }
    func refuse(_ refusal: AdmissionError?) { state.withLock { $0.refusal = refusal } }
    func makeRoom(_ room: Int) { state.withLock { $0.room = room } }
    /// For alerts of these rules there is none.
    func takeRoom(from rules: Set<ByteText>) { state.withLock { $0.withoutRoom = rules } }

    /// Waits until these rules, and no others, have come, in this order.
    func expect(_ rules: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await until(sourceLocation: sourceLocation) { self.rules.count >= rules.count }
        #expect(self.rules == rules, sourceLocation: sourceLocation)
    }
}

/// Waits for what an intake comes to by itself; says so where it has not within ten seconds.
func until(sourceLocation: SourceLocation = #_sourceLocation, _ isSo: () -> Bool) async throws {
    for _ in 0..<1000 {
        if isSo() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never came to be", sourceLocation: sourceLocation)
}

/// A small alert.
func alert(_ rule: String) -> String { #"{"rule":"\#(rule)","priority":"Warning","output":"o","time":"2026-11-23T10:00:00.000000001Z","output_fields":{}}"# }

/// Runs an intake as long as the body.
func withIntake<Value: Sendable>(_ intake: some Intake, _ body: () async throws -> Value) async throws -> Value {
    let running = Task { try await intake.run() }
    let result: Result<Value, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    running.cancel()
    try? await running.value
    return try result.get()
}

/// A door at which the first alert stands until it is opened.
final class GateSink: AlertSink {
    private let state = Mutex((rules: [String](), problems: [AlertError](), isAsked: false))
    private let gate = DispatchSemaphore(value: 0)

    func accept(_ alert: Alert) throws(AdmissionError) {
        let isFirst = state.withLock { state in
            defer { state.isAsked = true }
            return !state.isAsked
        }
        // So that a test which fails ends.
        if isFirst { _ = gate.wait(timeout: .now() + 20) }
        state.withLock { $0.rules.append(alert.rule.shown) }
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) { state.withLock { $0.problems.append(problem) } }

    func open() { gate.signal() }
    var isAsked: Bool { state.withLock(\.isAsked) }
    var rules: [String] { state.withLock(\.rules) }
    var problems: [AlertError] { state.withLock(\.problems) }
}
