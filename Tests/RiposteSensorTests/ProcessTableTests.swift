import CRiposte
import RiposteCore
import Testing

@testable import RiposteSensor

@Suite("The process table")
struct ProcessTableTests {
    private static let (pid, start) = (ProcessScene.pid, ProcessScene.start)

    private func text(_ bytes: UnsafeRawBufferPointer?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    @Test("a fork runs its parent's program from its parent's folder until it starts another")
    func fork() throws {
        let scene = ProcessScene.login()
        let child = try #require(scene.apply(ProcessScene.fork(201, 7, "python3", of: 200, 4)))
        let parent = try #require(scene.table.process(withPID: Self.pid(200)))
        #expect(child.image === parent.image)
        #expect(text(child.workingDirectory) == "/srv/app/")
        #expect(scene.table.parent(of: child) === parent)
        #expect(child.tty == 34_816)
        #expect(try scene.value("proc.cmdline") == "python3 -c import os ")
        scene.apply(ProcessScene.exec(201, 7, "id", parent: 200, 4).arguments("id").environment("HOME=/root", "EMPTY=", "A=b  c "))
        #expect(try scene.value("proc.cmdline") == "id")
        #expect(try scene.value("proc.cwd") == "/")
        #expect(child.image.environmentBytes === parent.image.environmentBytes)
        #expect(text(parent.commandLine) == "python3 -c import os ")
    }

    @Test("threads have no entries, and their end is not that of their process")
    func threads() throws {
        let scene = ProcessScene.login()
        let process = scene.table.process(withPID: Self.pid(200))
        let made = RecordBuilder(.fork, pid: Self.pid(200), tid: Self.pid(202), start: Self.start(4), comm: "python3").maker(Self.pid(200), start: Self.start(4))
        #expect(scene.apply(made) === process)
        #expect(scene.table.count == 4)
        #expect(scene.apply(RecordBuilder(.exit, pid: Self.pid(200), tid: Self.pid(202), start: Self.start(4))) === process)
        #expect(scene.table.process(withPID: Self.pid(200)) === process)
        // The leader ends first, another thread goes on.
        scene.apply(RecordBuilder(.exit, pid: Self.pid(200), start: Self.start(4), comm: "python3"))
        #expect(scene.table.process(withPID: Self.pid(200)) === process)
        scene.apply(RecordBuilder(.exit, pid: Self.pid(200), tid: Self.pid(203), start: Self.start(4)).flags(RIPOSTE_FLAG_LAST_THREAD))
        #expect(scene.table.process(withPID: Self.pid(200)) == nil)
        #expect(try scene.value("proc.cmdline") == "python3 -c import os ")
        #expect(try scene.value("proc.pname") == "bash")
    }

    @Test("a thread renames itself and not its process; the main thread renames both")
    func names() throws {
        let scene = ProcessScene.login()
        scene.apply(ProcessScene.fork(201, 7, "python3", of: 200, 4))
        scene.call(ProcessScene.call(200, 4, "worker", tid: 202))
        scene.call(ProcessScene.call(201, 7, "python3"))
        #expect(try scene.value("proc.pname") == "python3")
        scene.call(ProcessScene.call(200, 4, "renamed"))
        #expect(try scene.value("proc.cmdline") == "python3 -c import os ")
        scene.call(ProcessScene.call(201, 7, "python3"))
        #expect(try scene.value("proc.pname") == "renamed")
    }

    @Test("a thread that starts a program becomes its process")
    func threadExec() throws {
        let scene = ProcessScene.login()
        let before = scene.table.process(withPID: Self.pid(200))
        let after = scene.apply(ProcessScene.exec(200, 4, "ls", parent: 100, 3).arguments("ls", "-l"))
        #expect(after === before)
        #expect(try scene.value("proc.cmdline") == "ls -l")
        #expect(try scene.value("thread.ismain") == true)
        #expect(scene.table.count == 4)
    }

    @Test("a number that is given away again means another process")
    func reuse() throws {
        let scene = ProcessScene.login()
        let child = try #require(scene.apply(ProcessScene.fork(201, 7, "python3", of: 200, 4)))
        // The end of 200 was lost; its number comes again.
        scene.apply(ProcessScene.fork(200, 9, "sshd", of: 50, 2))
        scene.apply(ProcessScene.exec(200, 9, "nginx", parent: 50, 2).arguments("nginx"))
        // Its child has ended as far as /proc knows, and counts as one of the first process of all.
        #expect(scene.table.parent(of: child)?.pid == 1)
        scene.call(ProcessScene.call(201, 7, "python3"))
        #expect(try scene.value("proc.aname").description.contains("nginx") == false)
        // What is still said of the earlier one does not replace the later one.
        let late = scene.call(ProcessScene.call(200, 4, "python3"))
        #expect(late?.start == Self.start(4))
        #expect(scene.table.process(withPID: Self.pid(200))?.start == Self.start(9))
        #expect(try scene.value("proc.name") == "python3")
        // Nor does its end.
        scene.apply(ProcessScene.exit(200, 4))
        #expect(scene.table.process(withPID: Self.pid(200))?.start == Self.start(9))
    }

    @Test("an event and a seeded entry are about the same process within a tick, and then the event's time counts")
    func ticks() throws {
        let scene = ProcessScene()
        let seeded: UInt64 = 5_120_000_000
        scene.call(RecordBuilder(.call, pid: Self.pid(1), start: seeded, comm: "old"))
        let child = try #require(scene.call(RecordBuilder(.call, pid: Self.pid(2), start: seeded + 20_000_000, comm: "child")))
        (child.parentPID, child.parentStart, child.hasUnknownParent) = (Self.pid(1), seeded, false)
        let exact = seeded + 3_456_789
        let parent = try #require(scene.call(RecordBuilder(.call, pid: Self.pid(1), start: exact, comm: "old")))
        #expect(scene.table.count == 2)
        #expect(parent.start == exact)
        #expect(scene.table.parent(of: child) === parent)
        scene.call(RecordBuilder(.call, pid: Self.pid(1), start: exact + 1, comm: "other"))
        #expect(scene.table.process(withPID: Self.pid(1))?.start == exact + 1)
    }

    @Test(
        "starts that may be one",
        arguments: [
            (5_123_456_789, 5_123_456_789, true), (5_120_000_000, 5_123_456_789, true), (5_123_456_789, 5_120_000_000, true), (5_130_000_000, 5_120_000_000, true),
            (5_123_456_789, 5_123_456_788, false), (5_100_000_000, 5_123_456_789, false), (0, 5_123_456_789, false),
        ] as [(UInt64, UInt64, Bool)])
    func starts(_ first: UInt64, _ second: UInt64, _ isSame: Bool) { #expect(ProcessStart.isSame(first, second) == isSame) }

    @Test("CLONE_PARENT: the program is the maker's, the parent is the maker's parent")
    func cloneParent() throws {
        let scene = ProcessScene.login()
        let child = try #require(scene.apply(ProcessScene.fork(201, 7, "python3", of: 200, 4).process(parent: Self.pid(100), parentStart: Self.start(3))))
        #expect(child.image === scene.table.process(withPID: Self.pid(200))?.image)
        #expect(scene.table.parent(of: child)?.pid == Self.pid(100))
    }

    @Test("an update tells folder, session, group and parent anew")
    func update() throws {
        let scene = ProcessScene.login()
        scene.apply(
            RecordBuilder(.update, pid: Self.pid(200), start: Self.start(4), comm: "python3")
                .process(parent: Self.pid(50), parentStart: Self.start(2)).path("/proc/self/fd", .workingDirectory).with(\.mount_ns, 8))
        let fields: [(String, SeenValue)] = [
            ("proc.cwd", "/proc/self/fd/"), ("proc.is_sid_leader", true), ("proc.sname", "python3"), ("proc.tty", 0), ("proc.pname", "sshd"),
            ("proc.cmdline", "python3 -c import os "),
            ("proc.fdlimit", 1024),
        ]
        for (field, value) in fields { #expect(try scene.value(field) == value, "\(field)") }
        #expect(scene.table.process(withPID: Self.pid(200))?.mountNamespace == 8)
        scene.apply(RecordBuilder(.update, pid: Self.pid(200), start: Self.start(4), comm: "python3").path("/", .workingDirectory))
        #expect(try scene.value("proc.cwd") == "/")
    }

    @Test("the end of a process takes it out of the lineage of its children")
    func orphans() throws {
        let scene = ProcessScene.login()
        scene.apply(ProcessScene.exit(100, 3))
        #expect(try scene.value("proc.name") == "test")
        #expect(try scene.value("proc.pname") == "sshd")
        scene.call(ProcessScene.call(200, 4, "python3"))
        #expect(try scene.value("proc.aname").description.contains("bash") == false)
        // The kernel tells of the new parent with the next event that carries one.
        scene.apply(ProcessScene.exec(200, 4, "ls", parent: 1, 1).arguments("ls"))
        #expect(try scene.value("proc.aname") == ["systemd"])
        #expect(try scene.value("proc.sname") == "ls")
    }

    @Test("a session whose leader has ended goes by the oldest ancestor that is in it")
    func leaderless() throws {
        let scene = ProcessScene.login()
        let inSession: (inout riposte_process) -> Void = { ($0.session, $0.group) = (Self.pid(100), Self.pid(100)) }
        scene.apply(ProcessScene.exec(300, 5, "make", parent: 200, 4, inSession).arguments("make"))
        scene.apply(ProcessScene.exec(301, 6, "cc", parent: 300, 5, inSession).arguments("cc"))
        #expect(try scene.value("proc.sname") == "bash")
        scene.apply(ProcessScene.exit(100, 3))
        scene.call(ProcessScene.call(301, 6, "cc"))
        #expect(try scene.value("proc.sname") == "python3")
        #expect(try scene.value("proc.pgid.name") == "make")
        #expect(try scene.value("proc.pgid") == .integer(Int64(Self.pid(100))))
    }

    @Test("containers are told by cgroup, and inherited")
    func containers() throws {
        let scene = ProcessScene.login()
        let id = String(repeating: "0123456789abcdef", count: 4)
        let inContainer = ProcessScene.fork(300, 5, "runc", of: 200, 4).with(\.cgroup, 99).path("/docker/\(id)", .cgroup)
        let first = try #require(scene.apply(inContainer))
        #expect(first.container.fullID == ByteText(id))
        #expect(text(first.cgroupPath) == "/docker/\(id)")
        let second = try #require(scene.apply(ProcessScene.fork(301, 6, "runc", of: 300, 5).with(\.cgroup, 99)))
        #expect(second.container == first.container)
        #expect(second.cgroupID == 99)
        let host = try #require(scene.apply(ProcessScene.exec(302, 6, "x", parent: 1, 1).with(\.cgroup, 3).path("/user.slice", .cgroup)))
        #expect(host.container.isHost)
        // Seen later in the container's cgroup: it was moved there.
        scene.call(ProcessScene.call(302, 6, "x").with(\.cgroup, 99))
        #expect(host.container == first.container)
    }

    @Test("the end of a path that is nested too deep for the kernel side says nothing: what is missing may name the container")
    func deepCgroup() throws {
        let scene = ProcessScene.login()
        let id = String(repeating: "0123456789abcdef", count: 4)
        let first = try #require(scene.apply(ProcessScene.fork(300, 5, "runc", of: 200, 4).with(\.cgroup, 99).path("/docker/\(id)", .cgroup)))
        let nested = ProcessScene.fork(301, 6, "sh", of: 300, 5).with(\.cgroup, 100).path("/n/n/n/n", .cgroup, detail: 1)
        let second = try #require(scene.apply(nested))
        #expect(second.container == first.container && !second.container.isHost)
        let third = try #require(scene.apply(ProcessScene.exec(301, 6, "x", parent: 300, 5).with(\.cgroup, 100).path("/n/n/n/n", .cgroup, detail: 1)))
        #expect(third.container == first.container)
    }

    @Test("what nobody has needed for longest makes room")
    func eviction() throws {
        let scene = ProcessScene(entryLimit: 32)
        for number in 1...32 as ClosedRange<UInt32> { scene.apply(ProcessScene.exec(number, 1, "p\(number)", parent: 0, 0)) }
        scene.call(ProcessScene.call(1, 1, "p1"))
        scene.apply(ProcessScene.exec(33, 1, "p33", parent: 0, 0))
        #expect(scene.table.counters.evicted == 2)
        #expect(scene.table.count == 31)
        #expect(scene.table.process(withPID: Self.pid(1)) != nil)
        #expect(scene.table.process(withPID: Self.pid(2)) == nil)
    }

    @Test("numbers above every kernel's limit are nobody's")
    func hugeNumbers() {
        let table = ProcessTable()
        let record = RecordBuilder(.call, pid: .max, start: 5, comm: "x").built()
        #expect(table.process(of: record.record)?.isIncomplete == true)
        #expect(table.count == 0)
    }

    @Test("a circle of parents ends")
    func circle() throws {
        let scene = ProcessScene()
        scene.apply(ProcessScene.exec(1, 1, "a", parent: 2, 1))
        scene.apply(ProcessScene.exec(2, 1, "b", parent: 1, 1))
        guard case .list(let names) = try scene.value("proc.aname") else { Issue.record("no list"); return }
        #expect(names.count == ProcessTable.lineageLimit)
        #expect(try scene.value("proc.aname[4000]") == .absent)
        #expect(try scene.value("proc.sname") == "b")
    }
}
