internal import Foundation
internal import RiposteCore
internal import RiposteTransport
internal import Synchronization

/// Mails to people, through an SMTP server.
package final class MailDestination: Destination {
    package static let kind = "smtp"

    private let client: OwnThread<MailClient>
    private let composer: MailComposer
    private let from: MailAddress
    private let to: [MailAddress]
    private let shownServer: String
    private let now: @Sendable () -> Timestamp
    private let progress = Mutex(MailProgress())
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let server = Self.server(settings, context)
        let from = settings.required("from", settings.text).flatMap { Self.address($0, "from", settings) }
        let to = (settings.required("to", settings.texts) ?? []).map { Self.address($0, "to", settings) }
        let composer = MailComposer(settings, context)
        let digest = settings.section("digest")
        let (count, linger) = (digest.integer("count", in: 1...500), digest.duration("linger", in: .milliseconds(1) ... .seconds(3600)))
        guard let server, let from, !to.isEmpty, !settings.hasProblems else { return nil }
        self.from = from
        self.to = to.compactMap(\.self)
        self.composer = composer
        now = context.now
        shownServer = "\(server.host.escapedForDisplay):\(server.port)"
        client = OwnThread(context.name, MailClient(server))
        limits = BatchLimits(
            count: count ?? 50, bytes: 1 << 20, linger: linger ?? .seconds(2), deadline: (server.timeout + server.timeout) + .seconds(5), staysTogether: true)
    }

    private static func server(_ settings: DestinationSettings, _ context: DestinationContext) -> MailClient.Server? {
        let host = settings.required("host") {
            settings.word(
                $0, isAllowed: { $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil || "-._:".unicodeScalars.contains($0)) },
                expecting: "the name or address of a host")
        }
        let security = settings.choice("security", MailClient.Security.self) ?? .startTLS
        let port = settings.integer("port", in: 1...65535)
        let tls = settings.tlsOptions("tls")
        let (user, password) = (settings.secret("user"), settings.secret("password"))
        let timeout = settings.duration("timeout", in: .milliseconds(100) ... .seconds(600)) ?? .seconds(30)
        if (user == nil) != (password == nil) { settings.report("user", "\(settings.title) needs user and password together") }
        if security == .none {
            if settings.isSet("tls") { settings.report("tls", "tls has no effect in \(settings.title): security is none") }
            if password != nil { settings.report("security", "\(settings.title) would send its password for everybody to read: security is none") }
        }
        guard let host, let tls else { return nil }
        let standardPort = security == .tls ? 465 : security == .startTLS ? 587 : 25
        let login = user.flatMap { user in password.map { (user.revealed, $0.revealed) } }
        return MailClient.Server(
            host: host, port: port ?? standardPort, security: security, tls: tls, login: login, ownName: MailAddress.domain(context.host), timeout: timeout)
    }

    private static func address(_ text: String, _ key: String, _ settings: DestinationSettings) -> MailAddress? {
        if let address = MailAddress(text) { return address }
        settings.report(key, "expected an address such as soc@example.org or SOC <soc@example.org> for \(key) of \(settings.title)")
        return nil
    }

    package var place: String { "\(shownServer) to \(to.count == 1 ? to[0].address : "\(to.count) recipients")" }

    /// One mail, of one message or of several that came together.
    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        // Of what is under way a test knows nothing, and takes nothing from it.
        let isTest = batch.contains { $0.kind == .test }
        var own = MailProgress()
        let all = to.map(\.address)
        let (hashes, began) = (batch.map(\.hash), now())
        let open = isTest ? own.begin(hashes, to: all, at: began) : progress.withLock { $0.begin(hashes, to: all, at: began) }
        // The same one for all, whoever has it by now.
        let mail = Mail(from: from.address, to: open, bytes: composer.mail(of: batch, from: from, to: to))
        let (answers, code) = await client.call { client, patience in Self.attempt(mail, client, patience) }
        let ended = now()
        if isTest { return own.end(answers, "reply \(code)", count: batch.count, at: ended) }
        return progress.withLock { $0.end(answers, "reply \(code)", count: batch.count, at: ended) }
    }

    private static func attempt(_ mail: Mail, _ client: MailClient, _ patience: Patience) -> (answers: [(String, MailProgress.Answer)], code: Int) {
        let (refused, rest, code): ([MailClient.Refusal], MailProgress.Answer, Int)
        do throws(MailClient.Failure) {
            let receipt = try client.send(mail, patience)
            (refused, rest, code) = (receipt.refused, .taken, receipt.code)
        } catch {
            (refused, rest, code) = (error.refused, answer(to: error), 0)
        }
        return (
            mail.to.map { address in
                guard let refusal = refused.first(where: { $0.address == address }) else { return (address, rest) }
                return (address, refusal.isFinal ? .refused(refusal.message) : .later(refusal.message))
            }, code
        )
    }

    /// A person mends a login; what a server says of this mail with 5xx stays so (RFC 5321, 4.2.1).
    private static func answer(to failure: MailClient.Failure) -> MailProgress.Answer {
        switch failure.cause {
        case .reply(500..<600): .mailRefused(failure.message)
        case .reply: .later(failure.message)
        case .login, .transport: .unheard(failure.message)
        }
    }

    package func reopen() async { await client.call { client, _ in client.close() } }
    package func close() async { await client.call { client, _ in client.close() } }
}

/// `soc@example.org`, or with a name before it: `SOC <soc@example.org>`.
struct MailAddress: Sendable, Equatable {
    let name: String?
    let address: String

    /// ASCII only, without quoted local parts: what every server takes, and nothing that could be a second header.
    init?(_ text: String) {
        var (name, address): (String?, Substring) = (nil, text[...])
        if let open = text.lastIndex(of: "<"), text.hasSuffix(">") {
            name = text[..<open].trimmingCharacters(in: .whitespaces)
            address = text[text.index(after: open)...].dropLast()
        }
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, address.utf8.count <= 254, parts[1].utf8.allSatisfy(Self.isOfDomain),
            parts[0].utf8.allSatisfy({ Self.isOfDomain($0) || "!#$%&'*+/=?^_`{|}~".utf8.contains($0) })
        else { return nil }
        self.name = name.flatMap { $0.isEmpty ? nil : $0 }
        self.address = String(address)
    }

    private static func isOfDomain(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// A host's name as it can stand behind an @.
    static func domain(_ host: String) -> String {
        let name = String(decoding: host.utf8.filter(isOfDomain).prefix(200), as: UTF8.self).trimmingCharacters(in: CharacterSet(charactersIn: ".-"))
        return name.isEmpty ? "localhost" : name
    }

    var header: String { name.map { "\(MailHeader.encoded($0, always: true)) <\(address)>" } ?? address }
}
