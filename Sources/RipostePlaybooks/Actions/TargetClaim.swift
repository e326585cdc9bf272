package import RiposteCore

/// Who is meant, in the words of an alert or an operator: not yet believed. An action's plan turns it into a ``Target`` by asking the world.
package enum TargetClaim: Sendable, Equatable {
    case process(ProcessClaim)
    case container(ContainerClaim)
    case pod(PodClaim)
    case address(IPNetwork)
    case host
    /// Proved at an earlier time and named in the journal: of an undo, or of a plan that is looked at again. The identity must still hold.
    case proved(Target)
}

package struct ProcessClaim: Sendable, Equatable {
    package var pid: Int32
    /// `proc.pid.ts`: when it started, wall clock. The proof that a pid has not come round.
    package var startedAt: Timestamp?
    /// Second proofs, and the only ones where `startedAt` is missing.
    package var name: ByteText?
    package var executable: ByteText?
    package var commandLine: ByteText?
    /// When the detector saw it; it must have been running then. Nil when an operator names a pid: then what runs now is meant.
    package var seenAt: Timestamp?

    package init(
        pid: Int32, startedAt: Timestamp? = nil, name: ByteText? = nil, executable: ByteText? = nil, commandLine: ByteText? = nil,
        seenAt: Timestamp? = nil
    ) {
        self.pid = pid
        self.startedAt = startedAt
        self.name = name
        self.executable = executable
        self.commandLine = commandLine
        self.seenAt = seenAt
    }
}

package struct ContainerClaim: Sendable, Equatable {
    /// A full id, a short id (12 characters in Falco's alerts), or, from an operator only, a name.
    package var reference: String
    /// From an alert: the container's id must begin with `reference`, whatever it is that the engine finds under that name, and it must have
    /// been started before this.
    package var seenAt: Timestamp?
    /// From an alert of the own sensor: what proves that the process was in this very container, and not in a group that somebody has named after it.
    package var membership: Membership?

    package struct Membership: Sendable, Equatable {
        /// The control group that the process was in, as the kernel has it; nil: not known.
        package var cgroup: String?

        package init(cgroup: String?) { self.cgroup = cgroup }
    }

    package init(reference: String, seenAt: Timestamp? = nil, membership: Membership? = nil) {
        self.reference = reference
        self.seenAt = seenAt
        self.membership = membership
    }
}

package struct PodClaim: Sendable, Equatable {
    package var namespace: String
    package var name: String
    package var uid: String?
    /// From an alert, for lack of a UID: a container of the pod must have this id, or the pod must have been started before `seenAt`.
    package var containerID: String?
    package var seenAt: Timestamp?
    /// From an alert of the own sensor, which has the pod from its container: what proves that the process was in that one.
    package var membership: ContainerClaim.Membership?

    package init(
        namespace: String, name: String, uid: String? = nil, containerID: String? = nil, seenAt: Timestamp? = nil, membership: ContainerClaim.Membership? = nil
    ) {
        self.membership = membership
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.containerID = containerID
        self.seenAt = seenAt
    }
}
