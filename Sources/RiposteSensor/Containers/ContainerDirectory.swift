package import RiposteCore
internal import Synchronization

/// What is known of the containers on this machine. The sensor's thread asks and never waits: the first question about a container, or the first
/// process in it, has the runtime asked by ``run()``, which lives as long as the agent. When the runtime does not answer it is asked again, later
/// and later; how long what is believed and how much is kept say ``ContainerLedger/Limits``.
package final class ContainerDirectory: ContainerKnowledge {
    private let inspector: (any ContainerInspector)?
    private let ledger: Mutex<ContainerLedger>
    private let calls: AsyncStream<Void>
    private let bell: AsyncStream<Void>.Continuation

    /// Without an inspector nothing is ever known.
    package convenience init(inspector: (any ContainerInspector)?) { self.init(inspector: inspector, limits: ContainerLedger.Limits()) }

    init(inspector: (any ContainerInspector)?, limits: ContainerLedger.Limits) {
        self.inspector = inspector
        ledger = Mutex(ContainerLedger(limits: limits))
        (calls, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: - Any thread

    package func facts(of container: ContainerReference) -> ContainerFacts? {
        guard inspector != nil, !container.isHost else { return nil }
        let (facts, isNew) = ledger.withLock { $0.facts(of: container, at: .now) }
        if isNew { bell.yield() }
        return facts
    }

    /// A process has begun in `container`: its facts will be wanted.
    package func prefetch(_ container: ContainerReference, beganAnew: Bool) {
        guard inspector != nil, !container.isHost, ledger.withLock({ $0.facts(of: container, at: .now, beganAnew: beganAnew).isNew }) else { return }
        bell.yield()
    }

    /// The names of the containers whose facts are there, in order.
    package var names: [String] { ledger.withLock(\.names) }

    /// For `riposte status`: `known`, `pending` and `unknown` containers, `failed` questions and `shed` ones.
    package var status: JSON {
        let counters = ledger.withLock(\.counters)
        return [
            "known": .integer(Int64(counters.known)), "pending": .integer(Int64(counters.pending)), "unknown": .integer(Int64(counters.unknown)),
            "failed": .integer(Int64(clamping: counters.failed)), "shed": .integer(Int64(clamping: counters.shed)),
        ]
    }

    var counters: ContainerLedger.Counters { ledger.withLock(\.counters) }

    // MARK: - The service

    /// Asks the runtime until cancelled. Once only.
    package func run() async {
        guard let inspector else { return }
        bell.yield()
        await withDiscardingTaskGroup { group in
            /// When the bell rings by itself; nil for not at all.
            var alarm: ContinuousClock.Instant?
            for await _ in calls {
                if let due = alarm, due <= .now { alarm = nil }
                loop: while true {
                    switch ledger.withLock({ $0.next(at: .now) }) {
                    case .inspect(let container): group.addTask { await self.ask(inspector, about: container) }
                    case .wait(let moment):
                        if moment < alarm ?? moment.advanced(by: .seconds(1)) {
                            alarm = moment
                            group.addTask { await self.ring(at: moment) }
                        }
                        break loop
                    case .rest: break loop
                    }
                }
            }
            group.cancelAll()
        }
    }

    private func ask(_ inspector: any ContainerInspector, about container: ContainerReference) async {
        do {
            let facts = try await inspector.inspect(container)
            ledger.withLock { $0.answered(container, facts, at: .now) }
        } catch {
            ledger.withLock { $0.failed(container, at: .now) }
        }
        bell.yield()
    }

    private func ring(at moment: ContinuousClock.Instant) async {
        guard (try? await Task.sleep(until: moment, clock: .continuous)) != nil else { return }
        bell.yield()
    }
}
