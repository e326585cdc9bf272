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

    /// What came of a new configuration, by names.
    package struct Change: Sendable, Equatable {
        package var added: [String] = []
        package var removed: [String] = []
        package var changed: [String] = []

        package init(added: [String] = [], removed: [String] = [], changed: [String] = []) {
            (self.added, self.removed, self.changed) = (added, removed, changed)
        }

        package var isEmpty: Bool { self == Change() }
    }

    private struct Interior {
        /// In the order of the configuration.
        var couriers: [Courier] = []
        /// Of those that are wanted: while one takes the place of another it is there.
        var names: [String] = []
        /// Of those that are wanted, too: between two of the same name no courier has them.
        var texts: [String] = []
        /// There where there are couriers.
        var recent: RecentRecords?
        var isEnding = false
    }

    private let interior = Mutex(Interior())
    private let attendant = Mutex<Attendant?>(nil)
    private let starts = AsyncStream<Courier>.makeStream()
    private let turn = Turn()
    private let spool: any Spool
    private let surroundings: Surroundings

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
        Diagnostic(code: "C003", file: file, place: value.place, message: message)
    }

    /// Takes up where each left off. Before anything is written to the journal that new outputs should get.
    package init(_ outputs: [Output], spool: any Spool, _ surroundings: Surroundings) throws {
        self.spool = spool
        self.surroundings = surroundings
        guard !outputs.isEmpty else { return }
        let (recent, last) = try prepare()
        note(wanted: outputs)
        for output in outputs { begin(output, recent, last) }
    }

    package var isEmpty: Bool { names.isEmpty }
    package var names: [String] { interior.withLock(\.names) }
    /// All that the sections of those say that are wanted or still at work, secrets too; while one takes the place of another, of either.
    package var texts: [String] { interior.withLock { $0.texts + $0.couriers.flatMap(\.output.texts) } }
    private var couriers: [Courier] { interior.withLock(\.couriers) }

    /// The journal has grown: costs the writer a few nanoseconds. Any thread.
    package func ring() { attendant.withLock { $0?.call() } }

    /// Carries until ``end()``.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await courier in starts.stream { group.addTask { await courier.run() } }
        }
    }

    /// Lets ``run()`` return when what is in the journal is sent, as far as destinations take it at once. Whoever runs it cancels it when the time is up:
    /// nothing is lost by that.
    package func end() {
        let (couriers, recent) = interior.withLock { interior in
            interior.isEnding = true
            return (interior.couriers, interior.recent)
        }
        attendant.withLock { $0.take() }?.end()
        recent?.pull()
        for courier in couriers { courier.end() }
        starts.continuation.finish()
    }

    /// SIGHUP.
    package func reopen() async {
        await withDiscardingTaskGroup { group in
            for courier in couriers { group.addTask { await courier.reopen() } }
        }
    }

    /// Sends a marked message; nil where no output has this name.
    package func test(_ name: String) async -> Courier.Test? {
        guard let courier = couriers.first(where: { $0.output.name == name }) else { return nil }
        return await courier.test()
    }

    package var status: JSON { .array(couriers.map(\.status)) }

    // MARK: - A new configuration

    /// How long one that goes may still take for what is on its way.
    private static let grace = Duration.seconds(2)
    /// A courier ends by itself: after the grace it ends its call, and closes its destination, each within a time. Should it not, others do not wait.
    private static let longestEnd = Duration.seconds(15)

    /// Puts what `read` gives in place of what is at work, while ``run()`` runs: those that are the same go on as if nothing had happened, one that was
    /// changed goes on from its cursor, one that is gone leaves its cursor on the disk. Where something is thrown, nothing was changed. Several calls are
    /// served one after the other, each with its reading, so that what was read last is in force last.
    package func use(_ read: () throws -> [Output]) async throws -> Change {
        try await turn.take {
            let wanted = try read()
            return try await use(wanted)
        }
    }

    private func use(_ wanted: [Output]) async throws -> Change {
        let current = couriers
        let old = Dictionary(current.map { ($0.output.name, $0) }) { first, _ in first }
        let change = Change(
            added: wanted.filter { old[$0.name] == nil }.map(\.name), removed: current.map(\.output.name).filter { name in !wanted.contains { $0.name == name } },
            changed: wanted.filter { output in old[output.name].map { $0.output.fingerprint != output.fingerprint } ?? false }.map(\.name))
        guard !change.isEmpty else { return change }
        guard !wanted.isEmpty else {
            note(wanted: [])
            await retire(current, draining: true)
            interior.withLock { ($0.couriers, $0.recent) = ([], nil) }
            attendant.withLock { $0.take() }?.end()
            return change
        }
        let (recent, last) = try prepare()
        note(wanted: wanted)
        for output in wanted where change.added.contains(output.name) { begin(output, recent, last) }
        await withDiscardingTaskGroup { group in
            for name in change.removed { if let courier = old[name] { group.addTask { await self.retire([courier], draining: true) } } }
            for output in wanted where change.changed.contains(output.name) {
                guard let courier = old[output.name] else { continue }
                group.addTask {
                    await self.retire([courier], draining: false)
                    self.begin(output, recent, last, after: courier)
                }
            }
        }
        let order = wanted.map(\.name)
        interior.withLock { interior in
            interior.couriers.sort { (order.firstIndex(of: $0.output.name) ?? 0) < (order.firstIndex(of: $1.output.name) ?? 0) }
        }
        return change
    }

    private func note(wanted: [Output]) { interior.withLock { ($0.names, $0.texts) = (wanted.map(\.name), wanted.flatMap(\.texts)) } }

    private func retire(_ couriers: [Courier], draining: Bool) async {
        for courier in couriers { courier.retire(draining: draining, within: Self.grace) }
        let end = surroundings.clock.now().instant + Self.longestEnd
        for courier in couriers {
            if await PatientCall({ await courier.hasEnded() }).answer(until: end, surroundings.clock) == nil {
                surroundings.logger.error("output did not end: it is left to itself", metadata: ["output": "\(courier.output.name)"])
            }
            interior.withLock { $0.couriers.removeAll { $0 === courier } }
        }
    }

    /// All that may fail, before anything is changed: the folder for cursors, and the journal's end, where new outputs begin.
    private func prepare() throws -> (RecentRecords, last: SpoolRecord?) {
        try FileManager.default.createDirectory(
            atPath: surroundings.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let last = try spool.last()
        if let recent = interior.withLock(\.recent) { return (recent, last) }
        let recent = RecentRecords(spool, from: last?.end ?? SpoolPlace(seq: 1), logger: surroundings.logger)
        interior.withLock { $0.recent = recent }
        let attendant = Attendant(name: "riposte-outputs") { recent.pull() }
        self.attendant.withLock { $0 = attendant }
        attendant.call()
        return (recent, last)
    }

    private func begin(_ output: Output, _ recent: RecentRecords, _ last: SpoolRecord?, after predecessor: Courier? = nil) {
        // At the end of all, nothing new begins: the cursor is there for the next start.
        guard !interior.withLock(\.isEnding) else { return }
        let courier = Courier(
            output, spool: spool, recent: recent, beginning: last, after: predecessor, folder: surroundings.folder, host: surroundings.host, clock: surroundings.clock,
            seed: UInt64.random(in: 0 ... .max), logger: surroundings.logger)
        interior.withLock { $0.couriers.append(courier) }
        starts.continuation.yield(courier)
    }
}
