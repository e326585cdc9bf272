package import RiposteCore

/// At most so many acts, or so many different targets, within any window of this length.
package struct Budget: Sendable, Hashable {
    /// What becomes of acts that are over: never "enforce anyway".
    package enum Overflow: String, CaseIterable, Sendable {
        /// Planned and reported.
        case observe
        /// Put to a person.
        case ask

        package var mode: Mode { self == .ask ? .ask : .observe }
    }

    /// How a breaker that this budget has tripped closes again.
    package enum Reopening: Sendable, Hashable {
        case byHand
        /// After nothing has asked for so long, one act is let through; when it is done, the breaker closes.
        case quiet(Duration)

        package var text: String {
            switch self {
            case .byHand: "by hand"
            case .quiet(let pause): pause.text
            }
        }

        package init?(text: String) {
            if text == "by hand" {
                self = .byHand
            } else if let pause = Duration(text: text) {
                self = .quiet(pause)
            } else {
                return nil
            }
        }
    }

    /// Of a workload's replicas, so many at the same time.
    package struct Share: Sendable, Hashable {
        /// In hundredths of a percent.
        package var hundredths: Int
        /// One, where the share of a small workload would be none.
        package var isAtLeastOne: Bool

        package init(hundredths: Int, isAtLeastOne: Bool = false) {
            self.hundredths = hundredths
            self.isAtLeastOne = isAtLeastOne
        }

        /// Rounded down.
        package func limit(of replicas: Int) -> Int {
            guard replicas > 0 else { return 0 }
            return max(isAtLeastOne ? 1 : 0, replicas * hundredths / 10_000)
        }

        package var text: String { "\(Rollout.percent(hundredths)) of a workload" }
    }

    /// Acts that change something.
    package var actions: Int?
    /// Different ones among them: many targets hit by one rule at once are a bad rule or a roll-out, not many attacks.
    package var targets: Int?
    package var per: Duration
    package var over = Overflow.observe
    package var reopening = Reopening.quiet(.seconds(1800))
    /// Replicas that are hit count as long as what was done to them stands; where it cannot be taken back, for the window.
    package var share: Share?

    package static let actionLimit = 100_000
    /// The longest window that is counted.
    package static let horizon = Duration.seconds(7 * 86400)

    package init(actions: Int?, targets: Int? = nil, per: Duration, over: Overflow = .observe, reopening: Reopening = .quiet(.seconds(1800))) {
        self.actions = actions
        self.targets = targets
        self.per = per
        self.over = over
        self.reopening = reopening
    }

    /// Reads ``json`` back.
    package init?(json: JSON) {
        guard let per = json["per"]?.string?.valid.flatMap({ Duration(text: $0) }) else { return nil }
        self.init(
            actions: json["actions"]?.integer.map { Int(clamping: $0) }, targets: json["targets"]?.integer.map { Int(clamping: $0) }, per: per,
            over: json["over"]?.string?.valid.flatMap(Overflow.init(rawValue:)) ?? .observe,
            reopening: json["reopen"]?.string?.valid.flatMap(Reopening.init(text:)) ?? .quiet(.seconds(1800)))
        share = json["share"].flatMap { share in
            share.text("max").flatMap { Rollout.share(of: $0) }.map { Share(hundredths: $0, isAtLeastOne: share["at_least_one"]?.bool ?? false) }
        }
    }

    package var json: JSON {
        var object = JSONObject()
        object.append("actions", actions.map { .integer(Int64($0)) })
        object.append("targets", targets.map { .integer(Int64($0)) })
        object.append("per", .text(per.text))
        object.append("over", .text(over.rawValue))
        object.append("reopen", .text(reopening.text))
        object.append("share", share.map { ["of": "workload", "max": .text(Rollout.percent($0.hundredths)), "at_least_one": .bool($0.isAtLeastOne)] })
        return .object(object)
    }

    /// "10 actions, 3 targets per 1h"
    package var text: String {
        let counts = [actions.map { "\($0) actions" }, targets.map { "\($0) targets" }].compactMap(\.self).joined(separator: ", ")
        return [counts.isEmpty ? nil : "\(counts) per \(per.text)", share.map { "at most \($0.text)" }].compactMap(\.self).joined(separator: ", ")
    }
}

/// A budget of the agent's own, over all playbooks and over what people do by hand.
package struct AgentBudget: Sendable, Hashable {
    /// What is counted apart.
    package enum Each: String, CaseIterable, Sendable { case target, namespace, kind }

    package var name: String
    package var budget: Budget
    /// Patterns of actions; none: all.
    package var kinds: [String] = []
    /// Only acts of this impact class.
    package var impact: ActionDescription.Impact?
    /// Patterns of Kubernetes namespaces; none: all, and what is in no namespace.
    package var namespaces: [String] = []
    /// Nil: all acts together.
    package var each: Each?

    package init(
        _ name: String, _ budget: Budget, kinds: [String] = [], impact: ActionDescription.Impact? = nil, namespaces: [String] = [], each: Each? = nil
    ) {
        self.name = name
        self.budget = budget
        self.kinds = kinds
        self.impact = impact
        self.namespaces = namespaces
        self.each = each
    }

    /// In force where the configuration has no `budgets`.
    package static let standard = [
        AgentBudget("agent-minute", Budget(actions: 20, per: .seconds(60))),
        AgentBudget("agent-hour", Budget(actions: 200, per: .seconds(3600))),
        AgentBudget("destroying", Budget(actions: 5, per: .seconds(3600), reopening: .byHand), impact: .destroys),
        AgentBudget("host-isolation", Budget(actions: 1, per: .seconds(86400), reopening: .byHand), kinds: ["network.isolate"]),
        AgentBudget("same-target", Budget(actions: 6, per: .seconds(3600)), each: .target),
    ]
}
