import Foundation
import Glibc
import Synchronization
import Testing

/// Whatever the tests want at the other end of a Unix socket: takes each request, and answers it with these bytes, or closes, or leaves it waiting.
final class UnixDouble: Sendable {
    enum Answer: Sendable {
        case text(String)
        case closing
        case silence
    }

    private struct State {
        var requests: [String] = []
        var open: [Int32] = []
    }

    private let listening: Int32
    private let state = Mutex(State())

    init(_ path: String, answer: Answer) throws {
        let listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listening, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) } == 0
        }
        try #require(isBound && listen(listening, 16) == 0)
        self.listening = listening
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listening, nil, nil)
                guard connection >= 0, let self else { return }
                self.serve(connection, answer)
            }
        }
    }

    /// Nobody is served any more, and who waits learns it.
    func end() {
        shutdown(listening, Int32(SHUT_RDWR))
        state.withLock { state in
            for connection in state.open { close(connection) }
            state.open = []
        }
    }

    deinit {
        end()
        close(listening)
    }

    /// The heads and bodies that came, one text each.
    var requests: [String] { state.withLock(\.requests) }

    private func serve(_ connection: Int32, _ answer: Answer) {
        let request = Self.read(connection)
        state.withLock { $0.requests.append(request) }
        switch answer {
        case .text(let text):
            _ = send(connection, text, text.utf8.count, Int32(MSG_NOSIGNAL))
            close(connection)
        case .closing: close(connection)
        case .silence: state.withLock { $0.open.append(connection) }
        }
    }

    /// To the end of its body.
    private static func read(_ connection: Int32) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let length = text.firstMatch(of: /(?i)content-length: (\d+)/).flatMap { Int($0.1) } ?? 0
                if text[end.upperBound...].utf8.count >= length { return text }
            }
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return text }
            bytes += buffer.prefix(count)
        }
    }
}
