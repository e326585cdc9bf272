/// One thing that is wrong with a file that a person wrote, with its place and, where there is one, the remedy.
package struct Diagnostic: Error, Equatable, Sendable {
    package enum Severity: String, Sendable { case error, warning }

    /// Lines and columns count from 1; columns are characters.
    package struct Place: Equatable, Comparable, Sendable {
        package var line: Int
        package var column: Int

        package init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }

        package static func < (left: Place, right: Place) -> Bool { (left.line, left.column) < (right.line, right.column) }
    }

    package var severity: Severity
    /// A stable code that people can look up: `P012`.
    package var code: String
    package var file: String
    package var place: Place?
    package var message: String
    package var suggestion: String?
    /// The line of the file at `place`, for the picture under the message.
    package var snippet: String?

    package init(
        _ severity: Severity = .error, code: String, file: String, place: Place? = nil, message: String, suggestion: String? = nil,
        snippet: String? = nil
    ) {
        self.severity = severity
        self.code = code
        self.file = file
        self.place = place
        self.message = message
        self.suggestion = suggestion
        self.snippet = snippet
    }

    /// As a compiler prints it: `file:line:column: error[P012]: message`, then the line with a caret and the suggestion.
    package var rendered: String {
        // Whoever may put a file into a folder chooses its name.
        let name = file.escapedForDisplay
        let location = place.map { "\(name):\($0.line):\($0.column)" } ?? name
        var lines = ["\(location): \(severity.rawValue)[\(code)]: \(message.escapedForDisplay)"]
        if let snippet, let place { lines += Self.picture(of: snippet, at: place.column) }
        if let suggestion { lines.append("    did you mean \"\(suggestion.escapedForDisplay)\"?") }
        return lines.joined(separator: "\n")
    }

    /// The line and a caret under its column; of a long line what is around it.
    private static func picture(of line: String, at column: Int) -> [String] {
        let start = max(0, column - 60)
        let part = line.dropFirst(start).prefix(120)
        let before = part.prefix(max(0, column - 1 - start)).description.escapedForDisplay
        let (dots, rest) = (start > 0 ? "…" : "", part.dropFirst(max(0, column - 1 - start)).description.escapedForDisplay)
        let end = line.count > start + part.count ? "…" : ""
        return ["    \(dots)\(before)\(rest)\(end)", "    " + String(repeating: " ", count: dots.count + before.count) + "^"]
    }

    package var json: JSON {
        var object: JSONObject = ["severity": .text(severity.rawValue), "code": .text(code), "file": .text(file)]
        if let place {
            object.append("line", .integer(Int64(place.line)))
            object.append("column", .integer(Int64(place.column)))
        }
        object.append("message", .text(message))
        object.append("suggestion", suggestion.map(JSON.text))
        return .object(object)
    }
}

/// Everything that is wrong with what was read, in one go.
package struct Diagnostics: Error, Equatable, Sendable, CustomStringConvertible {
    package var entries: [Diagnostic]

    package init(_ entries: [Diagnostic]) { self.entries = entries }

    package var hasErrors: Bool { entries.contains { $0.severity == .error } }

    package var description: String { entries.map(\.rendered).joined(separator: "\n") }
}
