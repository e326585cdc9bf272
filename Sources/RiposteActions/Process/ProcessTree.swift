internal import RiposteCore
internal import RipostePlaybooks

/// A process with all that came from it, pinned member by member.
struct ProcessTree {
    static let memberLimit = 4096
    static let passLimit = 8

    /// A member by what proves it.
    struct Member: Hashable {
        var pid: Int32
        var startTicks: UInt64
        var wasStopped: Bool

        var json: JSON {
            var object: JSONObject = ["pid": .integer(Int64(pid)), "start_ticks": .integer(Int64(clamping: startTicks))]
            if wasStopped { object.append("was_stopped", true) }
            return .object(object)
        }

        init(_ stat: ProcessStat) {
            pid = stat.pid
            startTicks = stat.startTicks
            wasStopped = stat.isStopped
        }

        init(_ identity: ProcessIdentity) { (pid, startTicks, wasStopped) = (identity.pid, identity.startTicks, false) }

        init?(json: JSON) {
            guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)), let ticks = json["start_ticks"]?.integer.flatMap(UInt64.init(exactly:))
            else { return nil }
            self.pid = pid
            startTicks = ticks
            wasStopped = json["was_stopped"]?.bool ?? false
        }

        /// As before it was stopped.
        var running: Self {
            var member = self
            member.wasStopped = false
            return member
        }

        /// The member pinned; nil where it has ended.
        func handle() throws(ActionError) -> ProcessHandle? {
            do throws(ActionError) {
                let handle = try ProcessHandle(pid: pid)
                guard let stat = ProcFS.stat(pid), stat.startTicks == startTicks, !stat.isZombie else { return nil }
                return handle
            } catch {
                guard error.failure != nil else { return nil }
                throw error
            }
        }
    }

    /// Those below `root`, parents first, without touching them.
    static func members(below root: ProcessStat) -> [Member] {
        var members = [Member(root)]
        var index = 0
        while index < members.count, members.count < memberLimit {
            for child in ProcFS.children(of: members[index].pid) {
                if let stat = ProcFS.stat(child), !stat.isZombie, stat.parent == members[index].pid { members.append(Member(stat)) }
            }
            index += 1
        }
        return members
    }

    /// Stops a tree so that it cannot fork away: the root, then whoever is found below, until a look finds nobody new.
    static func stop(_ root: ProcessStat) throws(ActionError) -> [Member] {
        var stopped: [Member] = []
        var known: Set<Int32> = []
        for _ in 0..<passLimit {
            let fresh = members(below: root).filter { !known.contains($0.pid) }
            if fresh.isEmpty { return stopped }
            for member in fresh {
                known.insert(member.pid)
                do throws(ActionError) {
                    guard let handle = try member.handle() else { continue }
                    try handle.send(.stop)
                    stopped.append(member)
                } catch {
                    guard let failure = error.failure else { continue }
                    // What may pass is tried again, and then those are seen who stand still.
                    throw stopped.isEmpty || failure.mayPass ? error : Self.partial(root, error.message, stopped)
                }
            }
            guard stopped.count < memberLimit else { break }
        }
        throw partial(root, "it grows faster than it can be stopped", stopped)
    }

    private static func partial(_ root: ProcessStat, _ why: String, _ stopped: [Member]) -> ActionError {
        ActionError(
            .partial, "stop the tree of process \(root.pid)", "\(why); \(stopped.count) processes are stopped",
            evidence: [
                "stopped": .array(stopped.prefix(256).map(\.json)),
                // What was stopped must not stay so for ever.
                "undo_token": ["members": .array(stopped.filter { !$0.wasStopped }.map(\.json))],
            ])
    }
}
