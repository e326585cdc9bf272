internal import RiposteCore
internal import RiposteTransport

/// A bot of Telegram. Texts are sent without a parse mode, so that nothing in them is markup; what is bold is said by place.
/// <https://core.telegram.org/bots/api#sendmessage>
package struct TelegramDestination: Destination {
    package static let kind = "telegram"

    private let endpoint: HTTPEndpoint
    private let token: Secret
    private let chat: JSON
    private let thread: Int?
    private let text: MessageTemplate?
    private let now: @Sendable () -> Timestamp
    package let limits: BatchLimits

    private static let (textLimit, titleLimit, valueLimit) = (4096, 200, 300)

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let endpoint = HTTPEndpoint(settings, context, standardURL: "https://api.telegram.org")
        let token = settings.required("token", settings.secret)
        let chat = settings.required("chat", settings.text)
        thread = settings.integer("thread", in: 1...Int(Int32.max))
        text = settings.template("text", for: .plain)
        now = context.now
        // The token is a part of the path.
        let isToken = token?.revealed.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || ":_-".utf8.contains($0) } ?? true
        if !isToken { settings.report("token", "expected a bot's token such as 123456:ABC-DEF for token of \(settings.title)") }
        guard let endpoint, let token, let chat, isToken else { return nil }
        self.endpoint = endpoint
        self.token = token
        self.chat = Int64(chat).map(JSON.integer) ?? .text(chat)
        limits = endpoint.single
    }

    package var place: String { "chat at \(endpoint.origin)" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        await endpoint.post(batch, path: "/bot\(token.revealed)/sendMessage", at: now(), verdict: Self.verdict, body: body)
    }

    /// 400 is said of a message that is wrong and of a chat that is not there; only the first is for good.
    private static func verdict(_ response: HTTPResponse) -> DeliveryReport.Fate? {
        let answer = response.json
        if response.status == 200, answer?["ok"]?.bool != true { return .tryAgain(reason: "this is no answer of a bot: \(response.shown)") }
        if let wait = answer?["parameters"]?["retry_after"]?.seconds { return .tryAgain(reason: response.shown, after: wait) }
        guard response.status == 400 else { return nil }
        return response.says("chat not found", "group chat was upgraded", "not enough rights", "thread not found", "chat_id is empty", "kicked", "CHAT_WRITE_FORBIDDEN")
            ? .tryAgain(reason: response.shown) : nil
    }

    private func body(_ message: OutputMessage) -> JSON {
        let facts = MessageFacts(message)
        let title = Self.plain(facts.rule, Self.titleLimit)
        var text = (title + "\n" + (text.map { Self.unmentioned($0.text(for: message)) } ?? Self.plain(facts.output, 2000)) + "\n").cut(to: Self.textLimit)
        let own: [(name: ByteText, value: ByteText)] = [
            ("priority", ByteText(facts.priority.name)), ("source", facts.source), ("hostname", facts.hostname), ("tags", facts.tagList),
            ("time", ByteText("\(facts.time)")),
        ]
        for fact in own + facts.fields.map({ ($0.name, $0.value.templateText) }) where !fact.value.isEmpty {
            let line = "\n\(Self.plain(fact.name, 100, .line)): \(Self.plain(fact.value, Self.valueLimit, .line))"
            guard text.utf16.count + line.utf16.count <= Self.textLimit else { break }
            text += line
        }
        var object: JSONObject = ["chat_id": chat]
        object.append("message_thread_id", thread.map { .integer(Int64($0)) })
        object["text"] = .text(text)
        object["entities"] = [["type": "bold", "offset": 0, "length": .integer(Int64(title.utf16.count))]]
        object["link_preview_options"] = ["is_disabled": true]
        return .object(object)
    }

    private static func plain(_ value: ByteText, _ limit: Int, _ format: TextFormat = .plain) -> String { unmentioned(format.escaped(value, atMost: limit)) }

    /// Telegram finds `@name`, `/command`, `#tag` and `$TAG` in plain text too; with a word joiner behind the sign it does not.
    private static func unmentioned(_ text: String) -> String {
        var (result, isInWord) = ("", false)
        for scalar in text.unicodeScalars {
            result.unicodeScalars.append(scalar)
            // A path such as /etc/passwd needs one in front only.
            if scalar == "@" || !isInWord && "/#$".unicodeScalars.contains(scalar) { result += "\u{2060}" }
            isInWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        }
        return result
    }
}
