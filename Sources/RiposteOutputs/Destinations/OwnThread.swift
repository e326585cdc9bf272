internal import Dispatch
internal import RiposteTransport
internal import Synchronization

/// One thing that is used by calls that wait - a socket, a child, a library - on a thread of its own: what hangs there holds up nobody else. One
/// call at a time; one whose task is cancelled is told that nobody waits for it any more.
final class OwnThread<Thing: ~Copyable & Sendable>: Sendable {
    private let thing: Mutex<Thing>
    private let queue: DispatchQueue

    init(_ name: String, _ thing: consuming sending Thing) {
        self.thing = Mutex(thing)
        queue = DispatchQueue(label: "riposte-output-\(name)")
    }

    func call<Value: Sendable>(_ body: @escaping @Sendable (inout Thing, Patience) -> Value) async -> Value {
        let patience = Patience()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                queue.async { [self] in continuation.resume(returning: thing.withLock { thing in body(&thing, patience) }) }
            }
        } onCancel: {
            patience.end()
        }
    }
}
