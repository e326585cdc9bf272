internal import Foundation

/// A network namespace of the tests' own, removed with the test.
package final class NetworkNamespace: Sendable {
    package let name: String
    /// Of `setns`, open as long as the namespace.
    package let descriptor: Int32

    package init() throws {
        name = "riposte-" + UUID().uuidString.prefix(8).lowercased()
        guard try run(["ip", "netns", "add", name]).status == 0 else { throw CocoaError(.fileNoSuchFile) }
        try run(["ip", "-n", name, "link", "set", "lo", "up"])
        descriptor = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
    }

    deinit {
        close(descriptor)
        _ = try? run(["ip", "netns", "del", name])
    }

    /// Joins two namespaces by a veth pair; addresses with prefix, for this end and for the other.
    package func join(_ other: NetworkNamespace, addresses: [String], others: [String]) throws {
        try run(["ip", "link", "add", "veth0", "netns", name, "type", "veth", "peer", "name", "veth0", "netns", other.name])
        for (namespace, list) in [(name, addresses), (other.name, others)] {
            for address in list { try run(["ip", "-n", namespace, "addr", "add", address, "dev", "veth0"] + (address.contains(":") ? ["nodad"] : [])) }
            try run(["ip", "-n", namespace, "link", "set", "veth0", "up"])
        }
    }

    @discardableResult
    package func execute(_ arguments: [String]) throws -> (status: Int32, output: String) { try run(["ip", "netns", "exec", name] + arguments) }

    /// Whether an answer comes, three times asked where one is hoped for.
    package func canPing(_ address: String, tries: Int = 3) throws -> Bool {
        for _ in 0..<tries { if try execute(["ping", "-c", "1", "-W", "1", address]).status == 0 { return true } }
        return false
    }

    package var ruleset: String { (try? execute(["nft", "list", "ruleset"]).output) ?? "" }
}
