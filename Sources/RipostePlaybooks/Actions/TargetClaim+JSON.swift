package import RiposteCore

/// Claims on their way over the control socket, from an operator's command to the agent.
extension TargetClaim {
    package var json: JSON {
        switch self {
        case .process(let claim):
            var object: JSONObject = ["kind": "process", "pid": .integer(Int64(claim.pid))]
            object.append("started_at", claim.startedAt.map { .text("\($0)") })
            return .object(object)
        case .container(let claim): return ["kind": "container", "reference": .text(claim.reference)]
        case .pod(let claim):
            var object: JSONObject = ["kind": "pod", "namespace": .text(claim.namespace), "name": .text(claim.name)]
            object.append("uid", claim.uid.map(JSON.text))
            return .object(object)
        case .address(let network): return ["kind": "address", "address": .text("\(network)")]
        case .host: return ["kind": "host"]
        case .proved(let target): return ["kind": "proved", "target": target.json]
        }
    }

    /// Reads what an operator may claim; second proofs that only alerts carry are not among it. A member that is not known or makes no sense spoils all of it:
    /// left out it would be a proof that is not asked for.
    package init?(json: JSON) {
        let keys: [ByteText: Set<ByteText>] = [
            "process": ["pid", "started_at"], "container": ["reference"], "pod": ["namespace", "name", "uid"], "address": ["address"], "host": [],
        ]
        guard let members = json.object?.members, let kind = json["kind"]?.string, let known = keys[kind],
            members.allSatisfy({ $0.key == "kind" || known.contains($0.key) })
        else { return nil }
        func text(_ key: ByteText) -> String? { json[key]?.string?.valid }
        switch kind {
        case "process":
            guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)) else { return nil }
            guard let member = json["started_at"] else {
                self = .process(ProcessClaim(pid: pid))
                return
            }
            guard let time = member.string?.valid.flatMap({ Timestamp($0) }) else { return nil }
            self = .process(ProcessClaim(pid: pid, startedAt: time))
        case "container":
            guard let reference = text("reference"), !reference.isEmpty else { return nil }
            self = .container(ContainerClaim(reference: reference))
        case "pod":
            guard let namespace = text("namespace"), let name = text("name"), json["uid"] == nil || text("uid") != nil else { return nil }
            self = .pod(PodClaim(namespace: namespace, name: name, uid: text("uid")))
        case "address":
            guard let network = text("address").flatMap({ IPNetwork($0) }) else { return nil }
            self = .address(network)
        default: self = .host
        }
    }
}
