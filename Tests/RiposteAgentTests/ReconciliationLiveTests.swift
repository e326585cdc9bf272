import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

/// The agent as a whole; periodic looks are far away, so that what is seen comes of the kernel's and the engine's events.
private let settings = "reconcile: { every: 1h, network: repair, others: report }"

extension Workplace {
    fileprivate func drifts() throws -> [String] {
        try records().filter { $0["kind"] == "drift" }.map { "\($0["detail"]?["state"]?.string?.shown ?? "?") \($0["detail"]?["finding"]?.string?.shown ?? "?")" }
    }

    /// What was done again, by its outcomes.
    fileprivate func repairs() throws -> [JSON] { try records().filter { $0["kind"] == "outcome" && $0["actor"]?["name"] == "reconcile" } }

    fileprivate func ownAlerts() throws -> [JSON] { try records().compactMap { $0["detail"]?["alert"] }.filter { $0["source"] == "internal" } }
}

@Suite(
    "an agent whose doings others undo, in nf_tables", .enabled(if: Machine.isRoot && Machine.has("ip") && Machine.has("nft"), "needs root, ip and nft: a real namespace"))
struct NetworkReconciliationLiveTests {
    let host: NetworkNamespace
    let place: Workplace

    init() throws {
        host = try NetworkNamespace()
        place = try Workplace(namespace: host)
    }

    private var isBlocked: Bool { host.ruleset.contains("192.0.2.7") }

    private func empty() throws { #expect(try host.execute(["nft", "flush", "set", "inet", "riposte", "host4"]).status == 0) }

    @Test("a set that somebody empties is filled again at once, with the time that is left; after three times it is told that somebody works against us")
    func emptied() async throws {
        try place.write(playbooks: "  - { name: p, match: { rules: [Never] }, steps: [{ action: network.block, with: { address: 192.0.2.9 }, undo: { after: 1h } }] }\n")
        try await place.start(configuration: settings)
        #expect(try place.riposte("network", "block", "192.0.2.7", "--for", "1h").status == 0)
        #expect(isBlocked)
        for round in 1...3 {
            try empty()
            try await until { isBlocked }
            try await until { try place.repairs().count == round }
        }
        let restored = try place.repairs()
        #expect(restored.count == 3 && restored.count { $0["outcome"] == "done" && $0["action"] == "network.block" } == 3)
        #expect(host.ruleset.contains(/expires 5[0-9]m/), "the time goes on from the beginning: \(host.ruleset)")
        try empty()
        try await until { try place.drifts().last == "contested missing" }
        #expect(!isBlocked, "there is no fourth time")
        try await until { try place.ownAlerts().contains { $0["rule"] == "Riposte is being undone" } }
        let told = try #require(try place.ownAlerts().first { $0["rule"] == "Riposte finds an action changed" })
        #expect(told["output_fields"]?["drift.action"] == "network.block" && told["output_fields"]?["drift.target"] == "address:192.0.2.7", "\(told.line)")
        let status = try place.riposte("status").output
        #expect(status.contains("drift      network.block of address 192.0.2.7") && status.contains("somebody is undoing us"), "\(status)")
        #expect(try place.json("undo", "--list").count == 1, "it is one action all the time")
        #expect(try place.riposte("undo", "--all", "--yes").status == 0)
        try await until { try place.json("status").first?["drifts"]?.array?.isEmpty == true }
        #expect(try place.riposte("audit", "verify").status == 0)
    }

    @Test("what happened while no agent ran is found at the start, and put right")
    func whileAway() async throws {
        try await place.start(configuration: settings)
        #expect(try place.riposte("network", "block", "192.0.2.7", "--for", "1h").status == 0)
        place.kill()
        try empty()
        try await place.start(configuration: settings)
        try await until { isBlocked }
        try await until { try place.repairs().map { $0["outcome"] } == ["done"] }
        #expect(try place.drifts() == ["found missing"])
        #expect(try await place.stop() == 0)
    }
}

@Suite("an agent whose doings others undo, in Docker", .serialized, .enabled(if: DockerEngine.isAvailable, "needs root, dockerd and busybox"))
struct ContainerReconciliationLiveTests {
    private func unpause(_ container: TestContainer, _ engine: DockerEngine) throws {
        #expect(try run(["docker", "-H", "unix://" + engine.socket, "unpause", container.id]).status == 0)
    }

    @Test("a container that somebody lets go is told of at once, and paused again only where the policy says so", arguments: ["report", "repair"])
    func unpaused(policy: String) async throws {
        let (engine, place) = (try DockerEngine.shared.get(), try Workplace())
        let container = try TestContainer(engine)
        try place.write(playbooks: "  - { name: hold, match: { rules: [Bad] }, steps: [{ action: container.pause, undo: { after: 1h } }] }\n")
        try await place.start(configuration: "docker: { socket: \(engine.socket) }\nreconcile: { every: 1h, others: \(policy) }")
        let short = container.id.prefix(12)
        let accusation = #"{"time":"\#(Timestamp.now())","rule":"Bad","priority":"Warning","output_fields":{"container.id":"\#(short)","container.name":"\#(container.name)"}}"#
        _ = try await place.post(accusation)
        try await until { container.isPaused }
        // At once: between the deed and the watch that it brings about, too.
        try unpause(container, engine)
        try await until { try place.drifts().contains("found missing") }
        try await until { try place.ownAlerts().contains { $0["rule"] == "Riposte finds an action changed" } }
        let told = try #require(try place.ownAlerts().first { $0["rule"] == "Riposte finds an action changed" })
        #expect(told["output_fields"]?["container.id"] == .text(String(short)) && told["output_fields"]?["drift.action"] == "container.pause", "\(told.line)")
        if policy == "repair" {
            try await until { container.isPaused }
            try await until { try place.repairs().map { $0["outcome"] } == ["done"] }
            #expect(try !place.riposte("status").output.contains("drift  "))
            try unpause(container, engine)
            try await until { try place.repairs().count == 2 && container.isPaused }
            #expect(try place.riposte("undo", "--all", "--yes").status == 0)
            #expect(!container.isPaused)
        } else {
            let status = try place.riposte("status").output
            #expect(status.contains("drift      container.pause of container \(container.name)"), "\(status)")
            #expect(!container.isPaused)
        }
        #expect(try place.riposte("audit", "verify").status == 0)
    }
}
