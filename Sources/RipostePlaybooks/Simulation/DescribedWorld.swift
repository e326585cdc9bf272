package import RiposteCore

/// A world given as data: what runs, and in what. Playbook tests and simulations act on it in place of a machine.
package struct DescribedWorld: Sendable, Equatable {
    package struct Process: Sendable, Equatable {
        package var pid: Int32
        /// Nil: it is taken to have run before every alert.
        package var start: Timestamp?
        /// The name that the kernel shows (comm).
        package var name: ByteText
        package var executable: ByteText?
        package var commandLine: ByteText?
        package var parent: Int32?
        /// A container's id or the beginning of it.
        package var container: String?
        package var userID: UInt32?
        package var user: String?

        package init(pid: Int32, start: Timestamp? = nil, name: ByteText, executable: ByteText? = nil, container: String? = nil) {
            self.pid = pid
            self.start = start
            self.name = name
            self.executable = executable
            self.container = container
        }
    }

    package struct Container: Sendable, Equatable {
        package var id: String
        package var name: String
        package var image: String
        package var labels: [String: String]
        package var start: Timestamp?

        package init(id: String, name: String, image: String, labels: [String: String] = [:], start: Timestamp? = nil) {
            self.id = id
            self.name = name
            self.image = image
            self.labels = labels
            self.start = start
        }
    }

    package struct Pod: Sendable, Equatable {
        package var namespace: String
        package var name: String
        package var uid: String
        /// `StatefulSet/db`
        package var owner: String?
        package var annotations: [String: String]
        /// Ids of its containers, or their beginnings.
        package var containers: [String]

        package init(namespace: String, name: String, uid: String, owner: String? = nil, annotations: [String: String] = [:], containers: [String] = []) {
            self.namespace = namespace
            self.name = name
            self.uid = uid
            self.owner = owner
            self.annotations = annotations
            self.containers = containers
        }
    }

    /// An address that somebody said something about.
    package struct Address: Sendable, Equatable {
        package var network: IPNetwork
        package var isBlocked: Bool
        /// Of the described host, or of those who must always reach it.
        package var isOwn: Bool

        package init(network: IPNetwork, isBlocked: Bool = false, isOwn: Bool = false) {
            self.network = network
            self.isBlocked = isBlocked
            self.isOwn = isOwn
        }
    }

    package var processes: [Process] = []
    package var containers: [Container] = []
    package var pods: [Pod] = []
    package var addresses: [Address] = []

    package init() {}
}
