internal import CRiposte
internal import RiposteCore
internal import RiposteRules

/// What the rules need of the kernel, in its tables: which calls, and what an event must be like.
///
/// There are two sets of tables. One is in force; the other is built beside it and put in force by one store, so that there is no moment without. What was in
/// force before stays until the next change: a program that had begun with it may still be at work.
struct KernelTables {
    private let programs: KernelPrograms
    private let pushesDown: Bool
    /// Keys in the hash and the trie, by set.
    private var names: [[riposte_name_key]] = [[], []]
    private var prefixes: [[riposte_prefix_key]] = [[], []]
    private var wanted: Set<EventType> = []
    private var refusals = Refusals()

    init(_ programs: KernelPrograms, pushesDown: Bool) { (self.programs, self.pushesDown) = (programs, pushesDown) }

    func wants(_ type: EventType) -> Bool { wanted.contains(type) }

    /// Puts what these filters say in force. Where the kernel does not take it, what was in force stays.
    ///
    /// `slots`: where the reflexes that the filters speak of have their place, in the order in which the filters were asked for them.
    ///
    /// `spared`: names of programs that no reflex ends.
    ///
    /// Gives the places of reflexes for which the kernel's filters have no room, with the reason. Where there are such, nothing is in force yet: ask again
    /// without them.
    mutating func load(
        _ filters: KernelFilters, _ reflexes: [(slot: Int, reflex: ArmedReflex, budget: Int)], sparing spared: [String]
    ) throws(SensorError) -> [Int: String] {
        let next = riposte_control_set_in_force(programs.control) ^ 1
        clear(next)
        let types = Self.types(filters)
        var numbers: [EventType: UInt8] = [:]
        var written: [KernelFilter] = []
        var unfit: [Int: String] = [:]
        do throws(SensorError) {
            for (slot, reflex, budget) in reflexes { try write(reflex, slot, budget, next) }
            for type in Self.inOrder(types.union(Self.starts), filters) {
                let isStart = Self.starts.contains(type)
                let filter: KernelFilter
                switch filters.passing(type) {
                case .some(let some): filter = some
                // Nobody asks for starts, but those of programs that no reflex ends are to be heard of at once.
                case .nothing where isStart && !reflexes.isEmpty: filter = KernelFilter()
                case .nothing, .everything: continue
                }
                let own = isStart && reflexes.isEmpty ? filter : filter.sparing(spared, isStartOfProgram: isStart)
                for reflex in filter.reflexes.subtracting(own.reflexes) { unfit[reflex] = "the kernel's filter for \(type.name) is full" }
                // Like calls have the same filter, and share it.
                if let place = written.firstIndex(of: own) {
                    numbers[type] = UInt8(place + 1)
                    continue
                }
                // Types beyond the table pass whole.
                guard written.count + 1 < Int(RIPOSTE_FILTERS) else {
                    for reflex in filter.reflexes { unfit[reflex] = "the kernel has no filter left for \(type.name)" }
                    continue
                }
                try write(own, UInt8(written.count + 1), next, reflexes.map { ($0.slot, $0.reflex.acts) })
                written.append(own)
                numbers[type] = UInt8(written.count)
            }
        } catch {
            clear(next)
            throw error
        }
        guard unfit.isEmpty else {
            clear(next)
            return unfit
        }
        writeCalls(types, numbers, written, next)
        wanted = types
        programs.control.pointee.filters_off = pushesDown ? 0 : 1
        programs.control.pointee.exits_judged = types.contains(Self.procexit) ? 1 : 0
        refusals = Refusals(types.compactMap { type in numbers[type].map { (type.name, written[Int($0) - 1]) } }, reflexes.map(\.reflex))
        // So there is no moment at which one in force is not asked.
        programs.refuse(before: refusals.needed)
        riposte_control_switch(programs.control)
        programs.refuse(onlyBefore: refusals.needed)
        programs.requests.want(types)
        return [:]
    }

    /// Types that reflexes are for come first, as others can do without a filter.
    private static func inOrder(_ types: Set<EventType>, _ filters: KernelFilters) -> [EventType] {
        let ordered = types.sorted { $0.rawValue < $1.rawValue }
        let hasReflex = { (type: EventType) in if case .some(let filter) = filters.passing(type) { !filter.reflexes.isEmpty } else { false } }
        return ordered.filter(hasReflex) + ordered.filter { !hasReflex($0) }
    }

    /// Of reflexes in force, the types of calls that they refuse before they are done.
    var refused: [ArmedReflex: [String]] { refusals.calls(at: programs.refusesBefore) }

    /// No reflex acts any more.
    mutating func disarm() {
        refusals = Refusals()
        programs.refuse(onlyBefore: [])
    }

    private static let starts = Set(["execve", "execveat"].compactMap(EventType.init(named:)))
    static let procexit = EventType(named: "procexit") ?? .other

    /// Calls that a busy host makes by the million. Rules that name no type of event do not get them, as with Falco; those that name them do.
    private static let bulk = Set(
        """
        read write readv writev pread64 pwrite64 preadv preadv2 pwritev pwritev2 lseek poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 epoll_ctl \
        futex futex_waitv futex_wait futex_wake nanosleep clock_nanosleep clock_gettime gettimeofday time sched_yield rt_sigprocmask rt_sigaction rt_sigreturn \
        getpid gettid getppid getuid geteuid getgid getegid brk mmap munmap madvise mprotect fstat newfstatat stat lstat statx access faccessat faccessat2 \
        getrandom close sendfile splice tee io_uring_enter restart_syscall set_robust_list rseq getcpu getrusage times sysinfo fcntl ioctl
        """.split(separator: " ").compactMap { EventType(named: String($0)) })

    static func types(_ filters: KernelFilters) -> Set<EventType> {
        switch filters.wanted {
        case .only(let types): Set(types)
        case .allBut(let types): Set(EventType.all.map(EventType.init(rawValue:))).subtracting(types).subtracting(bulk.filter { !filters.isNamed($0) })
        }
    }

    /// Takes away what a set left behind; the tables of numbers are written over.
    private mutating func clear(_ generation: UInt32) {
        for key in names[Int(generation)] { programs.remove(.names, key) }
        for key in prefixes[Int(generation)] { programs.remove(.prefixes, key) }
        (names[Int(generation)], prefixes[Int(generation)]) = ([], [])
    }

    // MARK: - Calls

    private func writeCalls(_ types: Set<EventType>, _ filters: [EventType: UInt8], _ written: [KernelFilter], _ generation: UInt32) {
        for index in 0..<UInt32(RIPOSTE_CALLS) { riposte_control_call(programs.control, generation, index).pointee = riposte_call() }
        for type in types {
            guard let call = SystemCall.named(type) else { continue }
            let filter = filters[type] ?? 0
            let isByPath = filter > 0 && call.kernelCall.kind == UInt8(RIPOSTE_CALL_OPEN.rawValue) && call.takesFlagsInRegisters && written[Int(filter) - 1].isDecidedByPath
            want(call, UInt8(RIPOSTE_WANTED_RULES.rawValue | (isByPath ? RIPOSTE_WANTED_BY_PATH.rawValue : 0)), filter, generation)
        }
        for call in SystemCall.stateKeeping.compactMap(SystemCall.named) { want(call, UInt8(RIPOSTE_WANTED_STATE.rawValue), nil, generation) }
        // The start of a program is always told; the filter of execve holds what its reflexes need.
        for type in Self.starts {
            guard let filter = filters[type], let call = SystemCall.named(type) else { continue }
            for index in SystemCall.tableIndices(for: type) {
                let entry = riposte_control_call(programs.control, generation, UInt32(index))
                if entry.pointee.wanted == 0 { entry.pointee = call.kernelCall }
                entry.pointee.filter = filter
            }
        }
    }

    private func want(_ call: SystemCall, _ why: UInt8, _ filter: UInt8?, _ generation: UInt32) {
        for index in SystemCall.tableIndices(for: call.type) {
            let entry = riposte_control_call(programs.control, generation, UInt32(index))
            if entry.pointee.wanted == 0 { entry.pointee = call.kernelCall }
            entry.pointee.wanted |= why
            if let filter { entry.pointee.filter = filter }
        }
    }

    // MARK: - Filters

    /// Half of what the kernel's maps hold, as there are two sets. A list that has no room stays undecided in the kernel: what it is about is handed up.
    private static let entriesPerSet = 32_768

    private mutating func write(_ filter: KernelFilter, _ number: UInt8, _ generation: UInt32, _ reflexes: [(slot: Int, acts: Bool)]) throws(SensorError) {
        var table = riposte_filter()
        var texts = FilterTexts(generation: UInt8(generation), filter: number)
        var room = (names: Self.entriesPerSet - names[Int(generation)].count, prefixes: Self.entriesPerSet - prefixes[Int(generation)].count)
        for (index, atom) in filter.atoms.enumerated() {
            let bit = UInt64(1) << UInt64(index)
            switch atom {
            case .number(let test):
                var entry = riposte_number_test()
                (entry.source, entry.operation, entry.atom) = (test.source.rawValue, test.operation.rawValue, UInt8(index))
                (entry.mask, entry.number) = (test.mask, test.number)
                withUnsafeMutablePointer(to: &table) { riposte_filter_number($0, UInt32($0.pointee.number_count)).pointee = entry }
                table.number_count += 1
            case .name(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.name_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_NAME, bit)
            case .parentName(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.parent_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_PARENT, bit)
            case .fileName(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.file_name_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_FILE_NAME, bit)
            case .exeName(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.exe_name_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_EXE_NAME, bit)
            case .path(let paths):
                guard Self.take(paths.count, of: &room.prefixes) else { continue }
                table.path_atoms |= bit
                texts.add(paths, RIPOSTE_SUBJECT_PATH, bit)
            case .secondFileName(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.second_file_name_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_SECOND_FILE_NAME, bit)
            case .secondPath(let paths):
                guard Self.take(paths.count, of: &room.prefixes) else { continue }
                table.second_path_atoms |= bit
                texts.add(paths, RIPOSTE_SUBJECT_SECOND_PATH, bit)
            case .exe(let paths):
                guard Self.take(paths.count, of: &room.prefixes) else { continue }
                table.exe_atoms |= bit
                texts.add(paths, RIPOSTE_SUBJECT_EXE, bit)
            case .sparedProgram(let names):
                guard Self.take(names.count, of: &room.names) else { continue }
                table.spared_atoms |= bit
                texts.add(names, RIPOSTE_SUBJECT_SPARED, bit)
            case .argument(let parts):
                guard Self.take(parts.count, of: &room.names) else { continue }
                table.argument_atoms |= bit
                texts.add(piecesOf: parts, .arguments, bit)
            case .environment(let parts):
                guard Self.take(parts.count * TextPieces.environment.stride, of: &room.names) else { continue }
                table.environment_atoms |= bit
                texts.add(piecesOf: parts, .environment, bit)
            case .network(let networks):
                guard Self.take(networks.count, of: &room.prefixes) else { continue }
                table.network_atoms |= bit
                texts.add(networks, bit)
            }
        }
        for clause in filter.clauses {
            var entry = riposte_clause()
            (entry.positive, entry.negative) = (clause.positive, clause.negative)
            if let reflex = clause.reflex.map({ reflexes[$0] }) {
                entry.reflex = UInt32(reflex.slot + 1)
                entry.before = reflex.acts ? filter.before(allOf: clause.reflex).rawValue : 0
                table.before |= entry.before
            }
            withUnsafeMutablePointer(to: &table) { riposte_filter_clause($0, UInt32($0.pointee.clause_count)).pointee = entry }
            table.clause_count += 1
        }
        for (key, atoms) in texts.nameEntries() {
            try programs.set(.names, key, atoms)
            names[Int(generation)].append(key)
        }
        for (key, atoms) in texts.prefixEntries() {
            try programs.set(.prefixes, key, atoms)
            prefixes[Int(generation)].append(key)
        }
        try programs.set(.pieces, generation * UInt32(RIPOSTE_FILTERS) + UInt32(number), texts.pieces)
        try programs.set(.filters, generation * UInt32(RIPOSTE_FILTERS) + UInt32(number), table)
    }

    private static func take(_ count: Int, of room: inout Int) -> Bool {
        guard count <= room else { return false }
        room -= count
        return true
    }

    private func write(_ reflex: ArmedReflex, _ slot: Int, _ budget: Int, _ generation: UInt32) throws(SensorError) {
        var entry = riposte_reflex()
        (entry.acts, entry.signal, entry.budget_index) = (reflex.acts ? 1 : 0, UInt32(reflex.signal), UInt64(budget))
        try programs.set(.reflexes, generation * UInt32(RIPOSTE_REFLEXES) + UInt32(slot), entry)
    }

    // MARK: - Counters

    /// What goes by where a program was passed over. Which call it was nobody knows, nor whether a rule asks for it.
    private static let missedTypes = [
        "riposte_exec": "exec", "riposte_fork": "fork", "riposte_exit": "procexit", "riposte_exec_tp": "exec", "riposte_fork_tp": "fork", "riposte_exit_tp": "procexit",
    ]

    func counts() -> Sensor.KernelCounts {
        var sum = programs.counters()
        var counts = Sensor.KernelCounts()
        withUnsafePointer(to: &sum) { sum in
            for index in 0..<UInt32(RIPOSTE_CALLS) {
                let (seen, passed, dropped) = (riposte_counters_seen(sum, index), riposte_counters_passed(sum, index), riposte_counters_dropped(sum, index))
                guard seen | passed | dropped > 0 else { continue }
                let isCompat = index >= 512
                let name = SystemCall.number(nr: Int32(isCompat ? index - 512 : index), isCompat: isCompat)?.type.name ?? "syscall"
                counts.seen[name, default: 0] += seen
                counts.passed[name, default: 0] += passed
                counts.dropped[name, default: 0] += dropped
            }
            for (kind, name) in [(RIPOSTE_EVENT_EXEC, "exec"), (RIPOSTE_EVENT_FORK, "fork"), (RIPOSTE_EVENT_EXIT, "procexit"), (RIPOSTE_EVENT_UPDATE, "update")] {
                counts.passed[name, default: 0] += riposte_counters_state_passed(sum, kind.rawValue)
                counts.dropped[name, default: 0] += riposte_counters_state_dropped(sum, kind.rawValue)
            }
        }
        for (program, count) in programs.missedRuns { counts.dropped[Self.missedTypes[program] ?? "missed", default: 0] += count }
        return counts
    }
}

extension SystemCall {
    /// Whether flags and mode of an open are its arguments, and no structure's.
    fileprivate var takesFlagsInRegisters: Bool { UInt32(kernelCall.flags) & RIPOSTE_CALL_OPEN_HOW.rawValue == 0 }
}

extension KernelFilter {
    /// Places of the reflexes that it has clauses of.
    var reflexes: Set<Int> { Set(clauses.compactMap(\.reflex)) }

    /// When all that a reflex looks at is known: one of several ways in which its rule may hold is none, as what it says of the call must be true.
    func before(allOf reflex: Int?) -> Before {
        let own = clauses.filter { $0.reflex == reflex }
        return own.isEmpty ? [] : own.reduce([.open, .connect]) { $0.intersection(before($1)) }
    }

    /// Whether what it says of a successful open, as long as it is not asked who opens, follows from the path, the flags and the mode: of the result and the
    /// descriptor it looks at no more than that they are none of a failure, and at no argument as such.
    var isDecidedByPath: Bool {
        atoms.allSatisfy { atom in
            guard case .number(let test) = atom else { return true }
            switch test.source {
            case .argument0, .argument1, .argument2, .argument3, .argument4, .argument5: return false
            case .result, .fd: return test.asksForFailure
            default: return true
            }
        }
    }
}

/// The texts and networks of one filter, on their way into the kernel's hash and trie. Equal ones become one entry with all their atoms.
struct FilterTexts {
    let generation: UInt8
    let filter: UInt8
    private var wholes: [WholeKey: UInt64] = [:]
    private var beginnings: [BeginningKey: UInt64] = [:]
    /// Which pieces are worth looking up.
    private(set) var pieces = riposte_pieces()

    struct WholeKey: Hashable {
        let subject: UInt8
        let text: [UInt8]
    }

    struct BeginningKey: Hashable {
        let subject: UInt8
        let text: [UInt8]
        let bits: Int
    }

    init(generation: UInt8, filter: UInt8) { (self.generation, self.filter) = (generation, filter) }

    mutating func add(_ names: [[UInt8]], _ subject: riposte_subject, _ atom: UInt64) {
        for name in names { wholes[WholeKey(subject: UInt8(subject.rawValue), text: name), default: 0] |= atom }
    }

    /// Those that have no pieces cannot be looked for, and no rule's tests become atoms of them.
    mutating func add(piecesOf parts: [[UInt8]], _ kind: TextPieces, _ atom: UInt64) {
        let subject = kind == .arguments ? RIPOSTE_SUBJECT_ARGUMENTS : RIPOSTE_SUBJECT_ENVIRONMENT
        for piece in parts.compactMap(kind.pieces).joined() {
            add([piece], subject, atom)
            riposte_pieces_mark(&pieces, kind == .environment, piece.reversed().suffix(4).reduce(0) { $0 << 8 | UInt32($1) })
        }
    }

    mutating func add(_ paths: [KernelFilter.PathText], _ subject: riposte_subject, _ atom: UInt64) {
        for path in paths {
            let text = path.isWhole ? path.bytes + [0] : path.bytes
            beginnings[BeginningKey(subject: UInt8(subject.rawValue), text: text, bits: text.count * 8), default: 0] |= atom
        }
    }

    mutating func add(_ networks: [IPNetwork], _ atom: UInt64) {
        for network in networks {
            let subject = network.address.family == .ipv4 ? RIPOSTE_SUBJECT_NETWORK4 : RIPOSTE_SUBJECT_NETWORK6
            beginnings[BeginningKey(subject: UInt8(subject.rawValue), text: network.address.bytes, bits: network.prefixLength), default: 0] |= atom
        }
    }

    func nameEntries() -> [(riposte_name_key, UInt64)] {
        wholes.map { whole, atoms in
            var key = riposte_name_key()
            (key.generation, key.filter, key.subject, key.length) = (generation, filter, whole.subject, UInt8(clamping: whole.text.count))
            withUnsafeMutableBytes(of: &key.text) { $0.copyBytes(from: whole.text.prefix($0.count)) }
            return (key, atoms)
        }
    }

    /// The trie gives the longest entry only, so each has the atoms of those that it begins with too.
    func prefixEntries() -> [(riposte_prefix_key, UInt64)] {
        var atomsByBeginning: [BeginningKey: UInt64] = [:]
        var lengths: [UInt8: Set<Int>] = [:]
        for (beginning, own) in beginnings {
            atomsByBeginning[beginning.cut(to: beginning.bits), default: 0] |= own
            lengths[beginning.subject, default: []].insert(beginning.bits)
        }
        return atomsByBeginning.map { beginning, _ in
            var atoms: UInt64 = 0
            for bits in lengths[beginning.subject] ?? [] where bits <= beginning.bits { atoms |= atomsByBeginning[beginning.cut(to: bits)] ?? 0 }
            var key = riposte_prefix_key()
            (key.bits, key.generation, key.filter, key.subject) = (UInt32(24 + beginning.bits), generation, filter, beginning.subject)
            withUnsafeMutableBytes(of: &key.text) { $0.copyBytes(from: beginning.text.prefix($0.count)) }
            return (key, atoms)
        }
    }
}

extension FilterTexts.BeginningKey {
    /// Its first bits; what stands behind them is zero.
    fileprivate func cut(to bits: Int) -> Self {
        let (whole, rest) = bits.quotientAndRemainder(dividingBy: 8)
        var text = Array(text.prefix(whole + (rest > 0 ? 1 : 0)))
        if rest > 0 { text[whole] &= 0xFF << UInt8(8 - rest) }
        return Self(subject: subject, text: text, bits: bits)
    }
}
