internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

struct PlaybookCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "playbook", abstract: "Checks, lists, shows and tries playbooks.",
        subcommands: [
            PlaybookCheckCommand.self, PlaybookListCommand.self, PlaybookShowCommand.self, PlaybookDryRunCommand.self, PlaybookExplainCommand.self,
            PlaybookTestCommand.self,
            PlaybookPromoteCommand.self, PlaybookSchemaCommand.self, PlaybookImportCommand.self,
        ])
}

/// Which playbook files.
struct PlaybookArguments: ParsableArguments {
    @Argument(help: "Playbook files, or folders of them. Default: those of the configuration.", completion: .file())
    var paths: [String] = []

    /// `foreign`: what becomes of files that others can change.
    func load(_ common: CommonOptions, foreign: ForeignFiles = .warnedOf) throws -> (set: PlaybookSet, warnings: [Diagnostic]) {
        let configuration = try common.configuration()
        return try PlaybookSet.load(paths: try paths(configuration), Facilities(configuration).catalogue, foreign: foreign)
    }

    func paths(_ configuration: AgentConfiguration) throws -> [String] {
        let chosen = paths.isEmpty ? configuration.playbooks : paths
        guard !chosen.isEmpty else { throw ValidationError("which playbooks? Name files or folders, or set playbooks in the configuration") }
        return chosen
    }
}

struct PlaybookCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Says everything that is wrong with playbook files, each thing at its place.",
        discussion: "Ends with 0 or 2.\n\nExample:\n  riposte playbook check playbooks/ my.yaml")

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    @Option(name: .long, help: "Rules that reflexes are checked against; may be repeated. Default: those of the configuration.", completion: .file())
    var rules: [String] = []

    func run() async throws {
        do {
            // Of those that an agent takes it says what the agent would; others can be checked anywhere.
            let (set, warnings) = try which.load(common, foreign: which.paths.isEmpty ? .refused : .warnedOf)
            show(warnings)
            let problems = try reflexProblems(set)
            show(problems)
            if !problems.isEmpty { throw ExitCode(2) }
            guard !set.playbooks.isEmpty else { throw Complaint("there is no playbook in what was named", status: 2) }
            let count = set.playbooks.count == 1 ? "1 playbook is good" : "\(set.playbooks.count) playbooks are good"
            if !common.json { print("\(count)\(warnings.isEmpty ? "" : warnings.count == 1 ? ", with 1 warning" : ", with \(warnings.count) warnings")") }
        } catch let error as Diagnostics {
            show(error.entries)
            throw ExitCode(2)
        }
    }

    /// Rules that the kernel cannot decide, each at the playbook that wants it to.
    private func reflexProblems(_ set: PlaybookSet) throws -> [Diagnostic] {
        let reflexes = set.playbooks.filter { $0.reflex != nil }
        guard !reflexes.isEmpty else { return [] }
        let files = rules.isEmpty ? try common.configuration().rules.files : rules
        guard !files.isEmpty else {
            Terminal.remark("\(reflexes.count) reflexes were not held against rules: name them with --rules")
            return []
        }
        let (ruleSet, findings, _) = RuleSet.load(paths: files)
        guard let ruleSet else {
            for finding in findings where finding.isError { Terminal.complainPlainly(finding.diagnostic.rendered) }
            throw ExitCode(2)
        }
        let plan = ReflexPlan(set, ruleSet, mode: { _ in .enforce })
        for reflex in plan.set.reflexes {
            let calls = ruleSet.refusableCalls(ofRule: reflex.rule)
            guard !calls.isEmpty else { continue }
            Terminal.remark(
                "playbook \(reflex.playbook): its reflex to \"\(reflex.rule.escapedForDisplay)\" also refuses \(calls.joined(separator: ", ")), where the kernel has BPF LSM")
        }
        return plan.problems.map { problem in
            let playbook = reflexes.first { $0.name == problem.playbook }
            return Diagnostic(
                code: "P019", file: playbook?.file ?? "", place: playbook.map { Diagnostic.Place(line: $0.line, column: 1) },
                message: "playbook \(problem.playbook): its reflex cannot be armed for rule \"\(problem.rule.escapedForDisplay)\": \(problem.reason)")
        }
    }

    private func show(_ entries: [Diagnostic]) {
        for entry in entries { print(common.json ? entry.json.line : entry.rendered) }
    }
}

struct PlaybookListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists playbooks with their modes and actions.", discussion: "Example:\n  riposte playbook list playbooks/")

    @OptionGroup var common: CommonOptions
    @OptionGroup var which: PlaybookArguments

    func run() async throws {
        let playbooks = try which.load(common).set.playbooks
        let live = await inForce()
        guard !common.json else {
            for playbook in playbooks {
                var object = PlaybookText.json(playbook).object ?? JSONObject()
                object.append("in_force", live[playbook.name])
                print(JSON.object(object).line)
            }
            return
        }
        print(
            Terminal.table(
                ["NAME", "MODE"] + (live.isEmpty ? [] : ["NOW", "RUNS", "WRONG", "STAGE"]) + ["STEPS", "ANSWERS", "FILE"],
                playbooks.map { playbook in
                    [playbook.name, playbook.isEnabled ? playbook.mode?.rawValue ?? "agent's" : "off"] + (live.isEmpty ? [] : columns(live[playbook.name])) + [
                        PlaybookText.steps(playbook),
                        PlaybookText.answers(playbook.match).escapedForDisplay, "\(playbook.file.escapedForDisplay):\(playbook.line)",
                    ]
                }))
    }

    /// What the agent says of its playbooks, by name; nothing where none runs.
    private func inForce() async -> [String: JSON] {
        guard let configuration = try? common.configuration() else { return [:] }
        let client = common.agent(configuration)
        var modes: JSON?
        do throws(DeskError) { modes = try await client.modes() } catch {
            if error.code == .silent { Terminal.remark("\(error.message.escapedForDisplay); what is in force is not known") }
        }
        await client.close()
        let entries = modes?["playbooks"]?.array ?? []
        return Dictionary(entries.compactMap { entry in entry["name"]?.string?.valid.map { ($0, entry) } }, uniquingKeysWith: { $1 })
    }

    private func columns(_ entry: JSON?) -> [String] {
        guard let entry else { return ["not in force", "-", "-", "-"] }
        return [entry["mode"]?.string?.shown ?? "", "\(entry["runs"]?.integer ?? 0)", ModeText.rate(entry), ModeText.stage(entry)]
    }
}

struct PlaybookShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one playbook, as it was understood.", discussion: "Example:\n  riposte playbook show contain-shell playbooks/")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The playbook's name.")
    var name: String

    @OptionGroup var which: PlaybookArguments

    func run() async throws {
        let playbooks = try which.load(common).set.playbooks
        guard let playbook = playbooks.first(where: { $0.name == name }) else {
            let near = nearMiss(to: name, among: playbooks.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
            throw Complaint("there is no playbook \"\(name.escapedForDisplay)\"\(near)", status: 4)
        }
        print(common.json ? PlaybookText.json(playbook).line : PlaybookText.text(playbook))
    }
}

struct PlaybookSchemaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Prints the JSON Schema of playbook files, for editors.",
        discussion: "Example:\n  riposte playbook schema > playbooks.schema.json")

    @OptionGroup var common: CommonOptions

    func run() async throws { print(PlaybookSchema.json(Facilities(try common.configuration()).catalogue).line) }
}

/// Playbooks for people and programs.
enum PlaybookText {
    static func answers(_ match: Match) -> String {
        var parts: [String] = []
        if !match.rules.isEmpty { parts.append(match.rules.count > 1 ? "\(match.rules[0]) and \(match.rules.count - 1) more" : match.rules[0]) }
        if let priority = match.priority { parts.append("\(priority.comparison.rawValue) \(priority.priority)") }
        if !match.tags.isEmpty { parts.append("tags \(match.tags.map { $0.joined(separator: "+") }.joined(separator: ", "))") }
        if match.when != nil { parts.append("when …") }
        return parts.isEmpty ? "any alert" : parts.joined(separator: "; ")
    }

    static func text(_ playbook: Playbook) -> String {
        var lines = [Terminal.paint(playbook.name, .bold), "  \(playbook.description.escapedForDisplay)", "  file      \(playbook.file.escapedForDisplay):\(playbook.line)"]
        lines.append("  mode      \(playbook.isEnabled ? playbook.mode?.rawValue ?? "the agent's" : "off")")
        if !playbook.match.rules.isEmpty { lines.append("  rules     \(playbook.match.rules.joined(separator: " | ").escapedForDisplay)") }
        if !playbook.match.exceptRules.isEmpty { lines.append("  except    \(playbook.match.exceptRules.joined(separator: " | ").escapedForDisplay)") }
        if let priority = playbook.match.priority { lines.append("  priority  \(priority.comparison.rawValue) \(priority.priority)") }
        if !playbook.match.tags.isEmpty { lines.append("  tags      \(playbook.match.tags.map { $0.joined(separator: " and ") }.joined(separator: " | ").escapedForDisplay)") }
        if let when = playbook.match.when { lines.append("  when      \(when.text.escapedForDisplay)") }
        if let owner = playbook.owner { lines.append("  owner     \(owner.escapedForDisplay)") }
        for link in playbook.links { lines.append("  see       \(link.escapedForDisplay)") }
        if playbook.order != 0 || playbook.isFinal { lines.append("  order     \(playbook.order)\(playbook.isFinal ? ", final: no later playbook sees what it answers" : "")") }
        if !playbook.match.intakes.isEmpty { lines.append("  intake    \(playbook.match.intakes.joined(separator: " | "))") }
        if let threshold = playbook.match.threshold {
            lines.append("  threshold \(threshold.count) within \(threshold.within.text) by \(threshold.by.isEmpty ? "playbook" : threshold.by.joined(separator: ", "))")
        }
        if let dedup = playbook.dedup { lines.append("  dedup     \(dedup.length.map { "\($0.text) by \(dedup.by.joined(separator: ", "))" } ?? "off")") }
        if let rollout = playbook.rollout {
            for (index, stage) in rollout.stages.enumerated() { lines.append("  stage \(index + 1)   \(stage.text)") }
            if !rollout.backOn.isEmpty { lines.append("  back on   \(rollout.backOn.map(\.text).joined(separator: ", "))") }
        }
        if let cooldown = playbook.cooldown { lines.append("  cooldown  \(cooldown.length.text) by \(cooldown.by.isEmpty ? "playbook" : cooldown.by.joined(separator: ", "))") }
        if let budget = playbook.budget { lines.append("  budget    \(budget.text); over: \(budget.over.rawValue), reopen: \(budget.reopening.text)") }
        lines += StepText.lines(playbook.steps)
        if !playbook.finish.isEmpty { lines += ["  on finish"] + StepText.lines(playbook.finish) }
        return lines.joined(separator: "\n")
    }

    static func json(_ playbook: Playbook) -> JSON {
        var object: JSONObject = [
            "name": .text(playbook.name), "description": .text(playbook.description), "enabled": .bool(playbook.isEnabled), "file": .text(playbook.file),
            "line": .integer(Int64(playbook.line)), "rules": .array(playbook.match.rules.map(JSON.text)),
            "tags": .array(playbook.match.tags.map { .array($0.map(JSON.text)) }),
        ]
        object.append("mode", playbook.mode.map { .text($0.rawValue) })
        object.append("priority", playbook.match.priority.map { .text("\($0.comparison.rawValue) \($0.priority)") })
        object.append("when", playbook.match.when.map { .text($0.text) })
        object.append("owner", playbook.owner.map(JSON.text))
        if !playbook.links.isEmpty { object.append("links", .array(playbook.links.map(JSON.text))) }
        object.append("order", .integer(Int64(playbook.order)))
        object.append("final", .bool(playbook.isFinal))
        if !playbook.match.intakes.isEmpty { object.append("intake", .array(playbook.match.intakes.map(JSON.text))) }
        object.append(
            "threshold",
            playbook.match.threshold.map { ["count": .integer(Int64($0.count)), "within": .text($0.within.text), "by": .array($0.by.map(JSON.text))] })
        object.append("dedup", playbook.dedup.map { dedup in ["for": .text(dedup.length?.text ?? "off"), "by": .array(dedup.by.map(JSON.text))] })
        object.append(
            "rollout",
            playbook.rollout.map { ["stages": .array($0.stages.map { .text($0.text) }), "back_on": .array($0.backOn.map { .text($0.text) })] })
        object.append("cooldown", playbook.cooldown.map { ["for": .text($0.length.text), "by": .array($0.by.map(JSON.text))] })
        object.append("budget", playbook.budget.map(\.json))
        object.append(
            "steps",
            .array(
                playbook.steps.map(StepText.json)))
        if !playbook.finish.isEmpty { object.append("on_finish", .array(playbook.finish.map(StepText.json))) }
        return .object(object)
    }

    /// In one line, those that run together with a + between.
    static func steps(_ playbook: Playbook) -> String {
        var text = ""
        var last: String?
        for step in playbook.steps {
            text += (text.isEmpty ? "" : step.block != nil && step.block?.name == last ? " + " : ", ") + step.action.rawValue
            last = step.block?.name
        }
        return text
    }
}

extension ParameterSource {
    /// As it was written.
    var text: String {
        switch self {
        case .literal(let json): json.string?.repaired ?? json.line
        case .template(let template): template.text
        case .list(let elements): "[\(elements.map(\.text).joined(separator: ", "))]"
        }
    }
}
