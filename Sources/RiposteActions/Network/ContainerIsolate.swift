package import RiposteCore
package import RipostePlaybooks

/// `container.isolate`: cuts a container's traffic from the host's side of its interfaces.
package struct ContainerIsolate: Action {
    package let description = ActionDescription(
        name: "container.isolate", summary: "Cuts all traffic of a container from outside it, where root inside cannot undo it.", target: .container,
        impact: .reversible,
        parameters: [
            Parameter(
                "allow", .list(of: .endpoint, maxCount: 256), default: .list([]),
                summary: "Whom it may still talk to: blocks with, if wanted, the other side's port and protocol.")
        ],
        inverse: "container.release", needs: ["Docker socket", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "nf_tables with netdev egress (Linux 5.16)"],
        fields: ["container.id"])
    private let docker: DockerClient
    private let table: DeviceTable

    package init(docker: DockerClient, context: NetworkContext = .own) {
        self.docker = docker
        table = DeviceTable(context: context)
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let state = try await ContainerResolver(docker: docker).find(request.claim)
        try Self.checkRuns(state)
        let network = try await ContainerNetwork(of: state, docker: docker, context: table.context)
        if network.ends.isEmpty, let open = network.open.first {
            throw ActionError(.policy, "isolate container \(state.name.escapedForDisplay)", "there is no end on the host where \(open) could be cut", remedy: "use container.pause")
        }
        let cut = DeviceTable.Cut(network, allow: request.parameters.endpoints("allow"))
        let chains = try table.chains(of: state.id)
        // What was said to be open when it was first cut, and is, leaves nothing to be put right.
        let isCut =
            table.isInForce(cut, for: state.id, chains) && Self.isKnown(network, to: request.token) && ChainPrint.change(ChainPrint.prints(in: request.token), now: chains) == nil
        let alreadySo = network.isNone ? "it has no network" : isCut ? "it is isolated already" : nil
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters,
            facts: facts(state, network, cut, chains, request.token), alreadySo: alreadySo,
            summary: "cut the traffic of container \(state.label) at \(network.endNames)\(Self.others(network))", inverse: description.inverse, remarks: Self.remarks(network))
    }

    private static func checkRuns(_ state: ContainerState) throws(ActionError) {
        let doing = "isolate container \(state.name.escapedForDisplay)"
        // Not gone: who makes its first process end now and then would be spared.
        if state.isRestarting { throw ActionError(.busy, doing, "its restart policy is about to start it again") }
        guard state.isRunning, state.pid > 0 else { throw .gone(doing, "it does not run (\(state.status.escapedForDisplay))") }
    }

    private func facts(
        _ state: ContainerState, _ network: ContainerNetwork, _ cut: DeviceTable.Cut, _ chains: [NetfilterReader.Chain], _ token: JSONObject?
    ) -> JSONObject {
        var facts = state.facts
        facts.append("interfaces", .array(network.ends.map { .text($0.name) }))
        facts.append("batch_bytes", .integer(Int64(table.isolating(state.id, cut, standing: chains).byteCount)))
        if !network.open.isEmpty { facts.append("left_open", .array(network.open.map(JSON.text))) }
        if !network.sharers.isEmpty { facts.append(ContainerGuard.sharersFact, .array(network.sharers.map(JSON.text))) }
        facts.append("open_before", token?["left_open"])
        return facts
    }

    private static func others(_ network: ContainerNetwork) -> String {
        network.sharers.isEmpty ? "" : ", and that of \(network.sharers.map { $0.prefix(12) }.joined(separator: ", ")) in the same network"
    }

    private static func remarks(_ network: ContainerNetwork) -> [String] {
        var remarks = ["sessions that came in through the engine (docker exec) go on; container.pause stops them too"]
        if !network.open.isEmpty { remarks.append("this cannot be cut, so that the outcome will be failed (partial): \(network.openNames)") }
        return remarks
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        let state = try await docker.inspect(id: id)
        try Self.checkRuns(state)
        // Looked up again: interfaces and neighbours may have come and gone since the plan.
        let network = try await ContainerNetwork(of: state, docker: docker, context: table.context)
        try checkSharers(network, plan, state)
        guard !network.isNone else { return Performance(.already, message: "it has no network") }
        let cut = DeviceTable.Cut(network, allow: plan.parameters.endpoints("allow"))
        let chains = try TableTurn.take { () throws(ActionError) in
            try table.isolating(id, cut, standing: try table.chains(of: id)).commit(in: table.context)
            return try table.chains(of: id)
        }
        var token: JSONObject = ["chains": chains.prints]
        token.append("started_at", state.startedAt.map { .text("\($0)") })
        if !network.open.isEmpty { token.append("left_open", .array(network.open.map(JSON.text))) }
        let evidence: JSONObject = ["interfaces": .array(network.ends.map { .text($0.name) })]
        guard Self.isKnown(network, toBeOpen: plan.facts["open_before"]) else { throw Self.partial(network, state, evidence, token) }
        return Performance(
            .done, message: "its traffic is cut at \(network.endNames)", isConfirmed: table.isInForce(cut, for: id, chains), evidence: evidence, undoToken: token)
    }

    /// The guards were asked about those of the plan.
    private func checkSharers(_ network: ContainerNetwork, _ plan: Plan, _ state: ContainerState) throws(ActionError) {
        let known = ContainerGuard.sharers(in: plan)
        guard let other = network.sharers.first(where: { !known.contains($0) }) else { return }
        throw ActionError(.identity, "isolate container \(state.name.escapedForDisplay)", "container \(other.prefix(12)) has joined its network since the plan was made")
    }

    private static func partial(_ network: ContainerNetwork, _ state: ContainerState, _ evidence: JSONObject, _ token: JSONObject) -> ActionError {
        var evidence = evidence
        evidence.append("left_open", .array(network.open.map(JSON.text)))
        evidence.append("undo_token", .object(token))
        let what = network.ends.isEmpty ? "its traffic passes" : "its traffic is cut at \(network.endNames), and may pass"
        return ActionError(
            .partial, "isolate container \(state.name.escapedForDisplay)", "\(what) at \(network.openNames), which cannot be cut from outside", remedy: "use container.pause",
            evidence: evidence)
    }

    private static func isKnown(_ network: ContainerNetwork, to token: JSONObject?) -> Bool { isKnown(network, toBeOpen: token?["left_open"]) }

    private static func isKnown(_ network: ContainerNetwork, toBeOpen known: JSON?) -> Bool {
        let known = known?.array?.compactMap { $0.string?.valid } ?? []
        return network.open.allSatisfy(known.contains)
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        let state: ContainerState
        do throws(ActionError) { state = try await ContainerResolver(docker: docker).find(.proved(deed.target)) } catch {
            guard error.failure == nil else { throw error }
            return .gone(error.message)
        }
        // What does not run sends nothing. It may run again, by its restart policy or by hand: only the engine's "no such container" ends an isolation.
        guard state.isRunning, state.pid > 0 else { return .stands }
        let network = try await ContainerNetwork(of: state, docker: docker, context: table.context)
        guard let change = Self.change(of: try table.chains(of: state.id), state.id, network, since: deed.token) else { return .stands }
        if let left = deed.token?["started_at"]?.string?.valid, let startedAt = state.startedAt, left != "\(startedAt)" {
            return .restarted("it was started anew at \(startedAt), and its traffic passes again")
        }
        return change
    }

    private static func change(of chains: [NetfilterReader.Chain], _ id: String, _ network: ContainerNetwork, since token: JSONObject?) -> Standing? {
        if chains.isEmpty, !network.isNone { return .missing("its traffic passes again\(ForeignChanges.shared.words)") }
        if chains.contains(where: \.isDormant) { return .changed("its traffic passes again: the table that cuts it is switched off\(ForeignChanges.shared.words)") }
        // Chains of devices that it had before may stand beside, and cut nothing.
        if let open = network.ends.first(where: { !DeviceTable.isCut($0, of: id, by: chains) }) {
            return .changed("its traffic passes at \(open.name.escapedForDisplay)\(ForeignChanges.shared.words)")
        }
        if !isKnown(network, to: token) { return .changed("its traffic may pass at \(network.openNames)") }
        return ChainPrint.change(ChainPrint.prints(in: token), now: chains).map { .changed($0 + ForeignChanges.shared.words) }
    }

    package func marks() async throws(ActionError) -> [Target]? {
        let ids = Set(try NetfilterReader(in: table.context).chains(of: .devices).compactMap { DeviceTable.containerID(inChain: $0.name) })
        return ids.sorted().map { .container(ContainerIdentity(id: $0, name: String($0.prefix(12)), image: "")) }
    }
}

/// `container.release`: lets an isolated container's traffic pass again.
package struct ContainerRelease: Action {
    package let description = ActionDescription(
        name: "container.release", summary: "Lets the traffic of an isolated container pass again.", target: .container, impact: .reversible,
        needs: ["Docker socket", "CAP_NET_ADMIN", "nf_tables"], fields: ["container.id"])
    private let docker: DockerClient
    private let table: DeviceTable

    package init(docker: DockerClient, context: NetworkContext = .own) {
        self.docker = docker
        table = DeviceTable(context: context)
    }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let identity: ContainerIdentity
        // A container that is gone may leave nothing behind, or chains of a veth that lives on: the kernel is asked, not the engine.
        if case .proved(.container(let known)) = request.claim {
            identity = known
        } else {
            identity = try await ContainerResolver(docker: docker).find(request.claim).identity
        }
        let chains = try table.chains(of: identity.id)
        if !chains.isEmpty, !request.isForced, let change = ChainPrint.change(ChainPrint.prints(in: request.token), now: chains, mindsMissing: false) {
            throw ActionError(
                .drifted, "release container \(identity.name.escapedForDisplay)", change + ForeignChanges.shared.words,
                remedy: "look who changed it, and use --force if the isolation is to end")
        }
        return Plan(
            action: description.name, target: .container(identity), parameters: request.parameters,
            facts: ["chains": .array(chains.map { .text($0.name) })], alreadySo: chains.isEmpty ? "it is not isolated" : nil,
            summary: "let the traffic of container \(identity.name.escapedForDisplay) pass again")
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        return try TableTurn.take { () throws(ActionError) in
            let all = try NetfilterReader(in: table.context).chains(of: .devices)
            let chains = all.filter { DeviceTable.containerID(inChain: $0.name) == id }
            guard !chains.isEmpty else { return Performance(.already, message: "it is not isolated") }
            try table.releasing(chains, all: all).commit(in: table.context)
            return Performance(.done, message: "its traffic passes again")
        }
    }
}
