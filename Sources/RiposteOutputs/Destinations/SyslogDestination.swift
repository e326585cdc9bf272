internal import Foundation
internal import RiposteCore
internal import RiposteTransport

/// RFC 5424 messages to a local or distant syslog daemon: over a Unix socket, UDP, TCP or TLS, with one connection that is kept.
package final class SyslogDestination: Destination {
    package static let kind = "syslog"

    private let line: OwnThread<SyslogLine>
    private let format: SyslogFormat
    private let receiver: SyslogReceiver
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let receiver = SyslogReceiver(settings)
        let format = SyslogFormat(settings, context, standardLimit: receiver?.standardLimit ?? 65536)
        let timeout = settings.duration("timeout", in: .milliseconds(100) ... .seconds(600)) ?? .seconds(10)
        guard let receiver, let format else { return nil }
        self.receiver = receiver
        self.format = format
        line = OwnThread(context.name, SyslogLine(receiver, timeout: timeout))
        limits = BatchLimits(count: 200, bytes: 256 << 10, deadline: timeout + timeout + .seconds(5))
    }

    package var place: String { receiver.text }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let messages = batch.map(format.bytes(of:))
        let text = receiver.text
        return await line.call { line, patience in
            let (sent, problem) = line.send(messages, patience)
            let done = [DeliveryReport.Fate](repeating: .delivered, count: sent)
            guard let problem else { return DeliveryReport(done, answer: "\(sent) sent to \(text)") }
            switch problem {
            case .tooLarge(let words):
                return DeliveryReport(done + [.rejected(reason: words)] + Array(repeating: .tryAgain(reason: words), count: messages.count - sent - 1), answer: words)
            case .passing(let words): return DeliveryReport(done + Array(repeating: .tryAgain(reason: words), count: messages.count - sent), answer: words)
            }
        }
    }

    package func reopen() async { await line.call { line, _ in line.close() } }
    package func close() async { await line.call { line, _ in line.close() } }
}

/// Who takes syslog messages, and how they are told apart.
struct SyslogReceiver: Sendable {
    enum Way: Sendable, Equatable {
        /// A datagram each; a stream where the socket is one.
        case unix(path: String)
        case udp(host: String, port: Int)
        case tcp(host: String, port: Int)
        case tls(host: String, port: Int)
    }

    enum Framing: String, CaseIterable, Sendable {
        /// The length before each message (RFC 6587, 3.4.1; RFC 5425).
        case octets
        /// A line feed behind each (RFC 6587, 3.4.2).
        case newline
    }

    let way: Way
    let framing: Framing
    let tls: TLSOptions
    let text: String

    init?(_ settings: DestinationSettings) {
        let address = settings.text("address") ?? "unix:///dev/log"
        let framing = settings.choice("framing", Framing.self)
        let tls = settings.tlsOptions("tls")
        guard let way = Self.way(address) else {
            settings.report("address", "expected unix:///dev/log, udp://HOST:514, tcp://HOST:601 or tls://HOST:6514 for address of \(settings.title)")
            return nil
        }
        switch way {
        case .tls: break
        case .tcp: if settings.isSet("tls") { settings.report("tls", "tls has no effect in \(settings.title): its address is tcp://; write tls://") }
        case .unix, .udp:
            for key in ["tls", "framing"] where settings.isSet(key) { settings.report(key, "\(key) has no effect in \(settings.title): its address is \(address)") }
        }
        guard let tls else { return nil }
        self.way = way
        self.framing = framing ?? .octets
        self.tls = tls
        text = address
    }

    private static func way(_ address: String) -> Way? {
        guard let parts = URLComponents(string: address), parts.user == nil, parts.query == nil, parts.fragment == nil else { return nil }
        if parts.scheme == "unix" { return (parts.host ?? "").isEmpty && parts.path.hasPrefix("/") ? .unix(path: parts.path) : nil }
        let host = (parts.host ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        guard !host.isEmpty, parts.path.isEmpty, parts.port.map({ 1...65535 ~= $0 }) ?? true else { return nil }
        switch parts.scheme {
        case "udp": return .udp(host: host, port: parts.port ?? 514)
        case "tcp": return .tcp(host: host, port: parts.port ?? 601)
        case "tls": return .tls(host: host, port: parts.port ?? 6514)
        default: return nil
        }
    }

    /// What daemons take by default, and what fits into a datagram.
    var standardLimit: Int {
        switch way {
        case .udp: 2048
        case .unix, .tcp, .tls: 8192
        }
    }
}
