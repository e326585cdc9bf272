import Foundation
import Glibc
@testable import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

/// Neighbour solicitations (ICMPv6 type 135) with a thousand bytes in them, as root sends and takes them by a raw socket.
final class Solicitations: Sendable {
    static let size = 1000
    private let descriptor: Int32

    init(in namespace: NetworkNamespace) throws {
        // IPPROTO_ICMPV6
        descriptor = try NetworkContext(namespace: namespace.descriptor).within { () throws(ActionError) in socket(AF_INET6, Int32(SOCK_RAW.rawValue), 58) }
        try #require(descriptor >= 0)
    }

    deinit { close(descriptor) }

    func send(to text: String, hopLimit: Int32 = 255) -> Bool {
        var (place, limit) = (sockaddr_in6(), hopLimit)
        place.sin6_family = sa_family_t(AF_INET6)
        inet_pton(AF_INET6, text, &place.sin6_addr)
        // IPPROTO_IPV6, IPV6_UNICAST_HOPS
        setsockopt(descriptor, 41, 16, &limit, socklen_t(MemoryLayout<Int32>.size))
        let message = [135, 0] + [UInt8](repeating: 7, count: Self.size - 2)
        return withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(descriptor, message, message.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
        } == message.count
    }

    /// Whether one of ours has come since the last time.
    var hasCome: Bool {
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == Self.size, buffer[0] == 135 { return true }
            if count <= 0 { return false }
        }
    }
}

@Suite(
    "what an isolated container may send to find its neighbours, in namespaces",
    .enabled(if: Machine.isRoot && Machine.has("ip") && Machine.has("nft") && Machine.has("ping"), "needs root, ip, nft and ping: real namespaces of the real kernel"))
struct NeighbourRuleTests {
    /// A container, the host that it is on, and a machine behind that.
    let (box, host, far): (NetworkNamespace, NetworkNamespace, NetworkNamespace)
    let table: DeviceTable
    private static let id = String(repeating: "ab", count: 32)

    init() throws {
        (box, host, far) = (try NetworkNamespace(), try NetworkNamespace(), try NetworkNamespace())
        table = DeviceTable(context: NetworkContext(namespace: host.descriptor))
        try host.join(box, addresses: ["10.78.0.1/24", "fd78::1/64"], others: ["10.78.0.2/24", "fd78::2/64"])
        try run(["ip", "link", "add", "far0", "netns", host.name, "type", "veth", "peer", "name", "far0", "netns", far.name])
        for (namespace, address) in [(host, "fd79::1/64"), (far, "fd79::2/64")] {
            try namespace.execute(["ip", "addr", "add", address, "dev", "far0", "nodad"])
            try namespace.execute(["ip", "link", "set", "far0", "up"])
        }
        try box.execute(["ip", "-6", "route", "add", "default", "via", "fd78::1"])
        try far.execute(["ip", "-6", "route", "add", "default", "via", "fd79::1"])
        try host.execute(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"])
    }

    private func isolate(_ allow: [String]) throws {
        let end = try #require(RouteReader(in: table.context).links().first { $0.name == "veth0" })
        let gateways = try ["10.78.0.1", "fd78::1"].map { try #require(IPAddress($0)) }
        let cut = DeviceTable.Cut(ends: [end], allow: try allow.map { try #require(NetworkEndpoint($0)) }, gateways: gateways)
        try table.isolating(Self.id, cut, standing: []).commit(in: table.context)
        #expect(table.isInForce(cut, for: Self.id, try table.chains(of: Self.id)))
    }

    private func dropped(_ direction: String) throws -> UInt64 {
        try table.chains(of: Self.id).first { $0.name.hasPrefix(direction) }?.counters.bytes ?? 0
    }

    @Test("the allow list opens no tunnel of solicitations to anybody behind a router, in either direction", arguments: [["10.78.0.1:443/tcp"], ["[fd78::1]:443/tcp"]])
    func tunnel(allow: [String]) async throws {
        let (inner, outer) = (try Solicitations(in: box), try Solicitations(in: far))
        while !outer.hasCome { #expect(inner.send(to: "fd79::2")) }
        while !inner.hasCome { #expect(outer.send(to: "fd78::2")) }
        try isolate(allow)
        while outer.hasCome || inner.hasCome {}
        for (sender, receiver, address, direction) in [(inner, outer, "fd79::2", "in_"), (outer, inner, "fd78::2", "out_")] {
            let before = try dropped(direction)
            for _ in 0..<5 { #expect(sender.send(to: address)) }
            while try dropped(direction) < before + 5 * UInt64(Solicitations.size), !receiver.hasCome { await Task.yield() }
            #expect(!receiver.hasCome, "\(direction)")
        }
    }

    @Test("whom the list allows is found anew, of either family, and nobody else", arguments: [("10.78.0.1", "fd78::1"), ("fd78::1", "10.78.0.1")])
    func found(allowed: String, other: String) throws {
        try isolate([allowed])
        for namespace in [box, host] { try namespace.execute(["ip", "neigh", "flush", "all"]) }
        #expect(try box.canPing(allowed))
        #expect(try !box.canPing(other, tries: 1))
        // The other way round as well.
        for namespace in [box, host] { try namespace.execute(["ip", "neigh", "flush", "all"]) }
        #expect(try host.canPing(allowed.contains(":") ? "fd78::2" : "10.78.0.2"))
    }
}
