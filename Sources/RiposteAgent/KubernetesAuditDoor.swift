internal import RiposteCore
internal import RiposteIntake
internal import RiposteRules
internal import Synchronization

/// Where audit events of Kubernetes API servers come in: judged by the rules in force, and what they make of them goes through the door of all
/// alerts.
final class KubernetesAuditDoor: KubernetesAuditSink {
    /// An alert that came of a text.
    private struct Mark: Hashable, Sendable {
        let event: Int
        let rule: String
    }

    struct Counts: Sendable, Equatable {
        var judged = 0
        var dropped = 0
        var alerts = 0
    }

    private let alerts: AlertDoor
    private let own: OwnAlerts
    private let judges: JudgePool
    private let formatter: AlertFormatter
    private let reader = KubernetesAuditReader()
    private let halfTaken = HalfTakenTexts<Set<Mark>>()
    private let counters = Mutex(Counts())

    init(_ alerts: AlertDoor, judges: JudgePool, formatter: AlertFormatter) {
        self.alerts = alerts
        own = OwnAlerts(alerts)
        self.judges = judges
        self.formatter = formatter
    }

    var counts: Counts { counters.withLock(\.self) }

    func accept(_ text: [UInt8], arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt {
        var events: KubernetesAuditText
        do throws(KubernetesAuditError) { events = try reader.open(text) } catch {
            throw .malformed(AlertError(problem: error.problem, offset: error.offset))
        }
        var judged = 0
        // One who is believed does not owe his alerts to one who is not.
        let source = "\(arrival.intake) \(arrival.trust)"
        var taken = halfTaken.part(of: text, from: source) ?? []
        let isAgain = !taken.isEmpty
        do throws(AdmissionError) {
            try judges.withJudge { judge throws(AdmissionError) in
                while let event = events.next() {
                    try self.judge(event, judged, judge, arrival, &taken)
                    judged += 1
                }
            }
        } catch {
            if !taken.isEmpty { halfTaken.keep(taken, of: text, from: source) }
            throw .unadmitted(error)
        }
        if isAgain { halfTaken.forget(text, from: source) }
        for dropped in events.dropped { alerts.tell("audit event dropped", AlertError(problem: dropped.description), excerpt: [], arrival: arrival) }
        counters.withLock { counts in
            counts.judged += judged
            counts.dropped += events.droppedCount
        }
        return KubernetesAuditReceipt(judged: judged, dropped: events.droppedCount)
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) {
        alerts.tell("no audit events", problem, excerpt: excerpt, arrival: arrival)
    }

    /// What is too much of a sender who is not believed is left out, and told: sent again it would be the same.
    private func isWithinLimits(_ alert: Alert) -> Bool {
        do throws(AlertError) { _ = try alert.withinLimits() } catch {
            alerts.tell("alert of an audit event dropped", error, excerpt: [], arrival: alert.arrival)
            return false
        }
        return true
    }

    private func judge(
        _ event: KubernetesAuditEvent, _ number: Int, _ judge: RuleSetJudge, _ arrival: Alert.Arrival, _ taken: inout Set<Mark>
    ) throws(AdmissionError) {
        var documents: [(rule: String, document: JSONObject)] = []
        judge.judge(event) { rule, values in documents.append((rule.name, formatter.document(of: rule, at: event.time, values))) }
        for (rule, document) in documents {
            let mark = Mark(event: number, rule: rule)
            guard !taken.contains(mark), let alert = own.alert(document, arrival), isWithinLimits(alert) else { continue }
            try alerts.accept(alert)
            taken.insert(mark)
            counters.withLock { $0.alerts += 1 }
        }
    }
}
