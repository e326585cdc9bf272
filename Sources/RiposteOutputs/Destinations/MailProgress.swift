internal import RiposteCore

/// Who has got which mail, over several tries: who has it does not get it again, and one full mailbox keeps it, and all that comes after it, from nobody
/// else for long. A value: it is told whom a try was for and what came of it, and says what became of the messages.
struct MailProgress: Sendable {
    enum Answer: Sendable, Equatable {
        case taken
        /// Not for this recipient, ever.
        case refused(String)
        /// Not for anybody, ever: the server said so of the mail itself.
        case mailRefused(String)
        /// The server has no room or no time for it just now.
        case later(String)
        /// Nothing is known: there is no server, or it does not let us in.
        case unheard(String)
    }

    /// By its messages; empty where nothing is under way.
    private var mail: [String] = []
    private var recipients: [String] = []
    private var since = Timestamp(nanoseconds: 0)
    private var delivered: Set<String> = []
    private var refused: [String: String] = [:]
    /// They were waited for in vain, and are waited for no more until the server takes a mail for them.
    private var unavailable: Set<String> = []

    /// How long those who have a mail wait, with all that is to come, for those whom the server does not take it for yet. Longer than a moment of trouble,
    /// and no longer: a mailbox that is full is so for days, and what comes next may be what somebody must know.
    static let patience = Duration.seconds(30)

    /// Whom this mail is still for.
    mutating func begin(_ mail: [String], to all: [String], at now: Timestamp) -> [String] {
        if mail != self.mail || all != recipients { (self.mail, recipients, since, delivered, refused) = (mail, all, now, [], [:]) }
        return all.filter { !delivered.contains($0) && refused[$0] == nil }
    }

    mutating func end(_ answers: [(address: String, answer: Answer)], _ words: String, count: Int, at now: Timestamp) -> DeliveryReport {
        var (later, wholeReason, isHeard): ([(address: String, reason: String)], String?, Bool) = ([], nil, true)
        for (address, answer) in answers {
            switch answer {
            case .taken:
                delivered.insert(address)
                unavailable.remove(address)
            case .refused(let reason): refused[address] = reason
            case .mailRefused(let reason):
                refused[address] = reason
                wholeReason = reason
            case .later(let reason): later.append((address, reason))
            case .unheard(let reason):
                later.append((address, reason))
                isHeard = false
            }
        }
        // The clock was set back: the while begins anew, so that it ends.
        since = min(since, now)
        let isPatient = !isHeard || now - since < Self.patience && !later.allSatisfy { unavailable.contains($0.address) }
        if !later.isEmpty, delivered.isEmpty || isPatient {
            return DeliveryReport(whole: .tryAgain(reason: Self.told(later)), count: count, answer: Self.told(later))
        }
        defer { mail = [] }
        unavailable.formUnion(later.map(\.address))
        let missing = Self.told(recipients.compactMap { address in refused[address].map { (address, $0) } } + later)
        if delivered.isEmpty {
            // What is in it may be to blame, and then one of several messages: the halves will tell. Who gets it is not.
            if let wholeReason { return DeliveryReport(whole: .rejected(reason: wholeReason), count: count, answer: wholeReason) }
            return DeliveryReport(Array(repeating: .rejected(reason: missing), count: count), answer: missing)
        }
        if missing.isEmpty { return DeliveryReport(whole: .delivered, count: count, answer: words) }
        return DeliveryReport(delivered: count, missing: "not for \(missing)", answer: "taken, but not for \(missing)")
    }

    private static func told(_ recipients: [(address: String, reason: String)]) -> String {
        // All of them alike, where there is no server.
        if let first = recipients.first, recipients.allSatisfy({ $0.reason == first.reason }), recipients.count > 1 {
            return "\(recipients.map(\.address).joined(separator: ", ")): \(first.reason)"
        }
        return recipients.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
    }
}
