internal import Logging
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

    private let watch: FileWatch
    private let ledger: ReloadLedger
    private let listeners = Mutex([Listener]())
    /// One reload after the other, so that what was read last is what is in force last.
    private let turn = Mutex(())

    init(_ watch: FileWatch, house: EngineHouse, logger: Logger) {
        self.watch = watch
        ledger = ReloadLedger("tokens and certificates", house: house, logger: logger)
    }

    func follow(_ listener: Listener) { listeners.withLock { $0.append(listener) } }

    /// Reads the files. Of a listener any of whose files is wrong all stays as it was.
    func reload() -> JSON {
        turn.withLock { _ in
            let listeners = listeners.withLock(\.self)
            var (changed, problems): ([String], [Diagnostic]) = ([], [])
            for listener in listeners {
                do { if try listener.use(try listener.read()) { changed.append(listener.section) } } catch let error as Diagnostics {
                    problems += error.entries
                } catch {
                    problems.append(Diagnostic(code: "C001", file: listener.section, message: "\(error)"))
                }
            }
            note(changed, problems)
        }
        return status
    }

    /// Those of one listener may be in force while another's were rejected.
    private func note(_ changed: [String], _ problems: [Diagnostic]) {
        if !changed.isEmpty { ledger.tell(["listeners": .array(changed.map(JSON.text))], ["listeners": "\(changed.joined(separator: ", "))"]) }
        if problems.isEmpty { ledger.accept() } else { ledger.reject(Diagnostics(problems)) }
    }

    var reloads: Reloads { ledger.reloads }

    var status: JSON {
        var object: JSONObject = ["since": ledger.since, "paths": .array(watch.paths.map(JSON.text))]
        object.append("rejected", ledger.rejected)
        return .object(object)
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
