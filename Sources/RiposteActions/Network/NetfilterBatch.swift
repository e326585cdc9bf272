internal import CNetfilter
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// One atomic transaction of nf_tables: all of it takes effect at one instant, or none of it. A batch that is built and not sent is a dry run.
struct NetfilterBatch {
    private var bytes: [UInt8] = []
    private var sequence: UInt32 = 1
    /// What each message asks for, for errors.
    private var titles: [UInt32: String] = [:]

    var isEmpty: Bool { titles.isEmpty }
    var byteCount: Int { bytes.count }
    var messageCount: Int { titles.count }

    private mutating func add(_ type: UInt32, _ family: UInt8, flags: Int32, _ title: String, _ fill: (UnsafeMutablePointer<nlmsghdr>) -> Void) {
        sequence += 1
        titles[sequence] = title
        bytes += NetlinkMessage.build(
            type: Int32(NFNL_SUBSYS_NFTABLES) << 8 | Int32(type), flags: NLM_F_REQUEST | NLM_F_ACK | flags, sequence: sequence
        ) { header in
            guard let extra = mnl_nlmsg_put_extra_header(header, MemoryLayout<nfgenmsg>.size) else { return }
            extra.assumingMemoryBound(to: nfgenmsg.self).pointee = nfgenmsg(nfgen_family: family, version: UInt8(NFNETLINK_V0), res_id: 0)
            fill(header)
        }
    }

    // MARK: - Objects

    mutating func addTable(_ table: NetfilterTable) { changeTable(table, NFT_MSG_NEWTABLE, NLM_F_CREATE, "make") }
    mutating func deleteTable(_ table: NetfilterTable) { changeTable(table, NFT_MSG_DELTABLE, 0, "delete") }

    private mutating func changeTable(_ table: NetfilterTable, _ type: nf_tables_msg_types, _ flags: Int32, _ verb: String) {
        let object = nftnl_table_alloc()
        defer { nftnl_table_free(object) }
        nftnl_table_set_str(object, UInt16(NFTNL_TABLE_NAME.rawValue), table.name)
        nftnl_table_set_u32(object, UInt16(NFTNL_TABLE_FAMILY.rawValue), UInt32(table.family))
        // Said also where there are none: that wakes a table that somebody made dormant.
        nftnl_table_set_u32(object, UInt16(NFTNL_TABLE_FLAGS.rawValue), 0)
        add(type.rawValue, table.family, flags: flags, "\(verb) table \(table.name)") { nftnl_table_nlmsg_build_payload($0, object) }
    }

    /// `device` only in tables of family netdev.
    mutating func addBaseChain(_ name: String, in table: NetfilterTable, hook: Int32, priority: Int32, device: String? = nil) {
        let chain = nftnl_chain_alloc()
        defer { nftnl_chain_free(chain) }
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TABLE.rawValue), table.name)
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_NAME.rawValue), name)
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TYPE.rawValue), "filter")
        nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), UInt32(hook))
        nftnl_chain_set_s32(chain, UInt16(NFTNL_CHAIN_PRIO.rawValue), priority)
        nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_POLICY.rawValue), UInt32(NF_ACCEPT))
        if let device { nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_DEV.rawValue), device) }
        add(NFT_MSG_NEWCHAIN.rawValue, table.family, flags: NLM_F_CREATE, "make chain \(name)") { nftnl_chain_nlmsg_build_payload($0, chain) }
    }

    /// Its rules go first: a chain with rules cannot be deleted by older kernels.
    mutating func deleteChain(_ name: String, in table: NetfilterTable) {
        deleteRules(of: name, in: table)
        let chain = nftnl_chain_alloc()
        defer { nftnl_chain_free(chain) }
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TABLE.rawValue), table.name)
        nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_NAME.rawValue), name)
        add(NFT_MSG_DELCHAIN.rawValue, table.family, flags: 0, "delete chain \(name)") { nftnl_chain_nlmsg_build_payload($0, chain) }
    }

    mutating func deleteRules(of chain: String, in table: NetfilterTable) {
        let rule = nftnl_rule_alloc()
        defer { nftnl_rule_free(rule) }
        nftnl_rule_set_u32(rule, UInt16(NFTNL_RULE_FAMILY.rawValue), UInt32(table.family))
        nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_TABLE.rawValue), table.name)
        nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_CHAIN.rawValue), chain)
        add(NFT_MSG_DELRULE.rawValue, table.family, flags: 0, "empty chain \(chain)") { nftnl_rule_nlmsg_build_payload($0, rule) }
    }

    mutating func addRule(_ rule: NetfilterRule, to chain: String, in table: NetfilterTable) {
        let object = nftnl_rule_alloc()
        defer { nftnl_rule_free(object) }
        nftnl_rule_set_u32(object, UInt16(NFTNL_RULE_FAMILY.rawValue), UInt32(table.family))
        nftnl_rule_set_str(object, UInt16(NFTNL_RULE_TABLE.rawValue), table.name)
        nftnl_rule_set_str(object, UInt16(NFTNL_RULE_CHAIN.rawValue), chain)
        for expression in rule.expressions { if let built = expression.build() { nftnl_rule_add_expr(object, built) } }
        if let comment = rule.comment {
            // As nft writes a comment: type 0, length, text, NUL. `nft list ruleset` shows it.
            let text = Array(comment.utf8.prefix(120)) + [0]
            let data = [0, UInt8(text.count)] + text
            nftnl_rule_set_data(object, UInt16(NFTNL_RULE_USERDATA.rawValue), data, UInt32(data.count))
        }
        add(NFT_MSG_NEWRULE.rawValue, table.family, flags: NLM_F_CREATE | NLM_F_APPEND, "add a rule to chain \(chain)") {
            nftnl_rule_nlmsg_build_payload($0, object)
        }
    }

    mutating func addSet(_ set: AddressSet, in table: NetfilterTable) {
        let object = nftnl_set_alloc()
        defer { nftnl_set_free(object) }
        nftnl_set_set_str(object, UInt16(NFTNL_SET_TABLE.rawValue), table.name)
        nftnl_set_set_str(object, UInt16(NFTNL_SET_NAME.rawValue), set.name)
        nftnl_set_set_u32(object, UInt16(NFTNL_SET_FAMILY.rawValue), UInt32(table.family))
        nftnl_set_set_u32(object, UInt16(NFTNL_SET_ID.rawValue), set.id)
        // nft's numbers for the types ipv4_addr and ipv6_addr.
        nftnl_set_set_u32(object, UInt16(NFTNL_SET_KEY_TYPE.rawValue), set.family == .ipv4 ? 7 : 8)
        nftnl_set_set_u32(object, UInt16(NFTNL_SET_KEY_LEN.rawValue), UInt32(set.family.byteCount))
        nftnl_set_set_u32(object, UInt16(NFTNL_SET_FLAGS.rawValue), UInt32(NFT_SET_TIMEOUT.rawValue))
        add(NFT_MSG_NEWSET.rawValue, table.family, flags: NLM_F_CREATE, "make set \(set.name)") { nftnl_set_nlmsg_build_payload($0, object) }
    }

    mutating func addElement(_ network: IPNetwork, timeout: Duration?, to set: AddressSet, in table: NetfilterTable) {
        changeElement(network, timeout, set, table, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "block \(network)")
    }

    mutating func deleteElement(_ network: IPNetwork, from set: AddressSet, in table: NetfilterTable) {
        changeElement(network, nil, set, table, NFT_MSG_DELSETELEM, 0, "unblock \(network)")
    }

    private mutating func changeElement(
        _ network: IPNetwork, _ timeout: Duration?, _ set: AddressSet, _ table: NetfilterTable, _ type: nf_tables_msg_types, _ flags: Int32,
        _ title: String
    ) {
        let object = nftnl_set_alloc()
        defer { nftnl_set_free(object) }
        nftnl_set_set_str(object, UInt16(NFTNL_SET_TABLE.rawValue), table.name)
        nftnl_set_set_str(object, UInt16(NFTNL_SET_NAME.rawValue), set.name)
        let element = nftnl_set_elem_alloc()
        let key = network.address.bytes
        nftnl_set_elem_set(element, UInt16(NFTNL_SET_ELEM_KEY), key, UInt32(key.count))
        if let timeout { nftnl_set_elem_set_u64(element, UInt16(NFTNL_SET_ELEM_TIMEOUT), UInt64(max(1, timeout.wholeMicroseconds / 1000))) }
        nftnl_set_elem_add(object, element)
        add(type.rawValue, table.family, flags: flags, title) { nftnl_set_elems_nlmsg_build_payload($0, object) }
    }

    // MARK: - Commit

    /// Sends it. An error names the object that the kernel did not take; then nothing has changed.
    func commit(in context: NetworkContext) throws(ActionError) {
        for attempt in 1... {
            do throws(ActionError) { return try commitOnce(in: context) } catch {
                guard error.failure == .busy, attempt < 5 else { throw error }
            }
        }
    }

    private func commitOnce(in context: NetworkContext) throws(ActionError) {
        let socket = try NetlinkSocket(NETLINK_NETFILTER, in: context)
        try socket.send(Self.frame(NFNL_MSG_BATCH_BEGIN, 1) + bytes + Self.frame(NFNL_MSG_BATCH_END, sequence + 1), doing: "commit to nf_tables")
        // The kernel answers while it takes the batch: all answers are there now.
        var acknowledged: Set<UInt32> = []
        var failure: ActionError?
        while try socket.receive(
            waiting: false, doing: "commit to nf_tables",
            { message in
                guard Int32(message.pointee.nlmsg_type) == NLMSG_ERROR else { return .more }
                let code = NetlinkSocket.errorCode(message)
                if code == 0 { acknowledged.insert(message.pointee.nlmsg_seq) }
                if code != 0, failure == nil { failure = NetlinkSocket.error(code, titles[message.pointee.nlmsg_seq] ?? "commit to nf_tables") }
                return .more
            })
        {}
        if let failure { throw failure }
        guard acknowledged.isSuperset(of: titles.keys) else {
            throw ActionError(.busy, "commit to nf_tables", "the kernel acknowledged \(acknowledged.count) of \(titles.count) changes")
        }
    }

    private static func frame(_ type: Int32, _ sequence: UInt32) -> [UInt8] {
        NetlinkMessage.build(type: type, flags: NLM_F_REQUEST, sequence: sequence) { header in
            guard let extra = mnl_nlmsg_put_extra_header(header, MemoryLayout<nfgenmsg>.size) else { return }
            extra.assumingMemoryBound(to: nfgenmsg.self).pointee = nfgenmsg(
                nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
        }
    }
}

struct NetfilterTable: Sendable, Equatable {
    let family: UInt8
    let name: String

    /// Blocks and the host's isolation.
    static let host = NetfilterTable(family: UInt8(NFPROTO_INET), name: "riposte")
    /// Isolated containers.
    static let devices = NetfilterTable(family: UInt8(NFPROTO_NETDEV), name: "riposte")
}

/// A set of blocked addresses, or of the first addresses of blocked blocks of one length: `host4`, `net4_24`, `net6_64`.
///
/// A set per length and not one of intervals, where no two may overlap: a block for a while would have to take the place of one without end inside it, which would be
/// gone with it. Here each has its own time.
struct AddressSet: Sendable, Hashable {
    let family: IPAddress.Family
    let prefixLength: Int

    /// Those that are always there.
    static let hosts = [AddressSet(family: .ipv4, prefixLength: 32), AddressSet(family: .ipv6, prefixLength: 128)]

    static func holding(_ network: IPNetwork) -> AddressSet { AddressSet(family: network.family, prefixLength: network.prefixLength) }

    var isOfSingleAddresses: Bool { prefixLength == family.byteCount * 8 }

    /// Unlike any other's of ours.
    var id: UInt32 { UInt32(family == .ipv4 ? 0x400 : 0x600) + UInt32(prefixLength) }

    var name: String {
        let version = family == .ipv4 ? 4 : 6
        return isOfSingleAddresses ? "host\(version)" : "net\(version)_\(prefixLength)"
    }

    var mask: [UInt8] { (0..<family.byteCount).map { UInt8(truncatingIfNeeded: 0xFF00 >> max(0, min(8, prefixLength - $0 * 8))) } }
}

extension AddressSet {
    /// Nil where no set of ours has this name.
    init?(name: String) {
        for family in IPAddress.Family.allCases {
            for length in 0...family.byteCount * 8 {
                let set = AddressSet(family: family, prefixLength: length)
                if set.name == name {
                    self = set
                    return
                }
            }
        }
        return nil
    }
}

extension IPAddress.Family {
    var byteCount: Int { self == .ipv4 ? 4 : 16 }
}
