import RiposteCore
import RiposteRules
import Testing

@Suite("The catalogue of fields")
struct FieldCatalogueTests {
    /// How a field was written, what is found by it for events of a source, and with which argument.
    struct Sample: Sendable, CustomTestStringConvertible {
        let text: String
        let source: String
        let name: String
        let type: FieldType
        let isList: Bool
        let argument: String?

        init(_ text: String, _ source: String = "syscall", is name: String, _ type: FieldType, isList: Bool = false, argument: String? = nil) {
            (self.text, self.source, self.name, self.type, self.isList, self.argument) = (text, source, name, type, isList, argument)
        }

        var testDescription: String { text }
    }

    @Test(
        "finds a field with the argument that it takes",
        arguments: [
            Sample("proc.name", is: "proc.name", .string), Sample("evt.num", is: "evt.num", .uint), Sample("evt.rawres", is: "evt.rawres", .int),
            Sample("evt.rawtime", is: "evt.rawtime", .time), Sample("proc.duration", is: "proc.duration", .duration), Sample("evt.buffer", is: "evt.buffer", .bytes),
            Sample("fd.sport", is: "fd.sport", .port), Sample("fd.proto", is: "fd.proto", .port), Sample("fd.sip", is: "fd.sip", .ip), Sample("fd.snet", is: "fd.snet", .net),
            Sample("container.privileged", is: "container.privileged", .bool),
            // May have an argument.
            Sample("proc.args", is: "proc.args", .string), Sample("proc.args[0]", is: "proc.args", .string, argument: "0"),
            Sample("proc.env[PATH]", is: "proc.env", .string, argument: "PATH"), Sample("proc.aname", is: "proc.aname", .string),
            Sample("proc.aname[2]", is: "proc.aname", .string, argument: "2"), Sample("proc.apid[1]", is: "proc.apid", .int, argument: "1"),
            Sample("proc.aenv[HOME]", is: "proc.aenv", .string, argument: "HOME"), Sample("fd.types", is: "fd.types", .string, isList: true),
            Sample("fd.types[0]", is: "fd.types", .string, isList: true, argument: "0"),
            // Must have one.
            Sample("container.mount.dest[/proc*]", is: "container.mount.dest", .string, argument: "/proc*"),
            Sample("container.mount.dest[0]", is: "container.mount.dest", .string, argument: "0"),
            Sample("k8s.pod.label[app.kubernetes.io/name]", is: "k8s.pod.label", .string, argument: "app.kubernetes.io/name"),
            Sample("evt.around[1404996934793590564]", is: "evt.around", .uint, argument: "1404996934793590564"),
            Sample("ka.uri.param[command]", "k8s_audit", is: "ka.uri.param", .string, argument: "command"),
            Sample("jevt.value[/user/username]", "k8s_audit", is: "jevt.value", .string, argument: "/user/username"),
            Sample("json.value[/a~1b/0]", is: "json.value", .string, argument: "/a~1b/0"),
            // With a dot instead of brackets.
            Sample("evt.arg.flags", is: "evt.arg", .string, argument: "flags"), Sample("evt.arg[flags]", is: "evt.arg", .string, argument: "flags"),
            Sample("evt.arg[0]", is: "evt.arg", .string, argument: "0"), Sample("evt.rawarg.res", is: "evt.rawarg", .any, argument: "res"),
            Sample("evt.type.is.open", is: "evt.type.is", .uint, argument: "open"), Sample("thread.cgroup.cpuacct", is: "thread.cgroup", .string, argument: "cpuacct"),
            Sample("container.label.maintainer", is: "container.label", .string, argument: "maintainer"),
            Sample("static.datacenter", "k8s_audit", is: "static", .string, argument: "datacenter"), Sample("static.datacenter", is: "static", .string, argument: "datacenter"),
            // Names that begin like others.
            Sample("evt.args", is: "evt.args", .string), Sample("evt.abspath.src", is: "evt.abspath.src", .string), Sample("thread.cgroups", is: "thread.cgroups", .string),
            Sample("container.labels", is: "container.labels", .string), Sample("container.mount.source[/x]", is: "container.mount.source", .string, argument: "/x"),
            // Lists of audit events.
            Sample("ka.user.groups", "k8s_audit", is: "ka.user.groups", .string, isList: true),
            Sample("ka.req.pod.containers.image", "k8s_audit", is: "ka.req.pod.containers.image", .string, isList: true),
            Sample("ka.req.pod.initContainers.image[0]", "k8s_audit", is: "ka.req.pod.initContainers.image", .string, isList: true, argument: "0"),
            Sample("evt.time", "k8s_audit", is: "evt.time", .string),
        ])
    func found(_ sample: Sample) throws {
        let match = try FieldCatalogue.find(field(sample.text), source: sample.source)
        #expect(match.description.name == sample.name)
        #expect(match.description.type == sample.type)
        #expect(match.isList == sample.isList)
        #expect(match.argument == sample.argument)
    }

    @Test(
        "refuses an argument that does not fit",
        arguments: [
            ("proc.name[0]", "the field proc.name takes no argument"), ("fd.name[x]", "the field fd.name takes no argument"),
            ("proc.aname[x]", "the argument of proc.aname is a number from 0"), ("proc.aname[-1]", "the argument of proc.aname is a number from 0"),
            ("proc.args[01]", "the argument of proc.args is a number from 0"), ("proc.apid[99999]", "the argument of proc.apid is a number from 0"),
            ("evt.arg", "the field evt.arg needs an argument: evt.arg[…]"), ("evt.rawarg", "the field evt.rawarg needs an argument: evt.rawarg[…]"),
            ("container.mount.dest", "the field container.mount.dest needs an argument: container.mount.dest[…]"),
            ("json.value", "the field json.value needs an argument: json.value[…]"), ("evt.arg.flags[0]", "there is no field \"evt.arg.flags\""),
            ("proc.env.PATH", "there is no field \"proc.env.PATH\""),
        ])
    func argumentRefused(_ text: String, _ message: String) throws {
        let error = try problem(text, source: "syscall")
        #expect(error?.message == message)
        #expect(error?.offset == 0)
    }

    @Test(
        "suggests what was meant, of the same source",
        arguments: [
            ("proc.nam", "syscall", "proc.name"), ("proc.cmd_line", "syscall", "proc.cmdline"), ("fd.filname", "syscall", "fd.filename"),
            ("container.image.repo", "syscall", nil), ("container.image.repositoy", "syscall", "container.image.repository"), ("user.login_uid", "syscall", "user.loginuid"),
            ("ka.target.ressource", "k8s_audit", "ka.target.resource"), ("jevt.valeu", "k8s_audit", "jevt.value"), ("proc.nam", "k8s_audit", nil),
            ("nothing.like.it", "syscall", nil),
        ] as [(String, String, String?)])
    func suggestion(_ text: String, _ source: String, _ expected: String?) throws {
        let error = try problem(text, source: source)
        #expect(error?.kind == .unknownField)
        #expect(error?.suggestion == expected)
    }

    @Test(
        "refuses a field of another source and says whose it is",
        arguments: [
            ("proc.name", "k8s_audit", "syscall"), ("evt.type", "k8s_audit", "syscall"), ("container.id", "k8s_audit", "syscall"), ("ka.verb", "syscall", "k8s_audit"),
            ("alert.rule", "syscall", "alert"),
        ])
    func otherSource(_ text: String, _ source: String, _ owner: String) throws {
        let error = try problem(text, source: source)
        #expect(error?.message == "there is no field \"\(text)\" for source \(source); it belongs to source \(owner)")
        #expect(error?.kind == .unknownField)
        #expect(error?.suggestion == nil)
    }

    @Test("says what each field holds, once")
    func rows() {
        var seen: Set<String> = []
        for field in FieldCatalogue.all {
            #expect(seen.insert(field.name).inserted, "\(field.name) stands there twice")
            #expect(FieldCatalogue[field.id].name == field.name)
            #expect(field.meaning.count > 3 && !field.meaning.hasSuffix(".") && !field.meaning.contains("|"), "\(field.name): \(field.meaning)")
            #expect(field.source != "k8s_audit" || field.name.hasPrefix("ka."))
            #expect(field.quantifier == .one || !field.isComparable, "\(field.name) has several values at once")
            #expect(!field.isSuggested || field.argument == .none)
        }
    }

    @Test("suggests for outputs what Falco suggests, in its order")
    func suggested() {
        #expect(
            FieldCatalogue.all.filter(\.isSuggested).map(\.name) == [
                "container.id", "container.name", "container.image.repository", "container.image.tag", "k8s.pod.name", "k8s.ns.name",
            ])
    }

    @Test("knows which fields have several values at once")
    func quantifiers() throws {
        #expect(
            Set(FieldCatalogue.all.filter { $0.quantifier == .any }.map(\.name)) == ["proc.aname", "proc.aexe", "proc.aexepath", "proc.acmdline", "proc.apid", "proc.aenv"])
        #expect(Set(FieldCatalogue.all.filter { $0.quantifier == .ends }.map(\.name)) == ["fd.ip", "fd.port", "fd.net", "fd.proto"])
        #expect(try FieldCatalogue.find(field("proc.aname"), source: "syscall").quantifier == .any)
        #expect(try FieldCatalogue.find(field("proc.aname[2]"), source: "syscall").quantifier == .one)
        // What has no single value cannot be printed, but ancestors can: joined.
        #expect(
            Set(FieldCatalogue.all.filter { !$0.isPrintable }.map(\.name)) == [
                "fd.ip", "fd.port", "fd.proto", "fd.net", "fd.cnet", "fd.snet", "fd.lnet", "fd.rnet", "evt.around",
            ])
    }

    @Test("knows what is there for old rules only", arguments: ["evt.dir", "evt.latency", "evt.wait_latency", "k8s.rc.name", "k8s.ns.label", "proc.is_container_healthcheck"])
    func deprecated(_ name: String) { #expect(FieldCatalogue.description(named: name)?.isDeprecated == true) }

    /// Falco's rules (rules: falco_rules.yaml, falco-incubating_rules.yaml, falco-sandbox_rules.yaml; plugins: k8s_audit_rules.yaml).
    @Test(
        "knows every field of Falco's own rules",
        arguments: [
            (
                .string,
                """
                proc.name proc.exe proc.exepath proc.args proc.cmdline proc.cwd proc.env proc.env[HISTFILE] proc.sname proc.pname proc.pcmdline proc.pexe proc.pexepath
                proc.aname proc.aname[1] proc.aname[2] proc.aname[3] proc.aname[4] proc.aname[5] proc.aname[6] proc.aname[7] proc.aexe[2] proc.aexepath[2]
                thread.cap_effective thread.cap_permitted user.name user.loginname group.name
                fd.name fd.nameraw fd.directory fd.filename fd.type fd.typechar fd.sockfamily fd.l4proto fd.sip.name fd.cip.name fd.lip.name fd.rip.name
                evt.type evt.res evt.args evt.time evt.time.iso8601 evt.arg.cmd evt.arg.domain evt.arg.fd evt.arg.filename evt.arg.flags evt.arg.linkpath evt.arg.mode
                evt.arg.name evt.arg.newpath evt.arg.oldpath evt.arg.path evt.arg.request evt.arg.target evt.arg.uid
                container.id container.name container.image.repository container.image.tag container.mounts container.mount.dest[/etc] container.mount.dest[/root*]
                k8s.pod.name k8s.ns.name
                """
            ),
            (.int, "proc.vpid user.loginuid fd.num evt.rawres"),
            (.uint, "proc.tty user.uid group.gid evt.num"),
            (.time, "proc.exe_ino.ctime proc.exe_ino.mtime container.start_ts"),
            (.duration, "proc.duration proc.exe_ino.ctime_duration_proc_start"),
            (
                .bool,
                """
                proc.is_vpgid_leader proc.is_exe_upper_layer proc.is_exe_from_memfd fd.connected fd.name_changed evt.is_open_read evt.is_open_write evt.is_open_exec
                container.privileged
                """
            ),
            (.ip, "fd.ip fd.cip fd.sip fd.lip fd.rip"),
            (.net, "fd.net fd.cnet fd.snet fd.rnet"),
            (.port, "fd.port fd.cport fd.sport fd.lport fd.rport"),
            (.bytes, "evt.buffer"),
        ] as [(FieldType, String)])
    func upstream(_ type: FieldType, _ names: String) throws {
        for name in names.split(whereSeparator: \.isWhitespace) {
            let match = try FieldCatalogue.find(field(String(name)), source: "syscall")
            #expect(match.description.type == type, "\(name)")
            #expect(!match.isList, "\(name)")
            #expect(!match.description.isDeprecated, "\(name)")
        }
    }

    @Test(
        "knows every field of Falco's own rules for Kubernetes' audit log, all of them text",
        arguments: [
            (
                false,
                """
                ka.verb ka.target.resource ka.target.subresource ka.target.name ka.target.namespace ka.user.name ka.response.code ka.response.reason ka.auth.decision
                ka.auth.reason ka.resp.name ka.uri ka.uri.param[command] ka.req.pod.host_ipc ka.req.pod.host_network ka.req.pod.host_pid ka.req.binding.role
                ka.req.configmap.name ka.req.configmap.obj ka.req.service.type jevt.value[/stage] jevt.value[/requestObject/spec/tls]
                jevt.value[/requestObject/ephemeralContainers/0/name] jevt.rawtime jevt.obj
                """
            ),
            (
                true,
                """
                ka.req.pod.containers.image ka.req.pod.containers.image.repository ka.req.pod.initContainers.image ka.req.pod.ephemeralContainers.image
                ka.req.pod.containers.privileged ka.req.pod.initContainers.privileged ka.req.pod.ephemeralContainers.privileged ka.req.pod.volumes.hostpath ka.req.role.rules
                ka.req.role.rules.resources ka.req.role.rules.verbs ka.req.binding.subjects ka.req.service.ports
                """
            ),
        ])
    func upstreamAudit(_ isList: Bool, _ names: String) throws {
        for name in names.split(whereSeparator: \.isWhitespace) {
            let match = try FieldCatalogue.find(field(String(name)), source: "k8s_audit")
            #expect(match.description.type == .string, "\(name)")
            #expect(match.isList == isList, "\(name)")
        }
    }

    private func problem(_ text: String, source: String) throws -> ConditionError? {
        let reference = try field(text)
        return #expect(throws: ConditionError.self) { try FieldCatalogue.find(reference, source: source) }
    }

    /// As the parser reads it.
    private func field(_ text: String) throws -> Condition.FieldReference {
        guard case .test(let test) = try Condition(parsing: text + " exists"), case .field(let field) = test.left else {
            throw ConditionError("no field: \(text)", at: 0)
        }
        return field
    }
}
