internal import CNetfilter
internal import Glibc
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
        guard state.isRunning, state.pid > 0 else { throw .gone("isolate container \(state.name)", "it does not run (\(state.status))") }
        let ends = try ContainerInterfaces(of: state, context: table.context).hostEnds()
        let standing = try table.chains(of: state.id)
        let batch = table.isolating(state.id, ends, allow: request.parameters.endpoints("allow"))
        var facts = state.facts
        facts.append("interfaces", .array(ends.map { .text($0.name) }))
        facts.append("batch_bytes", .integer(Int64(batch.byteCount)))
        let isCut = ends.allSatisfy { end in standing.count { $0.device == end.name } == 2 } && ChainPrint.change(ChainPrint.prints(in: request.token), now: standing) == nil
        let alreadySo = ends.isEmpty ? "it has no network" : isCut ? "it is isolated already" : nil
        return Plan(
            action: description.name, target: .container(state.identity), parameters: request.parameters, facts: facts, alreadySo: alreadySo,
            summary: "cut the traffic of container \(state.label) at \(ends.map(\.name).joined(separator: ", "))", inverse: description.inverse,
            remarks: ["sessions that came in through the engine (docker exec) go on; container.pause stops them too"])
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let id = try containerID(plan)
        let state = try await docker.inspect(id)
        guard state.isRunning else { throw .gone("isolate container \(state.name)", "it does not run any more") }
        // Looked up again: interfaces may have come and gone since the plan.
        let ends = try ContainerInterfaces(of: state, context: table.context).hostEnds()
        guard !ends.isEmpty else { return Performance(.already, message: "it has no network") }
        return try TableTurn.take { () throws(ActionError) in
            try table.isolating(id, ends, allow: plan.parameters.endpoints("allow")).commit(in: table.context)
            let chains = try table.chains(of: id)
            return Performance(
                .done, message: "its traffic is cut at \(ends.map(\.name).joined(separator: ", "))", isConfirmed: chains.count >= ends.count * 2,
                evidence: ["interfaces": .array(ends.map { .text($0.name) })], undoToken: ["chains": chains.prints])
        }
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        let state: ContainerState
        do throws(ActionError) { state = try await ContainerResolver(docker: docker).find(.proved(deed.target)) } catch {
            guard error.failure == nil else { throw error }
            return .gone(error.message)
        }
        guard state.isRunning, state.pid > 0 else { return .gone("it does not run any more (\(state.status.escapedForDisplay))") }
        let chains = try table.chains(of: state.id)
        let ends = try ContainerInterfaces(of: state, context: table.context).hostEnds()
        if chains.isEmpty { return ends.isEmpty ? .stands : .missing("its traffic passes again\(ForeignChanges.shared.words)") }
        if let open = ends.first(where: { end in chains.count { $0.device == end.name } != 2 }) {
            return .changed("its traffic passes at \(open.name.escapedForDisplay)\(ForeignChanges.shared.words)")
        }
        return ChainPrint.change(ChainPrint.prints(in: deed.token), now: chains).map { .changed($0 + ForeignChanges.shared.words) } ?? .stands
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

/// The interfaces of a container, found by what the kernel says on both sides.
struct ContainerInterfaces {
    private let state: ContainerState
    private let context: NetworkContext

    init(of state: ContainerState, context: NetworkContext) {
        self.state = state
        self.context = context
    }

    /// The host's ends of the container's veths. Refuses what is no veth, and a container that lives in the host's network.
    func hostEnds() throws(ActionError) -> [RouteReader.Link] {
        let doing = "find the interfaces of container \(state.name.escapedForDisplay)"
        let process = try ProcessHandle(pid: state.pid)
        let namespace = open("/proc/\(state.pid)/ns/net", O_RDONLY | O_CLOEXEC)
        guard namespace >= 0 else { throw ActionError(.denied, doing, "its network namespace cannot be opened") }
        defer { close(namespace) }
        // Alive after the namespace was opened: it is this process's and not a later one's.
        try process.checkPermission()
        guard try Self.identity(of: namespace, doing) != ownIdentity(doing) else {
            throw ActionError(.policy, doing, "it uses the host's network, which cannot be cut for it alone", remedy: "use container.pause or network.block")
        }
        let inner = try RouteReader(in: NetworkContext(namespace: namespace)).links().filter { !$0.isLoopback }
        let routes = try RouteReader(in: context)
        guard !inner.isEmpty, let number = try routes.number(ofNamespace: namespace) else {
            guard inner.isEmpty else { throw ActionError(.unsupported, doing, "its namespace has no link to this one") }
            return []
        }
        let outer = try routes.links()
        var ends: [RouteReader.Link] = []
        for link in inner where !Self.isIdleTunnel(link) {
            guard link.kind == "veth" else {
                throw ActionError(
                    .policy, doing, "its interface \(link.name.escapedForDisplay) is \(link.kind.isEmpty ? "a device of the host" : link.kind), not a veth",
                    remedy: "use container.pause")
            }
            // Both ends must name each other, and the outer one this container's namespace.
            guard let end = outer.first(where: { $0.index == link.peer && $0.peer == link.index && $0.peerNamespace == number && $0.kind == "veth" }) else {
                throw ActionError(.policy, doing, "the other end of its interface \(link.name.escapedForDisplay) is not in the host's network")
            }
            ends.append(end)
        }
        return ends
    }

    /// Devices that the kernel puts into every namespace once a tunnel module is loaded. They carry nothing by themselves.
    private static func isIdleTunnel(_ link: RouteReader.Link) -> Bool {
        ["tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"].contains(link.name) && link.kind != "veth"
    }

    private func ownIdentity(_ doing: String) throws(ActionError) -> UInt64 {
        if let namespace = context.namespace { return try Self.identity(of: namespace, doing) }
        let own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)
        defer { close(own) }
        return try Self.identity(of: own, doing)
    }

    private static func identity(of descriptor: Int32, _ doing: String) throws(ActionError) -> UInt64 {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw ActionError(.unavailable, doing, String(cString: strerror(errno))) }
        return UInt64(information.st_ino)
    }
}
