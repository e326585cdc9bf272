import Foundation
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

private let needs = Comment("needs root, ip, nft and ping: real namespaces of the real kernel")
private let isPossible = Machine.isRoot && Machine.has("ip") && Machine.has("nft") && Machine.has("ping")

/// Two machines with a cable between them. Riposte acts on `host`; `peer` is the world.
private struct Cable {
    let host: NetworkNamespace
    let peer: NetworkNamespace
    let context: NetworkContext

    init() throws {
        (host, peer) = (try NetworkNamespace(), try NetworkNamespace())
        try host.join(
            peer, addresses: ["10.77.0.1/24", "fd77::1/64"], others: ["10.77.0.2/24", "10.77.0.3/24", "10.77.0.4/24", "fd77::2/64", "fd77::3/64"])
        context = NetworkContext(namespace: host.descriptor)
    }

    func reach(_ addresses: [String]) throws -> [Bool] { try addresses.map { try host.canPing($0, tries: 1) } }
}

private func address(_ text: String) throws -> TargetClaim { .address(try #require(IPNetwork(text))) }

@Suite("network.block, in namespaces", .enabled(if: isPossible, needs))
struct NetworkBlockTests {
    @Test(
        "what is blocked stops in both directions, what is not goes on, and unblocking leaves nothing behind",
        arguments: [
            ("10.77.0.2", ["10.77.0.2"], ["10.77.0.3", "fd77::2"]), ("10.77.0.2/31", ["10.77.0.2", "10.77.0.3"], ["10.77.0.4"]),
            ("fd77::2", ["fd77::2"], ["fd77::3", "10.77.0.2"]), ("fd77::/127", [], ["fd77::2", "fd77::3"]), ("fd77::2/127", ["fd77::2", "fd77::3"], ["10.77.0.2"]),
        ])
    func block(block: String, stopped: [String], open: [String]) async throws {
        let cable = try Cable()
        for address in stopped + open { #expect(try cable.host.canPing(address)) }
        let performance = try await NetworkBlock(context: cable.context).carryOut(address(block), ["address": .text(block)])
        #expect(performance.outcome == .done && performance.isConfirmed)
        for address in stopped { #expect(try !cable.host.canPing(address, tries: 1), "\(address) is open") }
        for address in open { #expect(try cable.host.canPing(address), "\(address) is closed") }
        #expect(try await NetworkBlock(context: cable.context).carryOut(address(block), ["address": .text(block)]).outcome == .already)
        #expect(try await NetworkUnblock(context: cable.context).carryOut(address(block), ["address": .text(block)]).outcome == .done)
        for address in stopped { #expect(try cable.host.canPing(address)) }
        #expect(cable.host.ruleset.isEmpty)
    }

    @Test("a connection that stood before is cut too")
    func establishedConnection() async throws {
        let cable = try Cable()
        let peer = try ChildProcess(["ip", "netns", "exec", cable.peer.name, "busybox", "nc", "-l", "-p", "7001", "-e", "cat"])
        _ = peer
        try await waitForListener(cable)
        let script = "exec 3<>/dev/tcp/10.77.0.2/7001; echo one >&3; head -n1 <&3; read -r _; echo two >&3; timeout 1 head -n1 <&3 || echo cut"
        let (input, output) = (Pipe(), Pipe())
        let client = try ChildProcess(
            ["ip", "netns", "exec", cable.host.name, "bash", "-c", script], input: input.fileHandleForReading.fileDescriptor,
            output: output.fileHandleForWriting.fileDescriptor)
        try output.fileHandleForWriting.close()
        #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "one\n")
        _ = try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.2"), ["address": "10.77.0.2"])
        try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        #expect(String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == "cut\n")
        #expect(client.waitForExit() == 0)
    }

    private func waitForListener(_ cable: Cable) async throws {
        for _ in 0..<500 {
            if try cable.peer.execute(["sh", "-c", "grep -q ':1B59 .* 0A ' /proc/net/tcp /proc/net/tcp6"]).status == 0 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("nobody listens on 7001")
    }

    @Test("a timed block is the kernel's: it ends by itself, and a longer one takes its place")
    func timed() async throws {
        let cable = try Cable()
        let block = NetworkBlock(context: cable.context)
        _ = try await block.carryOut(address("10.77.0.2"), ["address": "10.77.0.2", "for": "2s"])
        #expect(try !cable.host.canPing("10.77.0.2", tries: 1))
        #expect(try await block.carryOut(address("10.77.0.2"), ["address": "10.77.0.2", "for": "1s"]).outcome == .already)
        let remaining = try #require(try NetworkState.read(in: cable.context).blocks.first?.remaining)
        #expect(remaining <= .seconds(2))
        for _ in 0..<20 where try !cable.host.canPing("10.77.0.2", tries: 1) {}
        #expect(try cable.host.canPing("10.77.0.2"))
        #expect(try await block.carryOut(address("10.77.0.3"), ["address": "10.77.0.3", "for": "10s"]).outcome == .done)
        #expect(try await block.carryOut(address("10.77.0.3"), ["address": "10.77.0.3", "for": "1h"]).outcome == .done, "longer is not `already`")
        let hour = try #require(try NetworkState.read(in: cable.context).blocks.first { "\($0.network)" == "10.77.0.3" }?.remaining)
        #expect(hour > .seconds(3500))
    }

    @Test(
        "blocks inside one another stand by themselves: one that ends takes no other with it",
        arguments: [
            (["10.77.0.8/30": nil, "10.77.0.8/29": "1s"], ["10.77.0.8/30", "10.77.0.8/29"]), (["10.77.0.8/30": "1h", "10.77.0.8/29": "1s"], ["10.77.0.8/30", "10.77.0.8/29"]),
            (["10.77.0.8/30": nil, "10.77.0.8/29": "1s"], ["10.77.0.8/29", "10.77.0.8/30"]),
        ] as [([String: String?], [String])])
    func nested(times: [String: String?], order: [String]) async throws {
        let cable = try Cable()
        for address in ["10.77.0.9", "10.77.0.13"] { try cable.peer.execute(["ip", "addr", "add", "\(address)/24", "dev", "veth0"]) }
        let (block, unblock) = (NetworkBlock(context: cable.context), NetworkUnblock(context: cable.context))
        for network in order {
            var with: JSONObject = ["address": .text(network)]
            with.append("for", times[network].flatMap { $0 }.map(JSON.text))
            #expect(try await block.carryOut(address(network), with).outcome == .done)
        }
        for _ in 0..<20 where try !cable.host.canPing("10.77.0.13", tries: 1) {}
        #expect(try cable.host.canPing("10.77.0.13"), "the kernel lifted the wider one")
        #expect(try !cable.host.canPing("10.77.0.9", tries: 1), "and the narrower one stands")
        #expect(try NetworkState.read(in: cable.context).blocks.map { "\($0.network)" } == ["10.77.0.8/30"])
        _ = try await block.carryOut(address("10.77.0.8/29"), ["address": "10.77.0.8/29"])
        let lifted = try await unblock.carryOut(address("10.77.0.8/29"), ["address": "10.77.0.8/29"])
        #expect(lifted.message == "10.77.0.8/29 is not blocked any more; still blocked: 10.77.0.8/30")
        #expect(try cable.host.canPing("10.77.0.13") && !cable.host.canPing("10.77.0.9", tries: 1))
        _ = try await unblock.carryOut(address("10.77.0.8/30"), ["address": "10.77.0.8/30"])
        #expect(cable.host.ruleset.isEmpty)
    }

    @Test("an address inside a blocked network is blocked already, and cannot be taken out of it alone")
    func covered() async throws {
        let cable = try Cable()
        _ = try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.0/24"), ["address": "10.77.0.0/24"])
        #expect(try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.9"), ["address": "10.77.0.9"]).outcome == .already)
        #expect(try await NetworkUnblock(context: cable.context).verdict(address("10.77.0.9"), ["address": "10.77.0.9"]) == "conflict")
    }

    @Test("a plan changes nothing")
    func plan() async throws {
        let cable = try Cable()
        let block = NetworkBlock(context: cable.context)
        let plan = try await block.plan(block.ask(address("10.77.0.2"), ["address": "10.77.0.2", "for": "10m"]))
        #expect(plan.summary == "block 10.77.0.2 for 10m")
        #expect(cable.host.ruleset.isEmpty)
    }

    @Test("other tables are as they were")
    func otherTables() async throws {
        let cable = try Cable()
        try cable.host.execute(["nft", "add table inet theirs; add chain inet theirs in { type filter hook input priority 0; policy accept; }"])
        let before = cable.host.ruleset
        _ = try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.2"), ["address": "10.77.0.2"])
        #expect(cable.host.ruleset.contains(before.trimmingCharacters(in: .whitespacesAndNewlines)))
        _ = try await NetworkUnblock(context: cable.context).carryOut(address("10.77.0.2"), ["address": "10.77.0.2"])
        #expect(cable.host.ruleset == before)
    }

    @Test("rules count what they drop")
    func counters() async throws {
        let cable = try Cable()
        _ = try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.2"), ["address": "10.77.0.2"])
        #expect(try !cable.host.canPing("10.77.0.2", tries: 1))
        #expect(try NetworkState.read(in: cable.context).rules.contains { $0.chain == "out" && $0.packets > 0 })
    }

    @Test("many blocks at once lose none")
    func atOnce() async throws {
        let cable = try Cable()
        let block = NetworkBlock(context: cable.context)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for last in 10..<60 {
                group.addTask { _ = try await block.carryOut(address("192.0.2.\(last)"), ["address": .text("192.0.2.\(last)")]) }
            }
            try await group.waitForAll()
        }
        #expect(try NetworkState.read(in: cable.context).blocks.count == 50)
    }
}

@Suite("network.isolate, in namespaces", .enabled(if: isPossible, needs))
struct NetworkIsolateTests {
    @Test("everybody is cut off but the allow list and loopback, and release opens all again")
    func isolate() async throws {
        let cable = try Cable()
        let isolate = NetworkIsolate(managementAllow: [try #require(NetworkEndpoint("10.77.0.2"))], context: cable.context)
        #expect(try cable.host.canPing("10.77.0.3"))
        let performance = try await isolate.carryOut(.host, ["allow": ["fd77::2"]])
        #expect(performance.outcome == .done && performance.isConfirmed)
        #expect(try cable.host.canPing("10.77.0.2"))
        #expect(try cable.host.canPing("fd77::2"))
        #expect(try cable.host.canPing("127.0.0.1"))
        #expect(try cable.reach(["10.77.0.3", "10.77.0.4", "fd77::3"]) == [false, false, false])
        #expect(try !cable.peer.canPing("fd77::1%veth0", tries: 1) || cable.peer.canPing("10.77.0.1"), "the allowed source may come in")
        #expect(try await isolate.carryOut(.host, ["allow": ["fd77::2"]]).outcome == .already)
        #expect(try await NetworkRelease(context: cable.context).carryOut(.host).outcome == .done)
        #expect(try cable.host.canPing("10.77.0.3"))
        #expect(cable.host.ruleset.isEmpty)
        #expect(try await NetworkRelease(context: cable.context).carryOut(.host).outcome == .already)
    }

    @Test("a port and protocol of the allow list open just that")
    func port() async throws {
        let cable = try Cable()
        let isolate = NetworkIsolate(managementAllow: [], context: cable.context)
        let listener = try ChildProcess(["ip", "netns", "exec", cable.host.name, "busybox", "nc", "-ll", "-p", "7002", "-e", "echo", "in"])
        _ = listener
        _ = try await isolate.carryOut(.host, ["allow": ["10.77.0.0/24:7002/tcp"]])
        var answer = ""
        // Refused until the listener is up.
        for _ in 0..<50 where answer != "in" { answer = try cable.peer.execute(["busybox", "nc", "-w", "1", "10.77.0.1", "7002"]).output.filter(\.isLetter) }
        #expect(answer == "in")
        #expect(try !cable.peer.canPing("10.77.0.1", tries: 1))
    }

    @Test("with another allow list it is another isolation, a stricter one and a looser one")
    func anotherAllowList() async throws {
        let cable = try Cable()
        let isolate = NetworkIsolate(managementAllow: [], context: cable.context)
        for (allow, reached) in [("0.0.0.0/0", [true, true]), ("10.77.0.2:22/tcp", [false, false]), ("10.77.0.2", [true, false]), ("0.0.0.0/0", [true, true])] {
            let with: JSONObject = ["allow": [.text(allow)]]
            let performance = try await isolate.carryOut(.host, with)
            #expect(performance.outcome == .done && performance.isConfirmed, "\(allow)")
            #expect(try await isolate.carryOut(.host, with).outcome == .already, "\(allow)")
            for (address, isReached) in zip(["10.77.0.2", "10.77.0.3"], reached) {
                #expect(try cable.host.canPing(address, tries: isReached ? 3 : 1) == isReached, "\(allow): \(address)")
            }
        }
    }

    @Test("nobody is sent anything in the guise of neighbour discovery, and what a router has passed on is not taken")
    func neighbourDiscovery() async throws {
        let cable = try Cable()
        try cable.host.execute(["ip", "-6", "route", "add", "default", "via", "fd77::2"])
        let (inside, outside) = (try Solicitations(in: cable.host), try Solicitations(in: cable.peer))
        #expect(inside.send(to: "2001:db8::7"))
        _ = try await NetworkIsolate(managementAllow: [], context: cable.context).carryOut(.host, ["allow": ["10.77.0.2"]])
        #expect(!inside.send(to: "2001:db8::7"))
        let before = try inputDrops(cable)
        // As if a router had taken one off.
        for _ in 0..<5 { #expect(outside.send(to: "fd77::1", hopLimit: 254)) }
        while try inputDrops(cable) < before + 5 { await Task.yield() }
        #expect(try cable.host.canPing("10.77.0.2"))
    }

    private func inputDrops(_ cable: Cable) throws -> UInt64 {
        try NetworkState.read(in: cable.context).rules.last { $0.chain == "isolate_in" }?.packets ?? 0
    }

    @Test("an empty allow list is refused, unless a person says lockout")
    func lockout() async throws {
        let cable = try Cable()
        let isolate = NetworkIsolate(managementAllow: [], context: cable.context)
        #expect(try await isolate.verdict(.host) == "guarded")
        #expect(cable.host.ruleset.isEmpty)
        #expect(try await isolate.carryOut(.host, ["lockout": true]).outcome == .done)
        #expect(try cable.reach(["10.77.0.2", "127.0.0.1"]) == [false, true])
    }

    @Test("blocks and isolation stand beside one another")
    func both() async throws {
        let cable = try Cable()
        let isolate = NetworkIsolate(managementAllow: [try #require(NetworkEndpoint("10.77.0.0/24"))], context: cable.context)
        _ = try await NetworkBlock(context: cable.context).carryOut(address("10.77.0.2"), ["address": "10.77.0.2"])
        _ = try await isolate.carryOut(.host)
        #expect(try cable.reach(["10.77.0.2", "10.77.0.3"]) == [false, true], "a block wins over the allow list")
        _ = try await NetworkRelease(context: cable.context).carryOut(.host)
        #expect(try cable.reach(["10.77.0.2", "10.77.0.3"]) == [false, true])
    }
}

@Suite("addresses that are never blocked", .enabled(if: isPossible, needs))
struct NetworkGuardTests {
    @Test(
        "own, gateway, loopback, link-local, multicast, management and far too wide",
        arguments: [
            ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("10.77.0.1", "an address of this host"), ("10.77.0.0/24", "an address"),
            ("fd77::1", "an address of this host"), ("fd77::/64", "an address"), ("10.77.0.2", "a gateway"), ("169.254.1.1", "link-local"), ("fe80::1", "link-local"),
            ("224.0.0.1", "multicast"), ("255.255.255.255", "broadcast"), ("0.0.0.0/0", "wider than /8"), ("::/0", "wider than /32"),
            ("198.51.100.7", "network.management_allow"), ("198.51.100.0/25", "network.management_allow"), ("::ffff:127.0.0.1", "loopback"),
        ])
    func refused(block: String, reason: String) async throws {
        let cable = try Cable()
        try cable.host.execute(["ip", "route", "add", "default", "via", "10.77.0.2"])
        let wall = NetworkGuard(managementAllow: [try #require(NetworkEndpoint("198.51.100.0/24"))], context: cable.context)
        let action = NetworkBlock(context: cable.context)
        let plan = try await action.plan(action.ask(address(block), ["address": .text(block)]))
        #expect(await wall.refusal(of: plan)?.contains(reason) == true)
    }

    @Test(
        "DNS resolvers, and whom Riposte itself has to reach",
        arguments: [
            ("203.0.113.53", "a DNS resolver of this host"), ("2001:db8::53", "a DNS resolver"), ("203.0.113.0/24", "a DNS resolver"), ("198.51.100.1", "a DNS resolver"),
            ("192.0.2.10", "the API server"), ("2001:db8::6443", "the API server"), ("192.0.2.20", "an output"), ("192.0.2.30", "an output"), ("192.0.2.21", nil),
        ] as [(String, String?)])
    func needed(block: String, reason: String?) async throws {
        let cable = try Cable()
        let folder = try TemporaryFolder()
        let files = [
            try folder.file("resolv.conf", "# nameserver 192.0.2.21\nsearch example.org\nnameserver 203.0.113.53\nnameserver\t2001:db8::53%eth0\n"),
            try folder.file("real", "nameserver 198.51.100.1"), folder.path + "/none",
        ]
        let places = [
            ("https://192.0.2.10:6443", "the API server"), ("https://[2001:db8::6443]/x", "the API server"), ("192.0.2.20:514", "an output"), ("192.0.2.30", "an output"),
            ("https://siem.example:8443", "an output"), ("json", "an output"), ("/var/log/x", "an output"), ("", "an output"),
        ]
        let wall = NetworkGuard(managementAllow: [], context: cable.context, resolverFiles: files) {
            places.compactMap { NetworkGuard.Peer(place: $0.0, what: $0.1) }
        }
        let action = NetworkBlock(context: cable.context)
        let refusal = await wall.refusal(of: try await action.plan(action.ask(address(block), ["address": .text(block)])))
        #expect(reason.map { refusal?.contains($0) == true } ?? (refusal == nil), "\(refusal ?? "allowed")")
    }

    @Test(
        "every next hop of every route, of either family",
        arguments: [
            ("-4 route add default nexthop via 10.77.0.2 nexthop via 10.77.0.3", ["10.77.0.2", "10.77.0.3"]),
            ("-6 route add default nexthop via fd77::2 nexthop via fd77::3", ["fd77::2", "fd77::3"]),
            ("-4 route add 198.51.100.0/24 via inet6 fd77::9 dev veth0", ["fd77::9"]),
            ("-4 route add 198.51.100.0/24 nexthop via inet6 fd77::9 dev veth0 nexthop via 10.77.0.3 dev veth0", ["fd77::9", "10.77.0.3"]),
        ])
    func gateways(route: String, gateways: [String]) async throws {
        let cable = try Cable()
        let result = try cable.host.execute(["ip"] + route.split(separator: " ").map(String.init))
        try #require(result.status == 0, "\(result.output)")
        let action = NetworkBlock(context: cable.context)
        for gateway in gateways {
            let plan = try await action.plan(action.ask(address(gateway), ["address": .text(gateway)]))
            #expect(await NetworkGuard(managementAllow: [], context: cable.context).refusal(of: plan) == "\(gateway) is a gateway of this host")
        }
    }

    @Test("anybody else may be", arguments: ["203.0.113.9", "10.77.0.3", "2001:db8::/32", "203.0.0.0/8"])
    func allowed(block: String) async throws {
        let cable = try Cable()
        let action = NetworkBlock(context: cable.context)
        let plan = try await action.plan(action.ask(address(block), ["address": .text(block)]))
        #expect(await NetworkGuard(managementAllow: [], context: cable.context).refusal(of: plan) == nil)
    }
}
