internal import Crypto
package import RiposteCore
internal import RiposteRules
internal import Synchronization

/// The playbooks in force, indexed so that an alert costs a look-up and not a pass over all of them.
///
/// Each playbook stands in the narrowest index that fits: under each rule name that it names; else, with a pattern, in the list of
/// patterns; else under its tags; else among those that every alert must be held against.
package struct PlaybookSet: Sendable {
    package let playbooks: [Playbook]
    /// SHA-256 of the files' texts: the name of this set in the journal.
    package let digest: String
    /// A budget of one that is switched on bounds a share of a workload: what others do to that counts for it.
    let boundsShares: Bool

    private var byRule: [ByteText: [Int]] = [:]
    private var byPattern: [(pattern: GlobPattern, playbook: Int)] = []
    private let byPatternSeen = RuleCache()
    private var byTag: [ByteText: [Int]] = [:]
    private var others: [Int] = []
    private let compiled: [CompiledMatch]
    /// The `when` of all of them in one plan.
    private let conditions: ConditionSet

    package static let empty = PlaybookSet([], digest: "")

    package init(_ unordered: [Playbook], digest: String) {
        // Stable: equal ones stay in the order of files and positions.
        let playbooks = unordered.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }.map(\.element)
        self.playbooks = playbooks
        self.digest = digest
        boundsShares = playbooks.contains { playbook in playbook.isEnabled && ([playbook.budget] + playbook.steps.map(\.budget)).contains { $0?.share != nil } }
        var conditions: [CompiledCondition] = []
        compiled = playbooks.map { playbook in
            let when = playbook.match.when.map { _ in conditions.count }
            if let condition = playbook.match.when?.condition { conditions.append(condition) }
            return CompiledMatch(playbook.match, when: when)
        }
        self.conditions = ConditionSet(conditions)
        for (index, playbook) in playbooks.enumerated() where playbook.isEnabled { file(index, playbook.match) }
    }

    static func digest(of texts: [String]) -> String {
        var hash = SHA256()
        for text in texts {
            hash.update(data: Array("\(text.utf8.count):".utf8))
            hash.update(data: Array(text.utf8))
        }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private mutating func file(_ index: Int, _ match: Match) {
        if !match.rules.isEmpty {
            for rule in Set(match.rules) {
                if rule.contains(where: { $0 == "*" || $0 == "?" }) {
                    byPattern.append((GlobPattern(Array(rule.utf8)), index))
                } else {
                    byRule[ByteText(rule), default: []].append(index)
                }
            }
        } else if !match.tags.isEmpty {
            for tag in Set(match.tags.compactMap(\.first)) { byTag[ByteText(tag), default: []].append(index) }
        } else {
            others.append(index)
        }
    }

    /// Those that answer this alert, by `order`, then in the order of files and positions.
    package func matching(_ alert: Alert) -> [Playbook] {
        var candidates = others
        if let named = byRule[alert.rule] { candidates += named }
        if !byPattern.isEmpty {
            candidates += byPatternSeen.playbooks(for: alert.rule) { rule in
                byPattern.compactMap { $0.pattern.matches(rule.bytes) ? $0.playbook : nil }
            }
        }
        if !byTag.isEmpty {
            for tag in alert.tags {
                if let tagged = byTag[tag] { candidates += tagged }
            }
        }
        var last = -1
        candidates.sort()
        candidates.removeAll { candidate in
            defer { last = candidate }
            return candidate == last || !compiled[candidate].holds(for: alert)
        }
        if candidates.contains(where: { compiled[$0].when != nil }) {
            conditions.judging(AlertEvent(alert)) { judge in
                candidates.removeAll { candidate in compiled[candidate].when.map { !judge.holds($0) } ?? false }
            }
        }
        return candidates.map { playbooks[$0] }
    }
}

/// Which patterns fit a rule's name is worked out once per name: there are as many as there are rules. Whoever invents names gains nothing but
/// what it costs without this: at its bound the cache begins anew.
private final class RuleCache: Sendable {
    private static let bound = 4096
    private let known = Mutex<[ByteText: [Int]]>([:])

    func playbooks(for rule: ByteText, _ find: (ByteText) -> [Int]) -> [Int] {
        if let found = known.withLock({ $0[rule] }) { return found }
        let found = find(rule)
        guard rule.bytes.count <= 256 else { return found }
        known.withLock { known in
            if known.count >= Self.bound { known = [:] }
            known[rule] = found
        }
        return found
    }
}

/// What is left to test of a match once an index has named it.
private struct CompiledMatch: Sendable {
    private let exceptRules: [GlobPattern]
    private let priority: Match.PriorityTest?
    private let tags: [[ByteText]]
    private let sources: Set<ByteText>
    private let intakes: Set<String>
    /// The number of the condition among those of all playbooks.
    let when: Int?

    init(_ match: Match, when: Int?) {
        exceptRules = match.exceptRules.map { GlobPattern(Array($0.utf8)) }
        priority = match.priority
        tags = match.tags.map { $0.map { ByteText($0) } }
        sources = Set(match.sources.map { ByteText($0) })
        intakes = Set(match.intakes)
        self.when = when
    }

    /// All but the condition.
    func holds(for alert: Alert) -> Bool {
        if let priority, !priority.holds(alert.priority) { return false }
        if sources.isEmpty ? alert.source == "internal" : !(alert.source.map(sources.contains) ?? false) { return false }
        if !intakes.isEmpty, !intakes.contains(alert.arrival.intake) { return false }
        if exceptRules.contains(where: { $0.matches(alert.rule.bytes) }) { return false }
        if !tags.isEmpty, !tags.contains(where: { $0.allSatisfy(alert.tags.contains) }) { return false }
        return true
    }
}
