internal import ArgumentParser
internal import Foundation
internal import Logging
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore
internal import RiposteIntake
internal import RipostePlaybooks

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the response agent.",
        discussion: """
            Listens for alerts, makes more of them of events by rules, answers them by playbooks, and writes each step to the journal. On standard \
            output: each alert and each result as it happens, a line of text, or with --json Falco's alert object and the result object.

            Examples:
              riposte run --config config/riposte.yaml
              riposte run --mode enforce --playbooks /etc/riposte/playbooks
              falco -o json_output=true | riposte run --stdin
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "observe, ask or enforce: the most that it may do.")
    var mode: Mode?

    @Flag(name: .long, help: "The same as --mode observe.")
    var dryRun = false

    @Option(name: .long, help: "Where to listen for HTTP, ADDRESS:PORT.")
    var http: String?

    @Option(name: .long, help: "A playbook file or a folder of them; may be repeated.", completion: .file())
    var playbooks: [String] = []

    @Option(name: .long, help: "A rules file or a folder of them, in the order in which they are read; may be repeated.", completion: .file())
    var rules: [String] = []

    @Flag(name: .long, help: "Take alerts from standard input too.")
    var stdin = false

    @Option(name: .long, help: "Follow this file of JSON lines too.", completion: .file())
    var file: String?

    @Flag(name: .long, help: "Run without the own sensor for system calls.")
    var noSensor = false

    @Flag(name: .long, help: "Let the kernel hand up every event that rules ask for, also where none can hold; to compare.")
    var noPushDown = false

    func validate() throws {
        if dryRun, let mode, mode != .observe { throw ValidationError("--dry-run and --mode \(mode.rawValue) contradict each other") }
    }

    func run() async throws {
        let hangUps = await Agent.HangUps()
        var overrides = common.overrides()
        overrides.mode = dryRun ? .observe : mode
        overrides.listen = http
        overrides.playbooks = playbooks
        overrides.rules = rules
        overrides.refusesForeign = true
        var configuration = try AgentConfiguration.load(overrides)
        if stdin { configuration.intake.stdin.isEnabled = true }
        if let file { configuration.intake.file.path = file }
        if noSensor { configuration.sensor.isEnabled = false }
        if noPushDown { configuration.sensor.configuration.pushesDown = false }
        // An output of type stdout has standard output for itself.
        let descriptor = { @Sendable (isTaken: Bool) in isTaken ? STDERR_FILENO : STDOUT_FILENO }
        let printer = LinePrinter<Engine.Event>(descriptor: descriptor(configuration.outputs.takeStandardOutput), onLoss: Terminal.complainOfLoss) { [asJSON = common.json] event in
            let line: String =
                switch event {
                case .alert(let alert, let playbooks): asJSON ? JSON.object(alert.document).line : ResultText.line(alert, playbooks: playbooks)
                case .repeated(let alert, let first): asJSON ? JSON.object(alert.document).line : ResultText.repetition(of: first, by: alert)
                case .result(let result): asJSON ? result.json.line : ResultText.line(result)
                case .breaker(let change): asJSON ? change.json.line : ResultText.line(change)
                // Told as an alert of our own too.
                case .crowdedOut(let plan): asJSON ? plan.json.line : ResultText.line(plan)
                case .drift(let drift): drift.json.line
                }
            return Terminal.harmless(line)
        }
        // However it ends: what happened until then is told.
        defer {
            printer.finish()
            StandardOutput.note(printer.failure)
        }
        do {
            let agent = try Agent(configuration, logger: CommonOptions.logger(configuration.logLevel))
            try await agent.run(
                reloadOn: hangUps, onReady: { Self.greet($0) }, onStandardOutput: { printer.use(descriptor: descriptor($0)) },
                observe: { event in if case .drift = event {} else { printer.take(event) } })
        } catch let error as JournalError {
            throw Complaint(error.message + (error.code == .inUse ? "; another agent runs on this state directory" : ""), status: 1)
        } catch let error as HTTPIntake.Misconfigured {
            throw Complaint(error.description, status: 2)
        } catch let error as HTTPIntake.Unusable {
            throw Complaint(error.description, status: 1)
        } catch let error as UnixSocket.Unusable {
            throw Complaint(error.description, status: 1)
        }
    }

    /// On standard error: standard output is for alerts and results.
    private static func greet(_ banner: Agent.Banner) {
        var lines = ["Riposte \(Version.text) is ready."]
        let what: String =
            switch banner.mode {
            case .observe: "plans and reports, touches nothing"
            case .ask: "waits for a person"
            case .enforce: "acts"
            }
        lines.append("  mode       \(banner.mode.rawValue): \(what)" + (banner.modeBecause.map { ", because \($0.escapedForDisplay)" } ?? ""))
        lines.append("  playbooks  \(banner.playbooks)")
        lines.append("  rules      \(banner.rules.armed) armed of \(banner.rules.count)")
        for intake in banner.intakes { lines.append("  \(intake.takesEvents ? "events" : "alerts")     \(intake.name): \(intake.place)") }
        lines.append("  control    \(banner.controlSocket)")
        if let metrics = banner.metrics { lines.append("  metrics    \(metrics)") }
        lines.append("  journal    \(banner.journal)")
        for remark in banner.remarks { lines.append("  note       \(remark.escapedForDisplay)") }
        if let place = banner.httpPlace {
            lines.append("Send it a sample alert from another terminal:")
            lines.append("  sh examples/attack.sh \(place)")
        }
        Terminal.complainPlainly(lines.joined(separator: "\n"))
    }
}
