internal import RiposteCore

/// The processes that alerts tell of, by their fields: who started whom, what was told of each, and what was done to it.
struct ProcessTree {
    struct Node {
        var pid: Int64?
        var name: String
        var commandLine: String?
        var user: String?
        /// `host`, or the container's name.
        var place: String?
        var alerts: [String] = []
        var deeds: [(name: String, outcome: String)] = []
        fileprivate(set) var parent: Int?
        fileprivate(set) var children: [Int] = []
    }

    /// A drawing of more helps nobody.
    static let nodeLimit = 150
    /// Falco tells of as many ancestors as an output asks for.
    private static let ancestorLimit: Int64 = 32

    private(set) var nodes: [Node] = []
    /// How many did not find room.
    private(set) var omitted = 0
    private var places: [String: Int] = [:]

    init(_ story: IncidentStory) {
        for alarm in story.alarms { if let alert = alarm.alert { take(alert) } }
        for deed in story.deeds {
            guard case .process(let process)? = deed.target, let outcome = deed.outcome else { continue }
            for place in nodes.indices where nodes[place].pid == Int64(process.pid) { nodes[place].deeds.append((deed.name, outcome.rawValue)) }
        }
    }

    /// From the roots down, each with its depth, children after their parent.
    var rows: [(node: Node, depth: Int, index: Int)] {
        var rows: [(node: Node, depth: Int, index: Int)] = []
        var rest = nodes.indices.filter { nodes[$0].parent == nil }.reversed().map { ($0, 0) }
        while let (index, depth) = rest.popLast() {
            rows.append((nodes[index], depth, index))
            rest += nodes[index].children.reversed().map { ($0, depth + 1) }
        }
        return rows
    }

    // MARK: - Alerts

    private mutating func take(_ alert: Alert) {
        let host = alert.hostname?.repaired ?? ""
        guard var child = place(number(alert, "proc.pid"), text(alert, "proc.name"), host, alert) else { return }
        nodes[child].commandLine = nodes[child].commandLine ?? text(alert, "proc.cmdline")
        nodes[child].user = nodes[child].user ?? text(alert, "user.name")
        nodes[child].place = nodes[child].place ?? text(alert, "container.name")
        let rule = Excerpt.of(alert.rule, limit: 100)
        if !nodes[child].alerts.contains(rule) { nodes[child].alerts.append(rule) }
        for level in 1...Self.ancestorLimit {
            let pid = number(alert, "proc.apid[\(level)]") ?? (level == 1 ? number(alert, "proc.ppid") : nil)
            let name = text(alert, "proc.aname[\(level)]") ?? (level == 1 ? text(alert, "proc.pname") : nil)
            guard pid != nil || name != nil, let parent = place(pid, name, host, alert) else { return }
            let line = text(alert, "proc.acmdline[\(level)]") ?? (level == 1 ? text(alert, "proc.pcmdline") : nil)
            nodes[parent].commandLine = nodes[parent].commandLine ?? line
            link(child, under: parent)
            child = parent
        }
    }

    /// The node of a process. One whose pid is not told is known by its name in its container only.
    private mutating func place(_ pid: Int64?, _ name: String?, _ host: String, _ alert: Alert) -> Int? {
        guard pid != nil || name != nil else { return nil }
        let container = alert[field: "container.id"]?.string?.repaired ?? ""
        let key = pid.map { "\(host)\u{0}\($0)" } ?? "\(host)\u{0}\(container)\u{0}\(name ?? "")"
        if let place = places[key] {
            if let name, nodes[place].name == "?" { nodes[place].name = name }
            return place
        }
        guard nodes.count < Self.nodeLimit else {
            omitted += 1
            return nil
        }
        nodes.append(Node(pid: pid, name: name ?? "?"))
        places[key] = nodes.count - 1
        return nodes.count - 1
    }

    /// What was told first holds; a ring, as only a forged alert tells of it, is not closed.
    private mutating func link(_ child: Int, under parent: Int) {
        guard nodes[child].parent == nil, child != parent else { return }
        var ancestor = nodes[parent].parent
        while let place = ancestor {
            if place == child { return }
            ancestor = nodes[place].parent
        }
        nodes[child].parent = parent
        nodes[parent].children.append(child)
    }

    private func number(_ alert: Alert, _ field: String) -> Int64? {
        switch alert[field: ByteText(field)] {
        case .integer(let number): number
        case .string(let text): text.valid.flatMap { Int64($0) }
        default: nil
        }
    }

    private func text(_ alert: Alert, _ field: String) -> String? {
        guard let text = alert[field: ByteText(field)]?.string, !text.isEmpty else { return nil }
        return Excerpt.of(text, limit: 240)
    }
}
