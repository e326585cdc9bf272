/// How grave an alert is, in Falco's eight steps. Greater is graver: `.critical > .notice`.
package enum Priority: Int, CaseIterable, Comparable, Sendable {
    case debug, informational, notice, warning, error, critical, alert, emergency

    /// Reads Falco's spellings in any case, and `info`.
    package init?(_ text: some StringProtocol) {
        let name = text.lowercased()
        guard let match = Self.allCases.first(where: { "\($0)" == name }) ?? (name == "info" ? .informational : nil) else { return nil }
        self = match
    }

    /// Falco's long form: `Informational`.
    package var name: String {
        let name = "\(self)"
        return name.prefix(1).uppercased() + name.dropFirst()
    }

    package static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}
