internal import Foundation
package import Logging
package import RiposteAudit
internal import RiposteActions
internal import RiposteCore
internal import RiposteTransport
package import RipostePlaybooks
internal import Synchronization

/// An engine with its journal: what the agent and a command without an agent have in common.
package final class EngineHouse: Sendable {
    package let engine: Engine
    package let journal: Journal
    package let facilities: Facilities
    /// Nil where the journal is not signed.
    package let checkpoints: Checkpointer?
    /// What was unfinished, and what became of it.
    package let recovery: Engine.Recovery
    private let stateDirectory: String
    private let logger: Logger
    /// Why the kernel does not do as it was told; nil: it does, or nobody tells it anything.
    private let kernel = Mutex<(@Sendable () -> String?)?>(nil)

    /// Opens the journal, comes to the state that it tells of, and clears up what the last owner left. `purpose` is for the record: `agent`, or the
    /// command that was given; `rules`, the digest of the rules in force, where there are any; `signingKey` signs the journal.
    package static func open(
        _ configuration: AgentConfiguration, playbooks: PlaybookSet, rules: String? = nil, facilities: Facilities, purpose: String, resumesRuns: Bool,
        signingKey: SigningKey? = nil, logger: Logger,
        observe: @escaping @Sendable (Engine.Event) -> Void = { _ in }
    ) async throws -> EngineHouse {
        try configuration.refuseForeignState()
        let journal = try Journal(
            stateDirectory: configuration.stateDirectory,
            configuration: Journal.Configuration(
                segmentBytes: configuration.audit.segmentBytes, durability: configuration.audit.durability,
                signer: signingKey.map { CheckpointSigner(key: $0, machine: Host.machineID) }), logger: logger)
        if let problem = journal.opening.problem {
            logger.warning("the journal was tampered with or damaged", metadata: ["journal.problem": "\(problem)", "remedy": "see riposte audit verify"])
        }
        do {
            let state = try replay(configuration.stateDirectory)
            let engine = Engine(
                configuration: configuration.engineConfiguration, catalogue: facilities.catalogue, guards: facilities.guards, world: facilities.world, log: journal,
                playbooks: playbooks, state: state, logger: logger,
                observe: observe)
            var start = start(journal, configuration, engine.agentMode.mode, state, playbooks, purpose)
            start.detail.append("rules", rules.map(JSON.text))
            // Through the engine, so that its state follows the journal.
            try engine.record(start)
            let recovery = await engine.recover(resumingRuns: resumesRuns)
            if resumesRuns { engine.beginRollouts() }
            let checkpoints = signingKey == nil ? nil : Checkpointer(journal, every: configuration.audit.checkpointEvery, logger: logger)
            return EngineHouse(engine, journal, facilities, checkpoints, recovery, configuration.stateDirectory, logger)
        } catch {
            journal.close()
            throw error
        }
    }

    private init(
        _ engine: Engine, _ journal: Journal, _ facilities: Facilities, _ checkpoints: Checkpointer?, _ recovery: Engine.Recovery, _ stateDirectory: String, _ logger: Logger
    ) {
        self.engine = engine
        self.journal = journal
        self.facilities = facilities
        self.checkpoints = checkpoints
        self.recovery = recovery
        self.stateDirectory = stateDirectory
        self.logger = logger
    }

    func followKernel(_ problem: @escaping @Sendable () -> String?) { kernel.withLock { $0 = problem } }

    /// Whoever changes what the kernel is to do is told where it did not.
    var kernelProblem: String? { kernel.withLock(\.self)?() }

    /// What the journal tells. Reads only: an agent may be writing it meanwhile.
    static func replay(_ stateDirectory: String) throws -> EngineState {
        let snapshot = StateSnapshot.load(stateDirectory: stateDirectory)
        let known = snapshot.flatMap { EngineState(json: $0.state) }
        var state = known ?? EngineState()
        try JournalReader(stateDirectory: stateDirectory).read(from: known == nil ? 1 : (snapshot?.seq ?? 0) + 1) { entry in
            state.apply(entry.record)
            return true
        }
        return state
    }

    private static func start(
        _ journal: Journal, _ configuration: AgentConfiguration, _ mode: Mode, _ state: EngineState, _ playbooks: PlaybookSet, _ purpose: String
    ) -> AuditRecord {
        var record = AuditRecord(.start, at: .now())
        record.actor = AuditRecord.Actor(.agent, name: purpose, uid: geteuid(), pid: getpid())
        record.mode = mode
        record.detail = [
            "version": .text(Version.text), "host": .text(ProcessInfo.processInfo.hostName), "playbooks": .text(playbooks.digest),
            "closed_in_order": .bool(journal.opening.wasClosedInOrder), "open_undos": .integer(Int64(state.openUndos.count)),
            "unknown_outcomes": .integer(Int64(state.openIntents.count)), "unfinished_runs": .integer(Int64(state.openRuns.count)),
        ]
        // A person has set another one, on an earlier run.
        if mode != configuration.mode { record.detail.append("configured_mode", .text(configuration.mode.rawValue)) }
        record.detail.append("torn", journal.opening.tornPart.map(JSON.text))
        record.detail.append("damaged_after", journal.opening.damagedAfter.map(JSON.integer))
        record.detail.append("missing_up_to", journal.opening.missingUpTo.map(JSON.integer))
        return record
    }

    /// Keeps the state beside the journal where nothing is under way, so that the next start need not read it all.
    package func keepSnapshot() {
        guard engine.underWay == 0 else { return }
        let (state, position) = engine.snapshot { journal.position }
        guard position.seq > 0 else { return }
        do { try StateSnapshot(seq: position.seq, hash: position.hash, state: state.json).save(stateDirectory: stateDirectory) } catch {
            logger.warning("state was not kept beside the journal", metadata: ["error": "\(error)"])
        }
    }

    /// Takes nothing new, waits for what is under way, at most so long, and closes the journal.
    package func close(within time: Duration = .seconds(4)) async {
        engine.close()
        await withTaskGroup { group in
            group.addTask { await self.engine.idle() }
            group.addTask { try? await Task.sleep(for: time) }
            await group.next()
            group.cancelAll()
            // `idle` cannot be cancelled: whoever waits for it is left behind if the time is up, so look once and go on.
            if self.engine.underWay > 0 { self.engine.abandonWaiters() }
        }
        if engine.underWay > 0 { logger.warning("stopped with actions under way", metadata: ["engine.under_way": "\(engine.underWay)"]) }
        try? engine.payOwed()
        var record = AuditRecord(.stop, at: .now())
        record.detail = ["under_way": .integer(Int64(engine.underWay))]
        do { try journal.append(record) } catch { logger.error("the journal's last record was not written", metadata: ["error": "\(error)"]) }
        checkpoints?.write()
        keepSnapshot()
        journal.close()
        facilities.http.close()
    }
}

/// Which Riposte this is.
package enum Version {
    package static let text = "0.1.0"
}
