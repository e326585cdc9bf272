internal import Crypto
internal import RiposteCore

/// `report.html`: one page that needs nothing else and runs nothing. Its policy allows this one style sheet, by its hash, and forbids all else.
struct ReportPage {
    private static let rowLimit = 500

    private let bundle: AuditBundle
    private let story: IncidentStory

    init(_ bundle: AuditBundle) {
        self.bundle = bundle
        story = IncidentStory(bundle.records)
    }

    var html: String { page.html }

    private var page: Markup {
        let policy = "default-src 'none'; style-src 'sha256-\(Array(SHA256.hash(data: Array(Self.style.html.utf8))).base64)'; base-uri 'none'; form-action 'none'"
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="\(policy)">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(bundle.header.seed.title) · Riposte</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <header><div>
            <p class="kind">Incident report</p>
            <h1>\(headline)</h1>
            <p>\(bundle.header.seed.title)\(story.host.map { " · host \($0)" } ?? "")\(story.span.map { " · \($0.from.clock) to \($0.to.clock)" } ?? "")</p>
            </div></header>
            <main>
            <section class="cards">\(cards)</section>
            <section><h2>Timeline</h2>\(TimelineDrawing(story).markup)</section>
            <section><h2>Process tree</h2>\(ProcessTreeDrawing(ProcessTree(story)).markup)</section>
            <section><h2>Alerts</h2>\(alerts)</section>
            <section><h2>Actions</h2>\(actions)</section>
            <section><h2>People</h2>\(people)</section>
            <section><h2>Evidence</h2>\(evidence)</section>
            <section><h2>All events</h2>\(events)</section>
            <section><h2>How to verify</h2>\(verification)</section>
            </main>
            <footer>Made by Riposte \(bundle.header.version) at \(bundle.header.time.clock) from records \(bundle.records.first?.seq ?? 0) to \(bundle.records.last?.seq ?? 0) of the journal.</footer>
            </body>
            </html>

            """
    }

    /// The gravest alert, in its detector's words.
    private var headline: String {
        let gravest = story.alarms.compactMap(\.alert).max { $0.priority < $1.priority }
        return gravest.map { Excerpt.of($0.rule, limit: 160) } ?? story.deeds.first.map { [$0.name, $0.target?.summary].compactMap(\.self).joined(separator: " ") }
            ?? "Records of the journal"
    }

    // MARK: - Figures

    private var cards: [Markup] {
        let performed = story.deeds.filter(\.isInEffect)
        let inForce = performed.filter { $0.undo != nil && $0.undo?.takenBack == nil }
        let gravest = story.alarms.compactMap { $0.alert?.priority }.max()
        let answer = story.alarms.first.flatMap { first in performed.compactMap { $0.ended?.time }.min().map { ($0 - first.time).brief } }
        let refused = story.deeds.count { $0.outcome == .refused || $0.outcome == .failed }
        return [
            card("\(story.alarms.count)", story.alarms.count == 1 ? "alert" : "alerts", gravest.map { "gravest: \($0.name)" } ?? ""),
            card(
                "\(performed.count)", performed.count == 1 ? "action performed" : "actions performed",
                answer.map { "first one \($0) after the first alert" } ?? "nothing was changed"),
            card("\(refused)", "refused or failed", refused == 0 ? "none" : "see Actions"),
            card("\(inForce.count)", "still in force", inForce.isEmpty ? "nothing to take back" : "see Actions for the ids"),
            card(
                "\(Set(story.words.map(\.name)).count)", "people",
                story.words.isEmpty ? "nobody stepped in" : Excerpt.of(Set(story.words.map(\.name)).sorted().joined(separator: ", "), limit: 60)),
            card(
                "\(bundle.provedCount) / \(bundle.records.count)", "records signed",
                bundle.checkpoints.isEmpty ? "the journal is not signed" : "by \(bundle.checkpoints.count) checkpoints"),
        ]
    }

    private func card(_ figure: String, _ name: String, _ remark: String) -> Markup {
        "<div class=\"card\"><b>\(figure)</b><span>\(name)</span><small>\(remark)</small></div>"
    }

    // MARK: - Tables

    private func table(_ header: [String], _ rows: [[Markup]], of total: Int) -> Markup {
        guard total > 0 else { return "<p class=\"note\">None.</p>" }
        return """
            <table><thead><tr>\(header.map { "<th>\($0)</th>" as Markup })</tr></thead><tbody>
            \(rows.map { "<tr>\($0.map { "<td>\($0)</td>" as Markup })</tr>\n" as Markup })</tbody></table>
            \(total > rows.count ? "<p class=\"note\">\(total - rows.count) more are in summary.json.</p>" : Markup.empty)
            """
    }

    private var alerts: Markup {
        table(
            ["Record", "Time", "Priority", "Rule and output", "Playbooks"],
            story.alarms.prefix(Self.rowLimit).map { alarm in
                let alert = alarm.alert
                return [
                    "\(alarm.seq)", "\(alarm.time.clockOfDay)",
                    Self.badge(alert?.priority.name ?? "?", look: alert.map { $0.priority >= .critical ? "failed" : $0.priority >= .warning ? "refused" : "planned" } ?? "other"),
                    "<b>\(alert.map { Excerpt.of($0.rule) } ?? "cannot be read")</b><div class=\"text\">\(alert?.output.map { Excerpt.of($0, limit: 600) } ?? "")</div>",
                    "\(alarm.playbooks.isEmpty ? "none" : alarm.playbooks.joined(separator: ", "))",
                ]
            }, of: story.alarms.count)
    }

    private var actions: Markup {
        table(
            ["Records", "Time", "Action and target", "By", "Outcome", "Taking it back"],
            story.deeds.prefix(Self.rowLimit).map { deed in
                let places = [deed.intended?.seq, deed.ended?.seq].compactMap { $0.map(String.init) }.joined(separator: ", ")
                let remarks = [deed.failure.map { "class: \($0.rawValue)" }].compactMap(\.self) + deed.remarks
                let outcome = deed.outcome.map { $0.rawValue + (deed.isDryRun ? " (dry run)" : "") } ?? "unknown"
                return [
                    "\(places)", "\(deed.time?.clockOfDay ?? "")",
                    "<b>\(deed.name)</b><div>\(Excerpt.of(deed.target?.summary ?? "no target"))</div><code>\("\(deed.id)")</code>\(deed.undoes.map { "<div class=\"note\">takes back <code>\("\($0)")</code></div>" } ?? Markup.empty)",
                    "\(deed.by)\(deed.mode.map { "<div class=\"note\">mode \($0.rawValue)</div>" } ?? Markup.empty)\(deed.reason.map { "<div class=\"text\">“\(Excerpt.of($0))”</div>" } ?? Markup.empty)",
                    "\(Self.badge(outcome, look: deed.outcome?.rawValue ?? "other"))<div class=\"text\">\(deed.message.map { Excerpt.of($0) } ?? "")</div>\(remarks.map { "<div class=\"note\">\($0)</div>" as Markup })",
                    "\(deed.undoState)",
                ]
            }, of: story.deeds.count)
    }

    private var people: Markup {
        table(
            ["Record", "Time", "Who", "What", "Reason"],
            story.words.prefix(Self.rowLimit).map { word in
                ["\(word.seq)", "\(word.time.clock)", "\(word.name)\(word.user.map { " (uid \($0))" } ?? "")", "\(word.what)", "\(word.reason ?? "")"]
            }, of: story.words.count)
    }

    private var evidence: Markup {
        let rows = story.deeds.flatMap { deed in deed.evidence.members.map { (deed, $0) } }
        return table(
            ["Action", "What", "Value"],
            rows.prefix(Self.rowLimit).map { deed, member in
                ["\(deed.name) <code>\("\(deed.id)")</code>", "\(Excerpt.of(member.key, limit: 80))", "<div class=\"text\">\(Excerpt.of(member.value, limit: 1000))</div>"]
            }, of: rows.count)
    }

    private var events: Markup {
        let all = Timeline(story).events
        let first = all.first?.time
        return table(
            ["Record", "Time", "After", "Kind", "What"],
            all.prefix(Self.rowLimit).map { event in
                [
                    "\(event.seq)", "\(event.time.clockOfDay)", "\(first.map { $0 == event.time ? "" : "+" + (event.time - $0).brief } ?? "")",
                    Self.badge(event.lane.rawValue, look: event.look), "<div class=\"text\">\(event.text)</div>",
                ]
            }, of: all.count)
    }

    private static func badge(_ text: String, look: String) -> Markup { "<span class=\"badge \(look)\">\(text)</span>" }

    // MARK: - Proof

    private var verification: Markup {
        """
        <p>This page follows from <code>records.jsonl</code>, the journal's own lines. With the public key that was kept apart from the host:</p>
        <pre>riposte audit verify --bundle PATH --key audit.pub</pre>
        <p>That checks each line's hash, the links between neighbours, the path of each record to the root that a signed checkpoint names
        (<code>proof.jsonl</code>, <code>checkpoints.jsonl</code>), the checkpoints' Ed25519 signatures, and that this page says what the records say.
        It proves that these records are from the signed journal, not that no other record belongs to the incident.</p>
        \(table(["Checkpoint", "Signs record", "At", "Key"], checkpoints, of: checkpoints.count))
        <p>A checkpoint by hand, without Riposte:</p>
        <pre>jq -rj .detail.payload checkpoint.json &gt; payload
        jq -r .detail.signature checkpoint.json | base64 -d &gt; signature
        openssl pkeyutl -verify -pubin -inkey audit.pub -rawin -in payload -sigfile signature</pre>
        \(bundle.damaged.isEmpty ? Markup.empty : "<p class=\"alarm\">Changed after they were written, by their hashes: records \(bundle.damaged.map(String.init).joined(separator: ", ")).</p>")
        """
    }

    private var checkpoints: [[Markup]] {
        bundle.checkpoints.prefix(Self.rowLimit).compactMap { entry in
            SignedCheckpoint(entry.record).map { signed in
                ["\(entry.seq)", "\(signed.checkpoint.record.seq)", "\(signed.checkpoint.time.clock)", "<code>\(Excerpt.of(signed.checkpoint.key, limit: 64))</code>"]
            }
        }
    }

    private static let style: Markup = """
        :root{--ink:#1b2430;--soft:#5b6775;--line:#dfe4ea;--paper:#fff;--ground:#f4f6f8;--red:#c0392b;--amber:#b7791f;--green:#1e8449;--blue:#2563a8;--grey:#7b8794}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
        header{background:#16202e;color:#fff;padding:28px 24px 58px}
        header div{max-width:1132px;margin:0 auto}
        header h1{margin:2px 0 4px;font-size:26px;line-height:1.25;font-weight:650;overflow-wrap:anywhere}
        header p{margin:0;color:#b9c4d0}
        header .kind{text-transform:uppercase;letter-spacing:.12em;font-size:11px;color:#7fb2e5}
        main{max-width:1180px;margin:-36px auto 0;padding:0 24px}
        section{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:18px 22px;margin:0 0 18px;break-inside:avoid-page}
        section.cards{display:grid;grid-template-columns:repeat(6,1fr);padding:0}
        .card{padding:16px 18px;border-left:1px solid var(--line)}
        .card:first-child{border-left:0}
        .card b{display:block;font-size:26px;line-height:1.2;font-weight:650}
        .card span{display:block;font-weight:600}
        .card small{display:block;color:var(--soft);overflow-wrap:anywhere}
        h2{margin:0 0 12px;font-size:16px;font-weight:650}
        svg{display:block;width:100%;height:auto;font-family:inherit}
        table{width:100%;border-collapse:collapse}
        th{text-align:left;font-size:11px;text-transform:uppercase;letter-spacing:.05em;color:var(--soft);border-bottom:1px solid var(--line);padding:4px 10px 6px 0}
        td{vertical-align:top;border-bottom:1px solid #eef1f4;padding:8px 10px 8px 0;overflow-wrap:anywhere}
        tr:last-child td{border-bottom:0}
        td:first-child,td:nth-child(2){white-space:nowrap;color:var(--soft);font-variant-numeric:tabular-nums}
        code,pre,.text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
        .text{color:#38434f;overflow-wrap:anywhere}
        code{color:var(--soft);white-space:nowrap}
        td code{font-size:11px}
        pre{background:var(--ground);border:1px solid var(--line);border-radius:6px;padding:10px 14px;overflow-x:auto}
        .note{color:var(--soft);font-size:12px;margin:6px 0 0}
        .alarm{color:var(--red);font-weight:600}
        .badge{display:inline-block;border-radius:10px;padding:1px 9px;font-size:12px;font-weight:600;background:#eceff2;color:var(--grey);white-space:nowrap}
        .badge.done,.badge.undone{background:#e3f4ea;color:var(--green)}
        .badge.failed,.badge.alert{background:#fbe7e4;color:var(--red)}
        .badge.refused,.badge.expired,.badge.pending{background:#fdf1dc;color:var(--amber)}
        .badge.planned,.badge.intent{background:#e4eefa;color:var(--blue)}
        .lane{font-size:12px;fill:#38434f;text-anchor:end;font-weight:600}
        .rail{stroke:#e6eaee;stroke-width:2}
        .axis{stroke:#aeb8c2}
        .tick{stroke:#dfe4ea;stroke-dasharray:2 3}
        .time{font-size:10.5px;fill:#38434f;text-anchor:middle;font-variant-numeric:tabular-nums}
        .since{fill:#7b8794}
        .dot{fill:var(--grey);stroke:#fff;stroke-width:1.5}
        .dot.alert,.dot.failed{fill:var(--red)}
        .dot.intent,.dot.planned{fill:var(--blue)}
        .dot.done,.dot.undone{fill:var(--green)}
        .dot.refused,.dot.expired,.dot.pending{fill:#e0a030}
        .bar{fill:#f0c36a}
        .bar.closed{fill:#a9d8bb}
        .barlabel{font-size:11.5px;fill:#26303a}
        .branch{fill:none;stroke:#aeb8c2;stroke-width:1.5}
        .process{fill:#f7f9fb;stroke:var(--line)}
        .process.alerted{fill:#fff8ec;stroke:#ecc987}
        .process.acted{fill:#fdeeec;stroke:#e3a39b}
        .name{font-size:13px;font-weight:650;fill:#1b2430;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
        .pid{font-size:11.5px;fill:#5b6775}
        .command{font-size:11.5px;fill:#38434f;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
        .marks{font-size:11.5px;text-anchor:end;fill:var(--amber);font-weight:600}
        .deed{fill:var(--red)}
        footer{max-width:1180px;margin:0 auto;padding:4px 24px 32px;color:var(--soft);font-size:12px}
        @media(max-width:900px){section.cards{grid-template-columns:repeat(3,1fr)}}
        @media print{body{background:#fff}header{padding:16px 24px;color:#000;background:#fff}header p{color:#444}main{margin-top:0}section{border-color:#ccc}}
        """
}
