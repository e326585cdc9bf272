import RiposteCore
import RipostePlaybooks
import Testing

@Suite("Which container and pod an alert means")
struct ContainerClaimTests {
    private static let id = String(repeating: "c", count: 64)

    /// Of the container, and of its pod.
    private func memberships(intake: String, cgroup: String?) throws -> [ContainerClaim.Membership?] {
        var fields: JSONObject = ["container.id": .text(Self.id), "k8s.ns.name": "prod", "k8s.pod.name": "web-1"]
        fields.append("container.cgroup", cgroup.map(JSON.text))
        let document: JSONObject = ["rule": "r", "priority": "Notice", "time": .text("\(Timestamp.now())"), "output_fields": .object(fields)]
        let alert = try Alert(.object(document), id: .new(), arrival: .init(intake: intake))
        let description = try #require(testCatalogue["container.pause"]?.description)
        let kinds: [ActionDescription.TargetKind] = [.container, .pod]
        return try kinds.map { kind in
            switch try TargetClaim(alert: alert, kind: kind, parameters: Parameters(checking: JSONObject(), for: description)) {
            case .container(let claim): claim.membership
            case .pod(let claim): claim.membership
            default: nil
            }
        }
    }

    @Test("the sensor's says in which control group the process was, or that it does not know; nobody else is believed")
    func membership() throws {
        #expect(try memberships(intake: "sensor", cgroup: "/docker/x") == [.init(cgroup: "/docker/x"), .init(cgroup: "/docker/x")])
        #expect(try memberships(intake: "sensor", cgroup: nil) == [.init(cgroup: nil), .init(cgroup: nil)])
        #expect(try memberships(intake: "http", cgroup: "/docker/x") == [nil, nil])
    }
}
