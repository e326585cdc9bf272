import RiposteCore
import RipostePlaybooks
import Testing

@Suite("Which container an alert means")
struct ContainerClaimTests {
    private static let id = String(repeating: "c", count: 64)

    private func claim(intake: String, cgroup: String?) throws -> ContainerClaim? {
        var fields: JSONObject = ["container.id": .text(Self.id)]
        fields.append("container.cgroup", cgroup.map(JSON.text))
        let document: JSONObject = ["rule": "r", "priority": "Notice", "time": .text("\(Timestamp.now())"), "output_fields": .object(fields)]
        let alert = try Alert(.object(document), id: .new(), arrival: .init(intake: intake))
        let description = try #require(testCatalogue["container.pause"]?.description)
        guard case .container(let claim) = try TargetClaim(alert: alert, kind: .container, parameters: Parameters(checking: JSONObject(), for: description)) else { return nil }
        return claim
    }

    @Test("the sensor's says in which control group the process was, or that it does not know; nobody else is believed")
    func membership() throws {
        #expect(try claim(intake: "sensor", cgroup: "/docker/x")?.membership == .init(cgroup: "/docker/x"))
        #expect(try claim(intake: "sensor", cgroup: nil)?.membership == .init(cgroup: nil))
        #expect(try claim(intake: "http", cgroup: "/docker/x")?.membership == nil)
    }
}
