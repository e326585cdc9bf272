package import RiposteCore

/// Which container a cgroup belongs to: known at once, from the cgroup's path.
package struct ContainerReference: Hashable, Sendable {
    package enum Runtime: String, Sendable { case host, docker, podman, containerd, crio = "cri-o", lxc, libvirt = "libvirt-lxc", bpm, static_ = "static" }

    /// The first 12 characters as `container.id` has them are of this; empty: the host.
    package let fullID: ByteText
    package let runtime: Runtime

    package static let host = ContainerReference(fullID: "", runtime: .host)
    package var isHost: Bool { fullID.isEmpty }

    package init(fullID: ByteText, runtime: Runtime) { (self.fullID, self.runtime) = (fullID, runtime) }
}

/// What the runtime says of a container. Immutable once it is there; it arrives some time after the first event.
package final class ContainerFacts: Sendable {
    package struct Mount: Sendable, Equatable {
        package var source: String
        package var destination: String
        package var mode: String
        package var isWritable: Bool
        package var propagation: String

        package init(source: String, destination: String, mode: String, isWritable: Bool, propagation: String) {
            (self.source, self.destination, self.mode, self.isWritable, self.propagation) = (source, destination, mode, isWritable, propagation)
        }
    }

    /// Without the slash that Docker puts before it.
    package let name: String
    /// As it was asked for: `registry:5000/a/b:tag@sha256:…`.
    package let image: String
    package let imageID: String
    package let imageDigest: String
    package let isPrivileged: Bool
    package let sharesHostPID: Bool
    package let sharesHostNetwork: Bool
    package let sharesHostIPC: Bool
    package let mounts: [Mount]
    package let labels: [String: String]
    package let address: String?
    package let startedAt: Timestamp?
    /// The same as rules ask for it.
    let texts: ContainerTexts

    /// `impliedTag`: what the runtime takes for an `image` that names neither tag nor digest; empty where that is not known.
    package init(
        name: String, image: String, impliedTag: String = "", imageID: String, imageDigest: String, isPrivileged: Bool, sharesHostPID: Bool, sharesHostNetwork: Bool,
        sharesHostIPC: Bool, mounts: [Mount], labels: [String: String], address: String?, startedAt: Timestamp?
    ) {
        (self.name, self.image, self.imageID, self.imageDigest, self.isPrivileged) = (name, image, imageID, imageDigest, isPrivileged)
        (self.sharesHostPID, self.sharesHostNetwork, self.sharesHostIPC) = (sharesHostPID, sharesHostNetwork, sharesHostIPC)
        (self.mounts, self.labels, self.address, self.startedAt) = (mounts, labels, address, startedAt)
        texts = ContainerTexts(name: name, image: image, impliedTag: impliedTag, imageID: imageID, imageDigest: imageDigest, address: address, mounts: mounts, labels: labels)
    }
}

/// What the sensor knows of containers at this moment; asked by the sensor's thread, which never waits for an answer.
package protocol ContainerKnowledge: AnyObject, Sendable {
    /// Nil until the runtime has answered; the first question makes it ask.
    func facts(of container: ContainerReference) -> ContainerFacts?
    /// A process has begun in the container: its facts will be wanted. `beganAnew`: in a cgroup that was not met before, as where the container was started again.
    func prefetch(_ container: ContainerReference, beganAnew: Bool)
}

/// Who can tell of containers: the Docker socket. Called outside the sensor's thread.
package protocol ContainerInspector: Sendable {
    /// Nil where there is no such container; throws where nobody answers, and it is asked again later.
    func inspect(_ container: ContainerReference) async throws -> ContainerFacts?
}
