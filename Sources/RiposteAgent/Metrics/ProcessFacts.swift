internal import Foundation
internal import Glibc

/// What the kernel says of this process: the metrics that every exporter has.
struct ProcessFacts: Sendable, Equatable {
    var cpuSeconds = 0.0
    var residentBytes = 0.0
    var virtualBytes = 0.0
    var openDescriptors = 0.0
    var descriptorLimit = 0.0
    var startSeconds = 0.0

    /// Nil where /proc is not to be read.
    static func own() -> ProcessFacts? {
        guard let stat = text("/proc/self/stat"), let boot = text("/proc/stat"),
            let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        else { return nil }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return ProcessFacts(
            stat: stat, bootStat: boot, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))), pageSize: Double(sysconf(Int32(_SC_PAGESIZE))),
            // One of them is the folder itself, being read.
            openDescriptors: descriptors.count - 1, descriptorLimit: Double(limit.rlim_cur))
    }

    /// proc(5): the fields behind the program's name, which may hold anything, parentheses too.
    init?(stat: String, bootStat: String, ticksPerSecond: Double, pageSize: Double, openDescriptors: Int, descriptorLimit: Double) {
        guard let name = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        let fields = stat[stat.index(after: name)...].split(whereSeparator: \.isWhitespace).map { Double($0) ?? 0 }
        let boot = bootStat.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
        // utime, stime, starttime, vsize, rss are 14, 15, 22, 23, 24, counted from 1; the first one here is 3.
        guard fields.count > 21, let boot else { return nil }
        cpuSeconds = (fields[11] + fields[12]) / ticksPerSecond
        startSeconds = boot + fields[19] / ticksPerSecond
        virtualBytes = fields[20]
        residentBytes = fields[21] * pageSize
        self.openDescriptors = Double(openDescriptors)
        self.descriptorLimit = descriptorLimit
    }

    private static func text(_ path: String) -> String? { FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } }
}
