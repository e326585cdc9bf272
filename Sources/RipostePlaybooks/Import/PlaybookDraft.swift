package import RiposteCore

/// A playbook to be written down, with remarks for whoever reads the file.
package struct PlaybookDraft: Sendable, Equatable {
    /// Before the playbook, one comment line each.
    package var remarks: [String]
    package var name: String
    package var description: String
    package var mode: Mode
    package var rules: [String] = []
    package var priority: String?
    package var tags: [[String]] = []
    package var sources: [String] = []
    package var when: String?
    package var steps: [Item] = []

    /// What stands in the list of steps.
    package enum Item: Sendable, Equatable {
        case step(StepDraft)
        /// Comment lines in the place of a step.
        case remark([String])
    }

    /// Without a step it is no playbook, and is written as a comment.
    package var hasSteps: Bool { steps.contains { if case .step = $0 { true } else { false } } }
}

package struct StepDraft: Sendable, Equatable {
    package var remarks: [String] = []
    package var name: String
    package var action: ActionName
    package var parameters: [(name: String, value: JSON)] = []
    package var mode: Mode?
    package var undoAfter: Duration?
    package var goesOnAfterFailure = false

    package static func == (left: Self, right: Self) -> Bool {
        left.remarks == right.remarks && left.name == right.name && left.action == right.action && left.mode == right.mode
            && left.undoAfter == right.undoAfter && left.goesOnAfterFailure == right.goesOnAfterFailure
            && left.parameters.elementsEqual(right.parameters) { $0.name == $1.name && $0.value == $1.value }
    }
}
