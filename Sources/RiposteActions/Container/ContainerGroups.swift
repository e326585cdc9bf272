internal import Glibc
internal import RiposteCore

/// The control groups that the engine made for a container, as its first process is in them.
struct ContainerGroups: Equatable {
    /// In each hierarchy that names the container.
    let paths: [String]
    /// Whether paths begin at the root, and not where a control group namespace of our own does.
    let areWhole: Bool

    /// `lines`: `/proc/PID/cgroup`. Nil where none of them names the container.
    init?(_ lines: [UInt8], id: String, areWhole: Bool) {
        let paths = lines.split(separator: UInt8(ascii: "\n")).compactMap { line in
            line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false).dropFirst(2).first.map { String(decoding: $0, as: UTF8.self) }
        }
        let own = paths.compactMap { Self.group(named: id, in: $0) }
        guard !own.isEmpty else { return nil }
        self.paths = own
        self.areWhole = areWhole
    }

    init?(of state: ContainerState) {
        guard state.pid > 0, let lines = ProcFS.bytes(of: "/proc/\(state.pid)/cgroup") else { return nil }
        self.init(lines, id: state.id, areWhole: Self.seesAll)
    }

    /// The group itself: its first process may have moved into one below, as systemd does.
    private static func group(named id: String, in path: String) -> String? {
        let parts = path.split(separator: "/")
        return parts.firstIndex { $0.contains(id) }.map { "/" + parts[...$0].joined(separator: "/") }
    }

    /// The sensor knows so many levels of a path, and of longer ones the end: what stands there is not where it seems to be.
    private static let levelLimit = 64
    private static let byteLimit = 3800

    /// Whether a path, which begins at the root, is one of them or lies below one.
    func hold(_ path: String) -> Bool {
        guard path.hasPrefix("/"), path.utf8.count < Self.byteLimit, path.split(separator: "/").count < Self.levelLimit else { return false }
        return paths.contains { own in
            if areWhole { return path == own || path.hasPrefix(own + "/") }
            // What lies above our own group cannot be told.
            let end = own.split(separator: "/").drop { $0 == ".." }.joined(separator: "/")
            return "\(path)/".contains("/\(end)/")
        }
    }

    /// The inode number that the first control group namespace always has (PROC_CGROUP_INIT_INO).
    private static let hostNamespace: UInt64 = 0xEFFF_FFFB

    private static let seesAll: Bool = {
        var facts = Glibc.stat()
        return stat("/proc/self/ns/cgroup", &facts) != 0 || UInt64(facts.st_ino) == hostNamespace
    }()
}
