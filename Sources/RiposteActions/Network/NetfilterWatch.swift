internal import CNetfilter
internal import Glibc
internal import RiposteCore
package import RipostePlaybooks

/// Hears of changes to our tables: the kernel tells every transaction of nf_tables to the multicast group NFNLGRP_NFTABLES, objects first, then who made it.
package struct NetfilterWatch: Sendable {
    private let context: NetworkContext

    package init(context: NetworkContext = .own) { self.context = context }

    /// Calls `changed` after each transaction of somebody else that touched a table of ours; also where the kernel had more to tell than the socket could
    /// hold. Returns when the task is cancelled.
    package func run(_ changed: @escaping @Sendable () -> Void) async throws(ActionError) {
        let socket = try NetlinkSocket(NETLINK_NETFILTER, in: context)
        try socket.join(Int32(NFNLGRP_NFTABLES.rawValue))
        var transaction = Transaction()
        while !Task.isCancelled {
            guard await socket.isReadable(within: .milliseconds(500)) else { continue }
            do throws(ActionError) {
                while try socket.receive(
                    waiting: false, doing: "hear of changes to nf_tables",
                    { message in
                        if transaction.take(message) { changed() }
                        return .more
                    })
                {}
            } catch {
                // ENOBUFS: some were lost, ours may be among them.
                transaction = Transaction()
                changed()
            }
        }
    }

    /// What is known of the transaction that is being told.
    private struct Transaction {
        var touchesOurs = false

        /// True at the end of one that somebody else made and that touched a table of ours.
        mutating func take(_ message: UnsafePointer<nlmsghdr>) -> Bool {
            let type = Int32(message.pointee.nlmsg_type)
            guard type >> 8 == Int32(NFNL_SUBSYS_NFTABLES) else { return false }
            guard type & 0xFF == Int32(NFT_MSG_NEWGEN.rawValue) else {
                touchesOurs = touchesOurs || Self.table(of: message) == NetfilterTable.host.name
                return false
            }
            defer { touchesOurs = false }
            guard touchesOurs else { return false }
            let author = Self.author(of: message)
            // The kernel names the thread.
            if let author, access("/proc/self/task/\(author.pid)", F_OK) == 0 { return false }
            if let author { ForeignChanges.shared.note(author) }
            return true
        }

        /// The first attribute of all objects' messages is the table's name, and so it is of a table's own.
        private static func table(of message: UnsafePointer<nlmsghdr>) -> String? {
            var name: String?
            forEachAttribute(of: message, after: MemoryLayout<nfgenmsg>.size) { type, attribute in
                if type == UInt16(NFTA_TABLE_NAME.rawValue), name == nil { name = String(cString: mnl_attr_get_str(attribute)) }
            }
            return name
        }

        private static func author(of message: UnsafePointer<nlmsghdr>) -> ForeignChanges.Change? {
            var (pid, name): (Int32?, String?) = (nil, nil)
            forEachAttribute(of: message, after: MemoryLayout<nfgenmsg>.size) { type, attribute in
                switch UInt32(type) {
                case NFTA_GEN_PROC_PID.rawValue: pid = Int32(bitPattern: UInt32(bigEndian: mnl_attr_get_u32(attribute)))
                case NFTA_GEN_PROC_NAME.rawValue: name = String(cString: mnl_attr_get_str(attribute))
                default: break
                }
            }
            return pid.map { ForeignChanges.Change(process: name ?? "?", pid: $0, time: .now()) }
        }
    }
}
