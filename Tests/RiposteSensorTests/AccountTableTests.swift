import Dispatch
import Foundation
import RiposteCore
@testable import RiposteSensor
import RiposteTestSupport
import Synchronization
import Testing

private func text(_ bytes: UnsafeRawBufferPointer?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private let container = ContainerReference(fullID: "web", runtime: .docker)

private func book(_ passwd: String, _ group: String = "") -> AccountBook { AccountBook(passwd: bytes(passwd), group: bytes(group), limits: AccountBook.Limits()) }

struct AccountBookTests {
    @Test(
        "lines of passwd, whole ones and others",
        arguments: [
            ("root:x:0:0:root:/root:/bin/sh", 0, ["root", "/root", "/bin/sh"]), ("a:x:1000:1000::/home/a:", 1000, ["a", "/home/a", ""]),
            ("a:x:5", 5, ["a", "", ""]), ("a::4294967294:1:::s", 4_294_967_294, ["a", "", "s"]), ("a:x:7:7:g:/h:/s:extra", 7, ["a", "/h", "/s:extra"]),
            ("first:x:1:1:::\nsecond:x:1:1:::", 1, ["first", "", ""]), ("\n\n\na:x:1:::/h:/s\n", 1, ["a", "/h", "/s"]),
            ("#a:x:1:1:::\nb:x:1:1:::", 1, ["b", "", ""]), ("a b\u{1B}[31m:x:1:1:::", 1, ["a b\u{1B}[31m", "", ""]),
        ] as [(String, UInt32, [String])])
    func users(_ file: String, _ id: UInt32, _ expected: [String]) {
        let book = book(file)
        withExtendedLifetime(book) {
            let user = book.users[id]
            #expect([user?.name, user?.home, user?.shell].map(text) == expected)
        }
    }

    @Test(
        "what is no entry",
        arguments: [
            "", "\n", ":", "::::::", "a", "a:x", "a:x:", "a:x:-1", "a:x:+1", "a:x: 1", "a:x:1 ", "a:x:0x1", "a:x:4294967296", "a:x:99999999999", ":x:1:1:::", "+:x:1:1:::",
            "-a:x:1:1:::", "#a:x:1:1:::", "a\u{0}b:x:1:1:::", String(repeating: "a", count: 257) + ":x:1:1:::", "a:x:1:1::" + String(repeating: "h", count: 257) + ":",
        ])
    func noUsers(_ file: String) { #expect(book(file).users.isEmpty) }

    @Test("groups")
    func groups() {
        let book = book("", "root:x:0:\nwheel:x:10:a,b,c\nwheel2:x:10:\nbroken\n")
        withExtendedLifetime(book) { #expect(book.groups.mapValues { text($0) } == [0: "root", 10: "wheel"]) }
    }

    @Test("no more entries are kept than should be")
    func bounds() { #expect(book((0..<10000).map { "u\($0):x:\($0):0:::\n" }.joined()).users.count == 4096) }
}

/// A folder as the root of somebody who means harm.
struct AccountFilesTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path }

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/root/etc", withIntermediateDirectories: true)
        _ = try folder.file("outside", "outside:x:1:1:::\n")
        _ = try folder.file("root/inside", "inside:x:1:1:::\n")
    }

    private func names(known: AccountFiles.Stamp? = nil) -> [String]? {
        let root = open(path + "/root", O_RDONLY | O_DIRECTORY)
        defer { close(root) }
        guard case .read(let book, _) = AccountFiles.below(root, known: known, limits: AccountBook.Limits()) else { return nil }
        return withExtendedLifetime(book) { book.users.values.compactMap { text($0.name) }.sorted() }
    }

    private func link(_ target: String) { symlink(target, path + "/root/etc/passwd") }

    @Test(
        "links end in the root",
        arguments: [
            ("/inside", ["inside"]), ("../inside", ["inside"]), ("../../../../../../../../inside", ["inside"]), ("../../outside", []), ("/outside", []),
            ("/etc/passwd", []), ("/proc/self/root/etc/passwd", []), ("/proc/1/root/etc/passwd", []), ("passwd", []), ("nowhere", []), ("/", []), ("", []),
        ])
    func links(_ target: String, _ expected: [String]) {
        link(target)
        #expect(names() == expected)
    }

    @Test("a linked folder ends in the root too")
    func linkedFolder() throws {
        try FileManager.default.removeItem(atPath: path + "/root/etc")
        symlink("/../../..\(path)", path + "/root/etc")
        _ = try folder.file("passwd", "outside:x:1:1:::\n")
        #expect(names() == [])
    }

    @Test("what is no regular file is not waited for", arguments: ["pipe", "folder", "device", "socket"])
    func otherKinds(_ kind: String) throws {
        let file = path + "/root/etc/passwd"
        switch kind {
        case "pipe": mkfifo(file, 0o644)
        case "folder": mkdir(file, 0o755)
        case "device": guard mknod(file, S_IFCHR | 0o644, 1 << 8 | 5) == 0 else { return }
        default: mknod(file, S_IFSOCK | 0o644, 0)
        }
        #expect(names() == [])
    }

    @Test("of an endless file the beginning is read, whole lines only")
    func huge() throws {
        let line = "u:x:1:1:::" + String(repeating: "s", count: 90) + "\n"
        _ = try folder.file("root/etc/passwd", String(repeating: line, count: 20000) + "late:x:2:1:::\n")
        #expect(names() == ["u"])
        truncate(path + "/root/etc/passwd", 1 << 40)
        #expect(names() == ["u"])
        _ = try folder.file("root/etc/passwd", String(repeating: "x", count: 2 << 20))
        #expect(names() == [])
    }

    @Test("what has not changed is not read again")
    func stamps() throws {
        _ = try folder.file("root/etc/passwd", "a:x:1:1:::\n")
        let root = open(path + "/root", O_RDONLY | O_DIRECTORY)
        defer { close(root) }
        guard case .read(_, let stamp) = AccountFiles.below(root, known: nil, limits: AccountBook.Limits()) else {
            Issue.record("nothing was read")
            return
        }
        #expect(names(known: stamp) == nil)
        _ = try folder.file("root/etc/passwd", "b:x:1:1:::\n")
        #expect(names(known: stamp) == ["b"])
        unlink(path + "/root/etc/passwd")
        #expect(names(known: stamp) == [])
    }
}

/// Of a table whose clock and reading the test has in hand.
struct AccountTableTests {
    private final class World: Sendable {
        private let state = Mutex<(files: [UInt32: AccountFiles.Outcome], reads: [UInt32])>(([:], []))

        /// What the process's files hold.
        func set(_ pid: UInt32, _ outcome: AccountFiles.Outcome) { state.withLock { $0.files[pid] = outcome } }
        func set(_ pid: UInt32, _ passwd: String) { set(pid, .read(book(passwd), AccountFiles.Stamp(passwd: [], group: []))) }

        var reads: [UInt32] { state.withLock(\.reads) }

        func read(_ pid: UInt32) -> AccountFiles.Outcome {
            state.withLock { state in
                state.reads.append(pid)
                return state.files[pid] ?? .notThere
            }
        }
    }

    private final class Clock {
        var now: UInt64 = 1
        func pass(_ seconds: UInt64) { now += seconds * 1_000_000_000 }
    }

    private let folder: TemporaryFolder
    private let world = World()
    private let clock = Clock()

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/etc", withIntermediateDirectories: true)
    }

    private func table(_ limits: AccountTable.Limits = AccountTable.Limits(patience: .seconds(10))) -> AccountTable {
        AccountTable(hostRoot: folder.path, limits: limits, read: { [world] pid, _, _ in world.read(pid) }) { [clock] in clock.now }
    }

    private func name(_ table: AccountTable, _ id: UInt32, in namespace: UInt32, pid: UInt32) -> String? {
        text(table.user(id, mountNamespace: namespace, pid: pid, container: container)?.name)
    }

    @Test("the host's files, read again a second after a change; what was given out stays until the next event")
    func host() throws {
        _ = try folder.file("etc/passwd", "a:x:1:1::/home/a:/bin/a\n")
        _ = try folder.file("etc/group", "g:x:1:\n")
        let table = table()
        func user(_ id: UInt32) -> AccountTable.User? { table.user(id, mountNamespace: 1, pid: 1, container: .host) }
        let first = user(1)
        #expect([first?.name, first?.home, first?.shell].map(text) == ["a", "/home/a", "/bin/a"])
        #expect(text(table.group(1, mountNamespace: 1, pid: 1, container: .host)) == "g")
        #expect(user(2) == nil && table.group(2, mountNamespace: 1, pid: 1, container: .host) == nil)
        _ = try folder.file("etc/passwd", "b:x:1:1:::\n")
        #expect(text(user(1)?.name) == "a")
        clock.pass(1)
        #expect(text(user(1)?.name) == "b")
        #expect(text(first?.name) == "a")
        table.beginEvent()
        #expect(text(user(1)?.name) == "b")
        #expect(world.reads.isEmpty)
    }

    @Test("0 is root also where no file says so")
    func superuser() {
        let table = table()
        for container in [ContainerReference.host, container] {
            let user = table.user(0, mountNamespace: 9, pid: 1, container: container)
            #expect([user?.name, user?.home, user?.shell].map(text) == ["root", "/root", "<NA>"])
            #expect(text(table.group(0, mountNamespace: 9, pid: 1, container: container)) == "root")
        }
        world.set(2, "toor:x:0:0::/:/bin/toor\n")
        #expect(name(table, 0, in: 10, pid: 2) == "toor")
    }

    @Test("a container's files are read once per mount namespace, and looked at again seconds later while the event goes on")
    func containers() async throws {
        world.set(1, "one:x:1:1:::\n")
        world.set(2, "two:x:1:1:::\n")
        let table = table()
        #expect(name(table, 1, in: 10, pid: 1) == "one" && name(table, 1, in: 20, pid: 2) == "two")
        #expect(name(table, 1, in: 10, pid: 2) == "one" && name(table, 7, in: 10, pid: 3) == nil)
        #expect(world.reads == [1, 2])
        #expect(name(table, 1, in: 0, pid: 1) == nil, "an unknown namespace")
        world.set(1, "new:x:1:1:::\n")
        clock.pass(3)
        let old = table.user(1, mountNamespace: 10, pid: 1, container: container)
        #expect(text(old?.name) == "one")
        while name(table, 1, in: 10, pid: 1) != "new" { try await Task.sleep(for: .milliseconds(1)) }
        #expect(text(old?.name) == "one", "within the event")
        #expect(world.reads == [1, 2, 1])
    }

    @Test("a mount namespace with the number of an ended one has the names of its own container, within the event as well")
    func sameNumber() {
        world.set(1, "alice:x:1000:1000:::\n")
        world.set(2, "bob:x:1000:1000:::\n")
        let table = table()
        func user(_ pid: UInt32, of container: String) -> AccountTable.User? {
            table.user(1000, mountNamespace: 10, pid: pid, container: ContainerReference(fullID: ByteText(container), runtime: .docker))
        }
        let first = user(1, of: "a")
        #expect(text(user(2, of: "b")?.name) == "bob")
        #expect(text(first?.name) == "alice")
        #expect(user(3, of: "c") == nil, "whose files nobody could read yet")
    }

    @Test("a process that does not stand for its namespace leaves it to others")
    func substitutes() {
        let table = table()
        #expect(name(table, 1, in: 10, pid: 1) == nil && name(table, 1, in: 10, pid: 1) == nil)
        world.set(2, "two:x:1:1:::\n")
        #expect(name(table, 1, in: 10, pid: 2) == "two")
        #expect(world.reads == [1, 2])
        for pid in 100..<200 as Range<UInt32> { _ = name(table, 1, in: 20, pid: pid) }
        #expect(world.reads.count == 10, "not for ever")
    }

    @Test("those used longest ago are forgotten, by number and by size")
    func eviction() {
        for pid in 1...4 as ClosedRange<UInt32> { world.set(pid, "u\(pid):x:1:1:::\n") }
        let few = table(AccountTable.Limits(namespaces: 2, patience: .seconds(10)))
        for pid in [1, 2, 1, 3, 1, 2] as [UInt32] {
            clock.now += 1
            #expect(name(few, 1, in: pid, pid: pid) == "u\(pid)")
        }
        #expect(world.reads == [1, 2, 3, 2])
        let small = table(AccountTable.Limits(bytes: 200, patience: .seconds(10)))
        for pid in [1, 2, 1] as [UInt32] { #expect(name(small, 1, in: pid, pid: pid) == "u\(pid)") }
        #expect(world.reads.suffix(3) == [1, 2, 1])
    }

    @Test("a file system that never answers costs a moment once, and the others go on", .timeLimit(.minutes(1)))
    func hanging() async throws {
        let gate = DispatchSemaphore(value: 0)
        let table = AccountTable(
            hostRoot: folder.path,
            read: { pid, _, _ in
                if pid < 100 { gate.wait() }
                return .read(book("u\(pid):x:1:1:::\n"), AccountFiles.Stamp(passwd: [], group: []))
            }, clock: { [clock] in clock.now })
        for pid in 1...3 as ClosedRange<UInt32> { #expect(name(table, 1, in: pid, pid: pid) == nil) }
        #expect(table.lateCount == 3)
        while name(table, 1, in: 100, pid: 100) != "u100" { try await Task.sleep(for: .milliseconds(1)) }
        #expect(name(table, 1, in: 4, pid: 4) == nil, "the last thread hangs as well")
        let late = table.lateCount
        for _ in 0..<1000 { #expect(name(table, 1, in: 4, pid: 5) == nil) }
        #expect(table.lateCount == late, "nobody waits again")
        for pid in 1000..<1100 as Range<UInt32> { #expect(name(table, 1, in: pid, pid: pid) == nil, "no room in the queue, or no thread") }
        for _ in 0..<4 { gate.signal() }
        while name(table, 1, in: 4, pid: 4) != "u4" { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("containers whose file systems never answer do not take the names from others, and each holds one reader", .timeLimit(.minutes(1)))
    func others() async throws {
        let gate = DispatchSemaphore(value: 0)
        let reads = Mutex<[UInt32]>([])
        let (began, bell) = AsyncStream.makeStream(of: UInt32.self)
        let table = AccountTable(
            hostRoot: folder.path, limits: AccountTable.Limits(hanging: .zero),
            read: { pid, _, _ in
                reads.withLock { $0.append(pid) }
                bell.yield(pid)
                if pid < 100 { gate.wait() }
                return .read(book("u\(pid):x:1:1:::\n"), AccountFiles.Stamp(passwd: [], group: []))
            }, clock: { [clock] in clock.now })
        func user(_ pid: UInt32, of container: String) -> String? {
            text(table.user(1, mountNamespace: pid, pid: pid, container: ContainerReference(fullID: ByteText(container), runtime: .docker))?.name)
        }
        var readings = began.makeAsyncIterator()
        for pid in 1...8 as ClosedRange<UInt32> {
            #expect(user(pid, of: "c\(pid)") == nil)
            #expect(await readings.next() == pid)
        }
        #expect(user(9, of: "c8") == nil && user(10, of: "c8") == nil)
        while user(100, of: "c100") != "u100" { try await Task.sleep(for: .milliseconds(1)) }
        #expect(reads.withLock { !$0.contains(9) && !$0.contains(10) })
        for _ in 0..<8 { gate.signal() }
    }
}

/// Real processes in mount namespaces of their own.
@Suite(.enabled(if: Machine.isRoot && Machine.has("busybox") && Machine.has("unshare"), "needs root, busybox and unshare"), .timeLimit(.minutes(1)))
struct AccountTableLiveTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try run(["sh", "-c", "cd \(folder.path) && mkdir -p etc bin old fake/etc fake/bin && cp $(command -v busybox) bin/ && cp bin/busybox fake/bin/"])
        _ = try folder.file("etc/passwd", "inside:x:1000:1000::/home/inside:/bin/busybox\n")
        _ = try folder.file("fake/etc/passwd", "liar:x:1000:1000:::\n")
    }

    /// `last` runs with the folder as its root.
    private func process(_ last: String) throws -> ChildProcess {
        let script =
            "mount --bind \(folder.path) \(folder.path) && cd \(folder.path) && pivot_root . old && exec bin/busybox sh -c 'cd /; bin/busybox umount -l old; echo ready >ready; \(last)'"
        let child = try ChildProcess(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
        while child.isRunning, !FileManager.default.fileExists(atPath: folder.path + "/ready") { usleep(1000) }
        return child
    }

    private func mountNamespace(_ pid: Int32) throws -> UInt32 {
        var facts = stat()
        try #require(stat("/proc/\(pid)/ns/mnt", &facts) == 0)
        return UInt32(facts.st_ino)
    }

    private func program(_ pid: Int32) -> String { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/root")) ?? "" }

    @Test("a process below a root of its own is asked for its files; under another's number it is not")
    func ownRoot() throws {
        let child = try process("exec bin/busybox sleep 1000")
        let table = AccountTable()
        let namespace = try mountNamespace(child.pid)
        #expect(table.user(1000, mountNamespace: namespace + 1, pid: UInt32(child.pid), container: container) == nil)
        let user = table.user(1000, mountNamespace: namespace, pid: UInt32(child.pid), container: container)
        #expect([user?.name, user?.home, user?.shell].map(text) == ["inside", "/home/inside", "/bin/busybox"])
    }

    @Test("a process that changed its root says nothing of its container")
    func changedRoot() throws {
        let child = try process("exec bin/busybox chroot fake /bin/busybox sleep 1000")
        while child.isRunning, program(child.pid) != "/fake" { usleep(1000) }
        #expect(AccountTable().user(1000, mountNamespace: try mountNamespace(child.pid), pid: UInt32(child.pid), container: container) == nil)
    }
}
