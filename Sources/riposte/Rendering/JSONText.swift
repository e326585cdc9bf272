internal import RiposteCore

extension JSON {
    /// A value in a table of facts.
    var displayText: String {
        switch self {
        case .string(let text): text.shown
        case .array(let elements): elements.map(\.displayText).joined(separator: " ← ")
        case .object(let object): object.members.map(\.value.displayText).joined(separator: " ")
        default: line
        }
    }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(1, width - count)) }
}
