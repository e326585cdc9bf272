package import RiposteCore

extension Step {
    /// Whether it is asked for by an alert alone, before any other step has ended.
    package func condition(holdsFor alert: Alert) -> Bool {
        let scope = StepScope(alert)
        return scope.holds(block?.when) && scope.holds(when)
    }

    /// ``request(in:description:at:)`` before any other step has ended.
    package func request(for alert: Alert, description: ActionDescription, at now: Timestamp) throws(ActionError) -> ActionRequest {
        try request(in: StepScope(alert), description: description, at: now)
    }

    /// What it says by itself, as far as that is right: parameters without those that are filled in from the alert and the run.
    func parametersOfItself(for description: ActionDescription) -> JSONObject? {
        var given = JSONObject()
        for parameter in parameters { given.append(ByteText(parameter.name), parameter.value.literal) }
        return (try? Parameters(checking: given, for: description))?.json ?? given
    }

    /// What this step asks for: templates filled in, parameters checked, the target taken from the alert. Looks at nothing but alert and run.
    package func request(in scope: StepScope, description: ActionDescription, at now: Timestamp) throws(ActionError) -> ActionRequest {
        let alert = scope.alert
        var given = JSONObject()
        for parameter in parameters { given.append(ByteText(parameter.name), try parameter.value.json(in: scope)) }
        if let name = description.tells.map({ ByteText($0) }), given[name] == nil { given.append(name, .string(scope.story.text(in: scope))) }
        let checked: Parameters
        do throws(ParameterError) { checked = try Parameters(checking: given, for: description) } catch {
            throw ActionError(.invalid, "check the parameters of step \(name)", error.expectation)
        }
        return ActionRequest(claim: try TargetClaim(alert: alert, kind: description.target, parameters: checked), parameters: checked, time: now)
    }
}

extension ParameterSource {
    /// Nil where any of it is filled in.
    fileprivate var literal: JSON? {
        switch self {
        case .literal(let json): return json
        case .template: return nil
        case .list(let elements):
            let known = elements.compactMap(\.literal)
            return known.count == elements.count ? .array(known) : nil
        }
    }

    fileprivate func json(in scope: StepScope) throws(ActionError) -> JSON {
        switch self {
        case .literal(let json): return json
        case .template(let template): return try template.value(in: scope)
        case .list(let elements):
            var values: [JSON] = []
            for element in elements { values.append(try element.json(in: scope)) }
            return .array(values)
        }
    }
}

extension TargetClaim {
    /// Whom an alert means, as far as its own words go.
    package init(alert: Alert, kind: ActionDescription.TargetKind, parameters: Parameters) throws(ActionError) {
        switch kind {
        case .process: self = .process(try ProcessClaim(alert))
        case .container: self = .container(ContainerClaim(reference: try Self.containerID(alert), seenAt: alert.time, membership: .init(alert)))
        case .pod: self = .pod(try PodClaim(alert))
        case .address:
            guard let network = parameters.network("address") else {
                throw ActionError(.unresolved, "find the address", "the step has no parameter \"address\"")
            }
            self = .address(network)
        case .host: self = .host
        }
    }

    fileprivate static func containerID(_ alert: Alert) throws(ActionError) -> String {
        let doing = "find the container of the alert"
        guard let id = alert[field: "container.id"]?.string?.valid, !id.isEmpty else {
            throw ActionError(.unresolved, doing, "the alert has no container.id")
        }
        guard id != "host" else { throw ActionError(.unresolved, doing, "the alert is about the host, not a container") }
        guard 12...64 ~= id.utf8.count, id.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            throw ActionError(.unresolved, doing, "container.id \"\(id.escapedForDisplay)\" is no container id (12 to 64 hexadecimal digits)")
        }
        return id
    }
}

extension ContainerClaim.Membership {
    /// The own sensor alone says in which control group it was, and is believed.
    fileprivate init?(_ alert: Alert) {
        guard alert.arrival.intake == KernelAnswer.intake else { return nil }
        self.init(cgroup: alert.fields[Self.field]?.string?.valid)
    }

    /// What the sensor's alerts carry it in.
    package static let field: ByteText = "container.cgroup"
}

extension ProcessClaim {
    fileprivate init(_ alert: Alert) throws(ActionError) {
        let doing = "find the process of the alert"
        guard let value = alert[field: "proc.pid"] else {
            throw ActionError(
                .unresolved, doing, "the alert has no proc.pid", remedy: "let Falco add it with append_output, see config/falco.d/riposte.yaml")
        }
        guard let pid = value.wholeNumber.flatMap(Int32.init(exactly:)), pid > 0 else {
            throw ActionError(.unresolved, doing, "proc.pid \(value.line.escapedForDisplay) is no process id")
        }
        let started = alert[field: "proc.pid.ts"]
        if let started, started.wholeNumber == nil {
            throw ActionError(.unresolved, doing, "proc.pid.ts \(started.line.escapedForDisplay) is no time in nanoseconds")
        }
        self.init(
            pid: pid, startedAt: started?.wholeNumber.map(Timestamp.init(nanoseconds:)), name: alert[field: "proc.name"]?.string,
            executable: alert[field: "proc.exepath"]?.string, commandLine: alert[field: "proc.cmdline"]?.string, seenAt: alert.time)
    }
}

extension PodClaim {
    fileprivate init(_ alert: Alert) throws(ActionError) {
        guard let namespace = alert[field: "k8s.ns.name"]?.string?.valid, let name = alert[field: "k8s.pod.name"]?.string?.valid,
            !namespace.isEmpty, !name.isEmpty
        else { throw ActionError(.unresolved, "find the pod of the alert", "the alert has no k8s.ns.name and k8s.pod.name") }
        self.init(
            namespace: namespace, name: name, uid: alert[field: "k8s.pod.uid"]?.string?.valid,
            containerID: alert[field: "container.id"]?.string?.valid, seenAt: alert.time, membership: .init(alert))
    }
}

extension JSON {
    /// An integer, also where it came as text, as some templates of the alert's way to us give it.
    fileprivate var wholeNumber: Int64? { integer ?? string?.valid.flatMap { Int64($0) } }
}
