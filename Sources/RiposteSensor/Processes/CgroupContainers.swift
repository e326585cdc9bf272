/// Which cgroup belongs to which container, by the kernel's id of the cgroup: worked out from its path once. The sensor's thread alone uses it.
final class CgroupContainers {
    struct Knowledge {
        let container: ContainerReference
        let path: HeldBytes
    }

    /// Cgroups come and go; past this number everything is forgotten, which costs only to read paths again.
    private static let limit = 8192

    private var known: [UInt64: Knowledge] = [:]

    /// `path`: of the cgroup, where the event tells it; nil where nothing is known.
    func container(of cgroup: UInt64, path: UnsafeRawBufferPointer?) -> Knowledge? {
        if cgroup != 0, let found = known[cgroup], path == nil || found.path.bytes.isSame(as: path.unsafelyUnwrapped) { return found }
        guard let path else { return nil }
        let knowledge = Knowledge(container: CgroupPath.container(of: path), path: HeldBytes(path))
        if cgroup != 0 {
            if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
            known[cgroup] = knowledge
        }
        return knowledge
    }
}
