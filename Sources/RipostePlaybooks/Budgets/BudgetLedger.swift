package import RiposteCore

/// Every act of the last seven days, as the journal tells: what budgets are held against after a restart too.
///
/// An act counts when it is done, and when nobody can say that it was not: a timeout, a lost answer, a part of its target, a deed that hangs, an intent whose
/// outcome the agent did not live to see. What was refused, so already, or had ended before is given back.
package struct BudgetLedger: EngineStatePart, Equatable {
    package struct Act: Sendable, Equatable {
        package var time: Timestamp
        package var spend: Spend
    }

    /// More acts than this within the horizon are not kept one by one: ``forgotten`` counts them, against every budget whose window reaches so far back.
    static let actLimit = 65536
    private static let oldLimit = 256

    package private(set) var acts: [Act] = []
    /// How many were counted ever: whoever follows takes the newest ones.
    private(set) var total = 0
    /// Announced, and no outcome yet.
    private(set) var open: [Identifier: Spend] = [:]
    private(set) var forgotten: (count: Int, newest: Timestamp)?

    package init() {}

    package static func == (left: BudgetLedger, right: BudgetLedger) -> Bool { left.json == right.json }

    package mutating func apply(_ record: AuditRecord) {
        guard !record.dryRun, record.undoes == nil, let id = record.id else { return }
        switch record.kind {
        case .intent: if let spend = Spend(record) { open[id] = spend }
        case .outcome:
            guard let spend = open.removeValue(forKey: id) ?? Spend(record), Self.counts(record) else { return }
            count(Act(time: record.time, spend: spend))
        default: break
        }
    }

    static func counts(_ record: AuditRecord) -> Bool {
        if record.outcome == .done || record.actor?.kind == .recovery || record.detail["hanging"]?.bool == true { return true }
        return record.mayHaveActed || record.outcome == .failed && [.partial, .timeout, .unknown].contains(record.failure)
    }

    private mutating func count(_ act: Act) {
        acts.append(act)
        total += 1
        if let forgotten, act.time - forgotten.newest > Budget.horizon { self.forgotten = nil }
        let old = acts.prefix { act.time - $0.time > Budget.horizon }.count
        // Seldom, as it moves all the others; windows are no longer than the horizon, so that a few too old ones count nowhere.
        if old >= Self.oldLimit { acts.removeFirst(old) }
        guard acts.count > Self.actLimit else { return }
        // In one go and seldom: a limit's worth of acts in a week is no week to be proud of.
        let dropped = acts.prefix(Self.actLimit / 8)
        let newest = dropped.map(\.time).max() ?? act.time
        forgotten = ((forgotten?.count ?? 0) + dropped.count, max(newest, forgotten?.newest ?? newest))
        acts.removeFirst(dropped.count)
    }

    /// When a playbook acted, oldest first.
    package func times(ofPlaybook name: String) -> [Timestamp] { acts.filter { $0.spend.playbook == name }.map(\.time) }
}

extension AuditRecord {
    /// Of an outcome that is not `done`: nobody can say that the deed did not take place.
    var mayHaveActed: Bool { detail["may_have_acted"]?.bool == true }
}

extension BudgetLedger {
    package var json: JSON {
        var object: JSONObject = [
            "acts": .array(acts.map { ["ts": .text("\($0.time)"), "spend": $0.spend.json] }),
            "open": .array(open.sorted { $0.key < $1.key }.map { ["id": .text("\($0.key)"), "spend": $0.value.json] }),
        ]
        object.append("forgotten", forgotten.map { ["count": .integer(Int64($0.count)), "newest": .text("\($0.newest)")] })
        return .object(object)
    }

    package init?(json: JSON) {
        guard let acts = json["acts"]?.array, let open = json["open"]?.array else { return nil }
        for json in acts {
            guard let time = json["ts"]?.string.flatMap({ Timestamp($0.bytes) }), let spend = json["spend"].flatMap(Spend.init(json:)) else { return nil }
            self.acts.append(Act(time: time, spend: spend))
        }
        for json in open {
            guard let id = json["id"]?.string?.valid.flatMap({ Identifier($0) }), let spend = json["spend"].flatMap(Spend.init(json:)) else { return nil }
            self.open[id] = spend
        }
        total = self.acts.count
        if let json = json["forgotten"] {
            guard let count = json["count"]?.integer, let newest = json["newest"]?.string.flatMap({ Timestamp($0.bytes) }) else { return nil }
            forgotten = (Int(count), newest)
        }
    }
}
