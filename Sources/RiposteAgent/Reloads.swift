/// How often files were read anew since the start, and what came of it.
struct Reloads: Sendable, Equatable {
    private(set) var successes = 0
    private(set) var failures = 0
    /// The files as they are now were rejected: what is in force is what they said before.
    private(set) var isRejected = false

    mutating func note(isRejected: Bool) {
        self.isRejected = isRejected
        if isRejected { failures += 1 } else { successes += 1 }
    }
}
