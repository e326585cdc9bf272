package import RiposteAudit
package import RiposteCore

extension AgentConfiguration.AuditSection {
    /// The key that checkpoints are signed with; nil where none is configured. One that is configured and cannot be used is an error: whoever wanted a signed journal
    /// must not find out a month later that it was none.
    package func loadSigningKey() throws(Diagnostics) -> SigningKey? {
        guard let path = signingKey else { return nil }
        do throws(KeyError) { return try SigningKey(file: path) } catch {
            throw Diagnostics([Diagnostic(code: "C005", file: "audit.signing_key", message: error.message)])
        }
    }
}
