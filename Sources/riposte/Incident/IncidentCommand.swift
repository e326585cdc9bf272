internal import ArgumentParser
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks

struct IncidentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incident", abstract: "Lists incidents and tells their stories, from the journal.",
        subcommands: [IncidentListCommand.self, IncidentShowCommand.self])
}

struct IncidentListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the newest incidents.", discussion: "Example:\n  riposte incident list --since 24h")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "The newest so many.")
    var limit = 20

    @Option(name: .long, help: "Opened no longer ago than: a time (RFC 3339) or a duration such as 24h.")
    var since: Since?

    func run() async throws {
        guard limit > 0 else { throw ValidationError("--limit must be greater than 0") }
        let access = try AuditAccess(common)
        var query = JournalSearch.Query()
        // Each is opened once and closed once. Of a time there may be many more that were opened before it and closed in it.
        query.limit = since == nil ? min(limit, 100_000) * 2 : 200_000
        query.kind = .incident
        query.since = since?.time
        var (ids, known): ([Identifier], Set<Identifier>) = ([], [])
        for entry in try access.records(query) where since == nil || entry.record.detail["state"] == "opened" {
            if let id = entry.record.id, known.insert(id).inserted { ids.append(id) }
        }
        let stories = try access.stories(of: Array(ids.suffix(limit)))
        if common.json {
            for story in stories { print(story.json.line) }
        } else {
            print(
                Terminal.table(
                    ["INCIDENT", "OPENED", "CLOSED", "ALERTS", "ACTS", "IN FORCE", "GRAVEST", "FIRST RULE"],
                    stories.map { story in
                        [
                            "\(story.id)", story.opened.clockText, story.closed?.clockText ?? "open", "\(story.alerts)", "\(story.acts)",
                            story.standing.map { "\($0.count)" } ?? "?",
                            story.priority.name, story.rule,
                        ]
                    }))
        }
        try access.damage.end()
    }
}

struct IncidentShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Tells an incident's story: what happened in order, to whom, what was done, and what stands.",
        discussion: "Example:\n  riposte incident show 01KAS2V3TB4Y5MWR7H3ZQ0E8CN")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The incident's id.")
    var id: Identifier

    func run() async throws {
        let access = try AuditAccess(common)
        guard let story = try access.stories(of: [id]).first else { throw Complaint("there is no incident \(id) in the journal", status: 4) }
        print(common.json ? story.json.line : IncidentText.text(story))
        try access.damage.end()
    }
}

extension AuditAccess {
    /// Incidents' stories, in their order, of at most so many records together: the newest. Where there are more, that is said.
    fileprivate func stories(of ids: [Identifier], limit: Int = 100_000) throws -> [IncidentStory] {
        guard !ids.isEmpty else { return [] }
        var query = JournalSearch.Query()
        query.limit = limit + 1
        query.incidents = Set(ids)
        let found = try records(query).map(\.record)
        let isCutOff = found.count > limit
        if isCutOff { Terminal.complain("there are more than \(limit) records: only the newest were read, and what came before them is left out") }
        let (records, inForce) = (Dictionary(grouping: found.suffix(limit), by: \.incident), whatIsInForce())
        return ids.compactMap { id in records[id].flatMap { IncidentStory(id, $0, inForce: inForce, isCutOff: isCutOff) } }
    }

    /// As the whole journal gives it: what `riposte undo --list` shows. Nil, and said so, where it cannot be read.
    private func whatIsInForce() -> [EngineState.OpenUndo]? {
        do { return try JournalDesk.inForce(stateDirectory: stateDirectory) } catch {
            Terminal.complain("what is in force cannot be told: \("\(error)".escapedForDisplay)")
            return nil
        }
    }
}

/// Stories for people.
enum IncidentText {
    static func text(_ story: IncidentStory) -> String {
        let end = story.closed.map { "closed \($0.clockText)" } ?? Terminal.paint("open", .yellow)
        var lines = [
            Terminal.paint("incident \(story.id)", .bold), "  opened \(story.opened.clockText), \(end)",
            "  \(count(story.alerts, "alert"))\(story.repeats > 0 ? " (told again \(story.repeats) times)" : ""), gravest \(story.priority.name); \(count(story.acts, "act"))",
        ]
        for target in story.targets { lines.append("  target \(target.summary)") }
        lines.append("")
        lines += story.events.map { "  \($0.time.description.dropFirst(11).prefix(12))  \(padded($0.kind.rawValue))  \($0.what)" }
        lines.append("")
        switch story.standing {
        case nil: lines.append("  what is in force could not be found out")
        case []?: lines.append("  nothing is in force")
        case let deeds?:
            for deed in deeds {
                let due = deed.due.map { " until \($0.clockText)" } ?? ""
                lines.append("  in force: \(deed.action.escapedForDisplay) \(deed.target.summary)\(due); riposte undo \(deed.id)")
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func count(_ number: Int, _ what: String) -> String { number == 1 ? "1 \(what)" : "\(number) \(what)s" }
    private static func padded(_ word: String) -> String { word + String(repeating: " ", count: max(0, 8 - word.count)) }
}
