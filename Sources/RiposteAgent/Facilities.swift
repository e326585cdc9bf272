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
    package let guards: [any Guard]

    package init(_ configuration: AgentConfiguration) {
        let http = HTTPClient()
        let docker = DockerClient(socket: configuration.docker.socket, client: http)
        let section = configuration.kubernetes
        // Looked for when it is first needed, and again if it was not there.
        let access: KubernetesAccess = { () throws(ActionError) in
            KubernetesClient(configuration: try KubernetesConfiguration.find(kubeconfig: section.kubeconfig, context: section.context), client: http)
        }
        self.http = http
        self.docker = docker
        kubernetes = access
        let allow = configuration.network.managementAllow
        catalogue = ActionCatalogue([
            ProcessKill(), ProcessSuspend(), ProcessResume(),
            ContainerPause(docker: docker), ContainerUnpause(docker: docker), ContainerStop(docker: docker), ContainerKill(docker: docker),
            ContainerRestart(docker: docker), ContainerStart(docker: docker), ContainerIsolate(docker: docker), ContainerRelease(docker: docker),
            PodDelete(access: access), PodEvict(access: access),
            NetworkBlock(), NetworkUnblock(), NetworkIsolate(managementAllow: allow), NetworkRelease(),
        ])
        let ownNamespace = (try? KubernetesConfiguration.find(kubeconfig: section.kubeconfig, context: section.context))?.ownNamespace
        guards = [
            ProcessGuards(), ContainerGuard(docker: docker), PodGuard(protectedNamespaces: section.protectedNamespaces, ownNamespace: ownNamespace),
            NetworkGuard(managementAllow: allow),
        ]
    }
}
