package import RiposteCore

/// How a playbook is let act by and by: stages from careful to free, what must hold before it goes on, and what throws it back.
package struct Rollout: Sendable, Equatable {
    package struct Stage: Sendable, Equatable {
        package var mode: Mode
        /// At least so long in this stage.
        package var length: Duration?
        /// At least so many runs in this stage.
        package var minimumRuns: Int?
        /// At most this share of this stage's runs denied by a person, in hundredths of a percent.
        package var maximumDenied: Int?
        /// Only this share of targets, in hundredths of a percent; the others are in the mode before. Nil: all.
        package var share: Int?
        /// Not before the stage before it has lasted so long.
        package var after: Duration?
        /// It is entered without a person as soon as that is possible.
        package var isAutomatic = false

        package init(mode: Mode) { self.mode = mode }
    }

    /// What counts against a playbook.
    package enum Fault: String, CaseIterable, Sendable {
        /// Runs that a person said no to.
        case denied
        /// Runs whose deeds a person took back.
        case undoneByHand = "undone_by_hand"
        /// Runs whose alert a person called benign.
        case benign
        /// All of these.
        case falsePositives = "false_positives"
        /// A breaker opened.
        case breaker
    }

    /// More of this than that within a stage, and the playbook goes back.
    package struct Retreat: Sendable, Equatable {
        package var fault: Fault
        package var above: Int

        package var text: String { "\(fault.rawValue) > \(above)" }
    }

    package static let stageLimit = 16

    package var stages: [Stage]
    package var backOn: [Retreat]

    /// The stages as a text: a playbook whose stages were changed begins anew.
    package var definition: String { stages.map(\.text).joined(separator: "; ") }

    /// The nearest stage before `stage` that is more careful; else the one before.
    func retreat(from stage: Int) -> Int {
        let mode = stages[stage].mode
        return stages[..<stage].lastIndex { $0.mode < mode } ?? max(0, stage - 1)
    }

    /// What applies to targets that are not of the share: the last mode before that is more careful.
    func modeBeside(_ stage: Int) -> Mode { stages[..<stage].last { $0.mode < stages[stage].mode }?.mode ?? .observe }
}

extension Rollout.Stage {
    package var text: String {
        var parts = [mode.rawValue]
        if let length { parts.append("for \(length.text)") }
        if let minimumRuns { parts.append("min_runs \(minimumRuns)") }
        if let maximumDenied { parts.append("max_denied \(Rollout.percent(maximumDenied))") }
        if let share { parts.append("share \(Rollout.percent(share))") }
        if let after { parts.append("after \(after.text)") }
        if isAutomatic { parts.append("auto") }
        return parts.joined(separator: " ")
    }
}

extension Rollout {
    /// Hundredths of a percent of a text such as `10%` or `2.5%`; nil where it is none from 0 to 100.
    package static func share(of text: String) -> Int? {
        guard text.hasSuffix("%") else { return nil }
        let parts = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } }), let whole = Int(parts[0]), whole <= 100
        else { return nil }
        var hundredths = whole * 100
        if parts.count == 2 {
            guard parts[1].count <= 2, let fraction = Int(parts[1]) else { return nil }
            hundredths += parts[1].count == 1 ? fraction * 10 : fraction
        }
        return hundredths <= 10_000 ? hundredths : nil
    }

    /// `10%`, `2.5%`.
    package static func percent(_ hundredths: Int) -> String {
        let fraction = hundredths % 100
        let decimals = fraction == 0 ? "" : fraction % 10 == 0 ? ".\(fraction / 10)" : fraction < 10 ? ".0\(fraction)" : ".\(fraction)"
        return "\(hundredths / 100)\(decimals)%"
    }

    /// Whether a target is of the first `share`: always the same answer for the same playbook and target, on every host and after every restart.
    static func isOfShare(_ target: Target, _ share: Int, of playbook: String) -> Bool {
        // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), mixed once more because its high bits change little with the last byte.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in "\(playbook)\n\(target.key)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        hash = (hash ^ hash >> 32) &* 0xd6e8_feb8_6659_fd93
        return Int((hash >> 32) % 10_000) < share
    }
}
