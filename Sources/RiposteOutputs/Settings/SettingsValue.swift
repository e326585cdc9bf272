package import RiposteCore

/// A value of the configuration file with its place, as the one who reads YAML hands it over.
package struct SettingsValue: Sendable, Equatable {
    package enum Shape: Sendable, Equatable {
        case null
        /// `isPlain`: it stands without quotes, so `true` and `12` may mean more than text.
        case scalar(String, isPlain: Bool)
        case list([SettingsValue])
        case mapping([Member])
    }

    package struct Member: Sendable, Equatable {
        package var key: String
        package var place: Diagnostic.Place?
        package var value: SettingsValue

        package init(key: String, place: Diagnostic.Place? = nil, value: SettingsValue) {
            self.key = key
            self.place = place
            self.value = value
        }
    }

    package var place: Diagnostic.Place?
    package var shape: Shape

    package init(_ shape: Shape, place: Diagnostic.Place? = nil) {
        self.shape = shape
        self.place = place
    }

    /// All scalars in it.
    package var texts: [String] {
        switch shape {
        case .null: []
        case .scalar(let text, _): [text]
        case .list(let values): values.flatMap(\.texts)
        case .mapping(let members): members.flatMap(\.value.texts)
        }
    }

    package subscript(key: String) -> SettingsValue? {
        guard case .mapping(let members) = shape else { return nil }
        return members.first { $0.key == key }?.value
    }

    package var text: String? { if case .scalar(let text, _) = shape { text } else { nil } }
    var plainText: String? { if case .scalar(let text, true) = shape { text } else { nil } }
}

extension SettingsValue: ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
    /// As if it stood without quotes; for tests and defaults.
    package init(stringLiteral value: String) { self.init(.scalar(value, isPlain: true)) }
    package init(dictionaryLiteral elements: (String, SettingsValue)...) { self.init(.mapping(elements.map { Member(key: $0.0, value: $0.1) })) }
    package init(arrayLiteral elements: SettingsValue...) { self.init(.list(elements)) }
}
