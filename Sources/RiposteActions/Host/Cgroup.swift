internal import Glibc

/// A control group by its hierarchy: empty for the unified one, else what the kernel lists for it (`memory`, `name=systemd`).
///
/// Its path is made of names that somebody chose. Below `user.slice` that is the user, who may call a group like any container: what a path names is a claim, which
/// holds only where whoever runs the container says so.
struct Cgroup: Hashable, Sendable {
    var hierarchy: String
    var path: String

    /// Where a path names a container.
    struct Mark: Hashable, Sendable {
        var id: String
        /// Up to the part that names it. All that is in the container is there or below.
        var scope: Cgroup
        /// Below `user.slice`.
        var isUsersOwn: Bool
    }

    var mark: Mark? {
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            guard !Self.isOfHelper(part), let id = ProcFS.containerID(inCgroup: String(part)) else { continue }
            return Mark(id: id, scope: Cgroup(hierarchy: hierarchy, path: "/" + parts[...index].joined(separator: "/")), isUsersOwn: parts[..<index].contains("user.slice"))
        }
        return nil
    }

    /// `libpod-conmon-ID.scope`, `crio-conmon-ID.scope`: there Podman and CRI-O put the process that minds a container, which is one of the host's.
    private static func isOfHelper(_ part: Substring) -> Bool { part.contains("-conmon-") }

    /// Whether it is of somebody's session, or of the services that somebody runs for himself.
    var isOfUsers: Bool { path.split(separator: "/").contains("user.slice") }

    /// Whether it is that of a unit of the system's, `dbus.service`: whom systemd has not put there only comes there as a child of somebody who is there.
    func isOf(unit: String) -> Bool {
        // Seen from a control group namespace of our own, a path leads up to the root first.
        path.split(separator: "/").drop { $0 == ".." }.elementsEqual(["system.slice", Substring(unit)])
    }

    /// The UID of the pod that the kubelet made it for, or the hash that it calls a static pod by: `kubepods-burstable-podUID.slice` with underscores, or `podUID`.
    var podUID: String? {
        let parts = path.split(separator: "/")
        guard let first = parts.firstIndex(where: { $0.contains("kubepods") }), !parts[..<first].contains("user.slice") else { return nil }
        for part in parts[first...] {
            let name = part.hasSuffix(".slice") ? part.dropLast(".slice".count) : part
            guard let word = name.range(of: "pod", options: .backwards), word.lowerBound == name.startIndex || name[..<word.lowerBound].hasSuffix("-") else { continue }
            let uid = String(name[word.upperBound...]).replacing("_", with: "-")
            if [32, 36].contains(uid.utf8.count), uid.utf8.allSatisfy({ 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 || $0 == 0x2D }) { return uid }
        }
        return nil
    }
}

extension ProcFS {
    /// Those of a process, the unified hierarchy first, then systemd's.
    static func cgroups(_ pid: Int32) -> [Cgroup] {
        let own = cgroups(at: "/proc/\(pid)")
        let old = own.filter { !$0.hierarchy.isEmpty }
        // A thread that has ended is in the root of each old hierarchy, whatever the others do.
        guard !old.isEmpty, old.allSatisfy({ $0.path == "/" }), let thread = livingThread(of: pid) else { return own }
        return cgroups(at: thread)
    }

    private static func cgroups(at folder: String) -> [Cgroup] {
        let lines = (bytes(of: "\(folder)/cgroup", isOneRecord: true) ?? []).split(separator: UInt8(ascii: "\n"))
        let all = lines.compactMap { line -> Cgroup? in
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            return Cgroup(hierarchy: String(decoding: parts[1], as: UTF8.self), path: String(decoding: parts[2], as: UTF8.self))
        }
        let first = ["", "name=systemd"].compactMap { hierarchy in all.first { $0.hierarchy == hierarchy } }
        return first + all.filter { !first.contains($0) }
    }

    /// One to tell people: the one that names a container, or the first that leads anywhere.
    static func mainCgroup(_ pid: Int32) -> Cgroup? {
        let all = cgroups(pid)
        return all.first { $0.mark != nil } ?? all.first { $0.path != "/" } ?? all.first
    }

    static func cgroup(_ pid: Int32) -> String? { mainCgroup(pid)?.path }

    /// The processes that are in such a container by their control groups.
    static func processes(where isMeant: (Cgroup.Mark) -> Bool) -> [Int32] {
        numbers(in: "/proc").filter { cgroups($0).contains { $0.mark.map(isMeant) ?? false } }.sorted()
    }
}
