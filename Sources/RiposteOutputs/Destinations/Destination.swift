package import Logging
package import RiposteCore
package import RiposteTransport

/// Where messages go: one type per kind of receiver. It declares its keys by reading them, and says of each message what became of it; waiting,
/// trying again, order, what to do at a restart is the courier's.
package protocol Destination: Sendable {
    /// `type:` in the configuration.
    static var kind: String { get }

    /// Reads all its keys from `settings` (what was not read is reported as unknown) and gives nil where one of them was reported.
    init?(settings: DestinationSettings, context: DestinationContext)

    /// Where it goes, in a few words for people: without secrets, so of a URL its origin only.
    var place: String { get }

    /// What one delivery may hold.
    var limits: BatchLimits { get }

    /// Hands messages over, in this order. Never throws: what went wrong stands in the report. One call at a time; cancelled at its deadline.
    func deliver(_ batch: [OutputMessage]) async -> DeliveryReport

    /// SIGHUP: what is open is opened again.
    func reopen() async

    func close() async
}

extension Destination {
    package func reopen() async {}
    package func close() async {}
}

/// What one delivery may hold, and how long the first message waits for others.
package struct BatchLimits: Sendable, Equatable {
    package var count: Int
    /// Of the messages' payloads, roughly. A single larger message goes alone.
    package var bytes: Int
    package var linger: Duration
    /// Of one delivery; the courier ends it then and tries again.
    package var deadline: Duration
    /// What failed together is tried again together, not in parts: a mail is the same one then.
    package var staysTogether: Bool

    package init(count: Int, bytes: Int = 1 << 20, linger: Duration = .zero, deadline: Duration = .seconds(30), staysTogether: Bool = false) {
        self.staysTogether = staysTogether
        self.count = count
        self.bytes = bytes
        self.linger = linger
        self.deadline = deadline
    }

    /// One message at a time, at once.
    package static let single = BatchLimits(count: 1)
}

/// What became of a batch.
package struct DeliveryReport: Sendable, Equatable {
    package enum Fate: Sendable, Equatable {
        case delivered
        /// Not now; `after`: what the receiver asked for (`Retry-After`).
        case tryAgain(reason: String, after: Duration? = nil)
        /// Not this message, however often: it goes to the dead-letter file.
        case rejected(reason: String)
    }

    /// One for each message, in their order.
    package var fates: [Fate]
    /// Was the batch judged as one? Then of several that were rejected each is tried alone, to find the one.
    package var isWhole: Bool
    /// What the receiver said, for `riposte output test`.
    package var answer: String?
    /// Of a batch that was delivered in part.
    package var refusal: Refusal?
    /// Who of several recipients did not get what was delivered, and will not; in words.
    package var missing: String?

    /// So many of a batch were refused for good, and nobody says which; all others were taken. None of them may go again.
    package struct Refusal: Sendable, Equatable {
        package var count: Int
        package var reason: String

        package init(count: Int, reason: String) { (self.count, self.reason) = (count, reason) }
    }

    /// One fate per message.
    package init(_ fates: [Fate], answer: String? = nil) {
        self.fates = fates
        self.answer = answer
        isWhole = false
    }

    /// The same for all.
    package init(whole fate: Fate, count: Int, answer: String? = nil) {
        fates = Array(repeating: fate, count: count)
        self.answer = answer
        isWhole = true
    }

    /// All were delivered, but not to everybody whom they are for.
    package init(delivered count: Int, missing: String, answer: String? = nil) {
        self.init(whole: .delivered, count: count, answer: answer)
        self.missing = missing
    }

    /// All were delivered but some, which are not known.
    package init(delivered count: Int, but refusal: Refusal, answer: String? = nil) {
        self.init(whole: .delivered, count: count, answer: answer)
        self.refusal = refusal
    }
}

/// What a destination is given beside its keys.
package struct DestinationContext: Sendable {
    /// `name:` in the configuration.
    package var name: String
    package var http: HTTPClient
    /// `<state-dir>/outputs`, for files of one's own, whose names begin with ``name``. May not be there yet while settings are read.
    package var folder: String
    /// This host's name in messages.
    package var host: String
    /// The time now.
    package var now: @Sendable () -> Timestamp
    package var logger: Logger

    package init(
        name: String, http: HTTPClient, folder: String, host: String, now: @escaping @Sendable () -> Timestamp = { .now() }, logger: Logger
    ) {
        self.name = name
        self.http = http
        self.folder = folder
        self.host = host
        self.now = now
        self.logger = logger
    }
}
