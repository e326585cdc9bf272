internal import RiposteCore

/// What guards of the configuration and budgets of namespaces ask, answered from a described world.
extension DescribedScene: TargetFacts {
    package func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts {
        withState { state in
            switch plan.target {
            case .process(let identity):
                let members = plan.facts["members"]?.array?.compactMap { $0["pid"]?.integer.flatMap(Int32.init(exactly:)) } ?? []
                return GuardFacts(Set(members + [identity.pid]).sorted().compactMap { state.processes[$0] }.map { state.subject(of: $0) })
            case .container(let identity):
                guard let container = state.containers[String(identity.id.prefix(12))] else { return GuardFacts([Self.unknown("the container is not described")]) }
                return GuardFacts(state.subjects(of: container, needs))
            case .pod(let identity): return GuardFacts(state.subjects(of: identity, needs))
            case .address(let network):
                var subject = GuardFacts.Subject()
                subject.address = network
                return GuardFacts([subject])
            case .host: return GuardFacts([GuardFacts.Subject()])
            }
        }
    }

    package func workload(of plan: Plan) async throws(ActionError) -> Workload? {
        withState { state in
            switch plan.target {
            case .process(let identity): state.processes[identity.pid].flatMap { state.container(of: $0) }.map { state.workload(of: $0) }
            case .container(let identity): state.containers[String(identity.id.prefix(12))].map { state.workload(of: $0) }
            case .pod(let identity): state.pods.first { $0.uid == identity.uid }.map { state.workload(of: $0) }
            case .address, .host: nil
            }
        }
    }

    fileprivate static func unknown(_ why: String) -> GuardFacts.Subject {
        var subject = GuardFacts.Subject()
        (subject.process, subject.container, subject.namespace, subject.pod) = (.unknown(why), .unknown(why), .unknown(why), .unknown(why))
        return subject
    }
}

extension DescribedScene.State {
    /// Copies that have not ended: of the pod's owner, else of the same image.
    fileprivate func workload(of container: DescribedWorld.Container) -> Workload {
        if let pod = pods.first(where: { $0.containers.contains { $0.hasPrefix(container.id) || container.id.hasPrefix($0) } }) { return workload(of: pod) }
        return Workload(
            name: container.image, replicas: containers.values.count { $0.image == container.image && ended[$0.target.key] == nil && !isStopped($0) })
    }

    fileprivate func workload(of pod: DescribedWorld.Pod) -> Workload {
        guard let owner = pod.owner else { return Workload(name: "\(pod.namespace)/Pod/\(pod.name)", replicas: 1) }
        return Workload(
            name: "\(pod.namespace)/\(owner)", replicas: pods.count { $0.namespace == pod.namespace && $0.owner == owner && ended[$0.target.key] == nil })
    }

    fileprivate func subject(of process: DescribedWorld.Process) -> GuardFacts.Subject {
        var subject = container(of: process).map { surroundings(of: $0) } ?? GuardFacts.Subject()
        subject.process = .known(.init(pid: process.pid, name: process.name, executable: process.executable, userID: process.userID, user: process.user))
        return subject
    }

    private func surroundings(of container: DescribedWorld.Container) -> GuardFacts.Subject {
        var subject = GuardFacts.Subject()
        subject.container = .known(.init(id: container.id, name: container.name, image: container.image, labels: container.labels))
        let pod = pods.first { $0.containers.contains { $0.hasPrefix(container.id) || container.id.hasPrefix($0) } }
        if let pod {
            subject.namespace = .known(pod.namespace)
            subject.pod = .known(.init(namespace: pod.namespace, name: pod.name, owner: pod.owner, annotations: pod.annotations))
        } else if let namespace = container.labels["io.kubernetes.pod.namespace"] {
            subject.namespace = .known(namespace)
            subject.pod = .unknown("the container's pod is not described")
        }
        return subject
    }

    fileprivate func subjects(of container: DescribedWorld.Container, _ needs: GuardNeeds) -> [GuardFacts.Subject] {
        let around = surroundings(of: container)
        guard needs.contains(.processes) else { return [around] }
        let inside = processes.values.filter { process in process.container.map { container.id.hasPrefix($0.prefix(12)) } ?? false && !hasEnded(process) }
        return inside.isEmpty ? [around] : inside.sorted { $0.pid < $1.pid }.map { subject(of: $0) }
    }

    fileprivate func subjects(of identity: PodIdentity, _ needs: GuardNeeds) -> [GuardFacts.Subject] {
        var subject = GuardFacts.Subject()
        subject.namespace = .known(identity.namespace)
        guard let pod = pods.first(where: { $0.uid == identity.uid }) else {
            subject.pod = .unknown("the pod is not described")
            subject.container = .unknown("the pod's containers are not described")
            subject.process = .unknown("the pod's processes are not described")
            return [subject]
        }
        subject.pod = .known(.init(namespace: pod.namespace, name: pod.name, owner: pod.owner, annotations: pod.annotations))
        let inside = pod.containers.compactMap { containers[String($0.prefix(12))] }
        return inside.isEmpty ? [subject] : inside.flatMap { subjects(of: $0, needs) }
    }
}

/// What is built in on a machine, as far as a description can tell: the first process, own addresses, what pods say of themselves.
package struct DescribedProtection: Guard {
    package let name = "builtin.described"
    private let scene: DescribedScene
    private let protectedNamespaces: Set<String>

    package init(_ scene: DescribedScene, protectedNamespaces: [String]) {
        self.scene = scene
        self.protectedNamespaces = Set(protectedNamespaces)
    }

    package func answer(to question: GuardQuestion) async -> GuardAnswer? {
        guard !question.isRelease else { return nil }
        return refusalText(of: question.plan).map { GuardAnswer(name: name, verdict: .refuse, reason: $0) }
    }

    private func refusalText(of plan: Plan) -> String? {
        scene.withState { state in
            switch plan.target {
            case .process(let identity):
                return identity.pid == 1 ? "it is the first process" : state.processes[identity.pid].flatMap { protected(state.subject(of: $0)) }
            case .container(let identity): return state.containers[String(identity.id.prefix(12))].flatMap { protected(state.subjects(of: $0, []).first) }
            case .pod(let identity): return state.subjects(of: identity, []).lazy.compactMap { protected($0) }.first
            case .address(let network):
                if Self.loopback.contains(where: { $0.overlaps(network) }) { return "\(network) reaches into loopback" }
                return state.addresses.first { $0.isOwn && $0.network.overlaps(network) }.map { "\(network) reaches \($0.network), which is described as own" }
            case .host: return nil
            }
        }
    }

    private func protected(_ subject: GuardFacts.Subject?) -> String? {
        guard let subject else { return nil }
        if case .known(let namespace) = subject.namespace, protectedNamespaces.contains(namespace) { return "namespace \(namespace.escapedForDisplay) is protected" }
        if case .known(let pod) = subject.pod, pod.annotations[Self.mark] != nil { return "it is marked \(Self.mark)" }
        if case .known(let container) = subject.container, container.labels[Self.mark] != nil { return "it is marked \(Self.mark)" }
        return nil
    }

    private static let mark = "riposte.dev/protected"
    private static let loopback = ["127.0.0.0/8", "::1"].compactMap { IPNetwork($0) }
}
