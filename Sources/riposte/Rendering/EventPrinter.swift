internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// Prints what the engine tells, in order, on a thread of its own: a slow terminal holds up no response. What is beyond the bound is
/// not printed, and counted.
final class EventPrinter: Sendable {
    private static let bound = 8192

    private struct Waiting {
        var events: [Engine.Event] = []
        var lost = 0
    }

    private let asJSON: Bool
    private let waiting = Mutex(Waiting())
    private let attendant = Mutex<Attendant?>(nil)

    init(asJSON: Bool) {
        self.asJSON = asJSON
        let attendant = Attendant(name: "riposte-output") { [weak self] in self?.printAll() }
        self.attendant.withLock { $0 = attendant }
    }

    func take(_ event: Engine.Event) {
        waiting.withLock { waiting in
            if waiting.events.count < Self.bound { waiting.events.append(event) } else { waiting.lost += 1 }
        }
        attendant.withLock { $0?.call() }
    }

    private func printAll() {
        let taken = waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return waiting
        }
        for event in taken.events { print(event) }
        if taken.lost > 0 { Terminal.complainPlainly("riposte: \(taken.lost) lines were not printed: standard output is too slow") }
    }

    private func print(_ event: Engine.Event) {
        let line =
            switch event {
            case .alert(let alert, let playbooks): asJSON ? JSON.object(alert.document).line : ResultText.line(alert, playbooks: playbooks)
            case .result(let result): asJSON ? result.json.line : ResultText.line(result)
            }
        // Not `print`, which would keep lines back when standard output is a pipe.
        try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }

    /// Returns when all is printed.
    func finish() { attendant.withLock { $0.take() }?.end() }
}
