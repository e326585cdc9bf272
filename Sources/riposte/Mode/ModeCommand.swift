internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct ModeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mode", abstract: "Shows and sets the modes of agent, playbooks and sources while the agent runs.",
        discussion: """
            The most careful of agent, source, playbook, step and roll-out stage wins. What is set here is on record with your name, outlives restarts, \
            and ends by itself with --for.

            Examples:
              riposte mode
              riposte mode set observe --for 2h --reason "deployment of web"
              riposte mode set enforce --playbook contain-shell --reason "quiet for a week"
              riposte mode clear --playbook contain-shell
            """,
        subcommands: [ModeShowCommand.self, ModeSetCommand.self, ModeClearCommand.self], defaultSubcommand: ModeShowCommand.self)
}

/// For what a mode is set; neither: for the agent.
struct ModeScopeOptions: ParsableArguments {
    @Option(name: .long, help: "Of this playbook.")
    var playbook: String?

    @Option(name: .long, help: "Of alerts that came in by this intake: http, file, socket, stdin, sensor …")
    var source: String?

    func validate() throws {
        if playbook != nil, source != nil { throw ValidationError("--playbook and --source exclude each other") }
    }

    var scope: ModeTable.Scope { playbook.map { .playbook($0) } ?? source.map { .source($0) } ?? .agent }
}

struct ModeShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows the modes in force, and who decided them.", discussion: "Example:\n  riposte mode show --json | jq .playbooks")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withQuestionDesk(needsPlaybooks: true) { desk in
            let modes = try await desk.modes()
            print(common.json ? modes.line : ModeText.text(modes))
            return 0
        }
    }
}

struct ModeSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets the mode of the agent, a playbook or a source.",
        discussion: """
            The agent is never set wider than the configuration's mode, or mode_ceiling where that is wider. For a playbook that does what cannot be \
            taken back, enforce needs a reason; with approvals.widening: ask it also needs a second person, who gives the same command (exit status 5 until then).

            Example:
              riposte mode set observe --playbook contain-shell --for 30m --reason "load test"
            """)

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ModeScopeOptions

    @Argument(help: "observe, ask or enforce.")
    var mode: Mode

    @Option(name: .long, help: "For this long, such as 2h; without it until it is cleared.")
    var `for`: Duration?

    func run() async throws { try await action.steer("mode set", .setMode(mode, which.scope, lasting: `for`)) }
}

struct ModeClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear", abstract: "Lifts a mode that was set: what configuration and playbook say is in force again.",
        discussion: "Example:\n  riposte mode clear --source http")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ModeScopeOptions

    func run() async throws { try await action.steer("mode clear", .clearMode(which.scope)) }
}

extension ActionOptions {
    /// Puts a wish about modes, roll-outs or alerts to the agent, or to the journal where there is none.
    func steer(_ verb: String, _ wish: SteeringCommand.Wish) async throws {
        try refuseAsk(verb)
        try refuseForce(verb)
        let command = SteeringCommand(wish, isDryRun: dryRun, reason: reason)
        let common = common
        try await common.withSteeringDesk { desk in
            let result = try await desk.steer(command)
            if common.json { print(result.json.line) } else { print("\(ResultText.mark(result.outcome)) \(result.message.escapedForDisplay)") }
            throw ExitCode(result.outcome.exitStatus)
        }
    }
}

extension CommonOptions {
    /// The agent, or an engine of our own that knows the configuration's playbooks.
    func withSteeringDesk<Value>(_ body: (any Desk) async throws -> Value) async throws -> Value {
        let configuration = try configuration()
        do { return try await use(agent(configuration), body) } catch let error as DeskError where error.code == .noAgent {}
        let playbooks = try PlaybookSet.load(paths: configuration.playbooks, Facilities(configuration).catalogue).set
        return try await use(try await Self.localDesk(configuration, playbooks: playbooks), body)
    }

    private func use<Value>(_ desk: any Desk, _ body: (any Desk) async throws -> Value) async throws -> Value {
        let value: Value
        do { value = try await body(desk) } catch {
            await desk.close()
            throw error
        }
        await desk.close()
        return value
    }
}

/// Modes for people.
enum ModeText {
    static func text(_ modes: JSON) -> String {
        var lines = ["agent  \(Terminal.paint(word(modes["agent"], "mode"), .bold))\(because(modes["agent"]))"]
        let set = modes["set"]?.array ?? []
        if !set.isEmpty { lines += ["", Terminal.table(["SET FOR", "MODE", "BY", "SINCE", "UNTIL", "REASON"], set.map(row))] }
        let proposed = modes["proposed"]?.array ?? []
        if !proposed.isEmpty { lines += ["", Terminal.table(["WAITS FOR A SECOND PERSON", "BY", "UNTIL", "REASON"], proposed.map(proposalRow))] }
        let playbooks = modes["playbooks"]?.array ?? []
        if !playbooks.isEmpty {
            lines += ["", Terminal.table(["PLAYBOOK", "MODE", "RUNS", "WRONG", "STAGE", "WHY"], playbooks.map(playbookRow))]
        }
        return lines.joined(separator: "\n")
    }

    private static func row(_ setting: JSON) -> [String] {
        [
            setting["name"] == nil ? "agent" : "\(word(setting, "scope")) \(word(setting, "name"))", word(setting, "mode"), word(setting["actor"], "name"),
            clock(setting, "since"), setting["until"] == nil ? "cleared" : clock(setting, "until"), word(setting, "reason"),
        ]
    }

    private static func proposalRow(_ proposal: JSON) -> [String] {
        [word(proposal, "wish"), word(proposal["actor"], "name"), clock(proposal, "until"), word(proposal, "reason")]
    }

    private static func playbookRow(_ playbook: JSON) -> [String] {
        [
            word(playbook, "name"), playbook["enabled"] == false ? "off" : word(playbook, "mode"), "\(number(playbook, "runs"))", rate(playbook), stage(playbook),
            word(playbook, "because"),
        ]
    }

    /// How often persons said that the playbook was wrong: `3 (5%)`.
    static func rate(_ playbook: JSON) -> String {
        let (runs, wrong) = (number(playbook, "runs"), number(playbook, "false_positives"))
        return runs == 0 ? "-" : "\(wrong) (\(wrong * 100 / runs)%)"
    }

    static func stage(_ playbook: JSON) -> String { playbook["stages"] == nil ? "-" : "\(number(playbook, "stage")) of \(number(playbook, "stages"))" }

    private static func because(_ verdict: JSON?) -> String { verdict?["because"] == nil ? "" : ": because \(word(verdict, "because"))" }
    private static func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
    private static func clock(_ json: JSON, _ key: ByteText) -> String { "\(word(json, key).prefix(19))Z" }
    private static func number(_ json: JSON?, _ key: ByteText) -> Int64 { json?[key]?.integer ?? 0 }
}
