/// The types of events for which a condition can hold.
package enum EventTypes: Equatable, Sendable {
    case only([EventType])
    case allBut([EventType])

    package var count: Int {
        switch self {
        case .only(let types): types.count
        case .allBut(let types): EventType.count - 1 - types.count
        }
    }
}

extension EventTypes: CustomStringConvertible {
    package var description: String {
        switch self {
        case .only(let types): types.isEmpty ? "none" : types.map(\.name).sorted().joined(separator: " ")
        case .allBut(let types): types.isEmpty ? "all" : "all but " + types.map(\.name).sorted().joined(separator: " ")
        }
    }
}
