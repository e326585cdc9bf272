import RiposteCore
import RiposteTestSupport
import Testing

@Suite("the sensor in a pid namespace of its own", .enabled(if: canLoadSensor && Machine.has("unshare"), "needs root, a kernel with BTF and ring buffers, and unshare"))
struct SensorNamespaceTests {
    private let place: Workplace

    init() throws { place = try Workplace(through: ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]) }

    @Test("does not run, as numbers of processes mean others there; doctor says so, and how to mend it")
    func refuses() async throws {
        let told = try place.riposte("doctor").output
        #expect(told.contains("pid namespace of its own") && told.contains("hostPID: true"), "\(told)")
        try place.write(playbooks: "  - { name: p, match: { rules: [none] }, steps: [{ action: process.kill, mode: observe }] }\n")
        try await place.start(configuration: "sensor: { enabled: true }")
        #expect(place.errors.contains("the sensor does not run: this process is in a pid namespace of its own"), "\(place.errors)")
    }
}
