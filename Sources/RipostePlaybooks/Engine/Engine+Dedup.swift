internal import RiposteCore
internal import Synchronization

extension Engine {
    /// What is to become of an alert: decided before any of it is written, from what was written before.
    struct Admission {
        struct Run {
            var id: Identifier
            var playbook: Playbook
            /// For the record: what it tells, so that its being told again is noticed.
            var fact: JSON?
            /// The tally that is used up, and the alerts that were in it.
            var tally: (key: String, evidence: [Identifier])?
        }

        var runs: [Run] = []
        /// Playbooks that have answered this fact, with the alert that told it first.
        var repeats: [(playbook: String, first: Identifier)] = []
        /// For the record: what counts for a playbook's threshold and does not reach it.
        var counted: [JSON] = []
    }

    /// Of the playbooks that fit: which run, which have answered this fact already, and which only count. Asked under the lock of admissions.
    func decide(_ alert: Alert, _ subject: AlertSubject, _ playbooks: [Playbook]) -> Admission {
        var admission = Admission()
        for playbook in playbooks {
            let dedup = dedup(of: playbook)
            let key = dedup.length == nil ? nil : subject.key(alert, dedup, for: playbook)
            if let key, let first = first(key, alert, subject, playbook) {
                admission.repeats.append((playbook.name, first))
                if playbook.isFinal { break }
                continue
            }
            let fact = key.flatMap { key in dedup.length.map { Self.fact(key, alert, subject, $0) } }
            if let threshold = playbook.match.threshold {
                let tally = threshold.key(alert, for: playbook.name)
                let counted = state.withLock { $0.state.tallies.counted(tally, within: threshold.within, of: alert.time) }
                guard counted.count + 1 >= threshold.count else {
                    admission.counted.append(Self.count(tally, alert, threshold, playbook, counted.count + 1, fact))
                    continue
                }
                admission.runs.append(
                    .init(id: surroundings.newIdentifier(), playbook: playbook, fact: fact, tally: (tally, counted.map(\.alert).suffix(threshold.count - 1))))
            } else {
                admission.runs.append(.init(id: surroundings.newIdentifier(), playbook: playbook, fact: fact))
            }
            if playbook.isFinal { break }
        }
        return admission
    }

    private func dedup(of playbook: Playbook) -> Dedup {
        guard !configuration.isByHand else { return Dedup(length: nil, by: []) }
        return playbook.dedup ?? Dedup(length: configuration.dedup, by: Dedup.standard.by)
    }

    /// The alert that told this fact first. What the kernel has done is put on record whoever told of it before.
    private func first(_ key: String, _ alert: Alert, _ subject: AlertSubject, _ playbook: Playbook) -> Identifier? {
        guard KernelAnswer(alert, to: playbook.name) == nil else { return nil }
        let telling = ToldFacts.Telling(
            event: alert.time, started: subject.started, intake: alert.arrival.intake, isTrusted: alert.arrival.trust == .trusted, arrival: alert.arrival.time,
            countsEach: playbook.match.threshold != nil)
        return state.withLock { $0.state.facts.first(key, telling)?.alert }
    }

    private static func fact(_ key: String, _ alert: Alert, _ subject: AlertSubject, _ length: Duration) -> JSON {
        var object: JSONObject = ["key": .text(key), "time": .text("\(alert.time)"), "for": .text(length.text)]
        object.append("started", subject.started.map { .text("\($0)") })
        return .object(object)
    }

    private static func count(_ key: String, _ alert: Alert, _ threshold: Threshold, _ playbook: Playbook, _ count: Int, _ fact: JSON?) -> JSON {
        var object: JSONObject = [
            "playbook": .text(playbook.name), "key": .text(key), "time": .text("\(alert.time)"), "within": .text(threshold.within.text),
            "count": .integer(Int64(count)), "of": .integer(Int64(threshold.count)),
        ]
        object.append("fact", fact)
        return .object(object)
    }
}
