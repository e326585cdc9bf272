internal import CNetfilter
internal import Glibc
internal import RiposteCore

/// A rule as a list of the kernel's expressions: each loads something into register 1, or tests it, or decides.
struct NetfilterRule {
    enum Expression {
        case meta(nft_meta_keys)
        case payload(nft_payload_bases, offset: UInt32, length: UInt32)
        case connectionState
        case mask([UInt8])
        case equal([UInt8])
        case notEqual([UInt8])
        case between(UInt8, UInt8)
        case isIn(AddressSet)
        case counter
        case verdict(Int32)
    }

    var expressions: [Expression]
    var comment: String?

    init(_ expressions: [Expression], comment: String? = nil) {
        self.expressions = expressions
        self.comment = comment
    }

    enum Verdict {
        case accept, drop
    }

    func then(_ verdict: Verdict) -> NetfilterRule {
        NetfilterRule(expressions + [.counter, .verdict(verdict == .accept ? NF_ACCEPT : NF_DROP)], comment: comment)
    }
}

extension NetfilterRule.Expression {
    private static let register = UInt32(NFT_REG_1.rawValue)

    /// Owned by the rule that it is added to.
    func build() -> OpaquePointer? {
        switch self {
        case .meta(let key):
            return Self.make("meta") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), UInt32(key.rawValue))
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_DREG), Self.register)
            }
        case .payload(let base, let offset, let length):
            return Self.make("payload") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_BASE), UInt32(base.rawValue))
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_OFFSET), offset)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_LEN), length)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_DREG), Self.register)
            }
        case .connectionState:
            return Self.make("ct") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CT_KEY), UInt32(NFT_CT_STATE.rawValue))
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CT_DREG), Self.register)
            }
        case .mask(let mask):
            return Self.make("bitwise") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_SREG), Self.register)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_DREG), Self.register)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_LEN), UInt32(mask.count))
                nftnl_expr_set(expression, UInt16(NFTNL_EXPR_BITWISE_MASK), mask, UInt32(mask.count))
                nftnl_expr_set(expression, UInt16(NFTNL_EXPR_BITWISE_XOR), [UInt8](repeating: 0, count: mask.count), UInt32(mask.count))
            }
        case .equal(let bytes): return Self.compare(NFT_CMP_EQ, bytes)
        case .notEqual(let bytes): return Self.compare(NFT_CMP_NEQ, bytes)
        case .between(let low, let high):
            return Self.make("range") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_RANGE_SREG), Self.register)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_RANGE_OP), UInt32(NFT_RANGE_EQ.rawValue))
                nftnl_expr_set(expression, UInt16(NFTNL_EXPR_RANGE_FROM_DATA), [low], 1)
                nftnl_expr_set(expression, UInt16(NFTNL_EXPR_RANGE_TO_DATA), [high], 1)
            }
        case .isIn(let set):
            return Self.make("lookup") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_LOOKUP_SREG), Self.register)
                nftnl_expr_set_str(expression, UInt16(NFTNL_EXPR_LOOKUP_SET), set.name)
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_LOOKUP_SET_ID), set.id)
            }
        case .counter: return Self.make("counter") { _ in }
        case .verdict(let verdict):
            return Self.make("immediate") { expression in
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_DREG), UInt32(NFT_REG_VERDICT.rawValue))
                nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_VERDICT), UInt32(bitPattern: verdict))
            }
        }
    }

    private static func compare(_ operation: nft_cmp_ops, _ bytes: [UInt8]) -> OpaquePointer? {
        make("cmp") { expression in
            nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_SREG), register)
            nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_OP), UInt32(operation.rawValue))
            nftnl_expr_set(expression, UInt16(NFTNL_EXPR_CMP_DATA), bytes, UInt32(bytes.count))
        }
    }

    private static func make(_ name: String, _ fill: (OpaquePointer) -> Void) -> OpaquePointer? {
        let expression = nftnl_expr_alloc(name)
        if let expression { fill(expression) }
        return expression
    }
}

// MARK: - The tests that our rules are made of

extension [NetfilterRule.Expression] {
    enum End {
        case source, destination
    }

    /// In an inet table: the packet is of this family.
    static func isFamily(_ family: IPAddress.Family) -> Self { [.meta(NFT_META_NFPROTO), .equal([UInt8(family == .ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6)])] }

    /// In a netdev table: the frame holds this protocol (of linux/if_ether.h).
    static func isProtocol(_ etherType: UInt16) -> Self { [.meta(NFT_META_PROTOCOL), .equal(etherType.networkBytes)] }

    static func isEtherFamily(_ family: IPAddress.Family) -> Self { isProtocol(family == .ipv4 ? 0x0800 : 0x86DD) }

    static func address(_ end: End, _ family: IPAddress.Family) -> Self {
        let offset: UInt32 =
            switch (family, end) {
            case (.ipv4, .source): 12
            case (.ipv4, .destination): 16
            case (.ipv6, .source): 8
            case (.ipv6, .destination): 24
            }
        return [.payload(NFT_PAYLOAD_NETWORK_HEADER, offset: offset, length: UInt32(family.byteCount))]
    }

    static func address(_ end: End, isIn network: IPNetwork) -> Self {
        if network.prefixLength == 0 { return [] }
        let load = address(end, network.family)
        return network.isSingleAddress ? load + [.equal(network.address.bytes)] : load + [.mask(network.mask), .equal(network.address.bytes)]
    }

    static func address(_ end: End, isIn set: AddressSet) -> Self {
        address(end, set.family) + (set.isOfSingleAddresses ? [] : [.mask(set.mask)]) + [.isIn(set)]
    }

    static func transport(_ transport: NetworkEndpoint.Transport) -> Self { [.meta(NFT_META_L4PROTO), .equal([transport == .tcp ? 6 : 17])] }

    static func port(_ end: End, _ port: UInt16) -> Self {
        [.payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: end == .source ? 0 : 2, length: 2), .equal(port.networkBytes)]
    }

    /// Established or related, in the host's byte order as the kernel keeps it.
    static var isReply: Self {
        let established: UInt32 = 1 << 1 | 1 << 2
        return [.connectionState, .mask(Swift.withUnsafeBytes(of: established) { [UInt8]($0) }), .notEqual([0, 0, 0, 0])]
    }

    static func interface(_ key: nft_meta_keys, is name: String) -> Self {
        [.meta(key), .equal([UInt8](name.utf8) + [UInt8](repeating: 0, count: Swift.max(0, 16 - name.utf8.count)))]
    }

    static func hopLimit(_ limit: UInt8) -> Self { [.payload(NFT_PAYLOAD_NETWORK_HEADER, offset: 7, length: 1), .equal([limit])] }

    /// Ethernet and IPv4, with addresses as long as those are: then the places of the addresses are known.
    static var isOrdinaryARP: Self { [.payload(NFT_PAYLOAD_NETWORK_HEADER, offset: 0, length: 6), .equal([0, 1, 8, 0, 6, 4])] }

    /// Whose hardware address is told, or asked for.
    static func arpAddress(_ end: End, isIn network: IPNetwork) -> Self {
        if network.prefixLength == 0 { return [] }
        let load: Self = [.payload(NFT_PAYLOAD_NETWORK_HEADER, offset: end == .source ? 14 : 24, length: 4)]
        return load + (network.isSingleAddress ? [.equal(network.address.bytes)] : [.mask(network.mask), .equal(network.address.bytes)])
    }

    static func icmpv6(_ types: ClosedRange<UInt8>) -> Self {
        [.meta(NFT_META_L4PROTO), .equal([58]), .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 0, length: 1), .between(types.lowerBound, types.upperBound)]
    }
}

extension IPNetwork {
    var mask: [UInt8] { AddressSet.holding(self).mask }
}

extension UInt16 {
    var networkBytes: [UInt8] { [UInt8(self >> 8), UInt8(self & 0xFF)] }
}
