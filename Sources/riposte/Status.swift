internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the agent does: mode, playbooks, intakes, what is in force.",
        discussion: "Ends with 6 where no agent runs.\n\nExample:\n  riposte status --json | jq .undos")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let configuration = try common.configuration()
        let client = ControlClient(socket: configuration.controlSocket)
        let status: JSON
        do { status = try await client.status() } catch {
            await client.close()
            throw error
        }
        await client.close()
        if common.json {
            print(status.line)
        } else {
            print(Self.text(status))
        }
    }

    private static func text(_ status: JSON) -> String {
        func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
        func number(_ json: JSON?, _ key: ByteText) -> Int64 { json?[key]?.integer ?? 0 }
        let engine = status["engine"]
        let playbooks = status["playbooks"]
        var lines = [
            "riposte \(word(status, "version")), pid \(number(status, "pid")), since \(word(status, "since").prefix(19))Z, mode \(Terminal.paint(word(status, "mode"), .bold))",
            "playbooks  \(number(playbooks, "count")) in force since \(word(playbooks, "since").prefix(19))Z",
        ]
        if let rejected = playbooks?["rejected"] {
            let problems = rejected["problems"]?.array ?? []
            lines.append(Terminal.paint("           files rejected \(word(rejected, "since").prefix(19))Z: \(problems.count) problems", .red))
            for problem in problems.prefix(5) { lines.append("           \(word(problem, "file")):\(number(problem, "line")): \(word(problem, "message"))") }
        }
        lines.append(
            "alerts     \(number(engine, "alerts")) accepted, \(number(engine, "matched")) answered, \(number(engine, "shed")) turned away; \(number(engine, "under_way")) under way"
        )
        let outcomes = engine?["outcomes"]?.object?.members.map { "\($0.value.integer ?? 0) \($0.key.shown)" } ?? []
        lines.append("actions    \(outcomes.isEmpty ? "none" : outcomes.joined(separator: ", "))")
        if let problem = status["journal"]?["problem"]?.string { lines.append(Terminal.paint("journal    \(problem.shown); see riposte audit verify", .red)) }
        lines.append(
            "journal    \(number(status["journal"], "seq")) records\(number(status["journal"], "failures") > 0 ? ", \(number(status["journal"], "failures")) NOT WRITTEN" : "")")
        let intakes = status["intakes"]?.array ?? []
        lines.append("")
        lines.append(
            Terminal.table(
                ["INTAKE", "ACCEPTED", "REJECTED", "SHED", "DENIED", "PLACE"],
                intakes.map { intake in
                    [word(intake, "name")] + ["accepted", "rejected", "shed", "denied"].map { "\(number(intake, ByteText($0)))" } + [word(intake, "place")]
                }))
        let undos = status["undos"]?.array ?? []
        if !undos.isEmpty {
            lines.append("")
            lines.append(
                Terminal.table(
                    ["IN FORCE", "SINCE", "UNTIL", "TARGET", "UNDO WITH"],
                    undos.map { undo in
                        [
                            word(undo, "action"), "\(word(undo, "since").prefix(19))Z", undo["due"] == nil ? "-" : "\(word(undo, "due").prefix(19))Z",
                            undo["target"].flatMap(Target.init(json:))?.summary ?? "", "riposte undo \(word(undo, "action_id"))",
                        ]
                    }))
        }
        return lines.joined(separator: "\n")
    }
}
