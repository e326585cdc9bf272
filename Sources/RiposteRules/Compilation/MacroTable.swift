internal import RiposteCore

/// The macros of a set of files, parsed once and compiled once for each graph. What is wrong with one is reported where it stands, once, and not
/// again where it is used.
///
/// Chains of macros can be as long as a file, so nothing here descends the stack from one macro to the next: they are put in an order in which
/// each comes behind those that it refers to, and compiled in it.
final class MacroTable {
    private enum Parsed {
        case condition(Condition)
        case broken
    }

    private let collection: RulesCollection
    private let lists: ListTable
    private var parsed: [String: Parsed] = [:]
    private(set) var used: Set<String> = []
    /// Each macro's place in the order.
    private var ranks: [String: Int] = [:]
    /// The file of the rule at hand, which sees the macros of the files up to its own.
    private var ruleFile = 0
    /// Whether a macro is being compiled, whose names are checked already.
    private var isInside = false
    var report: RulesReport

    init(_ collection: RulesCollection, _ lists: ListTable, _ report: RulesReport) {
        self.collection = collection
        self.lists = lists
        self.report = report
    }

    /// Thrown where a macro is broken and its fault reported already.
    private static let reported = ConditionError("", at: 0, kind: .reported)
    private static let leftOut = ConditionError("", at: 0, kind: .leftOut)

    // MARK: - Reading

    /// Reads all, those that nothing uses too, and finds names in them that mean nothing.
    func readAll() {
        let ordered = collection.macros.sorted { $0.value.position.first < $1.value.position.first }.map(\.key)
        for name in ordered { _ = condition(named: name) }
        for name in ordered { rank(name) }
    }

    /// Nil for a broken one.
    func condition(named name: String) -> Condition? {
        if case .condition(let condition)? = parsed[name] { return condition }
        guard parsed[name] == nil, let macro = collection.macros[name] else { return nil }
        for (word, offset) in lists.namesInQuotes(of: macro.condition.bytes) {
            report.add(.listInText, ListTable.warning(ofQuoted: word), in: macro.condition, at: offset, type: "condition expression", steps(name, macro))
        }
        let text = lists.substituted(in: macro.condition)
        do throws(ConditionError) {
            let condition = try Condition(parsing: text.bytes, depthLimit: Condition.depthLimitInRules)
            parsed[name] = .condition(condition)
            return condition
        } catch {
            reportProblem(error, of: name, macro, text)
            return nil
        }
    }

    private struct Visit {
        var name: String
        /// What it refers to and has not been looked at, last first.
        var rest: [(name: String, offset: Int)]
    }

    /// Puts a macro behind all that it leads to. A macro sees those that were first defined before its own latest definition.
    private func rank(_ name: String) {
        guard ranks[name] == nil else { return }
        var path = [visit(name)]
        var inside: Set<String> = [name]
        while let last = path.last, let macro = collection.macros[last.name] {
            guard let reference = last.rest.last else {
                ranks[last.name] = ranks.count
                inside.remove(last.name)
                path.removeLast()
                continue
            }
            path[path.count - 1].rest.removeLast()
            guard let other = collection.macros[reference.name], other.position.first < macro.position.latest else {
                reportProblem(unknown(reference.name, at: reference.offset), of: last.name, macro)
                continue
            }
            used.insert(reference.name)
            if inside.contains(reference.name) {
                let circle = path.map(\.name).drop { $0 != reference.name } + [reference.name]
                let words = (circle.count > 8 ? circle.prefix(6) + ["…", reference.name] : circle).joined(separator: " → ")
                reportProblem(ConditionError("the macro refers to itself: \(words)", at: reference.offset, kind: .unknownMacro), of: last.name, macro)
            } else if ranks[reference.name] == nil {
                inside.insert(reference.name)
                path.append(visit(reference.name))
            }
        }
    }

    private func visit(_ name: String) -> Visit { Visit(name: name, rest: condition(named: name)?.macroNames.reversed() ?? []) }

    private func reportProblem(_ error: ConditionError, of name: String, _ macro: RulesCollection.Macro, _ text: SourcedText? = nil) {
        parsed[name] = .broken
        guard error.kind != .reported else { return }
        let code: RulesFinding.Code = error.kind == .unknownMacro ? .validate : .compileCondition
        report.add(
            code, error.message, in: text ?? lists.substituted(in: macro.condition), at: error.offset, type: "condition expression", steps(name, macro),
            suggestion: error.suggestion)
    }

    private func steps(_ name: String, _ macro: RulesCollection.Macro) -> [RulesReport.Step] {
        [.macro(name, macro.node), .init(type: "macro condition", node: macro.conditionNode)]
    }

    // MARK: - Compiling

    /// Compiles what a rule's condition refers to, from the inside out.
    func prepare(_ condition: Condition, ofRuleInFile file: Int, _ compiler: inout ConditionCompiler) throws(ConditionError) {
        ruleFile = file
        var pending = condition.macroNames.filter { isVisible($0.name) }.map(\.name)
        var reached: Set<String> = []
        while let name = pending.popLast() {
            guard compiler.macroNodes[name] == nil, reached.insert(name).inserted, let inner = self.condition(named: name) else { continue }
            pending += inner.macroNames.map(\.name)
        }
        for name in reached.sorted(by: { ranks[$0] ?? 0 < ranks[$1] ?? 0 }) { _ = try compile(name, &compiler) }
    }

    /// The macro's node in the compiler's graph.
    func node(_ name: String, at offset: Int, _ compiler: inout ConditionCompiler) throws(ConditionError) -> ConditionGraph.NodeID {
        guard isInside || isVisible(name) else { throw unknown(name, at: offset) }
        return try compile(name, &compiler)
    }

    private func compile(_ name: String, _ compiler: inout ConditionCompiler) throws(ConditionError) -> ConditionGraph.NodeID {
        used.insert(name)
        if let known = compiler.macroNodes[name] {
            guard let known else { throw Self.reported }
            return known
        }
        guard let macro = collection.macros[name], let condition = condition(named: name) else { throw Self.reported }
        let (outer, wasInside) = (compiler.takeWarnings(), isInside)
        isInside = true
        defer {
            isInside = wasInside
            compiler.restore(outer)
        }
        do throws(ConditionError) {
            let node = try compiler.node(condition)
            reportWarnings(compiler.takeWarnings(), of: name, macro)
            compiler.macroNodes[name] = .some(node)
            return node
        } catch {
            _ = compiler.takeWarnings()
            if error.kind == .leftOut { throw error }
            if error.kind == .unknownField, compiler.leavesOutUnknown {
                // Only the rule at hand is left out then; the macro may be of use to others.
                report.add(
                    .unknownFilter, "\(error.message); the rule that uses it is left out, as it asks", in: lists.substituted(in: macro.condition), at: error.offset,
                    type: "condition expression", steps(name, macro), suggestion: error.suggestion)
                throw Self.leftOut
            }
            reportProblem(error, of: name, macro)
            compiler.macroNodes[name] = .some(nil)
            throw Self.reported
        }
    }

    private var warned: Set<String> = []

    private func reportWarnings(_ warnings: [ConditionCompiler.Warning], of name: String, _ macro: RulesCollection.Macro) {
        guard !warnings.isEmpty, warned.insert(name).inserted else { return }
        let text = lists.substituted(in: macro.condition)
        for warning in warnings { report.add(warning.code, warning.message, in: text, at: warning.offset, type: "condition expression", steps(name, macro)) }
    }

    private func isVisible(_ name: String) -> Bool { collection.macros[name].map { $0.position.firstFile <= ruleFile } ?? false }

    private func unknown(_ name: String, at offset: Int) -> ConditionError {
        if collection.macros[name] != nil { return ConditionError("the macro \"\(name)\" is defined further on; define it before", at: offset, kind: .unknownMacro) }
        if collection.lists[name] != nil { return ConditionError("\"\(name)\" is a list; it stands behind in, intersects or pmatch", at: offset, kind: .unknownMacro) }
        let near = report.isFull(of: .validate) ? nil : nearMiss(to: name, among: collection.macros.keys)
        return ConditionError("there is no macro \"\(name.escapedForDisplay)\"", at: offset, suggestion: near, kind: .unknownMacro)
    }
}

extension Condition {
    /// The macros that it names, in their order, each as often as it stands there.
    fileprivate var macroNames: [(name: String, offset: Int)] {
        var names: [(name: String, offset: Int)] = []
        func gather(_ condition: Condition) {
            switch condition {
            case .and(let parts), .or(let parts): for part in parts { gather(part) }
            case .not(let part): gather(part)
            case .test: break
            case .macro(let name, let range): names.append((name, range.lowerBound))
            }
        }
        gather(self)
        return names
    }
}
