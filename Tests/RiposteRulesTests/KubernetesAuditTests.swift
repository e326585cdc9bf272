import RiposteCore
@testable import RiposteRules
import RiposteTestSupport
import Testing

@Suite("kubernetes audit: what is read out of a body or a line")
struct KubernetesAuditReaderTests {
    private let reader = KubernetesAuditReader()

    private static let event = #"{"kind":"Event","auditID":"a","stageTimestamp":"2026-03-04T11:22:33.180000Z"}"#
    private static let item = #"{"auditID":"b","stageTimestamp":"2026-03-04T11:22:33.18Z"}"#

    private static func list(_ items: String...) -> String { #"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[\#(items.joined(separator: ","))]}"# }

    @Test(
        "one event, a list of them, arrays of both, arrays of arrays",
        arguments: [
            (event, ["a"]), (list(), []), (list(item), ["b"]), (list(item, event), ["b", "a"]), ("[]", []), ("[\(event)]", ["a"]),
            (" [ [\(event), \(list(item))] , [[\(event)]] ] \n", ["a", "b", "a"]),
        ])
    func shapes(text: String, identifiers: [String]) throws {
        let batch = try reader.read(Array(text.utf8))
        #expect(batch.events.map { $0.auditID?.repaired } == identifiers)
        #expect(batch.events.allSatisfy { $0.time == Timestamp("2026-03-04T11:22:33.18Z") })
        #expect(batch.droppedCount == 0)
    }

    @Test("all that a real API server wrote, line by line and as one list")
    func recorded() throws {
        let lines = try RecordedAudit.lines()
        let events = try lines.flatMap { try reader.read($0).events }
        #expect(events.count == 67)
        for (event, line) in zip(events, lines) { #expect(try event.document == JSON(parsing: line)) }
        let list = Array(#"{"kind":"EventList","items":["#.utf8) + Array(lines.joined(separator: [UInt8(ascii: ",")])) + Array("]}".utf8)
        #expect(try reader.read(list).events.map(\.time) == events.map(\.time))
    }

    @Test(
        "what holds no events is refused, with the place where there is one",
        arguments: [
            ("", 0), ("   ", 3), ("nonsense", 0), ("{", 1), (event + event, 77), (event + "}", 77), ("[\(event),]", 79), (#"{"kind":"Event","x":01}"#, 20),
            ("{}", nil), ("7", nil), ("null", nil), (#""Event""#, nil), (#"{"kind":7}"#, nil), (#"{"kind":"Pod"}"#, nil), ("[\(event),7]", nil), ("[\(event),{}]", nil),
            (#"{"kind":"EventList"}"#, nil), (#"{"kind":"EventList","items":{}}"#, nil), (#"{"kind":"EventList","items":null}"#, nil),
            (#"{"kind":"Event","x":{"a":1,"a":2},"y":[1,]}"#, 41), (#"{"kind":"Event",,"kind":"Event"}"#, 16), (#"{"a":1,"a":2]}"#, 12), (#"{"a":1,[]:2,"a":3}"#, 7),
            (String(repeating: "[", count: 100_000), 100_000), (String(repeating: #"{"a":"#, count: 100_000), 500_000), (#"[{"kind":"Event"},{"kind":"Event","x":"\q"}]"#, 40),
        ] as [(String, Int?)])
    func refused(text: String, offset: Int?) throws {
        let error = try #require(throws: KubernetesAuditError.self) { try reader.read(Array(text.utf8)) }
        #expect(!error.problem.isEmpty)
        #expect(error.offset == offset, "\(error)")
    }

    @Test(
        "an event that cannot be taken is left out by itself, with the reason",
        arguments: [
            ("7", "it is no object"), ("[]", "it is no object"), ("{}", "stageTimestamp"), (#"{"stageTimestamp":1772623353}"#, "stageTimestamp"),
            (#"{"auditID":"x","stageTimestamp":"yesterday"}"#, "stageTimestamp"), (#"{"stageTimestamp":"2026-02-30T00:00:00Z"}"#, "stageTimestamp"),
            (#"{"stageTimestamp":"2026-03-04T11:22:33Z","x":"\#(String(repeating: "a", count: 262_144))"}"#, "longer than 262144 bytes"),
        ])
    func dropped(bad: String, problem: String) throws {
        let batch = try reader.read(Array(Self.list(Self.item, bad, Self.event).utf8))
        #expect(batch.events.map { $0.auditID?.repaired } == ["b", "a"])
        #expect(batch.droppedCount == 1)
        #expect(batch.dropped.first?.number == 2)
        #expect(batch.dropped.first?.problem.contains(problem) == true)
    }

    @Test("the limit is that of the event written without blanks", arguments: [(262_144, true), (262_145, false)])
    func size(bytes: Int, isTaken: Bool) throws {
        let frame = #"{"kind":"Event","stageTimestamp":"2026-03-04T11:22:33Z","x":""}"#
        let text = frame.dropLast(2) + String(repeating: "\\u0061", count: bytes - frame.utf8.count) + "\"  }"
        #expect(try reader.read(Array(text.utf8)).events.count == (isTaken ? 1 : 0))
    }

    @Test("many bad items do not become as many reasons, and more events than any API server sends at once are refused")
    func many() throws {
        let batch = try reader.read(Array(Self.list(Array(repeating: "0", count: 65_535).joined(separator: ","), Self.item).utf8))
        #expect(batch.events.count == 1)
        #expect(batch.droppedCount == 65_535)
        #expect(batch.dropped.count == 100)
        let more = Array(Self.list(Array(repeating: "0", count: 1_000_000).joined(separator: ","), Self.item).utf8)
        let error = try #require(throws: KubernetesAuditError.self) { try reader.read(more) }
        #expect(error.problem == "more than 65536 events")
    }

    /// Megabytes of small values, below many levels, with a key that stands twice at the end of all: what cannot be read strictly at any level.
    private static let hostile: [UInt8] = {
        let small = Array(repeating: #"{"a":0}"#, count: 250_000).joined(separator: ",")
        return Array((String(repeating: #"{"a":"#, count: 60) + #"[\#(small),{"b":1,"b":2}]"# + String(repeating: "}", count: 60)).utf8)
    }()

    @Test("the work for a text grows with its length only: each byte is looked at four times at most, whatever stands there")
    func hostile() throws {
        #expect(throws: KubernetesAuditError(problem: "no audit event and no list of them: it has no kind")) { try reader.open(Self.hostile) }
        // The same as a tenant's patch in an event: it is seen to be too long before anything is made of it.
        let head = Array(#"{"auditID":"t","stageTimestamp":"2026-03-04T11:22:33Z","requestObject":"#.utf8)
        let list = Array(#"{"kind":"EventList","items":["#.utf8) + head + Self.hostile + Array("},\(Self.item)]}".utf8)
        var text = try reader.open(list)
        #expect(text.next()?.auditID == "b")
        #expect(text.next() == nil)
        #expect(text.dropped == [KubernetesAuditReader.Dropped(number: 1, auditID: "t", problem: "it is longer than 262144 bytes")])
        #expect(text.work < 4 * list.count)
        // And as a single event, not in a list.
        text = try reader.open(Array(#"{"kind":"Event","#.utf8) + head.dropFirst() + Self.hostile + Array("}".utf8))
        #expect(text.next() == nil)
        #expect(text.dropped.first?.problem == "it is longer than 262144 bytes")
        #expect(text.work < 4 * list.count)
    }

    @Test("a patch as a client wrote it hides neither itself nor the batch: keys that stand twice, deep nesting")
    func patches() throws {
        let deep = String(repeating: "[", count: 90) + "1" + String(repeating: "]", count: 90)
        let abyss = String(repeating: #"{"a":"#, count: 5000) + #""}""# + String(repeating: "}", count: 5000)
        for junk in [#""x":[{"a":1},{"a":2,"a":3}]"#, #""x":1,"x":{"a":",}]\"","a":2}"#, #""x":\#(deep)"#, #""x":\#(abyss),"x":\#(abyss)"#] {
            let patch =
                #"{"auditID":"p","stageTimestamp":"2026-03-04T11:22:33Z","requestObject":{"spec":{"hostPID":false},"spec":{"hostPID":true,\#(junk)},"e":{}, "f":[ ]}}"#
            let batch = try reader.read(Array(Self.list(Self.item, patch, Self.item).utf8))
            #expect(batch.events.count == 3)
            #expect(batch.events[1].shown("ka.req.pod.host_pid") == .text("true"))
            #expect(batch.events[1].shown("jevt.value[/requestObject/e]") == .text("{}"))
            #expect(batch.events[1].shown("jevt.value[/requestObject/f]") == .text("[]"))
            #expect(batch.events[1].shown("jevt.value[/requestObject/spec/x]") != .absent)
        }
        let event = try reader.read(Array(#"{"kind":"Event","stageTimestamp":"2026-03-04T11:22:33Z","x":\#(deep)}"#.utf8)).events[0]
        // The event is the first of its levels, and what is below the last one is text in it.
        let levels = JSON.depthLimit - 1
        let rest = String(repeating: "[", count: 90 - levels) + "1" + String(repeating: "]", count: 90 - levels)
        #expect(event.shown("jevt.value[/x]") == .text(String(repeating: "[", count: levels) + "\"\(rest)\"" + String(repeating: "]", count: levels)))
    }
}

@Suite("kubernetes audit: the fields of an event")
struct KubernetesAuditFieldTests {
    /// An event whose JSON has these members beside the needful.
    private func event(_ members: String, isIdentified: Bool = true) throws -> KubernetesAuditEvent {
        let head = #"{"kind":"Event",\#(isIdentified ? #""auditID":"id","# : "")"stageTimestamp":"2026-03-04T11:22:33.123456Z""#
        return try #require(try KubernetesAuditReader().read(Array("\(head)\(members.isEmpty ? "" : ",")\(members)}".utf8)).events.first)
    }

    private func check(_ field: String, _ members: String, _ expected: AuditValue, _ location: SourceLocation = #_sourceLocation) throws {
        #expect(try event(members).shown(field) == expected, "\(field) of \(members)", sourceLocation: location)
    }

    @Test("every field of the source has its way of being got, and nothing else does")
    func complete() {
        let known = FieldCatalogue.all.filter { KubernetesAuditEvent.extractions[Int($0.id.rawValue)] != nil }.map(\.name)
        for field in FieldCatalogue.all where field.source == "k8s_audit" || field.name.hasPrefix("jevt.") || field.name.hasPrefix("json.") {
            #expect(known.contains(field.name), "\(field.name)")
        }
        #expect(known.filter { $0.hasPrefix("ka.") }.count >= 94)
        #expect(KubernetesAuditEvent.source == "k8s_audit")
    }

    @Test(
        "one text: the JSON string, or the JSON of anything else",
        arguments: [
            ("ka.auditid", "/auditID"), ("ka.stage", "/stage"), ("ka.verb", "/verb"), ("ka.uri", "/requestURI"), ("ka.useragent", "/userAgent"),
            ("ka.target.name", "/objectRef/name"), ("ka.target.namespace", "/objectRef/namespace"), ("ka.target.resource", "/objectRef/resource"),
            ("ka.target.subresource", "/objectRef/subresource"), ("ka.cluster.name", "/annotations/cluster_name"), ("ka.response.code", "/responseStatus/code"),
            ("ka.response.reason", "/responseStatus/reason"), ("ka.resp.name", "/responseObject/metadata/name"), ("ka.user.name", "/user/username"),
            ("ka.impuser.name", "/impersonatedUser/username"), ("ka.auth.decision", "/annotations/authorization.k8s.io~1decision"),
            ("ka.auth.reason", "/annotations/authorization.k8s.io~1reason"), ("ka.auth.openshift.decision", "/annotations/authentication.openshift.io~1decision"),
            ("ka.auth.openshift.username", "/annotations/authentication.openshift.io~1username"),
            ("ka.validations.admission.policy.failure", "/annotations/validation.policy.admission.k8s.io~1validation_failure"),
            ("ka.security.pod.violations", "/annotations/pod-security.kubernetes.io~1audit-violations"), ("ka.req.pod.host_ipc", "/requestObject/spec/hostIPC"),
            ("ka.req.pod.host_network", "/requestObject/spec/hostNetwork"), ("ka.req.container.host_network", "/requestObject/spec/hostNetwork"),
            ("ka.req.pod.host_pid", "/requestObject/spec/hostPID"), ("ka.req.pod.run_as_user", "/requestObject/spec/securityContext/runAsUser"),
            ("ka.req.pod.run_as_group", "/requestObject/spec/securityContext/runAsGroup"), ("ka.req.pod.fs_group", "/requestObject/spec/securityContext/fsGroup"),
            ("ka.req.binding.role", "/requestObject/roleRef/name"), ("ka.req.configmap.name", "/objectRef/name"), ("ka.req.configmap.obj", "/requestObject/data"),
            ("ka.req.service.type", "/requestObject/spec/type"),
        ])
    func texts(field: String, pointer: String) throws {
        let keys = pointer.dropFirst().split(separator: "/").map { $0.replacing("~1", with: "/") }
        func members(_ value: String, depth: Int) -> String {
            let nested = keys.prefix(depth).reversed().reduce(value) { "{\"\($1)\":\($0)}" }
            return String(nested.dropFirst().dropLast())
        }
        let values: [(String, AuditValue)] = [
            (#""te\u0078t""#, .text("text")), (#""""#, .text("")), ("201", .text("201")), ("true", .text("true")), ("null", .text("null")), ("1.50", .text("1.50")),
            (#"[ "a", {"b": "\u00e9"} ]"#, .text(#"["a",{"b":"é"}]"#)),
        ]
        // An auditID that stands twice: the last one counts.
        for (value, expected) in values { try check(field, members(value, depth: keys.count), expected) }
        guard field != "ka.auditid" else { return }
        try check(field, "", .absent)
        for depth in 1..<max(keys.count, 2) where depth < keys.count {
            for value in ["7", "null", "[]", "[{}]", #""text""#, "{}"] { try check(field, members(value, depth: depth), .absent) }
        }
    }

    @Test(
        "lists of texts",
        arguments: [
            ("ka.user.groups", "/user/groups"), ("ka.sourceips", "/sourceIPs"), ("ka.req.pod.supplemental_groups", "/requestObject/spec/securityContext/supplementalGroups"),
            ("ka.req.role.rules", "/requestObject/rules"), ("ka.req.binding.subjects", "/requestObject/subjects"),
        ])
    func lists(field: String, pointer: String) throws {
        func members(_ value: String) -> String { String(pointer.dropFirst().split(separator: "/").reversed().reduce(value) { "{\"\($1)\":\($0)}" }.dropFirst().dropLast()) }
        try check(field, members(#"["a", 7, {"k": [1, 2]}]"#), .list(["a", "7", #"{"k":[1,2]}"#]))
        try check(field, members("[]"), .list([]))
        for value in ["7", "null", "{}", #""text""#] { try check(field, members(value), .absent) }
        try check(field, "", .absent)
    }

    @Test("a list's elements by number")
    func byNumber() throws {
        for (field, expected) in [("ka.sourceips[1]", AuditValue.list(["b"])), ("ka.sourceips[0]", .list(["a"])), ("ka.sourceips[2]", .absent), ("ka.sourceips[4096]", .absent)] {
            try check(field, #""sourceIPs":["a","b"]"#, expected)
        }
    }

    private static let twoContainers = """
        {"name":"a","image":"reg.example/shop/web:1.2@sha256:00","command":["sh","-c"],"args":["id",7],"ports":[{"containerPort":80,"hostPort":8080},{"containerPort":81},{}],
         "securityContext":{"privileged":true,"allowPrivilegeEscalation":true,"readOnlyRootFilesystem":false,"runAsUser":1000,"runAsGroup":2000,"procMount":"Unmasked",
         "capabilities":{"add":["SYS_ADMIN","NET_RAW"]}}},{"name":"b","image":"registry:5000/x@sha256:11","ports":"none","command":"sh"}
        """

    @Test(
        "each list of containers",
        arguments: ["containers", "initContainers", "ephemeralContainers"],
        [
            ("name", .list(["a", "b"]), .list(["b"]), .absent),
            ("image", .list(["reg.example/shop/web:1.2@sha256:00", "registry:5000/x@sha256:11"]), .list(["registry:5000/x@sha256:11"]), .absent),
            ("image.repository", .list(["reg.example/shop/web", "registry"]), .list(["registry"]), .absent), ("command", .list(["sh -c"]), .absent, .absent),
            ("args", .list(["id 7"]), .absent, .absent), ("host_port", .list(["8080", "81"]), .absent, .list([])), ("privileged", .list(["true"]), .absent, .list([])),
            ("allow_privilege_escalation", .list(["true"]), .absent, .list([])), ("read_only_fs", .list(["false"]), .absent, .list([])),
            ("run_as_user", .list(["1000"]), .absent, .list([])), ("run_as_group", .list(["2000"]), .absent, .list([])),
            ("eff_run_as_user", .list(["1000", "42"]), .list(["42"]), .list(["42"])), ("eff_run_as_group", .list(["2000", "0"]), .list(["0"]), .list(["0"])),
            ("proc_mount", .list(["Unmasked"]), .absent, .list([])), ("add_capabilities", .list([#"["SYS_ADMIN","NET_RAW"]"#]), .absent, .list([])),
        ] as [(String, AuditValue, AuditValue, AuditValue)])
    func containers(list: String, field: (name: String, all: AuditValue, second: AuditValue, ofEmpty: AuditValue)) throws {
        let name = "ka.req.pod.\(list).\(field.name)"
        guard FieldCatalogue.description(named: name) != nil else { return #expect(name == "ka.req.pod.ephemeralContainers.host_port") }
        func members(_ containers: String) -> String {
            #""requestObject":{"spec":{"securityContext":{"runAsUser":42,"runAsGroup":null},"\#(list)":\#(containers)}}"#
        }
        try check(name, members("[\(Self.twoContainers)]"), field.all)
        try check("\(name)[1]", members("[\(Self.twoContainers)]"), field.second)
        try check("\(name)[2]", members("[\(Self.twoContainers)]"), .absent)
        for hollow in ["{}", "7", "null", "[]", #""c""#, #"{"securityContext":7}"#, #"{"securityContext":[{"privileged":true}]}"#] {
            try check(name, members("[\(hollow)]"), field.ofEmpty)
        }
        for nothing in ["7", "null", "{}", #""c""#] { try check(name, members(nothing), .absent) }
        try check(name, members("[]"), field.name == "command" || field.name == "args" ? .absent : .list([]))
        try check(name, "", .absent)
        try check(name, #""requestObject":[{"op":"add"}]"#, .absent)
    }

    @Test(
        "volumes",
        arguments: [
            ("ka.req.pod.volumes.hostpath", .list(["/etc", "/var/run"])), ("ka.req.pod.volumes.hostpath[0]", .list(["/etc"])), ("ka.req.pod.volumes.hostpath[1]", .absent),
            ("ka.req.pod.volumes.hostpath[9]", .absent), ("ka.req.pod.volumes.flexvolume_driver", .list(["d/x"])),
            ("ka.req.pod.volumes.volume_type", .list(["hostPath", "emptyDir", "hostPath", "flexVolume"])), ("ka.req.pod.volumes.volume_type[1]", .list(["emptyDir"])),
            ("ka.req.volume.hostpath[/etc]", .text("true")), ("ka.req.volume.hostpath[/et]", .text("false")), ("ka.req.volume.hostpath[/et*]", .text("true")),
            ("ka.req.volume.hostpath[/var*]", .text("true")), ("ka.req.volume.hostpath[*]", .text("true")), ("ka.req.volume.hostpath[/opt*]", .text("false")),
        ] as [(String, AuditValue)])
    func volumes(field: String, expected: AuditValue) throws {
        let volumes = """
            [{"name":"a","hostPath":{"path":"/etc"}},{"name":"b","emptyDir":{}},{"hostPath":{"path":"/var/run"},"name":"c"},{"flexVolume":{"driver":"d/x"}},7,null]
            """
        try check(field, #""requestObject":{"spec":{"volumes":\#(volumes)}}"#, expected)
        for nothing in [#""requestObject":{"spec":{"volumes":{}}}"#, #""requestObject":{"spec":{}}"#, ""] { try check(field, nothing, .absent) }
    }

    @Test(
        "roles, bindings, services",
        arguments: [
            ("ka.req.role.rules", .list([#"{"apiGroups":[""],"resources":["pods","pods/exec"],"verbs":["*"]}"#, #"{"nonResourceURLs":["/metrics"],"verbs":["get"]}"#, "7"])),
            ("ka.req.role.rules.apiGroups", .list([""])), ("ka.req.role.rules.resources", .list(["pods", "pods/exec"])),
            ("ka.req.role.rules.nonResourceURLs", .list(["/metrics"])), ("ka.req.role.rules.verbs", .list(["*", "get"])), ("ka.req.role.rules.verbs[1]", .list(["get"])),
            ("ka.req.role.rules.resources[1]", .absent), ("ka.req.role.rules.verbs[3]", .absent), ("ka.req.binding.subjects.user_names", .list(["eve"])),
            ("ka.req.binding.subjects.group_names", .list(["g"])), ("ka.req.binding.subjects.serviceaccount_names", .list(["sa", "homeless"])),
            ("ka.req.binding.subjects.serviceaccount_ns_names", .list(["shop:sa"])), ("ka.req.binding.subject.has_name[anything]", .text("true")),
            ("ka.req.service.ports", .list([#"[{"port":80},{"port":443}]"#])), ("ka.req.service.ports[1]", .list([#"{"port":443}"#])), ("ka.req.service.ports[2]", .absent),
        ] as [(String, AuditValue)])
    func otherObjects(field: String, expected: AuditValue) throws {
        try check(
            field,
            #"""
            "requestObject":{"rules":[{"apiGroups":[""],"resources":["pods","pods/exec"],"verbs":["*"]},{"nonResourceURLs":["/metrics"],"verbs":["get"]},7],
            "spec":{"ports":[{"port": 80},{"port": 443}]},
            "subjects":[{"kind":"User","name":"eve"},{"kind":"Group","name":"g"},{"kind":"ServiceAccount","name":"sa","namespace":"shop"},
              {"kind":"ServiceAccount","name":"homeless"},{"kind":"User"},{"name":"nobody"},{"kind":["User"],"name":"x"},7]}
            """#, expected)
        guard !field.contains("has_name") else { return }
        let isEmptyWithoutSubjects = field.hasPrefix("ka.req.binding.subjects.")
        try check(field, "", isEmptyWithoutSubjects ? .list([]) : .absent)
        try check(field, #""requestObject":{"rules":{},"subjects":{},"spec":{"ports":{}}}"#, .absent)
    }

    @Test(
        "fields of old: the first container, or any",
        arguments: [
            ("[\(twoContainers)]", "reg.example/shop/web:1.2@sha256:00", "reg.example/shop/web", "true"),
            (#"[{"image":"a"},{"securityContext":{"privileged":false}}]"#, nil, nil, "false"),
            ("[]", nil, nil, "false"), ("{}", nil, nil, nil),
        ] as [(String, String?, String?, String?)])
    func obsolete(containers: String, image: String?, repository: String?, isPrivileged: String?) throws {
        let members = #""requestObject":{"spec":{"containers":\#(containers)}}"#
        try check("ka.req.container.image", members, image.map { .text($0) } ?? .absent)
        try check("ka.req.container.image.repository", members, repository.map { .text($0) } ?? .absent)
        try check("ka.req.container.privileged", members, isPrivileged.map { .text($0) } ?? .absent)
    }

    @Test(
        "parameters of the URI, as the API server reads them",
        arguments: [
            ("command", "/exec?command=sh&command=-c", .text("sh")), ("command", "/exec?container=c&command=busybox+cat+%2Fetc%2Fpasswd", .text("busybox cat /etc/passwd")),
            ("stdin", "/exec?stdin=&x=1", .text("")), ("stdin", "/exec?stdin&x=1", .text("")), ("command", "/exec?x=%zz&command=id", .text("id")),
            ("command", "/exec?command=%zz&command=id", .text("id")), ("command", "/exec?command=a;b&command=id", .text("id")), ("command", "/exec?comm%61nd=id", .text("id")),
            ("command", "/exec?command=a=b?c#d", .text("a=b?c#d")), ("command", "/exec?command=%", .absent), ("command", "/exec?command=%4", .absent),
            ("command", "/exec", .absent), ("command", "/exec?", .absent), ("command", "/exec?&&==&", .absent), ("", "/exec?=x", .text("x")), ("command", "", .absent),
            ("a[0]", "/x?a[0]=1", .text("1")),
        ] as [(String, String, AuditValue)])
    func parameters(key: String, uri: String, expected: AuditValue) throws { try check("ka.uri.param[\(key)]", #""requestURI":"\#(uri)""#, expected) }

    @Test(
        "the pod's name is that of the answer to a request for a pod itself",
        arguments: [
            (#"{"resource":"pods"}"#, .text("web-x")), (#"{"resource":"pods","subresource":""}"#, .text("web-x")), (#"{"resource":"pods","subresource":"exec"}"#, .absent),
            (#"{"resource":"nodes"}"#, .absent), ("7", .absent),
        ] as [(String, AuditValue)])
    func podName(reference: String, expected: AuditValue) throws {
        try check("ka.target.pod.name", #""objectRef":\#(reference),"responseObject":{"metadata":{"name":"web-x"}}"#, expected)
    }

    @Test(
        "JSON pointers",
        arguments: [
            ("/stage", .text("RequestReceived")), ("stage", .text("RequestReceived")), ("/a~1b~0c", .text("1")), ("/list/0/x", .text("[2.50]")), ("/list/1", .text("null")),
            ("/list/2", .absent), ("/list/01", .absent), ("/list/-", .absent), ("/list/x", .absent), ("/list/99999999999999999999", .absent), ("/nothing", .absent),
            ("/", .text("empty")),
            ("/stage/0", .absent), ("/list/", .absent), ("/~", .text("tilde")), ("/~01", .text("tilde one")), ("/a~1", .absent), ("/é", .text("e")),
        ] as [(String, AuditValue)])
    func pointers(pointer: String, expected: AuditValue) throws {
        for family in ["jevt", "json"] {
            try check(
                "\(family).value[\(pointer)]", #""stage":"RequestReceived","a/b~c":1,"list":[{"x":[ 2.50 ]},null],"":"empty","~":"tilde","~1":"tilde one","é":"e""#, expected)
        }
    }

    @Test("the whole event: compact by an empty pointer, indented as an object")
    func whole() throws {
        let event = try event(#""o":{"e":{},"l":[1,[]],"t":"a\"\u0001"}"#)
        let compact = #"{"kind":"Event","auditID":"id","stageTimestamp":"2026-03-04T11:22:33.123456Z","o":{"e":{},"l":[1,[]],"t":"a\"\u0001"}}"#
        #expect(event.shown("jevt.value[]") == .text(compact))
        #expect(event.shown("evt.plugininfo") == .text(compact))
        let indented = """
            {
              "kind": "Event",
              "auditID": "id",
              "stageTimestamp": "2026-03-04T11:22:33.123456Z",
              "o": {
                "e": {},
                "l": [
                  1,
                  []
                ],
                "t": "a\\"\\u0001"
              }
            }
            """
        #expect(event.shown("jevt.obj") == .text(indented))
        #expect(event.shown("json.obj") == .text(indented))
    }

    @Test("what is not of the audit: time, type, source; all that there is of an event without an auditID")
    func anySource() throws {
        let nanoseconds: Int64 = 1_772_623_353_123_456_000
        for isIdentified in [true, false] {
            let event = try event(#""verb":"get","requestObject":{"subjects":[]}"#, isIdentified: isIdentified)
            #expect(event.time.nanoseconds == nanoseconds)
            #expect(event.type == EventType(named: "pluginevent"))
            #expect(event.shown("evt.type") == .text("pluginevent"))
            #expect(event.shown("evt.source") == .text("k8s_audit"))
            #expect(event.shown("jevt.rawtime") == .text("\(nanoseconds)"))
            #expect(event.shown("json.rawtime") == .text("\(nanoseconds)"))
            for (field, value) in [("evt.rawtime", nanoseconds), ("evt.rawtime.s", 1_772_623_353), ("evt.rawtime.ns", 123_456_000)] {
                let expected: AuditValue = FieldCatalogue.description(named: field)?.type.isText == true ? .text("\(value)") : .integer(value)
                #expect(event.shown(field) == expected)
            }
            #expect(event.shown("evt.time.iso8601") == .text("2026-03-04T11:22:33.123456000+0000"))
            // The hour is that of wherever this runs.
            let clock = try #require(event.shown("evt.time").text)
            #expect(clock.count == 18 && clock.hasSuffix(":33.123456000"))
            #expect(event.shown("evt.time.s") == .text(String(clock.prefix(8))))
            #expect(event.shown("evt.datetime").text?.hasPrefix("2026-03-0") == true)
            #expect(event.shown("evt.datetime").text?.hasSuffix(" \(clock)") == true)
            #expect(event.shown("evt.datetime.s").text?.hasSuffix(" \(clock.prefix(8))") == true)
            #expect(event.shown("jevt.value[/verb]") == .text("get"))
            #expect(event.shown("proc.name") == .absent)
            for field in FieldCatalogue.all where field.source == KubernetesAuditEvent.source && !isIdentified {
                #expect(event.shown("\(field.name)\(field.needsArgument ? field.argument == .index ? "[0]" : "[x]" : "")") == .absent)
            }
        }
        #expect(try event("").shown("ka.req.binding.subjects.user_names") == .list([]))
    }

    @Test("bytes that are no UTF-8 stay as they are in a text")
    func notUTF8() throws {
        let bytes = Array(#"{"kind":"Event","auditID":"id","stageTimestamp":"2026-03-04T11:22:33Z","verb":"x"}"#.utf8).map { $0 == UInt8(ascii: "x") ? 0xFF : $0 }
        let event = try #require(try KubernetesAuditReader().read(bytes).events.first)
        #expect(event.bytes("ka.verb") == [0xFF])
    }

    @Test("huge lists")
    func huge() throws {
        let count = 20_000
        let groups = (0..<count).map { "\"g\($0)\"" }.joined(separator: ",")
        try check("ka.user.groups", #""user":{"groups":[\#(groups)]}"#, .list((0..<count).map { "g\($0)" }))
        let containers = Array(repeating: "{}", count: count).joined(separator: ",")
        try check("ka.req.pod.containers.eff_run_as_user", #""requestObject":{"spec":{"containers":[\#(containers)]}}"#, .list(Array(repeating: "0", count: count)))
        try check("ka.req.pod.containers.image", #""requestObject":{"spec":{"containers":[\#(containers)]}}"#, .absent)
    }

    @Test(
        "recorded events of a real API server",
        arguments: [
            (0, "ka.target.resource", .absent), (0, "ka.uri.param[timeout]", .text("5s")), (0, "ka.user.groups", .list(["system:masters", "system:authenticated"])),
            (0, "ka.sourceips", .list(["127.0.0.1"])), (0, "ka.auth.reason", .text("")), (1, "ka.resp.name", .text("prod")), (4, "ka.req.binding.role", .text("edit")),
            (4, "ka.req.binding.subjects.user_names", .list(["alice"])), (5, "ka.target.pod.name", .text("web")), (5, "ka.req.pod.containers.image", .list(["bb:1"])),
            (5, "ka.req.pod.containers.image.repository", .list(["bb"])), (5, "ka.req.pod.containers.command", .list(["busybox sleep 9999"])),
            (5, "ka.req.pod.containers.privileged", .list(["false"])), (5, "ka.req.pod.host_network", .absent), (12, "ka.req.pod.containers.privileged", .list(["true"])),
            (12, "ka.req.container.privileged", .text("true")), (12, "ka.response.code", .text("201")), (13, "ka.req.pod.volumes.hostpath", .list(["/etc"])),
            (13, "ka.req.volume.hostpath[/etc]", .text("true")), (13, "ka.req.pod.volumes.volume_type", .list(["hostPath"])), (14, "ka.req.pod.host_network", .text("true")),
            (14, "ka.req.pod.host_pid", .text("true")), (14, "ka.req.pod.host_ipc", .text("true")), (15, "ka.target.namespace", .text("kube-system")),
            (16, "ka.stage", .text("ResponseStarted")), (16, "ka.uri.param[command]", .text("sh")), (20, "ka.target.subresource", .text("exec")),
            (20, "ka.uri.param[command]", .text("busybox")), (20, "ka.uri.param[container]", .text("c")), (20, "ka.target.name", .text("web")), (20, "ka.verb", .text("get")),
            (20, "ka.user.name", .text("alice")), (20, "jevt.value[/stage]", .text("ResponseStarted")), (28, "ka.target.subresource", .text("attach")),
            (35, "ka.req.pod.ephemeralContainers.image", .list(["bb:1"])), (35, "jevt.value[/requestObject/spec/ephemeralContainers/0/name]", .text("dbg")),
            (35, "ka.req.pod.containers.image", .absent), (36, "ka.req.binding.subjects.serviceaccount_ns_names", .list(["prod:default"])),
            (36, "ka.req.binding.role", .text("cluster-admin")), (38, "ka.user.name", .text("system:anonymous")), (39, "ka.response.code", .text("403")),
            (39, "ka.auth.decision", .text("forbid")), (42, "ka.req.role.rules.verbs", .list(["*"])), (43, "ka.req.role.rules.resources", .list(["pods/exec"])),
            (43, "ka.req.role.rules", .list([#"{"verbs":["create","get"],"apiGroups":[""],"resources":["pods/exec"]}"#])),
            (48, "ka.req.configmap.obj", .text(#"{"app.conf":"aws_access_key_id=LABFAKEKEY\naws_secret_access_key=LABFAKESECRET\npassword=labfake"}"#)),
            (49, "ka.req.service.type", .text("NodePort")), (55, "ka.impuser.name", .text("alice")),
        ] as [(Int, String, AuditValue)])
    func recorded(number: Int, field: String, expected: AuditValue) throws {
        let event = try #require(try KubernetesAuditReader().read(RecordedAudit.lines()[number]).events.first)
        #expect(event.shown(field) == expected)
    }

    @Test("every field of every recorded event can be asked for")
    func everything() throws {
        for line in try RecordedAudit.lines() {
            let event = try #require(try KubernetesAuditReader().read(line).events.first)
            for field in FieldCatalogue.all {
                _ = event.shown("\(field.name)\(field.needsArgument ? field.argument == .index ? "[0]" : "[x]" : "")")
                if field.argument == .index { _ = event.shown("\(field.name)[0]") }
            }
            #expect(event.shown("evt.time.iso8601").text != nil)
        }
    }
}

// MARK: - Asking

private enum RecordedAudit {
    static func lines() throws -> [[UInt8]] { try Fixtures.bytes("kubernetes-audit.jsonl").split(separator: UInt8(ascii: "\n")).map(Array.init) }
}

/// A field's value as a test writes it down.
enum AuditValue: Equatable, Sendable {
    case absent
    case text(String)
    case integer(Int64)
    case bool(Bool)
    case list([String])
    /// Nothing that an audit event should have.
    case strange

    var text: String? { if case .text(let text) = self { text } else { nil } }

    init(_ view: FieldView) {
        func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
        switch view {
        case .absent: self = .absent
        case .text(let bytes): self = .text(text(bytes))
        case .integer(let value): self = .integer(value)
        case .bool(let value): self = .bool(value)
        case .address: self = .strange
        case .list(let elements): self = .list(elements.map { if case .text(let bytes) = $0 { text(bytes) } else { "?" } })
        }
    }
}

extension KubernetesAuditEvent {
    /// The value of a field as it is written in a rule.
    fileprivate func shown(_ field: String) -> AuditValue { ask(field, AuditValue.init) }

    fileprivate func bytes(_ field: String) -> [UInt8] {
        ask(field) { view in
            var bytes: [UInt8] = []
            view.append(to: &bytes)
            return bytes
        }
    }

    private func ask<Answer>(_ field: String, _ body: (FieldView) -> Answer) -> Answer {
        let bracket = field.firstIndex(of: "[")
        let description = FieldCatalogue.description(named: String(field[..<(bracket ?? field.endIndex)]))
        let key = bracket.map { Array(field[field.index(after: $0)...].dropLast().utf8) }
        return Array(field.utf8).withUnsafeBytes { text in
            (key ?? []).withUnsafeBytes { keyBytes in
                let argument: EventField.Argument =
                    switch (key, description?.argument) {
                    case (let key?, .index): .index(Int(String(decoding: key, as: UTF8.self)) ?? -1)
                    case (.some, _): .key(keyBytes)
                    case (nil, _): .none
                    }
                let arena = FieldArena()
                return withExtendedLifetime(arena) {
                    body(value(of: EventField(id: description?.id ?? .unlisted, argument: argument, type: description?.type ?? .any, text: text), in: arena))
                }
            }
        }
    }
}
