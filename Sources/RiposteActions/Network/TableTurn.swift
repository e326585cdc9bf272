internal import RipostePlaybooks
internal import Synchronization

/// Whoever changes our tables reads them first and writes what follows from that; two at once would undo each other's reading. The lock is held for
/// microseconds, over netlink only.
enum TableTurn {
    private static let turn = Mutex(())

    static func take<Value>(_ body: () throws(ActionError) -> Value) throws(ActionError) -> Value {
        let result = turn.withLock { _ -> Result<Value, ActionError> in
            do throws(ActionError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
