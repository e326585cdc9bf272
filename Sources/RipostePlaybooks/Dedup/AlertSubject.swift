internal import Crypto
package import RiposteCore

/// What an alert is about, gathered in one pass over its fields: enough to tell whether two alerts tell the same fact, and whether they belong together.
///
/// Two sources see one event with slightly different fields and times, so nothing here is taken whole: a process is its pid with the time at which it
/// began, a container the first twelve digits of its id, which all sources have.
package struct AlertSubject: Sendable, Equatable {
    package private(set) var pid: Int64?
    /// `proc.pid.ts`
    package private(set) var started: Timestamp?
    package private(set) var container: ByteText?
    package private(set) var pod: ByteText?
    /// `proc.ppid.ts`
    package private(set) var parentStarted: Timestamp?
    /// Pids of ancestors, the parent first.
    package private(set) var ancestors: [Int64] = []
    /// The session's leader.
    package private(set) var session: Int64?
    private var file: ByteText?
    private var auditID: ByteText?
    private var podNamespace: ByteText?
    private var podName: ByteText?
    private var podUID: ByteText?

    package init(_ fields: JSONObject) {
        for member in fields.members { take(member) }
        if let podUID { pod = podUID } else if let podNamespace, let podName { pod = ByteText(podNamespace.bytes + [UInt8(ascii: "/")] + podName.bytes) }
    }

    private mutating func take(_ member: JSONObject.Member) {
        let key = member.key.bytes
        // proc., container., k8s., ka., fd.
        guard let first = key.first, first == UInt8(ascii: "p") || first == UInt8(ascii: "c") || first == UInt8(ascii: "k") || first == UInt8(ascii: "f") else { return }
        switch member.key {
        case "proc.pid": pid = member.value.wholeNumber
        case "proc.pid.ts": started = member.value.wholeNumber.map(Timestamp.init(nanoseconds:))
        case "proc.ppid.ts": parentStarted = member.value.wholeNumber.map(Timestamp.init(nanoseconds:))
        case "proc.ppid": if let pid = member.value.wholeNumber { ancestors.insert(pid, at: 0) }
        case "proc.sid": session = member.value.wholeNumber.flatMap { $0 > 1 ? $0 : nil }
        case "container.id": container = member.value.presentText.flatMap { $0 == "host" ? nil : ByteText(Array($0.bytes.prefix(12))) }
        case "k8s.pod.uid": podUID = member.value.presentText
        case "k8s.ns.name", "ka.target.namespace": podNamespace = member.value.presentText
        case "k8s.pod.name", "ka.target.pod.name": podName = member.value.presentText
        case "ka.auditid": auditID = member.value.presentText
        case "fd.name": file = member.value.presentText
        default:
            // proc.apid[2] and further ones.
            guard key.starts(with: Array("proc.apid[".utf8)), ancestors.count < 32, let pid = member.value.wholeNumber else { return }
            ancestors.append(pid)
        }
    }

    // MARK: - The same fact

    /// The name of the fact for one playbook: what it goes by, without the times, which differ from source to source.
    func key(_ alert: Alert, _ dedup: Dedup, for playbook: Playbook) -> String {
        var parts: [ByteText] = [ByteText(playbook.name)]
        for name in dedup.by {
            parts.append(ByteText(name))
            switch name {
            case "rule": parts.append(alert.rule)
            case "target":
                parts += target(alert)
                // An address to block is a target too, and whatever else a deed is made of: told of another one, nobody has answered it.
                for field in playbook.deedFields { parts += [field, alert[field: field].map { ByteText($0.bytes) } ?? ""] }
            default: parts.append(alert[field: ByteText(name)].map { ByteText($0.bytes) } ?? "")
            }
        }
        return Self.digest(parts)
    }

    private func target(_ alert: Alert) -> [ByteText] {
        var parts = [alert.hostname ?? ""]
        if let pid { parts += ["pid", ByteText("\(pid)")] }
        if let container { parts += ["container", container] } else if pid == nil, let pod { parts += ["pod", pod] }
        if let file { parts += ["file", file] }
        if let auditID { parts += ["audit", auditID] }
        // Who is meant is not said: then all that is said is the fact.
        if pid == nil, container == nil, pod == nil, auditID == nil { parts += [alert.output ?? "", alert[field: "proc.cmdline"].map { ByteText($0.bytes) } ?? ""] }
        return parts
    }

    /// 128 bits of SHA-256: whoever writes alerts must not be able to make one look like another.
    static func digest(_ parts: [ByteText]) -> String {
        var hash = SHA256()
        for part in parts {
            hash.update(data: Array("\(part.bytes.count):".utf8))
            hash.update(data: part.bytes)
        }
        return hash.finalize().prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension Threshold {
    /// The name of what is counted together. Alerts of sources that are not trusted count among themselves.
    func key(_ alert: Alert, for playbook: String) -> String {
        AlertSubject.digest(
            [ByteText(playbook), ByteText(alert.arrival.trust.rawValue)] + by.flatMap { [ByteText($0), alert[field: ByteText($0)].map { ByteText($0.bytes) } ?? ""] })
    }
}

extension JSON {
    /// A text that is there: not empty, and not what Falco writes for nothing.
    fileprivate var presentText: ByteText? { string.flatMap { $0.isEmpty || $0 == "<NA>" ? nil : $0 } }
    fileprivate var wholeNumber: Int64? { integer ?? string?.valid.flatMap { Int64($0) } }
}
