internal import CNetfilter
internal import RiposteCore
internal import RipostePlaybooks

/// The table `netdev riposte`: two chains for each host end of an isolated container's veth. `in_ID_INDEX` sees what leaves the container, `out_ID_INDEX`
/// what goes to it. They stand on the host's side, where root inside the container does not reach.
///
/// A chain is bound to a device by its name, and kernels since 6.16 keep it when the device goes: the next device of that name, maybe another container's, gets it.
/// So each chain lets pass what comes by a device of another index, which the kernel does not give twice.
struct DeviceTable {
    private static let priority: Int32 = -400
    private static let arp: UInt16 = 0x0806

    let context: NetworkContext

    /// What is to be cut, and what is to pass all the same.
    struct Cut {
        var ends: [RouteReader.Link]
        var allow: [NetworkEndpoint]
        /// Its next hops: with an allow list it may ask for their hardware addresses.
        var gateways: [IPAddress] = []
    }

    static func containerID(inChain name: String) -> String? {
        let parts = name.split(separator: "_")
        return parts.count == 3 && parts[1].utf8.count == 64 ? String(parts[1]) : nil
    }

    private static func chains(_ id: String, _ index: Int32) -> (ingress: String, egress: String) { ("in_\(id)_\(index)", "out_\(id)_\(index)") }

    /// Our chains for this container that are there.
    func chains(of id: String) throws(ActionError) -> [NetfilterReader.Chain] {
        try NetfilterReader(in: context).chains(of: .devices).filter { Self.containerID(inChain: $0.name) == id }
    }

    /// `standing`: our chains for this container that are there. Those of devices that it has no more go with the same batch.
    func isolating(_ id: String, _ cut: Cut, standing: [NetfilterReader.Chain]) -> NetfilterBatch {
        var batch = NetfilterBatch()
        batch.addTable(.devices)
        for chain in standing where !cut.ends.contains(where: { Self.isOurs(chain, id, at: $0) }) { batch.deleteChain(chain.name, in: .devices) }
        for end in cut.ends {
            // Numbers of the kernel's enum nf_dev_hooks; the egress one is there since 5.16, but not in older headers.
            for (name, hook, rules) in chains(id, end, cut) {
                batch.addBaseChain(name, in: .devices, hook: hook, priority: Self.priority, device: end.name)
                batch.deleteRules(of: name, in: .devices)
                for rule in rules { batch.addRule(rule, to: name, in: .devices) }
            }
        }
        return batch
    }

    private func chains(_ id: String, _ end: RouteReader.Link, _ cut: Cut) -> [(name: String, hook: Int32, rules: [NetfilterRule])] {
        let names = Self.chains(id, end.index)
        return [
            (names.ingress, 0, [Self.passing(NFT_META_IIF, other: end)] + rules(cut, peer: .destination)),
            (names.egress, 1, [Self.passing(NFT_META_OIF, other: end)] + rules(cut, peer: .source)),
        ]
    }

    private static func passing(_ key: nft_meta_keys, other end: RouteReader.Link) -> NetfilterRule {
        NetfilterRule([.meta(key), .notEqual(withUnsafeBytes(of: end.index) { [UInt8]($0) })]).then(.accept)
    }

    /// Whether a chain is one of the two that cut this end.
    private static func isOurs(_ chain: NetfilterReader.Chain, _ id: String, at end: RouteReader.Link) -> Bool {
        let names = chains(id, end.index)
        return chain.device == end.name && (chain.name == names.ingress || chain.name == names.egress)
    }

    /// Whether both chains that cut this end are there.
    static func isCut(_ end: RouteReader.Link, of id: String, by chains: [NetfilterReader.Chain]) -> Bool { chains.count { isOurs($0, id, at: end) } == 2 }

    /// Whether just this is cut, and this let pass, by our chains that are there.
    func isInForce(_ cut: Cut, for id: String, _ standing: [NetfilterReader.Chain]) -> Bool {
        cut.ends.allSatisfy { end in
            chains(id, end, cut).allSatisfy { wanted in standing.contains { $0.name == wanted.name && $0.device == end.name && $0.holds(wanted.rules) } }
        }
    }

    func releasing(_ chains: [NetfilterReader.Chain], all: [NetfilterReader.Chain]) -> NetfilterBatch {
        var batch = NetfilterBatch()
        if chains.count == all.count {
            batch.deleteTable(.devices)
        } else {
            for chain in chains { batch.deleteChain(chain.name, in: .devices) }
        }
        return batch
    }

    /// `peer` is where the other side's address stands in the packet. The port of an allow-list entry is the other side's.
    private func rules(_ cut: Cut, peer: [NetfilterRule.Expression].End) -> [NetfilterRule] {
        var rules = IPAddress.Family.allCases.flatMap { neighbourRules(cut, $0, peer: peer) }
        for endpoint in cut.allow {
            let isPeer: [NetfilterRule.Expression] = .isEtherFamily(endpoint.network.family) + .address(peer, isIn: endpoint.network)
            let transports = endpoint.port == nil ? [] : endpoint.transport.map { [$0] } ?? NetworkEndpoint.Transport.allCases
            let ports =
                endpoint.port.map { port in
                    transports.map { transport -> [NetfilterRule.Expression] in .transport(transport) + .port(peer, port) }
                } ?? [[]]
            rules += ports.map { NetfilterRule(isPeer + $0, comment: "\(endpoint)").then(.accept) }
        }
        return rules + [NetfilterRule([]).then(.drop)]
    }

    /// Without them nobody on the allow list is reached. What carries any bytes to anybody must not pass as one: only with gateways and with those of the allow
    /// list, and for IPv6 only what no router has passed on.
    private func neighbourRules(_ cut: Cut, _ family: IPAddress.Family, peer: [NetfilterRule.Expression].End) -> [NetfilterRule] {
        let allowed = cut.allow.map(\.network).filter { $0.family == family }
        guard !allowed.isEmpty else { return [] }
        var seen: Set<IPNetwork> = []
        let neighbours = (cut.gateways.filter { $0.family == family }.map { IPNetwork($0) } + allowed).filter { seen.insert($0).inserted }
        if family == .ipv4 { return neighbours.map { NetfilterRule(.isProtocol(Self.arp) + .isOrdinaryARP + .arpAddress(peer, isIn: $0)).then(.accept) } }
        let isDiscovery: [NetfilterRule.Expression] = .isEtherFamily(.ipv6) + .icmpv6(133...136) + .hopLimit(255)
        return (IPNetwork.neighbourhood + neighbours).map { NetfilterRule(isDiscovery + .address(peer, isIn: $0)).then(.accept) }
    }
}

extension DeviceTable.Cut {
    init(_ network: ContainerNetwork, allow: [NetworkEndpoint]) { self.init(ends: network.ends, allow: allow, gateways: network.gateways) }
}

extension IPNetwork {
    /// Link-local addresses, and groups of one link.
    static let neighbourhood = ["fe80::/10", "ff02::/16"].compactMap { IPNetwork($0) }
}
