package import RiposteCore

extension Engine {
    /// An engine of other settings and playbooks over the same state, journal, lanes and budgets: for alerts that are fed in by hand. Its mode may be any;
    /// the person who feeds them in has said so. What that person may not do alone by a command, no playbook does for them either.
    package func variant(
        mode: Mode, maximumAlertAge: Duration, playbooks: PlaybookSet, by person: AuditRecord.Actor, observe: @escaping @Sendable (Event) -> Void
    ) -> Engine {
        var configuration = configuration
        configuration.mode = mode
        configuration.maximumAlertAge = maximumAlertAge
        configuration.person = person
        return Engine(variantOf: self, configuration: configuration, playbooks: playbooks, observe: observe)
    }

    /// The same with other playbooks, to ask what it would do: ``explain(_:)``. Nothing that it does is told.
    package func asking(_ playbooks: PlaybookSet) -> Engine { Engine(variantOf: self, configuration: configuration, playbooks: playbooks, observe: { _ in }) }
}
