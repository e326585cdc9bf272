internal import RiposteCore
internal import RiposteRules

/// `container.*`, `k8s.*` of system call events (spec: fields.md, "Container and Kubernetes").
enum ContainerField: String {
    case id = "container.id"
    case fullID = "container.full_id"
    case name = "container.name"
    case type = "container.type"
    case image = "container.image"
    case imageRepository = "container.image.repository"
    case imageTag = "container.image.tag"
    case imageID = "container.image.id"
    case imageDigest = "container.image.digest"
    case isPrivileged = "container.privileged"
    case sharesHostPID = "container.host_pid"
    case sharesHostNetwork = "container.host_network"
    case sharesHostIPC = "container.host_ipc"
    case mounts = "container.mounts"
    case mount = "container.mount"
    case mountSource = "container.mount.source"
    case mountDestination = "container.mount.dest"
    case mountMode = "container.mount.mode"
    case mountIsWritable = "container.mount.rdwr"
    case mountPropagation = "container.mount.propagation"
    case label = "container.label"
    case labels = "container.labels"
    case address = "container.ip"
    /// No runtime that is asked tells of these; they are absent.
    case networkPlugin = "container.cni.json"
    case podNetworkPlugin = "k8s.pod.cni.json"
    case startTime = "container.start_ts"
    case duration = "container.duration"
    case podName = "k8s.pod.name"
    case namespace = "k8s.ns.name"
    case podUID = "k8s.pod.uid"
    case podID = "k8s.pod.id"
    case sandboxID = "k8s.pod.sandbox_id"
    case fullSandboxID = "k8s.pod.full_sandbox_id"
    case podLabel = "k8s.pod.label"
    case podLabels = "k8s.pod.labels"
    case podAddress = "k8s.pod.ip"
}

extension SensorEvent {
    /// Of a process in a container: its control group, as the kernel has it.
    package var containerCgroup: UnsafeRawBufferPointer? { process.flatMap { $0.container.isHost ? nil : $0.cgroupPath } }

    /// Whether the process is in a container of which nothing is known yet: an alert of it lacks what the runtime would have told.
    package var lacksContainerFacts: Bool {
        guard let container = process?.container, !container.isHost else { return false }
        return world.containers.facts(of: container) == nil
    }

    /// What is known from the kernel alone (id, type, times) is there at once; the rest is absent until the runtime has answered. Texts are copied into
    /// the arena: facts may be replaced at any time by another thread.
    func containerValue(_ known: ContainerField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard let process else { return .absent }
        switch known {
        case .startTime: return startOfContainer(process).map { .integer($0.nanoseconds) } ?? .absent
        case .duration: return startOfContainer(process).map { .integer(time.nanoseconds &- $0.nanoseconds) } ?? .absent
        default: break
        }
        let container = process.container
        if container.isHost { return Self.hostValue(known, arena) }
        switch known {
        case .id: return Self.shortID(container, arena)
        case .fullID: return arena.copy(container.fullID.bytes)
        case .type: return Self.type(container.runtime, arena)
        default: break
        }
        guard let facts = world.containers.facts(of: container) else { return .absent }
        return switch known {
        case .isPrivileged: .bool(facts.isPrivileged)
        case .sharesHostPID: .bool(facts.sharesHostPID)
        case .sharesHostNetwork: .bool(facts.sharesHostNetwork)
        case .sharesHostIPC: .bool(facts.sharesHostIPC)
        case .mount, .mountSource, .mountDestination, .mountMode, .mountIsWritable, .mountPropagation: Self.mountValue(known, field, facts.texts, arena)
        case .podName, .namespace, .podUID, .podID, .sandboxID, .fullSandboxID, .podLabel, .podLabels, .podAddress: podValue(known, field, facts, container, arena)
        default: Self.text(known, field, facts.texts).map { arena.copy($0) } ?? .absent
        }
    }

    /// A process in no container has the values of one called `host`, but for the pod's.
    private static func hostValue(_ known: ContainerField, _ arena: FieldArena) -> FieldView {
        switch known {
        case .id, .fullID, .name, .type: arena.text("host")
        case .image, .imageRepository, .imageTag, .imageID, .imageDigest, .mounts, .labels, .address: arena.text("")
        case .isPrivileged, .sharesHostPID, .sharesHostNetwork, .sharesHostIPC: .bool(false)
        default: .absent
        }
    }

    /// A container that somebody named `host` is not the host: its runtime stands before its name.
    private static func shortID(_ container: ContainerReference, _ arena: FieldArena) -> FieldView {
        guard container.fullID == "host" else { return arena.copy(container.fullID.bytes, first: 12) }
        return arena.copy(Array("\(container.runtime.rawValue):host".utf8))
    }

    private static func type(_ runtime: ContainerReference.Runtime, _ arena: FieldArena) -> FieldView {
        switch runtime {
        case .host: arena.text("host")
        case .docker: arena.text("docker")
        case .podman: arena.text("podman")
        case .containerd: arena.text("containerd")
        case .crio: arena.text("cri-o")
        case .lxc: arena.text("lxc")
        case .libvirt: arena.text("libvirt-lxc")
        case .bpm: arena.text("bpm")
        case .static_: arena.text("static")
        }
    }

    private static func text(_ known: ContainerField, _ field: EventField, _ texts: ContainerTexts) -> [UInt8]? {
        switch known {
        case .name: texts.name
        case .image: texts.image
        case .imageRepository: texts.repository
        case .imageTag: texts.tag
        case .imageID: texts.imageID
        case .imageDigest: texts.imageDigest
        case .mounts: texts.allMounts
        case .labels: texts.allLabels
        case .address: texts.address
        case .label: field.key.flatMap(texts.label)
        default: nil
        }
    }

    /// When the first process of the pid namespace started; where the kernel's word is missing, when the runtime says it did.
    private func startOfContainer(_ process: ProcessEntry) -> Timestamp? {
        let start = world.processes.namespaceInitStart(of: process)
        if start != 0 { return world.wallTime(start) }
        return process.container.isHost ? nil : world.containers.facts(of: process.container)?.startedAt
    }

    // MARK: - Mounts

    /// Of a container without such a mount `container.mount.dest` is the text `N/A`, which upstream's rules test for; the others are absent.
    private static func mountValue(_ known: ContainerField, _ field: EventField, _ texts: ContainerTexts, _ arena: FieldArena) -> FieldView {
        guard let argument = field.key else { return .absent }
        guard let mount = texts.mount(argument, by: known == .mountSource ? \.destination : \.source) else {
            return known == .mountDestination ? arena.text("N/A") : .absent
        }
        return switch known {
        case .mountSource: arena.copy(mount.source)
        case .mountDestination: arena.copy(mount.destination)
        case .mountMode: arena.copy(mount.mode)
        case .mountIsWritable: mount.isWritable ? arena.text("true") : arena.text("false")
        case .mountPropagation: arena.copy(mount.propagation)
        default: arena.copy(mount.whole)
        }
    }

    // MARK: - Pods

    private func podValue(
        _ known: ContainerField, _ field: EventField, _ facts: ContainerFacts, _ container: ContainerReference, _ arena: FieldArena
    ) -> FieldView {
        guard let pod = facts.texts.pod else { return .absent }
        let bytes: [UInt8]? =
            switch known {
            case .podName: pod.name
            case .namespace: pod.namespace
            case .podUID, .podID: pod.uid
            case .sandboxID: (pod.sandboxID?.bytes ?? (pod.isSandbox ? container.fullID.bytes : nil)).map { Array($0.prefix(12)) }
            case .fullSandboxID: pod.sandboxID?.bytes ?? (pod.isSandbox ? container.fullID.bytes : nil)
            case .podLabel: field.key.flatMap { key in sandbox(of: pod, facts, container)?.texts.label(key) }
            case .podLabels: sandbox(of: pod, facts, container)?.texts.allLabels
            case .podAddress: address(of: pod, facts, container)
            default: nil
            }
        return bytes.map { arena.copy($0) } ?? .absent
    }

    /// The pod's own labels and address are those of its sandbox.
    private func sandbox(of pod: ContainerTexts.Pod, _ facts: ContainerFacts, _ container: ContainerReference) -> ContainerFacts? {
        if pod.isSandbox { return facts }
        return pod.sandboxID.flatMap { world.containers.facts(of: ContainerReference(fullID: $0, runtime: container.runtime)) }
    }

    private func address(of pod: ContainerTexts.Pod, _ facts: ContainerFacts, _ container: ContainerReference) -> [UInt8]? {
        if let address = sandbox(of: pod, facts, container)?.texts.address, !address.isEmpty { return address }
        return facts.texts.address
    }
}

extension EventField {
    /// What stands in brackets, as it was written.
    fileprivate var key: UnsafeRawBufferPointer? { if case .key(let bytes) = argument { bytes } else { nil } }
}

extension FieldArena {
    fileprivate func copy(_ bytes: [UInt8], first count: Int = .max) -> FieldView {
        let memory = allocate(bytes: min(bytes.count, count), alignment: 1)
        bytes.withUnsafeBytes { memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<memory.count])) }
        return .text(UnsafeRawBufferPointer(memory))
    }
}
