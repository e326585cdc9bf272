package import Logging
package import RiposteCore
internal import Synchronization

/// Carries one destination's messages: reads the journal from the destination's cursor on, hands batches over, one at a time, and moves the cursor
/// when all of a batch is settled. Nobody waits for it, and it waits for nobody but its destination. What to do when is ``CourierState``'s.
package final class Courier: Sendable {
    let output: Output
    private let spool: any Spool
    private let recent: RecentRecords
    private let reader: Int
    private let clock: OutputClock
    private let host: String
    private let logger: Logger
    private let cursorFile: CursorFile
    private let deadLetters: DeadLetterFile
    /// Dead letters that the disk did not take. As long as there are any the cursor stays where it is on the disk, so that after a restart they are sent,
    /// and rejected, once more.
    private let unwritten = Mutex<[CourierState.DeadLetter]>([])
    private let bell = Bell()
    private let state: Mutex<CourierState>
    private let orders = Mutex(Orders())
    private let position: Mutex<Position>
    /// When patience with the destination ends.
    private let lastMoment = AsyncStream<ContinuousClock.Instant>.makeStream(bufferingPolicy: .bufferingNewest(1))
    /// A call that did not end when it was to. The destination is left alone until it has.
    private let hanging = Mutex<Hang?>(nil)

    private struct Hang: Sendable {
        let call: PatientCall<DeliveryReport>
        /// How many messages of the batch it is about; none, where it is a test.
        let count: Int
    }

    private struct Orders {
        var tests: [CheckedContinuation<Test, Never>] = []
        var isEnding = false
        var isRetiring = false
        /// No test is taken any more.
        var hasEnded = false
        var isClosed = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    /// Where reading and the cursor stand. Written by `run` alone.
    private struct Position {
        /// Reading goes on here.
        var place: SpoolPlace
        /// The last record read, where one was.
        var last: Cursor
        var bursts = BurstGroups()
        /// They were counted by other fields than those that are set now: they are told early.
        var isRegrouped = false
        /// Settled.
        var committed: Cursor
        var settledPlace: SpoolPlace
        /// On the disk; and the one before, which is surely in the journal whatever a power cut took.
        var saved: (cursor: Cursor, bytes: Int)?
        var savedBefore: Cursor?
        /// When it was last written to the disk, or should have been.
        var saveTriedAt: ContinuousClock.Instant?
        /// The cursor on the disk, or the journal, could not be read so far: until they can, nothing is sent and nothing is written.
        var isUnknown = false
        var missing = 0
        /// How it began, where that was not in order.
        var problem: String?
        /// What goes wrong on the disk just now.
        var trouble: String?
        var isBehindToldOf = false
        var boundCheckedAt: ContinuousClock.Instant?
    }

    /// What came of a test message.
    package struct Test: Sendable {
        package var report: DeliveryReport
        package var took: Duration
    }

    /// `beginning`: where a destination begins that has no cursor yet. `predecessor`: the one of the same name that has ended for this one; what it knows
    /// is newer than its cursor on the disk, where that cannot be written.
    package init(
        _ output: Output, spool: any Spool, recent: RecentRecords, beginning: SpoolRecord?, after predecessor: Courier? = nil, folder: String, host: String,
        clock: OutputClock, seed: UInt64, logger: Logger
    ) {
        self.output = output
        self.spool = spool
        self.recent = recent
        self.clock = clock
        self.host = host
        var logger = logger
        logger[metadataKey: "output"] = "\(output.name)"
        self.logger = logger
        cursorFile = CursorFile(folder: folder, name: output.name)
        deadLetters = DeadLetterFile(folder: folder, name: output.name)
        reader = recent.addReader(bell)
        state = Mutex(CourierState(output.settings, seed: seed))
        let start = output.startsAtBeginning ? nil : beginning
        let cursor = start.map { Cursor(behind: $0) } ?? .origin
        let place = start?.end ?? SpoolPlace(seq: 1)
        position = Mutex(Position(place: place, last: cursor, committed: cursor, settledPlace: place))
        if let predecessor { take(over: predecessor) } else { resume() }
    }

    // MARK: - Cursor

    /// Takes up where the cursor file says, if the journal bears it out. Where one of them cannot be read now, that says nothing about where it is.
    private func resume() {
        let begin: Begin
        do { begin = try lookForBegin() } catch {
            position.withLock { $0.isUnknown = true }
            return note("its place in the journal cannot be read, and nothing is sent until it can: \(error)")
        }
        position.withLock { position in
            if position.isUnknown { position.trouble = nil }
            position.isUnknown = false
        }
        switch begin {
        case .fresh: save()
        case .anew(let problem): beginAnew(problem)
        case .from(let cursor, let place, let bursts): take(up: cursor, place, bursts)
        }
    }

    private enum Begin {
        /// There is no cursor yet.
        case fresh
        case anew(String)
        case from(Cursor, SpoolPlace, BurstGroups?)
    }

    private func lookForBegin() throws -> Begin {
        switch try cursorFile.load() {
        case .none: return .fresh
        case .damaged: return .anew("its cursor was damaged: all that is in the journal is sent")
        case .cursor(let cursor, let before):
            if cursor.seq == 0 { return .from(.origin, SpoolPlace(seq: 1), cursor.bursts) }
            if let record = try find(cursor) ?? before.flatMap(find) { return .from(Cursor(behind: record), record.end, cursor.bursts) }
            return .anew("the journal is not the one that its cursor is of: all that is in it is sent")
        }
    }

    private func take(over predecessor: Courier) {
        guard !predecessor.position.withLock(\.isUnknown) else { return resume() }
        let (committed, place, saved) = predecessor.position.withLock { ($0.committed, $0.settledPlace, $0.saved) }
        take(up: committed, place, committed.bursts)
        position.withLock { $0.saved = saved }
        let letters = predecessor.unwritten.withLock(\.self)
        unwritten.withLock { $0 = letters }
    }

    private func find(_ cursor: Cursor) throws -> SpoolRecord? {
        for place in [cursor.start, SpoolPlace(seq: cursor.seq)] {
            var place = place
            if let record = try spool.read(&place, count: 1, bytes: 0).first, record.seq == cursor.seq, record.hash == cursor.hash { return record }
        }
        return nil
    }

    private func take(up cursor: Cursor, _ place: SpoolPlace, _ bursts: BurstGroups?) {
        position.withLock { position in
            position.place = place
            position.settledPlace = place
            position.last = cursor
            position.committed = cursor
            position.bursts = bursts ?? BurstGroups()
            position.isRegrouped = !position.bursts.isGrouped(by: output.grouping?.by.map(\.name) ?? [])
            position.savedBefore = cursor
        }
    }

    private func beginAnew(_ problem: String) {
        logger.warning("output begins anew", metadata: ["problem": "\(problem)"])
        take(up: .origin, SpoolPlace(seq: 1), nil)
        position.withLock { $0.problem = problem }
        save()
    }

    /// Between two writings; longer for a cursor that is large for its bursts, which somebody may have opened for that, and after one that failed.
    private static func savePause(_ bytes: Int, hasProblem: Bool) -> Duration {
        max(hasProblem ? .seconds(5) : .seconds(1), .milliseconds(bytes * 1000 / saveRate))
    }

    /// Bytes a second.
    private static let saveRate = 256 << 10

    private var nextSave: ContinuousClock.Instant? {
        position.withLock { position in position.saveTriedAt.map { $0 + Self.savePause(position.saved?.bytes ?? 0, hasProblem: position.trouble != nil) } }
    }

    private func saveIfDue() {
        let now = clock.now().instant
        if nextSave.map({ $0 <= now }) ?? true { save() }
    }

    private func commit() {
        position.withLock { position in
            position.committed = position.last
            position.committed.bursts = position.bursts
            position.settledPlace = position.place
        }
        state.withLock { $0.committed() }
        saveIfDue()
    }

    private func save() {
        let now = clock.now().instant
        let (cursor, before, isUnknown) = position.withLock { position in
            position.saveTriedAt = now
            return (position.committed, position.saved?.cursor ?? position.savedBefore, position.isUnknown)
        }
        guard !isUnknown, position.withLock({ $0.saved?.cursor != cursor }), setAside([]) else { return }
        let bytes: Int
        do throws(OutputFileError) { bytes = try cursorFile.save(cursor, before: before) } catch {
            return note("the cursor is not on the disk: \(error)")
        }
        position.withLock { position in
            position.savedBefore = before
            position.saved = (cursor, bytes)
            position.trouble = nil
        }
    }

    private func note(_ problem: String) {
        let isNew = position.withLock { position in
            defer { position.trouble = problem }
            return position.trouble != problem
        }
        if isNew { logger.error("output has a problem", metadata: ["problem": "\(problem)"]) }
    }

    // MARK: - Work

    /// Until ``end()`` or ``retire(draining:within:)``, or cancelled.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.work() }
            group.addTask { [clock, moments = lastMoment.stream] in
                for await moment in moments { return await clock.sleep(moment) }
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func work() async {
        while !Task.isCancelled {
            await serveOrders()
            if let hang = hanging.withLock(\.self) {
                guard !isLeaving else { break }
                await outwait(hang)
                continue
            }
            if position.withLock(\.isUnknown) {
                guard !isLeaving else { break }
                await lookAgain()
                continue
            }
            let step = state.withLock { $0.next(at: clock.now().instant) }
            // What is settled is not sent once more by whoever comes next.
            if orders.withLock(\.isRetiring), step != .commit { break }
            switch step {
            case .read(let count): await read(count)
            case .listen(let until):
                recent.dropPieces()
                await listen(until: until)
            case .deliver(let count): await handOver(count)
            case .commit: commit()
            case .rest(let until):
                recent.dropPieces()
                await bell.listen(until: until, onlyOrders: true, clock)
            case .stop:
                if flushBursts() { continue }
                return await finish()
            }
        }
        await finish()
    }

    private func lookAgain() async {
        resume()
        guard position.withLock(\.isUnknown) else { return }
        await bell.listen(until: clock.now().instant + .seconds(5), onlyOrders: true, clock)
    }

    private var isLeaving: Bool { orders.withLock { $0.isEnding || $0.isRetiring } }

    private func finish() async {
        save()
        let waiting = orders.withLock { orders in
            defer { orders.tests = [] }
            orders.hasEnded = true
            return orders.tests
        }
        for continuation in waiting { continuation.resume(returning: Self.ended) }
        await close()
        recent.removeReader(reader)
        let waitingForEnd = orders.withLock { orders in
            defer { orders.waitingForEnd = [] }
            orders.isClosed = true
            return orders.waitingForEnd
        }
        for continuation in waitingForEnd { continuation.resume() }
    }

    /// How long closing may take; a program has three seconds to end.
    private static let closeTime = Duration.seconds(5)

    /// Behind a call that hangs nobody waits: the destination is closed when that has returned.
    private func close() async {
        let (destination, hang) = (output.destination, hanging.withLock(\.self))
        let closing = PatientCall {
            await hang?.call.end()
            await destination.close()
        }
        guard hang == nil, await closing.lastWord(within: Self.closeTime, clock) == nil else { return }
        logger.error("output cannot be closed: it is left to itself", metadata: [:])
    }

    private func read(_ count: Int) async {
        let now = clock.now()
        var place = position.withLock(\.place)
        let records: [SpoolRecord]
        if let held = recent.read(&place, reader: reader, count: count, bytes: Self.readBytes) {
            records = held
        } else {
            // Far behind: from the disk, and between two pieces everybody else has their turn.
            do { records = try recent.readBehind(&place, count: count, bytes: Self.readBytes) } catch {
                note("the journal cannot be read: \(error)")
                return state.withLock { $0.took([], of: 0, at: now) }
            }
            await Task.yield()
        }
        let messages = take(records, place, at: now.wall)
        state.withLock { $0.took(messages, of: records.count, at: now) }
    }

    private static let readBytes = 256 << 10

    /// What is to be sent of records, and of bursts whose time has come. Reading stands behind them.
    private func take(_ records: [SpoolRecord], _ place: SpoolPlace, at now: Timestamp) -> [OutputMessage] {
        position.withLock { position in
            var messages = position.isRegrouped ? position.bursts.flush(host: host, at: now) : []
            position.isRegrouped = false
            if let grouping = output.grouping { messages += position.bursts.due(at: now, grouping, host: host) }
            for record in records {
                position.missing += max(0, Int(record.seq - position.last.seq - 1))
                position.last = Cursor(behind: record)
                for message in output.route.messages(of: record, for: output.name, host: host) {
                    guard let grouping = output.grouping else {
                        messages.append(message)
                        continue
                    }
                    if let message = position.bursts.take(message, grouping, at: now) { messages.append(message) }
                }
            }
            position.place = place
            return messages
        }
    }

    private func listen(until end: ContinuousClock.Instant?) async {
        let now = clock.now()
        let (nextDue, isUnsaved, hasProblem) = position.withLock { position in
            (output.grouping == nil ? nil : position.bursts.nextDue, position.saved?.cursor != position.committed, position.trouble != nil)
        }
        var ends = [end, nextDue.map { now.instant + ($0 - now.wall) }]
        // In the middle of a batch there is nothing to save, and where saving fails, it is not tried all the time.
        let maySave = isUnsaved && state.withLock(\.batch.isEmpty)
        if hasProblem { ends.append(now.instant + .seconds(5)) }
        if maySave { ends.append(nextSave ?? now.instant) }
        await bell.listen(until: ends.compactMap(\.self).min(), clock)
        if maySave { saveIfDue() }
        state.withLock { $0.heard() }
    }

    /// At the end summaries are told early, where the destination takes any.
    private func flushBursts() -> Bool {
        guard state.withLock({ $0.batch.isEmpty && $0.failures == 0 }) else { return false }
        let now = clock.now()
        let messages = position.withLock { $0.bursts.flush(host: host, at: now.wall) }
        guard !messages.isEmpty else { return false }
        state.withLock { $0.took(messages, of: 0, at: now) }
        return true
    }

    // MARK: - Delivery

    private func handOver(_ count: Int) async {
        shed()
        let batch = state.withLock { Array($0.batch.prefix(count)) }
        guard !batch.isEmpty else { return }
        guard let report = await deliver(batch, count: batch.count) else { return }
        settle(report, of: batch.count)
    }

    private func settle(_ report: DeliveryReport, of count: Int) {
        let now = clock.now()
        let (dead, wasHealthy, failures) = state.withLock { state in
            let before = state.failures
            return (state.delivered(count, report, at: now), before == 0, state.failures)
        }
        tell(report, wasHealthy: wasHealthy, failures: failures)
        guard !dead.isEmpty else { return }
        logger.error("output rejected messages for good", metadata: ["count": "\(dead.reduce(0) { $0 + $1.count })", "reason": "\(dead[0].reason)", "file": "\(deadLetters.path)"])
        _ = setAside(dead)
    }

    /// More are not kept; they are the oldest, and stand behind the cursor.
    private static let unwrittenLimit = 1000

    /// Whether all that was rejected is on the disk.
    private func setAside(_ dead: [CourierState.DeadLetter]) -> Bool {
        let letters = unwritten.withLock { $0 + dead }
        guard !letters.isEmpty else { return true }
        do throws(OutputFileError) { try deadLetters.append(letters) } catch {
            unwritten.withLock { $0 = letters.suffix(Self.unwrittenLimit) }
            note("dead letters are not on the disk: \(error)")
            return false
        }
        unwritten.withLock { $0 = [] }
        position.withLock { $0.trouble = nil }
        return true
    }

    /// Once when it fails and once when it is back; the rest is in the status.
    private func tell(_ report: DeliveryReport, wasHealthy: Bool, failures: Int) {
        if wasHealthy, failures > 0 {
            let reason = report.fates.lazy.compactMap { if case .tryAgain(let reason, _) = $0 { reason } else { nil } }.first ?? ""
            logger.warning("output fails, tried again", metadata: ["reason": "\(reason)"])
        }
        guard !wasHealthy, failures == 0 else { return }
        logger.notice("output is back", metadata: [:])
        position.withLock { $0.isBehindToldOf = false }
    }

    /// How long a call may take to end when it was told to. Libraries look up about once a second.
    private static let timeToEnd = Duration.seconds(2)

    /// One call, ended at its deadline; every text in its report is one harmless line without secrets. Nil where it does not end: then it hangs.
    private func deliver(_ batch: [OutputMessage], count: Int) async -> DeliveryReport? {
        let destination = output.destination
        let call = PatientCall { await destination.deliver(batch) }
        if let report = await call.answer(until: clock.now().instant + output.settings.limits.deadline, clock) { return output.mask.masked(report) }
        call.cancel()
        if let late = await call.lastWord(within: Self.timeToEnd, clock) { return afterDeadline(late) }
        hang(Hang(call: call, count: count))
        return nil
    }

    /// What it says after all counts, if it is good news.
    private func afterDeadline(_ late: DeliveryReport) -> DeliveryReport {
        if late.fates.contains(.delivered) { return output.mask.masked(late) }
        return DeliveryReport(whole: .tryAgain(reason: "no answer within \(output.settings.limits.deadline.text)"), count: late.fates.count)
    }

    private func hang(_ hang: Hang) {
        hanging.withLock { $0 = hang }
        hang.call.tell(bell)
        let now = clock.now()
        state.withLock { $0.hung(Self.hangs, at: now) }
        logger.error("output hangs: it is left alone until its call returns", metadata: ["deadline": "\(output.settings.limits.deadline.text)"])
    }

    private static let hangs = "it hangs: a call has not returned at its deadline, and cannot be ended"

    /// Until the call has returned, or somebody wants something.
    private func outwait(_ hang: Hang) async {
        guard let report = hang.call.answer else { return await bell.listen(until: nil, onlyOrders: true, clock) }
        hanging.withLock { $0 = nil }
        state.withLock { $0.returned() }
        logger.notice("output no longer hangs", metadata: [:])
        if hang.count > 0 { settle(afterDeadline(report), of: hang.count) }
    }

    // MARK: - The bound

    /// Passes over the oldest where more lies behind the cursor than may.
    private func shed() {
        let now = clock.now()
        let before = state.withLock(\.counts.shed)
        state.withLock { $0.shedAged(at: now) }
        let isDue = position.withLock { position in
            let isDue = position.boundCheckedAt.map { now.instant - $0 >= .seconds(1) } ?? true
            if isDue { position.boundCheckedAt = now.instant }
            return isDue
        }
        if isDue { shedBeyondBound(now) }
        let shed = state.withLock(\.counts.shed) - before
        guard shed > 0 else { return }
        let isNew = position.withLock { position in
            defer { position.isBehindToldOf = true }
            return !position.isBehindToldOf
        }
        if isNew { logger.error("output fell behind its bound: the oldest messages are skipped", metadata: ["skipped": "\(shed)"]) }
    }

    /// What is still to be sent is what was gathered and what stands behind it. The cursor is no measure: it moves when all of a batch is settled.
    private func shedBeyondBound(_ now: Moment) {
        var excess = spool.bytes(behind: position.withLock(\.place)) + state.withLock(\.batchBytes) - output.spoolBytes
        guard excess > 0 else { return }
        excess -= state.withLock { $0.shedOldest(bytes: excess) }
        while excess > 0 {
            var place = position.withLock(\.place)
            guard let records = try? spool.read(&place, count: 256, bytes: Self.readBytes) else { break }
            let passed = records.prefix { record in
                defer { excess -= record.bytes }
                return excess > 0
            }
            guard let last = passed.last else { break }
            let messages = take(Array(passed), last.end, at: now.wall)
            state.withLock { $0.passedOver(messages.count) }
        }
    }

    // MARK: - Orders

    private func serveOrders() async {
        let (tests, isEnding) = orders.withLock { orders in
            defer { orders.tests = [] }
            return (orders.tests, orders.isEnding)
        }
        if isEnding { state.withLock { $0.end() } }
        for continuation in tests {
            let began = clock.now()
            let isFree = hanging.withLock { $0 == nil }
            let tested = isFree ? await deliver([.test(host: host, at: began.wall)], count: 0) : nil
            let report = tested ?? DeliveryReport(whole: .tryAgain(reason: Self.hangs), count: 1)
            continuation.resume(returning: Test(report: report, took: clock.now().instant - began.instant))
        }
    }

    /// Sends a marked message at once, past what waits.
    package func test() async -> Test {
        await withCheckedContinuation { continuation in
            let isTaken = orders.withLock { orders in
                guard !orders.hasEnded, orders.tests.count < 16 else { return false }
                orders.tests.append(continuation)
                return true
            }
            if isTaken { bell.ring(.orders) } else { continuation.resume(returning: Self.ended) }
        }
    }

    private static let ended = Test(report: DeliveryReport(whole: .tryAgain(reason: "the output has ended, or too many tests wait"), count: 1), took: .zero)

    /// Sends what is written down already, if the destination takes it at once, and then lets ``run()`` return.
    package func end() {
        orders.withLock { $0.isEnding = true }
        bell.ring(.orders)
    }

    /// Lets ``run()`` return within `grace`, for another one that goes on from the cursor: when what is on its way has been answered, or, draining, as
    /// ``end()`` does.
    func retire(draining: Bool, within grace: Duration) {
        orders.withLock { orders in
            if draining { orders.isEnding = true } else { orders.isRetiring = true }
        }
        lastMoment.continuation.yield(clock.now().instant + grace)
        bell.ring(.orders)
    }

    /// Returns when ``run()`` has: the cursor is on the disk and the destination closed.
    func hasEnded() async {
        await withCheckedContinuation { continuation in
            let isClosed = orders.withLock { orders in
                if !orders.isClosed { orders.waitingForEnd.append(continuation) }
                return orders.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    /// Does not wait for a destination that cannot be opened at once: it is when it answers again.
    package func reopen() async {
        guard hanging.withLock({ $0 == nil }) else { return }
        let destination = output.destination
        _ = await PatientCall { await destination.reopen() }.lastWord(within: Self.timeToEnd, clock)
    }

    // MARK: - Status

    package var status: JSON {
        let now = clock.now()
        let state = state.withLock(\.self)
        let newest = (try? spool.last())?.seq ?? 0
        let (committed, settled, missing, problem) = position.withLock { ($0.committed.seq, $0.settledPlace, $0.missing, $0.trouble ?? $0.problem) }
        var object: JSONObject = [
            "name": .text(output.name), "type": .text(type(of: output.destination).kind), "place": .text(output.mask.masked(output.destination.place)),
            "state": .text(word(state, now.instant)), "acknowledged": .integer(committed), "behind": .integer(max(0, newest - committed)),
            "behind_bytes": .integer(Int64(spool.bytes(behind: settled))), "sent": .integer(Int64(state.counts.sent)), "retried": .integer(Int64(state.counts.retried)),
            "dead": .integer(Int64(state.counts.dead)), "shed": .integer(Int64(state.counts.shed)), "missing": .integer(Int64(missing)),
        ]
        object.append("last_success", state.lastSuccess.map { .text("\($0)") })
        if let (time, reason) = state.lastError { object.append("last_error", ["time": .text("\(time)"), "reason": .text(reason)]) }
        if case .open(let until) = state.breaker(at: now.instant) { object.append("next_try", .text("\(now.wall + (until - now.instant))")) }
        object.append("problem", problem.map(JSON.text))
        return .object(object)
    }

    private func word(_ state: CourierState, _ now: ContinuousClock.Instant) -> String {
        if state.isHanging { return "hangs" }
        if position.withLock(\.isUnknown) { return "down" }
        if state.failures == 0 { return "ok" }
        return state.breaker(at: now) == .closed ? "retrying" : "down"
    }
}

extension SecretMask {
    /// Whatever a library or a receiver said, it is one harmless line of a bounded length without our secrets.
    func masked(_ report: DeliveryReport) -> DeliveryReport { report.mapped { maskedExcerpts($0).escapedForDisplay.cut(to: 500) } }

    /// For a destination that has a secret which nobody else knows; the rest is still to be masked.
    func maskedInPart(_ report: DeliveryReport) -> DeliveryReport { report.mapped { maskedExcerpts($0, keepsMarks: true) } }
}

extension DeliveryReport {
    /// Every text in it, changed.
    fileprivate func mapped(_ change: (String) -> String) -> DeliveryReport {
        // Of a batch most say the same.
        var known: [String: String] = [:]
        func line(_ text: String) -> String {
            if let line = known[text] { return line }
            let line = change(text)
            known[text] = line
            return line
        }
        var report = self
        report.answer = answer.map(line)
        report.refusal = refusal.map { Refusal(count: $0.count, reason: line($0.reason)) }
        report.missing = missing.map(line)
        report.fates = fates.map { fate in
            switch fate {
            case .delivered: fate
            case .tryAgain(let reason, let after): .tryAgain(reason: line(reason), after: after)
            case .rejected(let reason): .rejected(reason: line(reason))
            }
        }
        return report
    }
}
