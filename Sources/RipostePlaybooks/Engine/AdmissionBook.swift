internal import RiposteCore

/// Shares the room for open runs among those who want it, so that a flood of one rule at one intake leaves room for all others.
///
/// Half of the room is anybody's. The other half is for who holds less than a fair share: the room divided by all that have open runs, and one to come.
/// Whoever holds nothing is let in even where the room is full, up to twice the room. An alert that so many playbooks answer that half of the room would not hold its runs
/// is let in where half of the room would be: else it never were. So what is open exceeds twice the room by no more than the playbooks there are. A plain value.
struct AdmissionBook: Sendable {
    /// Who wants in. The rule's name is an attacker's to choose: it is cut.
    struct Key: Hashable, Sendable, Comparable {
        let intake: String
        let rule: ByteText

        init(_ alert: Alert) {
            intake = alert.arrival.intake
            rule = alert.rule.bytes.count <= 256 ? alert.rule : ByteText(Array(alert.rule.bytes.prefix(256)))
        }

        private init(intake: String, rule: ByteText) { (self.intake, self.rule) = (intake, rule) }

        /// Those for whom there is no counter of their own.
        static let others = Key(intake: "", rule: "")

        static func < (left: Key, right: Key) -> Bool { (left.intake, left.rule) < (right.intake, right.rule) }
    }

    /// Told of: so many alerts were turned away since the last time.
    struct Flood: Sendable, Equatable {
        var key: Key
        var count: Int
    }

    private struct Shed: Sendable {
        var count = 0
        var untold = 0
        var told: Duration?
    }

    private static let keyLimit = 256
    /// A flood is told of once in this time.
    private static let pause = Duration.seconds(60)

    private(set) var total = 0
    private var open: [Key: Int] = [:]
    private var shed: [Key: Shed] = [:]

    /// Takes room for so many runs, or none.
    mutating func admit(_ key: Key, _ runs: Int, limit: Int) -> Bool {
        guard runs > 0 else { return true }
        let mine = open[key] ?? 0
        let share = max(1, limit / (open.count + (mine == 0 ? 2 : 1)))
        let wanted = min(runs, max(1, limit / 2))
        let isWithin = total + wanted <= max(1, limit / 2) || ((mine == 0 || mine + wanted <= share) && total + wanted <= 2 * limit)
        guard isWithin else { return false }
        enter(key, runs)
        return true
    }

    /// Without asking: a run that a restart carries on.
    mutating func enter(_ key: Key, _ runs: Int = 1) {
        guard runs > 0 else { return }
        open[key, default: 0] += runs
        total += runs
    }

    mutating func leave(_ key: Key) {
        guard let mine = open[key] else { return }
        open[key] = mine > 1 ? mine - 1 : nil
        total -= 1
    }

    /// Counts one that was turned away; gives what is to be told, now and then.
    mutating func turnAway(_ key: Key, at uptime: Duration) -> Flood? {
        let key = shed[key] != nil || shed.count < Self.keyLimit ? key : Key.others
        var entry = shed[key] ?? Shed()
        entry.count += 1
        entry.untold += 1
        defer { shed[key] = entry }
        guard entry.told.map({ uptime - $0 >= Self.pause }) ?? true else { return nil }
        let flood = Flood(key: key, count: entry.untold)
        (entry.told, entry.untold) = (uptime, 0)
        return flood
    }

    /// Those that were turned away most, with how many.
    func mostShed(_ limit: Int) -> [(key: Key, count: Int)] {
        Array(shed.map { ($0.key, $0.value.count) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.prefix(limit))
    }
}
