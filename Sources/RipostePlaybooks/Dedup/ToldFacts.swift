package import RiposteCore

/// What alerts of late have told and runs were made of, so that the same fact told again, by the same or another source, makes no second run.
package struct ToldFacts: EngineStatePart {
    /// One fact, as the first alert told it.
    package struct Fact: Sendable, Equatable {
        package var alert: Identifier
        /// Who answers it; nil: records of before do not say.
        var playbook: String?
        /// When it happened, as that alert says.
        var event: Timestamp
        /// When the process began, where the alert says so.
        var started: Timestamp?
        var intake: String
        var isTrusted: Bool
        var length: Duration
        /// Until then its being told again counts as that.
        var until: Timestamp
        /// How often it was told again.
        package var repeats = 0
    }

    /// An alert that may tell a fact again.
    struct Telling {
        var event: Timestamp
        var started: Timestamp?
        var intake: String
        var isTrusted: Bool
        var arrival: Timestamp
        /// A process that does the same thing twice has done two things: for whoever counts.
        var countsEach: Bool
    }

    /// Two sources that see one event may give it times that are so far apart; and the start of one process.
    private static let clockDifference = Duration.seconds(1)
    private static let limit = 16384
    private static let factsPerKey = 8

    private var facts = Recent<String, [Fact]>(limit: limit)
    /// The keys of an alert's facts.
    private var keys = Recent<Identifier, [String]>(limit: limit)

    package init() {}

    // MARK: - Questions

    /// The fact that `telling` tells again, where it does.
    func first(_ key: String, _ telling: Telling) -> Fact? { facts[key]?.first { $0.isTold(by: telling) } }

    package func repeats(of alert: Identifier) -> Int { keys[alert]?.compactMap { key in facts[key]?.first { $0.alert == alert }?.repeats }.max() ?? 0 }

    // MARK: - Records

    package mutating func apply(_ record: AuditRecord) {
        switch record.kind {
        case .alert: admit(record)
        case .repeat: if let first = record.alert { change(first) { $0.repeats += 1 } }
        // What was not done may be done when it is told again.
        case .outcome: if record.outcome == .failed, !record.dryRun, let alert = record.alert { forget(alert, record.playbook) }
        default: break
        }
    }

    private mutating func admit(_ record: AuditRecord) {
        guard let alert = record.id, let arrival = record.detail["arrival"].flatMap(Alert.Arrival.init(json:)) else { return }
        for run in (record.detail["runs"]?.array ?? []) + (record.detail["counted"]?.array ?? []) {
            guard let fact = run["fact"], let key = fact.text("key"), let event = fact.time("time"), let length = fact.text("for").flatMap({ Duration(text: $0) })
            else { continue }
            put(
                Fact(
                    alert: alert, playbook: run.text("playbook"), event: event, started: fact.time("started"), intake: arrival.intake, isTrusted: arrival.trust == .trusted,
                    length: length,
                    until: record.time + length), key)
        }
    }

    private mutating func put(_ fact: Fact, _ key: String) {
        let now = fact.until + (.zero - fact.length)
        var over: [(key: String, facts: [Fact])] = []
        facts.removeOldest(while: { $0.allSatisfy { $0.until <= now } }) { over.append(($0, $1)) }
        for entry in over { forget(entry.key, of: entry.facts) }
        let known = facts[key] ?? []
        var others = known.filter { $0.until > now }
        if others.count >= Self.factsPerKey { others.removeFirst() }
        forget(key, of: known.filter { !others.contains($0) })
        if let removed = facts.insert(others + [fact], for: key) { forget(removed.key, of: removed.value) }
        let own = keys[fact.alert] ?? []
        if !own.contains(key) { keys.insert(own + [key], for: fact.alert) }
    }

    /// These facts are not under this key any more; the same alerts may have others under other keys.
    private mutating func forget(_ key: String, of facts: [Fact]) {
        for fact in facts {
            let rest = keys[fact.alert]?.filter { $0 != key } ?? []
            if rest.isEmpty { keys.remove(fact.alert) } else { keys.update(fact.alert) { $0 = rest } }
        }
    }

    private mutating func change(_ alert: Identifier, _ body: (inout Fact) -> Void) {
        for key in keys[alert] ?? [] {
            facts.update(key) { facts in for index in facts.indices where facts[index].alert == alert { body(&facts[index]) } }
        }
    }

    /// What one playbook has failed at is its own to do again: the others have answered.
    private mutating func forget(_ alert: Identifier, _ playbook: String?) {
        for key in keys[alert] ?? [] {
            let known = facts[key] ?? []
            let failed = known.filter { $0.alert == alert && ($0.playbook == nil || playbook == nil || $0.playbook == playbook) }
            guard !failed.isEmpty else { continue }
            let rest = known.filter { !failed.contains($0) }
            if rest.isEmpty { facts.remove(key) } else { facts.update(key) { $0 = rest } }
            forget(key, of: failed)
        }
    }
}

extension ToldFacts.Fact {
    /// A source that is believed less never silences one that is believed more.
    fileprivate func isTold(by telling: ToldFacts.Telling) -> Bool {
        guard telling.arrival < until, (telling.event - event).magnitude <= length, isTrusted || !telling.isTrusted else { return false }
        if let started, let other = telling.started {
            guard (started - other).magnitude <= .seconds(1) else { return false }
            if !telling.countsEach { return true }
        }
        // Without a proof that it is the same process, or where each time counts, it must be the same event.
        return telling.intake == intake ? telling.event == event : (telling.event - event).magnitude <= .seconds(1)
    }
}

extension Duration {
    var magnitude: Duration { self < .zero ? .zero - self : self }
}

// MARK: - Snapshot

extension ToldFacts {
    package var json: JSON {
        .array(
            facts.entries.map { entry in ["key": .text(entry.key), "facts": .array(entry.value.map(\.json))] as JSON })
    }

    package init?(json: JSON) {
        guard let entries = json.array else { return nil }
        var keysOfAlerts: [Identifier: [String]] = [:]
        for entry in entries {
            guard let key = entry.text("key"), let facts = entry["facts"]?.array?.compactMap(Fact.init(json:)) else { return nil }
            self.facts.insert(facts, for: key)
            for fact in facts { keysOfAlerts[fact.alert, default: []].append(key) }
        }
        for (alert, keys) in keysOfAlerts.sorted(by: { $0.key < $1.key }) { self.keys.insert(keys, for: alert) }
    }
}

extension ToldFacts.Fact {
    fileprivate var json: JSON {
        var object: JSONObject = [
            "alert": .text("\(alert)"), "time": .text("\(event)"), "intake": .text(intake), "trusted": .bool(isTrusted), "for": .text(length.text),
            "until": .text("\(until)"), "repeats": .integer(Int64(repeats)),
        ]
        object.append("started", started.map { .text("\($0)") })
        object.append("playbook", playbook.map(JSON.text))
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let alert = json.identifier("alert"), let event = json.time("time"), let intake = json.text("intake"), let isTrusted = json["trusted"]?.bool,
            let length = json.text("for").flatMap({ Duration(text: $0) }), let until = json.time("until"), let repeats = json.number("repeats")
        else { return nil }
        self.init(
            alert: alert, playbook: json.text("playbook"), event: event, started: json.time("started"), intake: intake, isTrusted: isTrusted, length: length, until: until,
            repeats: repeats)
    }
}
