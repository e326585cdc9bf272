internal import Foundation
internal import RiposteCore
internal import Synchronization

/// Prints what happens, in order, on a thread of its own: a slow terminal holds up nobody. What is beyond the bound is not printed, and counted.
final class LinePrinter<Element: Sendable>: Sendable {
    private struct Waiting {
        var elements: [Element] = []
        var lost = 0
    }

    private let bound: Int
    private let line: @Sendable (Element) -> String
    private let waiting = Mutex(Waiting())
    private let attendant = Mutex<Attendant?>(nil)
    private let readerIsGone = Mutex(false)

    /// `line` renders one element, on the printing thread.
    init(bound: Int = 8192, line: @escaping @Sendable (Element) -> String) {
        self.bound = bound
        self.line = line
        let attendant = Attendant(name: "riposte-output") { [weak self] in self?.printAll() }
        self.attendant.withLock { $0 = attendant }
    }

    func take(_ element: Element) {
        waiting.withLock { waiting in
            if waiting.elements.count < bound { waiting.elements.append(element) } else { waiting.lost += 1 }
        }
        attendant.withLock { $0?.call() }
    }

    /// Whether nobody reads standard output any more.
    var hasLostReader: Bool { readerIsGone.withLock(\.self) }

    private func printAll() {
        let taken = waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return waiting
        }
        for element in taken.elements {
            // Not `print`, which would keep lines back when standard output is a pipe.
            do { try FileHandle.standardOutput.write(contentsOf: Data((line(element) + "\n").utf8)) } catch { readerIsGone.withLock { $0 = true } }
        }
        if taken.lost > 0 { Terminal.complainPlainly("riposte: \(taken.lost) lines were not printed: standard output is too slow") }
    }

    /// Returns when all is printed.
    func finish() { attendant.withLock { $0.take() }?.end() }
}
