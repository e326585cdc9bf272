package import RiposteCore
package import RipostePlaybooks

/// What the kernel says is blocked and isolated: `riposte network status`.
package struct NetworkState: Sendable {
    package struct Block: Sendable {
        package var network: IPNetwork
        package var remaining: Duration?
    }

    /// A rule that counts: how much it dropped or let pass.
    package struct RuleCount: Sendable {
        package var chain: String
        package var comment: String?
        package var packets: UInt64
        package var bytes: UInt64
    }

    package struct IsolatedContainer: Sendable {
        package var id: String
        package var device: String
        package var droppedPackets: UInt64
    }

    package var blocks: [Block]
    package var isIsolated: Bool
    /// Somebody switched a table of ours off: what is in it is not in force, and not told here.
    package var isSwitchedOff: Bool
    package var rules: [RuleCount]
    package var containers: [IsolatedContainer]

    package static func read(in context: NetworkContext = .own) throws(ActionError) -> NetworkState {
        let state = try HostTable(context: context).state()
        let reader = try NetfilterReader(in: context)
        let rules = try reader.rules(of: .host)
        let devices = try reader.chains(of: .devices)
        return NetworkState(
            blocks: state.isDormant ? [] : state.blocked.map { Block(network: $0.network, remaining: $0.remaining) }, isIsolated: state.isIsolated,
            isSwitchedOff: state.isDormant || devices.contains(where: \.isDormant),
            rules: rules.map { RuleCount(chain: $0.chain, comment: $0.comment, packets: $0.counters.packets, bytes: $0.counters.bytes) },
            containers: devices.filter { !$0.isDormant }.compactMap { chain in
                DeviceTable.containerID(inChain: chain.name).map {
                    IsolatedContainer(id: $0, device: chain.device ?? "?", droppedPackets: chain.counters.packets)
                }
            })
    }

    package var json: JSON {
        [
            "isolated": .bool(isIsolated), "switched_off": .bool(isSwitchedOff),
            "blocked": .array(
                blocks.map { block in
                    var object: JSONObject = ["address": .text("\(block.network)")]
                    object.append("remaining", block.remaining.map { .text($0.text) })
                    return .object(object)
                }),
            "containers": .array(
                containers.map { ["id": .text($0.id), "device": .text($0.device), "dropped_packets": .integer(Int64(clamping: $0.droppedPackets))] }),
            "rules": .array(
                rules.map { rule in
                    var object: JSONObject = ["chain": .text(rule.chain)]
                    object.append("comment", rule.comment.map(JSON.text))
                    object.append("packets", .integer(Int64(clamping: rule.packets)))
                    object.append("bytes", .integer(Int64(clamping: rule.bytes)))
                    return .object(object)
                }),
        ]
    }
}
