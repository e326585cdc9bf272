internal import RiposteCore

/// HTML whose text cannot become markup: what is written in the source is taken as it is, what is put in with `\( )` is escaped, whoever forgets it.
package struct Markup: ExpressibleByStringInterpolation, Sendable {
    package private(set) var html: String

    package init(stringLiteral value: String) { html = value }

    package init(stringInterpolation: StringInterpolation) { html = stringInterpolation.html }

    private init(html: String) { self.html = html }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var html = ""

        package init(literalCapacity: Int, interpolationCount: Int) { html.reserveCapacity(literalCapacity + interpolationCount * 32) }

        package mutating func appendLiteral(_ literal: String) { html += literal }
        package mutating func appendInterpolation(_ markup: Markup) { html += markup.html }
        package mutating func appendInterpolation(_ markups: [Markup]) { for markup in markups { html += markup.html } }
        package mutating func appendInterpolation(_ text: String) { html += text.escapedForHTML }
        package mutating func appendInterpolation(_ number: some BinaryInteger) { html += "\(number)" }
        /// A length in a drawing, to a tenth.
        package mutating func appendInterpolation(_ length: Double) {
            let tenths = Int((length * 10).rounded())
            html += tenths % 10 == 0 ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
        }
    }

    package static let empty = Markup(html: "")
}

extension String {
    /// For the text and the attributes of HTML. What a reader's eye would take for something else is escaped first.
    var escapedForHTML: String {
        let safe = escapedForDisplay
        guard safe.utf8.contains(where: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "'") })
        else { return safe }
        var result = ""
        for scalar in safe.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
