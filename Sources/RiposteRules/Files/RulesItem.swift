internal import RiposteCore

/// One element of a rules file as it was written, before it meets others of its name.
enum RulesItem {
    case engineVersion(EngineVersion)
    case pluginVersions(PluginVersions)
    case list(ListItem)
    case macro(MacroItem)
    case rule(RuleItem)

    struct EngineVersion {
        var version: SemanticVersion
        var node: YAMLNode
    }

    struct PluginVersions {
        struct Requirement {
            var name: String
            var version: SemanticVersion
            var node: YAMLNode
        }

        /// Each is met by one of its alternatives.
        var entries: [[Requirement]]
        var node: YAMLNode
    }

    /// What an item does to an earlier one of its name.
    enum Merge: Equatable {
        case define
        case append
        case replace
    }

    struct ListItem {
        var name: String
        var node: YAMLNode
        var items: [YAMLNode]
        var merge: Merge
    }

    struct MacroItem {
        var name: String
        var node: YAMLNode
        var condition: YAMLNode
        var merge: Merge
    }
}

/// A rule as it stands in one place: with all keys a definition, else a change to one.
struct RuleItem {
    enum Change: String, CaseIterable { case append, replace }

    var name: String
    var node: YAMLNode
    var condition: YAMLNode?
    var output: YAMLNode?
    var description: YAMLNode?
    var priority: Priority?
    var source: String?
    var sourceNode: YAMLNode?
    var isEnabled: Bool?
    var tags: [String]?
    var exceptions: [ExceptionItem]?
    var warnsOfEventTypes: Bool?
    var skipsUnknownFilter: Bool?
    /// The older `append: true`.
    var appends = false
    /// By key; nil where there is no `override`.
    var overrides: [(key: String, change: Change, node: YAMLNode)]?

    /// Neither a definition nor a change: `enabled` alone switches a rule, as older files do.
    var isBareSwitch: Bool { condition == nil && output == nil && description == nil && priority == nil && isEnabled != nil }
}

/// One entry of a rule's `exceptions`.
struct ExceptionItem {
    /// A scalar or a list, as YAML has it.
    indirect enum Shape {
        case one(YAMLNode)
        case list([YAMLNode])
    }

    var name: String
    var node: YAMLNode
    var fields: Shape?
    var comparisons: Shape?
    var values: [YAMLNode]?
}

/// `x.y.z` of semver; what follows is ignored in comparisons.
struct SemanticVersion: Equatable, CustomStringConvertible {
    var major: Int
    var minor: Int
    var patch: Int

    init(_ major: Int, _ minor: Int, _ patch: Int) { (self.major, self.minor, self.patch) = (major, minor, patch) }

    init?(_ text: String) {
        let core = text.prefix { $0 != "-" && $0 != "+" }
        let parts = core.split(separator: ".", omittingEmptySubsequences: false).map { part in
            part.allSatisfy { ("0"..."9").contains($0) } && part.count <= 9 ? Int(part) : nil
        }
        guard parts.count == 3, let major = parts[0], let minor = parts[1], let patch = parts[2] else { return nil }
        self.init(major, minor, patch)
    }

    /// Whether what asks for `required` can do with this: the same major version, and not older.
    func satisfies(_ required: SemanticVersion) -> Bool { major == required.major && (minor, patch) >= (required.minor, required.patch) }

    var description: String { "\(major).\(minor).\(patch)" }
}
