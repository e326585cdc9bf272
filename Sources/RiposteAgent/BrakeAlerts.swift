internal import RiposteCore
internal import RiposteIntake
internal import RipostePlaybooks
internal import Synchronization

/// Alerts of our own about brakes: that a breaker has opened, or that there is no room for questions, is something that a person must hear of, by whatever
/// way alerts go out.
final class BrakeAlerts: Sendable {
    static let intake = "riposte"

    private struct Door: Sendable {
        var own: OwnAlerts
        var alerts: AlertDoor
    }

    /// What happens before there is a door, as while a restart clears up.
    private struct State: Sendable {
        var door: Door?
        var early: [JSONObject] = []
    }

    private static let earlyLimit = 64
    private let hostname: String
    private let state = Mutex(State())

    init(hostname: String) { self.hostname = hostname }

    func open(_ alerts: AlertDoor) {
        let early = state.withLock { state in
            state.door = Door(own: OwnAlerts(alerts), alerts: alerts)
            defer { state.early = [] }
            return state.early
        }
        early.forEach(tell)
    }

    func tell(_ change: BreakerChange) { tell(Self.document(change, hostname)) }

    func tell(_ plan: UnaskedPlan) { tell(Self.document(plan, hostname)) }

    private func tell(_ document: JSONObject) {
        let door = state.withLock { state in
            if state.door == nil, state.early.count < Self.earlyLimit { state.early.append(document) }
            return state.door
        }
        guard let door, let alert = door.own.alert(document, Alert.Arrival(intake: Self.intake)) else { return }
        // The engine counts what it cannot take, and the brake's own record is in the journal already.
        try? door.alerts.accept(alert)
    }

    static func document(_ plan: UnaskedPlan, _ hostname: String) -> JSONObject {
        var fields: JSONObject = [
            "evt.time": .integer(plan.time.nanoseconds), "approvals.open": .integer(Int64(plan.open)), "approvals.action": .text(plan.action.rawValue),
            "approvals.target": .text(plan.target.summary),
        ]
        fields.append("approvals.playbook", plan.playbook.map(JSON.text))
        fields.append("approvals.step", plan.step.map(JSON.text))
        return [
            "hostname": .text(hostname), "output": .text("Riposte has no room for questions: \(plan.message)"), "output_fields": .object(fields), "priority": "Critical",
            "rule": "Riposte has no room for questions", "source": "internal", "tags": ["riposte", "approvals"], "time": .text("\(plan.time)"),
        ]
    }

    static func document(_ change: BreakerChange, _ hostname: String) -> JSONObject {
        let words: (rule: String, priority: String, text: String) =
            switch change.state {
            case .open: ("Riposte breaker opened", "Critical", "opened: what it covers goes on in mode \(change.over?.rawValue ?? "observe")")
            case .halfOpen: ("Riposte breaker half-open", "Notice", "is half-open")
            case .closed: ("Riposte breaker closed", "Notice", "is closed")
            }
        var fields: JSONObject = [
            "evt.time": .integer(change.time.nanoseconds), "breaker.name": .text(change.name), "breaker.state": .text(change.state.rawValue),
            "breaker.message": .text(change.message),
        ]
        fields.append("breaker.over", change.over.map { .text($0.rawValue) })
        fields.append("breaker.playbook", change.playbook.map(JSON.text))
        fields.append("breaker.action", change.action.map(JSON.text))
        fields.append("breaker.target", change.target.map { .text($0.summary) })
        return [
            "hostname": .text(hostname), "output": .text("Riposte's breaker \(change.name) \(words.text) (\(change.message))"), "output_fields": .object(fields),
            "priority": .text(words.priority), "rule": .text(words.rule), "source": "internal", "tags": ["riposte", "breaker"], "time": .text("\(change.time)"),
        ]
    }
}
