#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// An IPv4 or IPv6 address in network byte order: 4 or 16 bytes. An IPv4 address mapped into IPv6 is the IPv4 address.
package struct IPAddress: Hashable, Sendable {
    package enum Family: String, Sendable { case ipv4, ipv6 }

    package let bytes: [UInt8]

    package var family: Family { bytes.count == 4 ? .ipv4 : .ipv6 }

    /// `bytes` are 4 or 16, as `struct in_addr` and `struct in6_addr` hold them.
    package init?(bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let isMapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
    }

    /// Reads exactly what `inet_pton(3)` reads: no names, no ports, no zone ids, no leading zeros, no blanks.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        var storage = [UInt8](repeating: 0, count: 16)
        let isIPv6 = text.contains(":")
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, String(text), &storage) == 1 else { return nil }
        self.init(bytes: storage.prefix(isIPv6 ? 16 : 4))
    }
}

extension IPAddress: CustomStringConvertible {
    package var description: String {
        var text = [CChar](repeating: 0, count: 46)
        guard inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A block of addresses: `10.1.0.0/16`; a single address is the block with the full prefix. Host bits are always zero.
package struct IPNetwork: Hashable, Sendable {
    package let address: IPAddress
    package let prefixLength: Int

    package var family: IPAddress.Family { address.family }
    package var isSingleAddress: Bool { prefixLength == address.bytes.count * 8 }

    package init(_ address: IPAddress) {
        self.address = address
        prefixLength = address.bytes.count * 8
    }

    /// Nil where the prefix is longer than the address. Host bits are cleared.
    package init?(_ address: IPAddress, prefixLength: Int) {
        guard 0...(address.bytes.count * 8) ~= prefixLength else { return nil }
        let masked = address.bytes.enumerated().map { index, byte in
            byte & UInt8(truncatingIfNeeded: 0xFF00 >> max(0, min(8, prefixLength - index * 8)))
        }
        guard let base = IPAddress(bytes: masked) else { return nil }
        self.address = base
        // A mapped IPv6 block became IPv4 in `base`; its prefix shrinks with it.
        self.prefixLength = max(0, prefixLength - (address.bytes.count - base.bytes.count) * 8)
    }

    /// Reads `1.2.3.4`, `1.2.3.0/24`, `2001:db8::/32`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        guard parts.count == 2 else {
            self.init(address)
            return
        }
        let digits = parts[1]
        guard 1...3 ~= digits.utf8.count, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let length = Int(digits) else { return nil }
        self.init(address, prefixLength: length)
    }

    package func contains(_ other: IPAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        return IPNetwork(other, prefixLength: prefixLength)?.address == address
    }

    package func contains(_ other: IPNetwork) -> Bool { other.prefixLength >= prefixLength && contains(other.address) }

    package func overlaps(_ other: IPNetwork) -> Bool { contains(other) || other.contains(self) }
}

extension IPNetwork: CustomStringConvertible {
    /// A single address without its prefix: `1.2.3.4`; else `1.2.3.0/24`.
    package var description: String { isSingleAddress ? "\(address)" : "\(address)/\(prefixLength)" }
}
