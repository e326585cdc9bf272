extension JSON {
    /// This value on one line without blanks, always valid UTF-8: what is not is replaced by U+FFFD, so keep the original bytes
    /// where they are evidence.
    package var line: String { String(decoding: bytes, as: UTF8.self) }

    /// The bytes of ``line``, without the detour over a `String`.
    package var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.finish()
    }

    package func write(to result: inout [UInt8]) {
        var writer = JSONWriter()
        writer.write(self)
        writer.finish(into: &result)
    }
}

extension JSONObject {
    package func write(to result: inout [UInt8]) {
        var writer = JSONWriter()
        writer.write(self)
        writer.finish(into: &result)
    }

    /// The object's members sorted by key at every level: one spelling for equal values, for digests.
    package var canonical: JSONObject {
        JSONObject(members.map { Member(key: $0.key, value: $0.value.canonical) }.sorted { $0.key < $1.key })
    }
}

extension JSON {
    /// This value with the members of every object sorted by key.
    package var canonical: JSON {
        switch self {
        case .object(let object): .object(object.canonical)
        case .array(let elements): .array(elements.map(\.canonical))
        default: self
        }
    }
}
