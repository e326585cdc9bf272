internal import CNetfilter
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// Interfaces, addresses and gateways of one network namespace, over rtnetlink(7). Never by `/sys`, which shows another namespace's.
struct RouteReader: ~Copyable {
    private let socket: NetlinkSocket

    init(in context: NetworkContext) throws(ActionError) { socket = try NetlinkSocket(NETLINK_ROUTE, in: context) }

    struct Link: Equatable {
        var index: Int32
        var name: String
        /// `veth`, `bridge`, …; empty for physical ones and loopback.
        var kind = ""
        /// Of a veth the index of its other end, and the number of the namespace where that is.
        var peer: Int32?
        var peerNamespace: Int32?
        var isLoopback: Bool
    }

    borrowing func links() throws(ActionError) -> [Link] {
        var links: [Link] = []
        try dump(RTM_GETLINK, "list interfaces") { message in
            guard let info = mnl_nlmsg_get_payload(message)?.assumingMemoryBound(to: ifinfomsg.self).pointee else { return }
            var link = Link(index: info.ifi_index, name: "", isLoopback: info.ifi_flags & UInt32(IFF_LOOPBACK) != 0)
            forEachAttribute(of: message, after: MemoryLayout<ifinfomsg>.size) { type, attribute in
                switch Int(type) {
                case Int(IFLA_IFNAME): link.name = String(cString: mnl_attr_get_str(attribute))
                case Int(IFLA_LINK): link.peer = Int32(bitPattern: mnl_attr_get_u32(attribute))
                case Int(IFLA_LINK_NETNSID): link.peerNamespace = Int32(bitPattern: mnl_attr_get_u32(attribute))
                case Int(IFLA_LINKINFO):
                    forEachAttribute(inside: attribute) { type, inner in
                        if Int(type) == Int(IFLA_INFO_KIND) { link.kind = String(cString: mnl_attr_get_str(inner)) }
                    }
                default: break
                }
            }
            links.append(link)
        }
        return links
    }

    /// The addresses that are ours.
    borrowing func addresses() throws(ActionError) -> [IPAddress] {
        var addresses: [IPAddress] = []
        try dump(RTM_GETADDR, "list addresses") { message in
            forEachAttribute(of: message, after: MemoryLayout<ifaddrmsg>.size) { type, attribute in
                guard Int(type) == Int(IFA_ADDRESS) || Int(type) == Int(IFA_LOCAL), let address = Self.address(in: attribute) else { return }
                addresses.append(address)
            }
        }
        return addresses
    }

    /// The next hops of all routes.
    borrowing func gateways() throws(ActionError) -> [IPAddress] {
        var gateways: [IPAddress] = []
        try dump(RTM_GETROUTE, "list routes") { message in
            forEachAttribute(of: message, after: MemoryLayout<rtmsg>.size) { type, attribute in
                if UInt32(type) == RTA_MULTIPATH.rawValue {
                    gateways += Self.nextHops(in: attribute)
                } else if let gateway = Self.gateway(type, attribute) {
                    gateways.append(gateway)
                }
            }
        }
        return gateways
    }

    /// `via`, and `via inet6` of an IPv4 route: rtnetlink(7), struct rtvia.
    private static func gateway(_ type: UInt16, _ attribute: UnsafePointer<nlattr>) -> IPAddress? {
        switch UInt32(type) {
        case RTA_GATEWAY.rawValue: address(in: attribute)
        case RTA_VIA.rawValue: IPAddress(bytes: payload(of: attribute).dropFirst(MemoryLayout<UInt16>.size))
        default: nil
        }
    }

    /// Of a route with several ways: each a struct rtnexthop with attributes of its own.
    private static func nextHops(in attribute: UnsafePointer<nlattr>) -> [IPAddress] {
        var gateways: [IPAddress] = []
        var rest = payload(of: attribute)[...]
        let header = MemoryLayout<rtnexthop>.size
        while rest.count >= header {
            let length = Int(UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: rtnexthop.self).rtnh_len)
            guard length >= header, length <= rest.count else { break }
            forEachAttribute(in: UnsafeRawBufferPointer(rebasing: rest.prefix(length).dropFirst(header))) { type, inner in
                if let gateway = gateway(type, inner) { gateways.append(gateway) }
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return gateways
    }

    private static func payload(of attribute: UnsafePointer<nlattr>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: mnl_attr_get_payload(attribute), count: Int(mnl_attr_get_payload_len(attribute)))
    }

    /// The number by which this namespace knows another one; nil where it knows none.
    borrowing func number(ofNamespace descriptor: Int32) throws(ActionError) -> Int32? {
        let request = NetlinkMessage.build(type: Int32(RTM_GETNSID), flags: NLM_F_REQUEST | NLM_F_ACK) { header in
            mnl_nlmsg_put_extra_header(header, MemoryLayout<rtgenmsg>.size)
            mnl_attr_put_u32(header, UInt16(NETNSA_FD), UInt32(descriptor))
        }
        var number: Int32?
        try socket.send(request, doing: "number the namespace")
        while try socket.receive(
            waiting: true, doing: "number the namespace",
            { message in
                if Int32(message.pointee.nlmsg_type) == NLMSG_ERROR {
                    let code = NetlinkSocket.errorCode(message)
                    return code == 0 ? .complete : .failed(code)
                }
                forEachAttribute(of: message, after: MemoryLayout<rtgenmsg>.size) { type, attribute in
                    if Int(type) == Int(NETNSA_NSID) { number = Int32(bitPattern: mnl_attr_get_u32(attribute)) }
                }
                return .more
            })
        {}
        return number.flatMap { $0 >= 0 ? $0 : nil }
    }

    private static func address(in attribute: UnsafePointer<nlattr>) -> IPAddress? {
        IPAddress(bytes: payload(of: attribute))
    }

    private borrowing func dump(_ type: Int, _ doing: String, _ body: (UnsafePointer<nlmsghdr>) -> Void) throws(ActionError) {
        let request = NetlinkMessage.build(type: Int32(type), flags: NLM_F_REQUEST | NLM_F_DUMP) { header in
            // Zeros: any family, all interfaces. The longest family header serves for all three questions.
            mnl_nlmsg_put_extra_header(header, MemoryLayout<ifinfomsg>.size)
        }
        try socket.dump(request, doing: doing, body)
    }
}
