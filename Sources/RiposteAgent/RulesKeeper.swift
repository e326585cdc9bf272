internal import Crypto
internal import Logging
internal import RiposteCore
internal import RiposteRules
internal import Synchronization

/// Keeps the rules in force equal to their files: read anew on a change, on SIGHUP and on request, whole or not at all.
final class RulesKeeper: Sendable {
    /// Judges for the audit events of Kubernetes API servers.
    let kubernetesAudit: JudgePool
    private let section: AgentConfiguration.RulesSection
    private let watch: FileWatch
    private let logger: Logger
    private let ledger: ReloadLedger
    private let inForce: Mutex<LoadedRules>
    /// One reload after the other, so that what was read last is what is in force last.
    private let turn = Mutex(())
    /// Others who judge by them; gives back why the kernel does not.
    private let onChange: @Sendable (RuleSet) -> String?

    init(
        _ section: AgentConfiguration.RulesSection, _ rules: LoadedRules, _ watch: FileWatch, house: EngineHouse, logger: Logger,
        onChange: @escaping @Sendable (RuleSet) -> String?
    ) {
        self.onChange = onChange
        self.section = section
        self.watch = watch
        self.logger = logger
        ledger = ReloadLedger("rules", house: house, logger: logger)
        inForce = Mutex(rules)
        kubernetesAudit = JudgePool(rules.ruleSet, source: "k8s_audit")
    }

    /// The rules in force.
    var rules: LoadedRules { inForce.withLock(\.self) }

    /// Reads the files. What is in force stays in force where any of them has an error.
    func reload() -> JSON {
        turn.withLock { _ in
            do throws(Diagnostics) { use(try LoadedRules.load(section)) } catch { ledger.reject(error) }
        }
        return status
    }

    private func use(_ rules: LoadedRules) {
        let isNew = inForce.withLock { inForce in
            guard inForce.digest != rules.digest else { return false }
            inForce = rules
            return true
        }
        ledger.accept()
        guard isNew else { return }
        rules.tellForeign(logger)
        kubernetesAudit.use(rules.ruleSet)
        let problem = onChange(rules.ruleSet)
        ledger.tell(
            ["rules": .text(rules.digest), "count": .integer(Int64(rules.ruleSet.rules.count)), "armed": .integer(Int64(rules.armed))],
            ["rules.count": "\(rules.ruleSet.rules.count)", "rules.armed": "\(rules.armed)", "rules.digest": "\(rules.digest.prefix(12))"],
            problem: problem.map { "\($0), nor what only these rules ask for seen" })
    }

    var reloads: Reloads { ledger.reloads }

    var status: JSON {
        let rules = rules
        var object: JSONObject = [
            "count": .integer(Int64(rules.ruleSet.rules.count)), "armed": .integer(Int64(rules.armed)), "warnings": .integer(Int64(rules.warnings)),
            "matching": .text(rules.ruleSet.matching.rawValue), "sources": .object(rules.sources), "digest": .text(rules.digest), "since": ledger.since,
            "paths": .array(watch.paths.map(JSON.text)),
        ]
        object.append("rejected", ledger.rejected)
        return .object(object)
    }

    /// Looks for changes until cancelled.
    func keepUp() async throws { try await watch.run { _ = reload() } }
}

/// Rules as they were read from their files.
struct LoadedRules: Sendable {
    let ruleSet: RuleSet
    /// SHA-256 of the files' texts: the name of these rules in the journal.
    let digest: String
    let warnings: Int
    let armed: Int
    /// What of their files and folders others than root and the agent's user can change, and why. Said, and not refused: to judge by no rules at all would be worse.
    let foreign: [(path: String, objection: String)]

    /// Whole or not at all; what is thrown are all errors, and no warnings.
    static func load(_ section: AgentConfiguration.RulesSection) throws(Diagnostics) -> LoadedRules {
        let (files, unreadable) = RuleSet.read(paths: section.files)
        let (ruleSet, findings) = RuleSet.load(files, section.settings)
        let problems = (unreadable + findings).filter(\.isError)
        guard let ruleSet, problems.isEmpty else { throw Diagnostics(problems.map(\.diagnostic)) }
        return LoadedRules(
            ruleSet: ruleSet, digest: digest(of: files.map(\.text)), warnings: findings.count, armed: ruleSet.rules.count { $0.isArmed },
            foreign: objections(section.files, files.map(\.name)))
    }

    private static func objections(_ paths: [String], _ files: [String]) -> [(path: String, objection: String)] {
        let subjects = paths.filter { !files.contains($0) }.map { ($0, FileRights.Kind.folder) } + files.map { ($0, FileRights.Kind.file) }
        return subjects.compactMap { path, kind in FileRights(path: path)?.objection(to: kind).map { (path, $0) } }
    }

    func tellForeign(_ logger: Logger) {
        guard let first = foreign.first else { return }
        logger.warning(
            "rules can be changed by others than root and the agent",
            metadata: ["rules.file": "\(first.path.escapedForDisplay)", "rules.problem": "\(first.objection)", "rules.others": "\(foreign.count - 1)"])
    }

    func armed(for source: String) -> Int { ruleSet.rules.count { $0.isArmed && $0.source == source } }

    /// By source, how many rules there are, and how many of them judge.
    fileprivate var sources: JSONObject {
        var object = JSONObject()
        for source in RuleSet.knownSources {
            let count = ruleSet.rules.count { $0.source == source }
            object.append(ByteText(source), ["count": .integer(Int64(count)), "armed": .integer(Int64(armed(for: source)))])
        }
        return object
    }

    private static func digest(of texts: [String]) -> String {
        var hash = SHA256()
        for text in texts {
            hash.update(data: Array("\(text.utf8.count):".utf8))
            hash.update(data: Array(text.utf8))
        }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Judges for the events of one source by the rules in force. A judge remembers what it worked out and serves one thread at a time, so
/// whoever has events borrows one, for as long as a text of them takes; rules that come into force meanwhile judge from the next text on.
final class JudgePool: Sendable {
    private struct Idle: @unchecked Sendable {
        /// Of one borrower or of the pool, never of both: only who takes it out of the pool touches it.
        let judge: RuleSetJudge
    }

    private struct State {
        var ruleSet: RuleSet
        /// All of them for that set.
        var idle: [Idle] = []
    }

    /// As many as are at work at the same time where it matters.
    private static let idleLimit = 16

    private let source: String
    private let state: Mutex<State>

    init(_ ruleSet: RuleSet, source: String) {
        self.source = source
        state = Mutex(State(ruleSet: ruleSet))
    }

    /// From now on.
    func use(_ ruleSet: RuleSet) { state.withLock { $0 = State(ruleSet: ruleSet) } }

    func withJudge<Result, Failure: Error>(_ body: (RuleSetJudge) throws(Failure) -> Result) throws(Failure) -> Result {
        let (ruleSet, idle) = state.withLock { ($0.ruleSet, $0.idle.popLast()) }
        let judge = idle?.judge ?? RuleSetJudge(ruleSet, source: source)
        defer { giveBack(Idle(judge: judge)) }
        return try body(judge)
    }

    private func giveBack(_ idle: Idle) {
        state.withLock { state in
            guard state.ruleSet === idle.judge.ruleSet, state.idle.count < Self.idleLimit else { return }
            state.idle.append(idle)
        }
    }
}
