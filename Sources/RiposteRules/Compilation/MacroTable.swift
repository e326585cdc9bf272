internal import RiposteCore

/// The macros of a set of files, parsed once and compiled once for each graph. What is wrong with one is reported where it stands, once, and not
/// again where it is used.
final class MacroTable {
    /// Who refers to a macro, which decides what is visible.
    enum User {
        /// A macro sees those that were first defined before its own latest definition.
        case macro(latest: Int)
        /// A rule sees all in the files up to its own.
        case rule(file: Int)
    }

    private enum Parsed {
        case condition(Condition)
        case broken
    }

    private let collection: RulesCollection
    private let lists: ListTable
    private var parsed: [String: Parsed] = [:]
    private(set) var used: Set<String> = []
    /// Names being compiled, outermost first.
    private var open: [String] = []
    private var users: [User] = []
    var report: RulesReport

    init(_ collection: RulesCollection, _ lists: ListTable, _ report: RulesReport) {
        self.collection = collection
        self.lists = lists
        self.report = report
    }

    /// Thrown where a macro is broken and its fault reported already.
    static let reported = ConditionError("", at: 0, kind: .reported)

    /// Parses all, those that nothing uses too.
    func parseAll() { for name in collection.macros.keys.sorted(by: { position($0) < position($1) }) { _ = condition(named: name) } }

    private func position(_ name: String) -> Int { collection.macros[name]?.position.first ?? 0 }

    /// Nil for a broken one.
    func condition(named name: String) -> Condition? {
        if case .condition(let condition)? = parsed[name] { return condition }
        guard parsed[name] == nil, let macro = collection.macros[name] else { return nil }
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

    private func reportProblem(_ error: ConditionError, of name: String, _ macro: RulesCollection.Macro, _ text: SourcedText) {
        parsed[name] = .broken
        guard error.kind != .reported else { return }
        let steps: [RulesReport.Step] = [.macro(name, macro.node), .init(type: "macro condition", node: macro.conditionNode)]
        let code: RulesFinding.Code = error.kind == .unknownMacro ? .validate : .compileCondition
        report.add(code, error.message, in: text, at: error.offset, type: "condition expression", steps, suggestion: error.suggestion)
    }

    /// What is compiled from now on is compiled for a rule of that file.
    func begin(ruleInFile file: Int) { users = [.rule(file: file)] }

    /// The macro's node in the compiler's graph; `nodes` remembers it.
    func node(_ name: String, at offset: Int, _ compiler: inout ConditionCompiler) throws(ConditionError) -> ConditionGraph.NodeID {
        guard let macro = collection.macros[name], isVisible(macro) else { throw unknown(name, at: offset) }
        used.insert(name)
        guard !open.contains(name) else {
            let circle = (open.drop { $0 != name } + [name]).joined(separator: " → ")
            throw ConditionError("the macro refers to itself: \(circle)", at: offset, kind: .unknownMacro)
        }
        if let known = compiler.macroNodes[name] {
            guard let known else { throw Self.reported }
            return known
        }
        guard let condition = condition(named: name) else { throw Self.reported }
        open.append(name)
        users.append(.macro(latest: macro.position.latest))
        let outer = compiler.takeWarnings()
        defer {
            open.removeLast()
            users.removeLast()
            compiler.restore(outer)
        }
        do throws(ConditionError) {
            let node = try compiler.node(condition)
            reportWarnings(compiler.takeWarnings(), of: name, macro)
            compiler.macroNodes[name] = .some(node)
            return node
        } catch {
            _ = compiler.takeWarnings()
            // The rule at hand is left out then, and its macro is no one's fault.
            if error.kind == .unknownField, compiler.leavesOutUnknown { throw error }
            reportProblem(error, of: name, macro, lists.substituted(in: macro.condition))
            compiler.macroNodes[name] = .some(nil)
            throw Self.reported
        }
    }

    private var warned: Set<String> = []

    private func reportWarnings(_ warnings: [ConditionCompiler.Warning], of name: String, _ macro: RulesCollection.Macro) {
        guard !warnings.isEmpty, warned.insert(name).inserted else { return }
        let text = lists.substituted(in: macro.condition)
        let steps: [RulesReport.Step] = [.macro(name, macro.node), .init(type: "macro condition", node: macro.conditionNode)]
        for warning in warnings { report.add(warning.code, warning.message, in: text, at: warning.offset, type: "condition expression", steps) }
    }

    private func isVisible(_ macro: RulesCollection.Macro) -> Bool {
        switch users.last {
        case .macro(let latest): macro.position.first < latest
        case .rule(let file): macro.position.firstFile <= file
        case nil: true
        }
    }

    private func unknown(_ name: String, at offset: Int) -> ConditionError {
        if collection.macros[name] != nil, !open.contains(name) {
            return ConditionError("the macro \"\(name)\" is defined further on; define it before", at: offset, kind: .unknownMacro)
        }
        if collection.lists[name] != nil { return ConditionError("\"\(name)\" is a list; it stands behind in, intersects or pmatch", at: offset, kind: .unknownMacro) }
        let near = nearMiss(to: name, among: Array(collection.macros.keys))
        return ConditionError("there is no macro \"\(name.escapedForDisplay)\"", at: offset, suggestion: near, kind: .unknownMacro)
    }
}

/// The lists of a set of files, each with the lists in it written out.
final class ListTable {
    /// Of one list written out, and of one condition with its lists.
    static let limit = 8 << 20

    private let lists: [String: RulesCollection.List]
    private var texts: [String: SourcedText] = [:]
    private var open: Set<String> = []
    private(set) var used: Set<String> = []

    init(_ collection: RulesCollection) { lists = collection.lists }

    /// A text with lists in the place of their names.
    func substituted(in text: SourcedText) -> SourcedText {
        guard !lists.isEmpty else { return text }
        return text.substitutingLists(limit: Self.limit) { name in
            guard lists[name] != nil else { return nil }
            used.insert(name)
            return items(of: name)
        }
    }

    /// The same of a text that stands in no file.
    func substituted(in text: String) -> String {
        guard !lists.isEmpty else { return text }
        var result: [UInt8] = []
        var word: [UInt8] = []
        for byte in Array(text.utf8) + [UInt8(ascii: " ")] {
            guard byte.delimitsWords else {
                word.append(byte)
                continue
            }
            let name = String(decoding: word, as: UTF8.self)
            if lists[name] != nil {
                used.insert(name)
                result += items(of: name)?.bytes ?? word
            } else {
                result += word
            }
            result.append(byte)
            word = []
        }
        return String(decoding: result.dropLast(), as: UTF8.self)
    }

    /// The items joined by commas. A list that contains itself keeps its name there, as text.
    private func items(of name: String) -> SourcedText? {
        if let known = texts[name] { return known }
        guard let list = lists[name], open.insert(name).inserted else { return nil }
        defer { open.remove(name) }
        var result = SourcedText()
        for item in list.items {
            let text = item.scalarText ?? ""
            let inner: SourcedText
            if lists[text] != nil, text != name {
                used.insert(text)
                guard let items = items(of: text), !items.bytes.isEmpty else { continue }
                inner = items
            } else {
                inner = SourcedText(quotedIfNeeded: item)
            }
            guard result.bytes.count + inner.bytes.count < Self.limit else { break }
            if !result.bytes.isEmpty { result.append(", ", for: item) }
            result.append(inner)
        }
        texts[name] = result
        return result
    }
}

extension SourcedText {
    /// As Falco puts items into conditions: one with a blank gets quotes unless it begins with one.
    init(quotedIfNeeded node: YAMLNode) {
        let text = node.scalarText ?? ""
        let needsQuotes = text.utf8.contains(where: \.isBlank) && text.utf8.first != UInt8(ascii: "\"") && text.utf8.first != UInt8(ascii: "'")
        self.init()
        if needsQuotes || text.isEmpty { append("\"", for: node) }
        append(SourcedText(node))
        if needsQuotes || text.isEmpty { append("\"", for: node) }
    }
}
