internal import CRiposte
internal import Foundation
internal import RiposteCore
internal import RiposteTransport

/// The child of a ``ProgramDestination``: begins, is fed, answers, ends, and is not begun again at once if it ends at once.
///
/// It leads a process group of its own, has the standard descriptors and nothing else open, and of the environment what is configured, and PATH.
/// Its standard error is the agent's.
struct FedProgram: ~Copyable, Sendable {
    private struct Child: Sendable {
        var pid: pid_t
        /// To its standard input.
        var input: Int32
        /// From its standard output, where it answers.
        var answers: Int32?
        var unread: [UInt8] = []
        var began: ContinuousClock.Instant
    }

    private let arguments: [String]
    private let environment: [String]
    private let acknowledgement: ProgramDestination.Acknowledgement
    private let timeout: Duration
    private var child: Child?
    /// How often in a row it ended soon after it began.
    private var earlyEnds = 0
    private var mayBeginAt: ContinuousClock.Instant?

    private static let longEnough = Duration.seconds(10)
    private static let longestWait = Duration.seconds(60)
    private static let longestAnswer = 4096

    init(arguments: [String], environment: [String], acknowledgement: ProgramDestination.Acknowledgement, timeout: Duration) {
        self.arguments = arguments
        self.environment = environment
        self.acknowledgement = acknowledgement
        self.timeout = timeout
    }

    // MARK: - Feeding

    mutating func feed(_ lines: [[UInt8]], _ patience: Patience) -> DeliveryReport {
        if let reason = begin() { return report([], .tryAgain(reason: reason.words, after: reason.wait), lines.count) }
        var fates: [DeliveryReport.Fate] = []
        for line in lines {
            guard let child else { break }
            let writer = DescriptorWriter(child.input)
            if let problem = writer.write(line, until: .now + timeout, patience) {
                let reason = giveUp(problem)
                return report(fates, .tryAgain(reason: reason), lines.count)
            }
            guard acknowledgement == .line else {
                fates.append(.delivered)
                continue
            }
            switch answer(until: .now + timeout, patience) {
            case .success(let line): fates.append(Self.fate(of: line))
            case .failure(let silence):
                // Answers that come late would be taken for those of later messages.
                end(patiently: false)
                return report(fates, .tryAgain(reason: silence.reason), lines.count)
            }
        }
        return report(fates, .tryAgain(reason: "the program ended"), lines.count)
    }

    private func report(_ fates: [DeliveryReport.Fate], _ rest: DeliveryReport.Fate, _ count: Int) -> DeliveryReport {
        let words: String = if case .tryAgain(let reason, _) = rest, fates.count < count { reason } else { "\(count) \(acknowledgement == .line ? "answered" : "written")" }
        return DeliveryReport(fates + Array(repeating: rest, count: count - fates.count), answer: words)
    }

    /// What was begun cannot be taken back, and what follows half a line would be spoilt by it: the program is begun anew then.
    private mutating func giveUp(_ problem: DescriptorWriter.Problem) -> String {
        switch problem {
        case .noRoom(wasBegun: false), .cancelled(wasBegun: false): return problem.description
        case .closed: return "the program ended" + reap(patiently: true)
        case .noRoom, .cancelled, .failed:
            end(patiently: false)
            return problem.description
        }
    }

    // MARK: - Answers

    private struct Silence: Error { let reason: String }

    /// `ok`, `retry REASON`, `reject REASON`.
    private static func fate(of line: String) -> DeliveryReport.Fate {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        let reason = words.count > 1 ? words[1] : "the program said so"
        switch words.first {
        case "ok": return .delivered
        case "retry": return .tryAgain(reason: reason)
        case "reject": return .rejected(reason: reason)
        default: return .tryAgain(reason: "the program answered neither ok, retry nor reject: \(line)")
        }
    }

    private mutating func answer(until limit: ContinuousClock.Instant, _ patience: Patience) -> Result<String, Silence> {
        while true {
            guard var child, let descriptor = child.answers else { return .failure(Silence(reason: "the program has ended")) }
            if let end = child.unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = ByteText(Array(child.unread[..<end])).shown
                child.unread.removeSubrange(...end)
                self.child = child
                return .success(line)
            }
            guard child.unread.count < Self.longestAnswer else { return .failure(Silence(reason: "the program's answer has no end")) }
            if patience.hasEnded { return .failure(Silence(reason: "cancelled")) }
            if .now >= limit { return .failure(Silence(reason: "the program has not answered within \(timeout.text)")) }
            var news = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&news, 1, 100) > 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: Self.longestAnswer)
            let count = read(descriptor, &bytes, bytes.count)
            if count == 0 { return .failure(Silence(reason: "the program has ended without an answer")) }
            guard count > 0 else { continue }
            child.unread += bytes.prefix(count)
            self.child = child
        }
    }

    // MARK: - Beginning

    private mutating func begin() -> (words: String, wait: Duration?)? {
        noticeEnd()
        guard child == nil else { return nil }
        if let mayBeginAt, mayBeginAt > .now {
            return ("the program ended soon after it began, \(earlyEnds) times in a row", mayBeginAt - .now)
        }
        var (input, output): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard Self.makePipe(&input), acknowledgement == .written || Self.makePipe(&output) else {
            let words = "no pipe: \(String(cString: strerror(errno)))"
            close(input + output)
            return (words, nil)
        }
        let pid = spawn(input: input[0], output: output[1])
        close([input[0], output[1]])
        guard pid > 0 else {
            close([input[1], output[0]])
            noteEarlyEnd()
            return ("\(arguments[0]) cannot be run: \(String(cString: strerror(-pid)))", nil)
        }
        child = Child(pid: pid, input: input[1], answers: acknowledgement == .line ? output[0] : nil, began: .now)
        return nil
    }

    private func spawn(input: Int32, output: Int32) -> pid_t {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var words = arguments.map { strdup($0) } + [nil]
        var variables = (environment.contains { $0.hasPrefix("PATH=") } ? environment : environment + [path]).map { strdup($0) } + [nil]
        defer { for text in words + variables { free(text) } }
        return riposte_spawn_leader(&words, &variables, input, output, STDERR_FILENO)
    }

    /// Everything of ours that is spawned closes what it did not ask for, so that closing on exec may come a moment later.
    private static func makePipe(_ ends: inout [Int32]) -> Bool {
        guard pipe(&ends) == 0 else { return false }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return true
    }

    private func close(_ descriptors: [Int32]) { for descriptor in descriptors where descriptor >= 0 { Glibc.close(descriptor) } }

    // MARK: - Ends

    /// A child that has ended is begun again, later each time if it never lives long.
    private mutating func noticeEnd() {
        if let child, Self.hasEnded(child.pid) { _ = forget(child) }
    }

    /// Without reaping it: until then nobody else can have its number.
    private static func hasEnded(_ pid: pid_t) -> Bool {
        var facts = siginfo_t()
        return waitid(P_PID, id_t(pid), &facts, WEXITED | WNOHANG | WNOWAIT) == 0 && facts.si_signo == SIGCHLD
    }

    /// Ends what is left of its group and reaps it; its wait status.
    private mutating func forget(_ child: Child) -> Int32 {
        // What it has begun itself ends with it.
        kill(-child.pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(child.pid, &status, 0) < 0, errno == EINTR {}
        close([child.input, child.answers ?? -1])
        self.child = nil
        if .now - child.began < Self.longEnough { noteEarlyEnd() } else { (earlyEnds, mayBeginAt) = (0, nil) }
        return status
    }

    private mutating func noteEarlyEnd() {
        earlyEnds += 1
        mayBeginAt = .now + min(Self.longestWait, .milliseconds(500 << min(earlyEnds, 10)))
    }

    /// Waits for the end of one that has closed its standard input, and says how it ended.
    private mutating func reap(patiently: Bool) -> String {
        guard let child else { return "" }
        askToEnd(child, patiently: patiently)
        let status = forget(child)
        return status & 0x7F == 0 ? " with status \(status >> 8 & 0xFF)" : " by signal \(status & 0x7F)"
    }

    /// The last line is its end of file: it has two seconds to finish, then it is asked, and a second later it is made to.
    mutating func end(patiently: Bool = true) {
        guard var child else { return }
        Glibc.close(child.input)
        child.input = -1
        askToEnd(child, patiently: patiently)
        let (ends, begins) = (earlyEnds, mayBeginAt)
        _ = forget(child)
        // It ended because we wanted it to.
        if patiently { (earlyEnds, mayBeginAt) = (ends, begins) }
    }

    private func askToEnd(_ child: Child, patiently: Bool) {
        if patiently, hasEnded(child, within: .seconds(2)) { return }
        kill(-child.pid, SIGTERM)
        _ = hasEnded(child, within: .seconds(1))
    }

    private func hasEnded(_ child: Child, within time: Duration) -> Bool {
        let limit = ContinuousClock.now + time
        while !Self.hasEnded(child.pid) {
            if .now >= limit { return false }
            usleep(5000)
        }
        return true
    }

    deinit {
        guard let child else { return }
        Glibc.close(child.input)
        if let answers = child.answers { Glibc.close(answers) }
        kill(-child.pid, SIGKILL)
        var status: Int32 = 0
        waitpid(child.pid, &status, 0)
    }
}
