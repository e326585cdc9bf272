internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

struct AuditCheckpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Shows the signed checkpoints of the journal.", subcommands: [AuditCheckpointListCommand.self, AuditCheckpointShowCommand.self])
}

struct AuditCheckpointListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the newest checkpoints.", discussion: "Example:\n  riposte audit checkpoint list --limit 10")

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "The newest so many.")
    var limit: Int = 20

    func run() async throws {
        var query = JournalSearch.Query()
        query.kind = .checkpoint
        query.limit = limit
        guard limit > 0 else { throw ValidationError("--limit must be greater than 0") }
        let access = try AuditAccess(common)
        let records = try access.records(query)
        if common.json {
            for entry in records { print(String(decoding: entry.line, as: UTF8.self)) }
            return try access.damage.end()
        }
        let rows = records.compactMap { entry in
            SignedCheckpoint(entry.record).map { signed in
                ["\(entry.seq)", signed.checkpoint.time.clockText, "\(signed.checkpoint.record.seq)", String(signed.checkpoint.key.prefix(16)).escapedForDisplay + "…"]
            }
        }
        print(Terminal.table(["SEQ", "TIME", "SIGNS", "KEY"], rows))
        try access.damage.end()
    }
}

struct AuditCheckpointShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a checkpoint, whole or only what is signed or the signature.",
        discussion: """
            What --json prints can be kept on another machine and given to `riposte audit verify --checkpoint`. A checkpoint can be verified without Riposte:

            Example:
              riposte audit checkpoint show last --payload > payload
              riposte audit checkpoint show last --signature | base64 -d > signature
              openssl pkeyutl -verify -pubin -inkey audit.pub -rawin -in payload -sigfile signature
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The number of the checkpoint's record, or last.")
    var which: String = "last"

    @Flag(name: .long, help: "Exactly the bytes that are signed.")
    var payload = false

    @Flag(name: .long, help: "The signature in base 64.")
    var signature = false

    func run() async throws {
        let signed = try checkpoint()
        switch (payload, signature) {
        case (true, true): throw ValidationError("--payload or --signature, not both")
        case (true, false): print(signed.checkpoint.payload, terminator: "")
        case (false, true): print(signed.signature.base64)
        case (false, false): print(common.json ? signed.json.line : signed.checkpoint.payload + "signature \(signed.signature.base64)")
        }
    }

    private func checkpoint() throws -> SignedCheckpoint {
        let access = try AuditAccess(common)
        let entry: JournalEntry?
        if which == "last" {
            var query = JournalSearch.Query()
            query.kind = .checkpoint
            query.limit = 1
            entry = try access.records(query).last
            guard entry != nil else { throw Complaint("there is no checkpoint: the journal is signed where audit.signing_key is set", status: 4) }
        } else {
            guard let seq = Int64(which) else { throw ValidationError("\"\(which.escapedForDisplay)\" is no record's number, and not last") }
            entry = try access.reader.entry(seq)
        }
        guard let entry else { throw Complaint("there is no such record", status: 4) }
        guard let signed = SignedCheckpoint(entry.record) else { throw Complaint("record \(entry.seq) is no checkpoint", status: 4) }
        return signed
    }
}
