package import RiposteCore

/// What the configuration says of rules, beside the files themselves.
package struct RulesSettings: Sendable {
    /// How many rules answer one event.
    package enum Matching: String, CaseIterable, Sendable {
        /// Every one that holds.
        case all
        /// As Falco does unless told otherwise: the first that holds, in the order of the files. An early broad rule hides later ones.
        case first
    }

    /// Switches rules on or off by name or tag, one after the other.
    package struct Selection: Sendable, Equatable {
        package enum Target: Sendable, Equatable {
            /// `*` stands for any run of characters.
            case rules(String)
            case tag(String)
        }

        package var enables: Bool
        package var target: Target

        package init(enables: Bool, _ target: Target) {
            self.enables = enables
            self.target = target
        }

        func selects(_ name: String, _ tags: Set<String>) -> Bool {
            switch target {
            case .rules(let pattern): Self.matches(Array(name.utf8)[...], Array(pattern.utf8)[...])
            case .tag(let tag): tags.contains(tag)
            }
        }

        /// Only `*` is special, as in Falco's selections.
        private static func matches(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
            let parts = pattern.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
            guard let first = parts.first, let last = parts.last, parts.count > 1 else { return name.elementsEqual(pattern) }
            guard name.starts(with: first), name.count >= first.count + last.count, name.suffix(last.count).elementsEqual(last) else { return false }
            var rest = name.dropFirst(first.count).dropLast(last.count)
            for part in parts.dropFirst().dropLast() where !part.isEmpty {
                guard let start = rest.indices.first(where: { rest[$0...].starts(with: part) }) else { return false }
                rest = rest[(start + part.count)...]
            }
            return true
        }
    }

    /// More to put into the outputs of some rules: Falco's `append_output`.
    package struct Addition: Sendable, Equatable {
        package var rule: String?
        package var source: String?
        /// All of them.
        package var tags: [String] = []
        package var output: String?
        /// A field `proc.pid`, or a template with a name of its own.
        package var fields: [(name: String, template: String?)] = []
        /// The fields that describe themselves as worth having: of containers and pods.
        package var addsSuggested = false

        package init() {}

        package static func == (left: Addition, right: Addition) -> Bool {
            left.rule == right.rule && left.source == right.source && left.tags == right.tags && left.output == right.output && left.addsSuggested == right.addsSuggested
                && left.fields.map(\.name) == right.fields.map(\.name) && left.fields.map(\.template) == right.fields.map(\.template)
        }

        func applies(to rule: RulesCollection.Rule) -> Bool {
            (self.rule == nil || self.rule == rule.name) && (source == nil || source == rule.source) && rule.tags.isSuperset(of: tags)
        }
    }

    package var matching = Matching.all
    package var selections: [Selection] = []
    /// Less grave rules are checked and never judge.
    package var minimumPriority = Priority.debug
    package var additions: [Addition] = [.suggested]
    /// Whether rules tell how they are judged; for people who look, not for judging.
    package var explains = false

    package init() {}
}

extension RulesSettings.Addition {
    package static var suggested: Self {
        var addition = Self()
        addition.addsSuggested = true
        return addition
    }
}
