internal import Glibc
package import RiposteCore

/// People by what the kernel says of them.
package enum Operator {
    /// Who runs this process: its real user, which below `sudo` is root.
    package static func current() -> AuditRecord.Actor {
        let uid = getuid()
        return AuditRecord.Actor(.person, name: name(of: uid), uid: uid, pid: getpid())
    }

    package static func name(of uid: UInt32) -> String { user(uid) { text($0.pw_name) } ?? "uid \(uid)" }

    static func groupID(named name: String) -> UInt32? { lookUp(group(), { getgrnam_r(name, $0, $1, $2, $3) }, \.gr_gid) }

    /// The names of a user's groups as the group database says, and of the group that the user acts with.
    package static func groupNames(of uid: UInt32, actingWith gid: UInt32) -> Set<String> {
        Set((groupIDs(of: uid) + [gid]).compactMap(groupName))
    }

    private static func groupName(_ gid: UInt32) -> String? {
        lookUp(group(), { getgrgid_r(gid, $0, $1, $2, $3) }) { text($0.gr_name) } ?? nil
    }

    /// Whether a user is in a group, as the group database says.
    static func isMember(_ uid: UInt32, of group: UInt32) -> Bool { groupIDs(of: uid).contains(group) }

    private static func groupIDs(of uid: UInt32) -> [UInt32] { user(uid) { groupIDs(ofUser: $0.pw_name, $0.pw_gid) } ?? [] }

    private static func groupIDs(ofUser name: UnsafePointer<CChar>?, _ own: gid_t) -> [UInt32] {
        guard let name else { return [] }
        var room: Int32 = 256
        while true {
            var (groups, count) = ([gid_t](repeating: 0, count: Int(room)), room)
            if getgrouplist(name, own, &groups, &count) >= 0 { return Array(groups.prefix(Int(count))) }
            // It tells how many there are.
            guard count > room, count <= groupLimit else { return [] }
            room = count
        }
    }

    private static let groupLimit: Int32 = 1 << 20

    private static func user<Value>(_ uid: UInt32, _ read: (passwd) -> Value?) -> Value? { lookUp(passwd(), { getpwuid_r(uid, $0, $1, $2, $3) }, read) ?? nil }

    private static func text(_ start: UnsafeMutablePointer<CChar>?) -> String? { start.map { String(cString: $0) } }

    // MARK: - The user and group databases

    private static let firstRoom = 4096
    /// A group of a million members has room in it.
    private static let roomLimit = 16 << 20

    /// What a database says, however much room that takes: an entry of a group holds the names of all its members. Nil where it says nothing.
    private static func lookUp<Entry, Value>(
        _ empty: Entry, _ ask: (UnsafeMutablePointer<Entry>, UnsafeMutablePointer<CChar>, Int, UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>) -> Int32,
        _ read: (Entry) -> Value
    ) -> Value? {
        var size = firstRoom
        while size <= roomLimit {
            let room = UnsafeMutableBufferPointer<CChar>.allocate(capacity: size)
            defer { room.deallocate() }
            guard let start = room.baseAddress else { return nil }
            var entry = empty
            var found: UnsafeMutablePointer<Entry>?
            let status = ask(&entry, start, size, &found)
            // What is found points into the room.
            guard status == ERANGE else { return status == 0 && found != nil ? read(entry) : nil }
            size *= 2
        }
        return nil
    }
}
