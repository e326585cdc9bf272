package import RiposteCore
internal import Synchronization

/// An alert as the journal has it. Most outputs want of most alerts what routes ask for and the payload: these are read from the journal's line. Whoever
/// wants more has it taken apart, once for all.
package final class AdmittedAlert: Sendable {
    package let rule: ByteText
    package let priority: Priority
    package let source: ByteText?
    package let tags: [ByteText]
    /// Nil: it was not read from a line that is spelled as ours are.
    private let text: AlertText?
    private let whole: Mutex<Whole?>

    private final class Whole: Sendable {
        let record: AuditRecord?
        let alert: Alert?

        init(_ record: AuditRecord?, _ alert: Alert?) { (self.record, self.alert) = (record, alert) }
    }

    /// Nil where the record admits no alert.
    package init?(_ record: AuditRecord) {
        guard record.kind == .alert, let alert = Alert(admittedIn: record) else { return nil }
        (rule, priority, source, tags, text) = (alert.rule, alert.priority, alert.source, alert.tags, nil)
        whole = Mutex(Whole(record, alert))
    }

    /// Nil where the text does not say all that makes an alert in the ordinary way.
    init?(_ text: AlertText) {
        guard let rule = text.value(text.rule)?.string, !rule.isEmpty, let priority = text.value(text.priority)?.string.flatMap({ Priority(bytes: $0.bytes) }) else {
            return nil
        }
        self.rule = rule
        self.priority = priority
        source = text.value(text.source)?.string.map(Alert.source)
        tags = text.value(text.tags)?.array?.compactMap(\.string) ?? []
        self.text = text
        whole = Mutex(nil)
    }

    /// The record of its admission.
    package var record: AuditRecord? { taken.record }

    package var alert: Alert? { taken.alert }

    private var taken: Whole {
        whole.withLock { whole in
            if let whole { return whole }
            let record = text.flatMap { try? JSON(parsing: $0.line) }?.object.flatMap(AuditRecord.init(members:))
            let taken = Whole(record, record.flatMap { Alert(admittedIn: $0) })
            whole = taken
            return taken
        }
    }

    /// falcosidekick's payload, where it can be put together from the line's own pieces.
    func payload(uuid: String, host: String) -> [UInt8]? { text?.payload(uuid: uuid, host: host, of: self) }
}

/// Where in a line of the journal the members of the alert stand that it admits.
struct AlertText: Sendable {
    let line: [UInt8]
    fileprivate var rule: Range<Int>?
    fileprivate var priority: Range<Int>?
    fileprivate var source: Range<Int>?
    fileprivate var tags: Range<Int>?
    private var output: Range<Int>?
    private var hostname: Range<Int>?
    private var fields: Range<Int>?
    private var time = Timestamp(nanoseconds: 0)
    /// What else its sender wrote, with the keys.
    private var others: [Range<Int>] = []

    /// `detail`: the record's. Nil where the alert is not there, or not all of it is of the kind that it mostly is.
    init?(_ outline: JSONOutline, in detail: JSONOutline.Member) {
        line = outline.bytes
        guard outline.isObject(detail.value) else { return nil }
        var (alert, time): (JSONOutline.Member?, Range<Int>?)
        outline.forEach(in: detail) { if outline.spells($0.key, "alert") { alert = $0 } }
        guard let alert, outline.isObject(alert.value) else { return nil }
        outline.forEach(in: alert) { member in
            func isCalled(_ name: StaticString) -> Bool { outline.spells(member.key, name) }
            if isCalled("rule") {
                rule = member.value
            } else if isCalled("priority") {
                priority = member.value
            } else if isCalled("time") {
                time = member.value
            } else if isCalled("output") {
                output = member.value
            } else if isCalled("output_fields") {
                fields = member.value
            } else if isCalled("source") {
                source = member.value
            } else if isCalled("tags") {
                tags = member.value
            } else if isCalled("hostname") {
                hostname = member.value
            } else if !isCalled("uuid") {
                others.append(member.key.lowerBound - 1..<member.value.upperBound)
            }
        }
        guard let time = value(time)?.string.flatMap({ Timestamp($0.bytes) }), fields.map(outline.isObject) ?? true, [output, hostname].allSatisfy(isTextOrAbsent) else {
            return nil
        }
        self.time = time
    }

    fileprivate func value(_ place: Range<Int>?) -> JSON? { place.flatMap { try? JSON(parsing: line[$0]) } }

    private func isTextOrAbsent(_ place: Range<Int>?) -> Bool { place.map { line[$0.lowerBound] == UInt8(ascii: "\"") } ?? true }

    fileprivate func payload(uuid: String, host: String, of alert: AdmittedAlert) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(line.count)
        func put(_ text: StaticString) { bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)) }
        func put(_ place: Range<Int>?, or absent: StaticString) { if let place { bytes += line[place] } else { put(absent) } }
        put("{\"uuid\":\"")
        bytes += uuid.utf8
        put("\",\"output\":")
        put(output, or: "\"\"")
        put(",\"priority\":\"")
        bytes += alert.priority.name.utf8
        put("\",\"rule\":")
        put(rule, or: "\"\"")
        put(",\"time\":\"")
        bytes += "\(time)".utf8
        put("\",\"output_fields\":")
        put(fields, or: "{}")
        put(",\"source\":")
        JSON.string(alert.source ?? "syscall").write(to: &bytes)
        if !alert.tags.isEmpty {
            put(",\"tags\":")
            JSON.array(alert.tags.sorted().map(JSON.string)).write(to: &bytes)
        }
        put(",\"hostname\":")
        if let hostname { bytes += line[hostname] } else { JSON.text(host).write(to: &bytes) }
        for member in others {
            put(",")
            bytes += line[member]
        }
        put("}")
        return bytes
    }
}

extension Alert {
    /// The alert that a record of its admission holds, whole.
    fileprivate init?(admittedIn record: AuditRecord) {
        guard let id = record.id else { return nil }
        let arrival = record.detail["arrival"].flatMap(Arrival.init(json:)) ?? Arrival(intake: "unknown", trust: .untrusted, time: record.time)
        do throws(AlertError) {
            if let document = record.detail["alert"], document != .null {
                try self.init(document, id: id, arrival: arrival)
            } else {
                guard let bytes = record.detail["alert_base64"]?.string?.valid.flatMap({ [UInt8](base64: $0) }) else { return nil }
                try self.init(parsing: bytes, id: id, arrival: arrival)
            }
        } catch {
            return nil
        }
    }
}
