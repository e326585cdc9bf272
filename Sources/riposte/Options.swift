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

    @Flag(name: .long, help: "Past guards of the configuration, and, for an undo, where the world has changed since; on record with your name. What is built in stands.")
    var force = false

    @Flag(name: .long, help: "Wait for somebody else's approval first.")
    var ask = false

    /// For verbs that are no actions: a flag that is taken and does nothing would be a promise.
    func refuseAsk(_ verb: String) throws {
        if ask { throw ValidationError("--ask is for actions; \(verb) takes it not") }
    }

    /// For verbs that no guard stands in the way of.
    func refuseForce(_ verb: String) throws {
        if force { throw ValidationError("--force is for actions and undo; \(verb) takes it not") }
    }

    /// Puts a wish to the agent, or to an engine of our own where there is none; prints the result and ends with its status.
    func carryOut(_ action: ActionName, on claim: TargetClaim, with parameters: JSONObject = JSONObject(), for time: Duration? = nil) async throws {
        try check(parameters, of: action)
        let command = ManualCommand(action: action, claim: claim, parameters: parameters, isDryRun: dryRun, reason: reason, undoAfter: time, isForced: force, asks: ask)
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
    func withDesk(_ body: (any Desk, Bool) async throws -> Int32) async throws { try await common.withDesk(body) }
}

extension CommonOptions {
    /// For questions: to the agent, or to the journal where there is none, which is only read. Ends with the status that `body` gives. `needsPlaybooks`: what is shown without an agent
    /// depends on those of the configuration.
    func withQuestionDesk(needsPlaybooks: Bool = false, _ body: (any QuestionDesk) async throws -> Int32) async throws {
        let configuration = try configuration()
        if FileManager.default.fileExists(atPath: configuration.controlSocket) {
            do { try await finish(agent(configuration)) { desk in try await body(desk) } } catch let error as DeskError where error.code == .noAgent {}
        }
        let playbooks = needsPlaybooks ? try PlaybookSet.load(paths: configuration.playbooks, Facilities(configuration).catalogue).set : .empty
        try await finish(JournalDesk(configuration, playbooks: playbooks)) { desk in try await body(desk) }
    }

    /// The agent at the other end of the control socket, if there is one.
    func agent(_ configuration: AgentConfiguration) -> ControlClient {
        ControlClient(socket: configuration.controlSocket, onWaiting: { Terminal.remark($0.escapedForDisplay) })
    }

    /// Ends with the status that `body` gives.
    func withDesk(_ body: (any Desk, Bool) async throws -> Int32) async throws {
        try await withDesk(needsPlaybooks: false, body)
    }

    /// Ends with the status that `body` gives. `playbooks`: an engine of our own needs those of the configuration.
    func withDesk(needsPlaybooks: Bool, _ body: (any Desk, Bool) async throws -> Int32) async throws {
        let configuration = try configuration()
        if FileManager.default.fileExists(atPath: configuration.controlSocket) {
            do { try await finish(agent(configuration)) { desk in try await body(desk, true) } } catch let error as DeskError where error.code == .noAgent {
                // The socket of an agent that is gone: nothing was asked of it. What was sent to one that then did not answer is asked of nobody again.
            }
        }
        let playbooks = needsPlaybooks ? try PlaybookSet.load(paths: configuration.playbooks, Facilities(configuration).catalogue).set : .empty
        let desk = try await CommonOptions.localDesk(configuration, playbooks: playbooks)
        try await finish(desk) { desk in try await body(desk, false) }
    }

    private func finish<Kind: QuestionDesk>(_ desk: Kind, _ body: (Kind) async throws -> Int32) async throws {
        let status: Int32
        do { status = try await body(desk) } catch {
            await desk.close()
            throw error
        }
        await desk.close()
        throw ExitCode(status)
    }

    /// An engine in this process, on the same journal.
    static func localDesk(_ configuration: AgentConfiguration, playbooks: PlaybookSet = .empty) async throws -> LocalDesk {
        let logger = logger(configuration.logLevel, atLeast: .warning)
        let actor = Operator.current()
        // A command is not held up by a key that is missing: its records are signed with the agent's next checkpoint.
        var signingKey: SigningKey?
        do throws(Diagnostics) { signingKey = try configuration.audit.loadSigningKey() } catch {
            logger.warning("the journal is not signed", metadata: ["error": "\(error)"])
        }
        do {
            let house = try await EngineHouse.open(
                configuration, playbooks: playbooks, facilities: Facilities(configuration), purpose: "command of \(actor.name)", resumesRuns: false,
                signingKey: signingKey, logger: logger)
            return LocalDesk(house, actor: actor, groups: { Operator.groupNames(of: getuid(), actingWith: getgid()) })
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
