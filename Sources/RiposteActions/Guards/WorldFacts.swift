internal import Glibc
internal import RiposteCore
package import RipostePlaybooks

/// The world as guards see it: /proc, the container engine, the Kubernetes API. Each is asked only for what some guard wants to know.
package struct WorldFacts: TargetFacts {
    private let containers: ContainerLookup
    private let access: KubernetesAccess
    private let pods: PodLookup

    /// `pods`: to share with others what the API said.
    package init(containers: ContainerLookup, access: @escaping KubernetesAccess, pods: PodLookup? = nil) {
        self.containers = containers
        self.access = access
        self.pods = pods ?? PodLookup(access: access)
    }

    package func facts(of plan: Plan, _ needs: GuardNeeds) async throws(ActionError) -> GuardFacts {
        switch plan.target {
        case .process(let identity): GuardFacts(await processes(ProcessTree.pids(of: plan, identity), needs))
        case .container(let identity): GuardFacts(await containers([identity.id] + ContainerGuard.sharers(in: plan), needs))
        case .pod(let identity): GuardFacts(await pod(identity, plan, needs))
        case .address(let network): GuardFacts([Self.subject { $0.address = network }])
        case .host: GuardFacts([GuardFacts.Subject()])
        }
    }

    package func workload(of plan: Plan) async throws(ActionError) -> Workload? {
        switch plan.target {
        case .process(let identity):
            return try await workload(ofProcess: identity.pid)
        case .container(let identity): return try await workload(of: try await containers.container(identity.id))
        case .pod(let identity): return try await workload(ofPod: identity.namespace, identity.name)
        case .address, .host: return nil
        }
    }

    private func workload(ofProcess pid: Int32) async throws(ActionError) -> Workload? {
        let cgroups = ProcFS.cgroups(pid)
        switch try await containers.membership(in: cgroups) {
        case .none: return nil
        case .known(let container): return try await workload(of: container)
        case .foreign(let id):
            guard let uid = cgroups.firstPodUID else { throw .gone("look up container \(id.prefix(12))", "the engine knows none of this id") }
            let pod = try await pods.pod(uid)
            return try await workload(ofPod: pod.namespace, pod.name)
        }
    }

    private func workload(of container: GuardFacts.Container) async throws(ActionError) -> Workload {
        if let (namespace, name) = container.podName { return try await workload(ofPod: namespace, name) }
        let all = try await containers.running()
        if let service = container.service {
            return Workload(name: service, replicas: all.count { $0.service == service })
        }
        return Workload(name: container.image, replicas: all.count { $0.service == nil && $0.image == container.image })
    }

    private func workload(ofPod namespace: String, _ name: String) async throws(ActionError) -> Workload {
        let client = try access()
        let pod = try await client.pod(namespace, name)
        // A pod that nobody makes anew is all there is of it.
        guard let owner = pod.owner else { return Workload(name: "\(namespace)/Pod/\(name)", replicas: 1) }
        let siblings = try await client.pods(namespace).filter { $0.owner?.kind == owner.kind && $0.owner?.name == owner.name && $0.phase == "Running" && !$0.isTerminating }
        return Workload(name: "\(namespace)/\(owner.kind)/\(owner.name)", replicas: siblings.count)
    }

    private static func subject(_ fill: (inout GuardFacts.Subject) -> Void) -> GuardFacts.Subject {
        var subject = GuardFacts.Subject()
        fill(&subject)
        return subject
    }

    // MARK: - Processes

    private func processes(_ pids: [Int32], _ needs: GuardNeeds) async -> [GuardFacts.Subject] {
        var around: [[Cgroup]: GuardFacts.Subject] = [:]
        var subjects: [GuardFacts.Subject] = []
        for pid in pids {
            let cgroups = ProcFS.cgroups(pid)
            let surroundings: GuardFacts.Subject
            if let known = around[cgroups] {
                surroundings = known
            } else {
                surroundings = await self.surroundings(in: cgroups, needs)
                around[cgroups] = surroundings
            }
            var subject = surroundings
            if needs.contains(.processes) { subject.process = Self.process(pid) }
            subjects.append(subject)
        }
        return subjects
    }

    /// One that has ended in between is none.
    private static func process(_ pid: Int32) -> GuardFacts.Fact<GuardFacts.Process> {
        guard let stat = ProcFS.stat(pid) else { return .none }
        let userID = ProcFS.userID(pid)
        return .known(GuardFacts.Process(pid: pid, name: stat.name, executable: ProcFS.executable(pid), userID: userID, user: userID.flatMap(userName)))
    }

    /// As the host's user database has it.
    private static func userName(of uid: UInt32) -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name else { return nil }
        return String(cString: name)
    }

    // MARK: - Containers

    /// What runs in a control group: in a container or outside of all, with its namespace and pod.
    private func surroundings(in cgroups: [Cgroup], _ needs: GuardNeeds) async -> GuardFacts.Subject {
        guard !needs.isDisjoint(with: [.containers, .namespaces, .pods]) else { return GuardFacts.Subject() }
        do throws(ActionError) {
            switch try await containers.membership(in: cgroups) {
            case .none: return GuardFacts.Subject()
            case .known(let container): return await surroundings(container, needs)
            case .foreign(let id): return await surroundings(ofUnknown: unknown(id), cgroups, needs)
            }
        } catch { return await surroundings(ofUnknown: error.message, cgroups, needs) }
    }

    private func surroundings(_ container: GuardFacts.Container, _ needs: GuardNeeds) async -> GuardFacts.Subject {
        var subject = Self.subject { $0.container = .known(container) }
        guard let (namespace, name) = container.podName else { return subject }
        subject.namespace = .known(namespace)
        if needs.contains(.pods) { subject.pod = await pod(namespace, name) }
        return subject
    }

    private func containers(_ ids: [String], _ needs: GuardNeeds) async -> [GuardFacts.Subject] {
        var subjects: [GuardFacts.Subject] = []
        for id in ids { subjects += await container(id, needs) }
        return subjects
    }

    /// Of a container that the engine does not run, or cannot be asked about: its pod is known to the API all the same.
    private func surroundings(ofUnknown why: String, _ cgroups: [Cgroup], _ needs: GuardNeeds) async -> GuardFacts.Subject {
        var subject = Self.subject { ($0.container, $0.namespace, $0.pod) = (.unknown(why), .unknown(why), .unknown(why)) }
        guard !needs.isDisjoint(with: [.namespaces, .pods]), let uid = cgroups.firstPodUID else { return subject }
        do throws(ActionError) {
            let identity = try await pods.pod(uid)
            subject.namespace = .known(identity.namespace)
            if needs.contains(.pods) { subject.pod = await pod(identity.namespace, identity.name) }
        } catch { (subject.namespace, subject.pod) = (.unknown(error.message), .unknown(error.message)) }
        return subject
    }

    private func unknown(_ id: String) -> String { "the container engine at \(containers.socket) does not know container \(id.prefix(12))" }

    private func surroundings(ofContainer id: String, _ needs: GuardNeeds) async -> GuardFacts.Subject {
        guard !needs.isDisjoint(with: [.containers, .namespaces, .pods]) else { return GuardFacts.Subject() }
        do throws(ActionError) { return await surroundings(try await containers.container(id), needs) } catch {
            return await surroundings(ofUnknown: error.failure == nil ? unknown(id) : error.message, [], needs)
        }
    }

    private func container(_ id: String, _ needs: GuardNeeds) async -> [GuardFacts.Subject] {
        let subject = await surroundings(ofContainer: id, needs)
        guard needs.contains(.processes) else { return [subject] }
        return Self.each(of: await processes(inContainers: [id]), in: subject)
    }

    /// Where the engine knows a container, those that it holds; where it does not, those whose control groups say so and are no user's own.
    private func processes(inContainers ids: [String]) async -> [Int32] {
        var scopes: Set<Cgroup> = []
        var unproved: Set<String> = []
        for id in ids {
            do throws(ActionError) { scopes.formUnion(try await containers.scopes(of: id)) } catch { unproved.insert(id) }
        }
        guard !scopes.isEmpty || !unproved.isEmpty else { return [] }
        return ProcFS.processes { scopes.contains($0.scope) || unproved.contains($0.id) && !$0.isUsersOwn }
    }

    private static func each(of pids: [Int32], in surroundings: GuardFacts.Subject) -> [GuardFacts.Subject] {
        guard !pids.isEmpty else { return [surroundings] }
        return pids.map { pid in
            var subject = surroundings
            subject.process = process(pid)
            return subject
        }
    }

    // MARK: - Pods

    private func pod(_ identity: PodIdentity, _ plan: Plan, _ needs: GuardNeeds) async -> [GuardFacts.Subject] {
        let ids = plan.facts["containers"]?.array?.compactMap { $0.string?.valid } ?? []
        var subject = GuardFacts.Subject()
        subject.namespace = .known(identity.namespace)
        if needs.contains(.pods) { subject.pod = await pod(identity.namespace, identity.name) }
        var subjects = [subject]
        if needs.contains(.containers) {
            subjects = []
            for id in ids {
                var one = subject
                one.container = await surroundings(ofContainer: id, .containers).container
                subjects.append(one)
            }
            if subjects.isEmpty {
                subject.container = .unknown("the API names no container of the pod")
                subjects = [subject]
            }
        }
        guard needs.contains(.processes) else { return subjects }
        let pids = await processes(inContainers: ids)
        guard !pids.isEmpty else {
            return subjects.map { subject in
                var subject = subject
                subject.process = .unknown("the pod's processes do not run on this host")
                return subject
            }
        }
        return subjects.flatMap { Self.each(of: pids, in: $0) }
    }

    private func pod(_ namespace: String, _ name: String) async -> GuardFacts.Fact<GuardFacts.Pod> {
        do throws(ActionError) {
            let state = try await access().pod(namespace, name)
            return .known(
                GuardFacts.Pod(
                    namespace: namespace, name: name, owner: state.owner.map { "\($0.kind)/\($0.name)" }, annotations: state.annotations))
        } catch { return .unknown(error.message) }
    }
}

extension GuardFacts.Container {
    /// Of Compose or Swarm, by the labels that they put on.
    var service: String? { ServiceLabels.service(of: labels) }

    /// Of the pod that the kubelet made it for, by the labels that it puts on.
    var podName: (namespace: String, name: String)? {
        guard let namespace = labels["io.kubernetes.pod.namespace"], let name = labels["io.kubernetes.pod.name"] else { return nil }
        return (namespace, name)
    }
}

extension ProcessTree {
    /// All that a plan about a process would hit.
    static func pids(of plan: Plan, _ identity: ProcessIdentity) -> [Int32] {
        let members = plan.facts["members"]?.array?.compactMap(Member.init(json:)).map(\.pid) ?? []
        return Set(members + [identity.pid]).sorted()
    }
}

extension [Cgroup] {
    var firstPodUID: String? { lazy.compactMap(\.podUID).first }
}

/// Which service a container is a copy of, by the labels that Compose and Swarm put on.
enum ServiceLabels {
    static func service(of labels: [String: String]) -> String? {
        if let project = labels["com.docker.compose.project"], let service = labels["com.docker.compose.service"] { return "\(project)_\(service)" }
        return labels["com.docker.swarm.service.name"]
    }
}
