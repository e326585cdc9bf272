package import RiposteCore
internal import Synchronization

/// Something that happened to a container, as the engine tells of it in `GET /events`.
package struct ContainerEvent: Sendable, Equatable {
    /// Those that can make otherwise what an action did.
    static let names = ["pause", "unpause", "start", "stop", "die", "kill", "destroy"]

    package var id: String
    package var name: String
    package var time: Timestamp

    init?(json: JSON) {
        guard let id = json["Actor"]?["ID"]?.string?.valid, let name = json["Action"]?.string?.valid, let time = json["timeNano"]?.integer else { return nil }
        (self.id, self.name, self.time) = (id, name, Timestamp(nanoseconds: time))
    }
}

/// Cuts a stream of bytes into lines, one event each. A line without end is dropped at the bound: the stream goes on behind it.
final class EventLines: Sendable {
    private static let bound = 1 << 20

    private let rest = Mutex<[UInt8]>([])
    private let change: @Sendable (ContainerEvent) -> Void

    init(_ change: @escaping @Sendable (ContainerEvent) -> Void) { self.change = change }

    func take(_ bytes: [UInt8]) {
        let lines = rest.withLock { rest -> [[UInt8]] in
            rest += bytes
            var parts = rest.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
            rest = parts.popLast() ?? []
            if rest.count > Self.bound { rest = [] }
            return parts
        }
        for line in lines { if let event = (try? JSON(parsing: line)).flatMap(ContainerEvent.init(json:)) { change(event) } }
    }
}

extension Timestamp {
    /// Seconds and nanoseconds, as the engine reads a moment.
    var engineText: String {
        let fraction = String(nanoseconds % 1_000_000_000)
        return "\(nanoseconds / 1_000_000_000).\(String(repeating: "0", count: 9 - fraction.count))\(fraction)"
    }
}
