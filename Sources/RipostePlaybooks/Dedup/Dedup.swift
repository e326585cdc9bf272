internal import RiposteCore

/// The same fact told again within this time makes no new run.
package struct Dedup: Sendable, Equatable {
    package static let standard = Dedup(length: .seconds(60), by: ["rule", "target"])

    /// Nil: every alert is answered.
    package var length: Duration?
    /// `rule`, `target`, and fields of the alert: what two alerts must have in common to tell the same.
    package var by: [String]

    package init(length: Duration?, by: [String]) {
        self.length = length
        self.by = by
    }
}

/// So many alerts within a time, of those that have the same values, make one run.
package struct Threshold: Sendable, Equatable {
    package static let countLimit = 1000

    package var count: Int
    package var within: Duration
    package var by: [String]
}
