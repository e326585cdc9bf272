internal import Glibc
internal import Logging
internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// Bounds what the journal holds of senders who are not believed, which on loopback is anybody on this host: a number of bytes a second for each intake, and nothing
/// where the disk is nearly full. What is left of it belongs to those who are believed, as nothing is done that cannot be put on record.
final class UntrustedQuota: Sendable {
    struct Settings: Sendable, Equatable {
        /// Of records a second, for each intake.
        var bytesPerSecond = 32 << 10
        /// With less than this left on the journal's disk, or less than a tenth of it, nothing more is taken.
        var freeBytes = 1 << 30
    }

    /// Why somebody is turned away.
    enum Cause: String, Sendable {
        case rate, disk

        var words: String {
            switch self {
            case .rate: "senders who are not believed have sent more than is kept of them (intake.untrusted.max_rate); send it again later"
            case .disk: "the journal's disk is nearly full, and what is left of it is for senders who are believed (intake.untrusted.min_free)"
            }
        }
    }

    /// Told of: so many were turned away since the last time.
    struct Flood: Sendable, Equatable {
        var intake: String
        var cause: Cause
        var count: Int
    }

    private struct Account {
        var ration: ByteRation
        var untold = 0
        var told: Duration?
    }

    /// A record's own members: number, chain, arrival.
    private static let recordBytes = 1 << 10
    /// A flood is told of once in this time.
    private static let pause = Duration.seconds(60)

    private let settings: Settings
    private let folder: String
    private let uptime: @Sendable () -> Duration
    /// By intake: the configuration's, so few.
    private let accounts = Mutex<[String: Account]>([:])
    private let began = ContinuousClock.now

    /// `folder` is where the journal is; `uptime` is time that never goes back, by default the clock's.
    init(_ settings: Settings, folder: String, uptime: (@Sendable () -> Duration)? = nil) {
        self.settings = settings
        self.folder = folder
        let began = began
        self.uptime = uptime ?? { began.duration(to: .now) }
    }

    /// What an alert will cost, with what comes of it: each step of each playbook that answers it is on record too.
    static func cost(of alert: Alert, _ answering: [Playbook]) -> Int {
        let length = alert.original.map(\.count) ?? JSON.object(alert.document).bytes.count
        return length + recordBytes + answering.reduce(0) { $0 + (1 + $1.steps.count) * 2 * recordBytes }
    }

    /// What a record of a text costs that is no alert.
    static func cost(ofRejecting problem: AlertError, _ excerpt: [UInt8]) -> Int { recordBytes + problem.description.utf8.count + excerpt.count * 4 / 3 }

    /// Whether there is room for so many bytes, which are then taken. For what nobody is told of where there is none: the intake has counted it.
    func takeUntold(_ bytes: Int, for intake: String) -> Bool {
        guard !Self.isFull(folder, below: settings.freeBytes) else { return false }
        let now = uptime()
        return accounts.withLock { $0[intake, default: newAccount(at: now)].ration.take(bytes, at: now) }
    }

    private func newAccount(at now: Duration) -> Account { Account(ration: ByteRation(perSecond: settings.bytesPerSecond, at: now)) }

    /// Nil where there is room for so many bytes, which are then taken; else why not, and what is to be told, now and then.
    func take(_ bytes: Int, for intake: String) -> (cause: Cause, flood: Flood?)? {
        let (now, isFull) = (uptime(), Self.isFull(folder, below: settings.freeBytes))
        return accounts.withLock { accounts in
            var account = accounts[intake] ?? newAccount(at: now)
            defer { accounts[intake] = account }
            let cause: Cause? = isFull ? .disk : account.ration.take(bytes, at: now) ? nil : .rate
            guard let cause else { return nil }
            account.untold += 1
            guard account.told.map({ now - $0 >= Self.pause }) ?? true else { return (cause, nil) }
            defer { (account.told, account.untold) = (now, 0) }
            return (cause, Flood(intake: intake, cause: cause, count: account.untold))
        }
    }

    /// What was taken was not needed.
    func giveBack(_ bytes: Int, for intake: String) { accounts.withLock { $0[intake]?.ration.giveBack(bytes) } }

    /// Whether less than this is left there, of what those without privileges may use; of a small disk, less than a tenth. A disk that cannot be asked is not full: the journal will say what is wrong.
    static func isFull(_ folder: String, below limit: Int) -> Bool {
        var facts = statvfs()
        guard statvfs(folder, &facts) == 0 else { return false }
        let (free, all) = (UInt64(facts.f_bavail) &* UInt64(facts.f_frsize), UInt64(facts.f_blocks) &* UInt64(facts.f_frsize))
        return free < min(UInt64(limit), all / 10)
    }
}

extension UntrustedQuota.Flood {
    var record: AuditRecord {
        var record = AuditRecord(.brake, at: .now())
        record.actor = AuditRecord.Actor(.agent, name: "admission")
        record.message = "\(count) \(count == 1 ? "alert" : "alerts") at intake \(intake) were turned away: \(cause.words)"
        record.detail = ["untrusted": ["intake": .text(intake), "cause": .text(cause.rawValue), "count": .integer(Int64(count))]]
        return record
    }
}
