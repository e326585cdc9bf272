internal import RiposteCore

/// Who is meant, by the rules of the real resolvers as far as a description can answer them.
extension DescribedScene {
    /// Rounding of a start time, as for processes of a machine.
    private static let tolerance = Duration.milliseconds(250)
    /// Without a start time an alert proves little, and less with every second.
    private static let ageLimit = Duration.seconds(30)

    func resolve(_ claim: TargetClaim) throws(ActionError) -> Target {
        let now = now()
        return try withState { state throws(ActionError) in
            switch claim {
            case .process(let claim): try state.process(claim, at: now)
            case .container(let claim): try state.container(claim)
            case .pod(let claim): try state.pod(claim, knowledge)
            case .address(let network): .address(network)
            case .host: .host(machineID: "described")
            case .proved(let target): try state.stillThere(target)
            }
        }
    }

    static func checkStart(_ process: DescribedWorld.Process, _ claim: ProcessClaim, _ doing: String, at now: Timestamp) throws(ActionError) {
        if let claimed = claim.startedAt, let start = process.start {
            let deviation = claimed < start ? start - claimed : claimed - start
            guard deviation <= tolerance else {
                throw ActionError(.identity, doing, "it was started at \(start), the one that is meant at \(claimed): the pid was used again")
            }
            return
        }
        guard let seenAt = claim.seenAt, claim.startedAt == nil else { return }
        guard now - seenAt <= ageLimit else {
            throw ActionError(
                .identity, doing, "the alert has no start time (proc.pid.ts) and is \(Duration.seconds((now - seenAt).components.seconds).text) old: too long to go by name")
        }
        if let start = process.start, start > seenAt + tolerance {
            throw ActionError(.identity, doing, "it was started at \(start), after the alert's \(seenAt): the pid was used again")
        }
        let claims = [(claim.name, process.name as ByteText?), (claim.executable, process.executable), (claim.commandLine, process.commandLine)]
            .filter { $0.0.map { !$0.isEmpty } ?? false }
        guard !claims.isEmpty else {
            throw ActionError(.unresolved, doing, "the alert has neither proc.pid.ts nor a name, executable or command line to know it by")
        }
        guard claims.contains(where: { $0.0 == $0.1 }) else {
            throw ActionError(.identity, doing, "it is \"\(process.name.shown)\" and has nothing of what the alert says")
        }
    }
}

extension DescribedScene.State {
    func container(of process: DescribedWorld.Process) -> DescribedWorld.Container? { process.container.flatMap { containers[String($0.prefix(12))] } }

    func isMarked(_ target: Target, _ action: ActionName, at now: Timestamp) -> Bool {
        marks[target.key]?.contains { $0.action == action && ($0.until.map { $0 > now } ?? true) } ?? false
    }

    func isStopped(_ container: DescribedWorld.Container) -> Bool { marks[container.target.key]?.contains { $0.action == "container.stop" } ?? false }

    /// The container has ended, or the process itself, or its parent took it along.
    func hasEnded(_ process: DescribedWorld.Process) -> Bool {
        if ended[process.target.key] != nil { return true }
        guard let container = container(of: process) else { return false }
        return ended[container.target.key] != nil || isStopped(container)
    }

    fileprivate func process(_ claim: ProcessClaim, at now: Timestamp) throws(ActionError) -> Target {
        let doing = "find process \(claim.pid)"
        guard let process = processes[claim.pid], !hasEnded(process) else { throw .gone(doing, "no such process") }
        try DescribedScene.checkStart(process, claim, doing, at: now)
        return process.target
    }

    fileprivate func container(_ claim: ContainerClaim) throws(ActionError) -> Target {
        let doing = "find container \(claim.reference.escapedForDisplay)"
        var found = containers[String(claim.reference.prefix(12))]
        if found == nil, claim.seenAt == nil { found = containers.values.first { $0.name == claim.reference } }
        guard let container = found, ended[container.target.key] == nil else { throw .gone(doing, "no such container") }
        // An alert's short id is enough, and so is a description's.
        guard container.id.hasPrefix(claim.reference) || claim.reference.hasPrefix(container.id) || claim.seenAt == nil else {
            throw ActionError(.identity, doing, "container \(container.id.prefix(16)) begins like it and is another one")
        }
        if let start = container.start, let seenAt = claim.seenAt, start > seenAt + .seconds(1) {
            throw ActionError(.identity, doing, "it was started at \(start), after the alert's \(seenAt): what the alert saw has ended")
        }
        return container.target
    }

    fileprivate func pod(_ claim: PodClaim, _ knowledge: DescribedScene.Knowledge) throws(ActionError) -> Target {
        let doing = "find pod \(claim.namespace.escapedForDisplay)/\(claim.name.escapedForDisplay)"
        var found = pods.first { $0.namespace == claim.namespace && $0.name == claim.name }
        if found == nil, knowledge == .fromAlerts {
            found = DescribedWorld.Pod(namespace: claim.namespace, name: claim.name, uid: claim.uid ?? "\(claim.namespace)/\(claim.name)")
        }
        guard let pod = found, ended[pod.target.key] == nil else { throw .gone(doing, "no such pod") }
        if let uid = claim.uid, uid != pod.uid { throw ActionError(.identity, doing, "its UID is \(pod.uid.escapedForDisplay), the alert's is \(uid.escapedForDisplay)") }
        if claim.uid == nil, knowledge == .complete, let id = claim.containerID, id != "host", !pod.containers.contains(where: { $0.hasPrefix(id) || id.hasPrefix($0) }) {
            throw ActionError(.identity, doing, "it has no container \(id.escapedForDisplay)")
        }
        return pod.target
    }

    fileprivate func stillThere(_ target: Target) throws(ActionError) -> Target {
        let doing = "find \(target.key)"
        guard ended[target.key] == nil else { throw .gone(doing, "it has ended") }
        switch target {
        case .process(let identity):
            guard let process = processes[identity.pid], process.target == target, !hasEnded(process) else { throw .gone(doing, "it has ended") }
        case .container(let identity):
            guard containers[String(identity.id.prefix(12))] != nil else { throw .gone(doing, "no such container") }
        case .pod, .address, .host: break
        }
        return target
    }

    /// Those that descend from it, itself first.
    func tree(of pid: Int32) -> [DescribedWorld.Process] {
        var (found, next) = ([pid], 0)
        var children: [Int32: [Int32]] = [:]
        if hasLineage { for process in processes.values { if let parent = process.parent { children[parent, default: []].append(process.pid) } } }
        while next < found.count {
            for child in (children[found[next]] ?? []).sorted() where !found.contains(child) { found.append(child) }
            next += 1
        }
        return found.compactMap { processes[$0] }.filter { !hasEnded($0) }
    }
}

extension DescribedWorld.Process {
    /// In ticks of 10 ms, as a kernel counts them; 0 where no start is known.
    var target: Target {
        let ticks = start.map { UInt64(max(0, $0.nanoseconds / 10_000_000)) } ?? 0
        return .process(ProcessIdentity(pid: pid, startTicks: ticks, bootID: "described", startedAt: start ?? Timestamp(nanoseconds: 0), name: name))
    }
}

extension DescribedWorld.Container {
    var target: Target { .container(ContainerIdentity(id: id, name: name, image: image)) }
}

extension DescribedWorld.Pod {
    var target: Target { .pod(PodIdentity(namespace: namespace, name: name, uid: uid)) }
}
