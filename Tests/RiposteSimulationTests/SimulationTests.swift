import Foundation
import RiposteTestSupport
import Testing

/// A hundred and one thousand steps each time, a thousand for each seed. `RIPOSTE_SIMULATION_STEPS` asks for more, `RIPOSTE_SIMULATION_FIRST` for other seeds than those from 0
/// on, `RIPOSTE_SIMULATION_SEED` for one again that failed; `RIPOSTE_SIMULATION_REPORT` names a file for what happened in how many seeds.
@Suite("The engine in a simulated world")
struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let stepsPerSeed = 1000
    private static let steps = environment["RIPOSTE_SIMULATION_STEPS"].flatMap { Int($0) } ?? 101_000
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
        #expect(Self.mustHappenOften.filter { seen[$0, default: 0] < Self.seeds.count / 2 } == [])
    }

    /// What happened in how many of them.
    private static func simulate(_ seeds: [UInt64]) -> [String: Int] {
        var seen: [String: Int] = [:]
        for seed in seeds {
            do {
                let simulation = try Simulation(seed: seed)
                try simulation.run(steps: stepsPerSeed)
                for word in simulation.ledger.seen.keys { seen[word, default: 0] += 1 }
            } catch { Issue.record(error) }
        }
        return seen
    }

    /// In some seed of a hundred at least.
    private static let mustHappen = [
        "approval overflow", "ask/network-block", "both/end", "brake half_open", "compared already", "compared gone", "compared held back", "compared nothing",
        "drift contested", "drift over", "failed cancelled", "recovered gone", "refused mode", "repeat", "rollout fell_back", "shared/cut", "shared/cut.hold",
    ]

    /// In every other seed at least.
    private static let mustHappenOften = [
        "approval denied", "approval expired", "approval granted", "approval joined", "approval refused", "approval voted", "approval withdrawn", "ask/container-isolate",
        "block/network-block", "both/end.hold", "brake closed", "brake open", "canary/container-pause", "climb/suspend", "climb/suspend.escalation", "compared acts",
        "compared refused guarded", "drift found", "expired", "failed busy", "failed conflict", "failed denied", "failed timeout", "failed unavailable", "failed unknown", "gone",
        "isolate/container-isolate", "isolate/pause-too", "kill/process-kill", "kill/process-suspend", "late", "mode cleared", "mode expired", "mode set", "pause/container-pause",
        "planned", "recovered done", "recovered failed", "refused budget", "refused cancelled", "refused cooldown", "refused declined", "refused guarded", "refused pardoned",
        "refused withdrawn", "rolled/container-pause", "rollout advanced", "rollout marked", "rollout promoted", "silent/container-pause", "skipped", "steps/cut", "steps/hold",
        "steps/last", "steps/stop", "suspend/container-pause", "suspend/process-suspend", "twice/container-isolate", "undone",
    ]

    @Test("the bugs that make simulate-planted puts into a copy of the sources fit them", .enabled(if: Machine.has("python3"), "needs python3"))
    func bugsFit() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").standardizedFileURL
        let plant = Process()
        plant.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        plant.arguments = ["python3", "Tests/Planted/plant.py", "--check"]
        plant.currentDirectoryURL = folder
        try plant.run()
        plant.waitUntilExit()
        #expect(plant.terminationStatus == 0, "what the bugs change does not stand there any more: plant them anew")
    }

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
