internal import RiposteCore
internal import RipostePlaybooks

/// Finds the process that a claim means and proves that it is the one; every way in which it is not has a message of its own.
struct ProcessResolver {
    /// How far a start time may be off on the wall clock: a tick of rounding on either side, and a clock that was slewed since. Far below the time in
    /// which a pid can come round.
    static let tolerance = Duration.milliseconds(250)
    /// Without a start time an alert proves little, and less with every second.
    static let ageLimit = Duration.seconds(30)

    private let bootTime = Host.bootTime

    /// The stat that was read while the process was pinned, and its identity.
    struct Found {
        var stat: ProcessStat
        var identity: ProcessIdentity
    }

    func find(_ claim: TargetClaim, at now: Timestamp) throws(ActionError) -> Found {
        switch claim {
        case .process(let claim): return try find(claim, at: now)
        case .proved(.process(let identity)): return try find(identity)
        default: throw ActionError(.unresolved, "find the process", "the request names no process")
        }
    }

    private func find(_ claim: ProcessClaim, at now: Timestamp) throws(ActionError) -> Found {
        let doing = "find process \(claim.pid)"
        guard claim.pid > 0 else { throw ActionError(.unresolved, doing, "a process id is greater than 0") }
        if let seenAt = claim.seenAt, seenAt < bootTime {
            throw ActionError(.identity, doing, "the alert (\(seenAt)) is from before this boot (\(bootTime)); pids have begun anew since")
        }
        let found = try pinProcess(of: claim.pid, doing)
        let startedAt = found.identity.startedAt
        if let claimed = claim.startedAt {
            let deviation = claimed < startedAt ? startedAt - claimed : claimed - startedAt
            guard claimed.nanoseconds >= 0, deviation <= Self.tolerance else {
                throw ActionError(
                    .identity, doing, "it was started at \(startedAt), the one that is meant at \(claimed): the pid was used again")
            }
            // More than rounding: the clock was slewed. Then something else must speak for it too, where the alert says anything.
            if deviation > Host.tick * 2 { try checkFace(of: found, claim, doing, isOnlyProof: false) }
        } else if let seenAt = claim.seenAt {
            guard now - seenAt <= Self.ageLimit else {
                throw ActionError(
                    .identity, doing, "the alert has no start time (proc.pid.ts) and is \((now - seenAt).roundedText) old: too long to go by name",
                    remedy: "let Falco add proc.pid.ts, see config/falco.d/riposte.yaml")
            }
            guard startedAt <= seenAt + Self.tolerance else {
                throw ActionError(.identity, doing, "it was started at \(startedAt), after the alert's \(seenAt): the pid was used again")
            }
            try checkFace(of: found, claim, doing, isOnlyProof: true)
        }
        return found
    }

    private func find(_ identity: ProcessIdentity) throws(ActionError) -> Found {
        let doing = "find process \(identity.pid)"
        guard identity.bootID == Host.bootID else { throw .gone(doing, "it was of an earlier boot") }
        let found = try pin(identity.pid, doing)
        guard found.stat.startTicks == identity.startTicks else { throw .gone(doing, "it has ended; the pid belongs to another process now") }
        return found
    }

    /// An alert may name a thread, which pidfd_open(2) takes for none: its process is what can be pinned.
    private func pinProcess(of tid: Int32, _ doing: String) throws(ActionError) -> Found {
        do throws(ActionError) { return try pin(tid, doing) } catch {
            guard error.failure == .invalid, let pid = ProcFS.threadGroup(of: tid), pid != tid else { throw error }
            return try pin(pid, doing)
        }
    }

    private func pin(_ pid: Int32, _ doing: String) throws(ActionError) -> Found {
        let handle = try ProcessHandle(pid: pid)
        guard let stat = ProcFS.stat(pid) else { throw .gone(doing, "no such process") }
        guard !handle.hasEnded else { throw .gone(doing, "it has ended and waits for its parent") }
        // What was read belongs to what is pinned as long as that one is alive.
        try handle.checkPermission()
        let identity = ProcessIdentity(
            pid: pid, startTicks: stat.startTicks, bootID: Host.bootID, startedAt: Host.time(ofTicks: stat.startTicks, bootTime: bootTime),
            name: stat.name)
        return Found(stat: stat, identity: identity)
    }

    /// Name, executable or command line must be what the alert says.
    private func checkFace(of found: Found, _ claim: ProcessClaim, _ doing: String, isOnlyProof: Bool) throws(ActionError) {
        let pid = found.identity.pid
        let claims: [(what: String, claimed: ByteText?, isTrue: (ByteText) -> Bool)] = [
            ("name", claim.name.map(Self.shortName), { $0 == Self.shortName(found.stat.name) }),
            ("executable", claim.executable, { Self.isProgram($0, of: pid) }),
            ("command line", claim.commandLine, { $0 == Self.falcoCommandLine(of: found.stat.name, ProcFS.commandLine(pid)) }),
        ]
        let made = claims.filter { $0.claimed.map { !$0.isEmpty } ?? false }
        guard !made.isEmpty || !isOnlyProof else {
            throw ActionError(.unresolved, doing, "the alert has neither proc.pid.ts nor a name, executable or command line to know it by")
        }
        guard made.isEmpty || made.contains(where: { $0.claimed.map($0.isTrue) ?? false }) else {
            let claimed = made.map { "\($0.what) \"\($0.claimed?.shown ?? "")\"" }.joined(separator: ", ")
            throw ActionError(.identity, doing, "it is \"\(found.stat.name.shown)\" and has nothing of what the alert says: \(claimed)")
        }
    }

    /// With the kernel's mark or without it, where another file has come in the program's place since.
    private static func isProgram(_ path: ByteText, of pid: Int32) -> Bool {
        guard let program = ProcFS.program(pid) else { return false }
        return path == program.path || program.isDeleted && path.bytes == program.path.bytes + Array(" (deleted)".utf8)
    }

    /// comm: 15 bytes at most.
    private static func shortName(_ name: ByteText) -> ByteText { ByteText(Array(name.bytes.prefix(15))) }

    /// Falco's `proc.cmdline` begins with comm and not with the first argument.
    private static func falcoCommandLine(of name: ByteText, _ arguments: ByteText?) -> ByteText? {
        arguments.map { line in
            let rest = line.bytes.firstIndex(of: UInt8(ascii: " ")).map { line.bytes[$0...] } ?? []
            return ByteText(name.bytes + rest)
        }
    }
}

extension Duration {
    var roundedText: String { Duration.seconds(components.seconds).text }
}
