internal import ArgumentParser
internal import Foundation
internal import RiposteCore
internal import RiposteRules

struct RulesReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Judges recorded events by rules and prints the alerts.",
        discussion: """
            As lines of text, or with --json as Falco's alert objects. Ends with 2 where a line is no event, after all others were judged.

            Examples:
              riposte rules replay rules/ --events events.jsonl
              riposte rules replay k8s_audit_rules.yaml --source k8s_audit --events audit.log --json
            """)

    @OptionGroup var common: CommonOptions

    @OptionGroup var input: EventArguments

    @Option(name: .long, help: "all: every rule that holds gives an alert; first: as Falco does, the first one only.")
    var matching = RulesSettings.Matching.all

    @Option(name: .long, help: "The name that alerts give this host (default: FALCO_HOSTNAME, else the host's).")
    var hostname: String?

    @Flag(name: .long, help: "Times of the text lines in UTC, with the date.")
    var iso8601 = false

    @OptionGroup var which: RulesArguments

    func run() async throws {
        var settings = RulesSettings()
        settings.matching = matching
        let judge = RuleSetJudge(try which.load(common, settings), source: input.source)
        var formatter = AlertFormatter(hostname: hostname ?? ProcessInfo.processInfo.environment["FALCO_HOSTNAME"] ?? ProcessInfo.processInfo.hostName)
        formatter.usesISO8601 = iso8601
        let wrong = try input.forEach { event in
            judge.judge(event.event) { rule, judge in
                let document = formatter.document(of: rule, at: event.time, judge)
                print(common.json ? JSON.object(document).line : document["output"]?.string?.shown ?? rule.name)
            }
        }
        throw ExitCode(wrong > 0 ? 2 : 0)
    }
}
