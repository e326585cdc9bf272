internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

struct AuditVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Says whether every record is as it was written, in its place, and none is missing.",
        discussion: """
            The chain alone shows that nothing was changed in it. With --key, its signatures show that it is the chain that was written, up to the last checkpoint; \
            what was kept elsewhere (--checkpoint, --expect-seq) shows that its end is still there. Needs neither the agent nor the host: --state-dir takes a copy.

            Ends with 0, or 1 where the journal was changed or is not what is expected.

            Example:
              riposte audit verify --key audit.pub --checkpoint kept.json
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "A public key, or its file; checkpoints must be signed with one of these. Several times, for keys that follow each other.")
    var key: [String] = []

    @Option(name: .long, help: "The journal reaches at least this record; with --key, anchored.")
    var expectSeq: Int64?

    @Option(name: .long, help: "A checkpoint that was kept elsewhere, as `riposte audit checkpoint show --json` prints it.", completion: .file())
    var checkpoint: [String] = []

    @Option(name: .long, help: "Verifies a bundle of `riposte audit export` instead of a journal.", completion: .file())
    var bundle: String?

    func run() async throws {
        let expectation = try self.expectation()
        if let bundle {
            guard expectSeq == nil, checkpoint.isEmpty else { throw ValidationError("--expect-seq and --checkpoint are about a journal, not about a bundle") }
            try verify(bundle, expectation.keys)
        }
        let access = try AuditAccess(common)
        let showsProgress = isatty(STDERR_FILENO) == 1
        let report = try JournalVerifier(stateDirectory: access.stateDirectory).verify(expectation) { progress in
            guard showsProgress, progress.totalBytes > 0 else { return }
            try? FileHandle.standardError.write(contentsOf: Data("\r\(progress.records) records, \(progress.bytes * 100 / max(1, progress.totalBytes)) %\u{1B}[K".utf8))
        }
        if showsProgress { try? FileHandle.standardError.write(contentsOf: Data("\r\u{1B}[K".utf8)) }
        print(common.json ? VerificationText.json(report).line : VerificationText.text(report, hasKey: !key.isEmpty))
        throw ExitCode(report.isIntact ? 0 : 1)
    }

    private func verify(_ path: String, _ keys: [VerifyingKey]) throws -> Never {
        let report: BundleVerifier.Report
        do throws(BundleError) { report = try BundleVerifier(path: path, version: Version.text).verify(keys) } catch {
            throw Complaint(error.message, status: error.isMissing ? 4 : 1)
        }
        print(common.json ? VerificationText.json(report).line : VerificationText.text(report, hasKey: !keys.isEmpty))
        throw ExitCode(report.isIntact ? 0 : 1)
    }

    private func expectation() throws -> JournalVerifier.Expectation {
        do {
            let keys = try key.map { argument throws(KeyError) in try VerifyingKey(fileOrText: argument) }
            let kept = try checkpoint.map { file in
                guard let bytes = FileManager.default.contents(atPath: file) else { throw Complaint("\(file.escapedForDisplay) cannot be read", status: 2) }
                do throws(KeyError) { return try SignedCheckpoint(kept: Array(bytes)) } catch { throw Complaint("\(file.escapedForDisplay): \(error.message)", status: 2) }
            }
            return JournalVerifier.Expectation(keys: keys, lastSeq: expectSeq, kept: kept)
        } catch let error as KeyError {
            throw Complaint("--key: \(error.message)", status: 2)
        }
    }
}

/// What verifying found, for people and for programs.
enum VerificationText {
    static func json(_ report: JournalVerifier.Report) -> JSON {
        var object: JSONObject = ["intact": .bool(report.isIntact), "records": .integer(Int64(report.records))]
        object.append("first", report.first.map(JSON.integer))
        object.append("last", report.last.map(JSON.integer))
        object.append("torn_bytes", .integer(Int64(report.tornBytes)))
        if let broken = report.broken {
            object.append(
                "broken", ["segment": .text(broken.segment), "line": .integer(Int64(broken.line)), "seq": .integer(broken.seq), "problem": .text(broken.problem)])
        }
        let anchoring = report.anchoring
        object.append(
            "anchored",
            [
                "up_to": anchoring.upTo.map(JSON.integer) ?? .null, "time": anchoring.time.map { .text("\($0)") } ?? .null, "checkpoints": .integer(Int64(anchoring.checkpoints)),
                "keys": .array(anchoring.keys.map(JSON.text)),
            ])
        object.append("remarks", .array(report.remarks.map(JSON.text)))
        return .object(object)
    }

    static func text(_ report: JournalVerifier.Report, hasKey: Bool) -> String {
        var lines: [String] = []
        if let broken = report.broken {
            lines.append(Terminal.paint("broken", .red) + " at record \(broken.seq) (\(broken.segment), line \(broken.line)): \(broken.problem)")
            lines.append("\(report.records) records before it are as they were written")
        } else {
            let range = report.first.flatMap { first in report.last.map { ", \(first) to \($0)" } } ?? ""
            lines.append(Terminal.paint("intact", .green) + ": \(report.records) records\(range)")
        }
        lines.append(anchoring(report, hasKey: hasKey))
        if report.tornBytes > 0 { lines.append("the last \(report.tornBytes) bytes are an unfinished record, which the next start sets aside") }
        return (lines + report.remarks.map(\.escapedForDisplay)).joined(separator: "\n")
    }

    private static func anchoring(_ report: JournalVerifier.Report, hasKey: Bool) -> String {
        let anchoring = report.anchoring
        if let upTo = anchoring.upTo, let time = anchoring.time {
            let after = max(0, (report.last ?? upTo) - upTo - 1)
            let rest = after == 0 ? "nothing after the last checkpoint" : "\(after) \(after == 1 ? "record" : "records") after the last checkpoint \(after == 1 ? "is" : "are") not"
            return Terminal.paint("anchored", .green) + " up to record \(upTo) at \(time.clockText) by \(count(anchoring.checkpoints, "checkpoint")); \(rest)"
        }
        let found = anchoring.checkpoints == 0 ? "it has no checkpoints" : "it has \(count(anchoring.checkpoints, "checkpoint")), whose signatures were not looked at"
        return Terminal.paint("not anchored", .yellow) + (hasKey ? ": no checkpoint with a right signature stands before that" : ": no --key was given, and \(found)")
    }

    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    static func json(_ report: BundleVerifier.Report) -> JSON {
        [
            "intact": .bool(report.isIntact), "records": .integer(Int64(report.records)), "anchored": .integer(Int64(report.anchored)),
            "problems": .array(report.problems.map(JSON.text)), "remarks": .array(report.remarks.map(JSON.text)),
        ]
    }

    static func text(_ report: BundleVerifier.Report, hasKey: Bool) -> String {
        var lines = report.problems.map { Terminal.paint("broken", .red) + ": \($0.escapedForDisplay)" }
        if report.isIntact { lines.append(Terminal.paint("intact", .green) + ": \(count(report.records, "record"))") }
        if hasKey {
            lines.append(
                report.anchored == report.records
                    ? Terminal.paint("anchored", .green) + ": each is proved to be in the signed journal"
                    : Terminal.paint("not all anchored", .yellow) + ": \(report.anchored) of \(report.records) are proved to be in the signed journal")
        } else {
            lines.append(
                Terminal.paint("not anchored", .yellow) + ": no --key was given, and \(count(report.checkpoints, "checkpoint")) were found, whose signatures were not looked at")
        }
        return (lines + report.remarks.map(\.escapedForDisplay)).joined(separator: "\n")
    }
}
