package import RiposteCore

/// The rules language and the playbooks' templates as outputs need them. Rooms in the middle do not know each other: the agent, which knows all,
/// fills this in.
package struct OutputLanguage: Sendable {
    /// What is wrong with a condition or a template, and where in its text.
    package struct Problem: Error, Equatable, Sendable {
        package var message: String
        package var suggestion: String?
        /// In bytes from the text's start.
        package var offset: Int

        package init(_ message: String, suggestion: String? = nil, offset: Int = 0) {
            self.message = message
            self.suggestion = suggestion
            self.offset = offset
        }
    }

    package typealias Condition = @Sendable (Alert) -> Bool
    package typealias Expression = @Sendable (Alert) -> JSON?

    /// Compiles a `when`.
    package var condition: @Sendable (String) throws(Problem) -> Condition
    /// Compiles what stands between `{{` and `}}`: nil at run time where the alert has no value for it.
    package var expression: @Sendable (String) throws(Problem) -> Expression

    package init(
        condition: @escaping @Sendable (String) throws(Problem) -> Condition, expression: @escaping @Sendable (String) throws(Problem) -> Expression
    ) {
        self.condition = condition
        self.expression = expression
    }
}
