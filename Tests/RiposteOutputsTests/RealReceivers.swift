import Foundation
import RiposteTestSupport
import Testing

/// A service that a test starts as its own child, and what it prints.
final class Service: Sendable {
    let child: ChildProcess
    private let output: FileHandle
    private let unread = LineBuffer()

    private final class LineBuffer: @unchecked Sendable {
        // Read by the test's task alone.
        var bytes: [UInt8] = []
    }

    init(_ arguments: [String]) throws {
        let pipe = Pipe()
        child = try ChildProcess(arguments, output: pipe.fileHandleForWriting.fileDescriptor, error: FileHandle.standardError.fileDescriptor)
        try pipe.fileHandleForWriting.close()
        output = pipe.fileHandleForReading
    }

    deinit { child.signal(SIGTERM) }

    /// The next line that it prints; nil at its end, or if none comes within half a minute.
    func line() -> String? {
        while true {
            if let end = unread.bytes.firstIndex(of: 10) {
                let line = String(decoding: unread.bytes[..<end], as: UTF8.self)
                unread.bytes.removeSubrange(...end)
                return line
            }
            var news = pollfd(fd: output.fileDescriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&news, 1, 30_000) > 0, case let data = output.availableData, !data.isEmpty else { return nil }
            unread.bytes += data
        }
    }

    /// Whether something that a service does comes about within half a minute.
    static func comesAbout(_ condition: () throws -> Bool) async rethrows -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while try !condition() {
            guard .now < end else { return false }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return true
    }

    /// A port of the loopback device that nobody has just now.
    static func freePort(_ type: Int32 = Int32(SOCK_STREAM.rawValue)) throws -> Int {
        let descriptor = socket(AF_INET, type, 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) + getsockname(descriptor, $0, &length) }
        }
        try #require(status == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    static func fixture(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Fixtures/\(name)").standardizedFileURL.path
    }

    static let hasPythonSMTP = (try? run(["/usr/bin/python3", "-c", "import aiosmtpd.smtp"]).status) == 0
}

/// What whoever attacks may put into an alert.
enum Hostile {
    static let texts = [
        "line\nbreak\r\nSubject: injected\r\n\r\nbody", "\u{1B}[2J\u{1B}]0;title\u{07}", "a|b=c\\d|9|", #"] x="y" [id"#, "{{ message.host }} {{ proc.name }}",
        "<!channel> <b>x</b>", ". \r\n.\r\nQUIT",
        "=?utf-8?B?SGVsbG8=?=", "\u{202E}gnp.exe", "é".repeated(40), "* > $JS.API.> a.b",
    ]
}

extension String {
    func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
