internal import Foundation
internal import Synchronization

/// A folder that is there as long as the test.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() throws {
        // Playbooks that the group could write are refused, whoever runs the tests.
        umask(0o022)
        path = NSTemporaryDirectory() + "riposte-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// For one that lives as long as the process, whose `deinit` nobody calls.
    package func removeAtExit() {
        let isFirst = Self.kept.withLock { kept in
            kept.append(path)
            return kept.count == 1
        }
        if isFirst { atexit { for path in TemporaryFolder.kept.withLock(\.self) { try? FileManager.default.removeItem(atPath: path) } } }
    }

    private static let kept = Mutex<[String]>([])

    package func file(_ name: String, _ text: String = "") throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// Files that several test targets read.
package enum Fixtures {
    /// `Tests/Fixtures/NAME`.
    package static func bytes(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Tests/Fixtures").standardizedFileURL
        return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The alerts that a real Falco wrote, one per line.
    package static func falcoAlerts() throws -> [[UInt8]] {
        try bytes("falco-alerts.jsonl").split(separator: UInt8(ascii: "\n")).map(Array.init)
    }
}

/// What the machine that the tests run on can do.
package enum Machine {
    package static let isRoot = geteuid() == 0

    package static func has(_ program: String) -> Bool {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"].contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
    }
}
