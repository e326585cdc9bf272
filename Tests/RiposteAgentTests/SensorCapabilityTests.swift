import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// The table of capabilities in docs/sensor.md.
@Suite(
    "the sensor with no more rights than it needs", .serialized,
    .enabled(if: canLoadSensor && Machine.has("setpriv"), "needs root, a kernel with BTF and ring buffers, and setpriv"))
struct SensorCapabilityTests {
    private static let documented = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"]

    private static func list(_ capabilities: [String]) -> String { (["-all"] + capabilities.map { "+" + $0 }).joined(separator: ",") }

    private func rules(_ place: Workplace, _ program: String) throws -> [String] {
        let rule = "{ rule: Started, desc: d, condition: evt.type = execve and proc.exepath = \(program), output: started, priority: CRITICAL }"
        return ["--rules", try place.folder.file("rules.yaml", "- \(rule)\n")]
    }

    @Test("as another user than root, with these and CAP_KILL, it sees what root starts and ends it")
    func otherUser() async throws {
        let list = Self.list(Self.documented + ["kill"])
        let place = try Workplace(through: [
            "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", list, "--inh-caps", list, "--ambient-caps", list,
        ])
        let program = place.folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
        for path in [place.folder.path, place.folder.path + "/playbooks"] { #expect(chown(path, 65534, 65534) == 0) }
        try place.write(playbooks: "  - name: stop\n    match: { rules: [Started] }\n    steps: [{ action: process.kill }]\n")
        try await place.start(arguments: rules(place, program))
        let victim = try ChildProcess([program, "600"], output: nil, error: nil)
        #expect(try await victim.waitForExit(within: .seconds(60)) == 128 + SIGKILL)
        try await until { try place.outcomes() == ["process.kill done"] }
        #expect(try String(contentsOfFile: "/proc/\(#require(place.agent?.pid))/status", encoding: .utf8).contains("Uid:\t65534\t65534"))
    }

    @Test(
        "without one of the first two the agent says what is missing and goes on with its other intakes; without the others the sensor runs",
        arguments: [("bpf", false), ("perfmon", false), ("sys_ptrace", true), ("dac_read_search", true)])
    func lacking(_ capability: String, _ runs: Bool) async throws {
        let place = try Workplace(through: ["setpriv", "--bounding-set", Self.list(Self.documented.filter { $0 != capability })])
        let program = place.folder.path + "/victim"
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: program)
        try await place.start(mode: "observe", arguments: ["--json"] + rules(place, program))
        let sensor = try #require(place.json("status").first?["sensor"])
        #expect(sensor["state"]?.string?.valid == (runs ? "running" : "lacking"))
        guard runs else {
            #expect(sensor["remedy"]?.string?.repaired.contains("CAP_BPF, CAP_PERFMON") == true, "\(sensor.line)")
            #expect(place.errors.contains("the sensor does not run") && place.errors.contains("socket: "))
            return
        }
        try run([program])
        try await until { place.output.contains("\"rule\":\"Started\"") }
    }
}
