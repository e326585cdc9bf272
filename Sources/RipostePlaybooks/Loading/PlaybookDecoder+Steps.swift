internal import RiposteCore
internal import RiposteRules

/// The steps of a playbook: what each says, and whether they can follow from one another as they say.
extension PlaybookDecoder {
    func steps(_ node: YAMLNode, in playbook: String, _ mode: Mode?) -> [Step] {
        guard let nodes = node.list() else { return [] }
        var list = StepList(playbook: playbook, mode: mode)
        for (index, node) in nodes.enumerated() {
            if let block = node.isMapping ? node.members()?.first(where: { $0.key == "parallel" })?.value : nil {
                parallel(node, block, position: index + 1, &list)
            } else if let step = step(node, in: nil, &list) {
                list.add(step, node)
            }
        }
        if !(1...PlaybookKeys.stepLimit ~= max(list.entries.count, nodes.count)) { node.report(code: "P002", "a playbook has 1 to \(PlaybookKeys.stepLimit) steps") }
        check(list)
        return list.entries.map(\.step)
    }

    /// The steps read so far.
    struct StepList {
        let playbook: String
        let mode: Mode?
        var entries: [(step: Step, node: YAMLNode)] = []
        /// Of steps and blocks, in the order of the file.
        var names: [String] = []
        /// What a step may ask for and `needs`: all before it, and not its neighbours in a block.
        var earlier: [String] = []
        /// Where `goto` may lead: steps that stand alone, and blocks, with their place among them.
        var places: [String: Int] = [:]
        var count = 0

        mutating func add(_ step: Step, _ node: YAMLNode) {
            take(step.name, node)
            entries.append((step, node))
            earlier.append(step.name)
            places[step.name] = count
            count += 1
        }

        mutating func take(_ name: String, _ node: YAMLNode) {
            if names.contains(name) { node.report(code: "P005", "another step is named \"\(name)\"; give this one a `name`") }
            names.append(name)
        }
    }

    // MARK: - Blocks

    private func parallel(_ node: YAMLNode, _ members: YAMLNode, position: Int, _ list: inout StepList) {
        guard let keys = mapping(node, PlaybookKeys.block, "a parallel block of playbook \(list.playbook)") else { return }
        let name = keys["name"].flatMap { $0.text() } ?? "parallel-\(position)"
        if let node = keys["name"] { _ = isName(name, node) }
        list.take(name, node)
        let block = ParallelBlock(
            name: name, needs: needs(keys["needs"], list), when: keys["when"].flatMap { when($0, ConditionScope(earlier: list.earlier, target: nil)) })
        let standard = keys["on_failure"].flatMap { onFailure($0) }
        let nodes = members.list() ?? []
        if nodes.count == 1 { members.report(code: "P037", "one step alone runs with nobody; write it without `parallel`") }
        if nodes.isEmpty { members.report(code: "P037", "a parallel block has two steps or more") }
        var inner: [String] = []
        for node in nodes {
            if node.isMapping, let nested = node.members()?.first(where: { $0.key == "parallel" }) {
                nested.keyNode.report(code: "P037", "a parallel block cannot stand in another one")
            } else if let step = step(node, in: (block, standard), &list) {
                list.take(step.name, node)
                list.entries.append((step, node))
                inner.append(step.name)
            }
        }
        list.earlier += inner + [name]
        list.places[name] = list.count
        list.count += 1
    }

    // MARK: - One step

    private func step(_ node: YAMLNode, in block: (block: ParallelBlock, onFailure: Step.OnFailure?)?, _ list: inout StepList) -> Step? {
        guard let keys = mapping(node, PlaybookKeys.step, "a step of playbook \(list.playbook)") else { return nil }
        if keys["action"] == nil { node.report(code: "P003", "a step of playbook \(list.playbook) needs the key \"action\", or \"parallel\" with steps in it") }
        let description = keys["action"].flatMap(action)
        let scope = ConditionScope(earlier: list.earlier, target: description?.target)
        var step = Step(
            name: "", action: description?.name ?? "", parameters: [], when: keys["when"].flatMap { when($0, scope) }, onFailure: block?.onFailure ?? .stop,
            mode: keys["mode"].flatMap { $0.choice(Mode.self) })
        step.name = keys["name"].flatMap { $0.text() } ?? String(step.action.rawValue.map { $0 == "." ? "-" : $0 })
        if let node = keys["name"] { _ = isName(step.name, node) }
        if let node = keys["on_failure"] { step.onFailure = onFailure(node) ?? .stop }
        step.budget = keys["budget"].flatMap { budget($0, destroys: description?.impact == .destroys) }
        step.isReflex = keys["reflex"].flatMap { $0.bool() } ?? false
        if let node = keys["undo"] { readUndo(node, of: &step) }
        step.block = block?.block
        step.needs = needs(keys["needs"], list)
        step.timeLimit = keys["timeout"].flatMap(timeLimit)
        step.retry = keys["retry"].flatMap(retry)
        if let description {
            step.impact = description.impact
            if let undo = keys["undo"], description.inverse == nil { undo.report(code: "P012", "\(description.name) cannot be taken back") }
            step.parameters = parameters(keys["with"], of: description, scope, at: node)
            if let mode = step.mode, let playbookMode = list.mode, mode > playbookMode {
                keys["mode"]?.report(.warning, code: "P017", "the playbook's mode is \(playbookMode.rawValue), and the most careful one wins")
            }
            asking(keys, &step, description)
            warnIfForEver(step, description, list.mode, at: node)
            warnIfTooShort(step, description, at: keys["timeout"] ?? node)
        }
        return step
    }

    private func onFailure(_ node: YAMLNode) -> Step.OnFailure? {
        if node.isMapping { return mapping(node, PlaybookKeys.jump, "on_failure").flatMap { $0["goto"]?.text() }.map(Step.OnFailure.goto) }
        switch node.choice(OnFailureWord.self) {
        case .stop: return .stop
        case .continue: return .continue
        case .undo: return .undo
        case nil: return nil
        }
    }

    private func needs(_ node: YAMLNode?, _ list: StepList) -> [String] {
        guard let node, let nodes = node.list(orSingle: true) else { return [] }
        if nodes.isEmpty { node.report(code: "P035", "needs names no step") }
        return nodes.compactMap { node in
            guard let name = node.text() else { return nil }
            guard list.earlier.contains(name) else {
                let why = list.names.contains(name) ? "\"\(name)\" runs together with this step" : "no step before this one is named \"\(name)\""
                node.report(code: "P035", why, suggestion: nearMiss(to: name, among: list.earlier))
                return nil
            }
            return name
        }
    }

    func timeLimit(_ node: YAMLNode) -> Duration? {
        guard let length = node.duration() else { return nil }
        if length > PlaybookKeys.longestTimeLimit { node.report(code: "P002", "a timeout is at most \(PlaybookKeys.longestTimeLimit.text)") }
        return length
    }

    private func retry(_ node: YAMLNode) -> RetryPolicy? {
        guard let keys = mapping(node, PlaybookKeys.retry, "retry") else { return nil }
        var policy = RetryPolicy()
        if let max = keys["max"]?.integer(in: 0...RetryPolicy.limit) { policy.max = max }
        if let delay = keys["delay"]?.duration() {
            if delay > RetryPolicy.longestDelay { keys["delay"]?.report(code: "P002", "a delay is at most \(RetryPolicy.longestDelay.text)") }
            policy.delay = delay
        }
        if let node = keys["factor"] {
            if let factor = node.text().flatMap({ Double($0) }), 1...10 ~= factor { policy.factor = factor } else { node.report(code: "P002", "expected a number from 1 to 10") }
        }
        if let jitter = keys["jitter"]?.bool() { policy.jitter = jitter }
        if let nodes = keys["on"]?.list(orSingle: true) { policy.on = Set(nodes.compactMap(retriedClass)) }
        return policy
    }

    private func retriedClass(_ node: YAMLNode) -> FailureClass? {
        guard let text = node.text() else { return nil }
        guard let failure = FailureClass(rawValue: text), RetryPolicy.classes.contains(failure) else {
            let names = RetryPolicy.classes.map(\.rawValue)
            let why = FailureClass(rawValue: text) == nil ? "there is no class \"\(text)\"" : "\(text) does not pass by itself"
            node.report(code: "P040", "\(why); what can be tried again is \(names.joined(separator: ", "))", suggestion: nearMiss(to: text, among: names))
            return nil
        }
        return failure
    }

    private func warnIfTooShort(_ step: Step, _ action: ActionDescription, at node: YAMLNode) {
        guard let limit = step.timeLimit, let waits = action.waits else { return }
        let given = step.parameters.first { $0.name == waits }.flatMap { parameter -> Duration? in
            if case .literal(let json) = parameter.value { json.string?.valid.flatMap { Duration(text: $0) } } else { nil }
        }
        let standard: Duration? = if case .duration(let length)? = action.parameters.first(where: { $0.name == waits })?.defaultValue { length } else { nil }
        guard let wait = given ?? standard, wait >= limit else { return }
        node.report(.warning, code: "P041", "\(action.name) waits \(wait.text) for its target (\(waits)), and the step's timeout cuts that off after \(limit.text)")
    }

    func warnIfForEver(_ step: Step, _ description: ActionDescription, _ mode: Mode?, at node: YAMLNode) {
        let hasEnd = step.undoAfter != nil || step.parameters.contains { $0.name == "for" }
        guard description.inverse != nil, description.impact == .reversible, min(mode ?? .observe, step.mode ?? .enforce) == .enforce, !hasEnd else { return }
        node.report(.warning, code: "P014", "\(step.action) stays in force until a person takes it back; add `undo: { after: … }` if it should end by itself")
    }

    func action(_ node: YAMLNode) -> ActionDescription? {
        guard let name = node.text(code: "P006", expected: "an action such as process.kill") else { return nil }
        guard let action = catalogue[ActionName(rawValue: name)], action.description.isOffered else {
            let names = catalogue.descriptions.filter(\.isOffered).map(\.name.rawValue)
            node.report(code: "P006", "there is no action \"\(name)\"", suggestion: nearMiss(to: name, among: names))
            return nil
        }
        return action.description
    }

    func parameters(_ node: YAMLNode?, of action: ActionDescription, _ scope: ConditionScope, at step: YAMLNode) -> [(name: String, value: ParameterSource)] {
        var result: [(name: String, value: ParameterSource)] = []
        for (name, keyNode, value) in node?.members() ?? [] {
            guard let parameter = action.parameters.first(where: { $0.name == name }) else {
                keyNode.report(code: "P007", "\(action.name) has no parameter \"\(name)\"", suggestion: nearMiss(to: name, among: action.parameters.map(\.name)))
                continue
            }
            if let source = source(value, of: parameter, scope) { result.append((name, source)) }
        }
        for parameter in action.parameters where parameter.isRequired && !result.contains(where: { $0.name == parameter.name }) {
            guard node?.members()?.contains(where: { $0.key == parameter.name }) != true else { continue }
            (node ?? step).report(code: "P007", "\(action.name) needs the parameter \"\(parameter.name)\"")
        }
        return result
    }

    func source(_ node: YAMLNode, of parameter: Parameter, _ scope: ConditionScope) -> ParameterSource? {
        if case .list(let element, _) = parameter.type, let elements = node.list(orSingle: true, code: "P007") {
            let sources = elements.compactMap { source($0, parameter.name, element, scope) }
            return sources.count == elements.count ? .list(sources) : nil
        }
        return source(node, parameter.name, parameter.type, scope)
    }

    func source(_ node: YAMLNode, _ name: String, _ type: ParameterType, _ scope: ConditionScope) -> ParameterSource? {
        let json = node.json
        do throws(Template.Invalid) {
            if let template = try json.string?.valid.flatMap({ text throws(Template.Invalid) in try Template(text, scope: scope) }) { return .template(template) }
        } catch {
            node.report(code: "P009", atCharacter: error.offset, error.message, suggestion: error.suggestion)
            return nil
        }
        do throws(ParameterError) {
            _ = try type.value(from: json)
            // Whoever writes it can write less; only what an alert brings along is cut.
            if case .prose(let maxBytes) = type, json.string.map({ $0.bytes.count > maxBytes }) == true {
                throw ParameterError("be a text of at most \(maxBytes) bytes")
            }
            return .literal(json)
        } catch {
            node.report(code: "P007", "\(name) must \(error.expectation)", suggestion: error.suggestion)
            return nil
        }
    }
}

/// The words of `on_failure`.
enum OnFailureWord: String, CaseIterable { case stop, `continue`, undo }
