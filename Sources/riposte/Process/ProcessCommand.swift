internal import ArgumentParser
internal import RiposteActions
internal import RiposteCore
internal import RipostePlaybooks

struct ProcessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "process", abstract: "Looks at, kills, stops and resumes processes.",
        subcommands: [ProcessShowCommand.self, ProcessKillCommand.self, ProcessSuspendCommand.self, ProcessResumeCommand.self])
}

/// Which process.
struct ProcessArguments: ParsableArguments {
    @Argument(help: "The process id.")
    var pid: Int32

    @Option(name: .long, help: "When it was started (RFC 3339): proves that the pid has not come round.")
    var startedAt: Timestamp?

    var claim: TargetClaim { .process(ProcessClaim(pid: pid, startedAt: startedAt)) }

    func validate() throws {
        guard pid > 0 else { throw ValidationError("a process id is greater than 0") }
    }
}

struct ProcessShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows who a process is: start time, executable, parents, container.",
        discussion: "Example:\n  riposte process show 4711 --json")

    @OptionGroup var common: CommonOptions
    @OptionGroup var process: ProcessArguments

    func run() async throws {
        let plan: Plan
        do throws(ActionError) {
            plan = try await ProcessResume().plan(ActionRequest(claim: process.claim, parameters: Parameters()))
        } catch {
            throw Complaint(error.message, status: error.outcome.exitStatus)
        }
        let facts = ProcessFacts.json(of: plan.target)
        if common.json {
            print(JSON.object(facts).line)
        } else {
            for member in facts.members { print("\(member.key.shown.padded(to: 20))\(member.value.displayText)") }
        }
    }
}

struct ProcessKillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Ends a process, with all its descendants where asked.",
        discussion: """
            Examples:
              riposte process kill 4711
              riposte process kill 4711 --tree --dry-run
              riposte process kill 4711 --grace 5s --reason "runaway job"
            """)

    @OptionGroup var action: ActionOptions
    @OptionGroup var process: ProcessArguments

    @Option(name: .long, help: "The signal to send, by name or number (default: KILL).")
    var signal: Signal?

    @Flag(name: .long, help: "With all its descendants, which are stopped first so that none forks away.")
    var tree = false

    @Option(name: .long, help: "Send TERM first, and KILL what is left after this time.")
    var grace: Duration?

    func run() async throws {
        var parameters: JSONObject = ["tree": .bool(tree)]
        parameters.append("signal", signal.map { .text($0.name) })
        parameters.append("grace", grace.map { .text($0.text) })
        try await action.carryOut("process.kill", on: process.claim, with: parameters)
    }
}

struct ProcessSuspendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend", abstract: "Stops a process where it stands.",
        discussion: "Example:\n  riposte process suspend 4711 --tree --for 30m")

    @OptionGroup var action: ActionOptions
    @OptionGroup var process: ProcessArguments

    @Flag(name: .long, help: "With all its descendants.")
    var tree = false

    @Option(name: .customLong("for"), help: "Let it go on by itself after this time.")
    var time: Duration?

    func run() async throws { try await action.carryOut("process.suspend", on: process.claim, with: ["tree": .bool(tree)], for: time) }
}

struct ProcessResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets a stopped process go on.", discussion: "Example:\n  riposte process resume 4711 --tree")

    @OptionGroup var action: ActionOptions
    @OptionGroup var process: ProcessArguments

    @Flag(name: .long, help: "With all its descendants.")
    var tree = false

    func run() async throws { try await action.carryOut("process.resume", on: process.claim, with: ["tree": .bool(tree)]) }
}
