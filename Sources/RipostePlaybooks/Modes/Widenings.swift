package import RiposteCore

/// Wishes to let something that destroys act by itself, which wait for a second person. A plain value that follows from the records.
package struct Widenings: EngineStatePart, Equatable {
    package struct Proposal: Sendable, Equatable {
        /// What is wished for, in words: the second person must wish for the same.
        package var wish: String
        package var actor: AuditRecord.Actor
        package var reason: String?
        package var since: Timestamp
        /// After that it counts no more.
        package var until: Timestamp
    }

    /// Those that end first make room.
    static let limit = 256

    package private(set) var proposals: [String: Proposal] = [:]

    package init() {}

    /// What waits at `now`, the oldest first.
    package func waiting(at now: Timestamp) -> [Proposal] { proposals.values.filter { $0.until > now }.sorted { ($0.since, $0.wish) < ($1.since, $1.wish) } }

    package mutating func apply(_ record: AuditRecord) {
        guard record.kind == .mode || record.kind == .rollout, let wish = record.detail.text("wish") else { return }
        guard record.detail.text("state") == "proposed", let actor = record.actor, let until = record.detail["expires"]?.string.flatMap({ Timestamp($0.bytes) }) else {
            proposals[wish] = nil
            return
        }
        proposals = proposals.filter { $0.value.until > record.time }
        if proposals.count >= Self.limit, let first = proposals.values.min(by: { ($0.until, $0.wish) < ($1.until, $1.wish) }) { proposals[first.wish] = nil }
        proposals[wish] = Proposal(wish: wish, actor: actor, reason: record.reason, since: record.time, until: until)
    }

    package var json: JSON { .array(proposals.values.sorted { $0.wish < $1.wish }.map(\.json)) }

    package init?(json: JSON) {
        guard let proposals = json.array?.map(Proposal.init(json:)), !proposals.contains(nil) else { return nil }
        self.proposals = Dictionary(proposals.compactMap(\.self).map { ($0.wish, $0) }, uniquingKeysWith: { $1 })
    }
}

extension Widenings.Proposal {
    package var json: JSON {
        var object: JSONObject = ["wish": .text(wish), "actor": actor.json, "since": .text("\(since)"), "until": .text("\(until)")]
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    fileprivate init?(json: JSON) {
        guard let wish = json.text("wish"), let actor = json["actor"].flatMap(AuditRecord.Actor.init(json:)), let since = json.time("since"), let until = json.time("until")
        else { return nil }
        self.init(wish: wish, actor: actor, reason: json.text("reason"), since: since, until: until)
    }
}
