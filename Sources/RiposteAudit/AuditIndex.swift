internal import Foundation
internal import GRDB
package import Logging
package import RiposteCore

/// A SQLite table over the journal for questions such as "what was done to this container". Only an index: it can be deleted at any time and is
/// made anew from the journal. Never on the way of a deed.
package final class AuditIndex: Sendable {
    package struct Query: Sendable {
        package var limit = 50
        package var since: Timestamp?
        package var alert: Identifier?
        package var id: Identifier?
        package var action: String?
        package var outcome: Outcome?
        package var kind: AuditRecord.Kind?
        package var incident: Identifier?
        /// A pid, a container's id or name, `namespace/pod`, an address: the beginning of one of them.
        package var target: String?

        package init() {}
    }

    private let database: DatabaseQueue
    private let reader: JournalReader

    /// Opens or makes `<state>/index.sqlite`; where that cannot be, an index in memory serves.
    package init(stateDirectory: String, logger: Logger) throws {
        reader = JournalReader(stateDirectory: stateDirectory)
        let path = stateDirectory + "/index.sqlite"
        do { database = try Self.open(path) } catch {
            logger.info("index is made anew", metadata: ["audit.index": "\(path)", "error": "\(error)"])
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
            database = try (try? Self.open(path)) ?? Self.prepare(DatabaseQueue())
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        // SQLite's own files beside it are made with its mode.
        try PrivateFile.claim(path)
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        return try prepare(DatabaseQueue(path: path, configuration: configuration))
    }

    private static func prepare(_ database: DatabaseQueue) throws -> DatabaseQueue {
        try database.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS records (
                        seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, ts TEXT NOT NULL, kind TEXT NOT NULL, id TEXT, alert TEXT, action TEXT,
                        outcome TEXT, dry_run INTEGER NOT NULL, line BLOB NOT NULL, incident TEXT);
                    CREATE TABLE IF NOT EXISTS targets (seq INTEGER NOT NULL, name TEXT NOT NULL);
                    CREATE INDEX IF NOT EXISTS records_id ON records (id);
                    CREATE INDEX IF NOT EXISTS records_alert ON records (alert);
                    CREATE INDEX IF NOT EXISTS records_incident ON records (incident);
                    CREATE INDEX IF NOT EXISTS targets_name ON targets (name);
                    CREATE INDEX IF NOT EXISTS targets_seq ON targets (seq);
                    """)
        }
        return database
    }

    /// Brings the index to the journal's end. What it holds of another journal is thrown away.
    package func catchUp() throws {
        try database.write { database in
            let last = try Row.fetchOne(database, sql: "SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")
            var next: Int64 = 1
            if let last {
                let seq: Int64 = last["seq"]
                if try reader.entry(seq)?.hash == last["hash"] as String {
                    next = seq + 1
                } else {
                    try database.execute(sql: "DELETE FROM records; DELETE FROM targets;")
                }
            }
            try reader.read(from: next) { entry in
                try Self.insert(entry, into: database)
                return true
            }
        }
    }

    private static func insert(_ entry: JournalEntry, into database: Database) throws {
        let record = entry.record
        try database.execute(
            sql: "INSERT INTO records (seq, hash, ts, kind, id, alert, action, outcome, dry_run, line, incident) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                entry.seq, entry.hash, "\(record.time)", record.kind.rawValue, record.id.map { "\($0)" },
                (record.alert ?? (record.kind == .alert ? record.id : nil)).map { "\($0)" }, record.action, record.outcome?.rawValue, record.dryRun,
                Data(entry.line), record.incident.map { "\($0)" },
            ])
        for name in record.target?.searchNames ?? [] {
            try database.execute(sql: "INSERT INTO targets (seq, name) VALUES (?, ?)", arguments: [entry.seq, name])
        }
    }

    /// The newest that fit, oldest first.
    package func records(_ query: Query) throws -> [JournalEntry] {
        var conditions: [String] = []
        var arguments: [(any DatabaseValueConvertible)?] = []
        func require(_ condition: String, _ value: (any DatabaseValueConvertible)?) {
            guard let value else { return }
            conditions.append(condition)
            arguments.append(value)
        }
        require("ts >= ?", query.since.map { "\($0)" })
        require("alert = ?", query.alert.map { "\($0)" })
        require("id = ?", query.id.map { "\($0)" })
        require("action = ?", query.action)
        require("outcome = ?", query.outcome?.rawValue)
        require("incident = ?", query.incident.map { "\($0)" })
        require("kind = ?", query.kind?.rawValue)
        if let target = query.target {
            conditions.append("seq IN (SELECT seq FROM targets WHERE name >= ? AND name < ?)")
            arguments += [target, target + "\u{10FFFF}"]
        }
        let filter = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        let sql = "SELECT line FROM records\(filter) ORDER BY seq DESC LIMIT ?"
        arguments.append(query.limit)
        let lines = try database.read { database in
            try Data.fetchAll(database, sql: sql, arguments: StatementArguments(arguments.map { $0?.databaseValue }))
        }
        return lines.reversed().compactMap { JournalLine.decode(Array($0)) }
    }
}

extension Target {
    /// What a person would type to find it.
    var searchNames: [String] {
        switch self {
        case .process(let process): [String(process.pid), process.name.repaired]
        case .container(let container): [container.id, container.name]
        case .pod(let pod): ["\(pod.namespace)/\(pod.name)", pod.name, pod.uid]
        case .address(let network): ["\(network)"]
        case .host(let machineID): ["host", machineID]
        }
    }
}
