internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// A process with all that came from it, pinned member by member.
///
/// A tree defends itself: it forks while it is looked at, its members wake each other, and a parent that ends hands its children to init, where nobody finds them
/// by their parent. So it is first held, which is looked at until nobody moves; then ended from the leaves up, each member after one more look at its children;
/// and then searched for who was left behind: in a session whose leader is a member, everybody came from that leader.
///
/// Whoever is found that the plan does not name is put to the guards while all are held.
struct ProcessTree {
    static let memberLimit = 4096
    /// To end it, more than one report names is followed.
    static let endLimit = 65_536
    private static let passLimit = 64
    private static let roundLimit = 16

    /// A member by what proves it.
    struct Member: Hashable {
        var pid: Int32
        var startTicks: UInt64
        var wasStopped: Bool

        var json: JSON {
            var object: JSONObject = ["pid": .integer(Int64(pid)), "start_ticks": .integer(Int64(clamping: startTicks))]
            if wasStopped { object.append("was_stopped", true) }
            return .object(object)
        }

        init(_ stat: ProcessStat) {
            pid = stat.pid
            startTicks = stat.startTicks
            wasStopped = stat.isUnderStop
        }

        init(_ identity: ProcessIdentity) { (pid, startTicks, wasStopped) = (identity.pid, identity.startTicks, false) }

        init?(json: JSON) {
            guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)), let ticks = json["start_ticks"]?.integer.flatMap(UInt64.init(exactly:))
            else { return nil }
            self.pid = pid
            startTicks = ticks
            wasStopped = json["was_stopped"]?.bool ?? false
        }

        /// As before it was stopped.
        var running: Self {
            var member = self
            member.wasStopped = false
            return member
        }

        /// One process is one member, stopped or not when it was found.
        static func == (left: Member, right: Member) -> Bool { left.pid == right.pid && left.startTicks == right.startTicks }

        func hash(into hasher: inout Hasher) {
            hasher.combine(pid)
            hasher.combine(startTicks)
        }

        /// What the kernel says of it now; nil where it has ended.
        var stat: ProcessStat? { ProcFS.stat(pid).flatMap { $0.startTicks == startTicks && !$0.isZombie ? $0 : nil } }

        /// The member pinned; nil where it has ended.
        func handle() throws(ActionError) -> ProcessHandle? {
            do throws(ActionError) {
                let handle = try ProcessHandle(pid: pid)
                guard let stat = ProcFS.stat(pid), stat.startTicks == startTicks, !handle.hasEnded else { return nil }
                return handle
            } catch {
                guard error.failure != nil else { return nil }
                throw error
            }
        }
    }

    /// Everybody who was ever seen in it, parents before their children.
    private(set) var members: [Member] = []
    /// Those who were sent STOP by the last ``hold()``, and those who had ended by then.
    private var held: [Member] = []
    private var known: Set<Member> = []
    /// Those whose leader is a member. Their numbers are given to nobody else while somebody is in them.
    private var sessions: Set<Int32> = []
    private(set) var killed: Set<Member> = []
    /// They were sent a signal that they may handle.
    private(set) var isSignalled = false
    private let limit: Int
    private let begin = Host.ticksSinceBoot
    /// What was planned, and who is named there: the guards have been asked about those.
    private var plan: (plan: Plan, members: Set<Member>)?
    /// About so many of `members` they have been asked.
    private var askedCount = 0

    init(_ root: ProcessStat, limit: Int = Self.memberLimit) {
        self.limit = limit
        add(root)
    }

    /// Without a plan nobody is asked about anybody.
    init(_ root: ProcessStat, of plan: Plan, limit: Int = Self.memberLimit) {
        self.init(root, limit: limit)
        self.plan = (plan, Set((plan.facts["members"]?.array?.compactMap(Member.init(json:)) ?? []) + [Member(root)]))
    }

    private var isFull: Bool { members.count >= limit }

    // MARK: - Looking

    /// Those below `root`, parents first, without touching them.
    static func members(below root: ProcessStat) -> [Member] {
        var tree = ProcessTree(root)
        tree.look()
        return tree.members
    }

    /// Looks at everybody once more and adds who has come. Those who are there, parents first.
    @discardableResult
    private mutating func look() -> [(member: Member, stat: ProcessStat)] {
        var present: [(member: Member, stat: ProcessStat)] = []
        var index = 0
        while index < members.count {
            if let stat = members[index].stat {
                present.append((members[index], stat))
                noteSession(of: stat)
                for child in Self.children(of: stat) { add(child) }
            }
            index += 1
        }
        return present
    }

    private static func children(of parent: ProcessStat) -> [ProcessStat] {
        ProcFS.children(of: parent.pid).compactMap { pid in ProcFS.stat(pid).flatMap { !$0.isZombie && $0.parent == parent.pid ? $0 : nil } }
    }

    private mutating func add(_ stat: ProcessStat) {
        let member = Member(stat)
        guard !isFull, known.insert(member).inserted else { return }
        members.append(member)
        noteSession(of: stat)
    }

    private mutating func noteSession(of stat: ProcessStat) { if stat.session == stat.pid { sessions.insert(stat.session) } }

    /// Those who were begun since we are at it, and have lost their parent. In our own session that could be anybody.
    private mutating func addStrays() {
        let sessions = sessions.subtracting([getsid(0)])
        guard !sessions.isEmpty else { return }
        for pid in ProcFS.numbers(in: "/proc") where pid > 1 && pid != ProcessGuards.ownPID {
            if let stat = ProcFS.stat(pid), sessions.contains(stat.session), stat.startTicks >= begin, !stat.isZombie { add(stat) }
        }
    }

    // MARK: - Touching

    /// Stops a tree so that it cannot fork away. Gives those who were found; throws where they do not stand still.
    static func stop(_ root: ProcessStat, _ plan: Plan, _ guards: GuardCall) async throws(ActionError) -> [Member] {
        var tree = ProcessTree(root, of: plan)
        do throws(ActionError) {
            let isHeld = try await tree.hold()
            try await tree.ask(guards)
            if isHeld { return tree.members }
        } catch {
            if error.failure == .guarded {
                tree.release()
                throw ActionError(.guarded, error.doing, "\(error.answer); it has come to the tree since it was planned, and those who were stopped go on")
            }
            // What may pass is tried again, and then those are seen who stand still.
            throw tree.held.isEmpty || error.failure?.mayPass ?? false ? error : tree.partial(root, error.message)
        }
        throw tree.partial(root, "it grows faster than it can be stopped, or somebody lets it go on again and again")
    }

    private func partial(_ root: ProcessStat, _ why: String) -> ActionError {
        ActionError(
            .partial, "stop the tree of process \(root.pid)", "\(why); \(held.count) processes were stopped",
            evidence: [
                "stopped": .array(held.prefix(256).map(\.json)),
                // What was stopped must not stay so for ever.
                "undo_token": ["members": .array(held.filter { !$0.wasStopped }.map(\.json))],
            ])
    }

    /// Stops whoever is there and moves, until a look finds nobody new and nobody who does. False where that did not come to be.
    mutating func hold() async throws(ActionError) -> Bool {
        var told: Set<Member> = []
        held = []
        var isOnlyWaiting = false
        for pass in 0..<Self.passLimit {
            let moving = look().filter { !told.contains($0.member) || !$0.stat.standsStill }
            if moving.isEmpty { return !isFull }
            for (member, _) in moving {
                // Also those who were told before: a member may have woken them.
                if let handle = try member.handle() { try handle.sendUnlessGone(.stop) }
                if told.insert(member).inserted { held.append(member) }
            }
            // Who sleeps in the kernel, as a parent does whose child of vfork(2) we have stopped, or is frozen there, meets the signal on its way out.
            isOnlyWaiting = moving.allSatisfy { $0.stat.isUninterruptible || $0.stat.isUnderStop }
            // The state follows the signal as soon as there is a processor to take it.
            if pass < 4 { sched_yield() } else { try? await Task.sleep(for: .milliseconds(1)) }
        }
        return isOnlyWaiting && !isFull
    }

    /// Asks the guards about those who have come since the plan was made, once. Throws where one of them must not be touched.
    mutating func ask(_ guards: GuardCall) async throws(ActionError) {
        guard let (plan, planned) = plan else { return }
        let new = members[askedCount...].filter { !planned.contains($0) }
        askedCount = members.count
        guard !new.isEmpty else { return }
        var wider = plan
        wider.facts = ["members": .array(new.map(\.json))]
        try await guards(wider)
    }

    /// Leaves those who are there as they were found, stopped or not.
    func release() {
        for member in members where !killed.contains(member) {
            guard let handle = try? member.handle() else { continue }
            try? handle.send(member.wasStopped ? .stop : .continue)
        }
    }

    /// Sends each a signal and lets it go on, for a stopped process handles none but KILL. Those whom somebody else had stopped go on only if `wakesAll`.
    mutating func send(_ signal: Signal, wakesAll: Bool) throws(ActionError) {
        isSignalled = true
        for member in members.reversed() {
            guard let handle = try member.handle() else { continue }
            try handle.sendUnlessGone(signal)
            if wakesAll || !member.wasStopped { try handle.sendUnlessGone(.continue) }
        }
    }

    /// Waits for its end, and sees who comes meanwhile.
    mutating func waitForEnd(within time: Duration) async throws(ActionError) {
        let deadline = ContinuousClock.now + time
        while !Task.isCancelled {
            let start = ContinuousClock.now
            guard let (member, _) = look().first, ContinuousClock.now < deadline else { return }
            // A large tree is not looked at all the time.
            let pause = max(.milliseconds(10), start.duration(to: .now) * 10)
            if let handle = try member.handle() { _ = await handle.hasEnded(within: min(pause, max(.zero, ContinuousClock.now.duration(to: deadline)))) }
        }
    }

    /// Sends KILL to everybody, until a look finds nobody who has not got it.
    mutating func end(_ guards: GuardCall) async throws(ActionError) {
        for _ in 0..<Self.roundLimit {
            _ = try await hold()
            try await ask(guards)
            try await kill(guards)
            addStrays()
            if look().allSatisfy({ killed.contains($0.member) }) { return }
        }
    }

    /// Children before their parents, and each after one more look at its children: whom a parent leaves behind, nobody finds by it.
    private mutating func kill(_ guards: GuardCall) async throws(ActionError) {
        var waiting = members
        while let member = waiting.last {
            guard !killed.contains(member), let handle = try member.handle() else {
                waiting.removeLast()
                continue
            }
            try await still(member, handle)
            let before = members.count
            if let stat = member.stat { for child in Self.children(of: stat) { add(child) } }
            let new = members[before...]
            for member in new { if let handle = try member.handle() { try handle.sendUnlessGone(.stop) } }
            waiting += new
            guard new.isEmpty else {
                try await ask(guards)
                continue
            }
            try handle.sendUnlessGone(.kill)
            killed.insert(member)
        }
    }

    /// Somebody may have let it go on since; then it is stopped once more, and given some time to stand.
    private func still(_ member: Member, _ handle: borrowing ProcessHandle) async throws(ActionError) {
        for pass in 0..<8 {
            guard let stat = member.stat, !stat.standsStill else { return }
            try handle.sendUnlessGone(.stop)
            if pass < 4 { sched_yield() } else { try? await Task.sleep(for: .milliseconds(1)) }
        }
    }
}
