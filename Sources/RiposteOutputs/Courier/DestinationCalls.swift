internal import RiposteCore
internal import Synchronization

/// The calls of one destination, one at a time, each with its end: what has not answered at its deadline is told to end, and what does not even then hangs.
/// Until that has returned, the destination is left alone.
final class DestinationCalls: Sendable {
    private struct Hang: Sendable {
        let call: PatientCall<DeliveryReport>
        let count: Int
    }

    private let output: Output
    private let clock: OutputClock
    private let hanging = Mutex<Hang?>(nil)

    /// How long a call may take to end when it was told to. Libraries look up about once a second.
    private static let timeToEnd = Duration.seconds(2)
    /// How long closing may take; a program has three seconds to end.
    private static let closeTime = Duration.seconds(5)

    init(_ output: Output, _ clock: OutputClock) { (self.output, self.clock) = (output, clock) }

    var isHanging: Bool { hanging.withLock { $0 != nil } }

    /// Every text in the report is one harmless line without secrets. Nil: the call hangs, and rings the bell when it returns. `count`: how many messages of the
    /// courier's batch it is about; none, where it is a test.
    func deliver(_ batch: [OutputMessage], count: Int, _ bell: Bell) async -> DeliveryReport? {
        let destination = output.destination
        let call = PatientCall { await destination.deliver(batch) }
        if let report = await call.answer(until: clock.now().instant + output.settings.limits.deadline, clock) { return output.mask.masked(report) }
        call.cancel()
        if let late = await call.lastWord(within: Self.timeToEnd, clock) { return afterDeadline(late) }
        hanging.withLock { $0 = Hang(call: call, count: count) }
        call.tell(bell)
        return nil
    }

    /// What a call that hung has said in the end, and the count that it was given; nil: it still hangs.
    func takeReturned() -> (report: DeliveryReport, count: Int)? {
        guard let hang = hanging.withLock(\.self), let report = hang.call.answer else { return nil }
        hanging.withLock { $0 = nil }
        return (afterDeadline(report), hang.count)
    }

    /// What it says after all counts, if it is good news.
    private func afterDeadline(_ late: DeliveryReport) -> DeliveryReport {
        if late.fates.contains(.delivered) { return output.mask.masked(late) }
        return DeliveryReport(whole: .tryAgain(reason: "no answer within \(output.settings.limits.deadline.text)"), count: late.fates.count)
    }

    /// Does not wait for a destination that cannot be opened at once: it is when it answers again.
    func reopen() async {
        guard !isHanging else { return }
        let destination = output.destination
        _ = await PatientCall { await destination.reopen() }.lastWord(within: Self.timeToEnd, clock)
    }

    /// False where it takes too long. Behind a call that hangs nobody waits: the destination is closed when that has returned.
    func close() async -> Bool {
        let (destination, hang) = (output.destination, hanging.withLock(\.self))
        let closing = PatientCall {
            await hang?.call.end()
            await destination.close()
        }
        guard hang == nil else { return true }
        return await closing.lastWord(within: Self.closeTime, clock) != nil
    }
}
