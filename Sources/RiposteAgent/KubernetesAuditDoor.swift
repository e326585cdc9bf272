internal import RiposteCore
internal import RiposteIntake
internal import RiposteRules
internal import Synchronization

/// Where audit events of Kubernetes API servers come in: judged by the rules in force, and what they make of them goes through the door of all
/// alerts.
final class KubernetesAuditDoor: KubernetesAuditSink {
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
    private let halfTaken = HalfTakenTexts()
    private let counters = Mutex(Counts())

    init(_ alerts: AlertDoor, judges: JudgePool, formatter: AlertFormatter) {
        self.alerts = alerts
        own = OwnAlerts(alerts)
        self.judges = judges
        self.formatter = formatter
    }

    var counts: Counts { counters.withLock(\.self) }

    func accept(_ text: [UInt8], arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt {
        let batch: KubernetesAuditReader.Batch
        do throws(KubernetesAuditError) { batch = try reader.read(text) } catch {
            throw .malformed(AlertError(problem: error.problem, offset: error.offset))
        }
        var taken = halfTaken.marks(of: text, from: arrival.intake)
        let isAgain = !taken.isEmpty
        do throws(AdmissionError) {
            try judges.withJudge { judge throws(AdmissionError) in
                for (number, event) in batch.events.enumerated() { try self.judge(event, number, judge, arrival, &taken) }
            }
        } catch {
            if !taken.isEmpty { halfTaken.keep(taken, of: text, from: arrival.intake) }
            throw .unadmitted(error)
        }
        if isAgain { halfTaken.forget(text, from: arrival.intake) }
        for dropped in batch.dropped { alerts.tell("audit event dropped", AlertError(problem: dropped.description), excerpt: [], arrival: arrival) }
        counters.withLock { counts in
            counts.judged += batch.events.count
            counts.dropped += batch.droppedCount
        }
        return KubernetesAuditReceipt(judged: batch.events.count, dropped: batch.droppedCount)
    }

    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival) {
        alerts.tell("no audit events", problem, excerpt: excerpt, arrival: arrival)
    }

    private func judge(
        _ event: KubernetesAuditEvent, _ number: Int, _ judge: RuleSetJudge, _ arrival: Alert.Arrival, _ taken: inout Set<HalfTakenTexts.Mark>
    ) throws(AdmissionError) {
        var documents: [(rule: String, document: JSONObject)] = []
        judge.judge(event) { rule, values in documents.append((rule.name, formatter.document(of: rule, at: event.time, values))) }
        for (rule, document) in documents {
            let mark = HalfTakenTexts.Mark(event: number, rule: rule)
            guard !taken.contains(mark), let alert = own.alert(document, arrival) else { continue }
            try alerts.accept(alert)
            taken.insert(mark)
            counters.withLock { $0.alerts += 1 }
        }
    }
}

/// Which alerts came of texts that were then refused for lack of room. They come again, whole, and what was made safe must not be made twice:
/// a text with more alerts than there is room for at once would never be through.
private final class HalfTakenTexts: Sendable {
    struct Mark: Hashable, Sendable {
        let event: Int
        let rule: String
    }

    private struct Text {
        let hash: Int
        var marks: Set<Mark>
    }

    /// More senders than this are hardly refused at the same time; what is forgotten is made twice.
    private static let limit = 64

    private let texts = Mutex<[Text]>([])

    func marks(of text: [UInt8], from intake: String) -> Set<Mark> {
        guard texts.withLock({ !$0.isEmpty }) else { return [] }
        let hash = hash(text, intake)
        return texts.withLock { $0.first { $0.hash == hash }?.marks ?? [] }
    }

    func keep(_ marks: Set<Mark>, of text: [UInt8], from intake: String) {
        let hash = hash(text, intake)
        texts.withLock { texts in
            texts.removeAll { $0.hash == hash }
            if texts.count == Self.limit { texts.removeFirst() }
            texts.append(Text(hash: hash, marks: marks))
        }
    }

    func forget(_ text: [UInt8], from intake: String) {
        let hash = hash(text, intake)
        texts.withLock { $0.removeAll { $0.hash == hash } }
    }

    /// Keyed anew in each process: nobody outside can make two texts alike.
    private func hash(_ text: [UInt8], _ intake: String) -> Int {
        var hasher = Hasher()
        hasher.combine(intake)
        text.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
