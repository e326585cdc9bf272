internal import RiposteCore

/// By what an alert finds its incident: what it stands for itself, and by whom it could belong to another's.
struct IncidentKeys: Sendable, Equatable {
    struct Key: Sendable, Equatable {
        var name: String
        /// Of a process: when it began, where that is known. The proof that a pid has not come round.
        var started: Timestamp?
    }

    /// What is remembered of the alert: its process, its session, its container, its pod.
    let own: [Key]
    /// What is looked for, the surest first: the same, and its ancestors.
    let sought: [Key]

    /// An alert that names nobody is kept together with others of its rule.
    init(_ subject: AlertSubject, rule: ByteText, host: ByteText?) {
        var own: [Key] = []
        func cut(_ text: ByteText, limit: Int) -> String { ByteText(Array(text.bytes.prefix(limit))).shown }
        func name(_ kind: String, _ text: ByteText, limit: Int) -> String { "\(kind):\(cut(text, limit: limit))" }
        // Numbers, and rules, are the same on every host, and one agent may hear of many.
        let place = host.map { " on \(cut($0, limit: 255))" } ?? ""
        if let container = subject.container { own.append(Key(name: name("container", container, limit: 12))) }
        if let pod = subject.pod { own.append(Key(name: name("pod", pod, limit: 320))) }
        if let pid = subject.pid, pid > 1 { own.append(Key(name: "process:\(pid)\(place)", started: subject.started)) }
        // Sessions are numbered as the process sees them: within a container by the container's own pids.
        if subject.container == nil, let session = subject.session { own.append(Key(name: "session:\(session)\(place)")) }
        if own.isEmpty { own = [Key(name: name("rule", rule, limit: 128) + place)] }
        self.own = own
        sought =
            own
            + subject.ancestors.enumerated().filter { $0.element > 2 }.map { entry in
                Key(name: "process:\(entry.element)\(place)", started: entry.offset == 0 ? subject.parentStarted : nil)
            }
    }

    /// As the journal's record of an alert tells them.
    init?(_ record: AuditRecord) {
        guard let document = record.alertDocument else { return nil }
        self.init(AlertSubject(document["output_fields"]?.object ?? JSONObject()), rule: document["rule"]?.string ?? "", host: document["hostname"]?.string)
    }
}
