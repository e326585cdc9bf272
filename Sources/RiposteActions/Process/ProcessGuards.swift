internal import Glibc
internal import RiposteCore
package import RipostePlaybooks
internal import Synchronization

/// Processes that are never signalled. They are known by what the kernel says of them, not by what an alert says; and of a tree every member counts.
package struct ProcessGuards: Guard {
    package let name = "builtin.processes"

    static let ownPID = getpid()

    /// Without them the machine, its containers or the way into it are gone.
    package static let protectedExecutables: Set<String> = [
        "systemd", "systemd-journald", "systemd-udevd", "systemd-logind", "systemd-networkd", "systemd-resolved", "init", "dbus-daemon", "dbus-broker",
        "dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2", "kubelet", "kubelite", "k3s", "rke2", "crio", "cri-dockerd", "conmon", "podman", "riposte",
    ]

    /// Those that root starts and that are somebody else then, by the unit that they are of.
    static let units = [
        "dbus-daemon": "dbus.service", "dbus-broker": "dbus-broker.service", "systemd-networkd": "systemd-networkd.service", "systemd-resolved": "systemd-resolved.service",
    ]

    /// The ways into the machine, where they listen: as children of init.
    package static let entrances: Set<String> = ["sshd"]

    package init() {}

    package func refusal(of plan: Plan) async -> String? {
        guard plan.action == "process.kill" || plan.action == "process.suspend", case .process(let identity) = plan.target else { return nil }
        let ancestors = Self.ancestors()
        for pid in ProcessTree.pids(of: plan, identity) {
            if let reason = Self.refusal(pid, ancestors) {
                return pid == identity.pid ? reason : "the tree of process \(identity.pid) reaches process \(pid): \(reason)"
            }
        }
        return nil
    }

    /// For a deed that no engine has ordered.
    static let call: GuardCall = { plan async throws(ActionError) in
        if let reason = await ProcessGuards().refusal(of: plan) { throw ActionError(.guarded, "guard builtin.processes", reason) }
    }

    private static func refusal(_ pid: Int32, _ ancestors: Set<Int32>) -> String? {
        if pid <= 1 { return "process 1 is the machine's init" }
        if pid == ownPID { return "process \(pid) is Riposte itself" }
        if ancestors.contains(pid) { return "process \(pid) is an ancestor of Riposte" }
        guard let stat = ProcFS.stat(pid) else { return nil }
        if stat.isKernelThread { return "process \(pid) is a kernel thread" }
        // The path it was started from: an upgrade puts a new file in its place, and the old daemon runs on.
        let executable = ProcFS.executable(pid)
        let file = executable.map { String(decoding: $0.bytes.split(separator: UInt8(ascii: "/")).last ?? [], as: UTF8.self) } ?? ""
        guard protectedExecutables.contains(file) || entrances.contains(file), isRootsAlone(pid) else { return nil }
        // In a container anybody can call a program `systemd`; on the host these are what they are called.
        let cgroups = ProcFS.cgroups(pid)
        guard !cgroups.contains(where: { $0.mark != nil }) else { return nil }
        if protectedExecutables.contains(file), isMachines(pid, file, cgroups) { return "process \(pid) is \(file), which this machine cannot do without" }
        if entrances.contains(file), stat.parent == 1, isRoots(pid) { return "process \(pid) is the listening \(file): the way into this machine" }
        return nil
    }

    /// Whether the machine runs it, and not somebody in his session: anybody may start a `dbus-daemon --session`, or make a `systemd --user` run code of his own, and
    /// neither spares him nor what is above it.
    private static func isMachines(_ pid: Int32, _ file: String, _ cgroups: [Cgroup]) -> Bool {
        guard !cgroups.contains(where: \.isOfUsers) else { return false }
        return isRoots(pid) || units[file].map { unit in cgroups.contains { $0.isOf(unit: unit) } } ?? false
    }

    /// Whether it is root's, whole and not in a user namespace of somebody's; also where that cannot be told.
    private static func isRoots(_ pid: Int32) -> Bool { ProcFS.userIDs(pid).prefix(3).allSatisfy { $0 == 0 } && ProcFS.isInOurUserNamespace(pid) ?? true }

    /// Whether nobody but root can have made the file what it is: whoever calls a program of his own `podman` is not spared for that.
    private static func isRootsAlone(_ pid: Int32) -> Bool {
        guard let status = ProcFS.programStatus(pid) else { return true }
        return status.st_uid == 0 && status.st_mode & 0o022 == 0
    }

    /// Those above us change seldom; the answer is good for a second, as long as our parent is the same.
    private static func ancestors() -> Set<Int32> {
        let (parent, now) = (getppid(), ContinuousClock.now)
        return known.withLock { known in
            if let known, known.parent == parent, now - known.at < .seconds(1) { return known.ancestors }
            var result: Set<Int32> = []
            var next = parent
            while next > 0, result.insert(next).inserted { next = ProcFS.stat(next)?.parent ?? 0 }
            known = (parent, now, result)
            return result
        }
    }

    private static let known = Mutex<(parent: Int32, at: ContinuousClock.Instant, ancestors: Set<Int32>)?>(nil)
}
