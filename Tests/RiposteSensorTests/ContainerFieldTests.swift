import CRiposte
import RiposteCore
@testable import RiposteRules
@testable import RiposteSensor
import Testing

private let id = ByteText("5d1f28a0c3b7e94d6f80a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6")
private let sandboxID = "0c3b7e94d6f80a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f65d1f28a"
private let web = ContainerReference(fullID: id, runtime: .docker)

private final class KnownContainers: ContainerKnowledge {
    func prefetch(_ container: ContainerReference, beganAnew: Bool) {}

    private let facts: [ContainerReference: ContainerFacts]

    init(_ facts: [ContainerReference: ContainerFacts]) { self.facts = facts }

    func facts(of container: ContainerReference) -> ContainerFacts? { facts[container] }
}

private func facts(
    image: String = "registry:5000/shop/web:1.27", impliedTag: String = "", mounts: [ContainerFacts.Mount] = [], labels: [String: String] = [:],
    address: String? = "172.17.0.2"
) -> ContainerFacts {
    ContainerFacts(
        name: "web", image: image, impliedTag: impliedTag, imageID: "0123abcd", imageDigest: "sha256:feed", isPrivileged: true, sharesHostPID: false,
        sharesHostNetwork: true, sharesHostIPC: false, mounts: mounts, labels: labels, address: address, startedAt: Timestamp(nanoseconds: 900))
}

private let mounts = [
    ContainerFacts.Mount(source: "/var/lib/data", destination: "/data", mode: "z", isWritable: true, propagation: "rprivate"),
    ContainerFacts.Mount(source: "/proc", destination: "/host/proc", mode: "", isWritable: false, propagation: "rslave"),
    ContainerFacts.Mount(source: "/root/.ssh", destination: "/keys", mode: "ro", isWritable: false, propagation: ""),
]

private let podLabels = [
    "io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "3e41", "io.kubernetes.sandbox.id": sandboxID, "own": "1",
]

/// One event of one process.
private struct Scene {
    private let world: SensorWorld
    private let event: SensorEvent
    private let record: UnsafeMutableRawBufferPointer

    init(_ container: ContainerReference?, _ known: [ContainerReference: ContainerFacts] = [:], namespaceInitStart: UInt64 = 0) throws {
        world = SensorWorld(processes: ProcessTable(), containers: KnownContainers(known), accounts: AccountTable(), wallOffset: 1000)
        event = SensorEvent(world)
        record = .allocate(byteCount: MemoryLayout<riposte_event>.size, alignment: 8)
        record.initializeMemory(as: UInt8.self, repeating: 0)
        var header = riposte_event()
        (header.size, header.version, header.kind) = (UInt32(record.count), UInt16(RIPOSTE_WIRE_VERSION), UInt8(RIPOSTE_EVENT_SYSCALL.rawValue))
        record.storeBytes(of: header, as: riposte_event.self)
        let process = container.map { container in
            let comm = UnsafeRawBufferPointer(start: nil, count: 0)
            var details = ProcessDetails(image: ProcessImage(comm: comm))
            details.container = container
            let process = ProcessEntry(pid: 4_000_042, start: 7, comm: comm, details: details)
            process.namespaceInitStart = namespaceInitStart
            return process
        }
        event.take(try #require(SensorRecord(UnsafeRawBufferPointer(record))), .other, nil, process: process, at: Timestamp(nanoseconds: 5000))
    }

    func end() { record.deallocate() }

    var lacksFacts: Bool { event.lacksContainerFacts }

    /// As text; nil for absent.
    subscript(field: String) -> String? {
        let bracket = field.firstIndex(of: "[")
        guard let description = FieldCatalogue.description(named: String(field[..<(bracket ?? field.endIndex)])) else { return "no such field" }
        let key = bracket.map { Array(field[field.index(after: $0)...].dropLast().utf8) }
        let arena = FieldArena()
        return withExtendedLifetime(arena) {
            Array(field.utf8).withUnsafeBytes { text in
                (key ?? []).withUnsafeBytes { keyBytes in
                    let argument: EventField.Argument = key == nil ? .none : .key(keyBytes)
                    let value = event.value(of: EventField(id: description.id, argument: argument, type: description.type, text: text), in: arena)
                    guard !value.isAbsent else { return nil }
                    var bytes: [UInt8] = []
                    value.append(to: &bytes)
                    return String(decoding: bytes, as: UTF8.self)
                }
            }
        }
    }
}

struct ContainerFieldTests {
    private func check(_ scene: Scene, _ expected: [(String, String?)], _ place: SourceLocation = #_sourceLocation) {
        for (field, value) in expected { #expect(scene[field] == value, "\(field)", sourceLocation: place) }
        scene.end()
    }

    @Test("every field of containers and pods that is not deprecated is known")
    func coverage() {
        let names = FieldCatalogue.all.filter { $0.source == "syscall" && !$0.isDeprecated && ($0.name.hasPrefix("container.") || $0.name.hasPrefix("k8s.")) }.map(\.name)
        #expect(names.count > 30)
        for name in names { #expect(ContainerField(rawValue: name) != nil, "\(name)") }
    }

    @Test("without a process nothing is known")
    func noProcess() throws { check(try Scene(nil), [("container.id", nil), ("container.name", nil), ("container.start_ts", nil)]) }

    @Test("the host")
    func host() throws {
        check(
            try Scene(.host, namespaceInitStart: 0),
            [
                ("container.id", "host"), ("container.full_id", "host"), ("container.name", "host"), ("container.type", "host"), ("container.image", ""),
                ("container.image.repository", ""), ("container.image.tag", ""), ("container.image.digest", ""), ("container.privileged", "false"),
                ("container.host_network", "false"), ("container.mounts", ""), ("container.mount.dest[/proc]", nil), ("container.labels", ""),
                ("container.label[a]", nil), ("container.start_ts", nil), ("container.duration", nil), ("k8s.pod.name", nil), ("k8s.ns.name", nil), ("k8s.pod.labels", nil),
                ("k8s.pod.ip", nil), ("k8s.pod.sandbox_id", nil),
            ])
    }

    @Test("a container of which the runtime has not told yet")
    func pending() throws {
        let scene = try Scene(web, namespaceInitStart: 500)
        #expect(scene.lacksFacts)
        check(
            scene,
            [
                ("container.id", "5d1f28a0c3b7"), ("container.full_id", id.repaired), ("container.type", "docker"), ("container.start_ts", "1500"),
                ("container.duration", "3500"), ("container.name", nil), ("container.image", nil), ("container.image.repository", nil), ("container.privileged", nil),
                ("container.mounts", nil), ("container.mount.dest[/proc]", nil), ("container.labels", nil), ("k8s.pod.name", nil),
            ])
    }

    @Test("a container that is known")
    func known() throws {
        let scene = try Scene(web, [web: facts(mounts: mounts, labels: ["b": "2", "a": "1", "empty": "", "io.kubernetes.x": "y", "annotation.z": "w"])])
        #expect(!scene.lacksFacts)
        check(
            scene,
            [
                ("container.id", "5d1f28a0c3b7"), ("container.name", "web"), ("container.image", "registry:5000/shop/web:1.27"),
                ("container.image.repository", "registry:5000/shop/web"), ("container.image.tag", "1.27"), ("container.image.id", "0123abcd"),
                ("container.image.digest", "sha256:feed"), ("container.privileged", "true"), ("container.host_pid", "false"), ("container.host_network", "true"),
                ("container.host_ipc", "false"), ("container.ip", "172.17.0.2"), ("container.cni.json", nil), ("container.labels", "a:1, b:2, empty"),
                ("container.label[b]", "2"), ("container.label[io.kubernetes.x]", "y"), ("container.label[c]", nil), ("container.label[]", nil),
                ("container.start_ts", "900"), ("k8s.pod.name", nil), ("k8s.pod.ip", nil),
            ])
        #expect(try !Scene(.host).lacksFacts && !Scene(nil).lacksFacts)
    }

    @Test(
        "image references are taken apart",
        arguments: [
            ("busybox", "", "busybox", ""), ("busybox", "latest", "busybox", "latest"), ("busybox:1.36", "latest", "busybox", "1.36"),
            ("registry:5000/a/b", "", "registry:5000/a/b", ""), ("registry:5000/a/b:t", "", "registry:5000/a/b", "t"),
            ("a/b:t@sha256:feed", "", "a/b", "t"), ("a/b@sha256:feed", "latest", "a/b", ""), ("registry:5000/b@sha256:feed", "", "registry:5000/b", ""),
            ("sha256:0123456789abcdef", "", "", ""), ("", "", "", ""), (":", "", "", ""), ("a/", "", "a/", ""), ("a:b/c", "", "a:b/c", ""),
        ])
    func images(_ image: String, _ impliedTag: String, _ repository: String, _ tag: String) throws {
        check(
            try Scene(web, [web: facts(image: image, impliedTag: impliedTag)]),
            [("container.image", image), ("container.image.repository", repository), ("container.image.tag", tag)])
    }

    @Test("mounts, all and one")
    func oneMount() throws {
        check(
            try Scene(web, [web: facts(mounts: mounts)]),
            [
                ("container.mounts", "/var/lib/data:/data:z:true:rprivate,/proc:/host/proc::false:rslave,/root/.ssh:/keys:ro:false:"),
                ("container.mount[0]", "/var/lib/data:/data:z:true:rprivate"), ("container.mount[3]", nil), ("container.mount[99999999999999999999]", nil),
                ("container.mount.dest[1]", "/host/proc"), ("container.mount.dest[7]", "N/A"),
                ("container.mount.dest[/proc*]", "/host/proc"), ("container.mount.dest[/root*]", "/keys"), ("container.mount.dest[/etc]", "N/A"),
                ("container.mount.dest[^/var]", "/data"), ("container.mount.dest[^/lib]", "N/A"), ("container.mount.dest[lib.*a$]", "/data"),
                ("container.mount.dest[(]", "N/A"), ("container.mount.dest[*]", "N/A"), ("container.mount.source[/host]", "/proc"), ("container.mount.source[/proc$]", "/proc"),
                ("container.mount.source[/nowhere]", nil), ("container.mount.mode[/var]", "z"), ("container.mount.mode[/proc]", ""),
                ("container.mount.rdwr[/var]", "true"), ("container.mount.rdwr[/proc]", "false"), ("container.mount.propagation[/proc]", "rslave"),
                ("container.mount.propagation[/etc]", nil),
            ])
        check(try Scene(web, [web: facts()]), [("container.mounts", ""), ("container.mount.dest[/proc*]", "N/A"), ("container.mount[0]", nil)])
    }

    @Test("a container of a pod")
    func pod() throws {
        let sandbox = ContainerReference(fullID: ByteText(sandboxID), runtime: .docker)
        let sandboxFacts = facts(
            labels: ["io.kubernetes.pod.name": "web-1", "io.kubernetes.docker.type": "podsandbox", "app": "web", "tier": "front"], address: "10.0.0.9")
        check(
            try Scene(web, [web: facts(labels: podLabels, address: nil), sandbox: sandboxFacts]),
            [
                ("k8s.pod.name", "web-1"), ("k8s.ns.name", "shop"), ("k8s.pod.uid", "3e41"), ("k8s.pod.id", "3e41"), ("k8s.pod.sandbox_id", "0c3b7e94d6f8"),
                ("k8s.pod.full_sandbox_id", sandboxID), ("k8s.pod.label[app]", "web"), ("k8s.pod.label[own]", nil), ("k8s.pod.labels", "app:web, tier:front"),
                ("k8s.pod.ip", "10.0.0.9"), ("k8s.pod.cni.json", nil), ("container.label[own]", "1"), ("container.ip", ""),
            ])
        check(
            try Scene(web, [web: facts(labels: podLabels)]),
            [("k8s.pod.name", "web-1"), ("k8s.pod.labels", nil), ("k8s.pod.label[app]", nil), ("k8s.pod.ip", "172.17.0.2")])
        check(
            try Scene(sandbox, [sandbox: sandboxFacts]),
            [("k8s.pod.sandbox_id", "0c3b7e94d6f8"), ("k8s.pod.label[app]", "web"), ("k8s.pod.ip", "10.0.0.9"), ("k8s.ns.name", nil)])
    }

    @Test("a container that is called host is not taken for it")
    func calledHost() throws {
        check(try Scene(ContainerReference(fullID: "host", runtime: .lxc)), [("container.id", "lxc:host"), ("container.type", "lxc"), ("container.name", nil)])
    }
}
