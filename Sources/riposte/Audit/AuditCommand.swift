internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Reads, verifies and exports the journal.",
        subcommands: [
            AuditListCommand.self, AuditShowCommand.self, AuditFollowCommand.self, AuditVerifyCommand.self, AuditExportCommand.self, AuditCheckpointCommand.self,
            AuditKeyCommand.self,
        ])
}

/// Which records.
struct AuditFilter: ParsableArguments {
    @Option(name: .long, help: "The newest so many.")
    var limit: Int?

    @Option(name: .long, help: "Not older than: a time (RFC 3339) or a duration such as 1h.")
    var since: Since?

    @Option(name: .long, help: "About the alert with this id.")
    var alert: Identifier?

    @Option(name: .long, help: "Of this action, such as process.kill.")
    var action: String?

    @Option(name: .long, help: "With this outcome.")
    var outcome: Outcome?

    @Option(name: .long, help: "About this target: a pid, a container's id or name, NAMESPACE/POD, an address, host; or the beginning of one.")
    var target: String?

    /// Without a limit of the caller's or ours: all that there is.
    func query(defaultLimit: Int? = nil) throws -> JournalSearch.Query {
        var query = JournalSearch.Query()
        query.limit = limit ?? defaultLimit
        guard limit ?? 1 > 0 else { throw ValidationError("--limit must be greater than 0") }
        query.since = since?.time
        query.alert = alert
        query.action = action
        query.outcome = outcome
        query.target = target
        return query
    }
}

/// A moment, or how long ago it was.
struct Since: ExpressibleByArgument {
    let time: Timestamp

    init?(argument: String) {
        guard let time = Timestamp(argument) ?? Duration(text: argument).map({ Timestamp.now() + (.zero - $0) }) else { return nil }
        self.time = time
    }
}

struct AuditListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the newest records that fit.",
        discussion: """
            Examples:
              riposte audit list --since 1h --outcome done
              riposte audit list --target web --json
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var filter: AuditFilter

    func run() async throws {
        let access = try AuditAccess(common)
        let records = try access.records(filter.query(defaultLimit: 50))
        if common.json {
            for entry in records { print(String(decoding: entry.line, as: UTF8.self)) }
        } else {
            print(Terminal.table(["SEQ", "TIME", "KIND", "OUTCOME", "WHAT"], records.map(AuditText.row)))
        }
        try access.damage.end()
    }
}

struct AuditShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a record by number, or all records of an action, run or alert by id.",
        discussion: "Example:\n  riposte audit show 01KAS2V3TB4Y5MWR7H3ZQ0E8CN")

    @OptionGroup var common: CommonOptions

    @Argument(help: "A record's number, or the id of an action or alert.")
    var which: String

    func run() async throws {
        let access = try AuditAccess(common)
        var records: [JournalEntry] = []
        if let seq = Int64(which) {
            records = try access.reader.entry(seq).map { [$0] } ?? []
            if let entry = records.first, !entry.isAsWritten { access.damage.take(.changed(entry.seq)) }
        } else if let id = Identifier(which) {
            var query = JournalSearch.Query()
            query.limit = 10_000
            query.id = id
            records = try access.records(query)
            query.id = nil
            query.alert = id
            records += try access.records(query).filter { entry in !records.contains { $0.seq == entry.seq } }
        } else {
            throw ValidationError("\"\(which.escapedForDisplay)\" is no record's number and no id")
        }
        guard !records.isEmpty else { throw Complaint("there is no such record", status: 4) }
        for entry in records.sorted(by: { $0.seq < $1.seq }) {
            print(common.json ? String(decoding: entry.line, as: UTF8.self) : AuditText.whole(entry))
        }
        try access.damage.end()
    }
}

struct AuditFollowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "follow", abstract: "Prints records as they come.", discussion: "Example:\n  riposte audit follow --json | jq -c 'select(.outcome==\"done\")'")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Begin with so many of the newest.")
    var last: Int = 10

    func run() async throws {
        let access = try AuditAccess(common)
        let newest = try access.reader.lastSeq() ?? 0
        try access.reader.follow(from: max(1, newest - Int64(max(0, last)) + 1)) { entry in
            print(common.json ? String(decoding: entry.line, as: UTF8.self) : AuditText.row(entry).joined(separator: "  "))
            StandardOutput.flush()
            // Ends with whoever reads.
            return !StandardOutput.isBroken
        }
    }
}

/// The journal of the configuration, for reading.
struct AuditAccess {
    let stateDirectory: String
    let reader: JournalReader
    let damage = JournalDamage()

    init(_ common: CommonOptions) throws {
        stateDirectory = try common.configuration().stateDirectory
        reader = JournalReader(stateDirectory: stateDirectory)
        guard FileManager.default.fileExists(atPath: reader.directory) else {
            let isHidden = access(reader.directory, F_OK) != 0 && errno == EACCES
            throw Complaint(isHidden ? "\(reader.directory) may not be read by this user" : "there is no journal in \(reader.directory)", status: isHidden ? 1 : 4)
        }
        guard FileManager.default.isReadableFile(atPath: reader.directory) else {
            throw Complaint("the journal in \(reader.directory) cannot be read by this user", status: 1)
        }
    }

    func records(_ query: JournalSearch.Query) throws -> [JournalEntry] {
        do { return try JournalSearch(stateDirectory: stateDirectory).records(query, onProblem: damage.take) } catch let error as JournalError {
            throw Complaint(error.message, status: 1)
        }
    }

    /// All that fit, one after the other, until nobody reads them any more.
    func each(_ query: JournalSearch.Query, _ body: (JournalEntry) -> Void) throws {
        do {
            try JournalSearch(stateDirectory: stateDirectory).each(query, onProblem: damage.take) { entry in
                body(entry)
                return !StandardOutput.isBroken
            }
        } catch let error as JournalError {
            throw Complaint(error.message, status: 1)
        }
    }
}

/// What of a journal that was read is not as it was written. It is told as it is found; the answer is what is known, and no success.
final class JournalDamage {
    private static let toldLimit = 20
    private var told: [JournalSearch.Problem] = []
    private var count = 0

    func take(_ problem: JournalSearch.Problem) {
        guard !told.contains(problem) else { return }
        count += 1
        guard told.count < Self.toldLimit else { return }
        told.append(problem)
        Terminal.complain("\(problem)")
    }

    /// Behind the answer.
    func end() throws {
        guard count > 0 else { return }
        throw Complaint(
            "the journal was damaged or tampered with (\(count == 1 ? "1 place" : "\(count) places")): the answer may lack something; see riposte audit verify", status: 1)
    }
}

/// Records for people.
enum AuditText {
    static func row(_ entry: JournalEntry) -> [String] {
        let record = entry.record
        return [
            "\(entry.seq)", record.time.clockText, record.kind.rawValue, (record.outcome?.rawValue ?? "-") + (record.dryRun ? " (dry)" : ""), summary(entry),
        ]
    }

    static func summary(_ entry: JournalEntry) -> String {
        let record = entry.record
        var parts: [String] = []
        switch record.kind {
        case .alert:
            parts.append(record.alertDocument?["rule"]?.string?.shown ?? "(no rule)")
            let playbooks = record.detail["runs"]?.array?.compactMap { $0["playbook"]?.string?.shown } ?? []
            parts.append("→ \(playbooks.isEmpty ? "no playbook" : playbooks.joined(separator: ", "))")
        case .checkpoint:
            let checkpoint = SignedCheckpoint(record)?.checkpoint
            parts.append(checkpoint.map { "signs record \($0.record.seq) with key \($0.key.prefix(16).description.escapedForDisplay)…" } ?? "cannot be read")
        case .start: parts.append("\(record.actor?.name.escapedForDisplay ?? "") in mode \(record.mode?.rawValue ?? "-")")
        default:
            if let action = record.action { parts.append(action.escapedForDisplay) }
            if let target = record.target { parts.append(target.summary) }
            if let playbook = record.playbook { parts.append("[\(playbook.escapedForDisplay)\(record.step.map { "/\($0.escapedForDisplay)" } ?? "")]") }
            if let actor = record.actor, actor.kind == .person { parts.append("by \(actor.name.escapedForDisplay)") }
            if let message = record.message { parts.append("· \(message.escapedForDisplay)") }
        }
        return parts.joined(separator: " ")
    }

    static func whole(_ entry: JournalEntry) -> String {
        ([Terminal.paint("record \(entry.seq)", .bold)] + lines(of: .object(entry.members), indent: 2)).joined(separator: "\n")
    }

    private static func lines(of json: JSON, indent: Int) -> [String] {
        guard let object = json.object else { return [String(repeating: " ", count: indent) + json.displayText] }
        return object.members.filter { $0.key != "seq" }.flatMap { member -> [String] in
            let head = String(repeating: " ", count: indent) + member.key.shown
            if let inner = member.value.object, !inner.isEmpty { return [head] + lines(of: member.value, indent: indent + 2) }
            return [head.padded(to: 24) + member.value.displayText]
        }
    }
}
