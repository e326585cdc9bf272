package import RiposteCore

/// One condition over the events of a source, with the macros and lists of some files, ready to judge.
package final class EventCondition: Sendable {
    /// The name under which findings speak of the condition.
    package static let name = "condition"

    private let plan: RulePlan

    private init(_ plan: RulePlan) { self.plan = plan }

    /// Nil with the findings where the condition or the files have an error. Warnings are of the condition only.
    package static func compile(_ text: String, source: String, files: [RuleSet.File] = []) -> (condition: EventCondition?, findings: [RulesFinding]) {
        var report = RulesReport()
        var collection = RulesCollection()
        for file in files { collection.take(RulesFileReader.read(file.text, file: file.name, &report), &report) }
        let lists = ListTable(collection)
        let macros = MacroTable(collection, lists, report)
        macros.readAll()
        var compiler = ConditionCompiler(graph: ConditionGraph(), fields: .events(source: source)) { compiler, name, offset throws(ConditionError) in
            try macros.node(name, at: offset, &compiler)
        }
        do throws(ConditionError) {
            // Lists are put in for judging; what is wrong is shown in the text as it was given.
            let condition = try parsed(text, lists)
            try macros.prepare(condition, ofRuleInFile: files.count, &compiler)
            let node = try compiler.node(condition)
            var warnings = lists.namesInQuotes(of: Array(text.utf8)).map { finding(.listInText, ListTable.warning(ofQuoted: $0.name), in: text, at: $0.offset) }
            warnings += compiler.takeWarnings().map { finding($0.code, $0.message, in: text, at: $0.offset) }
            let errors = macros.report.findings.filter(\.isError)
            guard errors.isEmpty else { return (nil, errors + warnings) }
            return (EventCondition(PlanBuilder.plan(compiler.graph, roots: [node], narrowsByType: true)), warnings)
        } catch {
            var findings = macros.report.findings.filter(\.isError)
            if error.kind != .reported {
                findings.append(
                    finding(error.kind == .unknownMacro ? .validate : .compileCondition, error.message, in: text, at: error.offset, suggestion: error.suggestion))
            }
            return (nil, findings)
        }
    }

    private static func parsed(_ text: String, _ lists: ListTable) throws(ConditionError) -> Condition {
        let plain = try Condition(parsing: Array(text.utf8), depthLimit: Condition.depthLimitInRules)
        let substituted = lists.substituted(in: text)
        return substituted == text ? plain : try Condition(parsing: Array(substituted.utf8), depthLimit: Condition.depthLimitInRules)
    }

    private static func finding(_ code: RulesFinding.Code, _ message: String, in text: String, at offset: Int, suggestion: String? = nil) -> RulesFinding {
        let place = Diagnostic.Place(in: text, at: offset)
        return RulesFinding(
            code, message, file: name, locations: [.init(itemType: "condition expression", itemName: "", place: place, offset: offset)],
            snippet: place.line(of: text), suggestion: suggestion)
    }

    /// A judge of this condition alone; one thread uses it.
    package func judge() -> RuleJudge { RuleJudge(plan) }
}

extension Diagnostic.Place {
    /// The place of a byte in a text.
    package init(in text: String, at offset: Int) {
        let before = text.utf8.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { before.index(after: $0) } ?? before.startIndex
        self.init(line: line, column: String(decoding: before[start...], as: UTF8.self).count + 1)
    }

    /// The line that it is in. By bytes, as the place was counted: a carriage return and a newline are one `Character`.
    package func line(of text: String) -> String? {
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return lines.indices.contains(line - 1) ? String(Substring(lines[line - 1])) : nil
    }
}
