internal import RiposteCore

/// What each field is (spec: alert-inputs.md 3).
extension KubernetesAuditEvent {
    /// By the field's id.
    static let extractions: [AuditExtraction?] = {
        var result = [AuditExtraction?](repeating: nil, count: FieldCatalogue.all.count)
        for (name, extraction) in [request, response, identities, pod, containers, otherObjects, obsolete, document, anySource].joined() {
            guard let id = FieldCatalogue.description(named: name)?.id else { continue }
            result[Int(id.rawValue)] = extraction
            result[Int(id.rawValue)]?.isOfAudit = name.hasPrefix("ka.")
        }
        return result
    }()

    private typealias Fields = [(String, AuditExtraction)]

    private static let request: Fields = [
        ("ka.auditid", .text("/auditID")),
        ("ka.stage", .text("/stage")),
        ("ka.verb", .text("/verb")),
        ("ka.uri", .text("/requestURI")),
        ("ka.uri.param", .uriParameter),
        ("ka.useragent", .text("/userAgent")),
        ("ka.sourceips", .elements("/sourceIPs")),
        ("ka.target.name", .text("/objectRef/name")),
        ("ka.target.namespace", .text("/objectRef/namespace")),
        ("ka.target.resource", .text("/objectRef/resource")),
        ("ka.target.subresource", .text("/objectRef/subresource")),
        ("ka.target.pod.name", .podName),
        ("ka.cluster.name", .text("/annotations/cluster_name")),
    ]

    private static let response: Fields = [
        ("ka.response.code", .text("/responseStatus/code")),
        ("ka.response.reason", .text("/responseStatus/reason")),
        ("ka.resp.name", .text("/responseObject/metadata/name")),
    ]

    private static let identities: Fields = [
        ("ka.user.name", .text("/user/username")),
        ("ka.user.groups", .elements("/user/groups")),
        ("ka.impuser.name", .text("/impersonatedUser/username")),
        ("ka.auth.decision", .text("/annotations/authorization.k8s.io~1decision")),
        ("ka.auth.reason", .text("/annotations/authorization.k8s.io~1reason")),
        ("ka.auth.openshift.decision", .text("/annotations/authentication.openshift.io~1decision")),
        ("ka.auth.openshift.username", .text("/annotations/authentication.openshift.io~1username")),
        ("ka.validations.admission.policy.failure", .text("/annotations/validation.policy.admission.k8s.io~1validation_failure")),
        ("ka.security.pod.violations", .text("/annotations/pod-security.kubernetes.io~1audit-violations")),
    ]

    private static let pod: Fields = [
        ("ka.req.pod.host_ipc", .text("/requestObject/spec/hostIPC")),
        ("ka.req.pod.host_network", .text("/requestObject/spec/hostNetwork")),
        ("ka.req.pod.host_pid", .text("/requestObject/spec/hostPID")),
        ("ka.req.pod.run_as_user", .text("/requestObject/spec/securityContext/runAsUser")),
        ("ka.req.pod.run_as_group", .text("/requestObject/spec/securityContext/runAsGroup")),
        ("ka.req.pod.fs_group", .text("/requestObject/spec/securityContext/fsGroup")),
        ("ka.req.pod.supplemental_groups", .elements("/requestObject/spec/securityContext/supplementalGroups")),
        ("ka.req.pod.volumes.hostpath", .hostPaths),
        ("ka.req.pod.volumes.flexvolume_driver", .each("/requestObject/spec/volumes", "/flexVolume/driver")),
        ("ka.req.pod.volumes.volume_type", .volumeTypes),
    ]

    /// The same fields of each of a pod's three lists of containers.
    private static let containers: Fields =
        ([
            ("containers", "/requestObject/spec/containers"), ("initContainers", "/requestObject/spec/initContainers"),
            ("ephemeralContainers", "/requestObject/spec/ephemeralContainers"),
        ] as [(String, StaticString)]).flatMap { name, list -> Fields in
            let fields: Fields = [
                ("name", .each(list, "/name", gaps: .absence)),
                ("image", .each(list, "/image", gaps: .absence)),
                ("image.repository", .repositories(list)),
                ("command", .sentence(list, "/command")),
                ("args", .sentence(list, "/args")),
                ("host_port", .hostPorts(list)),
                ("privileged", .each(list, "/securityContext/privileged")),
                ("allow_privilege_escalation", .each(list, "/securityContext/allowPrivilegeEscalation")),
                ("read_only_fs", .each(list, "/securityContext/readOnlyRootFilesystem")),
                ("run_as_user", .each(list, "/securityContext/runAsUser")),
                ("run_as_group", .each(list, "/securityContext/runAsGroup")),
                ("eff_run_as_user", .effectiveID(list, "/securityContext/runAsUser", ofPod: "/requestObject/spec/securityContext/runAsUser")),
                ("eff_run_as_group", .effectiveID(list, "/securityContext/runAsGroup", ofPod: "/requestObject/spec/securityContext/runAsGroup")),
                ("proc_mount", .each(list, "/securityContext/procMount")),
                ("add_capabilities", .each(list, "/securityContext/capabilities/add")),
            ]
            return fields.map { ("ka.req.pod.\(name).\($0)", $1) }
        }

    private static let otherObjects: Fields = [
        ("ka.req.role.rules", .elements("/requestObject/rules")),
        ("ka.req.role.rules.apiGroups", .flattened("/requestObject/rules", "/apiGroups")),
        ("ka.req.role.rules.nonResourceURLs", .flattened("/requestObject/rules", "/nonResourceURLs")),
        ("ka.req.role.rules.resources", .flattened("/requestObject/rules", "/resources")),
        ("ka.req.role.rules.verbs", .flattened("/requestObject/rules", "/verbs")),
        ("ka.req.binding.role", .text("/requestObject/roleRef/name")),
        ("ka.req.binding.subjects", .elements("/requestObject/subjects")),
        ("ka.req.binding.subjects.user_names", .subjects(kind: "User")),
        ("ka.req.binding.subjects.group_names", .subjects(kind: "Group")),
        ("ka.req.binding.subjects.serviceaccount_names", .subjects(kind: "ServiceAccount")),
        ("ka.req.binding.subjects.serviceaccount_ns_names", .subjects(kind: "ServiceAccount", withNamespace: true)),
        ("ka.req.configmap.name", .text("/objectRef/name")),
        ("ka.req.configmap.obj", .text("/requestObject/data")),
        ("ka.req.service.type", .text("/requestObject/spec/type")),
        ("ka.req.service.ports", .servicePorts),
    ]

    /// Of the first container, or of all at once; rules of old still have them.
    private static let obsolete: Fields = [
        ("ka.req.container.image", .first(of: .each("/requestObject/spec/containers", "/image", gaps: .absence))),
        ("ka.req.container.image.repository", .first(of: .repositories("/requestObject/spec/containers"))),
        ("ka.req.container.privileged", .any(of: .each("/requestObject/spec/containers", "/securityContext/privileged")) { text, _ in text.elementsEqual("true".utf8) }),
        ("ka.req.container.host_network", .text("/requestObject/spec/hostNetwork")),
        ("ka.req.volume.hostpath", .any(of: .hostPaths, isPath)),
        ("ka.req.binding.subject.has_name", .constant("true")),
    ]

    private static let document: Fields = ["jevt", "json"].flatMap { family -> Fields in
        [
            ("\(family).value", .pointer),
            ("\(family).obj", AuditExtraction { $0.arena.text($0.event.document.indented) }),
            ("\(family).rawtime", .number(\.time.nanoseconds)),
        ]
    }

    private static let anySource: Fields = [
        ("evt.type", AuditExtraction { $0.arena.text($0.event.type.name.utf8) }),
        ("evt.source", .constant("k8s_audit")),
        ("evt.pluginname", .constant("k8saudit")),
        ("evt.plugininfo", .text("")),
        ("evt.is_async", AuditExtraction { _ in .bool(false) }),
        ("evt.time", .clock { $0.localClock(decimals: true) }),
        ("evt.time.s", .clock { $0.localClock(decimals: false) }),
        ("evt.time.iso8601", .clock(\.iso8601)),
        ("evt.datetime", .clock { $0.localDateAndClock(decimals: true) }),
        ("evt.datetime.s", .clock { $0.localDateAndClock(decimals: false) }),
        ("evt.rawtime", .number(\.time.nanoseconds)),
        ("evt.rawtime.s", .number(\.time.wholeSeconds)),
        ("evt.rawtime.ns", .number(\.time.nanosecond)),
    ]
}

// MARK: - Fields with rules of their own

extension AuditExtraction {
    fileprivate static let pointer = AuditExtraction { request in
        guard case .key(let pointer) = request.field.argument else { return .absent }
        return request.event.document[pointer: pointer].map(request.text) ?? .absent
    }

    fileprivate static let uriParameter = AuditExtraction { request in
        guard case .key(let key) = request.field.argument, let uri = request["/requestURI"]?.string else { return .absent }
        return RequestQuery.firstValue(of: key, in: uri.bytes).map(request.arena.text) ?? .absent
    }

    fileprivate static let podName = AuditExtraction { request in
        guard request["/objectRef/resource"] == "pods", (request["/objectRef/subresource"]?.string ?? "").isEmpty else { return .absent }
        return request["/responseObject/metadata/name"].map(request.text) ?? .absent
    }

    fileprivate static let hostPaths = each("/requestObject/spec/volumes", "/hostPath/path")

    fileprivate static let volumeTypes = list("/requestObject/spec/volumes") { volume, request, values in
        guard let members = volume.object?.members else { return false }
        for member in members where member.key != "name" { values.append(request.arena.text(member.key.bytes)) }
        return true
    }

    /// An image's name up to its first colon, though that may be the one before a registry's port: as Falco's plugin does it, and as rules
    /// for it were written.
    fileprivate static func repositories(_ containers: StaticString) -> AuditExtraction {
        each(containers, "/image", gaps: .absence) { request, image in
            let name = image.string?.bytes ?? image.bytes
            return request.arena.text(name.prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "@") })
        }
    }

    /// With the host's network a container's port is the host's.
    fileprivate static func hostPorts(_ containers: StaticString) -> AuditExtraction {
        list(containers) { container, request, values in
            guard let ports = container["ports"]?.array else { return false }
            for port in ports {
                if let number = port["hostPort"] ?? port["containerPort"] { values.append(request.text(number)) }
            }
            return true
        }
    }

    /// A container's own, else the pod's, else 0. (Falco's plugin looks for both in the wrong place.)
    fileprivate static func effectiveID(_ containers: StaticString, _ own: StaticString, ofPod: StaticString) -> AuditExtraction {
        list(containers) { container, request, values in
            let id = [container[pointer: own], request[ofPod]].lazy.compactMap { $0 }.first { $0 != .null }
            values.append(id.map(request.text) ?? request.arena.text("0"))
            return true
        }
    }

    fileprivate static func subjects(kind: ByteText, withNamespace: Bool = false) -> AuditExtraction {
        AuditExtraction { request in
            guard let subjects = request["/requestObject/subjects"] else { return request.arena.list([]) }
            guard let subjects = subjects.array else { return .absent }
            var names: [FieldView] = []
            for subject in subjects where subject["kind"] == .string(kind) {
                guard let name = subject["name"] else { continue }
                if !withNamespace {
                    names.append(request.text(name))
                } else if let namespace = subject["namespace"] {
                    names.append(request.arena.joined([request.text(namespace), request.text(name)], separator: [UInt8(ascii: ":")]))
                }
            }
            return request.arena.list(names)
        }
    }

    /// Without a number the whole array as the one element, as with Falco.
    fileprivate static let servicePorts = AuditExtraction { request in
        guard let ports = request["/requestObject/spec/ports"], let elements = ports.array else { return .absent }
        guard case .index(let index) = request.field.argument else { return request.arena.list([request.text(ports)]) }
        return elements.indices.contains(index) ? request.arena.list([request.text(elements[index])]) : .absent
    }
}

/// Whether `path` is the one that is asked for, or begins with it where that ends in `*`.
private func isPath(_ path: UnsafeRawBufferPointer, _ argument: EventField.Argument) -> Bool {
    guard case .key(let wanted) = argument else { return false }
    return wanted.last == UInt8(ascii: "*") ? path.starts(with: wanted.dropLast()) : path.elementsEqual(wanted)
}
