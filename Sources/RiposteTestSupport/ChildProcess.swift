internal import CRiposte
internal import Foundation
internal import Synchronization

/// A child of the tests, ended and reaped whatever becomes of the test.
///
/// Spawned and awaited with the plain calls: Foundation's `Process` needs a run loop to learn that a child ended, which the threads that
/// tests run on do not have.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let ending = Mutex<Int32?>(nil)

    /// Runs a program found in PATH; its output goes to `output`, a descriptor, or nowhere.
    package init(_ arguments: [String], environment: [String: String] = [:], input: Int32? = nil, output: Int32? = nil, error: Int32? = nil) throws {
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
        var words = arguments.map { strdup($0) } + [nil]
        var values = variables.map { strdup($0) } + [nil]
        defer { for text in words + values { free(text) } }
        pid = riposte_spawn(&words, &values, input ?? -1, output ?? -1, error ?? output ?? -1)
        guard pid > 0 else { throw POSIXError(POSIXErrorCode(rawValue: -pid) ?? .ENOENT) }
        // The kernel lets us go on a moment before the new program's command line is in place.
        while isRunning, FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")?.isEmpty == true, status("State:")?.hasPrefix("Z") == false { usleep(100) }
    }

    deinit {
        if isRunning {
            kill(pid, SIGCONT)
            kill(pid, SIGKILL)
        }
        _ = wait(0)
    }

    package var isRunning: Bool { wait(WNOHANG) == nil }

    package func signal(_ signal: Int32) { if isRunning { kill(pid, signal) } }

    /// Waits for its end; the signal that ended it, or nil for an exit.
    package func waitForSignal() -> Int32? {
        let status = wait(0) ?? 0
        return status & 0x7F == 0 ? nil : status & 0x7F
    }

    /// Waits for its end; the exit status, or 128 and the signal as a shell has it.
    package func waitForExit() -> Int32 {
        let status = wait(0) ?? 0
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }

    /// Its end within a time, as `waitForExit`, or nil.
    package func waitForExit(within limit: Duration) async throws -> Int32? {
        let end = ContinuousClock.now + limit
        while isRunning {
            guard .now < end else { return nil }
            try await Task.sleep(for: .milliseconds(5))
        }
        return waitForExit()
    }

    private func wait(_ options: Int32) -> Int32? {
        ending.withLock { ending in
            if ending == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, options) == pid { ending = status }
            }
            return ending
        }
    }

    /// A line of `/proc/PID/status`, without its key.
    package func status(_ key: String) -> String? {
        let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        return text?.split(separator: "\n").first { $0.hasPrefix(key) }.map { $0.dropFirst(key.count).trimmingCharacters(in: .whitespaces) }
    }
}

/// Runs a program to its end and gives what it prints, errors included.
@discardableResult
package func run(_ arguments: [String], environment: [String: String] = [:]) throws -> (status: Int32, output: String) {
    let pipe = Pipe()
    let child = try ChildProcess(arguments, environment: environment, output: pipe.fileHandleForWriting.fileDescriptor)
    try pipe.fileHandleForWriting.close()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    return (child.waitForExit(), String(decoding: output, as: UTF8.self))
}
