internal import Foundation
package import RiposteCore
package import RipostePlaybooks

/// Addresses that are never blocked: without them the host, or whoever manages it, is cut off.
package struct NetworkGuard: Guard {
    package let name = "builtin.network"
    private let managementAllow: [NetworkEndpoint]
    private let context: NetworkContext
    private let resolverFiles: [String]
    private let peers: @Sendable () -> [Peer]

    /// Somebody whom Riposte itself has to reach.
    package struct Peer: Sendable {
        package var address: IPAddress
        /// "the Kubernetes API server"
        package var what: String

        /// Nil where a place, `https://192.0.2.7:6443/x`, `[2001:db8::1]:514` or the like, names no literal address.
        package init?(place: String, what: String) {
            guard let address = IPAddress(inPlace: place) else { return nil }
            (self.address, self.what) = (address, what)
        }
    }

    /// The one that programs read, and what stands behind systemd's stub at 127.0.0.53.
    package static let resolverFiles = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    package init(
        managementAllow: [NetworkEndpoint], context: NetworkContext = .own, resolverFiles: [String] = Self.resolverFiles, peers: @escaping @Sendable () -> [Peer] = { [] }
    ) {
        self.managementAllow = managementAllow
        self.context = context
        self.resolverFiles = resolverFiles
        self.peers = peers
    }

    private static let special: [(network: String, what: String)] = [
        ("127.0.0.0/8", "loopback"), ("::1", "loopback"), ("169.254.0.0/16", "link-local"), ("fe80::/10", "link-local"), ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"), ("0.0.0.0/8", "the unspecified network"), ("::", "the unspecified address"), ("255.255.255.255", "broadcast"),
    ]

    package func refusal(of plan: Plan) async -> String? {
        guard plan.action == "network.block", case .address(let network) = plan.target else { return nil }
        let widest = network.family == .ipv4 ? 8 : 32
        if network.prefixLength < widest { return "\(network) is wider than /\(widest)" }
        for entry in Self.special {
            if let special = IPNetwork(entry.network), special.overlaps(network) { return "\(network) is \(entry.what)" }
        }
        if let entry = managementAllow.first(where: { $0.network.overlaps(network) }) {
            return "\(network) reaches into \(entry.network) of network.management_allow"
        }
        if let resolver = resolvers.first(where: network.contains) { return "\(resolver) is a DNS resolver of this host" }
        if let peer = peers().first(where: { network.contains($0.address) }) { return "\(peer.address) is \(peer.what)" }
        do throws(ActionError) {
            let routes = try RouteReader(in: context)
            if let own = try routes.addresses().first(where: network.contains) { return "\(own) is an address of this host" }
            if let gateway = try routes.gateways().first(where: network.contains) { return "\(gateway) is a gateway of this host" }
            return nil
        } catch {
            return "whether it is our own address could not be found out: \(error.message)"
        }
    }

    /// Of today: a lease may bring others. See resolv.conf(5).
    private var resolvers: [IPAddress] {
        resolverFiles.flatMap { path in
            String(decoding: ProcFS.bytes(of: path) ?? [], as: UTF8.self).split(whereSeparator: \.isNewline).compactMap { line in
                let words = line.split(whereSeparator: \.isWhitespace)
                guard words.count >= 2, words[0] == "nameserver" else { return nil }
                return IPAddress(words[1].prefix { $0 != "%" })
            }
        }
    }
}

extension IPAddress {
    /// The literal address in a place: of a URL, or of an address with a port.
    fileprivate init?(inPlace place: String) {
        if let address = IPAddress(place) {
            self = address
            return
        }
        let url = URLComponents(string: place.contains("://") ? place : "tcp://\(place)")
        guard let host = url?.host, let address = IPAddress(host.trimmingCharacters(in: ["[", "]"])) else { return nil }
        self = address
    }
}
