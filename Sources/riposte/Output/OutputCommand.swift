internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore

struct OutputCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "output", abstract: "Shows where alerts and audit records go, and tries it out.", subcommands: [List.self, Test.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows each output of the agent: how far behind, when it last worked, what went wrong last, what was sent, retried, rejected, skipped.",
            discussion: "Ends with 6 where no agent runs.\n\nExample:\n  riposte output list --json | jq 'select(.state != \"ok\")'")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let client = common.agent(try common.configuration())
            let status: JSON
            do { status = try await client.status() } catch {
                await client.close()
                throw error
            }
            await client.close()
            let outputs = status["outputs"]?.array ?? []
            if common.json {
                for output in outputs { print(output.line) }
            } else {
                print(outputs.isEmpty ? "no outputs are configured" : OutputText.details(outputs))
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sends a marked test message to one output and shows what it answered.",
            discussion: """
                The running agent sends it, past what waits; without an agent, this command does, by the configuration. Ends with 1 where it was not taken.

                Example:
                  riposte output test siem --config /etc/riposte/riposte.yaml
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The output's name in the configuration.")
        var name: String

        func run() async throws {
            let configuration = try common.configuration()
            let result: JSON
            if let answer = try await askAgent(configuration) { result = answer } else { result = try await OutputDesk(configuration).test(name) }
            let isDelivered = result["delivered"] == true
            print(common.json ? result.line : OutputText.test(result))
            throw ExitCode(isDelivered ? 0 : 1)
        }

        /// Nil where no agent runs.
        private func askAgent(_ configuration: AgentConfiguration) async throws -> JSON? {
            guard FileManager.default.fileExists(atPath: configuration.controlSocket) else { return nil }
            let client = common.agent(configuration)
            let answer: Result<JSON, DeskError>
            do throws(DeskError) { answer = .success(try await client.testOutput(name)) } catch { answer = .failure(error) }
            await client.close()
            if case .failure(let error) = answer, error.code == .noAgent { return nil }
            return try answer.get()
        }
    }
}

/// Outputs for people.
enum OutputText {
    static func table(_ outputs: [JSON]) -> String {
        Terminal.table(
            ["OUTPUT", "STATE", "BEHIND", "SENT", "RETRIED", "DEAD", "SKIPPED", "PLACE"],
            outputs.map { output in
                [word(output, "name"), state(output)] + ["behind", "sent", "retried", "dead", "shed"].map { "\(output[ByteText($0)]?.integer ?? 0)" } + [place(output)]
            })
    }

    /// The table, and of each output its last success and error.
    static func details(_ outputs: [JSON]) -> String {
        var lines = [table(outputs)]
        for output in outputs {
            var facts = ["\(word(output, "name")): \(output["behind_bytes"]?.integer ?? 0) bytes of the journal to go"]
            facts.append(output["last_success"] == nil ? "nothing sent yet" : "last sent \(word(output, "last_success").prefix(19))Z")
            if let error = output["last_error"] { facts.append("last error \(word(error, "time").prefix(19))Z, \(word(error, "reason"))") }
            if output["next_try"] != nil { facts.append("next try \(word(output, "next_try").prefix(19))Z") }
            if let missing = output["missing"]?.integer, missing > 0 { facts.append("\(missing) records were gone from the journal") }
            if output["problem"] != nil { facts.append(Terminal.paint(word(output, "problem"), .red)) }
            lines.append(facts.joined(separator: "; "))
        }
        return lines.joined(separator: "\n")
    }

    static func test(_ result: JSON) -> String {
        let time = "\((result["duration_us"]?.integer ?? 0) / 1000) ms"
        let answer = result["answer"] == nil ? "" : ": \(word(result, "answer"))"
        if result["delivered"] == true { return "\(Terminal.paint("delivered", .green)) to \(word(result, "name")) in \(time)\(answer)" }
        return "\(Terminal.paint("not delivered", .red)) to \(word(result, "name")) after \(time): \(word(result, "reason"))"
    }

    private static func place(_ output: JSON) -> String { "\(word(output, "type")) \(word(output, "place"))" }

    private static func state(_ output: JSON) -> String { word(output, "state") }

    private static func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
}
