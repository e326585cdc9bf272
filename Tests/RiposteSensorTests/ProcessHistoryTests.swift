import CRiposte
import Testing

@testable import RiposteSensor

/// Histories of processes that never were, told to the table and to a plain model of the kernel.
@Suite("The process table through long histories")
struct ProcessHistoryTests {
    /// A process of the model.
    private struct Process: Equatable {
        let number: UInt32
        let start: UInt64
        var name: String
        var parent: UInt32
        var ended = false
    }

    /// SplitMix64.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }

    @Test("after every event the table knows each living process, its program and its ancestors, and none that ended", arguments: 1...20 as ClosedRange<UInt64>)
    func history(_ seed: UInt64) throws {
        var numbers = Numbers(state: seed)
        let scene = ProcessScene()
        var second: UInt64 = 1
        scene.apply(ProcessScene.exec(1, 1, "init", parent: 0, 0))
        var living: [UInt32: Process] = [1: Process(number: 1, start: 1, name: "init", parent: 0)]
        for _ in 0..<400 {
            second += 1
            let actor = living.values.sorted { $0.number < $1.number }.randomElement(using: &numbers) ?? Process(number: 1, start: 1, name: "init", parent: 0)
            switch Int.random(in: 0..<10, using: &numbers) {
            case 0..<4:
                // Few numbers, so that they come again.
                guard let number = (2...40 as ClosedRange<UInt32>).filter({ living[$0] == nil }).randomElement(using: &numbers) else { continue }
                living[number] = Process(number: number, start: second, name: actor.name, parent: actor.number)
                scene.apply(ProcessScene.fork(number, second, actor.name, of: actor.number, actor.start))
            case 4..<7:
                let name = "p\(Int.random(in: 0..<1000, using: &numbers))"
                living[actor.number]?.name = name
                let parent = living[actor.parent]
                scene.apply(ProcessScene.exec(actor.number, actor.start, name, parent: parent?.number ?? 0, parent?.start ?? 0).arguments(name))
            case 7:
                scene.apply(RecordBuilder(.exit, pid: ProcessScene.pid(actor.number), tid: ProcessScene.pid(900), start: ProcessScene.start(actor.start)))
            default:
                guard actor.number != 1 else { continue }
                living[actor.number] = nil
                scene.apply(ProcessScene.exit(actor.number, actor.start))
                for child in living.values where child.parent == actor.number {
                    living[child.number]?.parent = 1
                    scene.apply(
                        RecordBuilder(.update, pid: ProcessScene.pid(child.number), start: ProcessScene.start(child.start), comm: child.name)
                            .process(parent: ProcessScene.pid(1), parentStart: ProcessScene.start(1)))
                }
            }
            try expectSame(scene.table, living)
        }
        #expect(scene.table.allEntries.map(\.pid) == living.keys.sorted().map(ProcessScene.pid))
    }

    private func expectSame(_ table: ProcessTable, _ living: [UInt32: Process]) throws {
        try #require(table.count == living.count)
        for process in living.values {
            let entry = try #require(table.process(withPID: ProcessScene.pid(process.number)))
            try #require(entry.start == ProcessScene.start(process.start))
            try #require(String(decoding: entry.comm, as: UTF8.self) == process.name)
            try #require(table.parent(of: entry)?.pid == (process.parent == 0 ? nil : ProcessScene.pid(process.parent)))
        }
    }
}
