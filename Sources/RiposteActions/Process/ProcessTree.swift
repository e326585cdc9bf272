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

        init?(json: JSON) {
            guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)), let ticks = json["start_ticks"]?.integer.flatMap(UInt64.init(exactly:))
            else { return nil }
            self.pid = pid
            startTicks = ticks
            wasStopped = json["was_stopped"]?.bool ?? false
        }

        /// The member pinned; nil where it has ended.
        func handle() throws(ActionError) -> ProcessHandle? {
            do throws(ActionError) {
                let handle = try ProcessHandle(pid: pid)
                guard let stat = ProcFS.stat(pid), stat.startTicks == startTicks, !handle.hasEnded else { return nil }
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
                guard let handle = try member.handle() else { continue }
                do throws(ActionError) { try handle.send(.stop) } catch { if error.failure != nil { throw error } }
                stopped.append(member)
            }
            guard stopped.count < memberLimit else { break }
        }
        throw ActionError(
            .partial, "stop the tree of process \(root.pid)", "it grows faster than it can be stopped; \(stopped.count) processes are stopped",
            evidence: [
                "stopped": .array(stopped.prefix(256).map(\.json)),
                // What was stopped must not stay so for ever.
                "undo_token": ["members": .array(stopped.filter { !$0.wasStopped }.map(\.json))],
            ])
    }
}
