internal import RiposteCore

/// What one action of a Talon rule comes to: a step, or a remark in its place.
struct TalonActionTranslation {
    let item: PlaybookDraft.Item
    let findings: [TalonMatchTranslation.Finding]

    init(_ action: TalonRules.Action, name: String) {
        if action.actionner == "kubernetes:terminate" {
            var translation = PodDeletion(action, name: name)
            translation.translate()
            item = .step(translation.step)
            findings = translation.findings
        } else {
            let words = Self.whyNot(action)
            let near = Self.nearStep(action, name: name)
            var remarks = ["not imported: action \"\(action.name)\" (\(action.actionner)): \(words)"]
            if let near { remarks += PlaybookWriter.lines(of: near) }
            item = .remark(remarks)
            findings = [.init(fit: .missing, part: action.actionner, text: words + (near.map { "; a step with \($0.action) is beside it as a comment" } ?? ""))]
        }
    }

    private static func whyNot(_ action: TalonRules.Action) -> String {
        if let known = TalonActionner.named(action.actionner)?.instead { return known }
        let near = nearMiss(to: action.actionner, among: TalonActionner.names).map { "; did you mean \($0)?" } ?? ""
        return "Talon has no such actionner\(near)"
    }

    /// A step to be uncommented by a person who has weighed the difference; taken back by itself after half an hour.
    private static func nearStep(_ action: TalonRules.Action, name: String) -> StepDraft? {
        switch TalonActionner.named(action.actionner)?.near {
        case .isolateContainer:
            var seen: Set<String> = []
            let allowed = action.allowedNetworks.filter { NetworkEndpoint($0) != nil && seen.insert($0).inserted }
            return StepDraft(
                name: name, action: "container.isolate", parameters: allowed.isEmpty ? [] : [("allow", .array(allowed.map(JSON.text)))], undoAfter: .seconds(1800))
        case .blockAddress:
            return StepDraft(
                name: name, action: "network.block", parameters: [("address", "{{ fd.rip }}"), ("for", "30m")])
        case .evictPod: return StepDraft(name: name, action: "pod.evict")
        case nil: return nil
        }
    }
}

extension TalonRules.Action {
    /// `allow_cidr`, which was `allow` once.
    fileprivate var allowedNetworks: [String] {
        ["allow_cidr", "allow"].flatMap { parameters[ByteText($0)]?.array ?? [] }.compactMap { $0.string?.valid }
    }
}

/// `kubernetes:terminate` is `pod.delete`.
private struct PodDeletion {
    private let action: TalonRules.Action
    private(set) var step: StepDraft
    private(set) var findings: [TalonMatchTranslation.Finding] = []

    /// pod.delete's longest grace.
    private static let longestGrace: Int64 = 3600

    init(_ action: TalonRules.Action, name: String) {
        self.action = action
        step = StepDraft(name: name, action: "pod.delete")
    }

    mutating func translate() {
        translateGrace()
        for member in action.parameters.members where member.key != "grace_period_seconds" {
            translate(member.key.repaired, member.value)
        }
        if action.output != nil { add(.exact, "output (which the actionner does not use)") }
        if !action.additionalContexts.isEmpty { add(.exact, "additional_contexts (which the actionner does not use)") }
    }

    private mutating func translateGrace() {
        let given = action.parameters["grace_period_seconds"]
        guard let seconds = given == nil || given == .null ? 0 : given?.integer, seconds >= 0 else {
            step.parameters = [("grace", "1s")]
            add(.missing, "grace_period_seconds", "\(given?.line ?? "") is no number of seconds; the step has 1s")
            return
        }
        switch seconds {
        case 0:
            step.parameters = [("grace", "1s")]
            add(
                .different, "kubernetes:terminate",
                "without a grace period Talon takes the pod out of the API before it has ended; pod.delete gives it 1s, and sees that it is gone")
        case 1...Self.longestGrace:
            step.parameters = [("grace", .text("\(seconds)s"))]
            add(.exact, "kubernetes:terminate, grace_period_seconds")
        default:
            step.parameters = [("grace", .text("\(Self.longestGrace)s"))]
            add(.different, "grace_period_seconds", "\(seconds) s are more than pod.delete waits; it waits \(Self.longestGrace) s")
        }
    }

    private mutating func translate(_ name: String, _ value: JSON) {
        switch name {
        case "ignore_daemonsets": restrict(name, value, "pods of DaemonSets")
        case "ignore_statefulsets": restrict(name, value, "pods of StatefulSets")
        case "ignore_standalone_pods": restrict(name, value, "pods without an owner")
        case "min_healthy_replicas":
            guard value != .null, value != "" else { return add(.exact, name) }
            observe(name, "pod.delete does not count the healthy replicas that are left (pod.evict asks the disruption budgets)")
        default:
            let near = nearMiss(
                to: name, among: ["grace_period_seconds", "ignore_daemonsets", "ignore_statefulsets", "ignore_standalone_pods", "min_healthy_replicas"])
            add(.different, "parameter \(name)", "Talon's actionner passes over it, and so does the import" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }

    private mutating func restrict(_ name: String, _ value: JSON, _ spared: String) {
        guard value != false, value != .null else { return add(.exact, name) }
        observe(name, "pod.delete spares no \(spared)")
    }

    /// A step that would act where Talon would not only plans, until a person has decided.
    private mutating func observe(_ name: String, _ words: String) {
        step.mode = .observe
        step.remarks.append("not imported: \(name): \(words), so the step observes only")
        add(.missing, name, "\(words), so the step observes only")
    }

    private mutating func add(_ fit: ImportReport.Fit, _ part: String, _ text: String = "") { findings.append(.init(fit: fit, part: part, text: text)) }
}
