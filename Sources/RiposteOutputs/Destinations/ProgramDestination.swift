internal import Foundation
internal import RiposteCore
internal import RiposteTransport

/// A program of the user's that is fed one JSON object per line on its standard input, for as long as it lives; it is started again when it ends.
package final class ProgramDestination: Destination {
    package static let kind = "program"

    /// When a message counts as delivered.
    enum Acknowledgement: String, CaseIterable, Sendable {
        /// When it is in the pipe.
        case written
        /// When the program has answered it with a line.
        case line
    }

    private let child: OwnThread<FedProgram>
    private let arguments: [String]
    package let limits: BatchLimits

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let arguments = settings.required("command", settings.texts) ?? []
        let acknowledgement = settings.choice("ack", Acknowledgement.self) ?? .written
        let timeout = settings.duration("timeout", in: .milliseconds(100) ... .seconds(600)) ?? .seconds(10)
        let (names, section) = settings.names(of: "environment")
        let environment = names.compactMap { name in Self.variable(name, section) }
        if let path = arguments.first, !path.hasPrefix("/") {
            settings.report("command", "expected a list whose first entry is the whole path of a program for command of \(settings.title); it is no shell's command line")
            return nil
        }
        guard !arguments.isEmpty, environment.count == names.count else { return nil }
        self.arguments = arguments
        child = OwnThread(
            context.name, FedProgram(arguments: arguments, environment: environment, acknowledgement: acknowledgement, timeout: timeout))
        // Each may take its time for its answer.
        limits =
            acknowledgement == .line
            ? BatchLimits(count: 50, deadline: timeout * 51 + .seconds(5)) : BatchLimits(count: 500, deadline: timeout + timeout + .seconds(5))
    }

    private static func variable(_ name: String, _ section: DestinationSettings) -> String? {
        guard let value = section.secret(name) else { return nil }
        let isName = !name.isEmpty && name.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || $0 == UInt8(ascii: "_") }
        guard isName, !value.revealed.contains("\0") else {
            section.report(name, "\"\(name)\" in \(section.title) is no name of a variable: letters, digits and _")
            return nil
        }
        return "\(name)=\(value.revealed)"
    }

    package var place: String { arguments[0].escapedForDisplay }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let lines = batch.map { $0.payloadBytes + [UInt8(ascii: "\n")] }
        return await child.call { child, patience in child.feed(lines, patience) }
    }

    /// SIGHUP: a program may have been exchanged.
    package func reopen() async { await child.call { child, _ in child.end() } }
    package func close() async { await child.call { child, _ in child.end() } }
}
