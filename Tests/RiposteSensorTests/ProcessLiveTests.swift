import CRiposte
import Foundation
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Testing

@testable import RiposteSensor

@Suite("The process table and /proc")
struct ProcessLiveTests {
    private func text(_ bytes: UnsafeRawBufferPointer?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    @Test("a file whose time has no number in nanoseconds, which anybody can have, is read like any other")
    func farFuture() throws {
        let folder = try TemporaryFolder()
        let program = folder.path + "/sleep"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
        try run(["touch", "-d", "2300-01-01", program])
        // It is that program already: whoever spawns one returns when it has been executed.
        let child = try ChildProcess([program, "60"], output: nil, error: nil)
        let table = ProcessTable()
        table.seed()
        #expect(table.process(withPID: UInt32(child.pid))?.image.file.ino != 0)
        #expect(ProcessReader.nanoseconds(timespec(tv_sec: 10_413_792_000, tv_nsec: 5)) == 10_413_792_000 &* 1_000_000_000 &+ 5)
    }

    @Test("a child is seeded as it was started")
    func seed() throws {
        let folder = try TemporaryFolder()
        let pipe = Pipe()
        let child = try ChildProcess(
            ["setsid", "sh", "-c", "cd '\(folder.path)' && exec sleep 60 >/dev/null"], environment: ["RIPOSTE_TEST": "a b"], output: pipe.fileHandleForWriting.fileDescriptor)
        try pipe.fileHandleForWriting.close()
        // The pipe ends once the shell has become sleep, whose output goes elsewhere but whose errors do not.
        while try text(of: child, "comm") != "sleep\n" { usleep(1000) }

        let table = ProcessTable()
        table.seed()
        let entry = try #require(table.process(withPID: UInt32(child.pid)))
        #expect(text(entry.comm) == "sleep")
        #expect(text(entry.commandLine) == "sleep 60")
        #expect(text(entry.image.executable) == "sleep")
        #expect(text(entry.image.executablePath)?.hasPrefix("/") == true)
        #expect(entry.image.file.ino != 0)
        let name = HeldBytes.copy(of: "RIPOSTE_TEST".utf8)
        #expect(text(entry.image.environment.value(of: name.bytes)) == "a b")
        #expect(text(entry.workingDirectory) == folder.path + "/")
        #expect(entry.session == UInt32(child.pid))
        #expect(entry.virtualPID == UInt32(child.pid))
        #expect(table.parent(of: entry)?.pid == UInt32(getpid()))
        #expect(table.leader(of: entry, in: .session) === entry)
        #expect(entry.mountNamespace != 0 && entry.pidNamespace != 0)
        #expect(table.namespaceInitStart(of: entry) == table.process(withPID: 1)?.start)
        #expect(table.allEntries.contains { $0.isKernelThread && $0.image.executablePath.isEmpty })
    }

    @Test("what there was no time to read at the start is read when it is asked for, and not where an event has told it")
    func brief() throws {
        let child = try ChildProcess(["sleep", "60"])
        let scene = ProcessScene()
        scene.table.seed(budget: .zero)
        let entry = try #require(scene.table.process(withPID: UInt32(child.pid)))
        #expect(entry.isBrief)
        #expect(text(entry.comm) == "sleep")
        #expect(scene.table.parent(of: entry)?.pid == UInt32(getpid()))
        #expect(entry.isBrief)
        #expect(text(entry.commandLine) == "sleep 60")
        #expect(!entry.isBrief)

        let other = try #require(scene.table.process(withPID: UInt32(getpid())))
        scene.apply(
            RecordBuilder(.exec, pid: other.pid, start: other.start + 1, comm: "new").process(parent: 1, parentStart: 0).path("/x", .executablePath).path("/y", .workingDirectory)
                .path("/z", .cgroup).arguments("new", "one").environment())
        #expect(try scene.value("proc.cmdline") == "new one")
        #expect(try scene.value("proc.cwd") == "/y/")
        #expect(try scene.value("proc.env") == "")
    }

    @Test("a child of a process that there was no time to read runs what it runs itself, and not what its maker runs by now")
    func briefParent() throws {
        let scene = ProcessScene()
        scene.table.seed(budget: .zero)
        let maker = try #require(scene.table.process(withPID: UInt32(getpid())))
        #expect(maker.isBrief)
        let child = try ChildProcess(["sleep", "60"])
        let start = try startTime(of: child.pid)
        let entry = try #require(scene.apply(RecordBuilder(.fork, pid: UInt32(child.pid), start: start + 1, comm: "before").maker(maker.pid, start: maker.start)))
        #expect(text(entry.commandLine) == "sleep 60")
        #expect(text(entry.comm) == "before")
        #expect(entry.parentPID == maker.pid)
        // One that has ended by then runs what its maker runs.
        maker.forget(readingAgainFrom: ProcessReader())
        let gone = try #require(scene.apply(ProcessScene.fork(5, 7, "gone", of: 0, 0).maker(maker.pid, start: maker.start)))
        #expect(text(gone.commandLine) == text(maker.commandLine))
    }

    @Test("a process whose first thread has ended is told by another one")
    func firstThreadGone() throws {
        let folder = try TemporaryFolder()
        let script =
            "import ctypes, os, platform, threading, time\nos.chdir(r'\(folder.path)')\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
            + "ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)"
        let child = try ChildProcess(["python3", "-c", script], environment: ["RIPOSTE_TEST": "a b"])
        while child.status("State:")?.hasPrefix("Z") != true { try #require(child.isRunning) }
        let table = ProcessTable()
        table.seed()
        let entry = try #require(table.process(withPID: UInt32(child.pid)))
        #expect(text(entry.commandLine)?.hasPrefix("python3 -c ") == true)
        #expect(text(entry.image.executablePath)?.contains("/python3") == true)
        #expect(entry.image.file.ino != 0)
        let name = HeldBytes.copy(of: "RIPOSTE_TEST".utf8)
        #expect(text(entry.image.environment.value(of: name.bytes)) == "a b")
        #expect(text(entry.workingDirectory) == folder.path + "/")
        #expect(entry.virtualPID == UInt32(child.pid) && entry.mountNamespace != 0 && entry.pidNamespace != 0)
    }

    @Test("an orphan's parent is whom the kernel gave it to")
    func orphan() throws {
        let table = ProcessTable()
        let pipe = Pipe()
        let shell = try ChildProcess(["sh", "-c", "sleep 60 >/dev/null & echo $!; read line"], input: pipe.fileHandleForReading.fileDescriptor, output: nil)
        // The shell's only child, as soon as it is there.
        var orphans: [UInt32] = []
        while orphans.isEmpty {
            orphans = try String(contentsOfFile: "/proc/\(shell.pid)/task/\(shell.pid)/children", encoding: .utf8).split(separator: " ").compactMap { UInt32($0) }
        }
        let pid = try #require(orphans.first)
        defer { kill(pid_t(pid), SIGKILL) }
        table.seed()
        let entry = try #require(table.process(withPID: pid))
        #expect(table.parent(of: entry)?.pid == UInt32(shell.pid))
        let parent = try #require(table.process(withPID: UInt32(shell.pid)))
        try pipe.fileHandleForWriting.close()
        #expect(shell.waitForExit() == 1)
        let end = RecordBuilder(.exit, pid: parent.pid, start: parent.start + 1, comm: "sh").flags(RIPOSTE_FLAG_LAST_THREAD).built()
        _ = table.apply(end.record)
        let now = ProcessFolder(pid)?.facts(into: ProcessReadBuffer())?.parent
        #expect(now != UInt32(shell.pid))
        #expect(table.parent(of: entry)?.pid == now)
        #expect(entry.parentPID == now)
    }

    private func text(of child: ChildProcess, _ file: String) throws -> String { try String(contentsOfFile: "/proc/\(child.pid)/\(file)", encoding: .utf8) }

    @Test("the seeded table is /proc's")
    func agrees() {
        let table = ProcessTable()
        table.seed()
        // Others' processes come and go; what stays different is wrong.
        var differences = Set(table.differencesFromProc())
        for _ in 0..<20 where !differences.isEmpty {
            let again = ProcessTable()
            again.seed()
            differences.formIntersection(again.differencesFromProc())
        }
        #expect(differences.isEmpty)
        #expect(table.count > 2)
    }

    @Test("a child that the table did not know is read when it is needed; one whose parent ended gets the kernel's")
    func rebuilt() throws {
        let child = try ChildProcess(["sleep", "60"])
        // Before it sleeps it has its libraries open.
        while child.status("State:")?.hasPrefix("S") != true { try #require(child.isRunning) }
        let scene = ProcessScene()
        let start = try startTime(of: child.pid)
        // An event tells the start more finely than /proc.
        scene.call(RecordBuilder(.call, pid: UInt32(child.pid), start: start + 1_234_567, comm: "sleep"))
        #expect(scene.table.counters == .init(evicted: 0, rebuiltFromProc: 1, incomplete: 0))
        let fields: [(String, SeenValue)] = [
            ("proc.cmdline", "sleep 60"), ("proc.ppid", .integer(Int64(getpid()))), ("proc.nthreads", 1), ("proc.fdopencount", 3), ("thread.ismain", true),
            ("proc.stdin.type", "file"), ("proc.stdin.name", "/dev/null"), ("proc.pid.ts", .integer(ProcessScene.wallOffset + Int64(start) + 1_234_567)),
        ]
        for (field, value) in fields { #expect(try scene.value(field) == value, "\(field)") }
        for field in ["proc.vmsize", "proc.vmrss", "proc.fdlimit", "thread.pfminor"] {
            guard case .integer(let number) = try scene.value(field) else { Issue.record("\(field) is no number"); continue }
            #expect(number > 0, "\(field)")
        }
        guard case .bytes(let cgroups) = try scene.value("thread.cgroups") else { Issue.record("no control groups"); return }
        #expect(cgroups.isEmpty || cgroups.contains(UInt8(ascii: "=")))

        // As if its parent were one that has ended: the kernel says who it is.
        let entry = try #require(scene.table.process(withPID: UInt32(child.pid)))
        (entry.parentPID, entry.parentStart) = (ProcessScene.pid(9), 77)
        #expect(scene.table.parent(of: entry)?.pid == UInt32(getpid()))

        child.signal(SIGKILL)
        _ = child.waitForSignal()
        #expect(scene.table.forgetEnded() == 1)
        #expect(try scene.value("proc.nthreads") == .absent)
        #expect(try scene.value("proc.stdin.type") == .absent)
        // Another start: not the process that had the number.
        scene.call(RecordBuilder(.call, pid: UInt32(getpid()), start: 5, comm: "x"))
        #expect(scene.table.counters.incomplete == 1)
    }

    private func startTime(of pid: Int32) throws -> UInt64 {
        let start = ProcessFolder(UInt32(pid))?.facts(into: ProcessReadBuffer())?.start
        return try #require(start)
    }

    @Test("standard streams that are sockets have both ends", arguments: [false, true])
    func streams(_ isAccepted: Bool) throws {
        let listener = try Listener()
        let (client, server) = try listener.connection()
        defer { for descriptor in [client, server] { close(descriptor) } }
        let child = try ChildProcess(["sleep", "60"], input: isAccepted ? server : client)
        let scene = ProcessScene()
        scene.call(RecordBuilder(.call, pid: UInt32(child.pid), start: try startTime(of: child.pid), comm: "sleep"))
        #expect(try scene.value("proc.stdin.type") == "ipv4")
        let port = try Listener.port(of: client)
        #expect(try scene.value("proc.stdin.name") == .bytes(Array("127.0.0.1:\(port)->127.0.0.1:\(listener.port)".utf8)))
    }

    @Test("the kernel's line of a process, whatever its name", arguments: ["a", ") R 1 2", "((", "x y"])
    func oddNames(_ name: String) throws {
        let line = "77 (\(name)) S 1 2 3 34816 5 2097152 7 8 9 10 11 12 13 14 15 16 4 18 500 20"
        let bytes = HeldBytes.copy(of: line.utf8)
        let stat = try #require(ProcessStat(bytes.bytes))
        #expect(text(stat.comm) == name)
        #expect((stat.parent, stat.group, stat.session, stat.tty) == (1, 2, 3, 34816))
        #expect((stat.isKernelThread, stat.minorFaults, stat.majorFaults, stat.threadCount) == (true, 7, 9, 4))
        #expect(stat.start == 5_000_000_000)
    }

    @Test("lines that are none", arguments: ["", "7", "7 (x", "7 (x)", "7 (x) S 1 2", ")("])
    func brokenLines(_ line: String) { #expect(ProcessStat(HeldBytes.copy(of: line.utf8).bytes) == nil) }
}

/// A TCP socket of the loopback that listens.
private final class Listener {
    private let descriptor: Int32
    let port: UInt16

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = Self.loopback(0)
        let status = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } }
        guard status == 0, listen(descriptor, 4) == 0 else { throw POSIXError(.EADDRINUSE) }
        port = try Self.port(of: descriptor)
    }

    deinit { close(descriptor) }

    func connection() throws -> (client: Int32, server: Int32) {
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(port)
        let status = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } }
        guard status == 0 else { throw POSIXError(.ECONNREFUSED) }
        return (client, accept(descriptor, nil, nil))
    }

    static func port(of descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) } }
        guard status == 0 else { throw POSIXError(.EBADF) }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
