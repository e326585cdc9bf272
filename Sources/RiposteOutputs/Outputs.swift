internal import Foundation
package import Logging
package import RiposteCore
package import RiposteTransport
internal import Synchronization

/// All outputs of an agent: one courier each, fed by the journal.
package final class Outputs: Sendable {
    /// What the agent hands in.
    package struct Surroundings: Sendable {
        package var stateDirectory: String
        package var host: String
        package var http: HTTPClient
        package var language: OutputLanguage
        package var secrets = SecretSource.process
        package var clock = OutputClock.system
        package var logger: Logger

        package init(stateDirectory: String, host: String, http: HTTPClient, language: OutputLanguage, logger: Logger) {
            self.stateDirectory = stateDirectory
            self.host = host
            self.http = http
            self.language = language
            self.logger = logger
        }

        package var folder: String { stateDirectory + "/outputs" }
    }

    private let couriers: [Courier]
    private let recent: RecentRecords?
    private let attendant = Mutex<Attendant?>(nil)
    private let spool: any Spool

    /// Reads `outputs:`. Everything that is wrong is thrown in one go.
    package static func read(_ value: SettingsValue?, file: String, _ surroundings: Surroundings) throws(Diagnostics) -> [Output] {
        guard let value, value.shape != .null else { return [] }
        guard case .list(let entries) = value.shape else { throw Diagnostics([problem("expected a list for outputs", value, file)]) }
        var (outputs, problems, names): ([Output], [Diagnostic], Set<String>) = ([], [], [])
        for entry in entries {
            let name = entry["name"]?.text ?? ""
            guard Output.isName(name) else {
                problems.append(problem("each of outputs needs a name: lower-case letters, digits, - and _, 64 at most", entry["name"] ?? entry, file))
                continue
            }
            if !names.insert(name).inserted { problems.append(problem("two outputs are called \"\(name)\"", entry["name"] ?? entry, file)) }
            let settings = DestinationSettings(entry, title: "output \"\(name)\"", file: file, language: surroundings.language, secrets: surroundings.secrets)
            let context = DestinationContext(
                name: name, http: surroundings.http, folder: surroundings.folder, host: surroundings.host, now: { [clock = surroundings.clock] in clock.now().wall },
                logger: surroundings.logger)
            let output = Output.read(settings, name: name, context)
            problems += settings.problems()
            if let output { outputs.append(output) }
        }
        guard problems.isEmpty else { throw Diagnostics(problems) }
        return outputs
    }

    private static func problem(_ message: String, _ value: SettingsValue, _ file: String) -> Diagnostic {
        Diagnostic(code: "C003", file: file, place: value.place, message: message, snippet: value.snippet)
    }

    /// Takes up where each left off. Before anything is written to the journal that new outputs should get.
    package init(_ outputs: [Output], spool: any Spool, _ surroundings: Surroundings) throws {
        self.spool = spool
        guard !outputs.isEmpty else {
            (couriers, recent) = ([], nil)
            return
        }
        let folder = surroundings.folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let last = try spool.last()
        let recent = RecentRecords(spool, from: last?.end ?? SpoolPlace(seq: 1), logger: surroundings.logger)
        self.recent = recent
        couriers = outputs.map { output in
            Courier(
                output, spool: spool, recent: recent, beginning: last, folder: folder, host: surroundings.host, clock: surroundings.clock,
                seed: UInt64.random(in: 0 ... .max), logger: surroundings.logger)
        }
        let attendant = Attendant(name: "riposte-outputs") { recent.pull() }
        self.attendant.withLock { $0 = attendant }
        attendant.call()
    }

    package var isEmpty: Bool { couriers.isEmpty }
    package var names: [String] { couriers.map(\.output.name) }

    /// The journal has grown: costs the writer a few nanoseconds. Any thread.
    package func ring() { attendant.withLock { $0?.call() } }

    /// Carries until ``end()``.
    package func run() async {
        await withTaskGroup { group in
            for courier in couriers { group.addTask { await courier.run() } }
        }
    }

    /// Lets ``run()`` return when what is in the journal is sent, as far as destinations take it at once. Whoever runs it cancels it when the time is up:
    /// nothing is lost by that.
    package func end() {
        attendant.withLock { $0.take() }?.end()
        recent?.pull()
        for courier in couriers { courier.end() }
    }

    /// SIGHUP.
    package func reopen() async { for courier in couriers { await courier.reopen() } }

    /// Sends a marked message; nil where no output has this name.
    package func test(_ name: String) async -> Courier.Test? {
        guard let courier = couriers.first(where: { $0.output.name == name }) else { return nil }
        return await courier.test()
    }

    package var status: JSON { .array(couriers.map(\.status)) }
}
