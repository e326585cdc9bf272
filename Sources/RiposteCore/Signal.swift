/// A signal of signal(7) as Linux numbers them on x86-64 and arm64.
package struct Signal: Hashable, Sendable {
    package let number: Int32

    package static let kill = Signal(number: 9)
    package static let terminate = Signal(number: 15)
    package static let stop = Signal(number: 19)
    package static let `continue` = Signal(number: 18)

    package static let names: [(name: String, number: Int32)] = [
        ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("BUS", 7), ("FPE", 8), ("KILL", 9), ("USR1", 10), ("SEGV", 11),
        ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15), ("STKFLT", 16), ("CHLD", 17), ("CONT", 18), ("STOP", 19), ("TSTP", 20), ("TTIN", 21),
        ("TTOU", 22), ("URG", 23), ("XCPU", 24), ("XFSZ", 25), ("VTALRM", 26), ("PROF", 27), ("WINCH", 28), ("IO", 29), ("PWR", 30), ("SYS", 31),
    ]

    private init(number: Int32) { self.number = number }

    /// Reads `KILL`, `SIGKILL`, `kill` or `9`; nil for what is no signal, 0 included.
    package init?(_ text: some StringProtocol) {
        if let number = Int32(text) {
            guard 1...64 ~= number else { return nil }
            self.number = number
            return
        }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        guard let entry = Self.names.first(where: { $0.name == name }) else { return nil }
        number = entry.number
    }

    /// `KILL`; of real-time signals the number.
    package var name: String { Self.names.first { $0.number == number }?.name ?? String(number) }
}
