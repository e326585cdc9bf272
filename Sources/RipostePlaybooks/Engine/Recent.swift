internal import RiposteCore

/// The newest of what was put in, by key, up to a limit; what is older is forgotten. A value: its order is part of it.
struct Recent<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let limit: Int
    private var values: [Key: (turn: Int, value: Value)] = [:]
    /// Keys in the order in which they came. Those that were removed or came again stand here until they are passed.
    private var order: [(turn: Int, key: Key)] = []
    private var first = 0
    private var turn = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { values.count }
    /// Places that are kept, for those that are there and those that are passed over: never many more than twice ``count``.
    var places: Int { order.count }

    subscript(key: Key) -> Value? { values[key]?.value }

    /// Oldest first.
    var entries: [(key: Key, value: Value)] {
        order[first...].compactMap { entry in values[entry.key].flatMap { $0.turn == entry.turn ? (entry.key, $0.value) : nil } }
    }

    /// Forgets from the oldest on as long as `isOver` says so.
    mutating func removeOldest(while isOver: (Value) -> Bool, _ forgotten: (Key, Value) -> Void) {
        defer { tidy() }
        while first < order.count {
            let (turn, key) = order[first]
            if let entry = values[key], entry.turn == turn {
                guard isOver(entry.value) else { return }
                values[key] = nil
                forgotten(key, entry.value)
            }
            first += 1
        }
    }

    /// Puts a value in as the newest; gives what had to make room for it.
    @discardableResult
    mutating func insert(_ value: Value, for key: Key) -> (key: Key, value: Value)? {
        // Also below the limit: of a few keys that come again and again every coming leaves a place behind.
        defer { tidy() }
        turn += 1
        values[key] = (turn, value)
        order.append((turn, key))
        return values.count > limit ? removeOldest() : nil
    }

    /// Changes a value that is there, which keeps its place.
    mutating func update(_ key: Key, _ change: (inout Value) -> Void) {
        guard var entry = values[key] else { return }
        change(&entry.value)
        values[key] = entry
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        defer { tidy() }
        return values.removeValue(forKey: key)?.value
    }

    private mutating func removeOldest() -> (key: Key, value: Value)? {
        defer { tidy() }
        while first < order.count {
            let (turn, key) = order[first]
            first += 1
            if let entry = values[key], entry.turn == turn {
                values[key] = nil
                return (key, entry.value)
            }
        }
        return nil
    }

    private mutating func tidy() {
        guard order.count > 64, order.count > 2 * max(values.count, 1) || first > order.count / 2 else { return }
        order = order[first...].filter { values[$0.key]?.turn == $0.turn }
        first = 0
    }
}

extension JSON {
    func identifier(_ key: ByteText) -> Identifier? { self[key]?.string?.valid.flatMap { Identifier($0) } }
    func time(_ key: ByteText) -> Timestamp? { self[key]?.string.flatMap { Timestamp($0.bytes) } }
    func text(_ key: ByteText) -> String? { self[key]?.string?.repaired }
    func number(_ key: ByteText) -> Int? { self[key]?.integer.flatMap { Int(exactly: $0) } }
}

extension JSONObject {
    func text(_ key: ByteText) -> String? { self[key]?.string?.repaired }
}
