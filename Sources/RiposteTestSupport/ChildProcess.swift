internal import Foundation

/// A child of the tests, ended and reaped whatever becomes of the test.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let process: Process

    /// Runs a program found in PATH.
    package init(_ arguments: [String]) throws {
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        pid = process.processIdentifier
        // `env` becomes the program: wait until it has.
        let name = arguments[0].split(separator: "/").last.map(String.init) ?? ""
        while process.isRunning, (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.hasPrefix(name.prefix(15)) == false { usleep(500) }
    }

    deinit {
        if process.isRunning {
            kill(pid, SIGCONT)
            kill(pid, SIGKILL)
        }
        process.waitUntilExit()
    }

    package var isRunning: Bool { process.isRunning }

    /// Waits for its end; the signal that ended it, or nil for an exit.
    package func waitForSignal() -> Int32? {
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal ? process.terminationStatus : nil
    }

    /// A line of `/proc/PID/status`, without its key.
    package func status(_ key: String) -> String? {
        let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        return text?.split(separator: "\n").first { $0.hasPrefix(key) }.map { $0.dropFirst(key.count).trimmingCharacters(in: .whitespaces) }
    }
}
