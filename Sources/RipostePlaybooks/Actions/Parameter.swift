package import RiposteCore

/// One parameter of an action, as `with:` names it.
package struct Parameter: Sendable {
    package var name: String
    package var type: ParameterType
    /// Nil: without the parameter the action does without.
    package var defaultValue: ParameterValue?
    package var isRequired: Bool
    /// One sentence for the reference page and hover help.
    package var summary: String

    package init(_ name: String, _ type: ParameterType, default defaultValue: ParameterValue? = nil, isRequired: Bool = false, summary: String) {
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.isRequired = isRequired
        self.summary = summary
    }
}

package indirect enum ParameterType: Sendable, Equatable {
    case bool
    case integer(ClosedRange<Int64>)
    /// `30s`, `5m`; longer than nothing.
    case duration(max: Duration)
    case text(maxBytes: Int)
    /// What only people read. A longer one is cut: what an alert puts into it must not keep anybody from being told.
    case prose(maxBytes: Int)
    case choice([String])
    /// A signal by name, with or without `SIG`, or number: `KILL`.
    case signal
    /// An address or block: `192.0.2.1`, `2001:db8::/32`.
    case network
    /// A block with, optionally, port and protocol: `10.0.0.0/8:22/tcp`.
    case endpoint
    case list(of: ParameterType, maxCount: Int)
}

/// A parameter's value, typed: nothing downstream parses text a second time.
package indirect enum ParameterValue: Sendable, Equatable {
    case bool(Bool)
    case integer(Int64)
    case duration(Duration)
    case text(ByteText)
    case signal(Signal)
    case network(IPNetwork)
    case endpoint(NetworkEndpoint)
    case list([ParameterValue])

    /// As it stands in the journal and can be read back by ``ParameterType/value(from:)``.
    package var json: JSON {
        switch self {
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .duration(let value): .text(value.text)
        case .text(let value): .string(value)
        case .signal(let value): .text(value.name)
        case .network(let value): .text("\(value)")
        case .endpoint(let value): .text("\(value)")
        case .list(let values): .array(values.map(\.json))
        }
    }
}

/// What is wrong with a value, in words that follow "must": "be a duration such as 30s".
package struct ParameterError: Error, Equatable, Sendable {
    package let expectation: String
    package let suggestion: String?

    package init(_ expectation: String, suggestion: String? = nil) {
        self.expectation = expectation
        self.suggestion = suggestion
    }
}

extension ParameterType {
    /// Reads a value from JSON (control socket, journal, or a template's result). Numbers and switches may also come as text, as templates and
    /// the command line give them.
    package func value(from json: JSON) throws(ParameterError) -> ParameterValue {
        switch self {
        case .bool:
            switch json {
            case .bool(let value): return .bool(value)
            case .string("true"): return .bool(true)
            case .string("false"): return .bool(false)
            default: throw ParameterError("be true or false")
            }
        case .integer(let range):
            let value = json.integer ?? json.string?.valid.flatMap { Int64($0) }
            guard let value, range.contains(value) else {
                throw ParameterError("be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return .integer(value)
        case .duration(let max):
            guard let value = json.string?.valid.flatMap({ Duration(text: $0) }), value > .zero, value <= max else {
                throw ParameterError("be a duration such as 30s, at most \(max.text)")
            }
            return .duration(value)
        case .text(let maxBytes):
            guard let value = Self.plainText(json), value.bytes.count <= maxBytes else {
                throw ParameterError("be a text of at most \(maxBytes) bytes")
            }
            return .text(value)
        case .prose(let maxBytes):
            guard let value = Self.plainText(json) else { throw ParameterError("be a text") }
            return .text(value.cut(toBytes: maxBytes))
        case .choice(let choices):
            guard let value = json.string?.valid, choices.contains(value) else {
                let given = json.string?.valid
                throw ParameterError("be one of \(choices.joined(separator: ", "))", suggestion: given.flatMap { nearMiss(to: $0, among: choices) })
            }
            return .text(ByteText(value))
        case .signal:
            guard let value = Self.plainText(json)?.valid.flatMap({ Signal($0) }) else {
                throw ParameterError(
                    "be a signal such as KILL, TERM or 9",
                    suggestion: json.string?.valid.flatMap { nearMiss(to: $0, among: Signal.names.map(\.name)) })
            }
            return .signal(value)
        case .network:
            guard let value = json.string?.valid.flatMap({ IPNetwork($0) }) else {
                throw ParameterError("be an address or a block such as 192.0.2.1 or 2001:db8::/32")
            }
            return .network(value)
        case .endpoint:
            guard let value = json.string?.valid.flatMap({ NetworkEndpoint($0) }) else {
                throw ParameterError("be a block with, if wanted, port and protocol, such as 10.0.0.0/8:22/tcp")
            }
            return .endpoint(value)
        case .list(let element, let maxCount):
            guard let elements = json.array, elements.count <= maxCount else { throw ParameterError("be a list of at most \(maxCount)") }
            var values: [ParameterValue] = []
            for json in elements { values.append(try element.value(from: json)) }
            return .list(values)
        }
    }

    private static func plainText(_ json: JSON) -> ByteText? {
        switch json {
        case .string(let text): text
        case .integer(let value): ByteText(String(value))
        case .number(let text): text
        case .bool(let value): ByteText(value ? "true" : "false")
        case .null, .array, .object: nil
        }
    }
}

/// The parameters of one action, complete and checked.
package struct Parameters: Sendable, Equatable {
    private var values: [String: ParameterValue]

    package init(_ values: [String: ParameterValue] = [:]) { self.values = values }

    package subscript(name: String) -> ParameterValue? {
        get { values[name] }
        set { values[name] = newValue }
    }

    package func bool(_ name: String) -> Bool { if case .bool(let value) = values[name] { value } else { false } }
    package func integer(_ name: String) -> Int64? { if case .integer(let value) = values[name] { value } else { nil } }
    package func duration(_ name: String) -> Duration? { if case .duration(let value) = values[name] { value } else { nil } }
    package func text(_ name: String) -> ByteText? { if case .text(let value) = values[name] { value } else { nil } }
    package func signal(_ name: String) -> Signal? { if case .signal(let value) = values[name] { value } else { nil } }
    package func network(_ name: String) -> IPNetwork? { if case .network(let value) = values[name] { value } else { nil } }
    package func endpoints(_ name: String) -> [NetworkEndpoint] {
        guard case .list(let elements) = values[name] else { return [] }
        return elements.compactMap { if case .endpoint(let value) = $0 { value } else { nil } }
    }

    /// Sorted by name.
    package var json: JSONObject {
        JSONObject(values.sorted { $0.key < $1.key }.map { JSONObject.Member(key: ByteText($0.key), value: $0.value.json) })
    }

    /// Checks given values against a description and fills in defaults. The error's text names the parameter.
    package init(checking json: JSONObject, for description: ActionDescription) throws(ParameterError) {
        values = [:]
        for member in json.members {
            let name = member.key.repaired
            guard let parameter = description.parameters.first(where: { $0.name == name }) else {
                throw ParameterError(
                    "\(description.name) has no parameter \"\(name.escapedForDisplay)\"",
                    suggestion: nearMiss(to: name, among: description.parameters.map(\.name)))
            }
            do throws(ParameterError) { values[name] = try parameter.type.value(from: member.value) } catch {
                throw ParameterError("\(name) must \(error.expectation)", suggestion: error.suggestion)
            }
        }
        for parameter in description.parameters where values[parameter.name] == nil {
            guard !parameter.isRequired else { throw ParameterError("\(description.name) needs the parameter \"\(parameter.name)\"") }
            values[parameter.name] = parameter.defaultValue
        }
    }
}
