internal import RiposteCore

extension Engine {
    /// The most careful of all that have a say.
    func mode(of step: Step, in playbook: Playbook, for alert: Alert) -> Mode {
        let age = surroundings.now() - alert.time
        let isTimely = age <= configuration.maximumAlertAge && age >= .zero - configuration.clockSkew
        let isBelieved = alert.arrival.trust == .trusted
        return [configuration.mode, playbook.mode, step.mode, isTimely && isBelieved ? nil : .observe].compactMap(\.self).min() ?? .observe
    }
}
