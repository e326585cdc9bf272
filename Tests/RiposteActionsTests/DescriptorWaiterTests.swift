import Glibc
@testable import RiposteActions
import Testing

@Suite("who waits for descriptors")
struct DescriptorWaiterTests {
    private let soon = ContinuousClock.now + .seconds(60)

    @Test("what was found ready is not told to another wait that has its descriptor's number since")
    func reusedNumber() {
        var waits = DescriptorWaits<String>()
        waits.add(1, 5, until: soon, "first")
        waits.add(2, 6, until: soon, "second")
        // While the look lasts, the first is called off, its descriptor closed, and the number given to a third.
        #expect(waits.remove(1) == "first")
        waits.add(3, 5, until: soon, "third")
        #expect(waits.settle([1], at: .now).isEmpty)
        #expect(waits.list.map(\.ticket) == [2, 3])
        let settled = waits.settle([3], at: .now)
        #expect(settled.map(\.waiter) == ["third"] && settled.map(\.isReady) == [true])
        #expect(waits.remove(3) == nil, "each is settled once")
    }

    @Test("whose time is up is told so, and who is ready then too is told that")
    func deadlines() {
        var waits = DescriptorWaits<String>()
        for (ticket, name) in [(1, "late"), (2, "late and ready")] { waits.add(ticket, 5, until: soon, name) }
        let settled = waits.settle([2], at: soon)
        #expect(settled.map(\.waiter) == ["late", "late and ready"] && settled.map(\.isReady) == [false, true])
    }

    @Test("a descriptor that becomes readable, one that does not, and a wait that is called off")
    func waiting() async {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        defer {
            close(reading)
            close(writing)
        }
        #expect(await !DescriptorWaiter.shared.readable(reading, within: .milliseconds(20)))
        let calledOff = Task { await DescriptorWaiter.shared.readable(reading, within: .seconds(600)) }
        calledOff.cancel()
        #expect(await !calledOff.value)
        async let isReadable = DescriptorWaiter.shared.readable(reading, within: .seconds(600))
        write(writing, "x", 1)
        #expect(await isReadable)
    }
}
