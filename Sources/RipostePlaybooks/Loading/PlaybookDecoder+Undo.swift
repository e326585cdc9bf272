internal import RiposteCore
internal import RiposteRules

extension PlaybookDecoder {
    /// `undo: { after, extend, max }`.
    func readUndo(_ node: YAMLNode, of step: inout Step) {
        guard let keys = mapping(node, PlaybookKeys.undo, "undo") else { return }
        step.undoAfter = keys["after"]?.duration()
        step.prolongsUndo = keys["extend"].flatMap { $0.bool() } ?? false
        step.undoMax = keys["max"]?.duration()
        guard let max = step.undoMax, let after = step.undoAfter else { return }
        if max < after { keys["max"]?.report(code: "P045", "max is shorter than after: the action would stand longer than it may") }
        if !step.prolongsUndo { keys["max"]?.report(.warning, code: "P046", "max says nothing without `extend: true`: the action ends after \(after.text)") }
    }
}
