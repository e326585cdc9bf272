internal import ArgumentParser
internal import RiposteActions
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct ContainerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "container", abstract: "Looks at, pauses, stops, kills, isolates containers.",
        subcommands: [
            ContainerListCommand.self, ContainerShowCommand.self, ContainerPauseCommand.self, ContainerUnpauseCommand.self, ContainerStopCommand.self,
            ContainerKillCommand.self, ContainerRestartCommand.self, ContainerIsolateCommand.self, ContainerReleaseCommand.self,
        ])
}

/// Which container.
struct ContainerArguments: ParsableArguments {
    @Argument(help: "The container's id, the beginning of it, or its name.")
    var container: String

    var claim: TargetClaim { .container(ContainerClaim(reference: container)) }

    func validate() throws {
        guard !container.isEmpty else { throw ValidationError("which container?") }
    }
}

struct ContainerListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists containers, stopped ones too.", discussion: "Example:\n  riposte container list --json | jq -r .id")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let facilities = Facilities(try common.configuration())
        let listings: [ContainerListing]
        do throws(ActionError) { listings = try await facilities.docker.list() } catch { throw Complaint(error.message, status: error.outcome.exitStatus) }
        if common.json {
            for listing in listings { print(listing.json.line) }
        } else {
            print(
                Terminal.table(
                    ["ID", "NAME", "IMAGE", "STATE", "STATUS"],
                    listings.map { [String($0.id.prefix(12)), $0.name, $0.image, $0.state, $0.status].map(\.escapedForDisplay) }))
        }
    }
}

struct ContainerShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows who a container is and how it runs.", discussion: "Example:\n  riposte container show web")

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: ContainerArguments

    func run() async throws {
        let facilities = Facilities(try common.configuration())
        let plan: Plan
        do throws(ActionError) {
            plan = try await ContainerStart(docker: facilities.docker).plan(ActionRequest(claim: which.claim, parameters: Parameters()))
        } catch {
            throw Complaint(error.message, status: error.outcome.exitStatus)
        }
        var facts = plan.target.json.object ?? JSONObject()
        facts.members += plan.facts.members
        if common.json {
            print(JSON.object(facts).line)
        } else {
            for member in facts.members { print("\(member.key.shown.padded(to: 20))\(member.value.displayText)") }
        }
    }
}

struct ContainerPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Freezes every process of a container.", discussion: "Example:\n  riposte container pause web --for 30m")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    @Option(name: .customLong("for"), help: "Let it go on by itself after this time.")
    var time: Duration?

    func run() async throws { try await action.carryOut("container.pause", on: which.claim, for: time) }
}

struct ContainerUnpauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpause", abstract: "Lets a paused container go on.", discussion: "Example:\n  riposte container unpause web")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    func run() async throws { try await action.carryOut("container.unpause", on: which.claim) }
}

struct ContainerStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Asks a container to end, and kills it when it has not.", discussion: "Example:\n  riposte container stop web --timeout 5s")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    @Option(name: .long, help: "How long it is given (default: 10s).")
    var timeout: Duration?

    @Option(name: .long, help: "Instead of the image's stop signal.")
    var signal: Signal?

    @Option(name: .customLong("for"), help: "Start it again by itself after this time.")
    var time: Duration?

    func run() async throws {
        var parameters = JSONObject()
        parameters.append("timeout", timeout.map { .text($0.text) })
        parameters.append("signal", signal.map { .text($0.name) })
        try await action.carryOut("container.stop", on: which.claim, with: parameters, for: time)
    }
}

struct ContainerKillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Sends a signal to a container's first process, KILL unless another is named.",
        discussion: "Example:\n  riposte container kill 3f0c9a1b77de --dry-run")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    @Option(name: .long, help: "The signal (default: KILL).")
    var signal: Signal?

    func run() async throws {
        var parameters = JSONObject()
        parameters.append("signal", signal.map { .text($0.name) })
        try await action.carryOut("container.kill", on: which.claim, with: parameters)
    }
}

struct ContainerRestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Stops and starts a container.", discussion: "Example:\n  riposte container restart web")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    @Option(name: .long, help: "How long it is given to end (default: 10s).")
    var timeout: Duration?

    func run() async throws {
        var parameters = JSONObject()
        parameters.append("timeout", timeout.map { .text($0.text) })
        try await action.carryOut("container.restart", on: which.claim, with: parameters)
    }
}

struct ContainerIsolateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "isolate", abstract: "Cuts all traffic of a container from outside it.",
        discussion: "Root inside the container cannot undo it.\n\nExample:\n  riposte container isolate web --allow 10.0.0.5:443/tcp --for 1h")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    @Option(name: .long, help: "Whom it may still talk to: ADDRESS[/PREFIX][:PORT[/tcp|udp]]; may be repeated.")
    var allow: [String] = []

    @Option(name: .customLong("for"), help: "Release it by itself after this time.")
    var time: Duration?

    func run() async throws {
        try await action.carryOut("container.isolate", on: which.claim, with: ["allow": .array(allow.map(JSON.text))], for: time)
    }
}

struct ContainerReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Lets an isolated container's traffic pass again.", discussion: "Example:\n  riposte container release web")

    @OptionGroup var action: ActionOptions
    @OptionGroup var which: ContainerArguments

    func run() async throws { try await action.carryOut("container.release", on: which.claim) }
}
