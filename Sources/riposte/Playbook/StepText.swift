internal import RiposteCore
internal import RipostePlaybooks

/// Steps for people and programs.
enum StepText {
    static func lines(_ steps: [Step]) -> [String] {
        var lines: [String] = []
        var number = 0
        var block: ParallelBlock?
        for step in steps {
            if let own = step.block {
                if own.name != block?.name {
                    number += 1
                    lines.append("  \(number). together\(own.name == "parallel-\(number)" ? "" : " (\(own.name))")")
                    if !own.needs.isEmpty { lines.append("       needs: \(own.needs.joined(separator: ", "))") }
                    if let when = own.when { lines.append("       when: \(when.text.escapedForDisplay)") }
                }
                lines.append("     - \(title(step))")
            } else {
                number += 1
                lines.append("  \(number). \(title(step))")
            }
            block = step.block
            lines += details(step).map { "\(step.block == nil ? "       " : "         ")\($0)" }
        }
        return lines
    }

    private static func title(_ step: Step) -> String {
        let isOwnName = step.name != String(step.action.rawValue.map { $0 == "." ? "-" : $0 })
        return "\(step.action)\(isOwnName ? " (\(step.name))" : "")"
    }

    private static func details(_ step: Step) -> [String] {
        var lines = step.parameters.map { "\($0.name): \($0.value.text.escapedForDisplay)" }
        if !step.needs.isEmpty { lines.append("needs: \(step.needs.joined(separator: ", "))") }
        if let when = step.when { lines.append("when: \(when.text.escapedForDisplay)") }
        if let time = step.undoAfter { lines.append("undo after \(time.text)") }
        if let limit = step.timeLimit { lines.append("timeout: \(limit.text)") }
        if let retry = step.retry { lines.append("retry: \(retry.text)") }
        if step.onFailure != .stop { lines.append("on failure: \(step.onFailure.text)") }
        if let mode = step.mode { lines.append("mode: \(mode.rawValue)") }
        if step.isReflex { lines.append("reflex") }
        return lines
    }

    static func json(_ step: Step) -> JSON {
        var member: JSONObject = ["name": .text(step.name), "action": .text(step.action.rawValue)]
        member.append("parallel", step.block.map { .text($0.name) })
        member.append("with", .object(JSONObject(step.parameters.map { .init(key: ByteText($0.name), value: .text($0.value.text)) })))
        let needs = (step.block?.needs ?? []) + step.needs
        if !needs.isEmpty { member.append("needs", .array(needs.map(JSON.text))) }
        member.append("when", step.when.map { .text($0.text) })
        member.append("block_when", step.block?.when.map { .text($0.text) })
        member.append("undo_after", step.undoAfter.map { .text($0.text) })
        member.append("timeout", step.timeLimit.map { .text($0.text) })
        member.append("retry", step.retry.map { .text($0.text) })
        member.append("on_failure", .text(step.onFailure.text))
        member.append("mode", step.mode.map { .text($0.rawValue) })
        if step.isReflex { member.append("reflex", true) }
        return .object(member)
    }
}

extension Step.OnFailure {
    fileprivate var text: String {
        switch self {
        case .stop: "stop"
        case .continue: "continue"
        case .undo: "undo"
        case .goto(let step): "goto \(step)"
        }
    }
}

extension RetryPolicy {
    /// "3 more, after 200ms, growing by 2, on busy, unavailable"
    fileprivate var text: String {
        guard max > 0 else { return "none" }
        let growth = factor == 1 ? "" : ", growing by \(factor.formatted)"
        return "\(max) more, after \(delay.text)\(growth)\(jitter ? ", with jitter" : ""), on \(on.map(\.rawValue).sorted().joined(separator: ", "))"
    }
}

extension Double {
    fileprivate var formatted: String { self == rounded() ? String(Int(self)) : String(self) }
}
