import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("An agent and files that others can change")
struct ForeignFileCommandTests {
    private let place: Workplace
    private var folder: String { place.folder.path + "/playbooks" }
    private var file: String { folder + "/p.yaml" }

    init() throws {
        place = try Workplace()
        try place.write(playbooks: "  - { name: end, match: { rules: [Bad] }, steps: [{ action: process.kill }] }\n")
    }

    @Test("the agent does not start with them, doctor and check say why, and what only looks goes on")
    func refused() async throws {
        #expect(chmod(file, 0o666) == 0)
        let child = try place.launch()
        #expect(try await child.waitForExit(within: .seconds(60)) == 2)
        #expect(place.errors.contains("p.yaml: error[P049]: it may be written by everybody (mode 0666); only root"), "\(place.errors)")
        let settings = try place.folder.file("c.yaml", "playbooks: \(folder)\n")
        let doctor = try place.riposte("doctor", "--config", settings)
        #expect(doctor.status == 1 && doctor.output.contains("may be written by everybody"), "\(doctor.output)")
        let own = try place.riposte("playbook", "check", "--config", settings)
        #expect(own.status == 2 && own.output.contains("error[P049]"), "\(own.output)")
        let named = try place.riposte("playbook", "check", folder)
        #expect(named.status == 0 && named.output.contains("warning[P049]: an agent does not take it from here"), "\(named.output)")
        #expect(try place.riposte("playbook", "list", folder).status == 0)
        let alerts = try place.folder.file("alerts.jsonl", "{\"rule\":\"Other\",\"priority\":\"Warning\",\"time\":\"\(Timestamp.now())\",\"output_fields\":{}}\n")
        #expect(try place.riposte("respond", alerts, "--playbooks", folder).status == 0)
        let acting = try place.riposte("respond", alerts, "--playbooks", folder, "--mode", "enforce")
        #expect(acting.status == 2 && acting.output.contains("P049"), "\(acting.output)")
    }

    @Test("a reload refuses them whole, by a change of mode too, and takes them when they are mended")
    func reloaded() async throws {
        try await place.start()
        func problem() throws -> String? { try place.json("status").first?["playbooks"]?["rejected"]?["problems"]?.array?.first?["code"]?.string?.repaired }
        #expect(chmod(folder, 0o777) == 0)
        try await until { try problem() == "P049" }
        #expect(try place.json("status").first?["playbooks"]?["count"] == 1, "those before stay in force")
        #expect(chmod(folder, 0o755) == 0)
        try await until { try problem() == nil }
    }

    @Test("nor with such a configuration, which says who may do what; doctor says why, and a reload leaves what is in force")
    func configuration() async throws {
        let settings = try place.folder.file("c.yaml", "state_dir: \(place.folder.path)/state\n")
        #expect(chmod(settings, 0o646) == 0)
        let refused = try place.riposte("run", "--no-sensor", "--config", settings)
        #expect(refused.status == 2 && refused.output.contains("c.yaml: error[C006]: it may be written by everybody (mode 0646); only root"), "\(refused.output)")
        let doctor = try place.riposte("doctor", "--config", settings)
        #expect(doctor.status == 1 && doctor.output.contains("the agent does not start like this"), "\(doctor.output)")
        let agent = try await place.start()
        #expect(chmod(place.folder.path + "/riposte.yaml", 0o666) == 0)
        agent.signal(SIGHUP)
        try await until { place.errors.contains("C006") }
    }

    @Test("rules of that kind are taken, and the log and doctor say so")
    func rules() async throws {
        let rules = try place.folder.file("rules.yaml", "- rule: Bad\n  desc: d\n  condition: evt.type = execve\n  output: o\n  priority: WARNING\n")
        #expect(chmod(rules, 0o666) == 0)
        try await place.start(arguments: ["--rules", rules, "--no-sensor"])
        #expect(place.errors.contains("rules can be changed by others than root and the agent"), "\(place.errors)")
        let settings = try place.folder.file("c.yaml", "rules: { files: [\(rules)] }\n")
        #expect(try place.riposte("doctor", "--config", settings).output.contains("rules.yaml: it may be written by everybody"))
    }
}
