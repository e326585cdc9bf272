internal import Synchronization

/// Tells a call that waits on a thread of its own that nobody needs it any more.
package final class Patience: Sendable {
    private let isOver = Atomic<Bool>(false)

    package init() {}

    package func end() { isOver.store(true, ordering: .relaxed) }

    package var hasEnded: Bool { isOver.load(ordering: .relaxed) }
}
