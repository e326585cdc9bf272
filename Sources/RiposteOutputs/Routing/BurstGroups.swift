package import RiposteCore

/// Bursts of equal alerts, and of equal messages of playbooks: of those with the same key the first is sent at once, the rest is counted and told in a
/// summary. A value, so that it can be kept with the cursor: what was counted before a restart counts after it.
package struct BurstGroups: Sendable, Equatable {
    package struct Settings: Sendable {
        package enum First: String, CaseIterable, Sendable {
            /// It is sent at once.
            case send
            /// It waits for the summary like all others: a digest.
            case hold
        }

        package var by: [(name: String, value: OutputLanguage.Expression)]
        package var first: First
        package var summaryEvery: Duration

        package init(by: [(name: String, value: OutputLanguage.Expression)], first: First = .send, summaryEvery: Duration) {
            self.by = by
            self.first = first
            self.summaryEvery = summaryEvery
        }

        package static let ownFields: [String: @Sendable (Alert) -> JSON?] = [
            "rule": { .string($0.rule) }, "priority": { .text($0.priority.name.lowercased()) }, "source": { $0.source.map(JSON.string) },
            "hostname": { $0.hostname.map(JSON.string) },
        ]
    }

    fileprivate struct Burst: Sendable, Equatable {
        var key: [ByteText]
        var fields: [String]
        var rule: ByteText
        var priority: Priority
        var count = 0
        var first: Timestamp
        var last: Timestamp
        var examples: [ByteText] = []
        /// When the summary is due, or, where there is nothing to tell, the burst is over.
        var due: Timestamp
        /// The last record that it counts.
        var seq: Int64
        var hash: String
    }

    /// More bursts than this at a time are not told apart: what begins then is sent as it comes.
    package static let limit = 4096
    fileprivate static let exampleLimit = 3
    fileprivate static let exampleBytes = 512
    private static let keyBytes = 256

    private var bursts: [[ByteText]: Burst] = [:]

    package init() {}

    package var isEmpty: Bool { bursts.isEmpty }
    package var count: Int { bursts.count }

    /// Were all of them grouped by these fields?
    func isGrouped(by fields: [String]) -> Bool { bursts.values.allSatisfy { $0.fields == fields || $0.fields == fields + [Self.noticeField] } }

    /// Beside what messages are grouped by: those of playbooks are told apart by their titles and priorities in any case, so that no failure is counted
    /// onto a success.
    fileprivate static let noticeField = "message"

    /// When ``due(at:_:host:)`` has something to do.
    package func nextDue(at now: Timestamp, _ settings: Settings) -> Timestamp? {
        bursts.values.map { $0.isDue(at: now, settings) ? now : $0.due }.min()
    }

    /// The message where it is to be sent now; nil where it was counted.
    package mutating func take(_ message: OutputMessage, _ settings: Settings, at now: Timestamp) -> OutputMessage? {
        guard let (fields, values) = message.groupingKey(settings.by) else { return message }
        let key = values.map(Self.bounded)
        if bursts[key] != nil {
            bursts[key]?.add(message)
            return nil
        }
        guard bursts.count < Self.limit else { return message }
        var burst = Burst(
            key: key, fields: fields, rule: message.title, priority: message.priority, first: message.happened, last: message.happened,
            due: now + settings.summaryEvery, seq: message.seq, hash: message.hash)
        if settings.first == .hold { burst.add(message) }
        bursts[key] = burst
        return settings.first == .hold ? nil : message
    }

    /// What is cut has its digest in place of the rest: two that only begin alike, as somebody could have them begin, are two.
    private static func bounded(_ value: ByteText) -> ByteText {
        guard value.bytes.count > keyBytes else { return value }
        return ByteText(Array(value.bytes.prefix(keyBytes)) + Array("…\(OutputMessage.digest(of: value.bytes).prefix(16))".utf8))
    }

    /// The summaries whose time has come. A burst that had nothing to tell is over, and the next alert of its key is sent at once.
    package mutating func due(at now: Timestamp, _ settings: Settings, host: String) -> [OutputMessage] {
        let due = bursts.values.filter { $0.isDue(at: now, settings) }.sorted { ($0.seq, $0.hash) < ($1.seq, $1.hash) }
        return due.compactMap { burst -> OutputMessage? in
            guard burst.count > 0 else {
                bursts[burst.key] = nil
                return nil
            }
            let message = burst.summary(host: host, at: now)
            if settings.first == .hold {
                bursts[burst.key] = nil
            } else {
                bursts[burst.key]?.beginAnew(due: now + settings.summaryEvery)
            }
            return message
        }
    }

    /// The summaries of all that is open, and nothing is open behind them.
    package mutating func flush(host: String, at now: Timestamp) -> [OutputMessage] {
        defer { bursts = [:] }
        return bursts.values.filter { $0.count > 0 }.sorted { ($0.seq, $0.hash) < ($1.seq, $1.hash) }.map { $0.summary(host: host, at: now) }
    }
}

extension BurstGroups.Burst {
    /// Nothing is due later than a while from now: the clock was set back, or summaries are wanted more often than before.
    fileprivate func isDue(at now: Timestamp, _ settings: BurstGroups.Settings) -> Bool { due <= now || due > now + settings.summaryEvery }

    fileprivate mutating func add(_ message: OutputMessage) {
        let time = message.happened
        if count == 0 { first = time }
        count += 1
        first = min(first, time)
        last = max(last, time)
        priority = max(priority, message.priority)
        (seq, hash) = (message.seq, message.hash)
        guard examples.count < BurstGroups.exampleLimit else { return }
        examples.append(ByteText(Array(message.text.bytes.prefix(BurstGroups.exampleBytes))))
    }

    fileprivate mutating func beginAnew(due: Timestamp) {
        count = 0
        examples = []
        self.due = due
    }

    fileprivate func summary(host: String, at now: Timestamp) -> OutputMessage {
        let summary = Notice.Summary(key: zip(fields, key).map { (field: $0, value: $1) }, count: count, first: first, last: last, examples: examples)
        var lines = ["\(count) more from \(first) to \(last)"]
        // Nothing from an alert can begin a line.
        lines += summary.key.map { "\($0.field): \($0.value.shown)" }
        lines += examples.map { "e.g. \($0.shown)" }
        let notice = Notice(title: "\(rule.repaired): \(count) more", text: lines.joined(separator: "\n"), priority: priority, summary: summary)
        return OutputMessage(seq: seq, hash: OutputMessage.digest(of: "summary \(hash) \(count)"), time: now, host: host, content: .notice(notice))
    }
}

extension OutputMessage {
    /// Of an alert, when what it tells of happened.
    fileprivate var happened: Timestamp { alert?.time ?? time }

    /// By what it is the same as others, with names; nil where each is to be told.
    fileprivate func groupingKey(_ by: [(name: String, value: OutputLanguage.Expression)]) -> (fields: [String], values: [ByteText])? {
        switch content {
        case .alert(let admitted):
            let alert = admitted.alert
            return (by.map(\.name), by.map { alert.flatMap($0.value)?.keyText ?? "" })
        case .notice:
            let values: [ByteText] = by.map { field in
                switch field.name {
                case "rule": title
                case "priority": ByteText(priority.name.lowercased())
                case "source": "riposte"
                case "hostname": ByteText(host)
                // Fields of an alert, which a message of a playbook has not.
                default: ""
                }
            }
            return (by.map(\.name) + [BurstGroups.noticeField], values + [ByteText("\(title.repaired) (\(priority.name))")])
        case .record, .test: return nil
        }
    }
}

extension JSON {
    fileprivate var keyText: ByteText { string ?? ByteText(bytes) }
}

// MARK: - Keeping

extension BurstGroups {
    var json: JSON { .array(bursts.values.sorted { ($0.seq, $0.hash) < ($1.seq, $1.hash) }.map(\.json)) }

    init?(json: JSON) {
        guard let elements = json.array else { return nil }
        for burst in elements.prefix(Self.limit).compactMap(Burst.init(json:)) { bursts[burst.key] = burst }
    }
}

extension BurstGroups.Burst {
    /// Keys may be no UTF-8, and must be the same when they are read back.
    fileprivate var json: JSON {
        [
            "key": .array(key.map { .text($0.bytes.base64) }), "fields": .array(fields.map(JSON.text)), "rule": .text(rule.bytes.base64),
            "priority": .text(priority.name), "count": .integer(Int64(count)), "first": .text("\(first)"), "last": .text("\(last)"),
            "examples": .array(examples.map { .text($0.bytes.base64) }), "due": .text("\(due)"), "seq": .integer(seq), "hash": .text(hash),
        ]
    }

    fileprivate init?(json: JSON) {
        func bytes(_ value: JSON?) -> ByteText? { value?.string?.valid.flatMap { [UInt8](base64: $0) }.map { ByteText($0) } }
        func time(_ key: ByteText) -> Timestamp? { json[key]?.string.flatMap { Timestamp($0.bytes) } }
        guard let key = json["key"]?.array?.compactMap({ bytes($0) }), let fields = json["fields"]?.array?.compactMap({ $0.string?.valid }), key.count == fields.count,
            let rule = bytes(json["rule"]), let priority = json["priority"]?.string.flatMap({ Priority(bytes: $0.bytes) }), let count = json["count"]?.integer,
            let first = time("first"), let last = time("last"), let due = time("due"), let seq = json["seq"]?.integer, let hash = json["hash"]?.string?.valid
        else { return nil }
        self.init(
            key: key, fields: fields, rule: rule, priority: priority, count: Int(count), first: first, last: last,
            examples: json["examples"]?.array?.compactMap { bytes($0) } ?? [], due: due, seq: seq, hash: hash)
    }
}
