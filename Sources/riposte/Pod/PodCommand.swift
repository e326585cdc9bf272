internal import ArgumentParser
internal import RiposteCore
internal import RipostePlaybooks

struct PodCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pod", abstract: "Deletes and evicts pods.", subcommands: [PodDeleteCommand.self, PodEvictCommand.self])
}

/// Which pod.
struct PodArguments: ParsableArguments {
    @Option(name: [.customShort("n"), .long], help: "The pod's namespace.")
    var namespace: String = "default"

    @Option(name: .long, help: "Its UID: only this very pod is meant.")
    var uid: String?

    @Option(name: .long, help: "Between TERM and KILL (default: 1s).")
    var grace: Duration?

    @Argument(help: "The pod's name.")
    var name: String

    var claim: TargetClaim { .pod(PodClaim(namespace: namespace, name: name, uid: uid)) }

    var parameters: JSONObject {
        var parameters = JSONObject()
        parameters.append("grace", grace.map { .text($0.text) })
        return parameters
    }
}

struct PodDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes a pod; disruption budgets are not asked.",
        discussion: "Example:\n  riposte pod delete -n shop web-6d9f-xx2 --dry-run")

    @OptionGroup var action: ActionOptions
    @OptionGroup var pod: PodArguments

    func run() async throws { try await action.carryOut("pod.delete", on: pod.claim, with: pod.parameters) }
}

struct PodEvictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evict", abstract: "Evicts a pod, as far as its disruption budgets allow.", discussion: "Example:\n  riposte pod evict -n shop web-6d9f-xx2")

    @OptionGroup var action: ActionOptions
    @OptionGroup var pod: PodArguments

    func run() async throws { try await action.carryOut("pod.evict", on: pod.claim, with: pod.parameters) }
}
