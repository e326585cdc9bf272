internal import CRiposte
internal import Foundation
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// The network namespace in which the host's actions act: the agent's own, or another one, as in tests.
package struct NetworkContext: Sendable {
    /// An open descriptor of `/proc/…/ns/net`; nil is the agent's own. Whoever made the context keeps it open.
    package let namespace: Int32?

    package init(namespace: Int32? = nil) { self.namespace = namespace }

    package static let own = NetworkContext()

    /// Runs `body` inside the namespace, on a thread that is thrown away: a thread never comes back from a namespace for others to run on.
    func within<Value: Sendable>(_ body: @escaping @Sendable () throws(ActionError) -> Value) throws(ActionError) -> Value {
        guard let namespace else { return try body() }
        let result = Handover<Result<Value, ActionError>>()
        let thread = Thread {
            let entered = riposte_enter_network_namespace(namespace)
            guard entered == 0 else {
                return result.put(.failure(ActionError(.denied, "enter the network namespace", String(cString: strerror(-entered)))))
            }
            do throws(ActionError) { result.put(.success(try body())) } catch { result.put(.failure(error)) }
        }
        thread.start()
        return try result.take().get()
    }
}

/// One value from one thread to another.
///
/// Unchecked: written once before the signal, read once after it.
private final class Handover<Value>: @unchecked Sendable {
    private var value: Value?
    private let isThere = DispatchSemaphore(value: 0)

    func put(_ value: Value) {
        self.value = value
        isThere.signal()
    }

    func take() -> Value {
        isThere.wait()
        guard let value else { preconditionFailure("signalled without a value") }
        return value
    }
}
