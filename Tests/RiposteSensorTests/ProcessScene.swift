import CRiposte
import RiposteCore
import RiposteRules
@testable import RiposteSensor

/// A table of made-up processes and an event that is asked about them. Pids are above what kernels give out, so that /proc never knows them.
final class ProcessScene {
    static let wallOffset: Int64 = 1_700_000_000_000_000_000
    /// Starts are this many nanoseconds past a second, so that none looks like a whole tick.
    static let odd: UInt64 = 123_456_789

    let table: ProcessTable
    let event: SensorEvent
    private let probe = FieldProbe()
    /// The event of now points into this one.
    private var current: BuiltRecord?

    init(entryLimit: Int = 1000) {
        table = ProcessTable(entryLimit: entryLimit)
        event = SensorEvent(SensorWorld(processes: table, containers: UnknownContainers(), accounts: AccountTable(), wallOffset: Self.wallOffset))
    }

    static func pid(_ number: UInt32) -> UInt32 { 4_000_000 + number }
    static func start(_ second: UInt64) -> UInt64 { second * 1_000_000_000 + odd }

    @discardableResult func apply(_ builder: RecordBuilder) -> ProcessEntry? {
        let built = builder.built()
        let entry = table.apply(built.record)
        current = built
        event.take(built.record, EventType(named: "execve") ?? .other, nil, process: entry, at: Timestamp(nanoseconds: Self.wallOffset + Int64(built.record.header.pointee.time)))
        return entry
    }

    /// A call of a process that neither makes nor changes one.
    @discardableResult func call(_ builder: RecordBuilder) -> ProcessEntry? {
        let built = builder.built()
        let entry = table.process(of: built.record)
        current = built
        event.take(built.record, EventType(named: "openat") ?? .other, nil, process: entry, at: Timestamp(nanoseconds: Self.wallOffset + Int64(built.record.header.pointee.time)))
        return entry
    }

    func value(_ field: String) throws -> SeenValue { try probe.value(field, of: event) }
    func holds(_ condition: String) throws -> Bool { try probe.holds(condition, for: event) }

    // MARK: - Lineage

    /// A program of process `number`, which started in second `second`.
    static func exec(_ number: UInt32, _ second: UInt64, _ comm: String, parent: UInt32, _ parentSecond: UInt64, _ change: (inout riposte_process) -> Void = { _ in })
        -> RecordBuilder
    {
        RecordBuilder(.exec, pid: pid(number), start: start(second), comm: comm)
            .process(parent: parent == 0 ? 0 : pid(parent), parentStart: parent == 0 ? 0 : start(parentSecond), change)
            .path("/usr/bin/\(comm)", .executablePath)
            .path("/", .workingDirectory)
    }

    static func fork(_ number: UInt32, _ second: UInt64, _ comm: String, of maker: UInt32, _ makerSecond: UInt64) -> RecordBuilder {
        RecordBuilder(.fork, pid: pid(number), start: start(second), comm: comm).maker(pid(maker), start: start(makerSecond))
    }

    static func exit(_ number: UInt32, _ second: UInt64) -> RecordBuilder {
        RecordBuilder(.exit, pid: pid(number), start: start(second)).flags(RIPOSTE_FLAG_LAST_THREAD)
    }

    static func call(_ number: UInt32, _ second: UInt64, _ comm: String, tid: UInt32? = nil) -> RecordBuilder {
        RecordBuilder(.call, pid: pid(number), tid: tid.map(pid), start: start(second), comm: comm)
    }

    /// systemd (1, second 1) → sshd (50, 2) → bash (100, 3) → python3 (200, 4), the last two in bash's session on pts/0.
    static func login() -> ProcessScene {
        let scene = ProcessScene()
        scene.apply(exec(1, 1, "systemd", parent: 0, 0).arguments("/sbin/init", "splash").environment("PATH=/bin"))
        scene.apply(exec(50, 2, "sshd", parent: 1, 1).arguments("sshd: /usr/sbin/sshd -D").environment("PATH=/bin", "LANG=C"))
        scene.apply(exec(100, 3, "bash", parent: 50, 2) { $0.tty = 34_816 }.arguments("-bash").environment("HOME=/root", "SSH_CLIENT= 10.0.0.1 22 "))
        scene.apply(
            exec(200, 4, "python3", parent: 100, 3) {
                ($0.session, $0.vsession, $0.tty) = (pid(100), pid(100), 34_816)
                ($0.fd_limit, $0.vm_size, $0.vm_rss, $0.vm_swap, $0.minor_faults, $0.major_faults, $0.thread_count) = (1024, 9000, 300, 7, 11, 2, 1)
            }
            .structure(.executable, executable).arguments("python3", "-c", "import os", "").environment("HOME=/root", "EMPTY=", "A=b  c ")
            .path("/srv/app", .workingDirectory)
            .with(\.uid, 1000).with(\.gid, 100).with(\.loginuid, 1000).with(\.time, start(6)).with(\.vtid, pid(200))
            .with(\.cap_effective, 1 << 0 | 1 << 5 | 1 << 40))
        return scene
    }

    private static let executable: riposte_file = {
        var file = riposte_file()
        (file.kind, file.ino, file.uid) = (UInt8(RIPOSTE_FILE_REGULAR.rawValue), 77, 0)
        (file.ctime, file.mtime) = (wallOffset + Int64(start(1)), 1_600_000_000_000_000_000)
        file.flags = UInt8(RIPOSTE_FILE_UPPER_LAYER.rawValue | RIPOSTE_FILE_WRITABLE.rawValue)
        return file
    }()
}
