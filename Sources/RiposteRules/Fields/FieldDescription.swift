/// What values a field has, which decides the operators and literals that make sense with it (spec: Falco's parameter types).
package enum FieldType: String, CaseIterable, Sendable {
    case string, path
    /// Bytes that are no text: what a read or write moved.
    case bytes
    case int, uint
    /// Nanoseconds since 1970, and nanoseconds.
    case time, duration
    /// A number, or the name of a service.
    case port
    case bool
    case ip, net
    /// Not one of Falco's: whatever an alert carries.
    case any

    package var isText: Bool { self == .string || self == .path || self == .any }
    package var isNumber: Bool { [.int, .uint, .time, .duration, .port].contains(self) }
}

/// Which field of the catalogue: an index.
package struct FieldID: Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let unlisted = FieldID(rawValue: .max)
}

/// One field of the rules language: what it is called, what it holds, and what may be done with it.
package struct FieldDescription: Sendable {
    package enum ArgumentKind: Sendable { case none, index, key }

    /// How a field with several values at once is compared.
    package enum Quantifier: Sendable {
        case one
        /// True when it is for one of the values: every ancestor.
        case any
        /// `!=` must hold for all values, everything else for one: both ends of a connection.
        case ends
    }

    package let id: FieldID
    package let name: String
    package let type: FieldType
    package let isList: Bool
    package let argument: ArgumentKind
    package let needsArgument: Bool
    /// Without an argument.
    package let quantifier: Quantifier
    /// May stand right of an operator.
    package let isComparable: Bool
    /// May stand in an output.
    package let isPrintable: Bool
    /// Added to every output unless switched off (spec: rules-language 7).
    package let isSuggested: Bool
    /// Known so that old rules load; it never has a value, or a constant one.
    package let isDeprecated: Bool
    /// The source whose events have it; nil: all.
    package let source: String?
    /// The version of Riposte that first had it.
    package let since: String
    package let meaning: String
}
