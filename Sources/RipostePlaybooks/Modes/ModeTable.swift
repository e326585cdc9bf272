package import RiposteCore

/// The modes that persons have set while the agent ran, and until when. What is not in it is as the configuration and the playbooks say.
package struct ModeTable: EngineStatePart, Equatable {
    /// What a mode is set for.
    package enum Scope: Hashable, Sendable {
        case agent
        case playbook(String)
        /// An intake, by its name.
        case source(String)

        /// For people: "the agent", "playbook p", "source http".
        package var summary: String {
            switch self {
            case .agent: "the agent"
            case .playbook(let name): "playbook \(name)"
            case .source(let name): "source \(name)"
            }
        }
    }

    package struct Setting: Sendable, Equatable {
        package var mode: Mode
        package var actor: AuditRecord.Actor?
        package var reason: String?
        package var since: Timestamp
        /// Nil: until it is cleared.
        package var until: Timestamp?
    }

    /// More scopes than this are not taken (``Engine/setMode(_:for:until:actor:reason:)``).
    package static let limit = 4096

    package private(set) var settings: [Scope: Setting] = [:]

    package init() {}

    /// What is set for `scope`; what has run out counts no more, whether or not somebody has written that down.
    package func setting(for scope: Scope, at now: Timestamp) -> Setting? {
        settings[scope].flatMap { setting in setting.until.map { $0 <= now } ?? false ? nil : setting }
    }

    /// In the order of the scopes' names.
    package var sorted: [(scope: Scope, setting: Setting)] { settings.sorted { $0.key.order < $1.key.order }.map { ($0.key, $0.value) } }

    func without(_ isOver: (Scope) -> Bool) -> ModeTable {
        var table = self
        table.settings = settings.filter { !isOver($0.key) }
        return table
    }

    package mutating func apply(_ record: AuditRecord) {
        guard record.kind == .mode, record.detail.text("state") != "proposed", let scope = Scope(record) else { return }
        settings[scope] = record.mode.map {
            Setting(
                mode: $0, actor: record.actor, reason: record.reason, since: record.time, until: record.detail["until"]?.string.flatMap { Timestamp($0.bytes) })
        }
    }

    // MARK: - Snapshot

    package var json: JSON { .array(sorted.map { Self.json($0, $1) }) }

    /// Also what `riposte mode` and `status` show.
    package static func json(_ scope: Scope, _ setting: Setting) -> JSON {
        var object = scope.json
        object.append("mode", .text(setting.mode.rawValue))
        object.append("since", .text("\(setting.since)"))
        object.append("until", setting.until.map { .text("\($0)") })
        object.append("actor", setting.actor?.json)
        object.append("reason", setting.reason.map(JSON.text))
        return .object(object)
    }

    package init?(json: JSON) {
        guard let entries = json.array else { return nil }
        for entry in entries {
            guard let scope = Scope(json: entry), let mode = entry.text("mode").flatMap(Mode.init(rawValue:)), let since = entry.time("since") else { return nil }
            settings[scope] = Setting(
                mode: mode, actor: entry["actor"].flatMap(AuditRecord.Actor.init(json:)), reason: entry.text("reason"), since: since, until: entry.time("until"))
        }
    }
}

extension ModeTable.Scope {
    private var parts: (kind: String, name: String?) {
        switch self {
        case .agent: ("agent", nil)
        case .playbook(let name): ("playbook", name)
        case .source(let name): ("source", name)
        }
    }

    private init?(kind: String?, name: String?) {
        switch (kind, name) {
        case ("agent", _): self = .agent
        case ("playbook", let name?): self = .playbook(name)
        case ("source", let name?): self = .source(name)
        default: return nil
        }
    }

    fileprivate var order: String { "\(parts.kind) \(parts.name ?? "")" }

    package var json: JSONObject {
        var object: JSONObject = ["scope": .text(parts.kind)]
        object.append("name", parts.name.map(JSON.text))
        return object
    }

    package init?(json: JSON) { self.init(kind: json.text("scope"), name: json.text("name")) }

    init?(_ record: AuditRecord) { self.init(kind: record.detail.text("scope"), name: record.playbook ?? record.detail.text("source")) }

    /// A record about this scope.
    func record(at time: Timestamp, state: String) -> AuditRecord {
        var record = AuditRecord(.mode, at: time, detail: ["state": .text(state), "scope": .text(parts.kind)])
        switch self {
        case .agent: break
        case .playbook(let name): record.playbook = name
        case .source(let name): record.detail.append("source", .text(name))
        }
        return record
    }
}
