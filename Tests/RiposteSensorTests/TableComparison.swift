import Foundation
import RiposteTestSupport

@testable import RiposteSensor

/// The process table against /proc, while others' processes come and go.
enum TableComparison {
    /// Processes as /proc lists them, without those that have ended and only wait for their parent to ask how.
    private static func present() throws -> Set<UInt32> {
        Set(
            try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { UInt32($0) }.filter { pid in
                guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else { return false }
                guard ["Z", "X"].contains(stat[end...].dropFirst(2).prefix(1)) else { return true }
                // A first thread that has ended stays as long as others of its process run.
                return ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count) ?? 0) > 1
            })
    }

    /// Which processes only one of both has, whenever one looks.
    static func differences(_ loop: SensorLoop) throws -> [String] {
        var differences: Set<UInt32> = []
        var known: Set<UInt32> = []
        for round in 0..<50 {
            loop.drain { false }
            known = Set(loop.world.processes.allEntries.map(\.pid))
            let now = known.symmetricDifference(try present())
            differences = round == 0 ? now : differences.intersection(now)
            if differences.isEmpty { break }
            try run(["true"])
        }
        return differences.sorted().map { "\($0) is in \(known.contains($0) ? "the table" : "/proc") alone" }
    }

    /// Of processes that both have, which have another parent in the table than in /proc.
    static func wrongParents(_ loop: SensorLoop) throws -> [String] {
        var wrong: [String] = []
        for entry in loop.world.processes.allEntries where !entry.isKernelThread {
            guard let status = try? String(contentsOfFile: "/proc/\(entry.pid)/status", encoding: .utf8) else { continue }
            let parent = status.split(separator: "\n").first { $0.hasPrefix("PPid:") }?.split(whereSeparator: \.isWhitespace).last.flatMap { UInt32($0) } ?? 0
            loop.drain { false }
            guard loop.world.processes.process(withPID: entry.pid) === entry else { continue }
            let own = loop.world.processes.parent(of: entry)?.pid ?? 0
            if own != parent { wrong.append("parent of \(entry.pid) is \(parent), not \(own)") }
        }
        return wrong
    }
}
