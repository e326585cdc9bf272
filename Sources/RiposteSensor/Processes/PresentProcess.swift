internal import CRiposte

/// A process as /proc has it at this moment: for what no event tells and the table does not keep. Costs system calls and memory, so it is meant for
/// outputs and rare conditions.
struct PresentProcess {
    private let entry: ProcessEntry
    private let buffer: ProcessReadBuffer

    init(_ entry: ProcessEntry, _ buffer: ProcessReadBuffer) { (self.entry, self.buffer) = (entry, buffer) }

    /// Reads through the process's folder; nil where it has ended, or another process has its number by now.
    private func read<Value>(_ body: (borrowing ProcessFolder) -> Value?) -> Value? {
        guard let folder = ProcessFolder(entry.pid), let stat = folder.facts(into: buffer), ProcessStart.isSame(stat.start, entry.start) else { return nil }
        return body(folder)
    }

    var threadCount: Int64? {
        read { (folder: borrowing ProcessFolder) in folder.facts(into: buffer)?.threadCount }
    }

    func faults(ofThread tid: UInt32) -> (minor: UInt64, major: UInt64)? {
        read { (folder: borrowing ProcessFolder) in
            folder.read("task/\(tid)/stat", into: buffer).flatMap { ProcessStat($0) }.map { ($0.minorFaults, $0.majorFaults) }
        }
    }

    /// KiB; 0 where the process has no memory of its own.
    var memory: (size: Int64, resident: Int64, swapped: Int64)? {
        read { (folder: borrowing ProcessFolder) in
            folder.read("status", into: buffer).map { bytes in
                let lines = StatusLines(bytes: bytes)
                return (lines.number("VmSize:") ?? 0, lines.number("VmRSS:") ?? 0, lines.number("VmSwap:") ?? 0)
            }
        }
    }

    var descriptorCount: Int64? {
        read { (_: borrowing ProcessFolder) in NumberedFolder.numbers(in: "/proc/\(entry.pid)/fd").map { Int64($0.count) } }
    }

    /// RLIMIT_NOFILE.
    var descriptorLimit: Int64? {
        read { (folder: borrowing ProcessFolder) in folder.read("limits", into: buffer).flatMap { StatusLines(bytes: $0).number("Max open files") } }
    }

    /// Control groups of a thread by controller, in the order in which the kernel lists them. In the unified hierarchy each controller has the same.
    func cgroups(ofThread tid: UInt32) -> [(controller: [UInt8], path: [UInt8])]? {
        read { (folder: borrowing ProcessFolder) in
            folder.read("task/\(tid)/cgroup", into: buffer).map { text in
                text.split(separator: UInt8(ascii: "\n")).flatMap { line in
                    let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
                    guard parts.count == 3 else { return [(controller: [UInt8], path: [UInt8])]() }
                    let path = Array(parts[2])
                    guard parts[1].isEmpty else { return parts[1].split(separator: UInt8(ascii: ",")).map { (Array($0), path) } }
                    return UnifiedControllers.names.map { ($0, path) }
                }
            }
        }
    }

    /// Nil where the descriptor is closed.
    func stream(_ number: Int) -> StandardStream? {
        read { (folder: borrowing ProcessFolder) in StandardStream(number, folder, buffer) }
    }
}

/// Controllers of the unified hierarchy.
private enum UnifiedControllers {
    /// Read once: they are there from boot on.
    static let names: [[UInt8]] = {
        let buffer = ProcessReadBuffer()
        let text = SystemFile.read("/sys/fs/cgroup/cgroup.controllers", into: buffer) ?? SystemFile.read("/sys/fs/cgroup/unified/cgroup.controllers", into: buffer)
        return text.map { $0.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }.map(Array.init) } ?? []
    }()
}
