package import RiposteCore
internal import RiposteRules

/// What is wrong with playbook files, by code. The codes are stable.
package enum PlaybookProblem {
    package static let codes: [(code: String, meaning: String)] = [
        ("Y001", "the file is no YAML, or larger, deeper or longer than a file of ours may be"),
        ("Y002", "a key stands twice"),
        ("Y003", "anchors and aliases are not supported"),
        ("P001", "unknown key"),
        ("P002", "a value of another type is expected"),
        ("P003", "a key is missing"),
        ("P004", "unknown apiVersion"),
        ("P005", "a bad or repeated name"),
        ("P006", "unknown action"),
        ("P007", "a parameter that the action does not have, or a value that it does not take"),
        ("P008", "a bad condition"),
        ("P009", "a bad template"),
        ("P010", "a bad priority test"),
        ("P011", "a match that says nothing"),
        ("P012", "undo on an action that cannot be taken back"),
        ("P013", "warning: a negated test holds where its field is missing"),
        ("P014", "warning: a reversible action that is enforced and never taken back by itself"),
        ("P015", "unknown field"),
        ("P016", "a file or folder that cannot be read"),
        ("P017", "warning: the step can never act in this mode"),
        ("P018", "a reflex that the kernel cannot carry out"),
        ("P019", "a reflex whose rule the kernel cannot decide"),
        ("P045", "an undo whose max is shorter than its after"),
        ("P046", "warning: an undo's max without extend"),
    ]
}

extension PlaybookSet {
    /// Playbook files in memory: what `load(paths:)` reads.
    package struct Document: Sendable {
        package var name: String
        package var text: String

        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// Reads all documents, whole or not at all. What is thrown names every problem of every file; what is returned beside the set are warnings.
    package static func load(_ documents: [Document], _ catalogue: ActionCatalogue) throws(Diagnostics) -> (set: PlaybookSet, warnings: [Diagnostic]) {
        var playbooks: [Playbook] = []
        var diagnostics: [Diagnostic] = []
        var places: [String: String] = [:]
        for document in documents {
            let reader = YAMLReader(file: document.name, text: document.text)
            let decoder = PlaybookDecoder(reader: reader, catalogue: catalogue)
            playbooks += decoder.file { name, node in
                if let earlier = places[name] { node.report(code: "P005", "playbook \"\(name)\" was defined before, at \(earlier)") }
                places[name] = "\(document.name):\(node.place?.line ?? 0)"
            }
            diagnostics += reader.diagnostics.sorted { ($0.place ?? .init(line: 0, column: 0)) < ($1.place ?? .init(line: 0, column: 0)) }
        }
        let found = Diagnostics(diagnostics)
        if found.hasErrors { throw found }
        return (PlaybookSet(playbooks, digest: digest(of: documents.map(\.text))), diagnostics)
    }
}
