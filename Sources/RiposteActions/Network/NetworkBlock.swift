package import RiposteCore
package import RipostePlaybooks

/// `network.block`: drops all packets from and to an address or block, on this host and through it.
package struct NetworkBlock: Action {
    package let description = ActionDescription(
        name: "network.block", summary: "Drops every packet from and to an address or block, established connections too.", target: .address,
        impact: .reversible,
        parameters: [
            Parameter("address", .network, isRequired: true, summary: "An IPv4 or IPv6 address or block; no names."),
            Parameter("for", .duration(max: .seconds(30 * 86400)), summary: "The kernel lifts it after this time, whatever becomes of Riposte."),
        ],
        inverse: "network.unblock", needs: ["CAP_NET_ADMIN", "nf_tables"], fields: ["fd.rip", "fd.sip", "fd.cip"])
    private let table: HostTable

    package init(context: NetworkContext = .own) { table = HostTable(context: context) }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let network = try address(request)
        let time = request.parameters.duration("for")
        let state = try table.state()
        let covering = Self.covering(network, time, state)
        let batch = table.blocking(network, for: time, given: state, isThere: covering != nil)
        return Plan(
            action: description.name, target: .address(network), parameters: request.parameters,
            facts: ["batch_bytes": .integer(Int64(batch.byteCount))],
            // An address in a set that nothing looks into is not blocked.
            alreadySo: (state.hasBlocking ? covering : nil).map { "\($0.network) is blocked already\($0.remaining.map { " for another \($0.roundedText)" } ?? "")" },
            summary: "block \(network)\(time.map { " for \($0.text)" } ?? "")", inverse: description.inverse)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        guard case .address(let network) = plan.target else { throw ActionError(.invalid, "block", "the plan is about no address") }
        let time = plan.parameters.duration("for")
        return try TableTurn.take { () throws(ActionError) in
            let state = try table.state()
            let covering = Self.covering(network, time, state)
            if state.hasBlocking, let covering { return Performance(.already, message: "\(covering.network) is blocked already") }
            try table.blocking(network, for: time, given: state, isThere: covering != nil).commit(in: table.context)
            let left = try table.state()
            let isThere = left.hasBlocking && left.blocked.contains { $0.network.contains(network) }
            return Performance(.done, message: "\(network) is blocked", isConfirmed: isThere, undoToken: try token(for: network, time))
        }
    }

    /// The set by its handle and when the kernel is to lift it, on a clock that nobody sets.
    private func token(for network: IPNetwork, _ time: Duration?) throws(ActionError) -> JSONObject {
        var token: JSONObject = ["address": .text("\(network)"), "boot_id": .text(Host.bootID)]
        token.append("set", try table.handles(ofSetHolding: network))
        token.append("ends_at_uptime_ms", .integer(time.map { (Host.uptime + $0).wholeMicroseconds / 1000 } ?? 0))
        return token
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        guard case .address(let network) = deed.target else { throw ActionError(.invalid, "look at a block", "it is about no address") }
        let time = deed.parameters.duration("for")
        let state = try table.state()
        let isCovered = state.blocked.contains { $0.network.contains(network) && ($0.network != network || time != nil || $0.remaining == nil) }
        if isCovered { return state.hasBlocking ? .stands : .changed("the rules that drop blocked packets are not as they were\(ForeignChanges.shared.words)") }
        if state.blocked.contains(where: { $0.network == network }) { return .changed("somebody gave the block an end\(ForeignChanges.shared.words)") }
        if let time, deed.time - deed.since >= time - .seconds(2) { return .expired("the kernel lifted it: its \(time.text) were up") }
        return .missing("\(network) is in no set of ours any more\(ForeignChanges.shared.words)")
    }

    /// All that stands in our sets.
    package func marks() async throws(ActionError) -> [Target]? { try table.state().blocked.map { .address($0.network) } }

    /// What blocks it already for long enough.
    private static func covering(_ network: IPNetwork, _ time: Duration?, _ state: HostTable.State) -> NetfilterReader.Element? {
        state.blocked.first { element in
            guard element.network.contains(network) else { return false }
            guard let remaining = element.remaining else { return true }
            // What is asked for began a moment ago for the second of two equal orders.
            return time.map { remaining + .seconds(1) >= $0 } ?? false
        }
    }
}

/// `network.unblock`: lets an address's packets pass again.
package struct NetworkUnblock: Action {
    package let description = ActionDescription(
        name: "network.unblock", summary: "Lets the packets of a blocked address or block pass again.", target: .address, impact: .reversible,
        parameters: [Parameter("address", .network, isRequired: true, summary: "What was blocked.")], needs: ["CAP_NET_ADMIN", "nf_tables"])
    private let table: HostTable

    package init(context: NetworkContext = .own) { table = HostTable(context: context) }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let network = try address(request)
        let state = try table.state()
        let element = state.blocked.first { $0.network == network }
        let isBlocked = element != nil
        if let element, !request.isForced, let change = try change(of: element, since: request.token) {
            throw ActionError(
                .drifted, "unblock \(network)", change + ForeignChanges.shared.words, remedy: "look who blocks it, and use --force if it is to end")
        }
        if !isBlocked, let wider = state.blocked.first(where: { $0.network.contains(network) }) {
            throw ActionError(.conflict, "unblock \(network)", "it is blocked as part of \(wider.network)", remedy: "unblock \(wider.network) and block the rest")
        }
        return Plan(
            action: description.name, target: .address(network), parameters: request.parameters, alreadySo: isBlocked ? nil : "\(network) is not blocked",
            summary: "unblock \(network)")
    }

    /// How far the kernel's clock and ours may be apart about one end.
    private static let tolerance = Duration.seconds(10)

    /// Why the block that stands is not the one that we left. After another boot nothing is told: the kernel forgot, and what is there was put back.
    private func change(of element: NetfilterReader.Element, since token: JSONObject?) throws(ActionError) -> String? {
        guard let token, token["boot_id"]?.string?.valid == Host.bootID else { return nil }
        if let left = token["set"], let now = try table.handles(ofSetHolding: element.network), now != left {
            return "its set was made anew by somebody else, and the address put into it"
        }
        guard let left = token["ends_at_uptime_ms"]?.integer else { return nil }
        switch (left, element.remaining) {
        case (0, nil): return nil
        case (0, .some): return "somebody gave the block an end"
        case (_, nil): return "somebody took the block's end away"
        case (_, let remaining?):
            let difference = Host.uptime + remaining - .milliseconds(left)
            guard difference > Self.tolerance || difference < .zero - Self.tolerance else { return nil }
            return "somebody made the block's time \(difference > .zero ? "longer" : "shorter")"
        }
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        guard case .address(let network) = plan.target else { throw ActionError(.invalid, "unblock", "the plan is about no address") }
        return try TableTurn.take { () throws(ActionError) in
            let state = try table.state()
            guard state.blocked.contains(where: { $0.network == network }) else { return Performance(.already, message: "\(network) is not blocked") }
            try table.unblocking([network], given: state).commit(in: table.context)
            // Not the ones that lie inside: they were ordered by themselves.
            let left = state.blocked.filter { $0.network != network && network.overlaps($0.network) }.map { "\($0.network)" }
            return Performance(.done, message: "\(network) is not blocked any more\(left.isEmpty ? "" : "; still blocked: \(left.prefix(5).joined(separator: ", "))")")
        }
    }
}

private func address(_ request: ActionRequest) throws(ActionError) -> IPNetwork {
    switch request.claim {
    case .address(let network), .proved(.address(let network)): return network
    default: throw ActionError(.unresolved, "find the address", "the request names no address")
    }
}
