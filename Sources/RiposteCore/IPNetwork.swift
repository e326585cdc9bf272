#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// An IPv4 or IPv6 address. An IPv4 address mapped into IPv6 is the IPv4 address. Two words and no reference, so that it costs nothing to pass on.
package struct IPAddress: Hashable, Sendable {
    package enum Family: String, Sendable, CaseIterable { case ipv4, ipv6 }

    package let family: Family
    /// In host byte order; an IPv4 address is the lowest 32 bits of `low`.
    private let high: UInt64
    private let low: UInt64

    /// In network byte order: 4 or 16.
    package var bytes: [UInt8] {
        let all = [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
        return family == .ipv4 ? Array(all.suffix(4)) : all
    }

    package var bitCount: Int { family == .ipv4 ? 32 : 128 }

    /// `bytes` are 4 or 16, as `struct in_addr` and `struct in6_addr` hold them.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.init(high: high, low: low, isIPv4: bytes.count == 4)
    }

    private init(high: UInt64, low: UInt64, isIPv4: Bool) {
        let isMapped = !isIPv4 && high == 0 && low >> 32 == 0xFFFF
        family = isIPv4 || isMapped ? .ipv4 : .ipv6
        self.high = high
        self.low = isMapped ? low & 0xFFFF_FFFF : low
    }

    /// With all but the first `length` bits cleared.
    fileprivate func masked(to length: Int) -> IPAddress {
        let cleared = bitCount - length
        // A shift by the whole width or more gives 0, and one by less than nothing shifts back: both as needed here.
        let lowMask: UInt64 = cleared >= 64 ? 0 : ~UInt64(0) << UInt64(cleared)
        let highMask: UInt64 = cleared <= 64 ? ~UInt64(0) : ~UInt64(0) << UInt64(cleared - 64)
        return IPAddress(high: high & highMask, low: low & lowMask, isIPv4: family == .ipv4)
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
    package var isSingleAddress: Bool { prefixLength == address.bitCount }

    package init(_ address: IPAddress) {
        self.address = address
        prefixLength = address.bitCount
    }

    /// Nil where the prefix is longer than the address. Host bits are cleared.
    package init?(_ address: IPAddress, prefixLength: Int) {
        guard 0...address.bitCount ~= prefixLength else { return nil }
        let base = address.masked(to: prefixLength)
        self.address = base
        // A mapped IPv6 block became IPv4 in `base`; its prefix shrinks with it.
        self.prefixLength = max(0, prefixLength - (address.bitCount - base.bitCount))
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
        other.family == address.family && other.masked(to: prefixLength) == address
    }

    package func contains(_ other: IPNetwork) -> Bool { other.prefixLength >= prefixLength && contains(other.address) }

    package func overlaps(_ other: IPNetwork) -> Bool { contains(other) || other.contains(self) }
}

extension IPNetwork: CustomStringConvertible {
    /// A single address without its prefix: `1.2.3.4`; else `1.2.3.0/24`.
    package var description: String { isSingleAddress ? "\(address)" : "\(address)/\(prefixLength)" }
}
