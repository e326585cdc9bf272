internal import RiposteCore

/// Alerts of one connection that wait for room. Those of another rule pass them: the engine shares its room among rules, and where one has no more, others still have. A
/// plain value.
struct HeldAlerts {
    /// Of one connection.
    static let countLimit = 256
    static let byteLimit = 1 << 20

    private struct Entry {
        let alert: Alert
        let bytes: Int
    }

    private var entries: [Entry] = []
    private var rules: [ByteText: Int] = [:]
    private var bytes = 0

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    /// There is no room for another one.
    var isFull: Bool { entries.count >= Self.countLimit || bytes >= Self.byteLimit }

    /// Not much less than that.
    var isHalfFull: Bool { entries.count >= Self.countLimit / 2 || bytes >= Self.byteLimit / 2 }

    /// Whether one of that rule waits: then so does the next one, for the order of a rule's alerts is kept.
    func holds(_ rule: ByteText) -> Bool { rules[rule] != nil }

    /// `bytes`: of the line that it was.
    mutating func hold(_ alert: Alert, bytes: Int) {
        entries.append(Entry(alert: alert, bytes: bytes))
        rules[alert.rule, default: 0] += 1
        self.bytes += bytes
    }

    /// Hands in what there is room for now, the oldest first; of a rule that has none the rest is not tried. How many it was.
    mutating func retry(_ handIn: (Alert) throws(AdmissionError) -> Void) throws(AdmissionError) -> Int {
        var (waiting, full, isClosed) = ([Entry](), Set<ByteText>(), false)
        for entry in entries {
            guard !isClosed, !full.contains(entry.alert.rule) else {
                waiting.append(entry)
                continue
            }
            do throws(AdmissionError) { try handIn(entry.alert) } catch {
                waiting.append(entry)
                full.insert(entry.alert.rule)
                isClosed = error == .closed
            }
        }
        let taken = entries.count - waiting.count
        self = HeldAlerts()
        for entry in waiting { hold(entry.alert, bytes: entry.bytes) }
        if isClosed { throw .closed }
        return taken
    }
}
