internal import Glibc
package import RiposteCore

/// Alerts on standard input, one per line: `falco -o json_output=true | riposte run`.
package struct StdinIntake: Intake {
    package let name: String
    package let counters = IntakeCounters()
    package let place: String
    private let descriptor: Int32
    private let reader: AlertReader

    package init(name: String = "stdin", descriptor: Int32 = STDIN_FILENO, trust: Alert.Arrival.Trust = .trusted, sink: any AlertSink) {
        self.name = name
        self.descriptor = descriptor
        place = descriptor == STDIN_FILENO ? "standard input" : "descriptor \(descriptor)"
        reader = AlertReader(name: name, trust: trust, sink: sink, counters: counters)
    }

    /// How long, when the agent stops, what is in the pipe is still read.
    private static let farewell = Duration.milliseconds(500)

    /// Ends at the end of the input.
    package func run() async throws {
        try await SourceThread().run(named: "riposte-stdin") { thread in
            var lines = LineSplitter()
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let ready = thread.wait(for: [descriptor], -1)
                if ready.contains(thread.stop) { return finish(&lines, &buffer, lost: 0) }
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else { break }
                let pieces = lines.take(buffer.prefix(count))
                for (index, piece) in pieces.enumerated() where !take(piece, thread.insist) { return finish(&lines, &buffer, lost: pieces.count - index) }
            }
            guard let last = lines.end(), !take(.line(last), thread.insist) else { return }
            counters.count(\.shed)
            reader.tellLost(1, because: Self.reason, peer: nil)
        }
    }

    private static let reason = "the agent stopped"

    /// What is in the pipe is read to its end, without waiting for more, and handed in where there is room.
    private func finish(_ lines: inout LineSplitter, _ buffer: inout [UInt8], lost: Int) {
        var lost = lost
        let deadline = ContinuousClock.now + Self.farewell
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while ContinuousClock.now < deadline, poll(&entry, 1, 0) > 0 {
            let count = read(descriptor, &buffer, buffer.count)
            let pieces = count > 0 ? lines.take(buffer.prefix(count)) : lines.end().map { [.line($0)] } ?? []
            for piece in pieces where !take(piece, once) { lost += 1 }
            guard count > 0 else { break }
        }
        var unread: Int32 = 0
        _ = ioctl(descriptor, UInt(FIONREAD), &unread)
        counters.count(\.shed, lost)
        reader.tellLost(lost, unreadBytes: Int(unread) + lines.pendingBytes, because: Self.reason, peer: nil)
    }

    private func once(_ body: () throws(AdmissionError) -> Void) -> Bool {
        do throws(AdmissionError) { try body() } catch { return false }
        return true
    }

    private func take(_ piece: LineSplitter.Piece, _ hand: (() throws(AdmissionError) -> Void) -> Bool) -> Bool {
        switch piece {
        case .line(let line):
            guard let alert = reader.read(line, peer: nil) else { return true }
            return hand { () throws(AdmissionError) in try reader.handIn(alert) }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than 1 MiB"), head, reader.arrival(peer: nil))
            return true
        }
    }
}
