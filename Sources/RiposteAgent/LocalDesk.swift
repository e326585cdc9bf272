internal import Foundation
package import RiposteCore
package import RipostePlaybooks

/// A desk that is an engine in this very process.
package final class LocalDesk: Desk {
    package let house: EngineHouse
    let actor: AuditRecord.Actor
    /// The groups of `actor`, looked up when it matters.
    private let groups: @Sendable () -> Set<String>

    package init(_ house: EngineHouse, actor: AuditRecord.Actor, groups: @escaping @Sendable () -> Set<String>) {
        self.house = house
        self.actor = actor
        self.groups = groups
    }

    package func act(_ command: ManualCommand) async throws(DeskError) -> ActionResult {
        guard let description = house.facilities.catalogue[command.action]?.description, description.isOffered else {
            throw DeskError(.invalid, "there is no action \"\(command.action.rawValue.escapedForDisplay)\"")
        }
        let asks = command.asks || (house.engine.configuration.approvals.asksByHand && description.impact == .destroys)
        var order = Order(
            actor: actor, action: command.action, claim: command.claim, parameters: command.parameters,
            mode: command.isDryRun ? .observe : asks ? .ask : .enforce, reason: command.reason)
        order.undoAfter = command.undoAfter
        order.isForced = command.isForced
        return await house.engine.carryOut(order)
    }

    package func undo(_ command: UndoCommand) async throws(DeskError) -> [ActionResult] {
        await house.engine.undo(
            command.selection, actor: actor, mode: command.isDryRun ? .observe : .enforce, reason: command.reason, isForced: command.isForced)
    }

    package func inForce(_ selection: UndoSelection) async throws(DeskError) -> [EngineState.OpenUndo] { house.engine.inForce(selection) }

    package func pardons() async throws(DeskError) -> [Pardons.Pardon] { house.engine.pardons }

    package func liftPardons(_ command: PardonLiftCommand) async throws(DeskError) -> [Pardons.Pardon] {
        do { return try house.engine.liftPardons(of: command.target, by: actor, reason: command.reason) } catch {
            throw DeskError(.journal, "the journal did not take it: \(error)")
        }
    }

    /// The outcome of what was called off; nil where nothing of this id is under way.
    func cancel(_ command: CancelCommand) async -> ActionResult? { await house.engine.cancel(command.action, actor: actor, reason: command.reason) }

    package func questions() async throws(DeskError) -> [JSON] { await house.engine.openQuestions().map(\.json) }

    package func decide(_ command: DecisionCommand) async throws(DeskError) -> Engine.Answered {
        await house.engine.answer(
            command.answer, command.question, by: Person(actor, groups: groups()), seen: command.seen, reason: command.reason, pardons: command.pardons)
    }

    /// Alerts one after the other, each through an engine of its own settings on the same journal.
    package func respond(_ command: RespondCommand) async throws(DeskError) -> [AlertReport] {
        let playbooks = try playbooks(command.playbooks)
        let seen = Seen()
        var reports: [AlertReport] = []
        let runner = house.engine.variant(
            mode: command.mode, maximumAlertAge: command.maximumAlertAge ?? house.engine.configuration.maximumAlertAge, playbooks: playbooks,
            by: actor, observe: { seen.take($0) })
        for (index, text) in command.alerts.enumerated() {
            reports.append(await respond(to: text, number: index + 1, runner, seen))
        }
        return reports
    }

    private func playbooks(_ documents: [RespondCommand.Document]?) throws(DeskError) -> PlaybookSet {
        guard let documents else { return house.engine.playbooks }
        do throws(Diagnostics) { return try PlaybookSet.load(documents.map { .init(name: $0.name, text: $0.text) }, house.facilities.catalogue).set } catch {
            throw DeskError(.invalid, error.description)
        }
    }

    /// What would become of an alert here and now, by what this engine knows. Nothing is done, spent or written down.
    func explain(_ command: ExplainCommand) async throws(DeskError) -> AlertExplanation {
        let alert: Alert
        do throws(AlertError) { alert = try Alert(parsing: command.alert, id: .new(), arrival: .init(intake: command.intake, peer: actor.name)) } catch {
            throw DeskError(.invalid, error.description)
        }
        return await house.engine.asking(try playbooks(command.playbooks)).explain(alert)
    }

    private func respond(to text: [UInt8], number: Int, _ engine: Engine, _ seen: Seen) async -> AlertReport {
        let arrival = Alert.Arrival(intake: "respond", peer: actor.name)
        let alert: Alert
        do throws(AlertError) { alert = try Alert(parsing: text, id: .new(), arrival: arrival) } catch {
            return AlertReport(number: number, rule: "", problem: error.description)
        }
        do throws(Engine.AdmissionError) { try await engine.respond(to: alert) } catch {
            return AlertReport(number: number, rule: alert.rule.repaired, problem: "not taken: \(error.words)", isNotTaken: true)
        }
        return seen.report(on: alert, number: number)
    }

    package func breakers() async throws(DeskError) -> [Breakers.Breaker] { house.engine.snapshot.breakers.all }

    package func closeBreaker(_ command: BreakerCommand) async throws(DeskError) -> Breakers.Breaker {
        switch house.engine.closeBreaker(command.name, actor: actor, reason: command.reason) {
        case .closed(let breaker): return breaker
        case .unknown:
            let near = nearMiss(to: command.name, among: house.engine.snapshot.breakers.all.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
            throw DeskError(.notFound, "no breaker \"\(command.name.escapedForDisplay)\" is open\(near)")
        case .notOnRecord: throw DeskError(.journal, "the journal does not take it: the breaker stays as it is")
        }
    }

    package func close() async { await house.close() }
}

extension Engine.AdmissionError {
    fileprivate var words: String {
        switch self {
        case .full: "there is no room for it now; send it again later"
        case .closed: "the engine is ending"
        case .unsafe(let reason): "the journal did not take it: \(reason)"
        }
    }
}
