package import CRiposte
package import RiposteRules

/// What is known of one system call, or of another event of the sensor: its name, its arguments as Falco tells them, and how the kernel side reads them.
/// Two words and no reference; the facts behind it are read once from ``SystemCallTable``.
package struct SystemCall: @unchecked Sendable {
    // Points into memory that is made once and never changes or goes.
    let facts: UnsafePointer<Facts>

    package var type: EventType { facts.pointee.type }
    /// Arguments and the like as `riposte_call` has them; nothing is wanted yet, and no filter named.
    package var kernelCall: riposte_call { facts.pointee.kernelCall }

    struct Facts {
        let type: EventType
        let category: Category
        let traits: Traits
        let kind: Kind
        let paths: PathRoles
        let arguments: UnsafeBufferPointer<Argument>
        let kernelCall: riposte_call
    }

    /// `evt.category`; ``io`` depends on what the descriptor is.
    enum Category: String { case other, file, net, ipc = "IPC", memory, process, sleep, system, signal, user, time, wait, io }

    struct Traits: OptionSet {
        let rawValue: UInt8
        static let makesDescriptor = Traits(rawValue: 1)
        static let usesDescriptor = Traits(rawValue: 2)
        static let reads = Traits(rawValue: 4)
        static let writes = Traits(rawValue: 8)
        static let waits = Traits(rawValue: 16)
        /// Either of the first two, and of the second.
        static let descriptor = Traits(rawValue: 3)
        static let moves = Traits(rawValue: 12)
        /// No system call: the end of a process.
        static let isNoCall = Traits(rawValue: 32)
    }

    /// Calls whose fields follow rules of their own.
    enum Kind: String {
        case other, open, openat, openat2, creat, openByHandle = "open_by_handle_at", execve, execveat, socket, bind, connect, listen, accept, accept4, renameat, renameat2,
            linkat, symlinkat, unlinkat, mkdirat, fchmodat, fchownat, memfd = "memfd_create", clone3

        var isOpen: Bool {
            switch self {
            case .open, .openat, .openat2, .creat, .openByHandle: true
            default: false
            }
        }
    }

    /// Which path is which `fs.path` field (spec: fields.md 2, Paths).
    enum PathRoles {
        case none
        case name(PathArgument)
        case pair(source: PathArgument, target: PathArgument)
    }

    enum PathArgument {
        case first, second
        /// What the descriptor refers to.
        case descriptor
    }

    /// One argument of an event.
    struct Argument {
        let name: UnsafeRawBufferPointer
        let kind: Kind
        let source: Source
        /// Of ``Kind/named``.
        let names: ValueNames?

        /// Where the value comes from.
        enum Source: Equatable {
            case none, result
            case register(Int)
            /// The item PATH1 or PATH2 with its base.
            case firstPath, secondPath
            /// The structure of ITEM_EXTRA: its first eight bytes.
            case structure
        }

        /// How it is told.
        enum Kind: String {
            /// A result: the number, and the name of an error; `errx` in hexadecimal.
            case error = "err", errorOrAddress = "errx"
            case descriptor = "fd", process = "pid", user = "uid", group = "gid", signal = "sig"
            case int32 = "i32", int64 = "i64", uint8 = "u8", uint32 = "u32", uint64 = "u64", hexadecimal8 = "u8x", hexadecimal32 = "x32", hexadecimal64 = "x64"
            case named
            case path, text
            case data, tuple, address = "addr"
            case openFlags = "oflags", openMode = "omode", creationFlags = "creatflags", resolve, kernelPath = "kernelpath", device = "dev", inode = "ino", deviceNumber = "dev32"
            case socketFlags = "sockflags", queuePercent = "qpct", queueLength = "qlen", queueLimit = "qmax"
            case quotaCommand = "quotacmd", quotaType = "quotatype", programName = "prctlname"
            /// Known by name only.
            case unknown = "none"
            // The process, after the event.
            case exe, arguments = "args", thread = "tid", leader = "tgid", parent = "ptid", directory = "cwd", descriptorLimit = "fdlimit", majorFaults = "majflt",
                minorFaults = "minflt", memory = "vmsize", resident = "vmrss", swapped = "vmswap", comm, cgroups, environment = "env", terminal = "tty", group_ = "vpgid",
                login = "loginuid", executableFlags = "exeflags", inheritable = "capi", permitted = "capp", effective = "cape", executableInode = "exeino",
                executableChange = "exectime", executableModification = "exemtime", effectiveUser = "euid", executablePath = "exepath", hostGroup = "pgid",
                effectiveGroup = "egid", userNumber = "u32id", groupNumber = "g32id", innerThread = "vtid", innerLeader = "vpid", namespaceStart = "nsinit"
            case exitStatus = "status", exitCode = "exitcode", exitSignal = "exitsignal", exitCore = "exitcore"
        }
    }
}

extension SystemCall {
    /// Nil for events that are no system call of these machines.
    package static func named(_ type: EventType) -> SystemCall? {
        let index = Int(type.rawValue)
        return index < EventType.count ? tables.byType[index] : nil
    }

    /// By the number in a record: of the machine's own ABI, or of its 32-bit companion.
    package static func number(nr number: Int32, isCompat: Bool) -> SystemCall? {
        guard 0..<numberLimit ~= Int(number) else { return nil }
        return tables.byNumber[Int(number) + (isCompat ? numberLimit : 0)]
    }

    /// Where a call stands in `riposte_control.calls`: several places where an ABI has it in several widths; none for what is no call.
    package static func tableIndices(for type: EventType) -> [Int] {
        (0..<2 * numberLimit).filter { tables.byNumber[$0]?.type == type }
    }

    /// Calls after which the process table must be told: they change working directory, root, session, group or namespaces.
    package static let stateKeeping: [EventType] = ["chdir", "fchdir", "chroot", "pivot_root", "setsid", "setpgid", "unshare", "setns"].compactMap { EventType(named: $0) }

    /// Numbers of one ABI in `riposte_control.calls`.
    private static let numberLimit = Int(RIPOSTE_CALLS) / 2

    private struct Tables: @unchecked Sendable {
        // Made once, never changed: any thread may read.
        let byType: UnsafeBufferPointer<SystemCall?>
        let byNumber: UnsafeBufferPointer<SystemCall?>
    }

    #if arch(arm64)
        private static let columns = (native: 1, compat: 3)
    #else
        private static let columns = (native: 0, compat: 2)
    #endif

    private static let tables: Tables = {
        var byType = [SystemCall?](repeating: nil, count: EventType.count)
        var byNumber = [SystemCall?](repeating: nil, count: 2 * numberLimit)
        for line in SystemCallTable.text.split(separator: "\n") {
            let row = SystemCallRow(line)
            let facts = UnsafeMutablePointer<Facts>.allocate(capacity: 1)
            facts.initialize(to: row.facts)
            let call = SystemCall(facts: UnsafePointer(facts))
            byType[Int(call.type.rawValue)] = call
            for number in row.numbers[columns.native] { byNumber[number] = call }
            for number in row.numbers[columns.compat] { byNumber[number + numberLimit] = call }
        }
        return Tables(byType: .kept(byType), byNumber: .kept(byNumber))
    }()
}
