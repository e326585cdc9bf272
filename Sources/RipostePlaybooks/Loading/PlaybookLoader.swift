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
        ("P020", "a budget that bounds nothing"),
        ("P021", "warning: an action that destroys is enforced without a budget"),
        ("P025", "a roll-out that cannot be followed"),
        ("P026", "a share that is none, such as 10%"),
        ("P027", "unknown intake"),
        ("P028", "warning: a playbook that never sees an alert because of one before it"),
        ("P029", "something that one alert cannot have beside something else"),
        ("P035", "needs names no step before this one"),
        ("P036", "goto leads nowhere, or backwards"),
        ("P037", "a parallel block in another one, or of fewer than two steps"),
        ("P038", "a step that can never run"),
        ("P039", "no such field of steps, run or target, or no such outcome"),
        ("P040", "a failure that is not tried again"),
        ("P041", "warning: a timeout shorter than what the action waits for its target"),
        ("P042", "an on_finish that does more than tell"),
        ("P030", "warning: `approval` of a playbook that never asks"),
        ("P031", "on_expiry: perform for an action that cannot be taken back"),
        ("P032", "a hold that is none: an action that users feel, that cannot be taken back, or that is the step's own, or a step that does not ask"),
        ("P033", "an escalation that is none: not from reversible to stronger, or never reached"),
        ("P034", "a bad approver or quorum"),
        ("P045", "an undo whose max is shorter than its after"),
        ("P046", "warning: an undo's max without extend"),
        ("P047", "a require that names nothing known"),
        ("P048", "something that a playbook requires and this machine lacks"),
        ("P049", "a file or folder that others than root and the user that we run as can change; a warning where nothing is done"),
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
        let set = PlaybookSet(playbooks, digest: digest(of: documents.map(\.text)))
        return (set, diagnostics + set.unreachable)
    }
}
