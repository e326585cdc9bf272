internal import Glibc
internal import Logging
internal import RiposteAudit
package import RiposteCore
package import RipostePlaybooks

/// A desk that is the journal, where no agent runs: what it tells is folded, without its lock, and nothing is written, so that a question can be answered on a disk that is full or
/// read-only too.
package struct JournalDesk: QuestionDesk {
    private let engine: Engine
    private let facilities: Facilities

    package init(_ configuration: AgentConfiguration, playbooks: PlaybookSet) throws(DeskError) {
        // A folder that may not be looked into is not an empty one.
        let folder = JournalReader(stateDirectory: configuration.stateDirectory).directory
        guard access(folder, R_OK | X_OK) == 0 || errno == ENOENT else {
            throw DeskError(.journal, "the journal in \(folder.escapedForDisplay) cannot be read: \(String(cString: strerror(errno)))")
        }
        let state: EngineState
        do { state = try EngineHouse.replay(configuration.stateDirectory) } catch {
            throw DeskError(.journal, "the journal in \(configuration.stateDirectory.escapedForDisplay) cannot be read: \(error)")
        }
        facilities = Facilities(configuration)
        engine = Engine(
            configuration: configuration.engineConfiguration, catalogue: facilities.catalogue, guards: facilities.guards, world: facilities.world, log: Nobody(),
            playbooks: playbooks,
            state: state, logger: Logger(label: "riposte.look", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// What can be taken back as the journal gives it, whether or not an agent is writing it.
    package static func inForce(stateDirectory: String) throws -> [EngineState.OpenUndo] { Array(try EngineHouse.replay(stateDirectory).openUndos.values) }

    package func inForce(_ selection: UndoSelection) async throws(DeskError) -> [EngineState.OpenUndo] { engine.inForce(selection) }

    package func pardons() async throws(DeskError) -> [Pardons.Pardon] { engine.pardons }

    package func questions() async throws(DeskError) -> [JSON] { await engine.questionsAsTheyStand().map(\.json) }

    package func breakers() async throws(DeskError) -> [Breakers.Breaker] { engine.snapshot.breakers.all }

    package func modes() async throws(DeskError) -> JSON { engine.modesInForce }

    package func close() async {
        engine.close()
        facilities.http.close()
    }

    /// Takes nothing: what would be done could not be put on record, and so is not done.
    private struct Nobody: AuditLog {
        struct Refusal: Error {}

        func append(_ record: AuditRecord) throws { throw Refusal() }
    }
}
