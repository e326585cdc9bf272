package import RiposteCore

/// What an alert may have in it of a sender who is not believed. It is journaled whole, sent on whole and printed, and any user of this host can be its sender. Alerts of those who
/// are believed are bounded by the intake alone.
extension Alert {
    package static let untrustedLengthLimit = 64 << 10
    /// Of the rule, the source, the hostname and all tags together: what alerts are counted, grouped and listed by.
    package static let untrustedNameLimit = 1 << 10

    /// Itself, if it is no longer than it may be.
    package func withinLimits() throws(AlertError) -> Alert {
        guard arrival.trust == .untrusted else { return self }
        let names = [("rule", rule.bytes.count), ("source", source?.bytes.count ?? 0), ("hostname", hostname?.bytes.count ?? 0), ("tags", tags.reduce(0) { $0 + $1.bytes.count })]
        for (name, length) in names where length > Self.untrustedNameLimit {
            throw AlertError(problem: "\(name) is longer than the \(Self.untrustedNameLimit) bytes that a sender who is not believed has for it")
        }
        guard original?.count ?? JSON.object(document).bytes.count <= Self.untrustedLengthLimit else {
            throw AlertError(problem: "longer than the \(Self.untrustedLengthLimit) bytes that an alert of a sender who is not believed may have")
        }
        return self
    }
}
