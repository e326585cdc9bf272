package import RiposteCore

/// What the engine says of one container: of `GET /containers/{id}/json` the parts that decide something.
struct ContainerState: Sendable, Equatable {
    var id: String
    var name: String
    var image: String
    var status: String
    var isRunning: Bool
    var isPaused: Bool
    /// Its last run is over, and its restart policy will start another one.
    var isRestarting: Bool
    /// Of its first process, on the host; 0 when it does not run.
    var pid: Int32
    var startedAt: Timestamp?
    /// Of its last run; nil: it has not ended yet.
    var finishedAt: Timestamp?
    var restartPolicy: String
    var networkMode: String
    /// The file of the network namespace that the engine made for it.
    var sandbox: String?
    /// Of all its networks.
    var gateways: [IPAddress]
    /// Whether some network gave it an address.
    var hasAddress: Bool
    var isAutoRemoved: Bool
    var isPrivileged: Bool
    var labels: [String: String]
    /// The image's or the container's own; nil: TERM.
    var stopSignal: String?

    /// The container in whose network it is, as the engine names it.
    var networkOwner: String? { networkMode.hasPrefix("container:") ? String(networkMode.dropFirst(10)) : nil }

    var identity: ContainerIdentity { ContainerIdentity(id: id, name: name, image: image) }

    init?(json: JSON) {
        func text(_ json: JSON?, _ key: ByteText) -> String? { json?[key]?.string?.repaired }
        guard let id = text(json, "Id"), let state = json["State"], id.utf8.count == 64 else { return nil }
        let config = json["Config"]
        let host = json["HostConfig"]
        self.id = id
        name = String(text(json, "Name")?.drop { $0 == "/" } ?? "")
        image = text(config, "Image") ?? ""
        status = text(state, "Status") ?? ""
        isRunning = state["Running"]?.bool ?? false
        isPaused = state["Paused"]?.bool ?? false
        isRestarting = state["Restarting"]?.bool ?? false
        pid = state["Pid"]?.integer.flatMap(Int32.init(exactly:)) ?? 0
        startedAt = text(state, "StartedAt").flatMap { Timestamp($0) }
        // The engine writes year 1 for never.
        finishedAt = text(state, "FinishedAt").flatMap { $0.hasPrefix("0001") ? nil : Timestamp($0) }
        restartPolicy = text(host?["RestartPolicy"], "Name") ?? ""
        networkMode = text(host, "NetworkMode") ?? ""
        sandbox = text(json["NetworkSettings"], "SandboxKey").flatMap { $0.isEmpty ? nil : $0 }
        let networks = json["NetworkSettings"]?["Networks"]?.object?.members.map(\.value) ?? []
        gateways = networks.flatMap { [text($0, "Gateway"), text($0, "IPv6Gateway")] }.compactMap { $0.flatMap { IPAddress($0) } }
        hasAddress = networks.contains { network in [text(network, "IPAddress"), text(network, "GlobalIPv6Address")].contains { $0?.isEmpty == false } }
        isAutoRemoved = host?["AutoRemove"]?.bool ?? false
        isPrivileged = host?["Privileged"]?.bool ?? false
        stopSignal = text(config, "StopSignal").flatMap { $0.isEmpty ? nil : $0 }
        labels = Dictionary(
            config?["Labels"]?.object?.members.compactMap { member in member.value.string.map { (member.key.repaired, $0.repaired) } } ?? [],
            uniquingKeysWith: { first, _ in first })
    }

    /// For the journal. Never the environment, which holds secrets.
    var facts: JSONObject {
        var facts: JSONObject = [
            "status": .text(status), "pid": .integer(Int64(pid)), "restart_policy": .text(restartPolicy), "network_mode": .text(networkMode),
            "privileged": .bool(isPrivileged), "auto_remove": .bool(isAutoRemoved),
        ]
        facts.append("started_at", startedAt.map { .text("\($0)") })
        facts.append("labels", .object(JSONObject(labels.sorted { $0.key < $1.key }.map { .init(key: ByteText($0.key), value: .text($0.value)) })))
        return facts
    }
}

/// One line of `GET /containers/json`.
package struct ContainerListing: Sendable, Equatable {
    package var id: String
    package var name: String
    package var image: String
    package var status: String
    package var state: String
    package var labels: [String: String]

    init?(json: JSON) {
        labels = Dictionary((json["Labels"]?.object?.members ?? []).map { ($0.key.repaired, $0.value.string?.repaired ?? "") }, uniquingKeysWith: { first, _ in first })
        guard let id = json["Id"]?.string?.valid else { return nil }
        self.id = id
        name = json["Names"]?.array?.first?.string.map { String($0.repaired.drop { $0 == "/" }) } ?? ""
        image = json["Image"]?.string?.repaired ?? ""
        status = json["Status"]?.string?.repaired ?? ""
        state = json["State"]?.string?.repaired ?? ""
    }

    package var json: JSON {
        ["id": .text(id), "name": .text(name), "image": .text(image), "state": .text(state), "status": .text(status)]
    }
}
