internal import Glibc
package import RiposteCore

/// People by what the kernel says of them.
package enum Operator {
    /// Who runs this process: for `sudo` the user who called it, with the uid that acts.
    package static func current() -> AuditRecord.Actor {
        let uid = getuid()
        return AuditRecord.Actor(.person, name: name(of: uid), uid: uid, pid: getpid())
    }

    package static func name(of uid: UInt32) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name else { return "uid \(uid)" }
        return String(cString: name)
    }

    static func groupID(named name: String) -> UInt32? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }

    /// The names of a user's groups as the group database says, and of the group that the user acts with.
    package static func groupNames(of uid: UInt32, actingWith gid: UInt32) -> Set<String> {
        Set((groupIDs(of: uid) + [gid]).compactMap(groupName))
    }

    private static func groupName(_ gid: UInt32) -> String? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        guard getgrgid_r(gid, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.gr_name else { return nil }
        return String(cString: name)
    }

    /// Whether a user is in a group, as the group database says.
    static func isMember(_ uid: UInt32, of group: UInt32) -> Bool { groupIDs(of: uid).contains(group) }

    private static func groupIDs(of uid: UInt32) -> [UInt32] {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return [] }
        var groups = [gid_t](repeating: 0, count: 256)
        var count = Int32(groups.count)
        guard getgrouplist(entry.pw_name, entry.pw_gid, &groups, &count) >= 0 else { return [] }
        return Array(groups.prefix(Int(count)))
    }
}
