internal import Glibc

/// The files by which a process is stopped or ended with its whole control group, or with one above that.
package enum CgroupSwitches {
    /// Those of this process, as far as its control groups can be seen here.
    package static var own: [String] {
        guard let folder = ProcessFolder(UInt32(getpid())), let cgroups = folder.wholeText("cgroup"), let mounts = folder.wholeText("mountinfo") else { return [] }
        return paths(cgroups: cgroups, mounts: mounts)
    }

    /// `cgroups`: lines of `/proc/PID/cgroup`; `mounts`: of `/proc/PID/mountinfo`.
    static func paths(cgroups: String, mounts: String) -> [String] {
        var paths: [String] = []
        for line in cgroups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let (isUnified, isFreezer) = (parts[0] == "0" && parts[1].isEmpty, parts[1].split(separator: ",").contains("freezer"))
            guard isUnified || isFreezer, let top = mountPoint(mounts, isUnified: isUnified) else { continue }
            // The root has none of them.
            var folder = parts[2][...]
            while folder.count > 1 {
                paths += (isUnified ? ["cgroup.freeze", "cgroup.kill"] : ["freezer.state"]).map { "\(top)\(folder)/\($0)" }
                folder = folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)]
            }
        }
        return paths
    }

    /// Where the whole of a hierarchy is mounted: `31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw`.
    private static func mountPoint(_ mounts: String, isUnified: Bool) -> Substring? {
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let end = fields.firstIndex(of: "-"), end + 3 < fields.count, fields.count > 4, fields[3] == "/" else { continue }
            let isMeant = isUnified ? fields[end + 1] == "cgroup2" : fields[end + 1] == "cgroup" && fields[end + 3].split(separator: ",").contains("freezer")
            if isMeant { return fields[4] }
        }
        return nil
    }
}
