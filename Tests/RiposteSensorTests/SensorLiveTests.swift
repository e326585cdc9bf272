import Dispatch
import Foundation
import Logging
import RiposteCore
import RiposteRules
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteSensor

/// Whether the programs can be loaded here.
private let canLoadSensor = Machine.isRoot && KernelFeatures().features.allSatisfy { $0.isThere || !$0.isNeeded }

@Suite("the sensor's thread on the real kernel", .serialized, .enabled(if: canLoadSensor, "needs root and a kernel with BTF and ring buffers"), .timeLimit(.minutes(2)))
struct SensorLiveTests {
    /// Keeps nothing: these tests look at the sensor, not at what it finds.
    private final class NoSink: SensorSink {
        func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {}
        func lost(_ events: [String: UInt64]) {}
    }

    private static func rules(_ condition: String) throws -> RuleSet {
        let text = "[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"\(condition)\", \"output\": \"o\", \"priority\": \"INFO\"}]"
        return try #require(RuleSet.load([RuleSet.File(name: "r", text: text)], RulesSettings()).0)
    }

    private static let containers = ContainerDirectory(inspector: nil)

    private func sensor(_ rules: RuleSet) throws(SensorError) -> Sensor {
        var configuration = Sensor.Configuration()
        (configuration.bufferBytes, configuration.stateBufferBytes) = (1 << 20, 1 << 20)
        return try Sensor(configuration, rules: rules, containers: Self.containers, sink: NoSink(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("orders that come while it stops are answered, whenever they come")
    func stopRace() throws {
        let (one, other) = (try Self.rules("evt.type = openat and fd.name = /none"), try Self.rules("evt.type = connect and fd.sport = 1"))
        for round in 0..<8 {
            let sensor = try sensor(one)
            let isOver = Atomic<Bool>(false)
            let (asking, done) = (DispatchGroup(), DispatchGroup())
            for asker in 0..<4 {
                asking.enter()
                done.enter()
                Thread {
                    var asked = 0
                    // Some orders are given before, some while, some after it ends.
                    while !isOver.load(ordering: .sequentiallyConsistent) || asked < 3 {
                        if asker % 2 == 0 { _ = sensor.kernelCounts() } else { do throws(SensorError) { try sensor.use(asked % 2 == 0 ? other : one) } catch {} }
                        asked += 1
                        if asked == 1 + round % 3 { asking.leave() }
                    }
                    done.leave()
                }.start()
            }
            asking.wait()
            sensor.stop()
            isOver.store(true, ordering: .sequentiallyConsistent)
            #expect(done.wait(timeout: .now() + 20) == .success, "round \(round): an order was never answered")
        }
    }

    @Test("after its end it tells the last counts, takes no rules, and can be told to stop again")
    func afterTheEnd() throws {
        let rules = try Self.rules("evt.type = openat and fd.name = /none")
        let sensor = try sensor(rules)
        _ = try run(["true"])
        sensor.stop()
        let last = sensor.kernelCounts()
        #expect(last.passed["exec", default: 0] > 0 && last == sensor.kernelCounts())
        #expect(throws: SensorError("the sensor has ended")) { try sensor.use(rules) }
        sensor.stop()
    }
}
