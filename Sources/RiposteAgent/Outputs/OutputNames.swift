internal import Synchronization

/// The names that playbooks may address messages to: of the configuration, and, while an agent runs, of what is at work in it.
final class OutputNames: Sendable {
    private let source: Mutex<@Sendable () -> [String]>

    init(_ names: [String]) { source = Mutex({ names }) }

    var current: [String] { source.withLock(\.self)() }

    func follow(_ source: @escaping @Sendable () -> [String]) { self.source.withLock { $0 = source } }
}
