package import RiposteActions
internal import RiposteCore
package import RipostePlaybooks
package import RiposteTransport

/// The actions that this agent has, with what they need, made from the configuration.
package struct Facilities: Sendable {
    package let http: HTTPClient
    package let docker: DockerClient
    package let kubernetes: KubernetesAccess
    package let catalogue: ActionCatalogue
    /// Built-in ones, then those of the configuration.
    package let guards: [any Guard]
    package let world: any TargetFacts
    let outputNames: OutputTexts
    /// All that their sections say, and so where they go.
    let outputPlaces: OutputTexts

    package init(_ configuration: AgentConfiguration) {
        let http = HTTPClient()
        let (outputNames, outputPlaces) = (OutputTexts(configuration.outputs.names), OutputTexts(configuration.outputs.entries?.texts ?? []))
        (self.outputNames, self.outputPlaces) = (outputNames, outputPlaces)
        let docker = DockerClient(socket: configuration.docker.socket, client: http)
        let section = configuration.kubernetes
        let gateway = KubernetesGateway(http: http) { () throws(ActionError) in
            try KubernetesConfiguration.find(kubeconfig: section.kubeconfig, context: section.context)
        }
        let access: KubernetesAccess = { () throws(ActionError) in try gateway.client() }
        self.http = http
        self.docker = docker
        kubernetes = access
        let allow = configuration.network.managementAllow
        catalogue = ActionCatalogue([
            ProcessKill(), ProcessSuspend(), ProcessResume(),
            ContainerPause(docker: docker), ContainerUnpause(docker: docker), ContainerStop(docker: docker), ContainerKill(docker: docker),
            ContainerRestart(docker: docker), ContainerStart(docker: docker), ContainerIsolate(docker: docker), ContainerRelease(docker: docker),
            PodDelete(docker: docker, access: access), PodEvict(docker: docker, access: access),
            NetworkBlock(), NetworkUnblock(), NetworkIsolate(managementAllow: allow), NetworkRelease(),
            NotifySend(outputs: { outputNames.current }),
        ])
        let ownNamespace = (try? KubernetesConfiguration.find(kubeconfig: section.kubeconfig, context: section.context))?.ownNamespace
        let containers = ContainerLookup(docker: docker)
        let pods = PodLookup(access: access)
        let world = WorldFacts(containers: containers, access: access, pods: pods)
        self.world = world
        let protected = Set(section.protectedNamespaces + [ownNamespace].compactMap(\.self))
        let builtIn: [any Guard] = [
            ProcessGuards(), ContainerGuard(containers, protectedNamespaces: protected, access: access, pods: pods),
            PodGuard(protectedNamespaces: section.protectedNamespaces, ownNamespace: ownNamespace),
            NetworkGuard(managementAllow: allow, peers: Self.peers(outputPlaces, access)),
        ]
        guards = builtIn + configuration.guards.map { ConfiguredGuard($0, world: world) }
    }

    /// Whom a block must not cut off from this agent, as far as the configuration names literal addresses.
    private static func peers(_ outputPlaces: OutputTexts, _ access: @escaping KubernetesAccess) -> @Sendable () -> [NetworkGuard.Peer] {
        {
            let destinations = outputPlaces.current.compactMap { NetworkGuard.Peer(place: $0, what: "the destination of an output") }
            // Where there is no cluster there is no server.
            let server = (try? access())?.configuration.server
            return destinations + [server.flatMap { NetworkGuard.Peer(place: $0, what: "the Kubernetes API server") }].compactMap(\.self)
        }
    }
}
