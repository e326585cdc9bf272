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
    private let calls: DestinationCalls

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
        /// Where the records begin that messages were made of since the cursor last moved, and what stands before each: the cursor may move that far when all before
        /// it is settled. Not with bursts, whose counts are those of where reading stands.
        var stops: [(seq: Int64, before: Cursor, place: SpoolPlace)] = []
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
        calls = DestinationCalls(output, clock)
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

    private var isUnsaved: Bool { position.withLock { $0.saved?.cursor != $0.committed } }

    private func saveIfDue() {
        let now = clock.now().instant
        if nextSave.map({ $0 <= now }) ?? true { save() }
    }

    private func commit() {
        position.withLock { position in
            position.committed = position.last
            position.committed.bursts = position.bursts
            position.settledPlace = position.place
            position.stops = []
        }
        state.withLock { $0.committed() }
        saveIfDue()
    }

    /// Of a batch that is settled in part: up to the first record of which something is still to be sent. Whoever goes on from the cursor sends nothing before it again.
    /// At once, whole batches too: at the end nobody comes back for it.
    private func commitSettled() {
        guard let next = state.withLock(\.batch.first?.seq) else { return commit() }
        let hasMoved = position.withLock { position in
            guard let index = position.stops.firstIndex(where: { $0.seq == next }), index > 0 else { return false }
            (position.committed, position.settledPlace) = (position.stops[index].before, position.stops[index].place)
            position.stops.removeFirst(index)
            return true
        }
        if hasMoved { saveIfDue() }
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
            if calls.isHanging {
                guard !isLeaving else { break }
                await outwait()
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
                await rest(until: until)
            case .stop:
                if flushBursts() { continue }
                return await finish()
            }
        }
        await finish()
    }

    /// It may take long until the rest of a batch is taken: what is settled of it comes to the disk meanwhile.
    private func rest(until end: ContinuousClock.Instant) async {
        if isUnsaved { saveIfDue() }
        let nextSave = isUnsaved ? nextSave : nil
        await bell.listen(until: nextSave.map { min($0, end) } ?? end, onlyOrders: true, clock)
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
        if await !calls.close() { logger.error("output cannot be closed: it is left to itself", metadata: [:]) }
        recent.removeReader(reader)
        let waitingForEnd = orders.withLock { orders in
            defer { orders.waitingForEnd = [] }
            orders.isClosed = true
            return orders.waitingForEnd
        }
        for continuation in waitingForEnd { continuation.resume() }
    }

    private func read(_ count: Int) async {
        let now = clock.now()
        // With bursts the cursor moves when all that was read is settled, and not before.
        let count = output.grouping == nil ? count : min(count, max(16, output.settings.limits.count))
        var place = position.withLock(\.place)
        let held: [SpoolRecord]?
        let records: [SpoolRecord]
        do {
            held = try recent.read(&place, reader: reader, count: count, bytes: Self.readBytes)
            records = try held ?? recent.readBehind(&place, count: count, bytes: Self.readBytes)
        } catch {
            note("\(Self.unreadable): \(error)")
            // Summaries do not wait for the journal.
            let messages = take([], place, at: now.wall)
            return state.withLock { $0.took(messages, of: 0, at: now) }
        }
        position.withLock { position in
            if position.trouble?.hasPrefix(Self.unreadable) == true { position.trouble = nil }
        }
        // Far behind, from the disk: between two pieces everybody else has their turn.
        if held == nil { await Task.yield() }
        let messages = take(records, place, at: now.wall)
        state.withLock { $0.took(messages, of: records.count, at: now) }
    }

    private static let readBytes = 256 << 10
    private static let unreadable = "the journal cannot be read"

    /// What is to be sent of records, and of bursts whose time has come. Reading stands behind them.
    private func take(_ records: [SpoolRecord], _ place: SpoolPlace, at now: Timestamp, summariesToo: Bool = true) -> [OutputMessage] {
        position.withLock { position in
            var messages: [OutputMessage] = []
            if summariesToo, position.isRegrouped {
                messages = position.bursts.flush(host: host, at: now)
                position.isRegrouped = false
            }
            if summariesToo, let grouping = output.grouping { messages += position.bursts.due(at: now, grouping, host: host) }
            for record in records {
                position.missing += max(0, Int(record.seq - position.last.seq - 1))
                let before = position.last
                position.last = Cursor(behind: record)
                let made = output.route.messages(of: record, for: output.name, host: host)
                if !made.isEmpty, output.grouping == nil { position.stops.append((record.seq, before, record.start)) }
                for message in made {
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
            (output.grouping.flatMap { position.bursts.nextDue(at: now.wall, $0) }, position.saved?.cursor != position.committed, position.trouble != nil)
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
        defer { commitSettled() }
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

    /// Nil where the call does not end: then it hangs.
    private func deliver(_ batch: [OutputMessage], count: Int) async -> DeliveryReport? {
        if let report = await calls.deliver(batch, count: count, bell) { return report }
        let now = clock.now()
        state.withLock { $0.hung(Self.hangs, at: now) }
        logger.error("output hangs: it is left alone until its call returns", metadata: ["deadline": "\(output.settings.limits.deadline.text)"])
        return nil
    }

    private static let hangs = "it hangs: a call has not returned at its deadline, and cannot be ended"

    /// Until the call has returned, or somebody wants something.
    private func outwait() async {
        guard let (report, count) = calls.takeReturned() else { return await bell.listen(until: nil, onlyOrders: true, clock) }
        state.withLock { $0.returned() }
        logger.notice("output no longer hangs", metadata: [:])
        if count > 0 { settle(report, of: count) }
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
            // Summaries that are due are told, and not passed over with the rest.
            let messages = take(Array(passed), last.end, at: now.wall, summariesToo: false)
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
            let tested = calls.isHanging ? nil : await deliver([.test(host: host, at: began.wall)], count: 0)
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
    package func reopen() async { await calls.reopen() }

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
