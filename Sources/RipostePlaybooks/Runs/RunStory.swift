internal import RiposteCore

/// What a message says of a run where the playbook gives no words of its own: what was done to whom, why, how it ended, and the commands to take it
/// back and to look closer. Several lines; nothing from an alert can begin one.
struct RunStory: Sendable {
    var playbook: String?
    /// In their order.
    var steps: [String] = []
    var incident: Identifier?

    static let limit = 8000

    func text(in scope: StepScope) -> ByteText {
        let alert = scope.alert
        var lines = [
            "\(playbook.map { "Playbook \($0)" } ?? "A playbook") answers \"\(alert.rule.shown)\" (\(alert.priority.name))\(alert.hostname.map { " on \($0.shown)" } ?? "")"
                + (scope.mode.map { ", mode \($0.rawValue)." } ?? ".")
        ]
        if let output = alert.output { lines.append("Alert: \(output.shown)") }
        for name in steps { if let facts = scope.steps[name] { lines += Self.lines(of: facts, name) } }
        if let incident { lines.append("Look closer: riposte incident show \(incident)") } else { lines.append("Look closer: riposte audit list --alert \(alert.id)") }
        return Self.bounded(lines)
    }

    private static func lines(of facts: StepFacts, _ name: String) -> [String] {
        let why = facts.why.map { ": \($0.escapedForDisplay)" } ?? ""
        let line = "\((facts.about ?? name).escapedForDisplay) \(facts.outcome.rawValue)\(why)"
        guard let action = facts.action else { return [line] }
        return [line, "  Take it back: riposte undo \(action)"]
    }

    /// The commands at the end stay, whatever an alert says at length.
    private static func bounded(_ lines: [String]) -> ByteText {
        let longest = max(64, limit / max(1, lines.count))
        return ByteText(Array(lines.map { ByteText($0).cut(toBytes: longest).bytes }.joined(separator: [UInt8(ascii: "\n")])))
    }
}
