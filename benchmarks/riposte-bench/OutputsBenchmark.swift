internal import Foundation
internal import Glibc
internal import Logging
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore
internal import RiposteOutputs
internal import RiposteTransport

/// Alerts written to the journal at a steady rate, and carried to three outputs as the agent carries them: a file, and a webhook twice.
struct OutputsBenchmark {
    private let records: [AuditRecord]
    private let folder: String
    private let url: String

    init(lines: [[UInt8]], folder: String, url: String) throws {
        records = try JournalBenchmark.records(of: lines)
        self.folder = folder
        self.url = url
    }

    func run(rate: Int, seconds: Int) async throws {
        let http = HTTPClient()
        defer { http.close() }
        var logger = Logger(label: "riposte-bench")
        logger.logLevel = .warning
        let journal = try Journal(stateDirectory: folder, logger: logger)
        let surroundings = Outputs.Surroundings(stateDirectory: folder, host: "bench", http: http, language: .rules, logger: logger)
        let outputs = try Outputs(
            Outputs.read(settings, file: "bench", surroundings), spool: JournalSpool(stateDirectory: folder), surroundings)
        journal.onAppend { outputs.ring() }
        var written = 0
        var (memory, writing): ([Int64], Int64) = ([], 0)
        try await withThrowingTaskGroup { group in
            group.addTask { await outputs.run() }
            try await warmUp(journal, outputs)
            let (cpu, began) = (Self.processorTime(), ContinuousClock.now)
            // Each millisecond its share; what was late is made up for.
            for second in 1...seconds {
                while written < rate * second {
                    let due = Swift.min(rate * second, Int((ContinuousClock.now - began).milliseconds * Double(rate) / 1000))
                    let before = Self.threadTime()
                    while written < due {
                        try journal.append(records[written % records.count].at(.now()))
                        written += 1
                    }
                    writing += Self.threadTime() - before
                    try await Task.sleep(for: .milliseconds(1))
                }
                memory.append(Self.residentBytes())
            }
            let behind = Self.behind(outputs)
            let ended = ContinuousClock.now
            outputs.end()
            try await group.next()
            let total = ContinuousClock.now - began
            report(
                "outputs", [Int64(Double(written) / (ended - began).milliseconds * 1000)],
                [
                    "written": .integer(Int64(written)), "warm_up": .integer(Int64(Self.burst)),
                    "behind": .integer(behind), "drained_ms": .integer(Int64((ContinuousClock.now - ended).milliseconds)),
                    "cpu_us": .integer(Self.processorTime() - cpu), "writing_us": .integer(writing), "total_ms": .integer(Int64(total.milliseconds)),
                    "memory": .array(memory.map(JSON.integer)), "outputs": outputs.status,
                ])
        }
        journal.close()
    }

    private static let burst = 20_000

    /// A burst at once, more than outputs hold in memory: from then on what they hold does not grow by a moment in which a disk or the machine stands still.
    private func warmUp(_ journal: Journal, _ outputs: Outputs) async throws {
        for number in 0..<Self.burst { try journal.append(records[number % records.count].at(.now())) }
        while Self.behind(outputs) > 0 { try await Task.sleep(for: .milliseconds(10)) }
    }

    private var settings: SettingsValue {
        func text(_ text: String) -> SettingsValue { SettingsValue(.scalar(text, isPlain: true)) }
        return [
            ["name": "disk", "type": "file", "path": text(folder + "/out.jsonl")],
            ["name": "lines", "type": "http", "format": "lines", "url": text(url)],
            ["name": "array", "type": "http", "format": "array", "url": text(url)],
        ]
    }

    /// Of the one that is furthest behind.
    private static func behind(_ outputs: Outputs) -> Int64 { outputs.status.array?.compactMap { $0["behind"]?.integer }.max() ?? 0 }

    private static func processorTime() -> Int64 {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Int64($1.tv_sec) * 1_000_000 + Int64($1.tv_usec) }
    }

    private static func threadTime() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    private static func residentBytes() -> Int64 {
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }
}

extension AuditRecord {
    fileprivate func at(_ time: Timestamp) -> AuditRecord {
        var record = self
        record.time = time
        return record
    }
}

extension Duration {
    fileprivate var milliseconds: Double { Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15 }
}
