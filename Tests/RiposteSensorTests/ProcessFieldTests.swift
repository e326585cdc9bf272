import CRiposte
import RiposteRules
import Testing

@testable import RiposteSensor

@Suite("Fields of processes")
struct ProcessFieldTests {
    private static let pid = ProcessScene.pid
    private static func wall(_ second: UInt64) -> SeenValue { .integer(ProcessScene.wallOffset + Int64(ProcessScene.start(second))) }

    @Test(
        "what a login's script is",
        arguments: [
            ("proc.name", "python3"), ("proc.exe", "python3"), ("proc.exepath", "/usr/bin/python3"), ("proc.args", "-c import os "), ("proc.args[0]", "-c"),
            ("proc.args[1]", "import os"), ("proc.args[2]", ""), ("proc.args[3]", ""), ("proc.cmdline", "python3 -c import os "),
            ("proc.exeline", "python3 -c import os "), ("proc.cmdnargs", 3), ("proc.cmdlenargs", 11), ("proc.cwd", "/srv/app/"),
            ("proc.env", "HOME=/root EMPTY= A=b  c "), ("proc.env[HOME]", "/root"), ("proc.env[EMPTY]", ""), ("proc.env[A]", "b  c"), ("proc.env[HOM]", ""),
            ("proc.env[NONE]", ""), ("proc.tty", 34_816), ("proc.pid", .integer(4_000_200)), ("proc.vpid", .integer(4_000_200)),
            ("proc.pid.ts", wall(4)), ("proc.duration", 2_000_000_000), ("proc.pidns_init_start_ts", .absent),
            ("proc.nthreads", 1), ("proc.nchilds", 0), ("proc.fdlimit", 1024), ("proc.fdopencount", .absent), ("proc.fdusage", .absent),
            ("proc.vmsize", 9000), ("proc.vmrss", 300), ("proc.vmswap", 7),
            ("proc.exe_ino", 77), ("proc.exe_ino.ctime", wall(1)), ("proc.exe_ino.mtime", 1_600_000_000_000_000_000),
            ("proc.exe_ino.ctime_duration_proc_start", 3_000_000_000), ("proc.exe_ino.ctime_duration_pidns_start", .absent),
            ("proc.is_exe_writable", true), ("proc.is_exe_upper_layer", true), ("proc.is_exe_lower_layer", false), ("proc.is_exe_from_memfd", false),
            ("proc.pname", "bash"), ("proc.pexe", "-bash"), ("proc.pexepath", "/usr/bin/bash"), ("proc.pcmdline", "bash"), ("proc.ppid", .integer(4_000_100)),
            ("proc.pvpid", .integer(4_000_100)), ("proc.ppid.ts", wall(3)), ("proc.ppid.duration", 3_000_000_000),
            ("proc.aname", ["bash", "sshd", "systemd"]), ("proc.aname[0]", "python3"), ("proc.aname[1]", "bash"), ("proc.aname[2]", "sshd"), ("proc.aname[3]", "systemd"),
            ("proc.aname[4]", .absent), ("proc.aname[4096]", .absent), ("proc.aexe", ["-bash", "sshd: /usr/sbin/sshd -D", "/sbin/init"]),
            ("proc.aexe[3]", "/sbin/init"), ("proc.aexepath[2]", "/usr/bin/sshd"), ("proc.aexepath", ["/usr/bin/bash", "/usr/bin/sshd", "/usr/bin/systemd"]),
            ("proc.acmdline[3]", "systemd splash"), ("proc.acmdline", ["bash", "sshd", "systemd splash"]), ("proc.apid[1]", .integer(4_000_100)),
            ("proc.apid", [.integer(4_000_100), .integer(4_000_050), .integer(4_000_001)]), ("proc.aargs[3]", "splash"), ("proc.aargs", "  splash"),
            ("proc.aenv[3]", "PATH=/bin"), ("proc.aenv[SSH_CLIENT]", "10.0.0.1 22"), ("proc.aenv[LANG]", "C"), ("proc.aenv[EMPTY]", ""),
            ("proc.aenv", ["HOME=/root SSH_CLIENT= 10.0.0.1 22 ", "PATH=/bin LANG=C", "PATH=/bin"]), ("proc.loginshellid", .integer(4_000_100)),
            ("proc.sid", .integer(4_000_100)), ("proc.sname", "bash"), ("proc.sid.exe", "-bash"), ("proc.sid.exepath", "/usr/bin/bash"), ("proc.is_sid_leader", false),
            ("proc.pgid", .integer(4_000_200)), ("proc.pgid.name", "python3"), ("proc.pgid.exe", "python3"), ("proc.pgid.exepath", "/usr/bin/python3"),
            ("proc.is_pgid_leader", true), ("proc.vpgid", .integer(4_000_200)), ("proc.vpgid.name", "python3"), ("proc.vpgid.exe", "python3"),
            ("proc.vpgid.exepath", "/usr/bin/python3"), ("proc.is_vpgid_leader", true),
            ("proc.stdin.type", .absent), ("proc.stdin.name", .absent), ("proc.stderr.name", .absent),
            ("thread.tid", .integer(4_000_200)), ("thread.vtid", .integer(4_000_200)), ("thread.ismain", true), ("thread.nametid", "python34000200"),
            ("thread.cap_effective", "CAP_CHOWN CAP_KILL CAP_CHECKPOINT_RESTORE"), ("thread.cap_permitted", ""), ("thread.cap_inheritable", ""),
            ("thread.cgroups", .absent), ("thread.cgroup.cpu", .absent), ("thread.cpu", .absent), ("thread.cpu.user", .absent), ("thread.exectime", 0),
            ("thread.totexectime", 0), ("thread.pfmajor", 2), ("thread.pfminor", 11), ("thread.vmsize", 9000), ("thread.vmrss", 300),
            ("user.uid", 1000), ("user.loginuid", 1000), ("group.gid", 100),
            ("proc.is_container_healthcheck", .absent),
        ] as [(String, SeenValue)])
    func login(_ field: String, _ value: SeenValue) throws { #expect(try ProcessScene.login().value(field) == value) }

    @Test("every field of processes, threads, users and groups that is not deprecated is told")
    func allFields() {
        let families = ["proc.", "thread.", "user.", "group."]
        for description in FieldCatalogue.all where description.source == "syscall" && !description.isDeprecated && families.contains(where: description.name.hasPrefix) {
            #expect(ProcessField(rawValue: description.name) != nil, "\(description.name)")
        }
    }

    @Test(
        "conditions about lineage",
        arguments: [
            ("proc.aname = sshd", true), ("proc.aname = nginx", false), ("proc.aname in (systemd, x)", true), ("proc.aname[2] = sshd", true), ("proc.aname[7] exists", false),
            ("proc.pname = bash and proc.cmdline startswith 'python3 -c'", true), ("proc.sname = bash", true), ("proc.apid = 4000050", true),
            ("proc.acmdline contains splash", true), ("proc.aenv contains LANG", true), ("thread.cap_effective contains CAP_KILL", true), ("proc.is_exe_upper_layer = true", true),
        ])
    func lineage(_ condition: String, _ holds: Bool) throws { #expect(try ProcessScene.login().holds(condition) == holds) }

    @Test(
        "a thread speaks for itself, its process for the rest",
        arguments: [
            ("proc.name", "worker"), ("proc.aname[0]", "worker"), ("proc.cmdline", "python3 -c import os "), ("proc.pid", .integer(4_000_200)), ("thread.tid", .integer(4_000_201)),
            ("thread.ismain", false), ("thread.vmsize", 0), ("proc.pname", "bash"), ("user.uid", 33), ("thread.cap_effective", "CAP_SYS_ADMIN"), ("proc.pgid.name", "python3"),
        ] as [(String, SeenValue)])
    func thread(_ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene.login()
        scene.call(ProcessScene.call(200, 4, "worker", tid: 201).with(\.uid, 33).with(\.cap_effective, 1 << 21))
        #expect(try scene.value(field) == value)
    }

    @Test(
        "accounts that nobody has an entry for",
        arguments: [
            (4_242_424_242, "user.name", "<NA>"), (4_242_424_242, "user.homedir", "<NA>"), (4_242_424_242, "user.shell", "<NA>"), (4_242_424_242, "group.name", "<NA>"),
            (4_242_424_242, "user.loginname", "<NA>"), (.max, "user.loginuid", -1), (.max, "user.loginname", "<NA>"), (.max, "user.uid", 4_294_967_295),
            (0, "user.name", "root"), (0, "user.homedir", "/root"), (0, "group.name", "root"), (0, "user.loginname", "root"), (0, "user.loginuid", 0),
        ] as [(UInt32, String, SeenValue)])
    func accounts(_ id: UInt32, _ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene.login()
        scene.call(ProcessScene.call(200, 4, "python3").with(\.uid, id).with(\.gid, id).with(\.loginuid, id))
        #expect(try scene.value(field) == value)
    }

    @Test(
        "in a pid namespace",
        arguments: [
            ("proc.pid", .integer(4_000_300)), ("proc.vpid", 7), ("proc.sid", 1), ("proc.is_sid_leader", false), ("proc.vpgid", 7), ("proc.is_vpgid_leader", true),
            ("proc.pgid", .integer(4_000_300)), ("proc.pgid.name", "sh"), ("proc.sname", "python3"), ("thread.vtid", 7), ("proc.pidns_init_start_ts", wall(5)),
            ("proc.exe_ino.ctime_duration_pidns_start", 2_000_000_000), ("proc.pname", "python3"), ("proc.loginshellid", .integer(4_000_100)),
        ] as [(String, SeenValue)])
    func namespace(_ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene.login()
        var file = riposte_file()
        (file.ino, file.ctime) = (5, ProcessScene.wallOffset + Int64(ProcessScene.start(7)))
        scene.apply(
            ProcessScene.exec(300, 8, "sh", parent: 200, 4) {
                ($0.vpid, $0.vsession, $0.vgroup, $0.ns_level, $0.ns_init_start) = (7, 1, 7, 1, ProcessScene.start(5))
                $0.session = ProcessScene.pid(200)
            }
            .structure(.executable, file).with(\.vtid, 7).with(\.pid_ns, 9))
        // The session is led by python3 as far as the namespace's own first process goes.
        scene.apply(RecordBuilder(.update, pid: Self.pid(200), start: ProcessScene.start(4), comm: "python3").process(parent: Self.pid(100), parentStart: ProcessScene.start(3)))
        scene.call(ProcessScene.call(300, 8, "sh").with(\.vtid, 7).with(\.pid_ns, 9))
        #expect(try scene.value(field) == value)
    }

    @Test(
        "arguments as the kernel has them",
        arguments: [
            ([], "proc.args", ""), ([], "proc.cmdline", "prog"), ([], "proc.exe", ""), ([], "proc.exeline", ""), ([], "proc.cmdnargs", 0),
            ([], "proc.cmdlenargs", 0), (Array("a\0".utf8), "proc.exeline", "a "), (Array("a\0".utf8), "proc.cmdline", "prog"), (Array("a\0".utf8), "proc.cmdnargs", 0),
            (Array("\0x\0".utf8), "proc.exe", ""), (Array("\0x\0".utf8), "proc.exeline", " x"), (Array("\0x\0".utf8), "proc.cmdline", "prog x"),
            (Array("a\0b c\0\0d\0".utf8), "proc.args", "b c  d"), (Array("a\0b c\0\0d\0".utf8), "proc.args[0]", "b c"), (Array("a\0b c\0\0d\0".utf8), "proc.args[1]", ""),
            (Array("a\0b c\0\0d\0".utf8), "proc.cmdnargs", 3), (Array("a\0b c\0\0d\0".utf8), "proc.cmdlenargs", 4),
            (Array("a\0cut".utf8), "proc.args", "cut"), (Array("a\0cut".utf8), "proc.cmdnargs", 1), (Array("a\0cut".utf8), "proc.args[0]", "cut"),
            (Array("cut".utf8), "proc.exe", "cut"),
            (Array("a\0".utf8) + [0xFF, 0xC3, 0], "proc.args", .bytes([0xFF, 0xC3])), (Array("a\0".utf8) + [0xFF, 0xC3, 0], "proc.cmdlenargs", 2),
            (Array("a\0".utf8) + [UInt8](repeating: 0x78, count: 5000), "proc.args", .bytes([UInt8](repeating: 0x78, count: 4094))),
        ] as [([UInt8], String, SeenValue)])
    func arguments(_ arguments: [UInt8], _ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene()
        scene.apply(ProcessScene.exec(5, 1, "prog", parent: 0, 0).item(.arguments, arguments))
        #expect(try scene.value(field) == value)
    }

    @Test("a long environment is cut, and its last variable with it")
    func environment() throws {
        let scene = ProcessScene()
        let long = Array("A=1\0B=".utf8) + [UInt8](repeating: 0x78, count: 5000) + Array("\0C=3\0".utf8)
        scene.apply(ProcessScene.exec(5, 1, "prog", parent: 0, 0).item(.environment, long))
        #expect(try scene.value("proc.env[A]") == "1")
        #expect(try scene.value("proc.env[B]") == .bytes([UInt8](repeating: 0x78, count: 4096 - 6)))
        #expect(try scene.value("proc.env[C]") == "")
    }

    @Test(
        "the executed file as its flags say",
        arguments: [
            (RIPOSTE_FILE_FROM_MEMFD, "/memfd:x", "proc.is_exe_from_memfd", true), (RIPOSTE_FILE_FROM_MEMFD, "/memfd:x", "proc.exepath", "memfd:x"),
            (RIPOSTE_FILE_UNLINKED, "/tmp/x", "proc.exepath", "/tmp/x"), (RIPOSTE_FILE_LOWER_LAYER, "/x", "proc.is_exe_lower_layer", true),
            (RIPOSTE_FILE_LOWER_LAYER, "/x", "proc.is_exe_upper_layer", false), (RIPOSTE_FILE_WRITABLE, "/x", "proc.is_exe_writable", true),
        ] as [(riposte_file_flag, String, String, SeenValue)])
    func file(_ flag: riposte_file_flag, _ path: String, _ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene()
        var file = riposte_file()
        file.flags = UInt8(flag.rawValue)
        scene.apply(RecordBuilder(.exec, pid: Self.pid(9), start: 1, comm: "x").path(path, .executablePath).structure(.executable, file).arguments("x").environment())
        #expect(try scene.value(field) == value)
    }

    @Test(
        "what is known of a process that no event told of and that has ended",
        arguments: [
            ("proc.name", "ghost"), ("proc.exepath", ""), ("proc.cmdline", "ghost"), ("proc.args", ""), ("proc.cwd", ""), ("proc.env[X]", ""), ("proc.pname", .absent),
            ("proc.ppid", .absent), ("proc.aname", .absent), ("proc.aenv[X]", .absent), ("proc.sname", .absent), ("proc.sid", .absent), ("proc.is_vpgid_leader", .absent),
            ("proc.vpid", 12), ("proc.exe_ino", .absent), ("proc.nthreads", .absent), ("proc.vmsize", .absent), ("proc.loginshellid", .absent), ("user.uid", 0),
        ] as [(String, SeenValue)])
    func incomplete(_ field: String, _ value: SeenValue) throws {
        let scene = ProcessScene()
        let entry = scene.call(ProcessScene.call(77, 1, "ghost").with(\.vtid, 12))
        #expect(entry?.isIncomplete == true)
        #expect(scene.table.counters.incomplete == 1)
        #expect(try scene.value(field) == value)
    }
}
