internal import CRiposte
internal import Glibc
internal import NIOCore

/// Who is at the other end of a TCP connection on this very host: what the kernel says of the socket there, not what anybody says of himself.
package enum SocketOwner {
    /// Nil where the kernel cannot tell: the other end is on another host, or in another network namespace, or nobody holds it any more.
    static func userID(of channel: any Channel) -> UInt32? {
        switch (channel.remoteAddress, channel.localAddress) {
        case (.v4(let remote)?, .v4(let local)?):
            return try? userID(
                AF_INET, remote.address.sin_addr, UInt16(bigEndian: remote.address.sin_port), local.address.sin_addr, UInt16(bigEndian: local.address.sin_port)
            ).get()
        case (.v6(let remote)?, .v6(let local)?):
            return try? userID(
                AF_INET6, remote.address.sin6_addr, UInt16(bigEndian: remote.address.sin6_port), local.address.sin6_addr, UInt16(bigEndian: local.address.sin6_port)
            ).get()
        default: return nil
        }
    }

    /// The kernel's refusal to tell.
    struct Untold: Error, Equatable {
        let errno: Int32
    }

    private static func userID<Address>(_ family: Int32, _ address: Address, _ port: UInt16, _ peer: Address, _ peerPort: UInt16) -> Result<UInt32, Untold> {
        var owner: uid_t = 0
        let status = withUnsafeBytes(of: address) { own in
            withUnsafeBytes(of: peer) { riposte_socket_owner(family, own.baseAddress, port, $0.baseAddress, peerPort, &owner) }
        }
        return status == 0 ? .success(owner) : .failure(Untold(errno: -status))
    }

    /// Why the kernel of this host does not tell; nil where it does. Asks it about a connection of our own.
    package static func obstacle() -> String? {
        let (listening, connected) = (
            socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0), socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        )
        defer { for descriptor in [listening, connected] { close(descriptor) } }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        guard withAddress(&place, { bind(listening, $0, $1) }) == 0, listen(listening, 1) == 0, own(listening, &place),
            withAddress(&place, { connect(connected, $0, $1) }) == 0
        else { return "no connection on 127.0.0.1: \(String(cString: strerror(errno)))" }
        var other = sockaddr_in()
        guard own(connected, &other) else { return String(cString: strerror(errno)) }
        switch userID(AF_INET, other.sin_addr, UInt16(bigEndian: other.sin_port), place.sin_addr, UInt16(bigEndian: place.sin_port)) {
        case .success: return nil
        case .failure(let untold): return String(cString: strerror(untold.errno))
        }
    }

    private static func own(_ descriptor: Int32, _ place: inout sockaddr_in) -> Bool {
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &place) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) } } == 0
    }

    private static func withAddress(_ place: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: &place) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) } }
    }
}
