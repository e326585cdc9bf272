internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RiposteRules
internal import RiposteSensor
internal import Synchronization

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Prints system calls of this host as they happen.",
        discussion: """
            A condition in the language of the rules chooses; without one, what rules usually ask for is shown. Runs beside an agent or without one, \
            as root. Losses are told on standard error, and so is a kernel in which requests of io_uring cannot be seen.

            Examples:
              riposte events 'evt.type in (execve, execveat) and proc.pname = sshd'
              riposte events 'evt.type = connect and fd.sport = 22' --format '%proc.cmdline -> %fd.name'
              riposte events 'evt.type = openat and evt.is_open_write = true' --json | jq '.["fd.name"]'
            """)

    static let format = "%evt.time %container.id %user.name %proc.name[%proc.pid] %evt.type %evt.args"

    @Argument(help: "Which events.")
    var condition: String?

    @Option(name: .long, help: "How an event is printed, as the output of a rule.")
    var format = Self.format

    @Option(name: .long, help: "End after so many events.")
    var count: Int?

    @Option(name: .customLong("for"), help: "End after this time, as 30s or 10m.")
    var time: Duration?

    @Flag(name: .long, help: "Let the kernel hand up every event of the types that are asked for; to compare.")
    var noPushDown = false

    @OptionGroup var common: CommonOptions

    func validate() throws { if let count, count < 1 { throw ValidationError("--count takes a number from 1") } }

    func run() async throws {
        let live = try LiveEvents(condition: condition, format: format, common: common)
        let printer = LinePrinter<String>(onLoss: Terminal.complainOfLoss) { $0 }
        let sink = try EventsSink(printer, asJSON: common.json, limit: count)
        var configuration = Sensor.Configuration()
        configuration.pushesDown = !noPushDown
        configuration.judgesKernelPaths = false
        try await live.run(configuration, sink: sink, logger: CommonOptions.logger("warning"), for: time) { sink.isFull || printer.failure != nil }
        printer.finish()
        StandardOutput.note(printer.failure)
    }
}

/// Prints each event that the one rule of the command holds for.
private final class EventsSink: SensorSink {
    private let printer: LinePrinter<String>
    private let formatter: AlertFormatter?
    private let fields: Carried
    private let limit: Int?
    private let taken = Atomic<Int>(0)

    /// Used by the sensor's thread only.
    private struct Carried: @unchecked Sendable { let fields: EventRecorder }

    init(_ printer: LinePrinter<String>, asJSON: Bool, limit: Int?) throws {
        self.printer = printer
        self.limit = limit
        var formatter = AlertFormatter(hostname: "")
        formatter.includesMessage = true
        formatter.includesOutput = false
        formatter.includesOutputFields = false
        self.formatter = asJSON ? nil : formatter
        fields = Carried(fields: try EventRecorder(rules: nil))
    }

    var isFull: Bool { limit.map { taken.load(ordering: .relaxed) >= $0 } ?? false }

    func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
        guard limit.map({ taken.wrappingAdd(1, ordering: .relaxed).oldValue < $0 }) ?? true else { return }
        if let formatter {
            printer.take(formatter.document(of: rule, at: event.time, values)["message"]?.string?.shown ?? "")
        } else {
            printer.take(Terminal.harmless(JSON.object(fields.fields.document(of: event)).line))
        }
    }

    func lost(_ events: [String: UInt64]) {
        Terminal.complain("lost \(events.values.reduce(0, +)) events: \(events.sorted { $0.value > $1.value }.prefix(5).map { "\($0.key) \($0.value)" }.joined(separator: ", "))")
    }
}
