package import RiposteCore
internal import Synchronization

/// The engine's door for alerts, as intakes see it.
package protocol AlertSink: Sendable {
    /// Takes one alert. When it returns the alert is safe: it survives the death of the agent. Callable from any thread; waits for no response.
    func accept(_ alert: Alert) throws(AdmissionError)
    /// Takes note of something that was no alert.
    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival)
}

package enum AdmissionError: Error, Equatable, Sendable {
    /// There is no room at the moment: send it again later.
    case full
    /// The agent is stopping.
    case closed
    /// It could not be made safe.
    case unsafe(String)
    /// Its sender is not believed, and more than is kept of such ones has come; why, in words. Send it again later.
    case rationed(String)
}

/// What an intake has seen since it started.
package final class IntakeCounters: Sendable {
    package struct Values: Sendable, Equatable {
        package var accepted = 0
        package var rejected = 0
        /// Turned away for lack of room.
        package var shed = 0
        /// Turned away because there was more than is kept of senders who are not believed.
        package var rationed = 0
        /// Refused for lack of a right.
        package var denied = 0
        package var connections = 0
        /// Of the accepted ones, those whose sender is not believed: they are observed only.
        package var untrusted = 0
        /// Connections that were given up, long silent, for others that waited.
        package var evicted = 0
    }

    private let values = Mutex(Values())

    package init() {}

    package var snapshot: Values { values.withLock(\.self) }

    /// Counts what found no room.
    func count(turnedAway error: AdmissionError) {
        switch error {
        case .full: count(\.shed)
        case .rationed: count(\.rationed)
        case .closed, .unsafe: break
        }
    }

    func count(_ key: any WritableKeyPath<Values, Int> & Sendable, _ amount: Int = 1) { values.withLock { $0[keyPath: key] += amount } }
}

/// One way in for alerts: a service that runs as long as the agent.
package protocol Intake: Sendable {
    /// Its name in the configuration and in every alert's arrival.
    var name: String { get }
    /// Where it listens or what it reads, for people.
    var place: String { get }
    var counters: IntakeCounters { get }
    /// Why nothing comes from there at the moment, or why what comes is not believed, where it is known.
    var obstacle: String? { get }
    /// Ends when the agent stops, or, of a finite source, at its end.
    func run() async throws
}

extension Intake {
    package var obstacle: String? { nil }
}

/// Reads alerts out of texts and hands them in, one after the other.
struct AlertReader: Sendable {
    let name: String
    let trust: Alert.Arrival.Trust
    let sink: any AlertSink
    let counters: IntakeCounters

    func arrival(peer: String?) -> Alert.Arrival { Alert.Arrival(intake: name, trust: trust, peer: peer) }

    /// Hands one line in. Throws only what the sink says; what is no alert is counted and told, and the source goes on.
    func take(_ line: some Collection<UInt8>, peer: String?) throws(AdmissionError) {
        guard let alert = read(line, peer: peer) else { return }
        do throws(AdmissionError) { try handIn(alert) } catch {
            counters.count(turnedAway: error)
            throw error
        }
    }

    /// The alert that a line is. Nil for a blank one, and for what is none: that is counted and told.
    func read(_ line: some Collection<UInt8>, peer: String?) -> Alert? {
        guard line.contains(where: { !$0.isBlank }) else { return nil }
        let arrival = arrival(peer: peer)
        do throws(AlertError) { return try Alert(parsing: line, id: .new(at: arrival.time), arrival: arrival).withinLimits() } catch {
            reject(error, line, arrival)
            return nil
        }
    }

    /// Counted where it is taken.
    func handIn(_ alert: Alert) throws(AdmissionError) {
        try sink.accept(alert)
        countAccepted(alert.arrival)
    }

    /// Puts on record what was handed in and cannot be taken any more; the alerts are counted where they are lost.
    func tellLost(_ alerts: Int, unreadBytes: Int = 0, because reason: String, peer: String?) {
        guard alerts > 0 || unreadBytes > 0 else { return }
        let unread = unreadBytes > 0 ? " and \(unreadBytes) bytes that were not read" : ""
        reject(AlertError(problem: "\(reason): \(alerts) alerts\(unread) are lost"), [], arrival(peer: peer))
    }

    func countAccepted(_ arrival: Alert.Arrival) {
        counters.count(\.accepted)
        if arrival.trust == .untrusted { counters.count(\.untrusted) }
    }

    func reject(_ problem: AlertError, _ text: some Collection<UInt8>, _ arrival: Alert.Arrival) {
        counters.count(\.rejected)
        sink.reject(problem, excerpt: Array(text.prefix(256)), arrival: arrival)
    }
}

extension AlertReader: LineReader {
    func take(_ line: [UInt8], peer: String?) throws(AdmissionError) { try take(line[...], peer: peer) }
    func reject(_ problem: AlertError, _ text: [UInt8], peer: String?) { reject(problem, text, arrival(peer: peer)) }
}

extension UInt8 {
    var isBlank: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}
