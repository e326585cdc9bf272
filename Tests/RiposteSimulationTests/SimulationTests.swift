import Foundation
import RiposteTestSupport
import Testing

/// A hundred thousand steps each time. `RIPOSTE_SIMULATION_STEPS` asks for more, `RIPOSTE_SIMULATION_SEED` for one again that failed.
@Suite("The engine in a simulated world")
struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let stepsPerSeed = 1000
    private static let steps = environment["RIPOSTE_SIMULATION_STEPS"].flatMap { Int($0) } ?? 100_000
    private static let seeds: [UInt64] = environment["RIPOSTE_SIMULATION_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? (0..<UInt64(max(1, steps / stepsPerSeed))).map { $0 }

    @Test("whatever happens, in whatever order: what must always hold, holds")
    func holds() async {
        let workers = max(1, ProcessInfo.processInfo.activeProcessorCount)
        await withTaskGroup { group in
            for worker in 0..<workers {
                group.addTask {
                    for seed in Self.seeds where Int(seed) % workers == worker || Self.seeds.count == 1 && worker == 0 {
                        do { try Simulation(seed: seed).run(steps: Self.stepsPerSeed) } catch { Issue.record(error) }
                    }
                }
            }
        }
    }

    @Test("the same seed gives the same journal", arguments: [UInt64(7), 4711])
    func isDeterministic(_ seed: UInt64) throws {
        let journals = try (0..<2).map { _ in
            let simulation = try Simulation(seed: seed)
            try simulation.run(steps: 300)
            return try simulation.journalBytes()
        }
        #expect(journals[0] == journals[1] && !journals[0].isEmpty)
    }
}
