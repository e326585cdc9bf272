internal import Glibc
internal import RiposteCore
internal import RiposteTransport

/// Lines on the agent's standard output, for whoever collects that: a container's log, a pipe. Nothing else is printed there then: the agent prints
/// its own lines on standard error.
package final class StandardOutputDestination: Destination {
    package static let kind = "stdout"

    private enum Format: String, CaseIterable { case json, text }

    private struct Open: Sendable {
        let descriptor: Int32
        /// A line was begun and not ended.
        var isMidLine = false
    }

    private let output: OwnThread<Open>
    private let format: Format
    private let line: MessageTemplate?
    private let timeout: Duration
    package let limits: BatchLimits

    package convenience init?(settings: DestinationSettings, context: DestinationContext) { self.init(settings, context, descriptor: STDOUT_FILENO) }

    init?(_ settings: DestinationSettings, _ context: DestinationContext, descriptor: Int32) {
        format = settings.choice("format", Format.self) ?? .json
        line = settings.lineTemplate("line")
        if line != nil, settings.isSet("format") { settings.report("format", "format has no effect in \(settings.title): line says what is written") }
        timeout = .seconds(10)
        limits = BatchLimits(count: 500, deadline: timeout + .seconds(5))
        output = OwnThread(context.name, Open(descriptor: descriptor))
    }

    package var place: String { "standard output" }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        let lines = batch.map(line(for:))
        let timeout = timeout
        return await output.call { output, patience in
            let (writer, end) = (DescriptorWriter(output.descriptor), ContinuousClock.now + timeout)
            for (index, line) in lines.enumerated() {
                let problem = writer.write((output.isMidLine ? [UInt8(ascii: "\n")] : []) + line, until: end, patience)
                output.isMidLine = problem?.wasBegun ?? false
                guard let problem else { continue }
                let done = [DeliveryReport.Fate](repeating: .delivered, count: index)
                return DeliveryReport(done + Array(repeating: .tryAgain(reason: problem.description), count: lines.count - index), answer: problem.description)
            }
            return DeliveryReport(whole: .delivered, count: lines.count, answer: "\(lines.count) on standard output")
        }
    }

    private func line(for message: OutputMessage) -> [UInt8] {
        let newline = [UInt8(ascii: "\n")]
        if let line { return Array(line.text(for: message).utf8) + newline }
        switch format {
        case .json: return message.payloadBytes + newline
        case .text: return Array("\(message.time) \(message.priority.name) \(message.title.shown): \(message.text.shown)".utf8) + newline
        }
    }
}
