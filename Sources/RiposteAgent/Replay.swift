internal import RiposteActions
package import RiposteCore
package import RipostePlaybooks

/// Recorded alerts through playbooks in the alerts' own time, on a world that is described or taken from the alerts: what would have been done when.
/// Nothing outside is looked at and nothing is touched.
package final class Replay {
    package enum World: Sendable {
        case described(DescribedWorld)
        /// Targets are taken as the alerts say, without proof.
        case fromAlerts
    }

    private struct Side {
        let rehearsal: Rehearsal
        let tally: RehearsalTally
    }

    private let configuration: AgentConfiguration
    private let sets: [PlaybookSet]
    private let world: World
    private let mode: Mode
    private var sides: [Side] = []
    private let early = RehearsalTally()
    package private(set) var comparison: RehearsalComparison?
    /// So many bytes of text were no alert, the first of them with why.
    package private(set) var firstProblem: String?
    private var number = 0

    /// `mode` is the agent's; `old`: other playbooks to compare with.
    package init(configuration: AgentConfiguration, playbooks: PlaybookSet, comparedWith old: PlaybookSet? = nil, world: World, mode: Mode = .enforce) {
        self.configuration = configuration
        self.world = world
        self.mode = mode
        sets = [playbooks] + [old].compactMap(\.self)
        comparison = old == nil ? nil : RehearsalComparison()
    }

    /// The time that the alerts have come to.
    package var now: Timestamp? { sides.first?.rehearsal.now }

    package func feed(_ text: [UInt8]) {
        number += 1
        let alert: Alert
        do throws(AlertError) {
            var read = try Alert(parsing: text, id: Self.unnamed, arrival: .init(intake: "dry-run", time: Self.epoch))
            if sides.isEmpty { begin(at: read.time) }
            guard let first = sides.first else { return }
            let arrival = max(read.time, first.rehearsal.now)
            if read.time + .seconds(1) < arrival { first.tally.count(late: 1) }
            read = try read.arriving(as: first.rehearsal.surroundings.newIdentifier(), at: arrival)
            alert = read
        } catch {
            if firstProblem == nil { firstProblem = "alert \(number): \(error)" }
            (sides.first?.tally ?? early).count(unreadable: 1)
            return
        }
        for side in sides {
            do throws(Engine.AdmissionError) { try side.rehearsal.feed(alert) } catch { side.tally.count(turnedAway: 1) }
        }
        guard comparison != nil else { return }
        comparison?.take(alert, before: sides[1].tally.takeAnswers(), after: sides[0].tally.takeAnswers())
    }

    /// Ends it, and says what came of it.
    package func finish() -> RehearsalReport {
        sides.forEach { $0.rehearsal.close() }
        return (sides.first?.tally ?? early).current
    }

    private func begin(at start: Timestamp) {
        var settings = Rehearsal.Settings()
        settings.engine = configuration.engineConfiguration
        settings.engine.mode = mode
        settings.guards = configuration.guards
        settings.protectedNamespaces = configuration.kubernetes.protectedNamespaces
        let actions = Facilities(configuration).catalogue.descriptions
        let (described, knowledge): (DescribedWorld, DescribedScene.Knowledge) =
            switch world {
            case .described(let world): (world, .complete)
            case .fromAlerts: (DescribedWorld(), .fromAlerts)
            }
        let unreadable = early.current.unreadable
        sides = sets.map { set in
            let tally = RehearsalTally(keepsAnswers: comparison != nil)
            return Side(rehearsal: Rehearsal(set, actions: actions, world: described, knowledge: knowledge, settings: settings, start: start, log: tally), tally: tally)
        }
        sides.first?.tally.count(unreadable: unreadable)
    }

    private static let epoch = Timestamp(nanoseconds: 0)
    private static let unnamed = Identifier.new(at: epoch)
}

extension Alert {
    /// The same under another name, come in at another time.
    fileprivate func arriving(as id: Identifier, at time: Timestamp) throws(AlertError) -> Alert {
        var arrival = arrival
        arrival.time = time
        return try Alert(.object(document), original: original, id: id, arrival: arrival)
    }
}

extension PlaybookSet {
    /// As if no playbook and no step were more careful than the agent.
    package var withoutOwnModes: PlaybookSet {
        PlaybookSet(
            playbooks.map { playbook in
                var playbook = playbook
                playbook.mode = nil
                playbook.rollout = nil
                playbook.steps = playbook.steps.map { step in
                    var step = step
                    step.mode = nil
                    return step
                }
                return playbook
            }, digest: digest)
    }
}
