internal import Foundation
internal import RiposteCore
internal import RiposteTransport

/// Messages on a subject of NATS, with or without a stream behind it.
package final class NATSDestination: Destination {
    package static let kind = "nats"

    private let client: OwnThread<NATSClient>
    private let subject: SubjectTemplate
    private let body: MessageTemplate?
    private let isStored: Bool
    private let shownPlace: String
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let urls = settings.required("servers", settings.texts) ?? []
        let subject = SubjectTemplate(settings)
        body = settings.template("body", for: .jsonString)
        isStored = settings.bool("jetstream") ?? false
        let usesTLS = settings.isSet("tls") || urls.contains { $0.hasPrefix("tls://") }
        let tls = settings.tlsOptions("tls")
        if tls?.minimumVersion == .tls13 { settings.report("tls", "\(settings.title): libnats speaks 1.2 and 1.3, and cannot be told to refuse 1.2") }
        let login = Self.login(settings)
        let timeout = settings.duration("timeout", in: .milliseconds(100) ... .seconds(600)) ?? .seconds(5)
        for url in urls where !Self.isUsable(url) {
            settings.report("servers", "expected nats://HOST:PORT or tls://HOST:PORT in servers of \(settings.title), without user and password")
        }
        guard let subject, let tls, !urls.isEmpty, urls.allSatisfy(Self.isUsable) else { return nil }
        self.subject = subject
        shownPlace = urls.joined(separator: ", ")
        client = OwnThread(
            context.name,
            NATSClient(NATSClient.Server(urls: urls, tls: tls, usesTLS: usesTLS, login: login, ownName: "riposte \(context.host)", timeout: timeout)))
        limits = BatchLimits(count: isStored ? 50 : 500, linger: .zero, deadline: (timeout + timeout) + .seconds(5))
    }

    private static func isUsable(_ text: String) -> Bool {
        guard let parts = URLComponents(string: text), ["nats", "tls"].contains(parts.scheme ?? ""), !(parts.host ?? "").isEmpty else { return false }
        return parts.user == nil && parts.password == nil && parts.path.isEmpty
    }

    private static func login(_ settings: DestinationSettings) -> NATSClient.Login? {
        let (user, password, token, credentials) = (settings.secret("user"), settings.secret("password"), settings.secret("token"), settings.path("credentials"))
        if (user == nil) != (password == nil) { settings.report("user", "\(settings.title) needs user and password together") }
        if [user != nil, token != nil, credentials != nil].count(where: \.self) > 1 {
            settings.report("token", "\(settings.title) takes one of user and password, token, credentials")
        }
        if let user, let password { return .user(user.revealed, password: password.revealed) }
        if let token { return .token(token.revealed) }
        // libnats reads the file; that it has changed is known by what is in it.
        if let credentials { settings.note(input: FileManager.default.contents(atPath: credentials).map { Array($0) } ?? []) }
        return credentials.map { .credentials(path: $0) }
    }

    package var place: String { "\(shownPlace) \(subject.text)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let messages = batch.map { message in
            NATSClient.Message(
                subject: subject.subject(for: message), bytes: body.map { Array($0.text(for: message).utf8) } ?? message.payloadBytes, id: message.hash,
                hasOwnSubject: subject.hasFields)
        }
        let isStored = isStored
        return await client.call { client, patience in isStored ? Self.store(messages, client, patience) : Self.publish(messages, client) }
    }

    private static func publish(_ messages: [NATSClient.Message], _ client: NATSClient) -> DeliveryReport {
        do throws(NATSClient.Failure) {
            let faults = try client.publish(messages)
            let count = faults.count { $0 == nil }
            let answer = faults.compactMap { $0?.message }.first ?? "\(count) published to \(messages.first?.subject ?? "")"
            return DeliveryReport(faults.map { $0.map(fate) ?? .delivered }, answer: answer)
        } catch {
            return DeliveryReport(whole: fate(of: error), count: messages.count, answer: error.message)
        }
    }

    private static func store(_ messages: [NATSClient.Message], _ client: NATSClient, _ patience: Patience) -> DeliveryReport {
        var fates: [DeliveryReport.Fate] = []
        for message in messages {
            // Each may take its time. At the deadline what is stored by then counts.
            guard !patience.hasEnded else {
                fates += Array(repeating: .tryAgain(reason: "not all were stored in time"), count: messages.count - fates.count)
                break
            }
            do throws(NATSClient.Failure) {
                try client.store(message)
                fates.append(.delivered)
            } catch {
                fates.append(fate(of: error))
                // The others would fail alike, each after its time.
                if !error.isOfMessage { fates += Array(repeating: .tryAgain(reason: error.message), count: messages.count - fates.count) }
            }
            if fates.count == messages.count { break }
        }
        return DeliveryReport(fates, answer: "\(fates.count { $0 == .delivered }) stored")
    }

    private static func fate(of failure: NATSClient.Failure) -> DeliveryReport.Fate {
        failure.isOfMessage ? .rejected(reason: failure.message) : .tryAgain(reason: failure.message)
    }

    package func close() async { await client.call { client, _ in client.close() } }
}

/// `riposte.{{ message.priority }}.{{ message.title }}`: the value of a field is one token of a subject, whatever is in it.
struct SubjectTemplate: Sendable {
    let text: String
    private let tokens: [MessageTemplate]

    init?(_ settings: DestinationSettings) {
        text = settings.text("subject") ?? "riposte.{{ message.priority }}.{{ message.title }}"
        var tokens: [MessageTemplate] = []
        var isGood = true
        for part in Self.parts(of: text) {
            do throws(OutputLanguage.Problem) { tokens.append(try MessageTemplate(part, for: .raw, settings.language)) } catch {
                settings.report("subject", "subject of \(settings.title): \(error.message)", suggestion: error.suggestion)
                isGood = false
            }
            let own = part.replacing(/\{\{.*?\}\}/, with: "x")
            if own.isEmpty || !own.utf8.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: ">") }) {
                settings.report("subject", "expected words with dots between for subject of \(settings.title), without blanks, * and >: riposte.{{ message.priority }}")
                isGood = false
            }
        }
        self.tokens = tokens
        guard isGood else { return nil }
    }

    /// At dots, but not at those of a field's name.
    private static func parts(of text: String) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "{" { depth += 1 } else if character == "}" { depth = max(0, depth - 1) }
            if character == ".", depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }

    private static let longestToken = 128

    /// Where there are none, all messages go to the same one.
    var hasFields: Bool { text.contains("{{") }

    /// As falcosidekick: lower case, and runs of all but letters and digits become one `_`; none at the ends, unless nothing else is there.
    func subject(for message: OutputMessage) -> String {
        tokens.map { Self.token($0.text(for: message)) }.joined(separator: ".")
    }

    private static func token(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            let lower = 0x41...0x5A ~= byte ? byte | 0x20 : byte
            if 0x61...0x7A ~= lower || 0x30...0x39 ~= lower || lower == UInt8(ascii: "-") {
                result.append(lower)
            } else if result.last != UInt8(ascii: "_") {
                result.append(UInt8(ascii: "_"))
            }
        }
        let trimmed = String(decoding: result.prefix(longestToken), as: UTF8.self).trimmingCharacters(in: CharacterSet(charactersIn: "_"))
        return trimmed.isEmpty ? "_" : trimmed
    }
}
