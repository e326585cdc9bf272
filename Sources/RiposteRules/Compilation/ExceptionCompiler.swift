internal import RiposteCore

/// Turns a rule's exceptions into conditions, as Falco does by writing them out as text: each cell stands where a value would stand in a
/// condition, so that the name of a list is its items and a transformer is one (spec: rules-language 3).
struct ExceptionCompiler {
    private typealias Step = RulesReport.Step

    private let rule: RulesCollection.Rule
    private let lists: ListTable
    private let known: (Condition.FieldReference) -> Bool

    /// `known` tells whether a field exists for the rule's source.
    init(_ rule: RulesCollection.Rule, _ lists: ListTable, known: @escaping (Condition.FieldReference) -> Bool) {
        self.rule = rule
        self.lists = lists
        self.known = known
    }

    /// The condition with what the exceptions take away, and the text of each exception's tests, in which their ranges stand; nil where an
    /// exception is wrong, which is then reported.
    func exceptions(_ report: inout RulesReport) -> [(condition: Condition, text: SourcedText, steps: [RulesReport.Step])]? {
        var result: [(Condition, SourcedText, [RulesReport.Step])] = []
        var isGood = true
        for exception in rule.exceptions {
            let steps: [Step] = [.rule(rule.name, rule.node), Step(type: "exception", name: exception.name, node: exception.node)]
            guard let text = text(of: exception, steps, &report) else {
                isGood = false
                continue
            }
            guard !text.bytes.isEmpty else { continue }
            for (name, offset) in lists.namesInQuotes(of: text.bytes) {
                report.add(.listInText, ListTable.warning(ofQuoted: name), in: text, at: offset, type: "exception value", steps)
            }
            let whole = lists.substituted(in: text)
            do throws(ConditionError) {
                result.append((try Condition(parsing: whole.bytes, depthLimit: Condition.depthLimitInRules), whole, steps))
            } catch {
                report.add(.compileCondition, error.message, in: whole, at: error.offset, type: "exception value", steps, suggestion: error.suggestion)
                isGood = false
            }
        }
        return isGood ? result : nil
    }

    /// Empty where the exception has no values.
    private func text(of exception: RulesCollection.Exception, _ steps: [RulesReport.Step], _ report: inout RulesReport) -> SourcedText? {
        switch exception.fields {
        case .one(let field): single(exception, field, steps, &report)
        case .list(let fields): several(exception, fields, steps, &report)
        }
    }

    private func single(_ exception: RulesCollection.Exception, _ field: YAMLNode, _ steps: [RulesReport.Step], _ report: inout RulesReport) -> SourcedText? {
        var comparison = "in"
        switch exception.comparisons {
        case nil: break
        case .one(let node):
            comparison = node.scalarText ?? ""
            guard let kind = comparisonKind(node, steps, &report) else { return nil }
            guard kind == .takesList else {
                report.add(.validate, "one field goes with in, pmatch, intersects or an operator with oneof, anyof or allof", at: steps + [Step(type: "exception", node: node)])
                return nil
            }
        case .list(let nodes):
            report.add(.validate, "fields is one name, and comps is a list", at: steps + [Step(type: "exception", node: nodes.first ?? exception.node)])
            return nil
        }
        guard isKnown(field, steps, &report) else { return nil }
        var items = SourcedText()
        for value in exception.values {
            guard value.scalarText != nil else {
                report.add(.validate, "with one field, each of values is one value", at: steps + [Step(type: "exception value", node: value)])
                return nil
            }
            if !items.bytes.isEmpty { items.append(", ", for: value) }
            items.append(SourcedText(quotedIfNeeded: value))
        }
        guard !exception.values.isEmpty else { return SourcedText() }
        var text = SourcedText(field)
        text.append(" \(comparison) (", for: field)
        text.append(items)
        text.append(")", for: exception.values.last ?? field)
        return text
    }

    private func several(_ exception: RulesCollection.Exception, _ fields: [YAMLNode], _ steps: [RulesReport.Step], _ report: inout RulesReport) -> SourcedText? {
        var comparisons = fields.map { _ in "=" }
        var kinds = fields.map { _ in ComparisonKind.takesValue }
        switch exception.comparisons {
        case nil: break
        case .one(let node):
            report.add(.validate, "fields is a list, and comps is one operator", at: steps + [Step(type: "exception", node: node)])
            return nil
        case .list(let nodes):
            guard nodes.count == fields.count else {
                report.add(.validate, "\(fields.count) fields need as many comps, not \(nodes.count)", at: steps + [Step(type: "exception", node: nodes.first ?? exception.node)])
                return nil
            }
            for (index, node) in nodes.enumerated() {
                guard let kind = comparisonKind(node, steps, &report) else { return nil }
                comparisons[index] = node.scalarText ?? ""
                kinds[index] = kind
            }
        }
        for field in fields { guard isKnown(field, steps, &report) else { return nil } }
        var text = SourcedText()
        for entry in exception.values {
            guard let cells = entry.elements, cells.count == fields.count else {
                report.add(.validate, "each of values is a list of \(fields.count) values, one for each field", at: steps + [Step(type: "exception value", node: entry)])
                return nil
            }
            text.append(text.bytes.isEmpty ? "(" : " or (", for: entry)
            for (index, cell) in cells.enumerated() {
                if index > 0 { text.append(" and ", for: cell) }
                text.append(SourcedText(fields[index]))
                text.append(" \(comparisons[index]) ", for: cell)
                guard let value = value(cell, kinds[index], steps, &report) else { return nil }
                text.append(value)
            }
            text.append(")", for: entry)
        }
        return text
    }

    /// A cell as it stands in the condition.
    private func value(_ cell: YAMLNode, _ kind: ComparisonKind, _ steps: [RulesReport.Step], _ report: inout RulesReport) -> SourcedText? {
        if let elements = cell.elements {
            guard kind == .takesList else {
                report.add(.compileCondition, "this operator takes one value, not a list", at: steps + [Step(type: "exception value", node: cell)])
                return nil
            }
            var text = SourcedText()
            text.append("(", for: cell)
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(", ", for: element) }
                text.append(SourcedText(quotedIfNeeded: element))
            }
            text.append(")", for: cell)
            return text
        }
        guard let scalar = cell.scalarText else {
            report.add(.validate, "a value is a text, or a list where the operator takes one", at: steps + [Step(type: "exception value", node: cell)])
            return nil
        }
        guard kind == .takesList, scalar.utf8.first != UInt8(ascii: "(") else { return SourcedText(quotedIfNeeded: cell) }
        var text = SourcedText()
        text.append("(", for: cell)
        text.append(SourcedText(cell))
        text.append(")", for: cell)
        return text
    }

    // MARK: - Checks

    private enum ComparisonKind { case takesValue, takesList, takesNothing }

    private func comparisonKind(_ node: YAMLNode, _ steps: [RulesReport.Step], _ report: inout RulesReport) -> ComparisonKind? {
        let words = (node.scalarText ?? "").split(separator: " ").map(String.init)
        let comparison = words.first.flatMap { $0 == "==" ? .equal : Condition.Comparison(rawValue: $0) }
        let modifier = words.count == 2 ? Condition.Modifier(rawValue: words[1]) : nil
        guard let comparison, words.count == 1 || modifier != nil else {
            let near = nearMiss(to: words.first ?? "", among: Condition.Comparison.allCases.map(\.rawValue))
            report.add(
                .validate, "\"\((node.scalarText ?? "").escapedForDisplay)\" is no operator", at: steps + [Step(type: "exception", node: node)], suggestion: near)
            return nil
        }
        switch comparison {
        case .within, .intersects, .pmatch: return .takesList
        case .exists: return .takesNothing
        default: return modifier == nil ? .takesValue : .takesList
        }
    }

    private func isKnown(_ node: YAMLNode, _ steps: [RulesReport.Step], _ report: inout RulesReport) -> Bool {
        let text = node.scalarText ?? ""
        let place = steps + [Step(type: "exception", node: node)]
        guard let condition = try? Condition(parsing: "\(text) exists"), case .test(let test) = condition else {
            report.add(.validate, "\"\(text.escapedForDisplay)\" is no field", at: place)
            return false
        }
        // A transformer is checked with the condition.
        guard case .field(let field) = test.left, !known(field) else { return true }
        let near = nearMiss(to: field.name, among: FieldCatalogue.names)
        report.add(.validate, "there is no field \"\(text.escapedForDisplay)\" for source \(rule.source)", at: place, suggestion: near)
        return false
    }
}
