package import RiposteCore

/// Whom a person let go, and until when nothing that happens by itself may take them again.
///
/// A plain value that follows from the records of kind `brake` with `detail.pardon`.
package struct Pardons: EngineStatePart, Equatable {
    package struct Pardon: Sendable, Equatable {
        package var target: Target
        package var until: Timestamp
        package var since: Timestamp
        /// Who let go.
        package var actor: AuditRecord.Actor
        package var reason: String?
        /// The act that was taken back, where it was one.
        package var action: Identifier?
    }

    /// More than a person lets go; who comes beyond loses the one that ends first.
    static let limit = 4096

    package private(set) var granted: [String: Pardon] = [:]

    package init() {}

    /// Those in force, the newest first.
    package func inForce(at now: Timestamp) -> [Pardon] {
        granted.values.filter { $0.until > now }.sorted { ($0.since, $0.target.key) > ($1.since, $1.target.key) }
    }

    func pardon(of target: Target, at now: Timestamp) -> Pardon? { granted[target.key].flatMap { $0.until > now ? $0 : nil } }

    package mutating func apply(_ record: AuditRecord) {
        guard record.kind == .brake, let detail = record.detail["pardon"], let target = record.target else { return }
        guard detail["state"]?.string == "granted" else {
            granted[target.key] = nil
            return
        }
        guard let until = detail["until"]?.string.flatMap({ Timestamp($0.bytes) }), let actor = record.actor else { return }
        granted = granted.filter { $0.value.until > record.time }
        if granted.count >= Self.limit, granted[target.key] == nil, let first = granted.min(by: { ($0.value.until, $0.key) < ($1.value.until, $1.key) }) {
            granted[first.key] = nil
        }
        granted[target.key] = Pardon(target: target, until: until, since: record.time, actor: actor, reason: record.reason, action: record.undoes)
    }

    package var json: JSON { .array(granted.sorted { $0.key < $1.key }.map { $0.value.json }) }

    package init?(json: JSON) {
        guard let pardons = json.array?.map(Pardon.init(json:)), !pardons.contains(nil) else { return nil }
        granted = Dictionary(pardons.compactMap(\.self).map { ($0.target.key, $0) }, uniquingKeysWith: { $1 })
    }
}

extension Pardons.Pardon {
    package var json: JSON {
        var object: JSONObject = ["target": target.json, "until": .text("\(until)"), "since": .text("\(since)"), "actor": actor.json]
        object.append("reason", reason.map(JSON.text))
        object.append("action", action.map { .text("\($0)") })
        return .object(object)
    }

    package init?(json: JSON) {
        guard let target = json["target"].flatMap(Target.init(json:)), let until = json["until"]?.string.flatMap({ Timestamp($0.bytes) }),
            let since = json["since"]?.string.flatMap({ Timestamp($0.bytes) }), let actor = json["actor"].flatMap(AuditRecord.Actor.init(json:))
        else { return nil }
        self.init(
            target: target, until: until, since: since, actor: actor, reason: json["reason"]?.string?.repaired,
            action: json["action"]?.string?.valid.flatMap { Identifier($0) })
    }
}
