package import RiposteActions
internal import RiposteCore
package import RiposteSensor

/// The Docker socket as the sensor asks it: two rooms that do not know each other meet here.
package struct ContainerBridge: ContainerInspector {
    private let docker: DockerInspector

    package init(docker: DockerInspector) { self.docker = docker }

    /// Asked for whatever has an id of the engine's kind: who runs a container shows in its cgroup's name, but not always rightly (a Kubernetes node
    /// that runs on Docker, Podman's socket in place of Docker's), and an engine that does not know it says so.
    package func inspect(_ container: ContainerReference) async throws -> ContainerFacts? {
        guard container.fullID.bytes.count == 64, let id = container.fullID.valid, id.allSatisfy(\.isHexDigit) else { return nil }
        return try await docker.inspect(id).map(ContainerFacts.init)
    }
}

extension ContainerFacts {
    fileprivate convenience init(_ inspection: ContainerInspection) {
        let imageID = inspection.imageID
        self.init(
            name: inspection.name, image: inspection.image, impliedTag: inspection.impliedTag,
            // As Falco has it.
            imageID: imageID.hasPrefix("sha256:") ? String(imageID.dropFirst(7)) : imageID, imageDigest: inspection.imageDigest,
            isPrivileged: inspection.isPrivileged, sharesHostPID: inspection.sharesHostPID, sharesHostNetwork: inspection.sharesHostNetwork,
            sharesHostIPC: inspection.sharesHostIPC,
            mounts: inspection.mounts.map { mount in
                Mount(source: mount.source, destination: mount.destination, mode: mount.mode, isWritable: mount.isWritable, propagation: mount.propagation)
            }, labels: inspection.labels, address: inspection.address, startedAt: inspection.startedAt)
    }
}
