package import RiposteCore
internal import Synchronization

/// A described world with what has been done to it since: who was paused, blocked or ended.
package final class DescribedScene: Sendable {
    /// How much of the world is given.
    package enum Knowledge: Sendable {
        /// All: what is not described is not there.
        case complete
        /// Nothing but what the alerts say: whom they name is taken to be there, as they say it.
        case fromAlerts
    }

    /// So many processes and containers are kept of those that alerts told of, and so many targets with marks; the oldest are forgotten.
    static let limit = 65_536

    struct State {
        var processes: BoundedTable<Int32, DescribedWorld.Process>
        /// Somebody's parent is known; alerts tell of none.
        let hasLineage: Bool
        var containers: BoundedTable<String, DescribedWorld.Container>
        var pods: [DescribedWorld.Pod]
        var addresses: [DescribedWorld.Address]
        /// By ``Target/key``: what holds it, and until when.
        var marks = BoundedTable<String, [Mark]>(limit: limit)
        var ended = BoundedTable<String, Bool>(limit: limit)
    }

    struct Mark: Sendable, Equatable {
        var action: ActionName
        var until: Timestamp?
    }

    package let knowledge: Knowledge
    let now: @Sendable () -> Timestamp
    private let state: Mutex<State>

    package init(_ world: DescribedWorld, knowledge: Knowledge = .complete, now: @escaping @Sendable () -> Timestamp) {
        self.knowledge = knowledge
        self.now = now
        let limit = knowledge == .complete ? Int.max : Self.limit
        let hasLineage = world.processes.contains { $0.parent != nil }
        var state = State(processes: .init(limit: limit), hasLineage: hasLineage, containers: .init(limit: limit), pods: world.pods, addresses: world.addresses)
        for process in world.processes { state.processes[process.pid] = process }
        for container in world.containers { state.containers[String(container.id.prefix(12))] = container }
        for address in world.addresses where address.isBlocked { state.marks[Target.address(address.network).key] = [Mark(action: "network.block")] }
        self.state = Mutex(state)
    }

    func withState<Value: Sendable, Failure: Error>(_ body: (inout sending State) throws(Failure) -> sending Value) throws(Failure) -> sending Value {
        try state.withLock(body)
    }

    /// Takes an alert at its word: its process and its container are there, as it describes them.
    package func learn(_ alert: Alert) {
        guard knowledge == .fromAlerts else { return }
        func text(_ field: ByteText) -> ByteText? { alert[field: field]?.string }
        let id = text("container.id")?.valid.flatMap { $0 == "host" || $0.isEmpty ? nil : $0 }
        let pid = alert[field: "proc.pid"]?.integer.flatMap(Int32.init(exactly:))
        var process: DescribedWorld.Process?
        if let pid, pid > 0 {
            var told = DescribedWorld.Process(
                pid: pid, start: alert[field: "proc.pid.ts"]?.integer.map(Timestamp.init(nanoseconds:)), name: text("proc.name") ?? "", executable: text("proc.exepath"),
                container: id.map { String($0.prefix(12)) })
            told.commandLine = text("proc.cmdline")
            told.userID = alert[field: "user.uid"]?.integer.flatMap(UInt32.init(exactly:))
            told.user = text("user.name")?.repaired
            process = told
        }
        var container: DescribedWorld.Container?
        if let id {
            container = DescribedWorld.Container(
                id: String(id.prefix(12)), name: text("container.name")?.repaired ?? String(id.prefix(12)), image: text("container.image.repository")?.repaired ?? "")
            if let namespace = text("k8s.ns.name")?.repaired, let pod = text("k8s.pod.name")?.repaired {
                container?.labels = ["io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.name": pod]
            }
        }
        let (toldProcess, toldContainer) = (process, container)
        state.withLock { state in
            if let toldProcess { state.processes[toldProcess.pid] = toldProcess }
            if let toldContainer { state.containers[toldContainer.id] = toldContainer }
        }
    }
}

/// A dictionary of at most so many entries: the oldest make room.
struct BoundedTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var entries: [Key: Value] = [:]
    private var order: [Key] = []
    private var head = 0
    let limit: Int
    private(set) var dropped = 0

    init(limit: Int) { self.limit = limit }

    var values: Dictionary<Key, Value>.Values { entries.values }
    var count: Int { entries.count }

    subscript(key: Key) -> Value? {
        get { entries[key] }
        set {
            let isNew = entries.updateValue(newValue, for: key)
            if isNew { enter(key) }
        }
    }

    private mutating func enter(_ key: Key) {
        order.append(key)
        while entries.count > limit, head < order.count {
            if entries.removeValue(forKey: order[head]) != nil { dropped += 1 }
            head += 1
        }
        if order.count > 2 * entries.count + 4096 { tidy() }
    }

    /// Keys that came, went and came again stand once, where they came last.
    private mutating func tidy() {
        var seen: Set<Key> = []
        order = order[head...].reversed().filter { entries[$0] != nil && seen.insert($0).inserted }.reversed()
        head = 0
    }
}

extension Dictionary {
    /// Whether the key came anew.
    fileprivate mutating func updateValue(_ value: Value?, for key: Key) -> Bool {
        guard let value else {
            removeValue(forKey: key)
            return false
        }
        return updateValue(value, forKey: key) == nil
    }
}
