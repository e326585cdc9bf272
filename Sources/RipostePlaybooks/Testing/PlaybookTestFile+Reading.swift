package import RiposteCore
internal import RiposteRules

extension PlaybookTestFile {
    static func test(_ node: YAMLNode) -> Test? {
        let known = ["name", "now", "world", "mode", "intake", "alerts", "wait", "expect", "never"]
        guard let keys = node.mapping(known: known, what: "a test", code: "T001") else { return nil }
        guard let name = keys["name"]?.text(code: "T002"), let alerts = keys["alerts"].flatMap({ $0.isMapping ? [$0] : $0.list(orSingle: true, code: "T002") }) else {
            node.report(code: "T003", "a test needs name and alerts")
            return nil
        }
        guard [keys["expect"], keys["never"]].contains(where: { $0.map { $0.elements?.isEmpty != true } ?? false }) else {
            node.report(code: "T003", "a test that neither expects nor forbids anything cannot fail")
            return nil
        }
        var test = Test(
            name: name, alerts: alerts.compactMap(source), expect: keys["expect"]?.list(code: "T002")?.compactMap(expectation) ?? [],
            never: keys["never"]?.list(orSingle: true, code: "T002")?.compactMap { $0.text(code: "T002") } ?? [], line: node.place?.line ?? 0)
        test.now = keys["now"]?.timestamp
        test.world = keys["world"].flatMap { DescribedWorld($0) }
        test.mode = keys["mode"]?.choice(Mode.self, code: "T002")
        test.wait = keys["wait"]?.duration(code: "T002")
        test.intake = keys["intake"].flatMap(intake)
        return test
    }

    private static func intake(_ node: YAMLNode) -> String? {
        guard let name = node.text(code: "T002") else { return nil }
        if Match.intakeNames.contains(name) { return name }
        node.report(code: "T002", "there is no intake \"\(name)\"", suggestion: nearMiss(to: name, among: Match.intakeNames))
        return nil
    }

    private static func source(_ node: YAMLNode) -> AlertSource? {
        guard node.isMapping else { return node.text(code: "T002", expected: "a file of alerts, or { repeat, times, over, vary }").map { .file($0) } }
        guard let keys = node.mapping(known: ["repeat", "times", "over", "vary"], what: "alerts that are repeated", code: "T001") else { return nil }
        guard let file = keys["repeat"]?.text(code: "T002"), let times = keys["times"]?.integer(in: 1...100_000, code: "T002") else {
            node.report(code: "T003", "alerts that are repeated need repeat (a file) and times")
            return nil
        }
        return .repeated(
            Repetition(
                file: file, times: times, over: keys["over"]?.duration(code: "T002") ?? .zero,
                vary: keys["vary"]?.list(orSingle: true, code: "T002")?.compactMap { $0.text(code: "T002") } ?? []))
    }

    private static func expectation(_ node: YAMLNode) -> Expectation? {
        let known = ["playbook", "step", "action", "with", "outcome", "target", "count", "breaker"]
        guard let keys = node.mapping(known: known, what: "an expectation", code: "T001") else { return nil }
        guard !keys.isEmpty else {
            node.report(code: "T003", "an expectation that names nothing cannot fail")
            return nil
        }
        if keys["breaker"] != nil, keys.count > (keys["playbook"] == nil ? 1 : 2) {
            node.report(code: "T003", "beside breaker only playbook may be named")
        }
        var expectation = Expectation(
            playbook: keys["playbook"]?.text(code: "T002"), step: keys["step"]?.text(code: "T002"), action: keys["action"]?.text(code: "T002"),
            with: keys["with"]?.json.object ?? JSONObject())
        expectation.outcome = keys["outcome"]?.choice(Outcome.self, code: "T002")
        expectation.target = keys["target"].flatMap(target)
        expectation.count = keys["count"].flatMap(count)
        expectation.breaker = keys["breaker"].flatMap(breaker)
        expectation.line = node.place?.line ?? 0
        return expectation
    }

    private static func count(_ node: YAMLNode) -> Expectation.Count? {
        guard let keys = node.mapping(known: ["outcome", "min", "max"], what: "a count", code: "T001") else { return nil }
        guard keys["min"] != nil || keys["max"] != nil else {
            node.report(code: "T003", "a count needs min or max")
            return nil
        }
        let count = Expectation.Count(
            outcome: keys["outcome"]?.choice(Outcome.self, code: "T002"), min: keys["min"]?.integer(in: 0...Int.max, code: "T002"),
            max: keys["max"]?.integer(in: 0...Int.max, code: "T002"))
        if count.min == 0, count.max == nil { node.report(code: "T003", "a count that is to be 0 or more cannot fail") }
        return count
    }

    private static func breaker(_ node: YAMLNode) -> Breakers.State? {
        let text = node.text(code: "T002") ?? ""
        if let state = Breakers.State(rawValue: text) { return state }
        node.report(code: "T002", "expected open, half_open or closed")
        return nil
    }

    private static func target(_ node: YAMLNode) -> (kind: ActionDescription.TargetKind, name: String)? {
        guard let keys = node.mapping(known: ActionDescription.TargetKind.allCases.map(\.rawValue), what: "a target", code: "T001"), keys.count == 1, let (key, value) = keys.first,
            let kind = ActionDescription.TargetKind(rawValue: key), let name = value.text(code: "T002")
        else {
            node.report(code: "T003", "expected one of { process: PID }, { container: ID }, { pod: NAMESPACE/NAME }, { address: ADDRESS }, { host: this }")
            return nil
        }
        return (kind, name)
    }

    // MARK: - Alerts

    /// Why a test cannot be run.
    package struct Unusable: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// The alerts of a test in the order of their times: one at least. `read` gives those of a file.
    package func alerts(of test: Test, reading read: (String) throws -> [Alert]) throws -> [Alert] {
        var alerts: [Alert] = []
        for source in test.alerts {
            switch source {
            case .file(let path): alerts += try read(path)
            case .repeated(let repetition): alerts += try repetition.alerts(of: try read(repetition.file))
            }
        }
        if let intake = test.intake { alerts = try alerts.map { try $0.arriving(by: intake) } }
        guard !alerts.isEmpty else { throw Unusable(description: "there is no alert in its files: it cannot fail") }
        // Stable: those of one moment come in as they stand.
        return test.isRehearsed ? alerts.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element) : alerts
    }
}

extension PlaybookTestFile.Repetition {
    fileprivate func alerts(of originals: [Alert]) throws -> [Alert] {
        var generator = SystemRandomNumberGenerator()
        return try (0..<times).flatMap { number in
            try originals.map { original in
                let time = original.time + .nanoseconds(over.wholeNanoseconds / Int64(times) * Int64(number))
                var document = original.document
                document = document.setting("time", .text("\(time)"))
                var fields = original.fields
                for name in vary {
                    let key = ByteText(name)
                    guard let value = fields[key] else { continue }
                    fields = fields.setting(key, Self.varied(value, name, number))
                }
                document = document.setting("output_fields", .object(fields))
                return try Alert(.object(document), id: Identifier(at: time, using: &generator), arrival: original.arrival)
            }
        }
    }

    /// The first is as it stands; the others are numbered. A container's id stays one.
    private static func varied(_ value: JSON, _ name: String, _ number: Int) -> JSON {
        guard number > 0 else { return value }
        if let integer = value.integer {
            // Any number may stand in an alert: beyond the last one comes the first.
            let other = integer &+ Int64(number)
            return .integer(name == "proc.pid" ? Int64(UInt64(bitPattern: other) % 4_194_304) + 1 : other)
        }
        guard let text = value.string?.repaired else { return value }
        guard name == "container.id" else { return .text("\(text)-\(number)") }
        let digits = String(number, radix: 16)
        return .text(String(repeating: "0", count: max(0, 12 - digits.count)) + digits + text.dropFirst(12))
    }
}

extension JSONObject {
    fileprivate func setting(_ key: ByteText, _ value: JSON) -> JSONObject {
        var object = JSONObject(members.filter { $0.key != key })
        object.append(key, value)
        return object
    }
}
