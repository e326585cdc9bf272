internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// What the container engine says of containers, for guards: asked once a minute for each, as what they are asked for stays as it is while one runs. An action
/// against a process in a container must not wait for the engine each time.
package final class ContainerLookup: Sendable {
    private static let bound = 1024
    private static let validity = Duration.seconds(60)

    private let docker: DockerClient
    private let known = Mutex<[String: (facts: GuardFacts.Container, at: ContinuousClock.Instant)]>([:])

    package init(docker: DockerClient) { self.docker = docker }

    /// By the full id. Throws `gone` where the engine knows no such container.
    func container(_ id: String) async throws(ActionError) -> GuardFacts.Container {
        let now = ContinuousClock.now
        if let entry = known.withLock({ $0[id] }), now - entry.at < Self.validity { return entry.facts }
        let state = try await docker.inspect(id)
        guard state.id == id else { throw .gone("look up container \(id.prefix(12))", "the engine knows none of this id") }
        let facts = GuardFacts.Container(id: state.id, name: state.name, image: state.image, labels: state.labels)
        known.withLock { known in
            if known.count >= Self.bound { known = known.filter { now - $0.value.at < Self.validity } }
            if known.count >= Self.bound { known = [:] }
            known[id] = (facts, now)
        }
        return facts
    }

    var socket: String { docker.socket }

    /// Those that run, paused ones too.
    func running() async throws(ActionError) -> [(image: String, service: String?)] {
        try await docker.list().filter { $0.state == "running" || $0.state == "paused" }.map { ($0.image, ServiceLabels.service(of: $0.labels)) }
    }
}
