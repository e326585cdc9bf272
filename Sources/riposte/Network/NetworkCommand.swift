internal import ArgumentParser
internal import RiposteActions
internal import RiposteCore
internal import RipostePlaybooks

struct NetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network", abstract: "Blocks addresses, isolates this host, shows what the kernel drops.",
        subcommands: [
            NetworkStatusCommand.self, NetworkBlockCommand.self, NetworkUnblockCommand.self, NetworkIsolateCommand.self, NetworkReleaseCommand.self,
        ])
}

struct NetworkStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows what is blocked and isolated, as the kernel has it, with counters.",
        discussion: "Example:\n  riposte network status --json | jq .blocked")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let state: NetworkState
        do throws(ActionError) { state = try NetworkState.read() } catch { throw Complaint(error.message, status: error.outcome.exitStatus) }
        guard !common.json else { return print(state.json.line) }
        if state.isSwitchedOff { print(Terminal.paint("a table of ours is switched off (dormant): what is in it is not in force", .yellow)) }
        print("host       \(state.isIsolated ? Terminal.paint("isolated", .yellow) : "open")")
        print("blocked    \(state.blocks.isEmpty ? "nothing" : "")")
        for block in state.blocks {
            print("  \("\(block.network)".padded(to: 40))\(block.remaining.map { "for another \(Duration.seconds($0.components.seconds).text)" } ?? "until taken back")")
        }
        if !state.containers.isEmpty {
            print(
                Terminal.table(
                    ["ISOLATED CONTAINER", "INTERFACE", "DROPPED"], state.containers.map { [String($0.id.prefix(12)), $0.device, "\($0.droppedPackets) packets"] }))
        }
        let counting = state.rules.filter { $0.packets > 0 }
        if !counting.isEmpty {
            print(
                Terminal.table(
                    ["CHAIN", "PACKETS", "BYTES", "RULE"], counting.map { [$0.chain, "\($0.packets)", "\($0.bytes)", $0.comment?.escapedForDisplay ?? ""] }))
        }
    }
}

/// Which address.
struct AddressArguments: ParsableArguments {
    @Argument(help: "An IPv4 or IPv6 address or block, such as 192.0.2.1 or 2001:db8::/32; no names.")
    var address: String

    func network() throws -> IPNetwork {
        guard let network = IPNetwork(address) else { throw ValidationError("\"\(address.escapedForDisplay)\" is no address or block") }
        return network
    }
}

struct NetworkBlockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "block", abstract: "Drops all packets from and to an address or block.", discussion: "Example:\n  riposte network block 192.0.2.66 --for 10m")

    @OptionGroup var action: ActionOptions
    @OptionGroup var address: AddressArguments

    @Option(name: .customLong("for"), help: "The kernel lifts it after this time.")
    var time: Duration?

    func run() async throws {
        let network = try address.network()
        var parameters: JSONObject = ["address": .text("\(network)")]
        parameters.append("for", time.map { .text($0.text) })
        try await action.carryOut("network.block", on: .address(network), with: parameters)
    }
}

struct NetworkUnblockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unblock", abstract: "Lets a blocked address's packets pass again.", discussion: "Example:\n  riposte network unblock 192.0.2.66")

    @OptionGroup var action: ActionOptions
    @OptionGroup var address: AddressArguments

    func run() async throws {
        let network = try address.network()
        try await action.carryOut("network.unblock", on: .address(network), with: ["address": .text("\(network)")])
    }
}

struct NetworkIsolateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "isolate", abstract: "Cuts this host off from everybody but an allow list.",
        discussion: """
            network.management_allow of the configuration is always part of the allow list; loopback stays open.

            Example:
              riposte network isolate --allow 10.0.0.0/8:22/tcp --for 1h
            """)

    @OptionGroup var action: ActionOptions

    @Option(name: .long, help: "Who stays reachable: ADDRESS[/PREFIX][:PORT[/tcp|udp]]; may be repeated.")
    var allow: [String] = []

    @Flag(name: .long, help: "Also with an empty allow list, which leaves only the console.")
    var lockout = false

    @Option(name: .customLong("for"), help: "Release it by itself after this time.")
    var time: Duration?

    func run() async throws {
        try await action.carryOut("network.isolate", on: .host, with: ["allow": .array(allow.map(JSON.text)), "lockout": .bool(lockout)], for: time)
    }
}

struct NetworkReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Ends this host's isolation.", discussion: "Example:\n  riposte network release")

    @OptionGroup var action: ActionOptions

    func run() async throws { try await action.carryOut("network.release", on: .host) }
}
