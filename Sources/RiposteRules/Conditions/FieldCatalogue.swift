internal import RiposteCore

/// What values a field has, which decides the operators and literals that make sense with it.
package enum FieldType: String, Sendable {
    case text, integer, bool, address, network
    /// Of text.
    case list
    /// Not one of Falco's: whatever the alert carries.
    case dynamic
}

/// The fields of Falco's rules language that Riposte knows, with those of an alert itself (`alert.rule` …), which playbooks may test.
package enum FieldCatalogue {
    /// The type of a field; throws for a name that is no field though its family is known: a slip of the pen, and a condition that could never hold.
    static func type(of field: Condition.FieldReference) throws(ConditionError) -> FieldType {
        if let type = types[field.name] { return type }
        if openFamilies.contains(where: { field.name.hasPrefix($0) }) { return .text }
        let family = field.name.prefix { $0 != "." }
        guard families.contains(String(family)) else {
            // A family of somebody's own, unless it is one of Falco's with a slip of the pen.
            guard let near = nearMiss(to: String(family), among: families), types[near + field.name.dropFirst(family.count)] != nil else { return .dynamic }
            throw ConditionError(
                "there is no field \"\(field.name)\"", at: field.range.lowerBound, suggestion: near + field.name.dropFirst(family.count))
        }
        throw ConditionError("there is no field \"\(field.name)\"", at: field.range.lowerBound, suggestion: nearMiss(to: field.name, among: types.keys))
    }

    /// Whether `name` is a field, or may be one that falcosidekick added (custom and templated fields have names of people's own).
    package static func problem(with name: String) -> ConditionError? {
        do throws(ConditionError) {
            let condition = try Condition(parsing: "\(name) exists")
            guard case .test(let test) = condition, case .field(let field) = test.left, field.text == name else {
                return ConditionError("\"\(name)\" is no field name", at: 0)
            }
            _ = try type(of: field)
            return nil
        } catch {
            return error
        }
    }

    package static var names: [String] { types.keys.sorted() }

    package static func type(named name: String) -> FieldType? { types[name] }

    /// Families whose members have names of their own: arguments of system calls, pointers into audit events.
    private static let openFamilies = ["evt.arg.", "evt.rawarg.", "ka.", "jevt.", "json."]

    private static let families = Set(types.keys.map { String($0.prefix { $0 != "." }) })

    private static let types: [String: FieldType] = {
        var types: [String: FieldType] = [:]
        for (type, names) in table { for name in names.split(whereSeparator: \.isWhitespace) { types[String(name)] = type } }
        return types
    }()

    private static let table: [(FieldType, String)] = [
        (
            .text,
            """
            alert.rule alert.priority alert.source alert.hostname alert.output alert.intake
            proc.name proc.exe proc.exepath proc.args proc.cmdline proc.exeline proc.cwd proc.env proc.sname proc.pname proc.pcmdline proc.pexe
            proc.pexepath proc.aname proc.aexe proc.aexepath proc.acmdline proc.aenv proc.aargs proc.stdin.type proc.stdout.type proc.stderr.type
            proc.stdin.name proc.stdout.name proc.stderr.name proc.sid.exe proc.sid.exepath proc.vpgid.exe proc.vpgid.exepath proc.pgid.name
            proc.pgid.exe proc.pgid.exepath proc.vpgid.name proc.vsid.name
            thread.cap_effective thread.cap_permitted thread.cap_inheritable thread.cgroup thread.cgroups thread.nametid
            user.name user.loginname user.homedir user.shell group.name
            fd.name fd.nameraw fd.directory fd.filename fd.type fd.typechar fd.sockfamily fd.l4proto fd.types fd.uid fd.containername
            fd.containerdirectory fd.cip.name fd.sip.name fd.lip.name fd.rip.name fd.cproto fd.sproto fd.lproto fd.rproto fd.proto
            fs.path.name fs.path.nameraw fs.path.source fs.path.sourceraw fs.path.target fs.path.targetraw
            evt.type syscall.type evt.res evt.args evt.arg evt.rawarg evt.info evt.category evt.dir evt.time evt.time.s evt.time.iso8601 evt.datetime
            evt.datetime.s evt.source evt.pluginname evt.plugininfo evt.buffer evt.asynctype evt.io_dir evt.around evt.abspath evt.abspath.src evt.abspath.dst
            container.id container.full_id container.name container.image container.image.repository container.image.tag container.image.digest
            container.image.id container.type container.mount container.mounts container.mount.dest container.mount.source container.mount.mode
            container.mount.propagation container.healthcheck container.liveness_probe container.readiness_probe container.ip container.cni.json
            container.label container.labels container.info
            k8s.pod.name k8s.pod.id k8s.pod.uid k8s.pod.full_sandbox_id k8s.pod.sandbox_id k8s.pod.label k8s.pod.labels k8s.pod.ip k8s.pod.cni.json
            k8s.ns.name k8s.ns.id k8s.ns.label k8s.ns.labels k8s.rc.name k8s.rc.id k8s.rs.name k8s.rs.id k8s.deployment.name k8s.deployment.id
            k8s.svc.name k8s.svc.id k8s.node.name
            """
        ),
        (
            .integer,
            """
            proc.pid proc.ppid proc.vpid proc.pvpid proc.sid proc.vsid proc.pgid proc.vpgid proc.apid proc.tty proc.duration proc.ppid.duration
            proc.pid.ts proc.ppid.ts proc.loginshellid proc.nthreads proc.nchilds proc.cmdnargs proc.cmdlenargs proc.cmdlen proc.fdopencount
            proc.fdlimit proc.fdusage proc.vmsize proc.vmrss proc.vmswap proc.exe_ino proc.exe_ino.ctime proc.exe_ino.mtime
            proc.exe_ino.ctime_duration_proc_start proc.exe_ino.ctime_duration_pidns_start
            thread.tid thread.vtid thread.cpu thread.cpu.user thread.cpu.system thread.exectime thread.totexectime thread.pfmajor thread.pfminor
            thread.vmsize thread.vmrss
            user.uid user.loginuid group.gid
            fd.num fd.port fd.cport fd.sport fd.lport fd.rport fd.dev fd.dev.major fd.dev.minor fd.ino
            evt.num evt.rawres evt.rawtime evt.rawtime.s evt.rawtime.ns evt.reltime evt.reltime.s evt.reltime.ns evt.cpu evt.count evt.buflen
            evt.latency evt.latency.s evt.latency.ns evt.deltatime evt.deltatime.s evt.deltatime.ns evt.wait_latency
            container.start_ts container.duration
            """
        ),
        (
            .bool,
            """
            proc.is_exe_writable proc.is_exe_upper_layer proc.is_exe_lower_layer proc.is_exe_from_memfd proc.is_sid_leader proc.is_vsid_leader
            proc.is_vpgid_leader proc.is_pgid_leader proc.is_container_healthcheck proc.is_container_liveness_probe proc.is_container_readiness_probe
            thread.ismain fd.is_server fd.is_upper_layer fd.is_lower_layer fd.connected fd.name_changed
            evt.failed evt.is_io evt.is_io_read evt.is_io_write evt.is_wait evt.is_syslog evt.is_async evt.is_open_read evt.is_open_write evt.is_open_exec
            evt.is_open_create container.privileged
            """
        ),
        (.address, "fd.ip fd.cip fd.sip fd.lip fd.rip"),
        (.network, "fd.net fd.cnet fd.snet fd.lnet fd.rnet"),
        (.list, "alert.tags"),
    ]
}
