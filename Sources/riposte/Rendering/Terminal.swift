internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks

/// How people see things: colour on terminals only, columns, everything escaped that came from elsewhere.
enum Terminal {
    enum Colour: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case blue = "36"
        case dim = "2"
        case bold = "1"
    }

    /// https://no-color.org
    static let hasColour =
        StandardOutput.isTerminal && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
        && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// JSON is for programs, and holds whatever an alert held; where it comes to a terminal after all, it must not act on it. Text for people is escaped already.
    static func harmless(_ text: String) -> String { StandardOutput.isTerminal ? text.escapedForDisplayInJSON : text }

    static func paint(_ text: String, _ colour: Colour) -> String { hasColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text }

    static func complain(_ message: String) { complainPlainly("riposte: \(message)") }

    /// Where standard error cannot be written, on a full disk or to a reader that left, nobody is there to complain to.
    static func complainPlainly(_ message: String) { try? FileHandle.standardError.write(contentsOf: Data((message + "\n").utf8)) }

    /// Of lines that a ``LinePrinter`` gave up.
    @Sendable static func complainOfLoss(_ count: Int) { complainPlainly("riposte: \(count) lines were not printed: standard output is too slow") }

    static func remark(_ message: String) { complainPlainly("riposte: \(message)") }

    /// Columns as wide as their widest cell; the last one runs on.
    static func table(_ header: [String], _ rows: [[String]]) -> String {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            zip(cells, widths).enumerated().map { index, cell in
                index == cells.count - 1 ? cell.0 : cell.0 + String(repeating: " ", count: cell.1 - cell.0.count)
            }.joined(separator: "  ")
        }
        return ([paint(line(header), .bold)] + rows.map(line)).joined(separator: "\n")
    }
}

/// Results and alerts on one line each.
enum ResultText {
    static func line(_ result: ActionResult) -> String {
        var parts = [mark(result.outcome), result.action.escapedForDisplay]
        if let target = result.target { parts.append(target.summary) }
        if let text = result.detail ?? result.reason { parts.append("· \(text.escapedForDisplay)") }
        if let because = result.modeBecause, result.outcome == .planned || result.outcome == .pending {
            parts.append(Terminal.paint("(because \(because.escapedForDisplay))", .dim))
        }
        if let playbook = result.playbook { parts.append(Terminal.paint("[\(playbook)\(result.step.map { "/\($0)" } ?? "")]", .dim)) }
        if let undo = result.undo, undo.available {
            let due = undo.due.map { " (by itself at \($0.clockText))" } ?? ""
            parts.append(Terminal.paint("undo: riposte undo \(result.id)\(due)", .dim))
        }
        return parts.joined(separator: " ")
    }

    static func repetition(of first: Identifier, by alert: Alert) -> String {
        "\(Terminal.paint("repeat ", .dim)) \(alert.priority.name) \(alert.rule.shown) \(Terminal.paint("· told before, as alert \(first)", .dim))"
    }

    /// Cut before it is escaped: half an escape sequence says something else.
    private static func beginning(_ text: ByteText) -> String {
        text.bytes.count > 80 ? ByteText(Array(text.bytes.prefix(80))).shown + "…" : text.shown
    }

    static func mark(_ outcome: Outcome) -> String {
        let word = outcome.rawValue + String(repeating: " ", count: max(0, 7 - outcome.rawValue.count))
        switch outcome {
        case .done, .undone: return Terminal.paint(word, .green)
        case .failed: return Terminal.paint(word, .red)
        case .refused, .expired: return Terminal.paint(word, .yellow)
        case .planned, .pending: return Terminal.paint(word, .blue)
        case .already, .gone, .skipped: return Terminal.paint(word, .dim)
        }
    }

    static func line(_ change: BreakerChange) -> String {
        let state = Terminal.paint(change.state.rawValue.replacing("_", with: "-"), change.state == .open ? .red : .yellow)
        return "\(Terminal.paint("breaker", .bold)) \(change.name.escapedForDisplay) \(state) · \(change.message.escapedForDisplay)"
    }

    static func line(_ plan: UnaskedPlan) -> String { "\(Terminal.paint("approvals", .bold)) \(Terminal.paint("no room", .red)) · \(plan.message)" }

    static func line(_ alert: Alert, playbooks: [String]) -> String {
        let place = alert[field: "container.name"]?.string.map { " container=\(beginning($0))" } ?? ""
        let process = alert[field: "proc.cmdline"]?.string.map { " \"\(beginning($0))\"" } ?? ""
        let answer = playbooks.isEmpty ? "no playbook" : playbooks.joined(separator: ", ")
        return "\(Terminal.paint("alert  ", .bold)) \(alert.priority.name) \(alert.rule.shown)\(place)\(process) \(Terminal.paint("→ \(answer)", .dim))"
    }
}

extension Timestamp {
    /// To the second, for people.
    var clockText: String { "\(description.prefix(19))Z" }
}
