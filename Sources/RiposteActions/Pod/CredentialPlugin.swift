internal import CRiposte
internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks

/// A credential plugin of a kubeconfig file (client.authentication.k8s.io): a program that prints an `ExecCredential`. An argument vector, never a shell line.
struct CredentialPlugin: Sendable {
    struct Token: Sendable, Equatable {
        var text: String
        var expires: Timestamp?
    }

    var arguments: [String]
    var environment: [(String, String)]

    private static let limit = Duration.seconds(30)
    private static let answerLimit = 1 << 20

    private var doing: String { "run the credential plugin \(arguments[0])" }

    /// Runs it and waits for its end, at most thirty seconds, on no thread of Swift's pool: a plugin may ask the whole internet.
    func run() async throws(ActionError) -> Token {
        let (status, answer) = try await output()
        guard status == 0 else {
            throw ActionError(.denied, doing, status & 0x7F == 0 ? "it ended with status \(status >> 8 & 0xFF)" : "signal \(status & 0x7F) ended it")
        }
        guard let json = try? JSON(parsing: answer), json["kind"]?.string == "ExecCredential", let credential = json["status"] else {
            throw ActionError(.denied, doing, "its answer is no ExecCredential")
        }
        guard let token = credential["token"]?.string?.valid else { throw ActionError(.unsupported, doing, "it gave no token") }
        return Token(text: token, expires: credential["expirationTimestamp"]?.string.flatMap { Timestamp($0.bytes) })
    }

    private var variables: [String] {
        var variables = ProcessInfo.processInfo.environment
        variables["KUBERNETES_EXEC_INFO"] = #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}"#
        for (name, value) in environment { variables[name] = value }
        return variables.map { "\($0.key)=\($0.value)" }
    }

    /// What waitpid(2) tells of it, and its standard output.
    private func output() async throws(ActionError) -> (status: Int32, answer: [UInt8]) {
        let deadline = ContinuousClock.now + Self.limit
        let (pid, reading) = try start()
        defer { close(reading) }
        do throws(ActionError) {
            let answer = try await read(reading, until: deadline)
            // Nobody else waits for this child, so its number is its own.
            let handle = try ProcessHandle(pid: pid)
            guard await handle.hasEnded(within: max(.zero, ContinuousClock.now.duration(to: deadline))) else { throw lateness }
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            return (status, answer)
        } catch {
            // With whatever it has started. What is in uninterruptible sleep may take its time to go.
            kill(-pid, SIGKILL)
            Thread.detachNewThread { waitpid(pid, nil, 0) }
            throw error
        }
    }

    private var lateness: ActionError { ActionError(.timeout, doing, "it did not end within \(Self.limit.text)") }

    private func start() throws(ActionError) -> (pid: Int32, reading: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ActionError(.unavailable, doing, String(cString: strerror(errno))) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        let pid = riposte_spawn_leader(&argv, &envp, -1, ends[1], 2)
        close(ends[1])
        guard pid > 0 else {
            close(ends[0])
            throw ActionError(.unavailable, doing, String(cString: strerror(-pid)))
        }
        return (pid, ends[0])
    }

    private func read(_ descriptor: Int32, until deadline: ContinuousClock.Instant) async throws(ActionError) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            guard await DescriptorWaiter.shared.readable(descriptor, within: max(.zero, ContinuousClock.now.duration(to: deadline))) else { throw lateness }
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return answer }
            answer += buffer.prefix(count)
            guard answer.count <= Self.answerLimit else { throw ActionError(.denied, doing, "its answer is longer than \(Self.answerLimit) bytes") }
        }
    }
}
