package import RiposteCore

extension Engine {
    /// Since start; for `status` and metrics.
    package struct Counters: Sendable, Equatable {
        /// What outcomes are told apart by.
        package struct Deed: Hashable, Sendable {
            package var action: String
            package var outcome: Outcome
            /// Nil where nothing came as far as a mode.
            package var mode: Mode?
        }

        package var alerts = 0
        package var matched = 0
        package var shed = 0
        /// Orders and runs that found too many waiting for the same target.
        package var crowded = 0
        /// Alerts that told again what an earlier one had told.
        package var repeats = 0
        /// Alerts that were to open an incident when as many were open as there is room for.
        package var ungrouped = 0
        package var outcomes: [Outcome: Int] = [:]
        package private(set) var deeds: [Deed: Int] = [:]
        /// Plans that were about to be carried out.
        package private(set) var intents = 0
        /// Runs that came to their end.
        package private(set) var runs = 0
        /// What was found not to be as an action had left it.
        package private(set) var drifts = 0
        package var journalFailures = 0

        /// An order by hand can name any action: beyond so many kinds of deeds the action is not told apart.
        private static let deedLimit = 1024

        mutating func count(_ record: AuditRecord) {
            switch record.kind {
            case .outcome:
                // A deed that hung and came back without effect is counted already.
                guard let outcome = record.outcome, record.detail["late"] == nil || outcome != .failed else { return }
                outcomes[outcome, default: 0] += 1
                var deed = Deed(action: record.action ?? "", outcome: outcome, mode: record.mode)
                if deeds[deed] == nil, deeds.count >= Self.deedLimit { deed.action = "other" }
                deeds[deed, default: 0] += 1
            case .intent: intents += 1
            case .run: runs += 1
            case .drift: drifts += 1
            default: break
            }
        }
    }
}
