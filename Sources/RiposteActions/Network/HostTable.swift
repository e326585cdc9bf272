internal import CNetfilter
internal import RiposteCore
internal import RipostePlaybooks

/// The table `inet riposte`: blocked addresses in sets, one for each length of block, and the host's isolation in chains of its own.
///
/// Base chains at priority −150 stand after connection tracking and before everybody's filters. An accept of ours opens nothing that others
/// close; a drop of ours is final. Packets of containers and of published ports pass `forward`, so that is filtered too.
struct HostTable {
    private static let priority: Int32 = -150
    static let blockChains = ["in", "out", "fwd"]
    static let isolationChains = ["isolate_in", "isolate_out", "isolate_fwd"]

    let context: NetworkContext

    /// What of ours is there.
    struct State {
        var chains: [NetfilterReader.Chain] = []
        var sets: [AddressSet] = []
        var blocked: [NetfilterReader.Element] = []

        /// Somebody switched the table off: all of it is there, and nothing is in force.
        var isDormant: Bool { chains.contains(where: \.isDormant) }
        var isIsolated: Bool { chains.contains { $0.name == isolationChains[0] && !$0.isDormant } }

        /// Isolated by just these rules of ``isolationChains``.
        func isIsolated(by rules: [[NetfilterRule]]) -> Bool {
            zip(isolationChains, rules).allSatisfy { name, rules in chains.contains { $0.name == name && $0.holds(rules) } }
        }

        var isolation: [NetfilterReader.Chain] { chains.filter { isolationChains.contains($0.name) } }
        /// What is in the sets is dropped.
        var hasBlocking: Bool { blockChains.allSatisfy { name in chains.contains { $0.name == name && $0.holds(HostTable.blockRules(name, sets)) } } }
    }

    func state() throws(ActionError) -> State {
        let reader = try NetfilterReader(in: context)
        var state = State(chains: try reader.chains(of: .host))
        guard !state.chains.isEmpty else { return state }
        state.sets = try reader.sets(of: .host)
        for set in state.sets { state.blocked += try reader.elements(of: set, in: .host) }
        return state
    }

    // MARK: - Blocking

    private static func blockRules(_ chain: String, _ sets: [AddressSet]) -> [NetfilterRule] {
        let ends: [[NetfilterRule.Expression].End] =
            switch chain {
            case "in": [.source]
            case "out": [.destination]
            default: [.source, .destination]
            }
        return ends.flatMap { end in
            sets.map { set in NetfilterRule(.isFamily(set.family) + .address(end, isIn: set), comment: set.name).then(.drop) }
        }
    }

    /// The numbers that tell the set which holds the block from every other one: its table's, and its own.
    func handles(ofSetHolding network: IPNetwork) throws(ActionError) -> JSON? {
        let reader = try NetfilterReader(in: context)
        guard let table = try reader.state(of: .host)?.handle, let set = try reader.handle(of: .holding(network), in: .host) else { return nil }
        return [.integer(Int64(clamping: table)), .integer(Int64(clamping: set))]
    }

    /// The batch that blocks, also in the place of a block of the same network with less time. Where `isThere`, only what drops its packets is made anew.
    func blocking(_ network: IPNetwork, for time: Duration?, given state: State, isThere: Bool = false) -> NetfilterBatch {
        var batch = NetfilterBatch()
        batch.addTable(.host)
        let set = AddressSet.holding(network)
        let missing = (AddressSet.hosts + (isThere || set.isOfSingleAddresses ? [] : [set])).filter { !state.sets.contains($0) }
        for set in missing { batch.addSet(set, in: .host) }
        addBlocking(by: missing, given: state, to: &batch)
        if isThere { return batch }
        if state.blocked.contains(where: { $0.network == network }) { batch.deleteElement(network, from: set, in: .host) }
        batch.addElement(network, timeout: time, to: set, in: .host)
        return batch
    }

    /// Made anew whole where any of it is missing; else rules for sets that are new, so that the others go on counting.
    private func addBlocking(by new: [AddressSet], given state: State, to batch: inout NetfilterBatch) {
        for (chain, hook) in zip(Self.blockChains, [NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_FORWARD]) {
            if !state.hasBlocking {
                batch.addBaseChain(chain, in: .host, hook: Int32(hook.rawValue), priority: Self.priority)
                batch.deleteRules(of: chain, in: .host)
            }
            for rule in Self.blockRules(chain, state.hasBlocking ? new : state.sets + new) { batch.addRule(rule, to: chain, in: .host) }
        }
    }

    /// Takes the table away with the last thing in it.
    func unblocking(_ networks: [IPNetwork], given state: State) -> NetfilterBatch {
        var batch = NetfilterBatch()
        let left = state.blocked.filter { !networks.contains($0.network) }
        if left.isEmpty, !state.isIsolated {
            batch.deleteTable(.host)
        } else {
            for network in networks { batch.deleteElement(network, from: .holding(network), in: .host) }
        }
        return batch
    }

    // MARK: - Isolation

    /// The rules of ``isolationChains``, in their order.
    func isolationRules(allow: [NetworkEndpoint]) throws(ActionError) -> [[NetfilterRule]] {
        let neighbours = try RouteReader(in: context).gateways().map { IPNetwork($0) } + allow.map(\.network)
        return [inputRules(allow, neighbours), outputRules(allow, neighbours), [NetfilterRule([]).then(.drop)]]
    }

    func isolating(_ rules: [[NetfilterRule]]) -> NetfilterBatch {
        var batch = NetfilterBatch()
        batch.addTable(.host)
        let hooks = [NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_FORWARD]
        for (index, chain) in Self.isolationChains.enumerated() {
            batch.addBaseChain(chain, in: .host, hook: Int32(hooks[index].rawValue), priority: Self.priority + 1)
            batch.deleteRules(of: chain, in: .host)
            for rule in rules[index] { batch.addRule(rule, to: chain, in: .host) }
        }
        return batch
    }

    func releasing(given state: State) -> NetfilterBatch {
        var batch = NetfilterBatch()
        if state.blocked.isEmpty {
            batch.deleteTable(.host)
        } else {
            for chain in Self.isolationChains where state.chains.contains(where: { $0.name == chain }) { batch.deleteChain(chain, in: .host) }
        }
        return batch
    }

    private func inputRules(_ allow: [NetworkEndpoint], _ neighbours: [IPNetwork]) -> [NetfilterRule] {
        var rules = [NetfilterRule(.interface(NFT_META_IIFNAME, is: "lo")).then(.accept)]
        for endpoint in allow {
            let isPeer: [NetfilterRule.Expression] = .isFamily(endpoint.network.family) + .address(.source, isIn: endpoint.network)
            rules += endpoint.portTests(local: .destination, remote: .source, replyOnly: .remote).map {
                NetfilterRule(isPeer + $0, comment: "\(endpoint)").then(.accept)
            }
        }
        return rules + neighbourRules(.source, neighbours) + dhcpRules(client: .destination, server: .source) + [NetfilterRule([]).then(.drop)]
    }

    private func outputRules(_ allow: [NetworkEndpoint], _ neighbours: [IPNetwork]) -> [NetfilterRule] {
        var rules = [NetfilterRule(.interface(NFT_META_OIFNAME, is: "lo")).then(.accept)]
        for endpoint in allow {
            let isPeer: [NetfilterRule.Expression] = .isFamily(endpoint.network.family) + .address(.destination, isIn: endpoint.network)
            rules += endpoint.portTests(local: .source, remote: .destination, replyOnly: .local).map {
                NetfilterRule(isPeer + $0, comment: "\(endpoint)").then(.accept)
            }
        }
        return rules + neighbourRules(.destination, neighbours) + dhcpRules(client: .source, server: .destination) + [NetfilterRule([]).then(.drop)]
    }

    /// Without them neighbours and leases die, and the allow list with them: neighbour discovery with those of the link, gateways and the allow list, and
    /// multicast listeners, both only as no router passes them on. Else they would carry any bytes to anybody.
    private func neighbourRules(_ peer: [NetfilterRule.Expression].End, _ neighbours: [IPNetwork]) -> [NetfilterRule] {
        var seen: Set<IPNetwork> = []
        let peers = (IPNetwork.neighbourhood + neighbours.filter { $0.family == .ipv6 }).filter { seen.insert($0).inserted }
        let discovery = peers.map { NetfilterRule(.isFamily(.ipv6) + .icmpv6(133...136) + .hopLimit(255) + .address(peer, isIn: $0)).then(.accept) }
        return discovery + [130...132, 143...143].map { NetfilterRule(.isFamily(.ipv6) + .icmpv6($0) + .hopLimit(1)).then(.accept) }
    }

    private func dhcpRules(client: [NetfilterRule.Expression].End, server: [NetfilterRule.Expression].End) -> [NetfilterRule] {
        [(IPAddress.Family.ipv4, UInt16(68), UInt16(67)), (.ipv6, 546, 547)].map { family, clientPort, serverPort in
            NetfilterRule(.isFamily(family) + .transport(.udp) + .port(client, clientPort) + .port(server, serverPort)).then(.accept)
        }
    }
}

extension NetworkEndpoint {
    enum Side {
        case local, remote
    }

    /// What must hold of the ports. The port of an allow-list entry is ours for those who come in, and theirs for those whom we call; the packets of the
    /// answering side pass only as replies.
    func portTests(
        local: [NetfilterRule.Expression].End, remote: [NetfilterRule.Expression].End, replyOnly: Side
    ) -> [[NetfilterRule.Expression]] {
        guard let port else { return [[]] }
        return (transport.map { [$0] } ?? Transport.allCases).flatMap { transport in
            let isLocal: [NetfilterRule.Expression] = .transport(transport) + .port(local, port)
            let isRemote: [NetfilterRule.Expression] = .transport(transport) + .port(remote, port)
            let isReply: [NetfilterRule.Expression] = .isReply
            return replyOnly == .remote ? [isLocal, isRemote + isReply] : [isLocal + isReply, isRemote]
        }
    }
}
