package import RiposteCore

/// How a rule is judged: what leads to it, and which of its tests other rules ask too.
package struct PlanExplanation: Sendable {
    package struct Test: Sendable {
        package let text: String
        /// How many armed rules of the source ask it, this one included. It is asked once per event all the same.
        package let rules: Int
    }

    package let tests: [Test]
    /// Values of which an event must have one, or the rule is not looked at; empty: it is looked at for all events of its types.
    package let leads: [String]

    package var json: JSON {
        .object([
            "leads": .array(leads.map(JSON.text)), "tests": .array(tests.map { .object(["test": .text($0.text), "rules": .integer(Int64($0.rules))]) }),
        ])
    }
}

extension ConditionGraph {
    /// The tests below a node, each once, in the order in which they were written.
    func tests(below root: NodeID) -> [TestID] {
        var seen: Set<NodeID> = []
        var found: [TestID] = []
        func visit(_ node: NodeID) {
            guard seen.insert(node).inserted else { return }
            if case .test(let test) = nodes[node] { found.append(test) }
            for part in parts(of: node) { visit(part) }
        }
        visit(root)
        return found
    }

    /// A test in the words of the language.
    func text(of test: Test) -> String {
        let slot = text(ofSlot: test.slot)
        let text = text(of: test.predicate, slot)
        guard test.isNegated else { return text }
        switch test.predicate {
        case .textIn(let values) where values.count == 1: return "\(slot) != \(Self.quoted(values[0]))"
        case .integerIn(let values) where values.count == 1: return "\(slot) != \(values[0])"
        default: return "\(slot) exists and not \(text)"
        }
    }

    private func text(ofSlot slot: SlotID) -> String {
        switch slots[slot] {
        case .field(let key): key.text
        case .constant(let bytes): "\"\(Self.quoted(bytes))\""
        case .number(let number): "\(number)"
        case .list(let parts): "(\(parts.map { text(ofSlot: $0) }.joined(separator: ", ")))"
        case .transform(let name, let parts, let selector):
            "\(name.rawValue)(\(parts.map { text(ofSlot: $0) }.joined(separator: ", ")))" + (selector.map { "[\(Self.quoted($0))]" } ?? "")
        }
    }

    private func text(of predicate: Predicate, _ slot: String) -> String {
        switch predicate {
        case .exists: "\(slot) exists"
        case .textIn(let values): Self.membership(slot, values.map(Self.quoted))
        case .integerIn(let values): Self.membership(slot, values.map { "\($0)" })
        case .bool(let value): "\(slot) = \(value)"
        case .addressIn(let values): Self.membership(slot, values.map { "\($0)" })
        case .networkIn(let values): Self.membership(slot, values.map { "\($0.address)/\($0.prefixLength)" })
        case .integerOrder(let order, let number, _): "\(slot) \(order.sign) \(number)"
        case .textOrder(let order, let text): "\(slot) \(order.sign) \(Self.quoted(text))"
        case .hasPrefix(let text): "\(slot) startswith \(Self.quoted(text))"
        case .hasSuffix(let text): "\(slot) endswith \(Self.quoted(text))"
        case .contains(let text, let foldsCase): "\(slot) \(foldsCase ? "icontains" : "contains") \(Self.quoted(text))"
        case .glob(let text, let foldsCase): "\(slot) \(foldsCase ? "iglob" : "glob") \(Self.quoted(text))"
        case .regex(let text): "\(slot) regex \(Self.quoted(Array(text.utf8)))"
        case .pathPrefixes(let paths): "\(slot) pmatch (\(Self.listed(paths.map(Self.quoted))))"
        case .count(let modifier, let predicates, let isNegated):
            "\(isNegated ? "not " : "")\(modifier.rawValue) of (\(predicates.map { text(of: $0, slot) }.joined(separator: ", ")))"
        case .compare(let comparison, let right): "\(slot) \(comparison.rawValue) val(\(text(ofSlot: right)))"
        }
    }

    private static func membership(_ slot: String, _ values: [String]) -> String { values.count == 1 ? "\(slot) = \(values[0])" : "\(slot) in (\(listed(values)))" }

    /// Of a long list the beginning.
    private static func listed(_ values: [String]) -> String {
        values.count <= 12 ? values.joined(separator: ", ") : values.prefix(10).joined(separator: ", ") + ", … \(values.count) in all"
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        let text = ByteText(bytes).shown
        return text.isEmpty || text.contains(where: { $0 == " " || $0 == "," || $0 == "(" || $0 == ")" || $0 == "=" }) ? "\"\(text)\"" : text
    }
}

extension ConditionGraph.Order {
    fileprivate var sign: String {
        switch self {
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        }
    }
}
