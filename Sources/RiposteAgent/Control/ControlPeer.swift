internal import CRiposte
internal import Foundation
internal import Glibc

/// Who holds the control socket, as the kernel knows it: also of an agent that does not answer.
struct ControlPeer {
    let pid: Int32
    /// SIGSTOP, or a debugger.
    let isStopped: Bool

    /// Nil where nobody does.
    init?(socket path: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
        }
        var credentials = riposte_credentials()
        guard isConnected, riposte_peer_credentials(descriptor, &credentials) == 0, credentials.pid > 0 else { return nil }
        pid = credentials.pid
        let status = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map { String(decoding: $0, as: UTF8.self) } ?? ""
        // Behind the name, which is in parentheses and may hold some.
        isStopped = ["T", "t"].contains(status.split(separator: ")").last?.split(separator: " ").first ?? "")
    }

    /// What it is and what a person can do about it.
    var remedy: String {
        isStopped ? "it is stopped, by a signal or a debugger: kill -CONT \(pid) lets it go on" : "see what it waits for: ps -o pid,stat,wchan:32,etime,args -p \(pid)"
    }
}
