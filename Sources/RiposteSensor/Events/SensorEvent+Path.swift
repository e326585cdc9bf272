internal import CRiposte
internal import RiposteRules

/// `fs.path.*`: what a call that succeeded made, opened, moved, changed or removed.
enum PathField: String {
    case name = "fs.path.name"
    case rawName = "fs.path.nameraw"
    case source = "fs.path.source"
    case rawSource = "fs.path.sourceraw"
    case target = "fs.path.target"
    case rawTarget = "fs.path.targetraw"

    fileprivate var isRaw: Bool { self == .rawName || self == .rawSource || self == .rawTarget }
}

extension SensorEvent {
    func pathValue(_ known: PathField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard let call = knownCall, succeededOnPaths(call, record) else { return .absent }
        switch (known, call.facts.pointee.paths) {
        case (.name, .name(let path)), (.rawName, .name(let path)), (.source, .pair(let path, _)), (.rawSource, .pair(let path, _)), (.target, .pair(_, let path)),
            (.rawTarget, .pair(_, let path)):
            return value(of: path, isRaw: known.isRaw, record, arena)
        default: return .absent
        }
    }

    /// Result 0; of opens, a descriptor.
    private func succeededOnPaths(_ call: SystemCall, _ record: SensorRecord) -> Bool {
        guard record.kind == .call else { return false }
        return call.facts.pointee.kind.isOpen ? record.header.pointee.result >= 0 : record.header.pointee.result == 0
    }

    private func value(of path: SystemCall.PathArgument, isRaw: Bool, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        switch path {
        case .first: isRaw ? record[.path1].map(FieldView.text) ?? .absent : firstPath(record)
        case .second: isRaw ? record[.path2].map(FieldView.text) ?? .absent : joinedPath(.second, record)
        case .descriptor: .text(descriptorName(record, arena))
        }
    }

    /// Of an open that is judged under the kernel's path, that.
    private func firstPath(_ record: SensorRecord) -> FieldView {
        if usesKernelPath, let path = record[.filePath] { return .text(path) }
        return joinedPath(.first, record)
    }

    func joinedPath(_ which: JoinedPaths.Which, _ record: SensorRecord) -> FieldView { joinedPaths.path(which, of: record).map(FieldView.text) ?? .absent }

    /// Whether the event opened a file whose path, as the kernel has it, is another than the one that was asked for: by a symbolic link, or because the name
    /// was changed while the call ran; or connected to such a Unix socket. Such an event is judged a second time with ``usesKernelPath``.
    package func pathsDiffer() -> Bool {
        guard let record, record.kind == .call, record.header.pointee.result >= 0, let call = knownCall else { return false }
        if call.facts.pointee.kind == .connect { return UnixSocketName.leadsElsewhere(record) }
        guard call.facts.pointee.kind.isOpen, let kernelPath = record[.filePath] else { return false }
        // Where what was asked for can be read no more, the memory is gone since: that hides nothing either.
        return joinedPaths.path(.first, of: record).map { !$0.hasSameBytes(as: kernelPath) } ?? true
    }

    /// Of EXEC events the call is known from the event's type.
    var knownCall: SystemCall? { call ?? SystemCall.named(type) }
}
