import CRiposte
import Foundation
import Glibc
import RiposteCore
import RiposteRules
import Testing

@testable import RiposteSensor

/// Who meddles with this very process is told by numbers and inodes, which these tests take from the running system.
@Suite("Meddling is told by identity")
struct TamperWatchTests {
    private static let other = ProcessScene.pid(9)
    private static let own = UInt32(getpid())

    private static func inode(_ path: String) -> UInt64 {
        var facts = stat()
        return stat(path, &facts) == 0 ? UInt64(facts.st_ino) : 0
    }

    private let processes = ProcessTable(entryLimit: 1000)
    private let watch = TamperWatch(GuardedFiles(["/var/lib/riposte", "/etc/riposte/riposte.yaml"]))

    private func add(_ pid: UInt32, parent: UInt32, group: UInt32? = nil) {
        let exec = RecordBuilder(.exec, pid: pid, start: ProcessScene.start(5)).process(parent: parent, parentStart: 0) { if let group { $0.group = group } }
        _ = processes.apply(exec.built().record)
    }

    private func find(_ type: String, _ builder: RecordBuilder) throws -> Tampering? {
        let event = SensorEvent(SensorWorld(processes: processes, containers: UnknownContainers(), accounts: AccountTable(), wallOffset: 0))
        let built = builder.with(\.pid_ns, UInt32(Self.inode("/proc/self/ns/pid"))).with(\.mount_ns, UInt32(Self.inode("/proc/self/ns/mnt"))).built()
        let type = try #require(EventType(named: type))
        event.take(built.record, type, SystemCall.named(type), process: processes.process(of: built.record), at: Timestamp(nanoseconds: 0))
        return withExtendedLifetime(built) { watch.find(event, built.record) }
    }

    private func call(_ pid: UInt32 = TamperWatchTests.other, _ arguments: Int64...) -> RecordBuilder {
        var builder = RecordBuilder(.call, pid: pid, start: ProcessScene.start(5))
        let members: [WritableKeyPath<riposte_event, UInt64>] = [\.args.0, \.args.1, \.args.2]
        for (member, argument) in zip(members, arguments) { builder = builder.with(member, UInt64(bitPattern: argument)) }
        return builder
    }

    @Test("a signal by its number and by whom kill(2) means")
    func signals() throws {
        add(Self.other, parent: 1)
        let (pid, stop, group) = (Int64(Self.own), Int64(SIGSTOP), Int64(getpgrp()))
        let told = Tampering(.signal, "SIGSTOP", ByteText("\(pid)"))
        #expect(try find("kill", call(Self.other, pid, stop)) == told)
        #expect(try find("kill", call(Self.other, -group, stop)) == told)
        #expect(try find("kill", call(Self.other, -1, stop)) == told)
        #expect(try find("tgkill", call(Self.other, pid, pid, stop)) == told)
        #expect(try find("pidfd_send_signal", call(Self.other, 3, stop).structure(.file, riposte_file())) == nil)
        #expect(try find("pidfd_send_signal", call(Self.other, 3, stop).item(.file, [UInt8](repeating: 0, count: MemoryLayout<riposte_file>.size), detail: Self.own)) == told)
        for harmless in [0, SIGCONT, SIGHUP, SIGCHLD, SIGWINCH, SIGURG, SIGPIPE] { #expect(try find("kill", call(Self.other, pid, Int64(harmless))) == nil) }
        #expect(try find("kill", call(Self.other, Int64(ProcessScene.pid(77)), stop)) == nil)
        #expect(try find("kill", call(Self.other, -group - 1, stop)) == nil)
        #expect(try find("kill", call(Self.other, pid, stop).with(\.result, -1)) == nil)
        // Who may not signal us means others by -1.
        #expect(try find("kill", call(Self.other, -1, stop).with(\.uid, 4_000_000)) == nil)
        // In another pid namespace the same number is another process.
        let elsewhere = call(Self.other, pid, stop)
        let event = SensorEvent(SensorWorld(processes: processes, containers: UnknownContainers(), accounts: AccountTable(), wallOffset: 0))
        let built = elsewhere.with(\.pid_ns, 7).built()
        let type = try #require(EventType(named: "kill"))
        event.take(built.record, type, SystemCall.named(type), process: nil, at: Timestamp(nanoseconds: 0))
        #expect(watch.find(event, built.record) == nil)
    }

    /// A descriptor as the kernel side tells of it: `number` of a pidfd, `path` of a folder.
    private func descriptor(_ number: UInt32, _ path: String?, flags: UInt64 = 0, _ signal: Int32 = SIGSTOP) -> RecordBuilder {
        var file = riposte_file()
        file.kind = UInt8(path == nil ? RIPOSTE_FILE_PIDFD.rawValue : RIPOSTE_FILE_DIRECTORY.rawValue)
        let builder = call(Self.other, 5, Int64(signal)).with(\.args.3, flags).item(.file, withUnsafeBytes(of: file) { Array($0) }, detail: number)
        return path.map { builder.path($0, .filePath) } ?? builder
    }

    @Test("a pidfd of us, of one of our threads, of the group that we lead, and an open folder of /proc")
    func descriptors() throws {
        add(Self.other, parent: 1)
        let thread = try #require(FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap(UInt32.init).first { $0 != Self.own })
        func deed(_ builder: RecordBuilder) throws -> String? { try find("pidfd_send_signal", builder)?.deed }
        #expect(try deed(descriptor(Self.own, nil)) == "SIGSTOP" && deed(descriptor(thread, nil)) == "SIGSTOP")
        #expect(try deed(descriptor(UInt32(getpgrp()), nil, flags: 4)) == "SIGSTOP")
        #expect(try deed(descriptor(0, "/proc/\(Self.own)")) == "SIGSTOP" && deed(descriptor(0, "/mnt/proc/\(thread)")) == "SIGSTOP")
        #expect(try deed(descriptor(Self.other, nil)) == nil && deed(descriptor(Self.other, nil, flags: 4)) == nil && deed(descriptor(0, "/proc/1")) == nil)
        #expect(try deed(descriptor(0, "/proc/\(Self.own)", SIGCONT)) == nil)
    }

    @Test("a group's own signal is for us where the group is ours")
    func group() throws {
        let (member, stranger) = (ProcessScene.pid(10), ProcessScene.pid(11))
        add(member, parent: 1, group: UInt32(getpgrp()))
        add(stranger, parent: 1)
        #expect(try find("kill", call(member, 0, Int64(SIGTERM)))?.deed == "SIGTERM")
        #expect(try find("kill", call(stranger, 0, Int64(SIGTERM))) == nil)
    }

    @Test("what we do ourselves, and what those do whom we have started, is none")
    func children() throws {
        let (child, grandchild) = (ProcessScene.pid(20), ProcessScene.pid(21))
        add(child, parent: Self.own)
        add(grandchild, parent: child)
        for pid in [Self.own, child, grandchild] { #expect(try find("kill", call(pid, Int64(Self.own), Int64(SIGTERM))) == nil) }
    }

    @Test(
        "files by their place, whole names only, and the folders they lie in",
        arguments: [
            ("unlink", "/var/lib/riposte/journal/1.jsonl", nil, "removed"), ("unlink", "/var/lib/riposte-old/x", nil, nil), ("unlink", "/var/lib/riposte/../x", nil, nil),
            ("truncate", "/etc/riposte/riposte.yaml", nil, "cut"), ("unlink", "/etc/riposte/other.yaml", nil, nil), ("rename", "/var/lib", "/var/x", "renamed"),
            ("rename", "/etc/riposte/other.yaml", "/etc/riposte/riposte.yaml", "replaced"), ("rename", "/etc/a", "/etc/b", nil),
            ("symlink", "/etc/passwd", "/var/lib/riposte/x", "linked"),
            ("link", "/var/lib/riposte/x", "/tmp/x", "linked"), ("link", "/tmp/y", "/tmp/x", nil), ("symlink", "/var/lib/riposte/x", "/tmp/x", nil),
            ("link", "/var/lib", "/tmp/x", nil), ("rmdir", "/var/lib", nil, nil),
            // Exchanged with an empty folder.
            ("renameat2", "/tmp/empty", "/var/lib", "renamed"), ("renameat2", "/tmp/empty", "/var/lib/riposte", "replaced"), ("renameat2", "/tmp/a", "/var/libexec", nil),
        ] as [(String, String, String?, String?)])
    func paths(_ type: String, _ first: String, _ second: String?, _ deed: String?) throws {
        add(Self.other, parent: 1)
        var record = call().path(first, .path1)
        if let second { record = record.path(second, .path2) }
        let found = try find(type, record)
        #expect(found?.deed == deed && (deed == nil || found?.kind == .file))
    }

    @Test("what stops or ends a process with its control group, or with one above that, in either version of them")
    func cgroupSwitches() {
        let mounts = """
            24 1 0:22 / /sys rw - sysfs sysfs rw
            30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
            31 24 0:30 / /sys/fs/freezer rw - cgroup cgroup rw,freezer
            """
        #expect(
            CgroupSwitches.paths(cgroups: "6:freezer:/a\n5:cpu,cpuacct:/x\n0::/system.slice/riposte.service\n", mounts: mounts) == [
                "/sys/fs/freezer/a/freezer.state", "/sys/fs/cgroup/system.slice/riposte.service/cgroup.freeze", "/sys/fs/cgroup/system.slice/riposte.service/cgroup.kill",
                "/sys/fs/cgroup/system.slice/cgroup.freeze", "/sys/fs/cgroup/system.slice/cgroup.kill",
            ])
        #expect(CgroupSwitches.paths(cgroups: "0::/\n", mounts: mounts) == [] && CgroupSwitches.paths(cgroups: "0::/a\n", mounts: "") == [])
        // Of a part of the hierarchy nobody knows what it is called here.
        #expect(CgroupSwitches.paths(cgroups: "0::/a\n", mounts: "30 24 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n") == [])
    }

    @Test("the kernel hands up each of these, and little else")
    func filters() throws {
        let filters = watch.filters
        func passes(_ type: String, _ change: (inout KernelFilter.Facts) -> Void) throws -> Bool {
            var facts = KernelFilter.Facts()
            facts.numbers = [.result: 0]
            change(&facts)
            let named = try #require(EventType(named: type))
            return try #require(filters[named]).verdict(facts).may
        }
        #expect(try passes("kill") { ($0.numbers[.argument0], $0.numbers[.argument1]) = (1, Int64(SIGKILL)) })
        #expect(try !passes("kill") { ($0.numbers[.argument0], $0.numbers[.argument1]) = (1, 0) })
        #expect(try !passes("kill") { ($0.numbers[.argument1], $0.numbers[.result]) = (Int64(SIGKILL), -1) })
        #expect(try passes("ptrace") { $0.numbers[.argument0] = 16 } && !passes("ptrace") { $0.numbers[.argument0] = 1 })
        #expect(try passes("bpf") { $0.numbers[.argument0] = 14 } && !passes("bpf") { $0.numbers[.argument0] = 2 })
        for (path, flags, holds) in [
            ("/var/lib/riposte/x", 1, true), ("/var/lib/riposte/x", 0, false), ("/var/lib/x", 1, false), ("/proc/9/mem", 2, true), ("/proc/9/maps", 2, false),
        ] {
            #expect(try passes("openat") { ($0.paths, $0.numbers[.openFlags]) = ([Array(path.utf8)], Int64(flags)) } == holds, "\(path)")
        }
        for (old, new, holds) in [
            ("/var/lib", "/x", true), ("/a", "/var/lib/riposte/x", true), ("/a", "/var/lib", true), ("/a", "/b", false), ("/var/lib/x", "/var/lib/y", false),
        ] {
            #expect(try passes("rename") { ($0.paths, $0.secondPath) = ([Array(old.utf8)], Array(new.utf8)) } == holds, "\(old) \(new)")
        }
    }
}
