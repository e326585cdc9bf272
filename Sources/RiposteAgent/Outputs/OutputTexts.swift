internal import Synchronization

/// Texts of outputs, such as the names that playbooks may address messages to: of the configuration, and, while an agent runs, of what is at work in it.
final class OutputTexts: Sendable {
    private let source: Mutex<@Sendable () -> [String]>

    init(_ texts: [String]) { source = Mutex({ texts }) }

    var current: [String] { source.withLock(\.self)() }

    func follow(_ source: @escaping @Sendable () -> [String]) { self.source.withLock { $0 = source } }
}
