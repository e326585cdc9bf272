/// A block of addresses with, where wanted, one port and protocol: an entry of an allow list. `10.0.0.0/8`, `192.0.2.7:22/tcp`,
/// `[2001:db8::1]:443/tcp`. A port without protocol means both TCP and UDP.
package struct NetworkEndpoint: Hashable, Sendable, CustomStringConvertible {
    package enum Transport: String, CaseIterable, Sendable { case tcp, udp }

    package var network: IPNetwork
    package var port: UInt16?
    package var transport: Transport?

    package init(network: IPNetwork, port: UInt16? = nil, transport: Transport? = nil) {
        self.network = network
        self.port = port
        self.transport = transport
    }

    package init?(_ text: some StringProtocol) {
        if let network = IPNetwork(text) {
            self.init(network: network)
            return
        }
        let (block, rest): (Substring, Substring)
        let text = Substring(text)
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            (block, rest) = (text[text.index(after: text.startIndex)..<end], text[text.index(after: end)...])
        } else {
            guard let colon = text.firstIndex(of: ":") else { return nil }
            (block, rest) = (text[..<colon], text[colon...])
        }
        guard let network = IPNetwork(block) else { return nil }
        guard !rest.isEmpty else {
            self.init(network: network)
            return
        }
        let parts = rest.dropFirst().split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard rest.first == ":", let port = parts.first.flatMap({ UInt16($0) }), port > 0 else { return nil }
        guard parts.count == 2 else {
            self.init(network: network, port: port)
            return
        }
        guard let transport = Transport(rawValue: String(parts[1])) else { return nil }
        self.init(network: network, port: port, transport: transport)
    }

    package var description: String {
        guard let port else { return "\(network)" }
        let block = network.family == .ipv6 ? "[\(network)]" : "\(network)"
        return "\(block):\(port)" + (transport.map { "/\($0.rawValue)" } ?? "")
    }
}
