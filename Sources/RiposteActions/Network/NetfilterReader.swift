internal import CNetfilter
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// Reads back what is in the kernel.
struct NetfilterReader: ~Copyable {
    private let socket: NetlinkSocket

    init(in context: NetworkContext) throws(ActionError) { socket = try NetlinkSocket(NETLINK_NETFILTER, in: context) }

    struct Chain: Equatable {
        var name: String
        /// The kernel's number for its table, never given twice.
        var table: UInt64
        /// The kernel's number for it, never given twice as long as the table lives.
        var handle: UInt64
        var device: String?
        /// Its table is switched off: no packet comes by.
        var isDormant = false
        var rules: Int
        /// Of its rules, sorted: whom an allow list lets pass.
        var comments: [String] = []
        var counters: Counters

        /// As many rules, and the same comments, and packets come by.
        func holds(_ wanted: [NetfilterRule]) -> Bool { !isDormant && rules == wanted.count && comments == wanted.compactMap(\.comment).sorted() }
    }

    struct Counters: Equatable {
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
    }

    struct Rule: Equatable {
        var chain: String
        var comment: String?
        var counters: Counters
    }

    struct Element: Equatable {
        var network: IPNetwork
        /// What is left; nil: without end.
        var remaining: Duration?
    }

    /// The table's chains with their rules counted; nil where there is no such table.
    borrowing func chains(of table: NetfilterTable) throws(ActionError) -> [Chain] {
        var chains: [Chain] = []
        guard let state = try state(of: table) else { return [] }
        try dump(NFT_MSG_GETCHAIN, table, "list chains") { message in
            let chain = nftnl_chain_alloc()
            defer { nftnl_chain_free(chain) }
            guard nftnl_chain_nlmsg_parse(message, chain) == 0, let name = nftnl_chain_get_str(chain, UInt16(NFTNL_CHAIN_NAME.rawValue)),
                let owner = nftnl_chain_get_str(chain, UInt16(NFTNL_CHAIN_TABLE.rawValue)), String(cString: owner) == table.name
            else { return }
            let device = nftnl_chain_get_str(chain, UInt16(NFTNL_CHAIN_DEV.rawValue)).map { String(cString: $0) }
            let handle = nftnl_chain_get_u64(chain, UInt16(NFTNL_CHAIN_HANDLE.rawValue))
            chains.append(
                Chain(name: String(cString: name), table: state.handle, handle: handle, device: device, isDormant: state.isDormant, rules: 0, counters: Counters()))
        }
        let rules = try rules(of: table)
        for index in chains.indices {
            let own = rules.filter { $0.chain == chains[index].name }
            chains[index].rules = own.count
            chains[index].comments = own.compactMap(\.comment).sorted()
            chains[index].counters = own.last?.counters ?? Counters()
        }
        return chains
    }

    borrowing func rules(of table: NetfilterTable) throws(ActionError) -> [Rule] {
        var rules: [Rule] = []
        try dump(NFT_MSG_GETRULE, table, "list rules") { message in
            let rule = nftnl_rule_alloc()
            defer { nftnl_rule_free(rule) }
            guard nftnl_rule_nlmsg_parse(message, rule) == 0, let chain = nftnl_rule_get_str(rule, UInt16(NFTNL_RULE_CHAIN.rawValue)),
                let owner = nftnl_rule_get_str(rule, UInt16(NFTNL_RULE_TABLE.rawValue)), String(cString: owner) == table.name
            else { return }
            rules.append(Rule(chain: String(cString: chain), comment: Self.comment(of: rule), counters: Self.counters(of: rule)))
        }
        return rules
    }

    private static func comment(of rule: OpaquePointer?) -> String? {
        var length: UInt32 = 0
        guard let data = nftnl_rule_get_data(rule, UInt16(NFTNL_RULE_USERDATA.rawValue), &length), length > 3 else { return nil }
        let bytes = UnsafeRawBufferPointer(start: data, count: Int(length))
        return bytes[0] == 0 ? String(decoding: bytes.dropFirst(2).prefix { $0 != 0 }, as: UTF8.self) : nil
    }

    private static func counters(of rule: OpaquePointer?) -> Counters {
        guard let iterator = nftnl_expr_iter_create(rule) else { return Counters() }
        defer { nftnl_expr_iter_destroy(iterator) }
        while let expression = nftnl_expr_iter_next(iterator) {
            guard let name = nftnl_expr_get_str(expression, UInt16(NFTNL_EXPR_NAME)), String(cString: name) == "counter" else { continue }
            return Counters(
                packets: nftnl_expr_get_u64(expression, UInt16(NFTNL_EXPR_CTR_PACKETS)), bytes: nftnl_expr_get_u64(expression, UInt16(NFTNL_EXPR_CTR_BYTES)))
        }
        return Counters()
    }

    /// The kernel's number for a table, and whether it is switched off: nothing in it is in force then. Nil where there is no such table.
    borrowing func state(of table: NetfilterTable) throws(ActionError) -> (handle: UInt64, isDormant: Bool)? {
        var state: (handle: UInt64, isDormant: Bool)?
        try dump(NFT_MSG_GETTABLE, table, "list tables") { message in
            let object = nftnl_table_alloc()
            defer { nftnl_table_free(object) }
            guard nftnl_table_nlmsg_parse(message, object) == 0, let name = nftnl_table_get_str(object, UInt16(NFTNL_TABLE_NAME.rawValue)),
                String(cString: name) == table.name, nftnl_table_get_u32(object, UInt16(NFTNL_TABLE_FAMILY.rawValue)) == UInt32(table.family)
            else { return }
            let flags = nftnl_table_get_u32(object, UInt16(NFTNL_TABLE_FLAGS.rawValue))
            state = (nftnl_table_get_u64(object, UInt16(NFTNL_TABLE_HANDLE.rawValue)), flags & UInt32(NFT_TABLE_F_DORMANT.rawValue) != 0)
        }
        return state
    }

    /// Those of ours that are there, single addresses first.
    borrowing func sets(of table: NetfilterTable) throws(ActionError) -> [AddressSet] {
        var sets: [AddressSet] = []
        try forEachSet(of: table) { object in
            guard let name = nftnl_set_get_str(object, UInt16(NFTNL_SET_NAME.rawValue)), let set = AddressSet(name: String(cString: name)) else { return }
            sets.append(set)
        }
        return sets.sorted { $0.prefixLength == $1.prefixLength ? $0.family == .ipv4 && $1.family == .ipv6 : $0.prefixLength > $1.prefixLength }
    }

    /// The kernel's number for a set; nil where there is no such set.
    borrowing func handle(of set: AddressSet, in table: NetfilterTable) throws(ActionError) -> UInt64? {
        var handle: UInt64?
        try forEachSet(of: table) { object in
            guard let name = nftnl_set_get_str(object, UInt16(NFTNL_SET_NAME.rawValue)), String(cString: name) == set.name else { return }
            handle = nftnl_set_get_u64(object, UInt16(NFTNL_SET_HANDLE.rawValue))
        }
        return handle
    }

    private borrowing func forEachSet(of table: NetfilterTable, _ body: (OpaquePointer) -> Void) throws(ActionError) {
        try dump(NFT_MSG_GETSET, table, "list sets") { message in
            guard let object = nftnl_set_alloc() else { return }
            defer { nftnl_set_free(object) }
            guard nftnl_set_nlmsg_parse(message, object) == 0, let owner = nftnl_set_get_str(object, UInt16(NFTNL_SET_TABLE.rawValue)), String(cString: owner) == table.name
            else { return }
            body(object)
        }
    }

    /// What a set blocks; nothing where there is no such set. What somebody else put in and no packet fits is passed over.
    borrowing func elements(of set: AddressSet, in table: NetfilterTable) throws(ActionError) -> [Element] {
        var elements: [Element] = []
        let named = nftnl_set_alloc()
        defer { nftnl_set_free(named) }
        nftnl_set_set_str(named, UInt16(NFTNL_SET_TABLE.rawValue), table.name)
        nftnl_set_set_str(named, UInt16(NFTNL_SET_NAME.rawValue), set.name)
        let request = Self.request(NFT_MSG_GETSETELEM, table) { nftnl_set_elems_nlmsg_build_payload($0, named) }
        do throws(ActionError) {
            try socket.dump(request, doing: "list set \(set.name)") { elements += Self.elements(of: set, in: $0) }
        } catch {
            guard error.answer == String(cString: strerror(ENOENT)) else { throw error }
            return []
        }
        return elements
    }

    private static func elements(of set: AddressSet, in message: UnsafePointer<nlmsghdr>) -> [Element] {
        let object = nftnl_set_alloc()
        defer { nftnl_set_free(object) }
        guard nftnl_set_elems_nlmsg_parse(message, object) == 0, let iterator = nftnl_set_elems_iter_create(object) else { return [] }
        defer { nftnl_set_elems_iter_destroy(iterator) }
        var result: [Element] = []
        while let element = nftnl_set_elems_iter_next(iterator) {
            var length: UInt32 = 0
            guard let key = nftnl_set_elem_get(element, UInt16(NFTNL_SET_ELEM_KEY), &length) else { continue }
            let remaining: Duration? =
                nftnl_set_elem_is_set(element, UInt16(NFTNL_SET_ELEM_EXPIRATION))
                ? .milliseconds(Int64(clamping: nftnl_set_elem_get_u64(element, UInt16(NFTNL_SET_ELEM_EXPIRATION)))) : nil
            guard let first = IPAddress(bytes: Array(UnsafeRawBufferPointer(start: key, count: Int(length)))),
                let network = IPNetwork(first, prefixLength: set.prefixLength), network.address == first
            else { continue }
            result.append(Element(network: network, remaining: remaining))
        }
        return result
    }

    private borrowing func dump(
        _ type: nf_tables_msg_types, _ table: NetfilterTable, _ doing: String, _ body: (UnsafePointer<nlmsghdr>) -> Void
    ) throws(ActionError) {
        try socket.dump(Self.request(type, table) { _ in }, doing: doing, body)
    }

    private static func request(_ type: nf_tables_msg_types, _ table: NetfilterTable, _ fill: (UnsafeMutablePointer<nlmsghdr>) -> Void) -> [UInt8] {
        NetlinkMessage.build(type: Int32(NFNL_SUBSYS_NFTABLES) << 8 | Int32(type.rawValue), flags: NLM_F_REQUEST | NLM_F_DUMP) { header in
            guard let extra = mnl_nlmsg_put_extra_header(header, MemoryLayout<nfgenmsg>.size) else { return }
            extra.assumingMemoryBound(to: nfgenmsg.self).pointee = nfgenmsg(nfgen_family: table.family, version: UInt8(NFNETLINK_V0), res_id: 0)
            fill(header)
        }
    }
}
