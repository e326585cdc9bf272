/// Which playbooks and steps a run of tests came to, and which it never did.
package struct PlaybookCoverage: Sendable, Equatable {
    private var playbooks: Set<String> = []
    private var steps: Set<StepName> = []

    private struct StepName: Hashable {
        var playbook: String
        var step: String
    }

    /// A playbook that is switched on and that no alert of a test matched, or a step of another one that none asked for.
    package struct Unreached: Sendable, Equatable {
        package var playbook: String
        /// Nil: the playbook as a whole.
        package var step: String?
        package var file: String
        package var line: Int
    }

    package init() {}

    package mutating func reach(_ playbook: String) { playbooks.insert(playbook) }

    package mutating func reach(_ playbook: String, step: String) { steps.insert(.init(playbook: playbook, step: step)) }

    package mutating func formUnion(_ other: PlaybookCoverage) {
        playbooks.formUnion(other.playbooks)
        steps.formUnion(other.steps)
    }

    /// In the order of files and positions.
    package func unreached(of set: PlaybookSet) -> [Unreached] {
        set.playbooks.filter(\.isEnabled).flatMap { playbook -> [Unreached] in
            guard playbooks.contains(playbook.name) else { return [Unreached(playbook: playbook.name, step: nil, file: playbook.file, line: playbook.line)] }
            return (playbook.steps + playbook.finish).filter { !steps.contains(.init(playbook: playbook.name, step: $0.name)) }
                .map { Unreached(playbook: playbook.name, step: $0.name, file: playbook.file, line: playbook.line) }
        }
    }
}
