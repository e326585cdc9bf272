internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

struct AuditExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes records out: line for line, or as a bundle for a post-mortem.",
        discussion: """
            With --out, a new folder or .tar: the records that are asked for with all that are tied to them, a summary, a report in HTML, and what proves that they are \
            from the signed journal. `riposte audit verify --bundle` verifies it anywhere. Without --out the lines go to standard output, chain included.

            Example:
              riposte audit export --incident 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --out incident.tar
              riposte audit export --since 24h > records.jsonl
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var filter: AuditFilter

    @Option(name: .long, help: "Of the incident with this id.")
    var incident: Identifier?

    @Option(name: .long, help: "Not newer than: a time (RFC 3339) or a duration such as 1h.")
    var until: Since?

    @Option(name: .long, help: "Makes a bundle: a new folder, or a new file whose name ends in .tar.", completion: .file())
    var out: String?

    func run() async throws {
        guard let out else {
            guard incident == nil, until == nil else { throw ValidationError("--incident and --until make a bundle: --out DIR or --out FILE.tar is needed") }
            let query = try filter.query()
            let access = try AuditAccess(common)
            if query.limit == nil {
                try access.each(query) { print(String(decoding: $0.line, as: UTF8.self)) }
            } else {
                for entry in try access.records(query) { print(String(decoding: entry.line, as: UTF8.self)) }
            }
            return try access.damage.end()
        }
        let seed = try self.seed()
        let access = try AuditAccess(common)
        do {
            let bundle = try BundleExport(stateDirectory: access.stateDirectory, version: Version.text).bundle(seed)
            try bundle.write(to: out)
            report(bundle, out)
        } catch let error as BundleError {
            throw Complaint(error.message, status: error.isMissing ? 4 : 1)
        } catch let error as JournalError {
            throw Complaint(error.message, status: 1)
        }
    }

    private func seed() throws -> BundleSelection.Seed {
        guard filter.limit == nil, filter.action == nil, filter.outcome == nil, filter.target == nil else {
            throw ValidationError("a bundle is whole: --limit, --action, --outcome and --target do not go with --out")
        }
        switch (incident, filter.alert, filter.since) {
        case (let id?, nil, nil) where until == nil: return .incident(id)
        case (nil, let id?, nil) where until == nil: return .alert(id)
        case (nil, nil, let since?): return .time(since: since.time, until: until?.time)
        default: throw ValidationError("a bundle is of one --incident, one --alert, or the time --since … --until")
        }
    }

    private func report(_ bundle: AuditBundle, _ out: String) {
        let proved = bundle.provedCount
        if common.json {
            let json: JSON = [
                "out": .text(out), "records": .integer(Int64(bundle.records.count)), "proved": .integer(Int64(proved)), "damaged": .array(bundle.damaged.map(JSON.integer)),
            ]
            print(json.line)
        } else {
            let report = out.hasSuffix(".tar") ? "report.html in it" : "\(out.escapedForDisplay)/report.html"
            print("\(VerificationText.count(bundle.records.count, "record")) in \(out.escapedForDisplay), \(proved) of them signed; read \(report)")
        }
        if proved < bundle.records.count {
            Terminal.remark(
                "\(bundle.records.count - proved) of them not signed: audit.signing_key is not set, or they are newer than the last checkpoint; then export again later")
        }
        if !bundle.damaged.isEmpty {
            Terminal.remark("records were changed after they were written: \(bundle.damaged.map(String.init).joined(separator: ", ")); see riposte audit verify")
        }
    }
}
