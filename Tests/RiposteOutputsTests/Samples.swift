import Logging
import RiposteCore
import RiposteTransport
import Synchronization

@testable import RiposteOutputs

/// Records, settings and surroundings for tests of outputs.
enum Samples {
    static let time = Timestamp(nanoseconds: 1_772_623_353_123_456_789)

    /// The record of an alert's admission.
    static func alert(
        _ rule: String, _ priority: String = "Warning", source: String = "syscall", tags: [String] = [], fields: JSONObject = ["proc.name": "sh"], output: String = "o",
        at time: Timestamp = time
    ) -> AuditRecord {
        let document: JSON = [
            "rule": .text(rule), "priority": .text(priority), "time": .text("\(time)"), "source": .text(source), "output": .text(output), "hostname": "node-7",
            "tags": .array(tags.map(JSON.text)), "output_fields": .object(fields),
        ]
        let arrival = Alert.Arrival(intake: "http", time: time)
        return AuditRecord(.alert, at: time, id: .new(at: time), detail: ["alert": document, "arrival": arrival.json])
    }

    /// The record of a playbook's `notify.send`.
    static func notify(to names: [String], _ message: String) -> AuditRecord {
        var record = AuditRecord(.outcome, at: time, id: .new())
        record.action = "notify.send"
        record.outcome = .done
        record.playbook = "contain"
        record.detail = ["plan": ["summary": "s", "parameters": ["to": .array(names.map(JSON.text)), "message": .text(message)]]]
        return record
    }

    static func spooled(_ seq: Int64, _ record: AuditRecord) -> SpoolRecord {
        let offset = Int(seq) * 100
        return SpoolRecord(
            SpoolLine(seq: seq, hash: OutputMessage.digest(of: "record \(seq)"), bytes: 100, record), start: SpoolPlace(seq: seq, segment: 1, offset: offset),
            end: SpoolPlace(seq: seq + 1, segment: 1, offset: offset + 100))
    }

    static func message(_ record: AuditRecord) -> OutputMessage { message(1, record) }

    /// As it comes out of the journal; bytes that are no text stay as they are, for which the journal has a member of its own.
    static func message(_ seq: Int64, _ record: AuditRecord) -> OutputMessage {
        let hash = OutputMessage.digest(of: "record \(seq)")
        let read = SpoolLine(line(seq, hash, record))?.content
        let alert: AdmittedAlert? = if case .alert(let alert)? = read, alert.record == record { alert } else { AdmittedAlert(record) }
        return OutputMessage(seq: seq, hash: hash, time: record.time, host: "agent-1", content: alert.map(OutputMessage.Content.alert) ?? .record(record))
    }

    /// A line of the journal.
    static func line(_ seq: Int64, _ hash: String, _ record: AuditRecord) -> [UInt8] {
        let chain: JSONObject = ["seq": .integer(seq), "prev": .text(OutputMessage.digest(of: "record \(seq - 1)"))]
        return JSON.object(JSONObject(chain.members + record.members.members + [.init(key: "hash", value: .text(hash))])).bytes
    }

    /// A small language: `has FIELD` as a condition, the name of a field in templates.
    static let language = OutputLanguage(
        condition: { text throws(OutputLanguage.Problem) in
            guard text.hasPrefix("has ") else { throw OutputLanguage.Problem("no such word", suggestion: "has") }
            let field = ByteText(String(text.dropFirst(4)))
            return { $0[field: field] != nil }
        },
        expression: { name throws(OutputLanguage.Problem) in
            guard name.contains(".") else { throw OutputLanguage.Problem("\"\(name)\" is no field", suggestion: "proc.name") }
            let field = ByteText(name)
            return { $0[field: field] }
        })

    static func settings(_ keys: SettingsValue, secrets: SecretSource = noSecrets) -> DestinationSettings {
        DestinationSettings(keys, title: "output \"siem\"", file: "/etc/riposte/riposte.yaml", language: language, secrets: secrets)
    }

    static let noSecrets = SecretSource(environment: { _ in nil }, file: { path throws(SecretSource.Unusable) in throw .init(problem: "\(path) is not there") })

    static func context(_ http: HTTPClient = HTTPClient(), folder: String = "/nonexistent") -> DestinationContext {
        DestinationContext(name: "siem", http: http, folder: folder, host: "agent-1", now: { time }, logger: logger)
    }

    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
}

/// A journal in memory.
final class MemorySpool: Spool {
    private let records = Mutex<[SpoolRecord]>([])

    func append(_ record: AuditRecord) { records.withLock { $0.append(Samples.spooled(Int64($0.count + 1), record)) } }

    func read(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord] {
        let found = records.withLock { $0.filter { $0.seq >= place.seq }.prefix(count) }
        if let last = found.last { place = last.end }
        return Array(found)
    }

    func bytes(behind place: SpoolPlace) -> Int { records.withLock { $0.count { $0.seq >= place.seq } * 100 } }
    func last() throws -> SpoolRecord? { records.withLock(\.last) }
}

/// A destination that answers as the test says and remembers what it took.
final class RecordingDestination: Destination {
    static let kind = "recording"

    private let taken = Mutex<[OutputMessage]>([])
    private let answer: @Sendable ([OutputMessage]) async -> DeliveryReport
    let limits: BatchLimits
    let place = "memory"

    init(limits: BatchLimits = .single, _ answer: @escaping @Sendable ([OutputMessage]) async -> DeliveryReport) {
        self.limits = limits
        self.answer = answer
    }

    required init?(settings: DestinationSettings, context: DestinationContext) { nil }

    func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let report = await answer(batch)
        taken.withLock { taken in for (message, fate) in zip(batch, report.fates) where fate == .delivered { taken.append(message) } }
        return report
    }

    var messages: [OutputMessage] { taken.withLock(\.self) }
}
