internal import Crypto
package import RiposteCore
internal import Synchronization

/// What a destination gets: one thing that people or systems should learn of, made of one record of the journal.
package struct OutputMessage: Sendable {
    /// Indirect: messages are handed from one to the next, and an audit record is large.
    package indirect enum Content: Sendable {
        /// An alert that was accepted.
        case alert(AdmittedAlert)
        /// Anything else in the journal: an intent, an outcome, a start.
        case record(AuditRecord)
        /// Words for people: what a playbook's `notify.send` says, or the summary of a burst.
        case notice(Notice)
        /// `riposte output test`.
        case test
    }

    /// The number of the journal's record; of a summary, that of the last record it counts; of a test, 0.
    package let seq: Int64
    /// 64 hexadecimal digits: the record's hash in the journal, or made from it. The same at each try and after each restart, so a receiver can tell a repetition.
    package let hash: String
    /// When it was written down; of an alert, when it was accepted.
    package let time: Timestamp
    /// The host that this agent runs on.
    package let host: String
    package let content: Content
    /// How large it is about, for limits.
    let size: Int
    /// The payload as bytes, made once for all destinations that send it.
    private let shared: SharedPayload?

    /// `size`: where it is known. `shared`: of the record that this is the whole of, not a part.
    package init(seq: Int64, hash: String, time: Timestamp, host: String, content: Content, size: Int? = nil, shared: SharedPayload? = nil) {
        self.seq = seq
        self.hash = hash
        self.time = time
        self.host = host
        self.content = content
        self.size = size ?? content.roughBytes
        self.shared = shared
    }

    /// ``falcosidekickPayload`` as JSON on one line.
    package var payloadBytes: [UInt8] { shared?.bytes(makePayloadBytes) ?? makePayloadBytes() }

    private func makePayloadBytes() -> [UInt8] {
        if case .alert(let alert) = content, let payload = alert.payload(uuid: uuid, host: host) { return payload }
        return JSON.object(falcosidekickPayload).bytes
    }

    /// A marked message, to see whether a destination takes any.
    package static func test(host: String, at time: Timestamp) -> OutputMessage {
        OutputMessage(seq: 0, hash: digest(of: "test \(host) \(Identifier.new(at: time))"), time: time, host: host, content: .test)
    }

    /// SHA-256 as 64 hexadecimal digits.
    static func digest(of text: String) -> String { digest(of: Array(text.utf8)) }

    static func digest(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// ``hash`` in the shape of a UUID (RFC 9562, version 8: the bits are ours).
    package var uuid: String {
        let (digits, variants) = (hash.utf8.prefix(32), Array("89ab".utf8))
        guard digits.count == 32 else { return hash }
        return String(unsafeUninitializedCapacity: 36) { bytes in
            var place = 0
            for (index, digit) in digits.enumerated() {
                switch index {
                case 8, 12, 16, 20:
                    bytes[place] = UInt8(ascii: "-")
                    place += 1
                default: break
                }
                bytes[place] = index == 12 ? UInt8(ascii: "8") : index == 16 ? variants[Int(digit & 3)] : digit
                place += 1
            }
            return place
        }
    }
}

/// A payload that is made when it is first asked for, and kept as long as its record is.
package final class SharedPayload: Sendable {
    private let made = Mutex<[UInt8]?>(nil)

    package init() {}

    func bytes(_ make: () -> [UInt8]) -> [UInt8] {
        if let bytes = made.withLock(\.self) { return bytes }
        let bytes = make()
        made.withLock { $0 = bytes }
        return bytes
    }
}

extension OutputMessage.Content {
    fileprivate var roughBytes: Int {
        switch self {
        case .alert(let alert): 200 + JSON.object(alert.alert?.document ?? JSONObject()).bytes.count
        case .record(let record): 300 + JSON.object(record.members).bytes.count
        case .notice(let notice): 200 + notice.title.utf8.count + notice.text.utf8.count
        case .test: 200
        }
    }
}

/// Words for people.
package struct Notice: Sendable, Equatable {
    /// What a burst was: all that fell together under one key since the first was sent.
    package struct Summary: Sendable, Equatable {
        /// The fields it was grouped by, with their values.
        package var key: [(field: String, value: ByteText)]
        package var count: Int
        package var first: Timestamp
        package var last: Timestamp
        /// Lines of some that were not sent, oldest first.
        package var examples: [ByteText]

        package static func == (left: Summary, right: Summary) -> Bool {
            left.key.elementsEqual(right.key) { $0 == $1 } && left.count == right.count && left.first == right.first && left.last == right.last
                && left.examples == right.examples
        }
    }

    package var title: String
    /// Several lines are possible.
    package var text: String
    package var priority: Priority?
    /// Of a summary.
    package var summary: Summary?
    /// Of a playbook's step: the record of its action.
    package var record: AuditRecord?

    package init(title: String, text: String, priority: Priority? = nil, summary: Summary? = nil, record: AuditRecord? = nil) {
        self.title = title
        self.text = text
        self.priority = priority
        self.summary = summary
        self.record = record
    }
}

extension OutputMessage {
    package enum Kind: String, CaseIterable, Sendable { case alert, audit, notice, test }

    package var kind: Kind {
        switch content {
        case .alert: .alert
        case .record: .audit
        case .notice: .notice
        case .test: .test
        }
    }

    /// How grave it is. Of an audit record: what failed is an error, what was refused a warning, what changed the world a notice.
    package var priority: Priority {
        switch content {
        case .alert(let alert): return alert.priority
        case .notice(let notice): return notice.priority ?? .notice
        case .test: return .informational
        case .record(let record):
            switch record.outcome {
            case .failed?: return .error
            case .refused?, .expired?: return .warning
            case .done?, .undone?, .pending?: return .notice
            default: return .informational
            }
        }
    }

    /// A few words: the rule, the action and its outcome.
    package var title: ByteText {
        switch content {
        case .alert(let alert): alert.rule
        case .notice(let notice): ByteText(notice.title)
        case .test: "Riposte test message"
        case .record(let record): ByteText(Self.title(of: record))
        }
    }

    /// What happened, in a sentence or more. Written by whoever attacks: escape it for where it goes.
    package var text: ByteText {
        switch content {
        case .alert(let alert): alert.alert?.output ?? alert.rule
        case .notice(let notice): ByteText(notice.text)
        case .test: ByteText("This is a test message of Riposte on \(host); nothing happened.")
        case .record(let record): ByteText(Self.text(of: record))
        }
    }

    private static func title(of record: AuditRecord) -> String {
        [record.action ?? record.kind.rawValue, record.outcome?.rawValue ?? (record.kind == .intent ? "intended" : nil)].compactMap(\.self).joined(separator: " ")
    }

    private static func text(of record: AuditRecord) -> String {
        var text = title(of: record)
        if let target = record.target { text += " \(target.summary)" }
        if let playbook = record.playbook { text += " by playbook \(playbook)" } else if let actor = record.actor { text += " by \(actor.name)" }
        if record.dryRun { text += " (dry run)" }
        if let words = record.message ?? record.reason { text += ": \(words)" }
        // Whoever is told that somebody is asked shall know how to answer.
        if record.kind == .approval, record.detail["state"]?.string == "requested", let id = record.id {
            text += "; approve: riposte approvals approve \(id), deny: riposte approvals deny \(id)"
        }
        return text
    }
}
