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
    /// Where the alerts come in.
    private let intake: String
    private var sides: [Side] = []
    private let early = RehearsalTally()
    package private(set) var comparison: RehearsalComparison?
    /// The first text that was no alert, and why.
    package private(set) var firstProblem: String?
    private var number = 0
    private var latest = Replay.epoch

    /// `mode` is the agent's; `old`: other playbooks to compare with; `intake`: where the alerts come in.
    package init(
        configuration: AgentConfiguration, playbooks: PlaybookSet, comparedWith old: PlaybookSet? = nil, world: World, mode: Mode = .enforce, intake: String? = nil
    ) {
        self.configuration = configuration
        self.world = world
        self.mode = mode
        self.intake = intake ?? DryRun.intake
        sets = [playbooks] + [old].compactMap(\.self)
        comparison = old == nil ? nil : RehearsalComparison()
    }

    /// The time that the alerts have come to.
    package var now: Timestamp? { sides.isEmpty ? nil : latest }

    /// What can be done to a line of the recording apart from all others, on any thread.
    package struct Reader: Sendable {
        fileprivate let sets: [PlaybookSet]
        fileprivate let intake: String

        package func read(_ text: [UInt8]) -> Line {
            do throws(AlertError) {
                let alert = try Alert(parsing: text, id: Replay.unnamed, arrival: .init(intake: intake, time: Replay.epoch))
                // Nobody answers most alerts: they need no engine, and what they say changes nothing for the others.
                return sets.contains { !$0.matching(alert).isEmpty } ? .answered(alert) : .passedOver(alert.time)
            } catch { return .unreadable(error) }
        }
    }

    /// What a line of the recording is.
    package enum Line: Sendable {
        case answered(Alert)
        case passedOver(Timestamp)
        case unreadable(AlertError)
    }

    package var reader: Reader { Reader(sets: sets, intake: intake) }

    package func feed(_ text: [UInt8]) { feed(reader.read(text)) }

    package func feed(_ line: Line) {
        number += 1
        do throws(AlertError) {
            switch line {
            case .passedOver(let time):
                take(time)
                for side in sides { side.tally.append(AuditRecord(.alert, at: latest)) }
            case .answered(let alert):
                take(alert.time)
                answer(try alert.named(sides.first?.rehearsal.surroundings.newIdentifier() ?? Self.unnamed))
            case .unreadable(let error): throw error
            }
        } catch {
            if firstProblem == nil { firstProblem = "alert \(number): \(error)" }
            (sides.first?.tally ?? early).count(unreadable: 1)
        }
    }

    /// The recording has come to this time, or goes back.
    private func take(_ time: Timestamp) {
        if sides.isEmpty { begin(at: time) }
        if time + .seconds(1) < latest { sides.first?.tally.count(late: 1) }
        latest = max(latest, time)
    }

    private func answer(_ alert: Alert) {
        for side in sides {
            do throws(Engine.AdmissionError) { try side.rehearsal.feed(alert) } catch { side.tally.count(turnedAway: 1) }
        }
        guard comparison != nil else { return }
        comparison?.take(alert, before: sides[1].tally.takeAnswers(), after: sides[0].tally.takeAnswers())
    }

    /// Ends it, and says what came of it.
    package func finish() -> RehearsalReport {
        for side in sides {
            side.rehearsal.advance(to: latest)
            side.rehearsal.close()
        }
        return (sides.first?.tally ?? early).current
    }

    private func begin(at start: Timestamp) {
        var settings = Rehearsal.Settings()
        settings.engine = configuration.engineConfiguration
        settings.engine.mode = mode
        // Nobody but the engine touches this world: there is nothing to look after.
        settings.engine.reconciliation.every = nil
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

    fileprivate static let epoch = Timestamp(nanoseconds: 0)
    fileprivate static let unnamed = Identifier.new(at: epoch)
}

extension Alert {
    fileprivate func named(_ id: Identifier) throws(AlertError) -> Alert { try Alert(.object(document), original: original, id: id, arrival: arrival) }
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
