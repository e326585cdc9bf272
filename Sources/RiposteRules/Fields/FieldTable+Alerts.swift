extension FieldTable {
    /// What an alert says of itself; for playbooks.
    static let alerts = FieldTable(
        source: "alert",
        text: """
            alert.rule | string | - | - | name of the rule that raised it
            alert.priority | string | - | - | priority in small letters
            alert.source | string | - | - | event source: syscall, k8s_audit …
            alert.hostname | string | - | - | host that raised it
            alert.output | string | - | - | the text of the alert
            alert.intake | string | - | - | intake that it came in by
            alert.tags | list(string) | - | - | tags of the rule
            """)
}
