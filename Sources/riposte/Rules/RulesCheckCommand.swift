internal import ArgumentParser
internal import RiposteCore
internal import RiposteRules

struct RulesCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Says everything that is wrong with rules files, each thing at its place.",
        discussion: """
            Ends with 0 or 2. With --json it prints Falco's own load-result document, falco_load_results. With --condition it checks one condition, \
            with the macros and lists of the files that are named.

            Examples:
              riposte rules check falco_rules.yaml my_rules.yaml
              riposte rules check --condition 'evt.type = execve and proc.name = nc'
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Check this condition.")
    var condition: String?

    @Flag(name: .long, help: "With --condition: the grammar only; any field or macro name goes.")
    var syntax = false

    @Option(name: .long, help: "With --condition: of which event source the fields are.")
    var source = "syscall"

    @Flag(name: .long, help: "Warnings make the check fail too.")
    var strict = false

    @OptionGroup var which: RulesArguments

    func validate() throws {
        if syntax, condition == nil { throw ValidationError("--syntax goes with --condition") }
        guard RuleSet.knownSources.contains(source) else { throw ValidationError("--source takes \(RuleSet.knownSources.joined(separator: " or "))") }
    }

    func run() async throws {
        if let condition, syntax { return try checkSyntax(condition) }
        let (files, unreadable) = RuleSet.read(paths: condition == nil ? try which.files(common) : which.paths)
        let names = unreadable.map(\.file) + files.map(\.name)
        if let condition {
            let findings = unreadable + EventCondition.compile(condition, source: source, files: files).findings
            finish(findings, names: names + [EventCondition.name], summary: "the condition is good")
            throw status(findings)
        }
        let (ruleSet, found) = RuleSet.load(files)
        let findings = unreadable + found
        let count = ruleSet?.rules.count ?? 0
        finish(findings, names: names, summary: count == 1 ? "1 rule is good" : "\(count) rules are good")
        throw status(findings)
    }

    private func status(_ findings: [RulesFinding]) -> ExitCode { ExitCode(findings.hasErrors || (strict && !findings.isEmpty) ? 2 : 0) }

    private func finish(_ findings: [RulesFinding], names: [String], summary: String) {
        guard !common.json else { return print(findings.falcoLoadResults(files: names).line) }
        for finding in findings { print(finding.diagnostic.rendered) }
        let errors = findings.count(where: \.isError)
        let warnings = findings.count - errors
        func counted(_ count: Int, _ word: String) -> String { count == 1 ? "1 \(word)" : "\(count) \(word)s" }
        if errors > 0 {
            print("\(counted(errors, "error"))\(warnings > 0 ? ", \(counted(warnings, "warning"))" : "")")
        } else {
            print("\(strict && warnings > 0 ? "not good enough for --strict" : summary)\(warnings > 0 ? ", with \(counted(warnings, "warning"))" : "")")
        }
    }

    private func checkSyntax(_ text: String) throws {
        do throws(ConditionError) {
            _ = try Condition(parsing: text)
            if common.json { print(JSON.object(["condition": .text(text), "valid": true]).line) } else { print("the condition is good") }
        } catch {
            if common.json {
                var object: JSONObject = ["condition": .text(text), "valid": false, "message": .text(error.message), "offset": .integer(Int64(error.offset))]
                object.append("suggestion", error.suggestion.map(JSON.text))
                print(JSON.object(object).line)
            } else {
                let place = Diagnostic.Place(in: text, at: error.offset)
                let diagnostic = Diagnostic(
                    code: RulesFinding.Code.compileCondition.rawValue, file: EventCondition.name, place: place, message: error.message, suggestion: error.suggestion,
                    snippet: place.line(of: text))
                print(diagnostic.rendered)
            }
            throw ExitCode(2)
        }
    }
}
