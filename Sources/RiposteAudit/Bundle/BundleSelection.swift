package import RiposteCore

/// Which records belong to a bundle: those that are asked for, and all that are tied to one of them by the id of an alert, a run or an action.
package struct BundleSelection: Sendable, Equatable {
    package enum Seed: Sendable, Equatable {
        case incident(Identifier)
        case alert(Identifier)
        case time(since: Timestamp, until: Timestamp?)
    }

    package let seed: Seed
    private var linked: Set<Identifier> = []

    package init(_ seed: Seed) {
        self.seed = seed
        switch seed {
        case .incident(let id), .alert(let id): linked = [id]
        case .time: break
        }
    }

    /// How many ids are known to belong: where this grows during a reading, records before may belong as well.
    var reach: Int { linked.count }

    /// Whether a record belongs; learns the ids of what does.
    mutating func take(_ record: AuditRecord) -> Bool {
        // Checkpoints are no part of what happened; those that prove it come along on their own.
        guard record.kind != .checkpoint else { return false }
        let ids = Self.ids(of: record)
        guard isAsked(record) || !linked.isDisjoint(with: ids) else { return false }
        linked.formUnion(ids)
        return true
    }

    private func isAsked(_ record: AuditRecord) -> Bool {
        switch seed {
        case .incident(let id): record.incident == id
        case .alert: false
        case .time(let since, let until): record.time >= since && until.map { record.time <= $0 } ?? true
        }
    }

    /// The ids by which a record hangs together with others. Not its incident's: one alert that is asked for must not bring its whole incident along.
    private static func ids(of record: AuditRecord) -> [Identifier] {
        let runs = record.detail["runs"]?.array?.compactMap { $0["run"]?.string?.valid.flatMap { Identifier($0) } } ?? []
        return [record.id, record.run, record.alert, record.undoes].compactMap(\.self) + runs
    }
}

extension BundleSelection.Seed {
    var json: JSON {
        switch self {
        case .incident(let id): ["incident": .text("\(id)")]
        case .alert(let id): ["alert": .text("\(id)")]
        case .time(let since, let until): ["since": .text("\(since)"), "until": until.map { .text("\($0)") } ?? .null]
        }
    }

    init?(json: JSON) {
        func identifier(_ key: ByteText) -> Identifier? { json[key]?.string?.valid.flatMap { Identifier($0) } }
        func time(_ key: ByteText) -> Timestamp? { json[key]?.string.flatMap { Timestamp($0.bytes) } }
        if let id = identifier("incident") {
            self = .incident(id)
        } else if let id = identifier("alert") {
            self = .alert(id)
        } else if let since = time("since") {
            self = .time(since: since, until: time("until"))
        } else {
            return nil
        }
    }

    /// For a heading.
    var title: String {
        switch self {
        case .incident(let id): "Incident \(id)"
        case .alert(let id): "Alert \(id)"
        case .time(let since, let until): "\(since.clock) to \(until?.clock ?? "the end")"
        }
    }
}

extension Timestamp {
    /// To the second, for people.
    var clock: String { "\(description.prefix(10)) \(description.dropFirst(11).prefix(8)) UTC" }

    /// The time of day to the millisecond.
    var clockOfDay: String { String(description.dropFirst(11).prefix(12)) }
}
