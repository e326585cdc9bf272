/// How grave an alert is, in Falco's eight steps. Greater is graver: `.critical > .notice`.
package enum Priority: Int, CaseIterable, Comparable, Sendable {
    case debug, informational, notice, warning, error, critical, alert, emergency

    /// Reads Falco's spellings in any case, and `info`.
    package init?(_ text: some StringProtocol) { self.init(bytes: Array(text.utf8)) }

    package init?(bytes: [UInt8]) {
        guard let known = Self.byName[bytes.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }] else { return nil }
        self = known
    }

    private static let byName: [[UInt8]: Priority] = {
        var names = Dictionary(uniqueKeysWithValues: allCases.map { (Array("\($0)".utf8), $0) })
        names[Array("info".utf8)] = .informational
        return names
    }()

    /// Falco's long form: `Informational`.
    package var name: String {
        switch self {
        case .emergency: "Emergency"
        case .alert: "Alert"
        case .critical: "Critical"
        case .error: "Error"
        case .warning: "Warning"
        case .notice: "Notice"
        case .informational: "Informational"
        case .debug: "Debug"
        }
    }

    package static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}
