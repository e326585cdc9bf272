internal import RiposteCore
internal import RipostePlaybooks
internal import Synchronization

/// What the container engine says of containers, for guards: asked once a minute for each, as what they are asked for stays as it is while one runs. An action
/// against a process in a container must not wait for the engine each time.
package final class ContainerLookup: Sendable {
    /// Where a process is.
    enum Membership: Sendable {
        /// In no container, whatever its control groups are called.
        case none
        case known(GuardFacts.Container)
        /// In one that the engine does not run, by its id.
        case foreign(String)
    }

    private struct Entry {
        var facts: GuardFacts.Container
        /// Of the first process in it, on this host; 0: it does not run.
        var first: Int32
        var at: ContinuousClock.Instant
    }

    private static let bound = 1024
    private static let validity = Duration.seconds(60)

    private let docker: DockerClient
    private let known = Mutex<[String: Entry]>([:])

    package init(docker: DockerClient) { self.docker = docker }

    /// By the full id. Throws `gone` where the engine knows no such container.
    func container(_ id: String) async throws(ActionError) -> GuardFacts.Container { try await entry(id).facts }

    /// The container that a process is in, by its control groups and by what the engine says of them: it must be where that container's first process is, or
    /// below. A group that is only called like a container's is none. Throws where the engine does not answer.
    func membership(in cgroups: [Cgroup]) async throws(ActionError) -> Membership {
        let marks = cgroups.compactMap(\.mark)
        var foreign: String?
        for (index, mark) in marks.enumerated() where !marks[..<index].contains(where: { $0.id == mark.id }) {
            do throws(ActionError) {
                let scopes = Set(marks.filter { $0.id == mark.id }.map(\.scope))
                if let container = try await container(mark.id, holding: scopes) { return .known(container) }
            } catch {
                guard error.failure == nil else { throw error }
                if foreign == nil, !mark.isUsersOwn { foreign = mark.id }
            }
        }
        return foreign.map { .foreign($0) } ?? .none
    }

    /// The control groups that a container has. Throws as `container(_:)`.
    func scopes(of id: String) async throws(ActionError) -> Set<Cgroup> { Self.scopes(try await entry(id)) }

    private func container(_ id: String, holding scopes: Set<Cgroup>) async throws(ActionError) -> GuardFacts.Container? {
        let asked = ContinuousClock.now
        var entry = try await entry(id)
        if Self.scopes(entry).isDisjoint(with: scopes), entry.at < asked {
            // It may have been started anew since we were told.
            known.withLock { $0[id] = nil }
            entry = try await self.entry(id)
        }
        return Self.scopes(entry).isDisjoint(with: scopes) ? nil : entry.facts
    }

    private static func scopes(_ entry: Entry) -> Set<Cgroup> {
        guard entry.first > 0 else { return [] }
        return Set(ProcFS.cgroups(entry.first).compactMap(\.mark).filter { $0.id == entry.facts.id }.map(\.scope))
    }

    private func entry(_ id: String) async throws(ActionError) -> Entry {
        let now = ContinuousClock.now
        if let entry = known.withLock({ $0[id] }), now - entry.at < Self.validity { return entry }
        let state = try await docker.inspect(id)
        guard state.id == id else { throw .gone("look up container \(id.prefix(12))", "the engine knows none of this id") }
        let facts = GuardFacts.Container(id: state.id, name: state.name, image: state.image, labels: state.labels)
        let entry = Entry(facts: facts, first: state.isRunning ? state.pid : 0, at: .now)
        known.withLock { known in
            if known.count >= Self.bound { known = known.filter { now - $0.value.at < Self.validity } }
            if known.count >= Self.bound { known = [:] }
            known[id] = entry
        }
        return entry
    }

    var socket: String { docker.socket }

    /// Those that run, paused ones too.
    func running() async throws(ActionError) -> [(image: String, service: String?)] {
        try await docker.list().filter { $0.state == "running" || $0.state == "paused" }.map { ($0.image, ServiceLabels.service(of: $0.labels)) }
    }
}
