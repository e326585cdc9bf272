import Foundation
import RiposteTestSupport
import Testing

/// A hundred thousand steps each time; `RIPOSTE_SIMULATION_STEPS` and `RIPOSTE_SIMULATION_SEED` for more, or for one again that failed.
@Suite("The engine in a simulated world")
struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let steps = environment["RIPOSTE_SIMULATION_STEPS"].flatMap { Int($0) } ?? 100_000
    private static let seeds: [UInt64] =
        environment["RIPOSTE_SIMULATION_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? (0..<UInt64(max(1, steps / stepsPerSeed))).map { $0 }
    private static let stepsPerSeed = 1000

    @Test("whatever happens, in whatever order: what must always hold, holds", arguments: seeds)
    func holds(_ seed: UInt64) throws {
        try Simulation(seed: seed).run(steps: Self.stepsPerSeed)
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
