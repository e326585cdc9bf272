import Testing

@testable import RiposteOutputs

struct AlarmClockTests {
    @Test func wakesInTheOrderOfTheTimes() async {
        let clock = AlarmClock()
        let begin = ContinuousClock.now
        let order = await withTaskGroup(of: Int.self) { group in
            for number in [3, 1, 2] {
                group.addTask {
                    await clock.sleep(until: begin + .milliseconds(40 * number))
                    return number
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(order == [1, 2, 3])
        #expect(ContinuousClock.now >= begin + .milliseconds(120))
    }

    @Test func whoIsCancelledIsAwakeAtOnce() async {
        let clock = AlarmClock()
        await withTaskGroup { group in
            for _ in 0..<100 { group.addTask { await clock.sleep(until: .now + .seconds(3600)) } }
            group.cancelAll()
        }
    }
}
