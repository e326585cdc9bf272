internal import RiposteCore
package import RipostePlaybooks

/// `process.kill`: ends a process, with all its children where that is asked.
package struct ProcessKill: Action {
    package let description = ActionDescription(
        name: "process.kill", summary: "Sends a signal to a process, KILL unless another is named, and sees it end.", target: .process, impact: .destroys,
        parameters: [
            Parameter("signal", .signal, default: .signal(.kill), summary: "The signal to send."),
            Parameter("tree", .bool, default: .bool(false), summary: "The process with all its descendants: stopped first, so that none forks away."),
            Parameter(
                "grace", .duration(max: .seconds(60)),
                summary: "Send the signal (TERM, unless one is named) and KILL what is left after this time. It gives an attacker that time."),
        ],
        needs: ["CAP_KILL", "the host's pid namespace"], fields: ["proc.pid", "proc.pid.ts", "proc.name", "proc.exepath", "proc.cmdline"], waits: "grace", isPrompt: true)

    /// How long a KILL may take until it is called unseen.
    private let confirmation: Duration

    package init(confirmation: Duration = .milliseconds(200)) { self.confirmation = confirmation }

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let found = try ProcessResolver().find(request.claim, at: request.time)
        var facts = ProcessEvidence.facts(of: found.stat)
        let isTree = request.parameters.bool("tree")
        let members = isTree ? ProcessTree.members(below: found.stat) : []
        if isTree { facts.append("members", .array(members.map(\.json))) }
        return Plan(
            action: description.name, target: .process(found.identity), parameters: request.parameters, facts: facts,
            summary: Self.summary(request.parameters, members.count, found.identity), remarks: ProcessEvidence.remarks(facts))
    }

    /// Nobody sees whether a process got a signal that does not end it, and a second HUP is a second deed. With a grace it is to end in any case.
    package func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace {
        let signal = Self.signal(deed.parameters)
        guard signal != .kill, deed.parameters.duration("grace") == nil else { return .absent }
        return .untold("it lives, and does not show whether \(signal.name) was delivered")
    }

    private static func summary(_ parameters: Parameters, _ count: Int, _ identity: ProcessIdentity) -> String {
        let name = "process \(identity.pid) (\(identity.name.shown))"
        let whom = count > 1 ? "\(name) and \(count - 1) below it" : name
        guard let grace = parameters.duration("grace") else { return "send \(signal(parameters).name) to \(whom)" }
        return "send \(signal(parameters).name) to \(whom), and KILL after \(grace.text)"
    }

    /// With a grace the default KILL would leave none.
    private static func signal(_ parameters: Parameters) -> Signal {
        let signal = parameters.signal("signal") ?? .kill
        return parameters.duration("grace") != nil && signal == .kill ? .terminate : signal
    }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance { try await perform(plan, guards: ProcessGuards.call) }

    package func perform(_ plan: Plan, guards: GuardCall) async throws(ActionError) -> Performance {
        guard case .process(let identity) = plan.target else { throw ActionError(.invalid, "kill", "the plan is about no process") }
        let handle = try pinned(identity)
        guard plan.parameters.bool("tree") else { return try await kill(handle, plan.parameters, identity) }
        guard let root = ProcFS.stat(identity.pid) else { throw .gone("end the tree of process \(identity.pid)", "no such process") }
        return try await killTree(root, plan, guards)
    }

    private func kill(_ handle: borrowing ProcessHandle, _ parameters: Parameters, _ identity: ProcessIdentity) async throws(ActionError) -> Performance {
        let signal = Self.signal(parameters)
        try handle.send(signal)
        if let grace = parameters.duration("grace") {
            if await handle.hasEnded(within: grace) { return Performance(.done, message: "it ended on \(signal.name)") }
            try Self.mindCancellation(signal)
            try handle.sendUnlessGone(.kill)
        } else if signal != .kill {
            return Performance(.done, message: "\(signal.name) was delivered", evidence: ["signal": .text(signal.name)])
        }
        guard await handle.hasEnded(within: confirmation) else { throw stillThere(identity) }
        return Performance(.done, message: "it has ended", evidence: ["signal": "KILL"])
    }

    /// Hold all, then end all, parents last: none can fork, and no parent can start a child again.
    private func killTree(_ root: ProcessStat, _ plan: Plan, _ guards: GuardCall) async throws(ActionError) -> Performance {
        var tree = ProcessTree(root, of: plan, limit: ProcessTree.endLimit)
        do throws(ActionError) { return try await end(&tree, plan.parameters, guards, "end the tree of process \(root.pid)") } catch {
            if tree.killed.isEmpty { tree.release() }
            guard error.failure == .guarded else { throw error }
            throw Self.brokenOff(tree, error, Self.signal(plan.parameters))
        }
    }

    /// A guard is against ending one who was not there when the plan was made.
    private static func brokenOff(_ tree: ProcessTree, _ refusal: ActionError, _ signal: Signal) -> ActionError {
        let killed = tree.members.filter(tree.killed.contains)
        if !killed.isEmpty {
            return ActionError(
                .partial, refusal.doing, "\(refusal.answer); it came to the tree when \(killed.count) of \(tree.members.count) processes had been ended",
                evidence: evidence(.kill, killed))
        }
        let words = tree.isSignalled ? "\(signal.name) was delivered, and no KILL follows" : "nobody was ended"
        return ActionError(.guarded, refusal.doing, "\(refusal.answer); it has come to the tree since it was planned: \(words)")
    }

    private func end(_ tree: inout ProcessTree, _ parameters: Parameters, _ guards: GuardCall, _ doing: String) async throws(ActionError) -> Performance {
        let signal = Self.signal(parameters)
        if signal != .kill {
            let isHeld = try await tree.hold()
            try await tree.ask(guards)
            let grace = parameters.duration("grace")
            try tree.send(signal, wakesAll: grace != nil)
            guard let grace else { return try Self.delivered(signal, to: tree.members, isHeld, doing) }
            try await tree.waitForEnd(within: grace)
            try Self.mindCancellation(signal)
        }
        try await tree.end(guards)
        let evidence = Self.evidence(signal, tree.members)
        let left = await ended(tree.members, within: confirmation)
        guard left.isEmpty else {
            let pids = left.prefix(16).map { String($0.pid) }.joined(separator: ", ") + (left.count > 16 ? " …" : "")
            throw ActionError(.partial, doing, "\(left.count) of \(tree.members.count) processes are still there: \(pids)", evidence: evidence)
        }
        return Performance(.done, message: "\(tree.members.count) processes have ended", evidence: evidence)
    }

    private static func delivered(_ signal: Signal, to members: [ProcessTree.Member], _ isHeld: Bool, _ doing: String) throws(ActionError) -> Performance {
        let evidence = evidence(signal, members)
        let message = "\(signal.name) was delivered to \(members.count) processes"
        guard isHeld else { throw ActionError(.partial, doing, "\(message), and there may be more: it grows faster than it can be stopped", evidence: evidence) }
        return Performance(.done, message: message, evidence: evidence)
    }

    private static func evidence(_ signal: Signal, _ members: [ProcessTree.Member]) -> JSONObject {
        ["killed": .array(members.prefix(ProcessTree.memberLimit).map(\.json)), "signal": .text(signal.name)]
    }

    /// Called off within the grace: then no KILL follows.
    private static func mindCancellation(_ signal: Signal) throws(ActionError) {
        guard Task.isCancelled else { return }
        throw ActionError(.cancelled, "wait for the end", "called off; \(signal.name) was delivered, and no KILL follows")
    }

    /// Those that are still there when the time is up.
    private func ended(_ members: [ProcessTree.Member], within time: Duration) async -> [ProcessTree.Member] {
        let deadline = ContinuousClock.now + time
        var left: [ProcessTree.Member] = []
        for member in members {
            guard let handle = try? member.handle() else { continue }
            if await !handle.hasEnded(within: max(.zero, ContinuousClock.now.duration(to: deadline))) { left.append(member) }
        }
        return left
    }

    private func stillThere(_ identity: ProcessIdentity) -> ActionError {
        let state = ProcFS.stat(identity.pid).map { String(UnicodeScalar($0.state)) } ?? "?"
        let why = state == "D" ? "it is in uninterruptible sleep (state D) and will end when the kernel lets it go" : "it is still there (state \(state))"
        return ActionError(.timeout, "end process \(identity.pid)", "KILL was delivered, but \(why)", evidence: ["state": .text(state)])
    }
}

/// The process that a plan means, pinned and looked at once more; never one that must not be touched, whatever the plan says.
func pinned(_ identity: ProcessIdentity) throws(ActionError) -> ProcessHandle {
    let doing = "pin process \(identity.pid)"
    guard identity.pid > 1, identity.pid != ProcessGuards.ownPID else {
        throw ActionError(.guarded, doing, "process \(identity.pid) is never touched")
    }
    let handle = try ProcessHandle(pid: identity.pid)
    guard identity.bootID == Host.bootID, let stat = ProcFS.stat(identity.pid), stat.startTicks == identity.startTicks, !handle.hasEnded else {
        throw .gone(doing, "it has ended")
    }
    return handle
}

extension ProcessHandle {
    borrowing func sendUnlessGone(_ signal: Signal) throws(ActionError) {
        do throws(ActionError) { try send(signal) } catch { if error.failure != nil { throw error } }
    }
}
