internal import Dispatch
internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// Prints what the engine tells, in order, on a queue of its own: a slow terminal holds up no response. What is beyond the queue's bound is
/// not printed, and counted.
final class EventPrinter: Sendable {
    private static let bound = 8192

    private let asJSON: Bool
    private let queue = DispatchQueue(label: "riposte.output")
    private let waiting = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)

    init(asJSON: Bool) { self.asJSON = asJSON }

    func take(_ event: Engine.Event) {
        guard waiting.load(ordering: .relaxed) < Self.bound else {
            lost.wrappingAdd(1, ordering: .relaxed)
            return
        }
        waiting.wrappingAdd(1, ordering: .relaxed)
        queue.async { [self] in
            print(event)
            waiting.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    private func print(_ event: Engine.Event) {
        let missed = lost.exchange(0, ordering: .relaxed)
        if missed > 0 { Terminal.complainPlainly("riposte: \(missed) lines were not printed: standard output is too slow") }
        let line =
            switch event {
            case .alert(let alert, let playbooks): asJSON ? JSON.object(alert.document).line : ResultText.line(alert, playbooks: playbooks)
            case .result(let result): asJSON ? result.json.line : ResultText.line(result)
            }
        // Not `print`, which would keep lines back when standard output is a pipe.
        try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }

    /// Returns when all is printed.
    func finish() { queue.sync {} }
}
