import Foundation
import RiposteTestSupport
import Testing

/// Forty thousand steps each time, a thousand for each seed. `RIPOSTE_SIMULATION_STEPS` asks for more, `RIPOSTE_SIMULATION_FIRST` for other seeds than those from 0
/// on, `RIPOSTE_SIMULATION_SEED` for one again that failed; `RIPOSTE_SIMULATION_REPORT` names a file for how often what happened.
@Suite("The engine in a simulated world")
struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let stepsPerSeed = 1000
    private static let steps = environment["RIPOSTE_SIMULATION_STEPS"].flatMap { Int($0) } ?? 40_000
    private static let first = environment["RIPOSTE_SIMULATION_FIRST"].flatMap { UInt64($0) } ?? 0
    private static let seeds: [UInt64] =
        environment["RIPOSTE_SIMULATION_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? (0..<UInt64(max(1, steps / stepsPerSeed))).map { first + $0 }

    @Test("whatever happens, in whatever order: what must always hold, holds")
    func holds() async {
        let workers = max(1, ProcessInfo.processInfo.activeProcessorCount)
        let seen = await withTaskGroup { group in
            for worker in 0..<workers { group.addTask { Self.simulate(stride(from: worker, to: Self.seeds.count, by: workers).map { Self.seeds[$0] }) } }
            return await group.reduce(into: [String: Int]()) { $0.merge($1, uniquingKeysWith: +) }
        }
        if let path = Self.environment["RIPOSTE_SIMULATION_REPORT"] {
            try? seen.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)\n" }.joined().write(toFile: path, atomically: true, encoding: .utf8)
        }
        // A simulation in which something never happens says nothing of it.
        guard Self.seeds.count >= 100 else { return }
        #expect(Self.mustHappen.filter { seen[$0] == nil } == [])
    }

    private static func simulate(_ seeds: [UInt64]) -> [String: Int] {
        var seen: [String: Int] = [:]
        for seed in seeds {
            do {
                let simulation = try Simulation(seed: seed)
                try simulation.run(steps: stepsPerSeed)
                seen.merge(simulation.ledger.seen, uniquingKeysWith: +)
            } catch { Issue.record(error) }
        }
        return seen
    }

    private static let mustHappen = [
        "approval denied", "approval expired", "approval granted", "approval joined", "approval overflow", "approval refused", "approval voted", "approval withdrawn",
        "ask/container-isolate", "both/end", "both/end.hold", "brake closed", "brake half_open", "brake open", "climb/suspend.escalation", "expired", "failed cancelled",
        "failed timeout", "gone", "late", "mode cleared", "mode expired", "mode set", "planned", "recovered done", "recovered failed", "recovered undone", "refused budget",
        "refused cancelled", "refused declined", "refused guarded", "repeat", "rollout advanced", "rollout fell_back", "rollout marked", "rollout promoted",
        "silent/container-pause", "skipped", "undone",
    ]

    @Test("the same seed gives the same journal", arguments: [UInt64(7), 4711])
    func isDeterministic(_ seed: UInt64) throws {
        let journals = try (0..<2).map { _ in
            let simulation = try Simulation(seed: seed)
            try simulation.run(steps: 300)
            return try simulation.journalHashes()
        }
        #expect(journals[0] == journals[1] && !journals[0].isEmpty)
    }
}
