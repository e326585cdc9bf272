extension FieldTable {
    /// Fields of Kubernetes audit events (spec: alert-inputs.md 3).
    static let kubernetesAudit = FieldTable(
        source: "k8s_audit",
        text: """
            ka.verb | string | - | - | what was asked for: create, get, delete …
            """)
}
