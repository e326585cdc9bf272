internal import RiposteCore
internal import RipostePlaybooks

/// From a line to the playbooks that answer it, on one thread: read the alert, find its playbooks. What an alert costs before anything is done.
struct MatchingBenchmark {
    private let lines: [[UInt8]]
    private let playbooks: PlaybookSet

    init(lines: [[UInt8]], folder: String) throws {
        self.lines = lines
        playbooks = try PlaybookSet.load(paths: [folder], ActionCatalogue([KillInName()])).set
    }

    func run(rounds: Int, iterations: Int) throws {
        _ = try matches(iterations / 10)
        var rates: [Int64] = []
        var found = 0
        for _ in 0..<rounds { rates.append(try rate(iterations) { found = try matches(iterations) }) }
        // The sum is told so that no compiler can leave out the work.
        report("match", rates, ["playbooks": .integer(Int64(playbooks.playbooks.count)), "matches": .integer(Int64(found))])
    }

    private func matches(_ iterations: Int) throws -> Int {
        var found = 0
        for index in 0..<iterations {
            let arrival = Alert.Arrival(intake: "socket", peer: "uid 0 pid 1")
            let alert = try Alert(parsing: lines[index % lines.count], id: .new(at: arrival.time), arrival: arrival)
            found += playbooks.matching(alert).count
        }
        return found
    }
}

/// The name and nothing else: playbooks are loaded and matched, none is run.
private struct KillInName: Action {
    let description = ActionDescription(name: "process.kill", summary: "Stands for process.kill.", target: .process, impact: .destroys)

    func plan(_ request: ActionRequest) async throws(ActionError) -> Plan { throw ActionError(.unsupported, "plan", "this is a benchmark") }
    func perform(_ plan: Plan) async throws(ActionError) -> Performance { throw ActionError(.unsupported, "perform", "this is a benchmark") }
}
