package import RiposteCore

/// The door for audit events of Kubernetes API servers, as intakes see it. What is in the texts is read behind it, by who judges them.
package protocol KubernetesAuditSink: Sendable {
    /// Takes a text: an audit event, or a list of them. When it returns they are judged, and the alerts that came of it are safe. Callable from
    /// any thread; waits for no response.
    ///
    /// What is refused for lack of room comes again, whole: an API server sends a batch until it is taken.
    func accept(_ text: [UInt8], arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt
    /// Takes note of something that held no audit events, also of what ``accept(_:arrival:)`` refused as such.
    func reject(_ problem: AlertError, excerpt: [UInt8], arrival: Alert.Arrival)
}

/// What became of the events of a text.
package struct KubernetesAuditReceipt: Sendable, Equatable {
    package var judged: Int
    /// Left out one by one: without a time, too long.
    package var dropped: Int

    package init(judged: Int, dropped: Int = 0) {
        self.judged = judged
        self.dropped = dropped
    }
}

package enum KubernetesAuditRefusal: Error, Equatable, Sendable {
    /// It holds no audit events, now or later.
    case malformed(AlertError)
    case unadmitted(AdmissionError)
}

/// Hands texts in, and counts what came of it.
struct KubernetesAuditReceiver: Sendable {
    let name: String
    let trust: Alert.Arrival.Trust
    let sink: any KubernetesAuditSink
    let counters: IntakeCounters

    func arrival(peer: String?) -> Alert.Arrival { Alert.Arrival(intake: name, trust: trust, peer: peer) }

    func take(_ text: [UInt8], _ arrival: Alert.Arrival) throws(KubernetesAuditRefusal) -> KubernetesAuditReceipt {
        do throws(KubernetesAuditRefusal) {
            let receipt = try sink.accept(text, arrival: arrival)
            counters.count(\.accepted, receipt.judged)
            if arrival.trust == .untrusted { counters.count(\.untrusted, receipt.judged) }
            counters.count(\.rejected, receipt.dropped)
            return receipt
        } catch {
            switch error {
            case .malformed(let problem): reject(problem, text, arrival)
            case .unadmitted(let refusal): counters.count(turnedAway: refusal)
            }
            throw error
        }
    }

    func reject(_ problem: AlertError, _ text: [UInt8], _ arrival: Alert.Arrival) {
        counters.count(\.rejected)
        sink.reject(problem, excerpt: Array(text.prefix(256)), arrival: arrival)
    }
}

extension KubernetesAuditReceiver: LineReader {
    func take(_ line: [UInt8], peer: String?) throws(AdmissionError) {
        guard line.contains(where: { !$0.isBlank }) else { return }
        do throws(KubernetesAuditRefusal) { _ = try take(line, arrival(peer: peer)) } catch {
            if case .unadmitted(let refusal) = error { throw refusal }
        }
    }

    func reject(_ problem: AlertError, _ text: [UInt8], peer: String?) { reject(problem, text, arrival(peer: peer)) }
}
