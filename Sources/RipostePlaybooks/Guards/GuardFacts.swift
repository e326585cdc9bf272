package import RiposteCore

/// What the world says of a target, as far as guards ask: each process, container, pod or address that a plan would hit.
package struct GuardFacts: Sendable, Equatable {
    package struct Process: Sendable, Equatable {
        package var pid: Int32
        package var name: ByteText
        package var executable: ByteText?
        package var userID: UInt32?
        package var user: String?

        package init(pid: Int32, name: ByteText, executable: ByteText? = nil, userID: UInt32? = nil, user: String? = nil) {
            self.pid = pid
            self.name = name
            self.executable = executable
            self.userID = userID
            self.user = user
        }
    }

    package struct Container: Sendable, Equatable {
        package var id: String
        package var name: String
        package var image: String
        package var labels: [String: String]

        package init(id: String, name: String, image: String, labels: [String: String] = [:]) {
            self.id = id
            self.name = name
            self.image = image
            self.labels = labels
        }
    }

    package struct Pod: Sendable, Equatable {
        package var namespace: String
        package var name: String
        /// `StatefulSet/db`, as the pod names it; of a Deployment's pod the ReplicaSet.
        package var owner: String?
        package var annotations: [String: String]

        package init(namespace: String, name: String, owner: String? = nil, annotations: [String: String] = [:]) {
            self.namespace = namespace
            self.name = name
            self.owner = owner
            self.annotations = annotations
        }
    }

    /// A fact: there is none (a process outside containers has no container), it is known, or nobody could say.
    package enum Fact<Value: Sendable & Equatable>: Sendable, Equatable {
        case none
        case known(Value)
        case unknown(String)
    }

    /// One thing that would be hit, with what it runs in.
    package struct Subject: Sendable, Equatable {
        package var process: Fact<Process> = .none
        package var container: Fact<Container> = .none
        /// Known without the API: a pod's target, a container's labels.
        package var namespace: Fact<String> = .none
        package var pod: Fact<Pod> = .none
        package var address: IPNetwork?

        package init() {}
    }

    package var subjects: [Subject]

    package init(_ subjects: [Subject]) { self.subjects = subjects }
}

/// What a guard needs to know; each costs a look at the world.
package struct GuardNeeds: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let processes = GuardNeeds(rawValue: 1)
    package static let containers = GuardNeeds(rawValue: 2)
    /// Of the pod no more than its namespace.
    package static let namespaces = GuardNeeds(rawValue: 4)
    package static let pods = GuardNeeds(rawValue: 8)
}

/// Looks at the world for guards. Reads only.
package protocol TargetFacts: Sendable {
    /// What cannot be found out of a part is ``GuardFacts/Fact/unknown(_:)`` there; throws where nothing at all can be said.
    func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts

    /// What the target is a copy of; nil: of nothing, as an address, or a process outside of containers. Throws where nobody could say.
    func workload(of plan: Plan) async throws(ActionError) -> Workload?
}
