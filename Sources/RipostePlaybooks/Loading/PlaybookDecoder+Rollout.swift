internal import RiposteCore
internal import RiposteRules

/// Values for all playbooks of one file.
struct PlaybookDefaults {
    var mode: Mode?
    var owner: String?
    var cooldown: Cooldown?
    var budget: Budget?
    var dedup: Dedup?
}

extension PlaybookDecoder {
    func defaults(_ node: YAMLNode) -> PlaybookDefaults? {
        guard let keys = mapping(node, PlaybookKeys.defaults, "defaults") else { return nil }
        return PlaybookDefaults(
            mode: keys["mode"].flatMap { $0.choice(Mode.self) }, owner: keys["owner"].flatMap { $0.text() }, cooldown: keys["cooldown"].flatMap(cooldown),
            budget: keys["budget"].flatMap { budget($0, destroys: false) }, dedup: keys["dedup"].flatMap(dedup))
    }

    /// What a playbook says of its place among others, its owner, its roll-out, and of facts told twice.
    func readMore(_ keys: [String: YAMLNode], _ defaults: PlaybookDefaults?, into playbook: inout Playbook) {
        playbook.owner = keys["owner"].map { $0.text() } ?? defaults?.owner
        playbook.links = keys["links"].flatMap { $0.list(orSingle: true) }?.compactMap { $0.text() } ?? []
        playbook.isFinal = keys["final"].flatMap { $0.bool() } ?? false
        if let node = keys["require"] { requirements(node, into: &playbook) }
        playbook.order = keys["order"].flatMap { $0.integer(in: -1_000_000...1_000_000) } ?? 0
        playbook.rollout = keys["rollout"].flatMap(rollout)
        playbook.dedup = keys["dedup"].map(dedup) ?? defaults?.dedup
        if playbook.cooldown == nil, keys["cooldown"] == nil { playbook.cooldown = defaults?.cooldown }
        if playbook.budget == nil, keys["budget"] == nil { playbook.budget = defaults?.budget }
        if playbook.match.threshold != nil, playbook.steps.contains(where: \.isReflex) {
            keys["match"]?.report(code: "P029", "a reflex answers each event in the kernel: it cannot wait for a threshold")
        }
        if let mode = playbook.mode, let rollout = playbook.rollout, let widest = rollout.stages.map(\.mode).max(), mode < widest {
            keys["rollout"]?.report(.warning, code: "P017", "the playbook's mode is \(mode.rawValue), and the most careful one wins: no stage goes beyond it")
        }
    }

    // MARK: - Facts told again, and counted ones

    func dedup(_ node: YAMLNode) -> Dedup? {
        // `off` is a text here and no boolean of YAML 1.1's.
        if node.scalarText == "off" { return Dedup(length: nil, by: Dedup.standard.by) }
        guard node.isMapping else {
            node.report(code: "P002", "expected off, or a mapping with for and by")
            return nil
        }
        guard let keys = mapping(node, PlaybookKeys.dedup, "dedup") else { return nil }
        let by = keys["by"].flatMap { $0.list(orSingle: true) } ?? []
        if keys["by"] != nil, by.isEmpty { keys["by"]?.report(code: "P002", "an empty list would make all alerts one") }
        for field in by where field.text() != "rule" && field.text() != "target" { checkField(field) }
        guard let length = keys["for"]?.duration() else { return nil }
        if length > .seconds(86_400) { keys["for"]?.report(code: "P002", "at most 1d: beyond that use a cooldown") }
        return Dedup(length: length, by: by.isEmpty ? Dedup.standard.by : by.compactMap { $0.text() })
    }

    func threshold(_ node: YAMLNode) -> Threshold? {
        guard let keys = mapping(node, PlaybookKeys.threshold, "threshold") else { return nil }
        let fields = keys["by"].flatMap { $0.list(orSingle: true) } ?? []
        for field in fields { checkField(field) }
        guard let count = keys["count"]?.integer(in: 2...Threshold.countLimit), let within = keys["within"]?.duration() else { return nil }
        return Threshold(count: count, within: within, by: fields.compactMap { $0.text() })
    }

    func intake(_ node: YAMLNode) -> String? {
        guard let name = node.text() else { return nil }
        guard PlaybookKeys.intakes.contains(name) else {
            node.report(code: "P027", "there is no intake \"\(name)\"", suggestion: nearMiss(to: name, among: PlaybookKeys.intakes))
            return nil
        }
        return name
    }

    // MARK: - Roll-out

    func rollout(_ node: YAMLNode) -> Rollout? {
        guard let keys = mapping(node, PlaybookKeys.rollout, "rollout"), let nodes = keys["stages"]?.list() else { return nil }
        guard 1...Rollout.stageLimit ~= nodes.count else {
            keys["stages"]?.report(code: "P025", "a roll-out has 1 to \(Rollout.stageLimit) stages")
            return nil
        }
        let stages = nodes.compactMap(stage)
        guard stages.count == nodes.count else { return nil }
        for (index, pair) in zip(stages, stages.dropFirst()).enumerated() where pair.1.mode < pair.0.mode {
            nodes[index + 1].report(code: "P025", "stage \(index + 2) is more careful than the one before it; what goes back is for back_on")
        }
        if stages[0].isAutomatic || stages[0].after != nil { nodes[0].report(code: "P025", "nothing comes before the first stage: auto and after are for later ones") }
        let retreats = keys["back_on"].flatMap { $0.list(orSingle: true) }?.compactMap(retreat) ?? []
        return Rollout(stages: stages, backOn: retreats)
    }

    private func stage(_ node: YAMLNode) -> Rollout.Stage? {
        guard let keys = mapping(node, PlaybookKeys.stage, "a stage"), let mode = keys["mode"]?.choice(Mode.self) else { return nil }
        var stage = Rollout.Stage(mode: mode)
        stage.length = keys["for"].flatMap { $0.duration() }
        stage.after = keys["after"].flatMap { $0.duration() }
        stage.minimumRuns = keys["min_runs"].flatMap { $0.integer(in: 1...1_000_000) }
        stage.maximumDenied = keys["max_denied"].flatMap(share)
        stage.share = keys["share"].flatMap(share)
        stage.isAutomatic = keys["auto"].flatMap { $0.bool() } ?? false
        if stage.isAutomatic, mode == .enforce { keys["auto"]?.report(code: "P025", "to let a playbook enforce is for a person: riposte playbook promote") }
        return stage
    }

    private func share(_ node: YAMLNode) -> Int? {
        guard let text = node.text(code: "P026", expected: "a share such as 10%") else { return nil }
        if let share = Rollout.share(of: text) { return share }
        node.report(code: "P026", "expected a share from 0% to 100%, with at most two decimals")
        return nil
    }

    /// `denied > 2`; a name alone means the first time.
    private func retreat(_ node: YAMLNode) -> Rollout.Retreat? {
        guard let text = node.text() else { return nil }
        let words = text.split(separator: ">", maxSplits: 1, omittingEmptySubsequences: false).map { $0.trimmingPrefix { $0 == " " } }.map(String.init)
        let name = String(words[0].reversed().drop { $0 == " " }.reversed())
        let names = Rollout.Fault.allCases.map(\.rawValue)
        guard let fault = Rollout.Fault(rawValue: name) else {
            node.report(
                code: "P025", "\"\(name)\" is nothing that counts against a playbook; expected \(names.joined(separator: ", "))", suggestion: nearMiss(to: name, among: names))
            return nil
        }
        guard words.count == 2 else { return Rollout.Retreat(fault: fault, above: 0) }
        guard let above = Int(words[1]), 0...1_000_000 ~= above else {
            node.report(code: "P025", "expected a number after >, such as \"\(name) > 2\"")
            return nil
        }
        return Rollout.Retreat(fault: fault, above: above)
    }
}
