internal import Foundation
internal import Glibc
internal import Logging
internal import RiposteAudit
internal import RiposteCore

/// Records appended by one thread, with the alerts in them, as the agent writes them; beside them the same bytes by write(2) alone.
struct JournalBenchmark {
    private let records: [AuditRecord]
    private let folder: String

    init(lines: [[UInt8]], folder: String) throws {
        self.folder = folder
        records = try Self.records(of: lines)
    }

    /// What the agent writes of each alert.
    static func records(of lines: [[UInt8]]) throws -> [AuditRecord] {
        try lines.map { line in
            let arrival = Alert.Arrival(intake: "socket", peer: "uid 0 pid 1")
            let alert = try Alert(parsing: line, id: .new(at: arrival.time), arrival: arrival)
            var record = AuditRecord(.alert, at: arrival.time, id: alert.id)
            record.detail = ["alert": .object(alert.document), "arrival": arrival.json]
            return record
        }
    }

    func run(rounds: Int, iterations: Int) throws {
        for durability in [Journal.Durability.grouped, .strict] {
            // A sync for each record takes its time: a hundredth of them tells as much.
            let count = durability == .strict ? max(1, iterations / 100) : iterations
            var (rates, floor): ([Int64], [Int64]) = ([], [])
            for round in 0..<rounds {
                let directory = "\(folder)/\(durability.rawValue)-\(round)"
                rates.append(try appends(count, durability, directory))
                floor.append(try writes(ofSegmentsIn: directory + "/journal", syncing: durability == .strict))
                try FileManager.default.removeItem(atPath: directory)
            }
            report("journal-\(durability.rawValue)", rates, ["floor": .array(floor.map(JSON.integer))])
        }
    }

    private func appends(_ count: Int, _ durability: Journal.Durability, _ directory: String) throws -> Int64 {
        let journal = try Journal(
            stateDirectory: directory, configuration: Journal.Configuration(durability: durability), logger: Logger(label: "riposte-bench"))
        defer { journal.close() }
        return try rate(count) { for index in 0..<count { try journal.append(records[index % records.count]) } }
    }

    /// The floor: each line of what the journal wrote, written again to one file; for `strict` with a sync after each.
    private func writes(ofSegmentsIn directory: String, syncing: Bool) throws -> Int64 {
        let segments = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".jsonl") }.sorted()
        let lines = try segments.flatMap { name in
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)")))
            return bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
        }
        let file = open("\(directory)/floor", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(file) }
        return rate(lines.count) {
            for line in lines {
                write(file, line, line.count)
                if syncing { fdatasync(file) }
            }
        }
    }
}
