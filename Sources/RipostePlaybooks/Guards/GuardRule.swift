package import RiposteCore

/// A guard as the agent's configuration describes it: all of its conditions must hold, of a list any one.
package struct GuardRule: Sendable, Equatable {
    package enum Answer: String, CaseIterable, Sendable { case refuse, ask, observe }

    package var name: String
    /// `config/riposte.yaml:41`
    package var place: String
    package var processNames: [String] = []
    package var executables: [String] = []
    package var users: [String] = []
    package var containerNames: [String] = []
    package var images: [String] = []
    /// `key` or `key=value`.
    package var labels: [String] = []
    package var namespaces: [String] = []
    /// `KIND/NAME`
    package var podOwners: [String] = []
    /// `key` or `key=value`.
    package var annotations: [String] = []
    package var addresses: [IPNetwork] = []
    /// Empty: all that are no releases. An undo is none of its business, whatever it is called.
    package var actions: [String] = []
    package var playbooks: [String] = []
    package var during: [TimeWindow] = []
    package var answer = Answer.refuse

    package init(name: String, place: String) {
        self.name = name
        self.place = place
    }

    package var needs: GuardNeeds {
        var needs: GuardNeeds = []
        if !(processNames + executables + users).isEmpty { needs.insert(.processes) }
        if !(containerNames + images + labels).isEmpty { needs.insert(.containers) }
        if !namespaces.isEmpty { needs.insert(.namespaces) }
        if !(podOwners + annotations).isEmpty { needs.insert(.pods) }
        return needs
    }

    private var asksWorld: Bool { !needs.isEmpty || !addresses.isEmpty }

    /// Whether it is about such a question at all: what can be said without a look at the world.
    func concerns(_ question: GuardQuestion) -> Bool {
        if question.isUndo { return false }
        if actions.isEmpty ? question.isRelease : !Self.any(actions, question.plan.action.rawValue) { return false }
        if !playbooks.isEmpty, !(question.playbook.map { Self.any(playbooks, $0) } ?? false) { return false }
        return during.isEmpty || during.contains { $0.contains(question.time) }
    }

    /// Whether it may stand in the way of an action on processes that a playbook asks for, at whatever time and on whichever.
    package func mayConcern(_ action: String, of playbook: String) -> Bool {
        addresses.isEmpty && (actions.isEmpty || Self.any(actions, action)) && (playbooks.isEmpty || Self.any(playbooks, playbook))
    }

    enum Verdict: Equatable {
        case holds(String)
        case passes
        /// Whether it holds could not be found out.
        case unclear(String)
    }

    /// Whether one of the subjects fulfils all conditions. What nobody knows counts against the plan, unless something known speaks for it.
    func verdict(on facts: GuardFacts) -> Verdict {
        guard asksWorld else { return .holds(windowText) }
        var unclear: String?
        for subject in facts.subjects {
            switch verdict(on: subject) {
            case .holds(let reason): return .holds(reason)
            case .passes: continue
            case .unclear(let reason): unclear = unclear ?? reason
            }
        }
        return unclear.map { .unclear($0) } ?? .passes
    }

    private var windowText: String {
        during.isEmpty ? "it stands in the way of all such actions" : "it is \(during.map(\.text).joined(separator: " or "))"
    }

    private func verdict(on subject: GuardFacts.Subject) -> Verdict {
        var reasons: [String] = []
        var unclear: String?
        for judgement in [judge(subject.process), judge(subject.container), judge(subject.namespace), judge(subject.pod), judge(subject.address)] {
            switch judgement {
            case .passes?: return .passes
            case .holds(let reason)?: reasons.append(reason)
            case .unclear(let reason)?: unclear = unclear ?? reason
            case nil: continue
            }
        }
        return unclear.map { .unclear($0) } ?? .holds(reasons.joined(separator: ", "))
    }

    // MARK: - One part of a subject; nil: not asked for

    private func judge<Value>(_ fact: GuardFacts.Fact<Value>, _ what: String, _ body: (Value) -> String?) -> Verdict {
        switch fact {
        case .none: .passes
        case .known(let value): body(value).map { .holds($0) } ?? .passes
        case .unknown(let why): .unclear("\(what) could not be found out: \(why)")
        }
    }

    private func judge(_ fact: GuardFacts.Fact<GuardFacts.Process>) -> Verdict? {
        guard needs.contains(.processes) else { return nil }
        return judge(fact, "which process it is") { process in
            guard processNames.isEmpty || Self.any(processNames, process.name), executables.isEmpty || (process.executable.map { Self.any(executables, $0) } ?? false) else {
                return nil
            }
            let names = [process.user, process.userID.map { "\($0)" }].compactMap(\.self)
            guard users.isEmpty || users.contains(where: names.contains) else { return nil }
            return "process \(process.pid) is \(process.name.shown)\(users.isEmpty ? "" : " of user \((names.first ?? "").escapedForDisplay)")"
        }
    }

    private func judge(_ fact: GuardFacts.Fact<GuardFacts.Container>) -> Verdict? {
        guard needs.contains(.containers) else { return nil }
        return judge(fact, "which container it is") { container in
            guard containerNames.isEmpty || Self.any(containerNames, container.name), images.isEmpty || Self.any(images, container.image),
                labels.isEmpty || Self.anyMark(labels, container.labels)
            else { return nil }
            return "container \(container.name.escapedForDisplay) (\(container.id.prefix(12))) of image \(container.image.escapedForDisplay)"
        }
    }

    private func judge(_ fact: GuardFacts.Fact<String>) -> Verdict? {
        guard !namespaces.isEmpty else { return nil }
        return judge(fact, "which namespace it is in") { namespace in
            Self.any(namespaces, namespace) ? "it is in namespace \(namespace.escapedForDisplay)" : nil
        }
    }

    private func judge(_ fact: GuardFacts.Fact<GuardFacts.Pod>) -> Verdict? {
        guard needs.contains(.pods) else { return nil }
        return judge(fact, "which pod it is") { pod in
            guard podOwners.isEmpty || (pod.owner.map { Self.any(podOwners, $0) } ?? false), annotations.isEmpty || Self.anyMark(annotations, pod.annotations) else { return nil }
            return "pod \(pod.namespace.escapedForDisplay)/\(pod.name.escapedForDisplay)\(pod.owner.map { " of \($0.escapedForDisplay)" } ?? "")"
        }
    }

    private func judge(_ address: IPNetwork?) -> Verdict? {
        guard !addresses.isEmpty else { return nil }
        guard let address, let range = addresses.first(where: { $0.overlaps(address) }) else { return .passes }
        return .holds("\(address) reaches into \(range)")
    }

    private static func any(_ patterns: [String], _ text: String) -> Bool { patterns.contains { Pattern.matches($0, text) } }
    private static func any(_ patterns: [String], _ text: ByteText) -> Bool { patterns.contains { Pattern.matches($0, text.bytes) } }

    private static func anyMark(_ wanted: [String], _ marks: [String: String]) -> Bool {
        wanted.contains { want in
            let parts = want.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let value = marks[parts[0]] else { return false }
            return parts.count < 2 || value == parts[1]
        }
    }
}
