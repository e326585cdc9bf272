/// What a detector says it saw: one alert of Falco, of the own sensor or of Kubernetes' audit log, in Falco's JSON shape
/// (spec: Falco's `json_output`, falcosidekick's webhook payload). Everything in it may have been written by an attacker.
package struct Alert: Sendable, Equatable {
    /// Given by us at the door; Falco has no ids, and falcosidekick's `uuid` is new on every receipt.
    package let id: Identifier
    package let rule: ByteText
    package let priority: Priority
    /// When the detector says that it happened.
    package let time: Timestamp
    /// Falco's event source: `syscall`, `k8s_audit`, … ; `internal` for alerts about Falco itself.
    package let source: ByteText?
    package let tags: [ByteText]
    package let hostname: ByteText?
    package let output: ByteText?
    /// `output_fields`: the facts that conditions and templates read.
    package let fields: JSONObject
    /// All that came, unknown properties too, equal to what the sender wrote.
    package let document: JSONObject
    /// The sender's bytes where ``document`` cannot be written back byte for byte (text that is not UTF-8), else nil.
    package let original: [UInt8]?
    package let arrival: Arrival

    /// Who handed the alert in, when, and how far they are believed.
    package struct Arrival: Sendable, Equatable {
        package enum Trust: String, Sendable { case trusted, untrusted }

        /// The intake's name in the configuration: `http`, `file`, `socket`, `stdin`.
        package var intake: String
        package var trust: Trust
        /// Who is at the other end, as far as the kernel can tell: `uid 0 pid 4711`, `127.0.0.1:4242`.
        package var peer: String?
        package var time: Timestamp

        package init(intake: String, trust: Trust = .trusted, peer: String? = nil, time: Timestamp = .now()) {
            self.intake = intake
            self.trust = trust
            self.peer = peer
            self.time = time
        }
    }

    /// The value of a field, nil where it is absent: not there, `null`, or Falco's text `<NA>`.
    package subscript(field name: ByteText) -> JSON? {
        switch fields[name] {
        case nil, .null, .string("<NA>"): nil
        case let value: value
        }
    }
}

/// Why a JSON value is no alert, in words for whoever sent it.
package struct AlertError: Error, Equatable, Sendable, CustomStringConvertible {
    package let problem: String
    /// The place in the text that was handed in, in bytes, where one is known.
    package let offset: Int?

    package init(problem: String, offset: Int? = nil) {
        self.problem = problem
        self.offset = offset
    }

    package var description: String { offset.map { "\(problem) (byte \($0))" } ?? problem }
}

extension Alert {
    /// Objects and arrays inside one another, itself included. Records, questions and snapshots hold an alert some levels deep and are read with
    /// ``JSON/depthLimit``.
    package static let depthLimit = 48

    /// Reads one alert. Needed are `rule`, `priority` and a time (`time`, else the field `evt.time`); all else may be missing, because
    /// Falco can be told to leave it out.
    package init(parsing bytes: some Collection<UInt8>, id: Identifier, arrival: Arrival) throws(AlertError) {
        let bytes = Array(bytes)
        let value: JSON
        do throws(JSONError) { value = try JSON(parsing: bytes) } catch {
            throw AlertError(problem: "not JSON: \(error.problem)", offset: error.offset)
        }
        let isFaithful = String(validating: bytes, as: UTF8.self) != nil
        try self.init(value, original: isFaithful ? nil : bytes, id: id, arrival: arrival)
    }

    /// Takes a JSON value that was read already; `original` are its bytes where they are not UTF-8.
    package init(_ value: JSON, original: [UInt8]? = nil, id: Identifier, arrival: Arrival) throws(AlertError) {
        guard let document = value.object else { throw AlertError(problem: "an alert is a JSON object") }
        guard value.isNested(atMost: Self.depthLimit) else { throw AlertError(problem: "nested deeper than \(Self.depthLimit) levels") }
        let fields: JSONObject
        switch document["output_fields"] {
        case .object(let object): fields = object
        case nil, .null: fields = JSONObject()
        default: throw AlertError(problem: "output_fields must be an object")
        }
        guard let rule = document["rule"]?.string, !rule.isEmpty else { throw AlertError(problem: "rule must be a text that is not empty") }
        guard let name = document["priority"]?.string, let priority = Priority(bytes: name.bytes) else {
            throw AlertError(problem: "priority must be one of \(Priority.allCases.reversed().map(\.name).joined(separator: ", "))")
        }
        guard let time = Self.time(of: document, fields) else {
            throw AlertError(problem: "time must be an RFC 3339 text such as 2026-03-04T11:22:33.123456789Z")
        }
        self.id = id
        self.rule = rule
        self.priority = priority
        self.time = time
        source = document["source"]?.string.map(Self.source)
        tags = document["tags"]?.array?.compactMap(\.string) ?? []
        hostname = document["hostname"]?.string
        output = document["output"]?.string
        self.fields = fields
        self.document = document
        self.original = original
        self.arrival = arrival
    }

    /// The source as Falco calls it now: falcosidekick knows one by an old name.
    package static func source(_ name: ByteText) -> ByteText { name == "syscalls" ? "syscall" : name }

    /// `time` if present, which must then be readable; else the field `evt.time`, in nanoseconds.
    private static func time(of document: JSONObject, _ fields: JSONObject) -> Timestamp? {
        switch document["time"] {
        case .string(let text): Timestamp(text.bytes)
        case nil, .null: fields["evt.time"]?.integer.map(Timestamp.init(nanoseconds:))
        default: nil
        }
    }
}

extension Alert.Arrival {
    package var json: JSON {
        var object: JSONObject = ["intake": .text(intake), "trust": .text(trust.rawValue)]
        object.append("peer", peer.map(JSON.text))
        object.append("time", .text("\(time)"))
        return .object(object)
    }

    package init?(json: JSON) {
        guard let intake = json["intake"]?.string?.repaired, let trust = json["trust"]?.string?.valid.flatMap(Trust.init(rawValue:)),
            let time = json["time"]?.string.flatMap({ Timestamp($0.bytes) })
        else { return nil }
        self.init(intake: intake, trust: trust, peer: json["peer"]?.string?.repaired, time: time)
    }
}
