internal import Logging
package import RiposteCore
package import RipostePlaybooks

/// For one alert, what each playbook would do and why: on the machine as it is, or on a described world. Nothing is done, spent or written down.
package struct AlertExplainer: Sendable {
    private let engine: Engine
    /// Set where the journal could not be read: modes, budgets and breakers are then as of a new agent.
    package let remark: String?

    /// `world`: nil is the machine. What the journal tells of modes, budgets, breakers and alerts that came before counts, also while an agent writes it.
    package init(configuration: AgentConfiguration, playbooks: PlaybookSet, world: DescribedWorld?, now: Timestamp?) {
        var state = EngineState()
        var remark: String?
        if world == nil {
            do { state = try EngineHouse.replay(configuration.stateDirectory) } catch {
                remark = "the journal in \(configuration.stateDirectory) cannot be read (\(error)): modes, budgets and breakers are as of a new agent"
            }
        }
        self.remark = remark
        let facilities = Facilities(configuration)
        var (catalogue, guards, facts) = (facilities.catalogue, facilities.guards, facilities.world)
        var surroundings = Surroundings.machine
        if let now { surroundings.now = { now } }
        if let world {
            let scene = DescribedScene(world, now: surroundings.now)
            catalogue = scene.catalogue(catalogue.descriptions)
            guards =
                [DescribedProtection(scene, protectedNamespaces: configuration.kubernetes.protectedNamespaces)] + configuration.guards.map { ConfiguredGuard($0, world: scene) }
            facts = scene
        }
        engine = Engine(
            configuration: configuration.engineConfiguration, catalogue: catalogue, guards: guards, world: facts, log: Nowhere(), playbooks: playbooks, state: state,
            surroundings: surroundings, logger: Logger(label: "riposte.explain", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    package func explain(_ alert: Alert) async -> AlertExplanation { await engine.explain(alert) }

    private struct Nowhere: AuditLog {
        func append(_ record: AuditRecord) {}
    }
}
