package import RiposteCore

/// One destination's work as a value: gathers a batch, hands it over, tries again, and lets the cursor move when all of it is settled. No clock, no
/// disk, no network: it is told what happened and says what to do next.
package struct CourierState: Sendable {
    package struct Settings: Sendable, Equatable {
        package var limits: BatchLimits
        /// The wait behind the first failure; it doubles with each further one.
        package var firstWait: Duration
        package var longestWait: Duration
        /// What a receiver may ask for with `Retry-After`.
        package var longestAskedWait = Duration.seconds(3600)
        /// So many failures in a row, and only single messages are sent to see whether it is back.
        package var breaksAfter = 3
        /// Older messages are not worth sending any more.
        package var maximumAge: Duration

        package init(
            limits: BatchLimits, firstWait: Duration = .seconds(1), longestWait: Duration = .seconds(300), maximumAge: Duration = .seconds(7 * 86400)
        ) {
            self.limits = limits
            self.firstWait = firstWait
            self.longestWait = longestWait
            self.maximumAge = maximumAge
        }
    }

    package enum Step: Sendable, Equatable {
        /// Read on in the journal, so many records.
        case read(count: Int)
        /// There is nothing to read: until the journal grows, or until then.
        case listen(until: ContinuousClock.Instant?)
        /// Hand over the first so many of ``batch``.
        case deliver(count: Int)
        /// All that was read is settled: the cursor may move to where reading stands.
        case commit
        /// The destination is not ready; nothing but an end interrupts this.
        case rest(until: ContinuousClock.Instant)
        case stop
    }

    /// What is not for this destination, and why.
    package struct DeadLetter: Sendable {
        package enum Subject: Sendable {
            case message(OutputMessage)
            /// So many among those from the first to the last, which were delivered together; which ones nobody says.
            case some(Int, of: Int, first: OutputMessage, last: OutputMessage)
        }

        package var subject: Subject
        package var reason: String
        package var time: Timestamp
    }

    package enum Breaker: Sendable, Equatable {
        case closed
        /// Waits for the next try.
        case open(until: ContinuousClock.Instant)
        /// Tries with one message.
        case halfOpen
    }

    package struct Counts: Sendable, Equatable {
        package var sent = 0
        /// Handed over once more, each time.
        package var retried = 0
        package var dead = 0
        /// Not sent, because they lay too far back.
        package var shed = 0
    }

    private enum Phase: Sendable {
        /// `isDry`: the journal's end was reached.
        case gathering(isDry: Bool)
        case delivering
        case settled
    }

    package let settings: Settings
    package private(set) var batch: [OutputMessage] = []
    package private(set) var counts = Counts()
    package private(set) var failures = 0
    package private(set) var lastSuccess: Timestamp?
    package private(set) var lastError: (time: Timestamp, reason: String)?
    private var phase = Phase.gathering(isDry: false)
    package private(set) var batchBytes = 0
    /// A call of the destination's has not returned, although it was to end: nothing else is handed over until it has.
    package private(set) var isHanging = false
    private var firstAt: ContinuousClock.Instant?
    private var restsUntil: ContinuousClock.Instant?
    /// How many go into the next delivery.
    private var width: Int
    private var isEnding = false
    private var random: SplitMix

    package init(_ settings: Settings, seed: UInt64) {
        self.settings = settings
        width = settings.limits.count
        random = SplitMix(seed)
    }

    // MARK: - What to do

    package func next(at now: ContinuousClock.Instant) -> Step {
        switch phase {
        case .gathering(let isDry):
            if isFull { return deliverOrRest(now) }
            guard isDry else { return .read(count: Self.readCount) }
            guard let firstAt else { return isEnding ? .stop : .listen(until: nil) }
            let end = firstAt + settings.limits.linger
            return now >= end || isEnding ? deliverOrRest(now) : .listen(until: end)
        case .delivering: return deliverOrRest(now)
        case .settled: return .commit
        }
    }

    private static let readCount = 256
    private var isFull: Bool { batch.count >= settings.limits.count || batchBytes >= settings.limits.bytes }

    private func deliverOrRest(_ now: ContinuousClock.Instant) -> Step {
        guard let restsUntil, restsUntil > now else { return .deliver(count: deliveryCount) }
        return isEnding ? .stop : .rest(until: restsUntil)
    }

    /// As many as fit, by number and by bytes, and one at least.
    private var deliveryCount: Int {
        var (count, bytes) = (0, 0)
        for message in batch.prefix(min(width, settings.limits.count)) {
            bytes += message.size
            if count > 0, bytes > settings.limits.bytes { break }
            count += 1
        }
        return count
    }

    package func breaker(at now: ContinuousClock.Instant) -> Breaker {
        guard failures >= settings.breaksAfter else { return .closed }
        if let restsUntil, restsUntil > now { return .open(until: restsUntil) }
        return .halfOpen
    }

    // MARK: - What happened

    /// Reading brought these messages, in order, of so many records; of none: the journal's end is reached.
    package mutating func took(_ messages: [OutputMessage], of records: Int, at now: Moment) {
        let oldest = now.wall + (.zero - settings.maximumAge)
        for message in messages {
            guard message.time >= oldest else {
                counts.shed += 1
                continue
            }
            batch.append(message)
            batchBytes += message.size
        }
        if batch.isEmpty {
            phase = records == 0 && messages.isEmpty ? .gathering(isDry: true) : .settled
        } else {
            if firstAt == nil { firstAt = now.instant }
            phase = .gathering(isDry: records == 0)
        }
    }

    /// The journal has grown, or a summary is due.
    package mutating func heard() {
        if case .gathering = phase { phase = .gathering(isDry: false) }
    }

    /// A call does not return, and cannot be ended.
    package mutating func hung(_ reason: String, at now: Moment) {
        isHanging = true
        note(reason, at: now)
    }

    /// It has returned after all.
    package mutating func returned() { isHanging = false }

    /// What became of the first `count` messages of the batch.
    package mutating func delivered(_ count: Int, _ report: DeliveryReport, at now: Moment) -> [DeadLetter] {
        phase = .delivering
        let missing = DeliveryReport.Fate.tryAgain(reason: "the destination told of \(report.fates.count) of \(count) messages")
        let fates = report.fates.prefix(count) + Array(repeating: missing, count: max(0, count - report.fates.count))
        if report.isWhole, count > 1, case .rejected(let reason)? = fates.first {
            // One of them, or all: the halves will tell.
            note(reason, at: now)
            width = max(1, count / 2)
            return []
        }
        var (kept, dead, wait): ([OutputMessage], [DeadLetter], Duration?) = ([], [], nil)
        var isProgress = false
        for (message, fate) in zip(batch, fates) {
            switch fate {
            case .delivered:
                counts.sent += 1
                isProgress = true
                lastSuccess = now.wall
            case .rejected(let reason):
                counts.dead += 1
                isProgress = true
                note(reason, at: now)
                dead.append(DeadLetter(subject: .message(message), reason: reason, time: now.wall))
            case .tryAgain(let reason, let after):
                counts.retried += 1
                note(reason, at: now)
                kept.append(message)
                wait = max(wait ?? .zero, after ?? .zero)
            }
        }
        if let refusal = report.refusal, refusal.count < count, let first = batch.first { dead.append(refused(refusal, of: count, from: first, at: now)) }
        if let missing = report.missing, let first = batch.first { dead.append(missed(missing, of: count, from: first, at: now)) }
        replaceBatch(with: kept + batch.dropFirst(count))
        if let wait { failed(wait, isProgress, at: now) } else { succeeded(dead.isEmpty) }
        return dead
    }

    private mutating func refused(_ refusal: DeliveryReport.Refusal, of count: Int, from first: OutputMessage, at now: Moment) -> DeadLetter {
        counts.sent -= refusal.count
        counts.dead += refusal.count
        note(refusal.reason, at: now)
        return DeadLetter(subject: .some(refusal.count, of: count, first: first, last: batch[count - 1]), reason: refusal.reason, time: now.wall)
    }

    /// It counts as sent, too: somebody has it.
    private mutating func missed(_ reason: String, of count: Int, from first: OutputMessage, at now: Moment) -> DeadLetter {
        counts.dead += count
        note(reason, at: now)
        return DeadLetter(subject: count == 1 ? .message(first) : .some(count, of: count, first: first, last: batch[count - 1]), reason: reason, time: now.wall)
    }

    private mutating func failed(_ asked: Duration, _ isProgress: Bool, at now: Moment) {
        failures = isProgress ? 1 : failures + 1
        if !settings.limits.staysTogether { width = failures >= settings.breaksAfter ? 1 : max(1, width / 2) }
        restsUntil = now.instant + max(backOff(), min(asked, settings.longestAskedWait))
    }

    private mutating func succeeded(_ isClean: Bool) {
        failures = 0
        restsUntil = nil
        if isClean { width = min(settings.limits.count, width * 2) }
    }

    /// Doubled with each failure, and then half of it by chance, so that many agents do not come back at the same moment.
    private mutating func backOff() -> Duration {
        let doublings = min(failures - 1, 30)
        let full = min(settings.firstWait.wholeNanoseconds.multipliedReportingOverflow(by: 1 << doublings), settings.longestWait.wholeNanoseconds)
        return .nanoseconds(full / 2 + Int64.random(in: 0...max(1, full / 2), using: &random))
    }

    private func min(_ scaled: (partialValue: Int64, overflow: Bool), _ limit: Int64) -> Int64 {
        scaled.overflow ? limit : Swift.min(scaled.partialValue, limit)
    }

    private func min<Value: Comparable>(_ left: Value, _ right: Value) -> Value { Swift.min(left, right) }

    /// The cursor stands where reading does.
    package mutating func committed() {
        phase = .gathering(isDry: false)
        firstAt = nil
    }

    // MARK: - What is given up

    /// Lets go of what is older than it may be. Before each try: while a destination is away, time passes.
    package mutating func shedAged(at now: Moment) {
        let oldest = now.wall + (.zero - settings.maximumAge)
        guard batch.contains(where: { $0.time < oldest }) else { return }
        shed { $0.time < oldest }
    }

    /// Lets go of the oldest that were gathered, of so many bytes or as many as there are. Returns how many those were.
    package mutating func shedOldest(bytes: Int) -> Int {
        var (gone, count) = (0, 0)
        for message in batch {
            guard gone < bytes else { break }
            gone += message.size
            count += 1
        }
        counts.shed += count
        if count > 0 { replaceBatch(with: Array(batch.dropFirst(count))) }
        return gone
    }

    /// So many more were passed over unread.
    package mutating func passedOver(_ count: Int) { counts.shed += count }

    private mutating func shed(_ isGone: (OutputMessage) -> Bool) {
        let kept = batch.filter { !isGone($0) }
        counts.shed += batch.count - kept.count
        replaceBatch(with: kept)
    }

    private mutating func replaceBatch(with messages: [OutputMessage]) {
        batch = messages
        batchBytes = messages.reduce(0) { $0 + $1.size }
        if messages.isEmpty { phase = .settled }
    }

    private mutating func note(_ reason: String, at now: Moment) { lastError = (now.wall, reason) }

    /// What is written down already is sent, if the destination takes it at once; then comes ``Step/stop``.
    package mutating func end() { isEnding = true }
}

/// Numbers by chance that can be had again: SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
