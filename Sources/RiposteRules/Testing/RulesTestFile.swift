package import RiposteCore

/// A file of tests beside rules: an event for which a rule holds, and what has to change about it so that it does not. Nothing but rules and
/// these events counts, so that it says the same on every machine.
///
/// ```yaml
/// rules: [riposte.yaml]
/// defaults: { proc.name: bash, user.uid: 0 }
/// tests:
///   - rule: Password file read
///     fires: { evt.type: openat, fd.name: /etc/shadow }
///     passes: { proc.exepath: /usr/sbin/sshd }
/// ```
///
/// `fires` and `passes` are fields over the defaults; null takes one away. For rules of `k8s_audit`, `defaults` and `fires` are audit events, and
/// `passes` changes one by JSON pointers: `{ /verb: get }`.
package struct RulesTestFile: Sendable {
    package struct Test: Sendable {
        package var rule: String
        package var line: Int
        /// The event as the defaults and `fires` make it.
        var fires: JSON
        /// The same with `passes`; nil where there is none.
        var passes: JSON?
    }

    /// What went otherwise than expected.
    package struct Failure: Sendable, Equatable {
        package var rule: String
        package var line: Int
        package var message: String
    }

    package let file: String
    /// Rules files, as they are named: relative to this one.
    package let rules: [String]
    package let source: String
    package let tests: [Test]

    package init(file: String, text: String) throws(Diagnostics) {
        let reader = YAMLReader(file: file, text: text)
        var (rules, tests, source): ([String], [Test], String) = ([], [], "syscall")
        if let root = reader.root(), let keys = root.mapping(known: ["rules", "source", "defaults", "tests"], what: "a file of rule tests", code: "T001") {
            rules = keys["rules"]?.list(orSingle: true, code: "T002")?.compactMap { $0.text(code: "T002") } ?? []
            if rules.isEmpty { root.report(code: "T003", "rules names the files that are tested") }
            if let node = keys["source"], let text = node.text(code: "T002") {
                source = text
                if !RuleSet.knownSources.contains(text) {
                    node.report(code: "T002", "there is no event source \"\(text)\"", suggestion: nearMiss(to: text, among: RuleSet.knownSources))
                }
            }
            let defaults = keys["defaults"]?.json
            for node in keys["tests"]?.list(code: "T002") ?? [] { if let test = Self.test(node, defaults, source: source) { tests.append(test) } }
        }
        let found = Diagnostics(reader.diagnostics)
        if found.hasErrors { throw found }
        self.file = file
        self.rules = rules
        self.source = source
        self.tests = tests
    }

    private static func test(_ node: YAMLNode, _ defaults: JSON?, source: String) -> Test? {
        guard let keys = node.mapping(known: ["rule", "fires", "passes"], what: "a test", code: "T001") else { return nil }
        guard let rule = keys["rule"]?.text(code: "T002"), let fires = keys["fires"], fires.isMapping else {
            node.report(code: "T003", "a test needs rule and fires")
            return nil
        }
        let isFlat = source == "syscall"
        let event = Self.merged(defaults, fires.json, isFlat: isFlat)
        check(event, fires, isFlat: isFlat)
        var passes: JSON?
        if let changes = keys["passes"] {
            guard changes.isMapping, let members = changes.json.object else {
                changes.report(code: "T002", "passes says what is different: a mapping")
                return nil
            }
            let changed = isFlat ? merged(event, .object(members), isFlat: true) : changed(event, members, changes)
            check(changed, changes, isFlat: isFlat)
            passes = changed
        }
        return Test(rule: rule, line: node.place?.line ?? 0, fires: event, passes: passes)
    }

    private static func check(_ event: JSON, _ node: YAMLNode, isFlat: Bool) {
        guard isFlat, let object = event.object, let problem = RecordedEvent.problem(with: object, source: "syscall") else { return }
        node.report(code: "T004", problem)
    }

    /// `over` laid over `base`, member by member; null takes one away. Flat: only at the top.
    private static func merged(_ base: JSON?, _ over: JSON, isFlat: Bool) -> JSON {
        guard case .object(var result)? = base, let members = over.object?.members else { return over }
        for member in members {
            if case .null = member.value { result[member.key] = nil } else { result[member.key] = isFlat ? member.value : merged(result[member.key], member.value, isFlat: false) }
        }
        return .object(result)
    }

    private static func changed(_ event: JSON, _ changes: JSONObject, _ node: YAMLNode) -> JSON {
        var result = event
        for member in changes.members {
            let steps = member.key.repaired.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
                String($0).replacing("~1", with: "/").replacing("~0", with: "~")
            }
            guard !steps.isEmpty, member.key.bytes.first == UInt8(ascii: "/") else {
                node.report(code: "T004", "\"\(member.key.shown)\" is no JSON pointer such as /objectRef/resource")
                return result
            }
            result = replaced(result, steps[...], with: member.value)
        }
        return result
    }

    private static func replaced(_ value: JSON, _ steps: ArraySlice<String>, with new: JSON) -> JSON {
        guard let step = steps.first else { return new }
        if case .array(var elements) = value, let index = Int(step), elements.indices.contains(index) {
            elements[index] = replaced(elements[index], steps.dropFirst(), with: new)
            return .array(elements)
        }
        var object = value.object ?? JSONObject()
        let inner = replaced(object[ByteText(step)] ?? .object(JSONObject()), steps.dropFirst(), with: new)
        if steps.count == 1, case .null = new { object[ByteText(step)] = nil } else { object[ByteText(step)] = inner }
        return .object(object)
    }

    // MARK: - Running

    /// Every rule must have a test that fires and one that passes, and each must say what it says.
    package func run(_ ruleSet: RuleSet) -> [Failure] {
        var failures: [Failure] = []
        let judge = RuleSetJudge(ruleSet, source: source)
        for test in tests {
            func fail(_ message: String) { failures.append(Failure(rule: test.rule, line: test.line, message: message)) }
            guard let rule = ruleSet.rule(named: test.rule) else {
                let near = nearMiss(to: test.rule, among: ruleSet.rules.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
                fail("there is no such rule\(near)")
                continue
            }
            guard rule.isArmed, rule.source == source else {
                fail(rule.isArmed ? "the rule is for source \(rule.source)" : "the rule is not enabled")
                continue
            }
            do throws(RecordedEventError) {
                let found = try rules(holdingFor: test.fires, judge)
                if !found.contains(test.rule) { fail("does not fire for the event that it should fire for\(found.isEmpty ? "" : "; these do: \(found.joined(separator: ", "))")") }
                if let passes = test.passes, try rules(holdingFor: passes, judge).contains(test.rule) { fail("fires for the event that it should let pass") }
            } catch {
                fail(error.problem)
            }
        }
        return failures + untested(ruleSet)
    }

    private func untested(_ ruleSet: RuleSet) -> [Failure] {
        ruleSet.rules.filter { $0.source == source && $0.isArmed }.compactMap { rule in
            let own = tests.filter { $0.rule == rule.name }
            guard !own.contains(where: { $0.passes != nil }) else { return nil }
            return Failure(rule: rule.name, line: own.first?.line ?? 1, message: own.isEmpty ? "has no test" : "has no test of an event that it lets pass")
        }
    }

    private func rules(holdingFor event: JSON, _ judge: RuleSetJudge) throws(RecordedEventError) -> [String] {
        var names: [String] = []
        if source == "syscall" {
            judge.judge(RecordedEvent(event.object ?? JSONObject())) { rule, _ in names.append(rule.name) }
            return names
        }
        let batch: KubernetesAuditReader.Batch
        do throws(KubernetesAuditError) { batch = try KubernetesAuditReader().read(event.bytes) } catch { throw RecordedEventError(problem: error.problem) }
        if let dropped = batch.dropped.first { throw RecordedEventError(problem: dropped.problem) }
        for event in batch.events { judge.judge(event) { rule, _ in names.append(rule.name) } }
        return names
    }
}
