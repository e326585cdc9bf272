internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RiposteIntake
internal import Synchronization

/// Keeps the tokens and certificates that listeners go by equal to their files: read anew on a change, on SIGHUP and on request, those of each listener whole or not at all.
final class CredentialsKeeper: Sendable {
    /// One that listens, and how its files are read and taken up.
    struct Listener: Sendable {
        let section: String
        let read: @Sendable () throws -> HTTPListener.Configuration
        let use: @Sendable (HTTPListener.Configuration) throws -> Bool
    }

    private struct State {
        var listeners: [Listener] = []
        var since = Timestamp.now()
        var rejected: (at: Timestamp, problems: Diagnostics)?
        var reloads = Reloads()
    }

    private let watch: FileWatch
    private let house: EngineHouse
    private let logger: Logger
    private let state = Mutex(State())
    /// One reload after the other, so that what was read last is what is in force last.
    private let turn = Mutex(())

    init(_ watch: FileWatch, house: EngineHouse, logger: Logger) {
        self.watch = watch
        self.house = house
        self.logger = logger
    }

    func follow(_ listener: Listener) { state.withLock { $0.listeners.append(listener) } }

    /// Reads the files. Of a listener any of whose files is wrong all stays as it was.
    func reload() -> JSON {
        turn.withLock { _ in
            let listeners = state.withLock(\.listeners)
            var (changed, problems): ([String], [Diagnostic]) = ([], [])
            for listener in listeners {
                do { if try listener.use(try listener.read()) { changed.append(listener.section) } } catch let error as Diagnostics {
                    problems += error.entries
                } catch {
                    problems.append(Diagnostic(code: "C001", file: listener.section, message: "\(error)"))
                }
            }
            if !changed.isEmpty { accept(changed) }
            note(problems)
        }
        return status
    }

    private func accept(_ changed: [String]) {
        state.withLock { $0.since = .now() }
        record("tokens and certificates are in force", ["listeners": .array(changed.map(JSON.text))], outcome: .done)
        logger.info("tokens and certificates are in force", metadata: ["listeners": "\(changed.joined(separator: ", "))"])
    }

    private func note(_ entries: [Diagnostic]) {
        let problems = entries.isEmpty ? nil : Diagnostics(entries)
        let isNew = state.withLock { state in
            defer {
                state.rejected = problems.map { (.now(), $0) }
                state.reloads.note(isRejected: problems != nil)
            }
            return state.rejected?.problems != problems
        }
        guard isNew, let problems else { return }
        record("tokens and certificates were rejected; those before stay in force", ["problems": .array(problems.entries.map(\.json))], outcome: .refused)
        logger.error(
            "tokens and certificates rejected", metadata: ["problems": "\(problems.entries.count)", "first": "\(problems.entries.first?.rendered.escapedForDisplay ?? "")"])
    }

    private func record(_ message: String, _ detail: JSONObject, outcome: Outcome) {
        var record = AuditRecord(.config, at: .now(), detail: detail)
        record.message = message
        record.outcome = outcome
        do { try house.journal.append(record) } catch { logger.error("change of tokens and certificates is not on record", metadata: ["error": "\(error)"]) }
    }

    var reloads: Reloads { state.withLock(\.reloads) }

    var status: JSON {
        state.withLock { state in
            var object: JSONObject = ["since": .text("\(state.since)"), "paths": .array(watch.paths.map(JSON.text))]
            if let rejected = state.rejected {
                object.append("rejected", ["since": .text("\(rejected.at)"), "problems": .array(rejected.problems.entries.map(\.json))])
            }
            return .object(object)
        }
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = reload() } }
}

extension AgentConfiguration {
    /// What says who may speak to a listener, and what it shows: of all that are on.
    var credentialFiles: [String] {
        [intake.http, intake.kubernetesAudit.http, metrics.http].filter(\.isEnabled).flatMap(\.credentialFiles).map(\.path)
    }
}

extension AgentConfiguration.IntakeSection.HTTP {
    /// Secret: whoever knows what is in it is somebody who may speak, or the listener.
    var credentialFiles: [(path: String, isSecret: Bool)] {
        [(tokenFile, true), (key, true), (certificate, false), (clientAuthority, false)].compactMap { path, isSecret in path.map { ($0, isSecret) } }
    }

    /// Those of them that everybody may read.
    var exposedSecrets: [String] {
        guard isEnabled else { return [] }
        return credentialFiles.filter { $0.isSecret && FileRights(path: $0.path).map { $0.mode & 0o004 != 0 } ?? false }.map(\.path)
    }
}
