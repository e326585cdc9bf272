import RiposteCore
import Synchronization
import Testing

private final class Count: Sendable {
    let value = Atomic<Int>(0)
    func up() { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    var now: Int { value.load(ordering: .sequentiallyConsistent) }
}

@Suite("an attendant does what it is called for, awake or asleep")
struct AttendantTests {
    @Test("whatever was asked before a call is done after it", arguments: [0, 1, 50])
    func calls(patience: Int) async throws {
        let (asked, done) = (Count(), Count())
        let attendant = Attendant(name: "test", pause: 1, patience: patience) { while done.now < asked.now { done.up() } }
        // Some calls meet it awake, some asleep, some on the way from one to the other.
        for round in 0..<300 {
            asked.up()
            attendant.call()
            if round % 3 == 0 { try await Task.sleep(for: .microseconds(round * 17)) }
        }
        attendant.end()
        #expect(done.now == 300)
    }

    @Test("many at once may call; none is forgotten")
    func threads() async {
        let (asked, done) = (Count(), Count())
        let attendant = Attendant(name: "test", pause: 1, patience: 1) { while done.now < asked.now { done.up() } }
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<500 {
                        asked.up()
                        attendant.call()
                    }
                }
            }
        }
        for _ in 0..<5000 where done.now < 4000 { try? await Task.sleep(for: .milliseconds(1)) }
        #expect(done.now == 4000)
        attendant.end()
    }
}
