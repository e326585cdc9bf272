package import RiposteCore
package import RipostePlaybooks

/// Addresses that are never blocked: without them the host, or whoever manages it, is cut off.
package struct NetworkGuard: Guard {
    package let name = "builtin.network"
    private let managementAllow: [NetworkEndpoint]
    private let context: NetworkContext

    package init(managementAllow: [NetworkEndpoint], context: NetworkContext = .own) {
        self.managementAllow = managementAllow
        self.context = context
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
        do throws(ActionError) {
            let routes = try RouteReader(in: context)
            if let own = try routes.addresses().first(where: network.contains) { return "\(own) is an address of this host" }
            if let gateway = try routes.gateways().first(where: network.contains) { return "\(gateway) is a gateway of this host" }
            return nil
        } catch {
            return "whether it is our own address could not be found out: \(error.message)"
        }
    }
}
