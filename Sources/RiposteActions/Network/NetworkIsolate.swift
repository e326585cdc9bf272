package import RiposteCore
package import RipostePlaybooks

/// `network.isolate`: cuts this host off from everybody but an allow list.
package struct NetworkIsolate: Action {
    package let description = ActionDescription(
        name: "network.isolate", summary: "Cuts this host off from everybody but an allow list; loopback stays open.", target: .host, impact: .usersFeelIt,
        parameters: [
            Parameter(
                "allow", .list(of: .endpoint, maxCount: 256), default: .list([]),
                summary: "Who stays reachable, beside network.management_allow of the configuration: blocks with, if wanted, port and protocol."),
            Parameter("lockout", .bool, default: .bool(false), summary: "Also with an empty allow list, which leaves no way in but the console."),
        ],
        inverse: "network.release", needs: ["CAP_NET_ADMIN", "nf_tables"])
    private let table: HostTable
    private let managementAllow: [NetworkEndpoint]

    /// `managementAllow`: who always stays reachable.
    package init(managementAllow: [NetworkEndpoint], context: NetworkContext = .own) {
        self.managementAllow = managementAllow
        table = HostTable(context: context)
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let allow = allowList(request.parameters)
        guard !allow.isEmpty || request.parameters.bool("lockout") else {
            throw ActionError(
                .guarded, "isolate this host", "the allow list is empty: nobody who manages this host could reach it any more",
                remedy: "set network.management_allow or the parameter allow, or say lockout: true")
        }
        let state = try table.state()
        let rules = try table.isolationRules(allow: allow)
        return Plan(
            action: description.name, target: .host(machineID: Host.machineID), parameters: request.parameters,
            facts: [
                "allow": .array(allow.map { .text("\($0)") }), "batch_bytes": .integer(Int64(table.isolating(rules).byteCount)), "puts_right": .bool(request.token != nil),
            ],
            // With another allow list it is another isolation, which takes the place of the one that stands.
            alreadySo: state.isIsolated(by: rules) && Self.standing(state, request.token) == .stands ? "this host is isolated already" : nil,
            summary: "isolate this host but for \(allow.isEmpty ? "nobody" : allow.map(\.description).joined(separator: ", "))",
            inverse: description.inverse)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let allow = allowList(plan.parameters)
        return try TableTurn.take { () throws(ActionError) in
            let rules = try table.isolationRules(allow: allow)
            if try table.state().isIsolated(by: rules), plan.facts["puts_right"] != true { return Performance(.already, message: "this host is isolated already") }
            try table.isolating(rules).commit(in: table.context)
            let state = try table.state()
            return Performance(.done, message: "this host is isolated", isConfirmed: state.isIsolated(by: rules), undoToken: ["chains": state.isolation.prints])
        }
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing { Self.standing(try table.state(), deed.token) }

    /// `token` is what an earlier isolation left; without one any isolation will do.
    private static func standing(_ state: HostTable.State, _ token: JSONObject?) -> Standing {
        guard !state.isolation.isEmpty else { return .missing("this host is not isolated any more\(ForeignChanges.shared.words)") }
        guard !state.isDormant else { return .changed("the table of its isolation is switched off\(ForeignChanges.shared.words)") }
        guard state.isIsolated || token == nil else { return .changed("a part of the isolation is gone\(ForeignChanges.shared.words)") }
        return ChainPrint.change(ChainPrint.prints(in: token), now: state.isolation).map { .changed($0 + ForeignChanges.shared.words) } ?? .stands
    }

    package func marks() async throws(ActionError) -> [Target]? { try table.state().isolation.isEmpty ? [] : [.host(machineID: Host.machineID)] }

    private func allowList(_ parameters: Parameters) -> [NetworkEndpoint] {
        var seen: Set<NetworkEndpoint> = []
        return (managementAllow + parameters.endpoints("allow")).filter { seen.insert($0).inserted }
    }
}

/// `network.release`: ends the host's isolation.
package struct NetworkRelease: Action {
    package let description = ActionDescription(
        name: "network.release", summary: "Ends the isolation of this host.", target: .host, impact: .reversible, needs: ["CAP_NET_ADMIN", "nf_tables"])
    private let table: HostTable

    package init(context: NetworkContext = .own) { table = HostTable(context: context) }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let standing = try table.state().isolation
        if !standing.isEmpty, !request.isForced, let change = ChainPrint.change(ChainPrint.prints(in: request.token), now: standing, mindsMissing: false) {
            throw ActionError(
                .drifted, "release this host", change + ForeignChanges.shared.words, remedy: "look who changed it, and use --force if the isolation is to end")
        }
        return Plan(
            action: description.name, target: .host(machineID: Host.machineID), parameters: request.parameters,
            alreadySo: standing.isEmpty ? "this host is not isolated" : nil, summary: "release this host")
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        try TableTurn.take { () throws(ActionError) in
            let state = try table.state()
            guard !state.isolation.isEmpty else { return Performance(.already, message: "this host is not isolated") }
            try table.releasing(given: state).commit(in: table.context)
            return Performance(.done, message: "this host is released")
        }
    }
}
