/// A regular expression in RE2's POSIX egrep syntax that takes linear time on every text. It matches the whole text, as Falco's `regex` does;
/// there are no groups to capture. As in RE2's POSIX syntax, `^` and `$` also stand at the beginnings and ends of lines, and `.` is no newline.
///
/// Compiled into a table that is walked one character at a time (``RegularExpressionAutomaton``). A pattern whose table would grow too large, as
/// `(a|b)*a(a|b){20}` would, is run over all alternatives at once instead (``RegularExpressionProgram``): slower, but its text still costs
/// no more than its length times the size of the pattern.
package struct RegularExpression: Sendable, Equatable {
    package struct Invalid: Error, Equatable, Sendable {
        package let message: String
        /// Characters from the start of the pattern.
        package let offset: Int
    }

    package let pattern: String
    /// Bytes that every text has somewhere that matches, as many as were easily found; nil if there are none.
    package let requiredLiteral: [UInt8]?

    private let automaton: RegularExpressionAutomaton?
    /// Where there is no automaton.
    private let program: RegularExpressionProgram?

    package init(_ pattern: String) throws(Invalid) { try self.init(pattern, stateLimit: RegularExpressionAutomaton.stateLimit) }

    /// With a limit of 0 the pattern is never compiled into a table.
    package init(_ pattern: String, stateLimit: Int) throws(Invalid) {
        let node = try Self.parse(pattern)
        let program = try RegularExpressionProgram(node)
        self.pattern = pattern
        requiredLiteral = node.requiredLiteral
        automaton = RegularExpressionAutomaton(program, stateLimit: stateLimit)
        self.program = automaton == nil ? program : nil
    }

    package static func == (left: Self, right: Self) -> Bool { left.pattern == right.pattern }

    /// Whether there is a table, so that matching allocates nothing.
    package var isTabled: Bool { automaton != nil }

    package func matchesWhole(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { matchesWhole($0) } }

    /// Bytes that are not UTF-8 count as U+FFFD, one for each beginning of a character that is not gone on with.
    package func matchesWhole(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if let automaton { return automaton.matchesWhole(bytes) }
        return program?.matchesWhole(bytes) ?? false
    }
}
