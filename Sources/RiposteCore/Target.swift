/// A process that cannot be confused with another: the pid, when it started, and in which boot.
package struct ProcessIdentity: Hashable, Sendable {
    package var pid: Int32
    /// Field 22 of `/proc/PID/stat`: clock ticks (10 ms on every Linux that we meet) since boot.
    package var startTicks: UInt64
    /// `/proc/sys/kernel/random/boot_id`.
    package var bootID: String
    /// What `startTicks` is on the wall clock, good to a tick and whatever the clock was set since; for people.
    package var startedAt: Timestamp
    /// The name that the kernel shows (comm), for people: it proves nothing.
    package var name: ByteText

    package init(pid: Int32, startTicks: UInt64, bootID: String, startedAt: Timestamp, name: ByteText) {
        self.pid = pid
        self.startTicks = startTicks
        self.bootID = bootID
        self.startedAt = startedAt
        self.name = name
    }
}

/// A container by its full id (64 hexadecimal digits); name and image are for people.
package struct ContainerIdentity: Hashable, Sendable {
    package var id: String
    package var name: String
    package var image: String

    package init(id: String, name: String, image: String) {
        self.id = id
        self.name = name
        self.image = image
    }
}

/// A pod by its UID: another pod may come under the same namespace and name.
package struct PodIdentity: Hashable, Sendable {
    package var namespace: String
    package var name: String
    package var uid: String

    package init(namespace: String, name: String, uid: String) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }
}

/// What an action touches, proved to be the one that was meant.
package enum Target: Hashable, Sendable {
    case process(ProcessIdentity)
    case container(ContainerIdentity)
    case pod(PodIdentity)
    case address(IPNetwork)
    /// This host, by `/etc/machine-id`.
    case host(machineID: String)

    /// The part that tells targets apart, without what is only for people: one lane, one cool-down, one budget per key.
    package var key: String {
        switch self {
        case .process(let process): "process:\(process.pid)@\(process.startTicks)"
        case .container(let container): "container:\(container.id)"
        case .pod(let pod): "pod:\(pod.uid)"
        case .address(let network): "address:\(network)"
        case .host: "host"
        }
    }

    /// For people, on one line.
    package var summary: String {
        switch self {
        case .process(let process): "process \(process.pid) (\(process.name.shown))"
        case .container(let container): "container \(container.name.escapedForDisplay) (\(container.id.prefix(12)))"
        case .pod(let pod): "pod \(pod.namespace)/\(pod.name)"
        case .address(let network): "address \(network)"
        case .host: "this host"
        }
    }

    package var json: JSON {
        switch self {
        case .process(let process):
            [
                "kind": "process", "pid": .integer(Int64(process.pid)), "start_ticks": .integer(Int64(clamping: process.startTicks)),
                "boot_id": .text(process.bootID), "started_at": .text("\(process.startedAt)"), "name": .string(process.name),
            ]
        case .container(let container):
            ["kind": "container", "id": .text(container.id), "name": .text(container.name), "image": .text(container.image)]
        case .pod(let pod):
            ["kind": "pod", "namespace": .text(pod.namespace), "name": .text(pod.name), "uid": .text(pod.uid)]
        case .address(let network):
            ["kind": "address", "address": .text("\(network)")]
        case .host(let machineID):
            ["kind": "host", "machine_id": .text(machineID)]
        }
    }

    /// Reads ``json`` back, as replaying the journal needs; nil where it is something else.
    package init?(json: JSON) {
        func text(_ key: ByteText) -> String? { json[key]?.string?.valid }
        switch text("kind") {
        case "process":
            guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)),
                let ticks = json["start_ticks"]?.integer.flatMap(UInt64.init(exactly:)),
                let bootID = text("boot_id"), let startedAt = text("started_at").flatMap({ Timestamp($0) }), let name = json["name"]?.string
            else { return nil }
            self = .process(ProcessIdentity(pid: pid, startTicks: ticks, bootID: bootID, startedAt: startedAt, name: name))
        case "container":
            guard let id = text("id"), let name = text("name"), let image = text("image") else { return nil }
            self = .container(ContainerIdentity(id: id, name: name, image: image))
        case "pod":
            guard let namespace = text("namespace"), let name = text("name"), let uid = text("uid") else { return nil }
            self = .pod(PodIdentity(namespace: namespace, name: name, uid: uid))
        case "address":
            guard let network = text("address").flatMap({ IPNetwork($0) }) else { return nil }
            self = .address(network)
        case "host":
            guard let machineID = text("machine_id") else { return nil }
            self = .host(machineID: machineID)
        default: return nil
        }
    }
}
