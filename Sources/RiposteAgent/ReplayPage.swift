internal import Crypto
internal import RiposteAudit
internal import RiposteCore
package import RipostePlaybooks

/// A dry run's report as one page that needs nothing else and runs nothing: its policy allows this one style sheet, by its hash, and forbids all else.
package struct ReplayPage {
    private static let actLimit = 200

    private let report: RehearsalReport
    private let comparison: RehearsalComparison?
    /// Where playbooks and alerts come from, and what was taken for granted.
    private let premises: [String]

    package init(_ report: RehearsalReport, comparison: RehearsalComparison? = nil, premises: [String]) {
        self.report = report
        self.comparison = comparison
        self.premises = premises
    }

    package var html: String { page.html }

    private var page: Markup {
        let policy = "default-src 'none'; style-src 'sha256-\(Array(SHA256.hash(data: Array(Self.style.html.utf8))).base64)'; base-uri 'none'; form-action 'none'"
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="\(policy)">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Dry run of playbooks · Riposte</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            <h1>What the playbooks would have done</h1>
            <p>\(span)</p>
            \(premises.map { "<p class=\"premise\">\($0)</p>" as Markup })
            <section class="cards">\(cards)</section>
            <section><h2>When</h2>\(timeline)</section>
            <section><h2>Playbooks and steps</h2>\(steps)</section>
            <section><h2>What stepped in</h2>\(brakes)</section>
            <section><h2>Most affected targets</h2>\(targets)</section>
            \(changes)
            <section><h2>Acts</h2>\(acts)</section>
            </main>
            </body>
            </html>

            """
    }

    private var span: String {
        guard let begin = report.timeline.begin, let end = report.timeline.end else { return "There was no alert." }
        return "\(begin) to \(end)"
    }

    private var cards: [Markup] {
        let undo = report.undo
        let figures: [(Int, String)] = [
            (report.alerts, "alerts"), (report.matched, "answered by a playbook"), (report.repeats, "told again (dedup)"), (report.actCount, "acts"),
            (report.total(.refused), "refused"), (undo.armed, "to be taken back"), (undo.mostAtOnce, "in force at once, at most"), (undo.open.count, "in force at the end"),
        ]
        return figures.map { "<div class=\"card\"><b>\($0.0)</b> <span>\($0.1)</span></div>" }
    }

    // MARK: - Timeline

    private static let size = (width: 960.0, height: 220.0, left: 48.0, bottom: 28.0)

    /// Bars of acts and refusals per stretch of time, each series on the scale of the highest bar.
    private var timeline: Markup {
        let stretches = report.timeline.stretches
        guard !stretches.isEmpty else { return "<p>Nothing happened.</p>" }
        let series: [(RehearsalTimeline.Series, String)] = [(.act, "act"), (.refusal, "refusal"), (.undo, "undo")]
        let highest = max(1, stretches.map { stretch in series.reduce(0) { $0 + stretch[$1.0.rawValue] } }.max() ?? 1)
        let most = max(1, stretches.map { $0[RehearsalTimeline.Series.alert.rawValue] }.max() ?? 1)
        let (width, height) = (Self.size.width - Self.size.left, Self.size.height - Self.size.bottom)
        let step = width / Double(stretches.count)
        var marks: [Markup] = []
        var line = ""
        for (index, stretch) in stretches.enumerated() {
            let left = Self.size.left + Double(index) * step
            var top = height
            for (kind, name) in series where stretch[kind.rawValue] > 0 {
                let length = Double(stretch[kind.rawValue]) / Double(highest) * (height - 10)
                top -= length
                let title = "\(report.timeline.begin(of: index).map { "\($0)" } ?? ""): \(stretch[kind.rawValue]) \(name)s"
                marks.append("<rect class=\"\(name)\" x=\"\(left)\" y=\"\(top)\" width=\"\(max(1, step - 0.5))\" height=\"\(length)\"><title>\(title)</title></rect>")
            }
            let tenths = Int(((height - Double(stretch[0]) / Double(most) * (height - 10)) * 10).rounded())
            line += "\(Int(left + step / 2)),\(tenths / 10).\(tenths % 10) "
        }
        let ticks: [Markup] = stride(from: 0, to: stretches.count, by: max(1, stretches.count / 6)).map { index in
            let place = Self.size.left + Double(index) * step
            let label = String((report.timeline.begin(of: index).map { "\($0)" } ?? "").prefix(16))
            return "<line class=\"axis\" x1=\"\(place)\" y1=\"\(height)\" x2=\"\(place)\" y2=\"\(height + 5)\"/><text x=\"\(place)\" y=\"\(height + 20)\">\(label)</text>"
        }
        return """
            <svg viewBox="0 0 \(Self.size.width) \(Self.size.height)" role="img" aria-label="Acts, refusals and undos over time">
            <line class="axis" x1="\(Self.size.left)" y1="\(height)" x2="\(Self.size.width)" y2="\(height)"/>
            <text x="2" y="14">\(highest)</text>\(ticks)\(marks)<polyline class="alert" points="\(line)"/>
            </svg>
            <p><span class="key act">acts</span> <span class="key refusal">refused</span> <span class="key undo">taken back</span>
            <span class="key alert">alerts, at most \(most)</span> per \(report.timeline.width.text)</p>
            """
    }

    // MARK: - Tables

    private func table(_ heads: [String], _ rows: [[String]], empty: String) -> Markup {
        guard !rows.isEmpty else { return "<p>\(empty)</p>" }
        let head: [Markup] = heads.map { "<th>\($0)</th>" }
        let body: [Markup] = rows.map { row in
            let cells: [Markup] = row.map { "<td>\(Self.brief($0))</td>" }
            return "<tr>\(cells)</tr>\n"
        }
        return "<table><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table>"
    }

    /// Text of alerts is as long as somebody liked.
    private static func brief(_ text: String) -> String { text.count <= 300 ? text : "\(text.prefix(300))…" }

    private var steps: Markup {
        table(
            ["Playbook", "Step", "Action", "Outcomes"],
            report.rows.map { row, outcomes in
                [row.playbook, row.step, row.action, outcomes.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")]
            }, empty: "No playbook answered.")
    }

    private var brakes: Markup {
        let refusals = Dictionary(uniqueKeysWithValues: report.refusals.map { ($0.key.rawValue, $0.value) })
        let groups: [(String, [String: Int])] = [
            ("refused", refusals), ("guard", report.guards), ("breaker opened", report.breakers), ("held back by breaker", report.heldBackBy),
            ("several playbooks at once", report.overlaps),
        ]
        let rows = groups.flatMap { kind, counts in RehearsalReport.ranked(counts).map { [kind, $0.name, "\($0.count)"] } }
        return table(["What", "Which", "Times"], rows, empty: "Nothing stood in the way.")
    }

    private var targets: Markup {
        table(["Target", "Acts", "Held back"], report.mostAffected.map { [$0.target, "\($0.acts)", "\($0.heldBack)"] }, empty: "None.")
    }

    private var acts: Markup {
        let rows = report.acts.prefix(Self.actLimit).map { ["\($0.time)", $0.row.playbook, $0.row.step, $0.target, $0.outcome.rawValue, $0.message ?? ""] }
        let more = report.actCount - rows.count
        let rest: Markup = more > 0 ? "<p>and \(more) more</p>" : ""
        return "\(table(["Time", "Playbook", "Step", "Target", "Outcome", "What"], rows, empty: "Nothing would have been done."))\(rest)"
    }

    private var changes: Markup {
        guard let comparison else { return "" }
        let sums = comparison.rows.map { [$0.playbook, "\($0.counts[.appears] ?? 0)", "\($0.counts[.vanishes] ?? 0)", "\($0.counts[.changes] ?? 0)"] }
        let examples = comparison.examples.map {
            ["\($0.time)", $0.rule, $0.playbook, $0.change.rawValue, $0.before.joined(separator: "; "), $0.after.joined(separator: "; ")]
        }
        return """
            <section><h2>Compared with the other playbooks</h2>
            \(table(["Playbook", "Runs that appear", "vanish", "change"], sums, empty: "Both answer every alert alike."))
            \(examples.isEmpty ? "" as Markup : table(["Time", "Rule", "Playbook", "Change", "Before", "After"], examples, empty: ""))</section>
            """
    }

    private static let style: Markup = """
        :root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}
        body{margin:0}main{max-width:1000px;margin:0 auto;padding:24px}
        h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:28px 0 8px}
        .premise{margin:2px 0;opacity:.75}
        .cards{display:flex;flex-wrap:wrap;gap:10px;margin-top:16px}
        .card{border:1px solid #8885;border-radius:8px;padding:8px 14px}.card b{font-size:1.3rem}
        svg{width:100%;height:auto}svg text{font-size:11px;fill:currentColor;opacity:.7}
        .axis{stroke:currentColor;opacity:.4}
        rect.act{fill:#2a7f62}rect.refusal{fill:#c8553d}rect.undo{fill:#5b7db1}
        polyline.alert{fill:none;stroke:currentColor;opacity:.45;stroke-width:1}
        .key{padding-left:8px;border-left:10px solid currentColor;margin-right:14px}
        .key.act{border-color:#2a7f62}.key.refusal{border-color:#c8553d}.key.undo{border-color:#5b7db1}.key.alert{border-color:#8888}
        table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:4px 10px 4px 0;border-bottom:1px solid #8883;overflow-wrap:anywhere}
        """
}
