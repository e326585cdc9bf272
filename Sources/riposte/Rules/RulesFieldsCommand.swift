internal import ArgumentParser
internal import RiposteCore
internal import RiposteRules

struct RulesFieldsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fields", abstract: "Lists every field that rules can ask for: type, source, meaning.",
        discussion: "Examples:\n  riposte rules fields\n  riposte rules fields proc.\n  riposte rules fields --source k8s_audit --json")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Only fields that events of this source have.")
    var source: String?

    @Argument(help: "Only fields whose names begin with this.")
    var prefix = ""

    func validate() throws {
        if let source, !RuleSet.knownSources.contains(source) { throw ValidationError("--source takes \(RuleSet.knownSources.joined(separator: " or "))") }
    }

    func run() async throws {
        let fields = FieldCatalogue.all.filter { field in
            field.name.hasPrefix(prefix) && (source == nil || field.source == nil || field.source == source)
        }
        guard !fields.isEmpty else {
            let near = nearMiss(to: prefix, among: FieldCatalogue.names).map { "; did you mean \"\($0)\"?" } ?? ""
            throw Complaint("there is no such field\(near)", status: 4)
        }
        guard !common.json else {
            for field in fields { print(Self.json(field).line) }
            return
        }
        print(
            Terminal.table(
                ["NAME", "TYPE", "SOURCE", "SINCE", "MEANING"],
                fields.map { field in [field.name + Self.argument(field), Self.type(field), field.source ?? "any", field.since, Self.meaning(field)] }))
    }

    private static func type(_ field: FieldDescription) -> String { field.isList ? "list(\(field.type.rawValue))" : field.type.rawValue }

    private static func argument(_ field: FieldDescription) -> String {
        switch field.argument {
        case .none: ""
        case .index: field.needsArgument ? "[n]" : "[n]?"
        case .key: field.needsArgument ? "[key]" : "[key]?"
        }
    }

    private static func meaning(_ field: FieldDescription) -> String { field.isDeprecated ? "(deprecated) \(field.meaning)" : field.meaning }

    private static func json(_ field: FieldDescription) -> JSON {
        var object: JSONObject = ["name": .text(field.name), "type": .text(type(field))]
        switch field.argument {
        case .none: break
        case .index: object.append("argument", .text("number"))
        case .key: object.append("argument", .text("key"))
        }
        if field.argument != .none { object.append("argument_required", .bool(field.needsArgument)) }
        object.append("source", .text(field.source ?? "any"))
        object.append("since", .text(field.since))
        object.append("meaning", .text(field.meaning))
        if field.isDeprecated { object.append("deprecated", true) }
        if !field.isPrintable { object.append("condition_only", true) }
        if field.isSuggested { object.append("suggested", true) }
        return .object(object)
    }
}
