internal import CNetfilter
internal import RiposteCore
internal import RipostePlaybooks

/// The table `netdev riposte`: two chains for each host end of an isolated container's veth. `in_ID_INDEX` sees what leaves the container, `out_ID_INDEX`
/// what goes to it. They stand on the host's side, where root inside the container does not reach.
struct DeviceTable {
    private static let priority: Int32 = -400
    private static let arp: UInt16 = 0x0806

    let context: NetworkContext

    static func containerID(inChain name: String) -> String? {
        let parts = name.split(separator: "_")
        return parts.count == 3 && parts[1].utf8.count == 64 ? String(parts[1]) : nil
    }

    private static func chains(_ id: String, _ index: Int32) -> (ingress: String, egress: String) { ("in_\(id)_\(index)", "out_\(id)_\(index)") }

    /// Our chains for this container that are there.
    func chains(of id: String) throws(ActionError) -> [NetfilterReader.Chain] {
        try NetfilterReader(in: context).chains(of: .devices).filter { Self.containerID(inChain: $0.name) == id }
    }

    func isolating(_ id: String, _ ends: [RouteReader.Link], allow: [NetworkEndpoint]) -> NetfilterBatch {
        var batch = NetfilterBatch()
        batch.addTable(.devices)
        for end in ends {
            let names = Self.chains(id, end.index)
            // Numbers of the kernel's enum nf_dev_hooks; the egress one is there since 5.16, but not in older headers.
            for (name, hook, peer) in [(names.ingress, Int32(0), [NetfilterRule.Expression].End.destination), (names.egress, 1, .source)] {
                batch.addBaseChain(name, in: .devices, hook: hook, priority: Self.priority, device: end.name)
                batch.deleteRules(of: name, in: .devices)
                for rule in rules(allow, peer: peer) { batch.addRule(rule, to: name, in: .devices) }
            }
        }
        return batch
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
    private func rules(_ allow: [NetworkEndpoint], peer: [NetfilterRule.Expression].End) -> [NetfilterRule] {
        var rules: [NetfilterRule] = []
        if !allow.isEmpty {
            rules.append(NetfilterRule(.isProtocol(Self.arp)).then(.accept))
            rules.append(NetfilterRule(.isEtherFamily(.ipv6) + .icmpv6(133...136)).then(.accept))
        }
        for endpoint in allow {
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
}
