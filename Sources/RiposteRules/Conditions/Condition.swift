/// A condition of Falco's rules language as it was written: the syntax tree. Every leaf knows the bytes of the text that it came from, so
/// that whatever is found wrong later can be shown in its place.
package indirect enum Condition: Equatable, Sendable {
    case and([Condition])
    case or([Condition])
    case not(Condition)
    case test(Test)
    /// A name without a dot: in a rules file a macro.
    case macro(String, Range<Int>)

    /// One comparison: what is looked at, how, and with what.
    package struct Test: Equatable, Sendable {
        package var left: Operand
        package var comparison: Comparison
        package var modifier: Modifier?
        package var right: Right
        package var range: Range<Int>
    }

    package enum Comparison: String, CaseIterable, Sendable {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case contains, icontains, bcontains, startswith, bstartswith, endswith, glob, iglob, regex
        case within = "in"
        case intersects, pmatch, exists
    }

    /// Of several literals on the right: how many must hold.
    package enum Modifier: String, CaseIterable, Sendable { case oneof, anyof, allof }

    package enum Right: Equatable, Sendable {
        /// Of `exists`.
        case nothing
        case literal(Literal)
        case list([Literal])
        case operand(Operand)
    }

    package struct Literal: Equatable, Sendable {
        package var bytes: [UInt8]
        package var range: Range<Int>
        package var isQuoted = false
    }

    package indirect enum Operand: Equatable, Sendable {
        case field(FieldReference)
        case literal(Literal)
        case list([Operand])
        case transform(Transform)
    }

    package struct FieldReference: Equatable, Hashable, Sendable {
        /// `proc.aname`
        package var name: String
        /// What stands in brackets: `2`.
        package var argument: String?
        package var range: Range<Int>

        /// `proc.aname[2]`: the key under which an alert carries it.
        package var text: String { argument.map { "\(name)[\($0)]" } ?? name }

        package static func == (left: FieldReference, right: FieldReference) -> Bool { left.name == right.name && left.argument == right.argument }
        package func hash(into hasher: inout Hasher) {
            hasher.combine(name)
            hasher.combine(argument)
        }
    }

    package struct Transform: Equatable, Sendable {
        package var name: Name
        package var arguments: [Operand]
        /// Of `getopt(…)[c]`.
        package var selector: String?
        package var range: Range<Int>

        package enum Name: String, CaseIterable, Sendable { case tolower, toupper, b64, basename, len, join, concat, getopt }
    }
}

/// Why a text is no condition, and where: `offset` counts bytes from its start.
package struct ConditionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What follows from it differs: a rule may ask to be passed over where a field is unknown.
    package enum Kind: Sendable {
        case invalid, unknownField, unknownMacro
        /// Said already where it belongs.
        case reported
        /// Said already, too: the rule at hand is left out, as it asks.
        case leftOut
    }

    package let message: String
    package let offset: Int
    package let suggestion: String?
    package let kind: Kind

    package init(_ message: String, at offset: Int, suggestion: String? = nil, kind: Kind = .invalid) {
        self.message = message
        self.offset = offset
        self.suggestion = suggestion
        self.kind = kind
    }

    package var description: String { "\(message) at character \(offset + 1)" + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "") }
}
