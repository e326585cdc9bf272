import CRiposte
import RiposteCore
import Testing

@testable import RiposteSensor

@Suite("Values of events")
struct EventValueTests {
    @Test("fields", arguments: calls + opens + others)
    func fields(_ example: DescriptorTests.Case) throws {
        for (field, value) in example.fields { #expect(try FixtureDesk.value(field, of: example.event) == value, "\(field)") }
    }

    static let current = UInt64(bitPattern: -100)

    static let opens = [
        DescriptorTests.Case(
            name: "flags in the order of printing", event: FixtureEvent("openat", result: 3, fd: 3, current, 0, 0x241 | 0x8_0000, 0o755).path("a", in: "/d").file(flags: 16),
            fields: [
                ("evt.arg.flags", "O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC|O_F_CREATED"), ("evt.rawarg.flags", "20742"), ("evt.arg.name", "/d/a"), ("evt.rawarg.name", "a"),
                ("evt.arg[2]", "/d/a"), ("evt.arg.dirfd", "AT_FDCWD"), ("evt.arg.fd", "<f>/d/a"), ("evt.arg.mode", "0755"), ("evt.arg.dev", "801"), ("evt.arg.nothing", nil),
                ("evt.arg[7]", nil), ("evt.is_open_write", "true"), ("evt.is_open_read", "false"), ("evt.is_open_exec", "true"), ("evt.is_open_create", "true"),
                ("evt.args", "fd=3(<f>/d/a) dirfd=-100(AT_FDCWD) name=a(/d/a) flags=20742(O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC|O_F_CREATED) mode=0755 dev=801 ino=7"),
                ("evt.abspath", "/d/a"), ("evt.category", "file"), ("evt.io_dir", nil), ("evt.is_io_uring", "false"),
            ]),
        DescriptorTests.Case(
            name: "read and write", event: FixtureEvent("open", result: 3, fd: 3, 0, 2, 0o777).path("/a").file(),
            fields: [("evt.arg.flags", "O_RDWR"), ("evt.arg.mode", "0"), ("evt.is_open_read", "true"), ("evt.is_open_write", "true"), ("evt.is_open_exec", "false")]),
        DescriptorTests.Case(
            name: "an open that failed", event: FixtureEvent("openat", result: -2, 5, 0, 0x41, 0o644).path("a", in: "/d"),
            fields: [
                ("evt.res", "ENOENT"), ("evt.rawres", "-2"), ("evt.failed", "true"), ("evt.is_open_write", "true"), ("evt.is_open_create", "false"), ("evt.count.error.file", "1"),
                ("evt.count.error.net", nil), ("evt.args", "fd=-2(ENOENT) dirfd=5(<d>/d) name=a(/d/a) flags=6(O_CREAT|O_WRONLY) mode=0644 dev=0 ino=0"),
            ]),
        DescriptorTests.Case(
            name: "creat", event: FixtureEvent("creat", result: 3, fd: 3, 0, 0o711).path("/a").file(flags: 1),
            fields: [("evt.is_open_write", "false"), ("evt.is_open_exec", "true"), ("evt.arg.creat_flags", "FD_UPPER_LAYER_CREAT"), ("evt.arg.mode", "0711")]),
        DescriptorTests.Case(
            name: "a request of io_uring, whose file has no descriptor",
            event: FixtureEvent("openat", result: 0, fd: 0x7FFF_FFFF, current, 0, 1, 0).path("/a").file().with(RIPOSTE_FLAG_REQUEST),
            fields: [
                ("evt.is_io_uring", "true"), ("evt.type", "openat"), ("evt.res", "SUCCESS"), ("fd.num", "2147483647"), ("fd.name", "/a"), ("fd.type", "file"),
                ("evt.is_open_write", "true"),
            ]),
        DescriptorTests.Case(
            name: "openat2",
            event: FixtureEvent("openat2", result: 3, fd: 3, current, 0, 0, 24).path("/a").file(openFlags: 2).with(.extra, words(0x42, 0o100, 8)),
            fields: [
                ("evt.arg.flags", "O_CREAT|O_RDWR"), ("evt.arg.mode", "0100"), ("evt.arg.resolve", "RESOLVE_BENEATH"), ("evt.is_open_exec", "true"), ("evt.is_open_read", "true"),
            ]),
        DescriptorTests.Case(
            name: "openat2 whose flags were changed after the kernel had read them: the file's count, and that it was made",
            event: FixtureEvent("openat2", result: 3, fd: 3, current, 0, 0, 24).path("/a").file(flags: 16, openFlags: 0x401).with(.extra, words(0, 0, 0)),
            fields: [("evt.arg.flags", "O_APPEND|O_CREAT|O_WRONLY|O_F_CREATED"), ("evt.is_open_write", "true"), ("evt.is_open_read", "false"), ("evt.is_open_create", "true")]),
        DescriptorTests.Case(
            name: "openat2 that failed: what was asked for", event: FixtureEvent("openat2", result: -2, current, 0, 0, 24).path("/a").with(.extra, words(1, 0, 0)),
            fields: [("evt.arg.flags", "O_WRONLY"), ("evt.is_open_write", "true")]),
        DescriptorTests.Case(
            name: "a directory is no temporary file", event: FixtureEvent("openat", result: 3, fd: 3, current, 0, UInt64(DescriptorKind.openDirectory), 0).path("/a").file(),
            fields: [("evt.arg.flags", "O_DIRECTORY|O_RDONLY"), ("evt.is_open_create", "false")]),
    ]

    static let calls = [
        DescriptorTests.Case(
            name: "a call", event: FixtureEvent("unlink").path("/x"),
            fields: [
                ("evt.type", "unlink"), ("syscall.type", "unlink"), ("evt.type.is.unlink", "1"), ("evt.type.is.open", "0"), ("evt.res", "SUCCESS"), ("evt.rawres", "0"),
                ("evt.failed", "false"), ("evt.num", "1"), ("evt.source", "syscall"), ("evt.cpu", "0"), ("evt.dir", "<"), ("evt.count", "1"), ("evt.count.exit", "1"),
                ("evt.is_async", "false"), ("evt.args", "res=0 path=/x"), ("evt.buffer", nil), ("evt.latency.human", "0ns"), ("evt.is_open_read", "false"),
            ]),
        DescriptorTests.Case(
            name: "a call that failed", event: FixtureEvent("unlink", result: -13).path("/x"), fields: [("evt.args", "res=-13(EACCES) path=/x"), ("evt.arg.res", "EACCES")]),
        DescriptorTests.Case(
            name: "a read", event: FixtureEvent("read", result: 4, fd: 3, 3, 0, 100).file(path: "/x").with(.data, [0x7F, 0x45, 0x4C, 0x46]),
            fields: [
                ("evt.args", "res=4 data=.ELF fd=3(<f>/x) size=100"), ("evt.buffer", "\u{7F}ELF"), ("evt.buflen", "4"), ("evt.is_io", "true"), ("evt.is_io_read", "true"),
                ("evt.io_dir", "read"), ("evt.category", "file"), ("evt.rawarg.size", "100"),
            ]),
        DescriptorTests.Case(
            name: "a write to the log", event: FixtureEvent("sendto", result: 4, fd: 3, 3, 0, 4).unix(own: 1, peer: 2, path: "/run/systemd/journal/dev-log"),
            fields: [("evt.is_syslog", "false"), ("evt.category", "ipc"), ("evt.io_dir", "write")]),
        DescriptorTests.Case(
            name: "syslog", event: FixtureEvent("sendto", result: 4, fd: 3, 3, 0, 4).unix(own: 1, peer: 2, path: "/dev/log"), fields: [("evt.is_syslog", "true")]),
        DescriptorTests.Case(
            name: "renameat2", event: PathTests.renamed,
            fields: [
                ("evt.args", "res=0 olddirfd=5(<d>/old) oldpath=a(/old/a) newdirfd=-100(AT_FDCWD) newpath=b(/new/b) flags=1(RENAME_NOREPLACE)"), ("evt.abspath.src", "/old/a"),
                ("evt.abspath.dst", "/new/b"), ("evt.abspath", "/old/a"), ("fd.num", nil),
            ]),
        DescriptorTests.Case(
            name: "chmod", event: FixtureEvent("fchmodat", current, 0, 0o4755).path("/x"),
            fields: [("evt.arg.mode", "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"), ("evt.rawarg.mode", "2541")]),
        DescriptorTests.Case(
            name: "ptrace", event: FixtureEvent("ptrace", 16, 4121, 0, 0),
            fields: [("evt.arg.request", "PTRACE_ATTACH"), ("evt.arg.pid", "cat"), ("evt.args", "res=0 addr=0 data=0 request=11(PTRACE_ATTACH) pid=4121(cat)")]),
        DescriptorTests.Case(name: "ptrace traceme", event: FixtureEvent("ptrace", 0, 0, 0, 0), fields: [("evt.arg.request", "PTRACE_TRACEME")]),
        DescriptorTests.Case(
            name: "unshare", event: FixtureEvent("unshare", 0x1002_0000), fields: [("evt.arg.flags", "CLONE_NEWNS|CLONE_NEWUSER"), ("evt.arg[1]", "CLONE_NEWNS|CLONE_NEWUSER")]),
        DescriptorTests.Case(
            name: "socket", event: FixtureEvent("socket", result: 3, fd: 3, 1, 0x8_0001, 0).unix(),
            fields: [("evt.arg.domain", "AF_LOCAL|AF_UNIX"), ("evt.args", "fd=3(<u>) domain=1(AF_LOCAL|AF_UNIX) type=524289 proto=0 flags=4096(O_CLOEXEC)")]),
        DescriptorTests.Case(name: "an unknown family", event: FixtureEvent("socket", result: -97, 99, 1, 0), fields: [("evt.arg.domain", "99")]),
        DescriptorTests.Case(
            name: "bpf", event: FixtureEvent("bpf", result: 5, fd: 5, 5).file(RIPOSTE_FILE_BPF), fields: [("evt.arg.cmd", "BPF_PROG_LOAD"), ("fd.typechar", "b")]),
        DescriptorTests.Case(name: "setuid", event: FixtureEvent("setuid", 0xFFFF_FFFF), fields: [("evt.arg.uid", "<NONE>"), ("evt.args", "res=0 uid=-1(<NONE>)")]),
        DescriptorTests.Case(name: "a user without a name", event: FixtureEvent("setuid", 4711), fields: [("evt.args", "res=0 uid=4711(<NA>)")]),
        DescriptorTests.Case(
            name: "a new name, by an option whose upper half the kernel does not look at", event: FixtureEvent("prctl", 15 | 1 << 40, 0),
            fields: [("evt.arg.option", "PR_SET_NAME"), ("evt.arg.arg2_str", "cat")]),
        DescriptorTests.Case(name: "kill", event: FixtureEvent("kill", 1, 9), fields: [("evt.arg.sig", "SIGKILL"), ("evt.category", "signal")]),
        DescriptorTests.Case(
            name: "unlinkat", event: FixtureEvent("unlinkat", fd: -100, current, 0, 0x200).path("d", in: "/tmp"),
            fields: [("evt.args", "res=0 dirfd=-100(AT_FDCWD) name=d(/tmp/d) flags=512(AT_REMOVEDIR)")]),
        DescriptorTests.Case(name: "mkdir", event: FixtureEvent("mkdir", 0, 0o755).path("/d"), fields: [("evt.args", "res=0 path=/d mode=1ED")]),
        DescriptorTests.Case(name: "access", event: FixtureEvent("access", 0, 0).path("/d"), fields: [("evt.arg.mode", "F_OK")]),
        DescriptorTests.Case(
            name: "dup2", event: FixtureEvent("dup2", result: 0, fd: 0, 3, 0).socket("10.0.0.5:41822", "10.0.0.9:443", role: RIPOSTE_ROLE_CLIENT, state: 1),
            fields: [("evt.args", "res=0(<4t>10.0.0.5:41822->10.0.0.9:443) oldfd=3(<4t>10.0.0.5:41822->10.0.0.9:443) newfd=0(<4t>10.0.0.5:41822->10.0.0.9:443)"), ("fd.num", "0")]),
        DescriptorTests.Case(
            name: "a call without a list of arguments", event: FixtureEvent("getpid", result: 4121), fields: [("evt.args", "res=4121"), ("evt.category", "other")]),
        DescriptorTests.Case(
            name: "an error of the kernel's own", event: FixtureEvent("nanosleep", result: -516), fields: [("evt.res", "ERESTART_RESTARTBLOCK"), ("evt.is_wait", "true")]),
        DescriptorTests.Case(name: "an error without a name", event: FixtureEvent("unlink", result: -4000), fields: [("evt.res", "-4000")]),
        DescriptorTests.Case(
            name: "a path that could not be read", event: FixtureEvent("unlink", result: -14),
            fields: [("evt.arg.path", "<NA>"), ("evt.rawarg.path", nil), ("evt.args", "res=-14(EFAULT) path=<NA>")]),
    ]

    static let others = [
        DescriptorTests.Case(
            name: "the start of a program", event: started,
            fields: [
                ("evt.type", "execve"), ("evt.res", "SUCCESS"), ("evt.rawres", "0"), ("evt.arg.exe", "cat"), ("evt.arg.args", "-n./etc/passwd."), ("evt.arg.tid", "cat"),
                ("evt.rawarg.tid", "4122"), ("evt.arg.ptid", "100"), ("evt.arg.flags", "EXE_WRITABLE|EXE_UPPER_LAYER"), ("evt.arg.filename", "/work/cat"), ("evt.arg.cwd", "/work"),
                ("evt.arg.loginuid", "<NONE>"), ("evt.arg.tty", "34816"), ("evt.category", "process"), ("fd.num", nil), ("evt.arg.trusted_exepath", "/usr/bin/cat"),
                ("evt.arg[0]", "0"), ("evt.arg[1]", "cat"), ("evt.arg.exe_ino", "99"),
            ]),
        DescriptorTests.Case(
            name: "a start that failed", event: FixtureEvent("execve", result: -2).path("/nothing"),
            fields: [("evt.res", "ENOENT"), ("evt.arg.filename", "/nothing"), ("evt.arg.exe", "<NA>"), ("evt.arg.comm", "cat")]),
        DescriptorTests.Case(
            name: "the end of a process", event: FixtureEvent("procexit", kind: 4, result: 0x100),
            fields: [
                ("evt.type", "procexit"), ("syscall.type", nil), ("evt.res", nil), ("evt.rawres", nil), ("evt.arg.ret", "1"), ("evt.category", "process"),
                ("evt.args", "status=256 ret=1 sig=0 core=0 reaper_tid=<NA>"),
            ]),
    ]

    static let started: FixtureEvent = {
        var process = riposte_process()
        (process.parent, process.tty) = (100, 34816)
        var file = riposte_file()
        (file.flags, file.ino) = (UInt8(RIPOSTE_FILE_WRITABLE.rawValue | RIPOSTE_FILE_UPPER_LAYER.rawValue), 99)
        return FixtureEvent("execve", kind: 2).with(.process, structure: process).with(.executable, structure: file).with(.arguments, "cat\0-n\0/etc/passwd\0")
            .with(.path1, "./cat").with(.base1, "/work").with(.workingDirectory, "/work").with(.executablePath, "/usr/bin/cat")
    }()

    private static func words(_ words: UInt64...) -> [UInt8] { words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } } }

    @Test(
        "times",
        arguments: [
            ("evt.rawtime", "1700000001123456789"), ("evt.rawtime.s", "1700000001"), ("evt.rawtime.ns", "123456789"), ("evt.reltime", "1000000000"), ("evt.reltime.s", "1"),
            ("evt.deltatime", "1000000000"), ("evt.deltatime.ns", "0"), ("evt.time.iso8601", "2023-11-14T22:13:21.123456789+0000"), ("evt.around[1700000001000000000]", "124"),
            ("evt.num", "2"),
        ])
    func times(field: String, value: String) throws {
        let desk = FixtureDesk()
        desk.take(FixtureEvent("getpid"))
        desk.take(FixtureEvent("getpid"), at: Timestamp(nanoseconds: 1_700_000_001_123_456_789))
        #expect(try desk.value(field) == value)
    }

    @Test("a counter counts how often it was asked for")
    func counter() throws {
        let desk = FixtureDesk()
        desk.take(FixtureEvent("getpid"))
        #expect(try desk.value("util.cnt") == "1")
        #expect(try desk.value("util.cnt") == "2")
    }

    @Test(
        "conditions as the rules write them",
        arguments: [
            ("evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = f and fd.num >= 0", true), ("evt.arg.flags contains O_CREAT", true),
            ("evt.arg.dirfd = AT_FDCWD", true), ("evt.type = open", false), ("evt.res = SUCCESS and evt.rawres > 0", true), ("evt.args contains \"name=a(/d/a)\"", true),
            ("evt.arg.path exists", false), ("fd.name pmatch (/d, /e)", true),
        ])
    func conditions(condition: String, holds: Bool) {
        let event = FixtureEvent("openat", result: 3, fd: 3, Self.current, 0, 0x241, 0o644).path("a", in: "/d").file()
        #expect(FixtureDesk.holds(condition, for: event) == holds)
    }
}
