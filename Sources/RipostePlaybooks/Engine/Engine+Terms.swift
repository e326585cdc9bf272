internal import RiposteCore
internal import Synchronization

/// When something that has an end is over by the clock that nobody sets, beside the end on the wall clock.
///
/// While the agent runs, what comes first counts: a clock that is set back makes nothing last longer than was said. After a restart only the wall clock is left to go by;
/// but nothing then has more than its whole length before it.
struct TermClock: Sendable, Equatable {
    var end: Timestamp
    var uptime: Duration

    init(since: Timestamp, until end: Timestamp, now: Timestamp, uptime: Duration) {
        (self.end, self.uptime) = (end, uptime + min(end - now, end - since))
    }

    /// What time it is for this: what the wall clock says, and the end where that much time has passed.
    func time(at now: Timestamp, uptime: Duration) -> Timestamp { uptime >= self.uptime ? max(now, end) : now }

    /// When the wall clock, as it stands, will show that it is over.
    func end(at now: Timestamp, uptime: Duration) -> Timestamp { min(end, Engine.time(now, in: self.uptime - uptime)) }
}

/// What ends by itself and is no undo and no question: those have clocks of their own.
enum Term: Hashable, Sendable {
    case mode(ModeTable.Scope)
    /// By the target's key.
    case pardon(String)
    /// Of quiet, after which a breaker is half-open; by its name.
    case breaker(String)
}

extension Engine.Interior {
    /// At the start.
    mutating func startTerms(now: Timestamp, uptime: Duration) {
        for scope in state.modes.settings.keys { start(.mode(scope), now: now, uptime: uptime) }
        for key in state.pardons.granted.keys { start(.pardon(key), now: now, uptime: uptime) }
        for breaker in state.breakers.all { start(.breaker(breaker.name), now: now, uptime: uptime) }
        cooldowns = CooldownClocks(state.lastActed, wall: now, at: uptime)
    }

    /// After a record that the state has taken.
    mutating func startTerms(of record: AuditRecord, now: Timestamp, uptime: Duration) {
        switch record.kind {
        // A proposal changes nothing yet.
        case .mode: if record.detail.text("state") != "proposed", let scope = ModeTable.Scope(record) { start(.mode(scope), now: now, uptime: uptime) }
        case .brake:
            if record.detail["pardon"] != nil, let target = record.target { start(.pardon(target.key), now: now, uptime: uptime) }
            if let name = record.detail["breaker"]?.string?.repaired { start(.breaker(name), now: now, uptime: uptime) }
        case .outcome:
            if let name = record.detail["held_back_by"]?.string?.repaired { start(.breaker(name), now: now, uptime: uptime) }
            cooldowns.follow(record, state.lastActed, wall: now, at: uptime)
        default: break
        }
    }

    private mutating func start(_ term: Term, now: Timestamp, uptime: Duration) {
        let count = state.modes.settings.count + state.pardons.granted.count + state.breakers.count
        if terms.count > 2 * count + 64 { terms = terms.filter { span(of: $0.key) != nil } }
        terms[term] = span(of: term).map { TermClock(since: $0.since, until: $0.end, now: now, uptime: uptime) }
    }

    /// Nil: there is no such thing, or it has no end.
    private func span(of term: Term) -> (since: Timestamp, end: Timestamp)? {
        switch term {
        case .mode(let scope): state.modes.settings[scope].flatMap { setting in setting.until.map { (setting.since, $0) } }
        case .pardon(let key): state.pardons.granted[key].map { ($0.since, $0.until) }
        case .breaker(let name): state.breakers[name].flatMap { breaker in breaker.halfOpens.map { (breaker.lastAsked, $0) } }
        }
    }

    func isOver(_ term: Term, at uptime: Duration) -> Bool { terms[term].map { $0.uptime <= uptime } ?? false }

    /// When the wall clock, as it stands, will show that it is over, where it ends.
    func end(of term: Term, at now: Timestamp, uptime: Duration) -> Timestamp? { terms[term]?.end(at: now, uptime: uptime) }

    /// Without those whose time has passed, whatever the wall clock says.
    func modes(at uptime: Duration) -> ModeTable {
        // Asked for each step: nothing is copied where nothing is over.
        guard state.modes.settings.keys.contains(where: { isOver(.mode($0), at: uptime) }) else { return state.modes }
        return state.modes.without { isOver(.mode($0), at: uptime) }
    }
}

/// When each cool-down began, by the clock that nobody sets: it is as long as it says, whatever becomes of the wall clock. That is asked once, at the start.
struct CooldownClocks: Sendable {
    private var began: [EngineState.CooldownKey: Duration] = [:]

    init() {}

    /// What lies in the future, as after a clock that was set back, counts as if of now.
    init(_ lastActed: [EngineState.CooldownKey: Timestamp], wall now: Timestamp, at uptime: Duration) {
        began = lastActed.mapValues { uptime - max(.zero, now - $0) }
    }

    /// Nil: none has begun.
    subscript(key: EngineState.CooldownKey) -> Duration? { began[key] }

    /// Takes over what the record of an outcome has begun.
    mutating func follow(_ record: AuditRecord, _ lastActed: [EngineState.CooldownKey: Timestamp], wall now: Timestamp, at uptime: Duration) {
        guard let key = EngineState.CooldownKey(begunBy: record), let last = lastActed[key] else { return }
        // What was found out after a restart was done before it.
        let time = record.actor?.kind == .recovery ? last : record.time
        let moment = uptime - max(.zero, now - time)
        began[key] = max(moment, began[key] ?? moment)
        if began.count > 2 * lastActed.count + 64 { began = began.filter { lastActed[$0.key] != nil } }
    }
}

// MARK: - What is asked

extension Engine {
    /// What persons have set and is still in force.
    var modesSet: ModeTable {
        let uptime = surroundings.uptime()
        return state.withLock { $0.modes(at: uptime) }
    }

    /// When the first of these will be over, by whichever clock comes first.
    func firstEnd(of terms: (Interior) -> [Term]) -> Timestamp? {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        return state.withLock { interior in terms(interior).compactMap { interior.end(of: $0, at: now, uptime: uptime) }.min() }
    }
}
