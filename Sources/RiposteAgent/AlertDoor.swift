internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RiposteIntake
internal import RipostePlaybooks
internal import Synchronization

/// Where intakes hand alerts in: the engine, with a record of what was no alert.
struct AlertDoor: AlertSink {
    /// Records of rejects in a minute, of each intake and of those who are believed there or not: a flood of nonsense must neither fill the journal nor hide what others have lost. What is
    /// beyond is counted by the intake.
    private static let rejectsPerMinute = 60

    private let house: EngineHouse
    private let logger: Logger
    private let recent = RecentRejects()
    private let quota: UntrustedQuota

    init(_ house: EngineHouse, untrusted quota: UntrustedQuota, logger: Logger) {
        self.house = house
        self.quota = quota
        self.logger = logger
    }

    func accept(_ alert: Alert) throws(RiposteIntake.AdmissionError) {
        guard alert.arrival.trust == .untrusted else { return try admit(alert) }
        let (cost, intake) = (UntrustedQuota.cost(of: alert, house.engine.playbooks.matching(alert)), alert.arrival.intake)
        if let (cause, flood) = quota.take(cost, for: intake) {
            if let flood { tell(flood) }
            throw .rationed(cause.words)
        }
        do throws(RiposteIntake.AdmissionError) { try admit(alert) } catch {
            quota.giveBack(cost, for: intake)
            throw error
        }
    }

    private func admit(_ alert: Alert) throws(RiposteIntake.AdmissionError) {
        do throws(Engine.AdmissionError) { try house.engine.accept(alert) } catch {
            switch error {
            case .full: throw .full
            case .closed: throw .closed
            case .unsafe(let reason): throw .unsafe(reason)
            }
        }
    }

    private func tell(_ flood: UntrustedQuota.Flood) {
        logger.warning("alerts turned away", metadata: ["intake.name": "\(flood.intake)", "reason": "\(flood.cause.words)", "count": "\(flood.count)"])
        do { try house.journal.append(flood.record) } catch { logger.error("a flood is not on record", metadata: ["error": "\(error)"]) }
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) { tell("not an alert", problem, excerpt: excerpt, arrival: arrival) }

    /// Logs and journals what could not be taken, as long as there is not too much of it.
    func tell(_ message: Logger.Message, _ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) {
        guard recent.mayRecord(arrival, limit: Self.rejectsPerMinute) else { return }
        let cost = UntrustedQuota.cost(ofRejecting: problem, excerpt)
        if arrival.trust == .untrusted, !quota.takeUntold(cost, for: arrival.intake) { return }
        logger.notice(
            message, metadata: ["intake.name": "\(arrival.intake)", "peer": "\(arrival.peer ?? "")", "problem": "\(problem.description.escapedForDisplay)"])
        var record = AuditRecord(.reject, at: arrival.time)
        record.message = problem.description
        record.detail = ["arrival": arrival.json, "excerpt_base64": .text(excerpt.base64)]
        do { try house.journal.append(record) } catch { logger.error("reject is not on record", metadata: ["error": "\(error)"]) }
    }

    private final class RecentRejects: Sendable {
        private struct Source: Hashable {
            var intake: String
            var trust: Alert.Arrival.Trust
        }

        /// Intakes are the configuration's, so few.
        private let windows = Mutex<[Source: (minute: Int64, count: Int)]>([:])

        func mayRecord(_ arrival: Alert.Arrival, limit: Int) -> Bool {
            let minute = arrival.time.nanoseconds / 60_000_000_000
            return windows.withLock { windows in
                var window = windows[Source(intake: arrival.intake, trust: arrival.trust)] ?? (minute: minute, count: 0)
                if window.minute != minute { window = (minute, 0) }
                window.count += 1
                windows[Source(intake: arrival.intake, trust: arrival.trust)] = window
                return window.count <= limit
            }
        }
    }
}
