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

    /// Ends at the end of the input.
    package func run() async throws {
        try await SourceThread().run(named: "riposte-stdin") { thread in
            var lines = LineSplitter()
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let ready = thread.wait(for: [descriptor], -1)
                if ready.contains(thread.stop) { return }
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else { break }
                for piece in lines.take(buffer.prefix(count)) where !take(piece, thread) { return }
            }
            if let last = lines.end() { _ = take(.line(last), thread) }
        }
    }

    private func take(_ piece: LineSplitter.Piece, _ thread: SourceThread) -> Bool {
        switch piece {
        case .line(let line): return thread.insist { () throws(AdmissionError) in try reader.take(line, peer: nil) }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than 1 MiB"), head, reader.arrival(peer: nil))
            return true
        }
    }
}
