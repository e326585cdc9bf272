package import RiposteCore
package import RipostePlaybooks

/// `process.suspend`: stops a process where it stands, to be looked at or taken back.
package struct ProcessSuspend: Action {
    package let description = ActionDescription(
        name: "process.suspend", summary: "Stops a process (SIGSTOP) without ending it.", target: .process, impact: .reversible,
        parameters: [Parameter("tree", .bool, default: .bool(false), summary: "The process with all its descendants.")],
        inverse: "process.resume", needs: ["CAP_KILL", "the host's pid namespace"],
        fields: ["proc.pid", "proc.pid.ts", "proc.name", "proc.exepath", "proc.cmdline"], isPrompt: true)

    package init() {}

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let found = try ProcessResolver().find(request.claim, at: request.time)
        var facts = ProcessEvidence.facts(of: found.stat)
        let isTree = request.parameters.bool("tree")
        let members = isTree ? ProcessTree.members(below: found.stat) : [ProcessTree.Member(found.stat)]
        if isTree { facts.append("members", .array(members.map(\.json))) }
        let name = "process \(found.identity.pid) (\(found.identity.name.shown))"
        return Plan(
            action: description.name, target: .process(found.identity), parameters: request.parameters, facts: facts,
            alreadySo: members.allSatisfy(\.wasStopped) ? "it is stopped already" : nil,
            summary: "stop \(members.count > 1 ? "\(name) and \(members.count - 1) below it" : name)", inverse: description.inverse)
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await perform(plan, guards: ProcessGuards.call) }

    package func perform(_ plan: Plan, guards: GuardCall) async throws(ActionError) -> Performance {
        guard case .process(let identity) = plan.target else { throw ActionError(.invalid, "suspend", "the plan is about no process") }
        let handle = try pinned(identity)
        guard let root = ProcFS.stat(identity.pid) else { throw .gone("stop process \(identity.pid)", "no such process") }
        let members: [ProcessTree.Member]
        if plan.parameters.bool("tree") {
            members = try await ProcessTree.stop(root, plan, guards)
        } else {
            if root.isUnderStop { return Performance(.already, message: "it is stopped already") }
            // As it was found: from here on STOP is pending.
            members = [ProcessTree.Member(root)]
            try handle.send(.stop)
        }
        // Those who were stopped before are not ours to wake.
        let ours = members.filter { !$0.wasStopped }
        guard !ours.isEmpty else { return Performance(.already, message: "it is stopped already") }
        return Performance(
            .done, message: ours.count > 1 ? "\(ours.count) processes are stopped" : "it is stopped", isConfirmed: await areStopped(ours),
            undoToken: ["members": .array(ours.map(\.json))])
    }

    /// Those whom the plan found running.
    package func presumedToken(of plan: Plan) -> JSONObject? { Self.members(of: plan).map { ["members": .array($0.filter { !$0.wasStopped }.map(\.json))] } }

    /// Of those whom the plan found running, who stands still; and who stands still and came below them after the plan, as nobody is born so.
    package func remains(of plan: Plan, seen: Plan?) -> JSONObject? {
        guard case .process(let identity) = plan.target, identity.bootID == Host.bootID, let planned = Self.members(of: plan) else { return nil }
        let known = Dictionary(planned.map { ($0.pid, $0.startTicks) }, uniquingKeysWith: { $1 })
        let later = (seen.flatMap(Self.members) ?? []).filter { known[$0.pid] != $0.startTicks }
        let stopped = (planned.filter { !$0.wasStopped } + later).filter { member in
            ProcFS.stat(member.pid).map { $0.startTicks == member.startTicks && $0.isUnderStop } ?? false
        }
        return stopped.isEmpty ? nil : ["members": .array(stopped.map(\.running.json))]
    }

    private static func members(of plan: Plan) -> [ProcessTree.Member]? {
        guard case .process(let identity) = plan.target else { return nil }
        return plan.facts["members"]?.array?.compactMap(ProcessTree.Member.init(json:)) ?? [ProcessTree.Member(identity)]
    }

    package func standing(of deed: StandingDeed) async throws(ActionError) -> Standing {
        guard let members = deed.token?["members"]?.array?.compactMap(ProcessTree.Member.init(json:)) else { return try await standingByPlan(of: deed) }
        guard case .process(let identity) = deed.target, identity.bootID == Host.bootID else { return .gone("the machine was started anew since") }
        let left = members.compactMap { member in
            ProcFS.stat(member.pid).flatMap { $0.startTicks == member.startTicks && !$0.isZombie ? $0 : nil }
        }
        if left.isEmpty { return .gone("\(members.count > 1 ? "all \(members.count) processes have" : "process \(identity.pid) has") ended") }
        // Who waits in the kernel runs no code of his own; nor does it show whether he was stopped before his control group was frozen.
        let running = left.filter { !$0.isUninterruptible && !$0.isTraced && !$0.isUnderStop }
        if let first = running.first {
            return .missing("\(running.count) of \(left.count) processes run again, process \(first.pid) (\(first.name.shown)) for one: somebody sent them SIGCONT")
        }
        if let traced = left.first(where: \.isTraced) { return .changed("process \(traced.pid) is held by \(Self.tracer(of: traced.pid))") }
        return .stands
    }

    /// In words.
    static func tracer(of pid: Int32) -> String {
        guard let tracer = ProcFS.tracer(of: pid) else { return "a debugger" }
        return "process \(tracer) (\(ProcFS.stat(tracer)?.name.shown ?? "?")), which traces it"
    }

    /// The state follows the signal as soon as the process leaves the kernel.
    private func areStopped(_ members: [ProcessTree.Member]) async -> Bool {
        for _ in 0..<50 {
            if members.allSatisfy({ ProcFS.stat($0.pid).map { $0.isStopped || $0.isZombie } ?? true }) { return true }
            guard !Task.isCancelled else { break }
            try? await Task.sleep(for: .milliseconds(2))
        }
        return false
    }
}

/// `process.resume`: lets a stopped process go on.
package struct ProcessResume: Action {
    package let description = ActionDescription(
        name: "process.resume", summary: "Lets a stopped process go on (SIGCONT).", target: .process, impact: .reversible,
        parameters: [Parameter("tree", .bool, default: .bool(false), summary: "The process with all its descendants.")],
        needs: ["CAP_KILL", "the host's pid namespace"], fields: ["proc.pid", "proc.pid.ts", "proc.name", "proc.exepath", "proc.cmdline"], isPrompt: true)

    package init() {}

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let (identity, members) = try Self.subjects(of: request)
        let present = members.compactMap { member in ProcFS.stat(member.pid).flatMap { $0.startTicks == member.startTicks && !$0.isZombie ? $0 : nil } }
        // A process that a debugger holds would be let go under the hands of whoever looks at it.
        if request.token != nil, !request.isForced, let traced = present.first(where: \.isTraced) {
            throw ActionError(
                .drifted, "let process \(traced.pid) go on", "it is not stopped by us any more, but held by \(ProcessSuspend.tracer(of: traced.pid))",
                remedy: "end the trace, or use --force")
        }
        guard !present.isEmpty else { throw .gone("let processes go on", "none of them is left") }
        let stopped = present.filter { $0.isTraced || $0.isUnderStop }
        // Who was stopped, and frozen after that, is only seen to wait in the kernel: he is told to go on in any case, or he stands still when he is thawed.
        let isAlreadySo = stopped.isEmpty && (request.token == nil || !present.contains(where: \.isUninterruptible))
        let (pid, name) = stopped.first.map { ($0.pid, $0.name) } ?? (identity.pid, identity.name)
        return Plan(
            action: description.name, target: .process(identity), parameters: request.parameters,
            facts: ["members": .array(members.map(\.json))],
            alreadySo: isAlreadySo ? request.token == nil ? "it is not stopped" : "it is not stopped any more: somebody else let it go on" : nil,
            summary: "let \(stopped.count > 1 ? "\(stopped.count) processes" : "process \(pid) (\(name.shown))") go on")
    }

    /// Taking back wakes only those whom the suspension stopped, also where the one that it began with has ended since.
    private static func subjects(of request: ActionRequest) throws(ActionError) -> (ProcessIdentity, [ProcessTree.Member]) {
        let left = request.token?["members"]?.array?.compactMap(ProcessTree.Member.init(json:))
        if let left, case .proved(.process(let identity)) = request.claim {
            guard identity.bootID == Host.bootID else { throw .gone("let process \(identity.pid) go on", "it was of an earlier boot") }
            // Reads only: whether they could be signalled.
            for member in left {
                guard let handle = try member.handle() else { continue }
                do throws(ActionError) { try handle.checkPermission() } catch { if error.failure != nil { throw error } }
            }
            return (identity, left)
        }
        let found = try ProcessResolver().find(request.claim, at: request.time)
        if let left { return (found.identity, left) }
        return (found.identity, request.parameters.bool("tree") ? ProcessTree.members(below: found.stat) : [ProcessTree.Member(found.stat)])
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        var woken = 0
        for member in plan.facts["members"]?.array?.compactMap(ProcessTree.Member.init(json:)) ?? [] {
            guard let handle = try member.handle() else { continue }
            try handle.sendUnlessGone(.continue)
            woken += 1
        }
        guard woken > 0 else { throw .gone("let processes go on", "none of them is left") }
        return Performance(.done, message: woken > 1 ? "\(woken) processes go on" : "it goes on")
    }
}
