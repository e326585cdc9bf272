public import ArgumentParser
internal import Foundation
internal import Logging
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks

/// What every verb takes.
struct CommonOptions: ParsableArguments {
    @Option(name: .long, help: "The configuration file (default: /etc/riposte/riposte.yaml if there; RIPOSTE_CONFIG).", completion: .file())
    var config: String?

    @Option(name: .long, help: "Journal, index, offsets (RIPOSTE_STATE_DIR; default: /var/lib/riposte).", completion: .directory)
    var stateDir: String?

    @Option(name: .long, help: "Sockets and locks (RIPOSTE_RUN_DIR; default: /run/riposte).", completion: .directory)
    var runDir: String?

    @Option(name: .long, help: "trace, debug, info, notice, warning, error or critical.", completion: .list(["debug", "info", "warning", "error"]))
    var logLevel: String?

    @Flag(name: .long, help: "One JSON object per result on standard output, and nothing else there.")
    var json = false

    func validate() throws {
        if let logLevel, !AgentConfiguration.logLevels.contains(logLevel) {
            throw ValidationError("--log-level takes one of \(AgentConfiguration.logLevels.joined(separator: ", "))")
        }
    }

    func overrides() -> ConfigurationOverrides {
        var overrides = ConfigurationOverrides()
        overrides.file = config
        overrides.stateDirectory = stateDir
        overrides.runDirectory = runDir
        overrides.logLevel = logLevel
        return overrides
    }

    func configuration() throws -> AgentConfiguration { try AgentConfiguration.load(overrides()) }

    /// Talk goes to standard error. Commands are quieter than the agent.
    static func logger(_ level: String, atLeast least: Logger.Level = .trace) -> Logger {
        var logger = Logger(label: "riposte") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = max(Logger.Level(rawValue: level) ?? .info, least)
        return logger
    }
}

/// What every verb takes that changes something.
struct ActionOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions

    @Flag(name: .long, help: "Look at everything, touch nothing.")
    var dryRun = false

    @Option(name: .long, help: "Why; stands in the journal.")
    var reason: String?

    /// Puts a wish to the agent, or to an engine of our own where there is none; prints the result and ends with its status.
    func carryOut(_ action: ActionName, on claim: TargetClaim, with parameters: JSONObject = JSONObject(), for time: Duration? = nil) async throws {
        try check(parameters, of: action)
        let command = ManualCommand(action: action, claim: claim, parameters: parameters, isDryRun: dryRun, reason: reason, undoAfter: time)
        try await withDesk { desk, isAgent in
            let result = try await desk.act(command)
            report(result)
            if !isAgent, time != nil, result.undo?.due != nil {
                Terminal.remark("no agent is running: it will be taken back when one is started")
            }
            return result.outcome.exitStatus
        }
    }

    /// What an action does not take is a mistake of the caller's, to be told before anything is asked or written down.
    private func check(_ parameters: JSONObject, of action: ActionName) throws {
        guard let description = Facilities(try common.configuration()).catalogue[action]?.description else { return }
        do throws(ParameterError) { _ = try Parameters(checking: parameters, for: description) } catch { throw Complaint(error.expectation, status: 2) }
    }

    func report(_ result: ActionResult) {
        if common.json { print(result.json.line) } else { print(ResultText.line(result)) }
    }

    /// Ends with the status that `body` gives.
    func withDesk(_ body: (any Desk, Bool) async throws -> Int32) async throws { try await Self.withDesk(common, body) }

    static func withDesk(_ common: CommonOptions, _ body: (any Desk, Bool) async throws -> Int32) async throws {
        let configuration = try common.configuration()
        if FileManager.default.fileExists(atPath: configuration.controlSocket) {
            let client = ControlClient(socket: configuration.controlSocket)
            do { try await finish(client, isAgent: true, body) } catch let error as DeskError where error.code == .noAgent {
                // The socket of an agent that is gone. One that answered nonsense, or died in between, still holds the journal, and then says so.
            }
        }
        let desk = try await CommonOptions.localDesk(configuration)
        try await finish(desk, isAgent: false, body)
    }

    private static func finish(_ desk: any Desk, isAgent: Bool, _ body: (any Desk, Bool) async throws -> Int32) async throws {
        let status: Int32
        do { status = try await body(desk, isAgent) } catch {
            await desk.close()
            throw error
        }
        await desk.close()
        throw ExitCode(status)
    }
}

extension CommonOptions {
    /// An engine in this process, on the same journal.
    static func localDesk(_ configuration: AgentConfiguration) async throws -> LocalDesk {
        let logger = logger(configuration.logLevel, atLeast: .warning)
        let actor = Operator.current()
        do {
            let house = try await EngineHouse.open(
                configuration, playbooks: .empty, facilities: Facilities(configuration), purpose: "command of \(actor.name)", resumesRuns: false, logger: logger)
            return LocalDesk(house, actor: actor)
        } catch let error as JournalError {
            throw DeskError(.journal, error.message)
        }
    }
}

extension Duration: @retroactive ExpressibleByArgument {
    public init?(argument: String) {
        self.init(text: argument)
        guard self > .zero else { return nil }
    }
}

extension Mode: ExpressibleByArgument {}
extension Outcome: ExpressibleByArgument {}
extension Identifier: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
extension Signal: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
extension Timestamp: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
