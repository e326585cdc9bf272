package import RiposteOutputs
internal import RiposteCore
internal import RiposteRules

extension OutputLanguage {
    /// The language of rules and playbooks: `when` is a condition on an alert's fields, `{{ }}` holds the name of one.
    package static let rules = OutputLanguage(
        condition: { text throws(Problem) in
            do throws(ConditionError) {
                let condition = try CompiledCondition(parsing: text)
                return { condition.matches($0) }
            } catch {
                throw Problem(error.message, suggestion: error.suggestion, offset: error.offset)
            }
        },
        expression: { name throws(Problem) in
            if let problem = FieldCatalogue.problem(with: name) { throw Problem(problem.message, suggestion: problem.suggestion, offset: 0) }
            let field = ByteText(name)
            return { $0[field: field] ?? $0.property(name) }
        })
}
