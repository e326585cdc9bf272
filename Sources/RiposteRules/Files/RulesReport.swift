internal import RiposteCore

/// Where findings are gathered, with the way to their places.
struct RulesReport {
    private(set) var findings: [RulesFinding] = []
    /// How many of them are errors.
    private(set) var errors = 0

    /// More errors, and more warnings, nobody reads; a file of nothing else must not take the agent's memory.
    private static let limit = 1000

    /// A step on the way to a place: what it is, its name, where.
    struct Step {
        var type: String
        var name: String = ""
        var node: YAMLNode

        static func rule(_ name: String, _ node: YAMLNode) -> Step { Step(type: "rule", name: name, node: node) }
        static func macro(_ name: String, _ node: YAMLNode) -> Step { Step(type: "macro", name: name, node: node) }
        static func list(_ name: String, _ node: YAMLNode) -> Step { Step(type: "list", name: name, node: node) }
    }

    /// Whether there is no room for more of the kind.
    func isFull(of code: RulesFinding.Code) -> Bool { (code.isError ? errors : findings.count - errors) >= Self.limit }

    mutating func add(_ finding: RulesFinding) {
        guard !isFull(of: finding.code) else { return }
        if finding.isError { errors += 1 }
        findings.append(finding)
    }

    /// Reports at the last step's node.
    mutating func add(_ code: RulesFinding.Code, _ message: String, at steps: [Step], suggestion: @autoclosure () -> String? = nil) {
        guard let last = steps.last, !isFull(of: code) else { return }
        let place = last.node.place
        add(RulesFinding(code, message, file: last.node.file, locations: steps.map(Self.location), snippet: place.flatMap(last.node.snippet), suggestion: suggestion()))
    }

    /// Reports at a byte of a text that was put together from nodes.
    mutating func add(_ code: RulesFinding.Code, _ message: String, in text: SourcedText, at offset: Int, type: String, _ steps: [Step], suggestion: String? = nil) {
        guard !isFull(of: code) else { return }
        guard let (node, nodeOffset) = text.origin(of: offset) else { return add(code, message, at: steps, suggestion: suggestion) }
        let place = node.place(ofByte: nodeOffset) ?? node.place
        var locations = steps.map(Self.location)
        if let place { locations.append(.init(itemType: type, itemName: "", place: place, offset: node.offset(of: place))) }
        add(RulesFinding(code, message, file: node.file, locations: locations, snippet: place.flatMap(node.snippet), suggestion: suggestion))
    }

    private static func location(_ step: Step) -> RulesFinding.Location {
        RulesFinding.Location(itemType: step.type, itemName: step.name, place: step.node.place, offset: step.node.place.map(step.node.offset) ?? 0)
    }
}
