internal import CRiposte
internal import RiposteRules

/// `proc.*`, `thread.*`, `user.*`, `group.*`.
enum ProcessField: String {
    case name = "proc.name"
    case executable = "proc.exe"
    case executablePath = "proc.exepath"
    case arguments = "proc.args"
    case commandLine = "proc.cmdline"
    case executableLine = "proc.exeline"
    case argumentCount = "proc.cmdnargs"
    case argumentBytes = "proc.cmdlenargs"
    case workingDirectory = "proc.cwd"
    case environment = "proc.env"
    case tty = "proc.tty"
    case pid = "proc.pid"
    case virtualPID = "proc.vpid"
    case start = "proc.pid.ts"
    case duration = "proc.duration"
    case namespaceInitStart = "proc.pidns_init_start_ts"
    case threadCount = "proc.nthreads"
    case childThreadCount = "proc.nchilds"
    case descriptorCount = "proc.fdopencount"
    case descriptorLimit = "proc.fdlimit"
    case descriptorUsage = "proc.fdusage"
    case memorySize = "proc.vmsize"
    case memoryResident = "proc.vmrss"
    case memorySwapped = "proc.vmswap"

    case executableInode = "proc.exe_ino"
    case executableChanged = "proc.exe_ino.ctime"
    case executableModified = "proc.exe_ino.mtime"
    case executableAge = "proc.exe_ino.ctime_duration_proc_start"
    case executableChangedInNamespace = "proc.exe_ino.ctime_duration_pidns_start"
    case isExecutableWritable = "proc.is_exe_writable"
    case isExecutableUpperLayer = "proc.is_exe_upper_layer"
    case isExecutableLowerLayer = "proc.is_exe_lower_layer"
    case isExecutableFromMemory = "proc.is_exe_from_memfd"

    case parentName = "proc.pname"
    case parentExecutable = "proc.pexe"
    case parentExecutablePath = "proc.pexepath"
    case parentCommandLine = "proc.pcmdline"
    case parentPID = "proc.ppid"
    case parentVirtualPID = "proc.pvpid"
    case parentStart = "proc.ppid.ts"
    case parentDuration = "proc.ppid.duration"
    case ancestorName = "proc.aname"
    case ancestorExecutable = "proc.aexe"
    case ancestorExecutablePath = "proc.aexepath"
    case ancestorCommandLine = "proc.acmdline"
    case ancestorPID = "proc.apid"
    case ancestorArguments = "proc.aargs"
    case ancestorEnvironment = "proc.aenv"
    case loginShellPID = "proc.loginshellid"

    case session = "proc.sid"
    case sessionName = "proc.sname"
    case sessionExecutable = "proc.sid.exe"
    case sessionExecutablePath = "proc.sid.exepath"
    case isSessionLeader = "proc.is_sid_leader"
    case group = "proc.pgid"
    case groupName = "proc.pgid.name"
    case groupExecutable = "proc.pgid.exe"
    case groupExecutablePath = "proc.pgid.exepath"
    case isGroupLeader = "proc.is_pgid_leader"
    case virtualGroup = "proc.vpgid"
    case virtualGroupName = "proc.vpgid.name"
    case virtualGroupExecutable = "proc.vpgid.exe"
    case virtualGroupExecutablePath = "proc.vpgid.exepath"
    case isVirtualGroupLeader = "proc.is_vpgid_leader"

    case inputType = "proc.stdin.type"
    case inputName = "proc.stdin.name"
    case outputType = "proc.stdout.type"
    case outputName = "proc.stdout.name"
    case errorType = "proc.stderr.type"
    case errorName = "proc.stderr.name"

    case thread = "thread.tid"
    case virtualThread = "thread.vtid"
    case isMainThread = "thread.ismain"
    case threadName = "thread.nametid"
    case effectiveCapabilities = "thread.cap_effective"
    case permittedCapabilities = "thread.cap_permitted"
    case inheritableCapabilities = "thread.cap_inheritable"
    case cgroups = "thread.cgroups"
    case cgroup = "thread.cgroup"
    case processor = "thread.cpu"
    case processorInProgram = "thread.cpu.user"
    case processorInKernel = "thread.cpu.system"
    case runTime = "thread.exectime"
    case totalRunTime = "thread.totexectime"
    case majorFaults = "thread.pfmajor"
    case minorFaults = "thread.pfminor"
    case threadMemorySize = "thread.vmsize"
    case threadMemoryResident = "thread.vmrss"

    case userID = "user.uid"
    case userName = "user.name"
    case userHome = "user.homedir"
    case userShell = "user.shell"
    case loginUserID = "user.loginuid"
    case loginUserName = "user.loginname"
    case groupID = "group.gid"
    case groupIDName = "group.name"
}

extension SensorEvent {
    /// What the record's header says stands even where nothing is known of the process.
    func processValue(_ known: ProcessField, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        let header = record.header
        switch known {
        case .name: return .text(record.comm)
        case .pid: return .integer(Int64(header.pointee.pid))
        case .thread: return .integer(Int64(header.pointee.tid))
        case .virtualThread: return .integer(Int64(header.pointee.vtid))
        case .isMainThread: return .bool(header.pointee.tid == header.pointee.pid)
        case .threadName: return arena.joined([.text(record.comm), .integer(Int64(header.pointee.tid))], separator: [])
        case .effectiveCapabilities: return Capabilities.text(of: header.pointee.cap_effective, in: arena)
        case .permittedCapabilities: return Capabilities.text(of: header.pointee.cap_permitted, in: arena)
        case .inheritableCapabilities: return Capabilities.text(of: header.pointee.cap_inheritable, in: arena)
        case .userID: return .integer(Int64(header.pointee.uid))
        case .groupID: return .integer(Int64(header.pointee.gid))
        case .loginUserID: return .integer(header.pointee.loginuid == .max ? -1 : Int64(header.pointee.loginuid))
        case .userName, .userHome, .userShell, .loginUserName, .groupIDName: return accountValue(known, record, arena)
        // Told by events that the sensor does not have: of the scheduler, and of samples of all processes.
        case .processor, .processorInProgram, .processorInKernel: return .absent
        case .runTime, .totalRunTime: return .integer(0)
        default: return process.map { value(known, of: $0, field, record, arena) } ?? .absent
        }
    }

    private func value(_ known: ProcessField, of process: ProcessEntry, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        let image = process.image
        switch known {
        case .executable: return .text(image.executable)
        case .executablePath: return .text(image.executablePath)
        case .arguments:
            guard case .index(let index) = field.argument else { return .text(image.argumentsText) }
            return image.arguments[index + 1].map(FieldView.text) ?? arena.text("")
        case .commandLine: return .text(image.commandLine)
        case .executableLine: return .text(image.executableLine)
        case .argumentCount: return .integer(Int64(max(0, image.argumentCount - 1)))
        case .argumentBytes: return .integer(Int64(image.argumentsText.count - max(0, image.argumentCount - 2)))
        case .workingDirectory: return .text(process.workingDirectory)
        case .environment:
            guard case .key(let name) = field.argument else { return .text(image.environmentText) }
            return image.environment.value(of: name).map(FieldView.text) ?? arena.text("")
        case .tty: return .integer(Int64(process.tty))
        case .virtualPID: return process.virtualPID == 0 ? .absent : .integer(Int64(process.virtualPID))
        case .start: return time(process.start)
        case .duration: return duration(since: process.start, record)
        case .namespaceInitStart: return time(world.processes.namespaceInitStart(of: process))

        case .executableInode: return image.file.ino == 0 ? .absent : .integer(Int64(bitPattern: image.file.ino))
        case .executableChanged: return image.file.ctime == 0 ? .absent : .integer(image.file.ctime)
        case .executableModified: return image.file.mtime == 0 ? .absent : .integer(image.file.mtime)
        case .executableAge:
            guard image.file.ctime != 0, process.start != 0 else { return .absent }
            return .integer(world.wallTime(process.start).nanoseconds &- image.file.ctime)
        case .executableChangedInNamespace:
            let start = world.processes.namespaceInitStart(of: process)
            guard image.file.ctime != 0, start != 0 else { return .absent }
            let age = image.file.ctime &- world.wallTime(start).nanoseconds
            return age > 0 ? .integer(age) : .absent
        case .isExecutableWritable: return .bool(image.has(RIPOSTE_FILE_WRITABLE))
        case .isExecutableUpperLayer: return .bool(image.has(RIPOSTE_FILE_UPPER_LAYER))
        case .isExecutableLowerLayer: return .bool(image.has(RIPOSTE_FILE_LOWER_LAYER))
        case .isExecutableFromMemory: return .bool(image.has(RIPOSTE_FILE_FROM_MEMFD))

        case .parentName, .parentExecutable, .parentExecutablePath, .parentCommandLine, .parentPID, .parentVirtualPID, .parentStart, .parentDuration:
            return parentValue(known, of: process, record)
        case .ancestorName, .ancestorExecutable, .ancestorExecutablePath, .ancestorCommandLine, .ancestorPID, .ancestorArguments, .ancestorEnvironment:
            return ancestorValue(known, of: process, field, record, arena)
        case .loginShellPID: return loginShell(of: process, record)

        case .session, .sessionName, .sessionExecutable, .sessionExecutablePath, .isSessionLeader, .group, .groupName, .groupExecutable, .groupExecutablePath,
            .isGroupLeader, .virtualGroup, .virtualGroupName, .virtualGroupExecutable, .virtualGroupExecutablePath, .isVirtualGroupLeader:
            return groupingValue(known, of: process, arena)
        default: return presentValue(known, of: process, field, record, arena)
        }
    }

    /// A time of the kernel's; 0 is unknown.
    private func time(_ boot: UInt64) -> FieldView { boot == 0 ? .absent : .integer(world.wallTime(boot).nanoseconds) }

    private func duration(since start: UInt64, _ record: SensorRecord) -> FieldView {
        start == 0 ? .absent : .integer(Int64(bitPattern: record.header.pointee.time &- start))
    }

    // MARK: - Lineage

    private func parentValue(_ known: ProcessField, of process: ProcessEntry, _ record: SensorRecord) -> FieldView {
        // What the kernel has judged by, and not what the table has last heard: nobody tells of a name that is changed.
        if known == .parentName, let name = record.parentComm { return .text(name) }
        guard let parent = world.processes.parent(of: process) else {
            // The first process of all has none, and that is known.
            return known == .parentPID && process.parentPID == 0 && !process.hasUnknownParent ? .integer(0) : .absent
        }
        switch known {
        case .parentName: return .text(parent.comm)
        case .parentExecutable: return .text(parent.image.executable)
        case .parentExecutablePath: return .text(parent.image.executablePath)
        case .parentCommandLine: return .text(parent.commandLine)
        case .parentPID: return .integer(Int64(parent.pid))
        case .parentVirtualPID: return parent.virtualPID == 0 ? .absent : .integer(Int64(parent.virtualPID))
        case .parentStart: return time(parent.start)
        default: return duration(since: parent.start, record)
        }
    }

    private func ancestorValue(
        _ known: ProcessField, of process: ProcessEntry, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena
    ) -> FieldView {
        switch field.argument {
        case .index(1) where known == .ancestorName: return parentValue(.parentName, of: process, record)
        case .index(let number): return ancestor(number, of: process).map { value(known, ofAncestor: $0, of: process, record) } ?? .absent
        case .key(let key):
            if let number = Self.number(key) { return ancestor(number, of: process).map { value(known, ofAncestor: $0, of: process, record) } ?? .absent }
            return variable(key, ofAncestorsOf: process, arena)
        case .none:
            let values = ancestorValues(known, of: process, record, arena)
            guard !values.isEmpty else { return .absent }
            return known == .ancestorArguments ? arena.joined(values, separator: [UInt8(ascii: " ")]) : .list(values)
        }
    }

    private func value(_ known: ProcessField, ofAncestor ancestor: ProcessEntry, of process: ProcessEntry, _ record: SensorRecord) -> FieldView {
        switch known {
        case .ancestorName: return .text(ancestor === process ? record.comm : ancestor.comm)
        case .ancestorExecutable: return .text(ancestor.image.executable)
        case .ancestorExecutablePath: return .text(ancestor.image.executablePath)
        case .ancestorCommandLine: return .text(ancestor.commandLine)
        case .ancestorPID: return .integer(Int64(ancestor.pid))
        case .ancestorArguments: return .text(ancestor.image.argumentsText)
        default: return .text(ancestor.image.environmentText)
        }
    }

    /// 0 is the process itself.
    private func ancestor(_ number: Int, of process: ProcessEntry) -> ProcessEntry? {
        guard number <= ProcessTable.lineageLimit else { return nil }
        var entry = process
        for _ in 0..<number {
            guard let parent = world.processes.parent(of: entry) else { return nil }
            entry = parent
        }
        return entry
    }

    /// Of all ancestors, the parent first.
    private func ancestorValues(_ known: ProcessField, of process: ProcessEntry, _ record: SensorRecord, _ arena: FieldArena) -> UnsafeBufferPointer<FieldView> {
        var count = 0
        var entry = process
        while count < ProcessTable.lineageLimit, let parent = world.processes.parent(of: entry) {
            entry = parent
            count += 1
        }
        let memory = arena.allocate(bytes: count * MemoryLayout<FieldView>.stride, alignment: MemoryLayout<FieldView>.alignment)
        let values = memory.bindMemory(to: FieldView.self)
        entry = process
        for place in 0..<count {
            guard let parent = world.processes.parent(of: entry) else { break }
            values.initializeElement(at: place, to: value(known, ofAncestor: parent, of: process, record))
            entry = parent
        }
        return UnsafeBufferPointer(values)
    }

    /// The variable of the nearest ancestor that has it; empty where none has.
    private func variable(_ name: UnsafeRawBufferPointer, ofAncestorsOf process: ProcessEntry, _ arena: FieldArena) -> FieldView {
        var entry = process
        for depth in 0..<ProcessTable.lineageLimit {
            guard let parent = world.processes.parent(of: entry) else { return depth == 0 ? .absent : arena.text("") }
            if let value = parent.image.environment.value(of: name), !value.isEmpty { return .text(value) }
            entry = parent
        }
        return arena.text("")
    }

    private static func number(_ text: UnsafeRawBufferPointer) -> Int? {
        guard 1...4 ~= text.count, text.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private func loginShell(of process: ProcessEntry, _ record: SensorRecord) -> FieldView {
        var oldest: ProcessEntry? = record.comm.hasSuffix("sh") ? process : nil
        var entry = process
        for _ in 0..<ProcessTable.lineageLimit {
            guard let parent = world.processes.parent(of: entry) else { break }
            if parent.comm.hasSuffix("sh") { oldest = parent }
            entry = parent
        }
        return oldest.map { .integer(Int64($0.pid)) } ?? .absent
    }

    // MARK: - Sessions and groups

    private func groupingValue(_ known: ProcessField, of process: ProcessEntry, _ arena: FieldArena) -> FieldView {
        // Incomplete entries know of neither.
        guard !process.isIncomplete || process.session != 0 || process.group != 0 else { return .absent }
        switch known {
        case .session: return .integer(Int64(process.virtualSession))
        case .isSessionLeader: return .bool(process.virtualSession != 0 && process.virtualSession == process.virtualPID)
        case .group: return .integer(Int64(process.group))
        case .isGroupLeader: return .bool(process.group == process.pid)
        case .virtualGroup: return .integer(Int64(process.virtualGroup))
        case .isVirtualGroupLeader: return .bool(process.virtualGroup != 0 && process.virtualGroup == process.virtualPID)
        case .sessionName, .sessionExecutable, .sessionExecutablePath: return leaderValue(known, of: world.processes.leader(of: process, in: .session), arena)
        default: return leaderValue(known, of: world.processes.leader(of: process, in: .group), arena)
        }
    }

    private func leaderValue(_ known: ProcessField, of leader: ProcessEntry?, _ arena: FieldArena) -> FieldView {
        guard let leader else { return arena.text("") }
        switch known {
        case .sessionName, .groupName, .virtualGroupName: return .text(leader.comm)
        case .sessionExecutable, .groupExecutable, .virtualGroupExecutable: return .text(leader.image.executable)
        default: return .text(leader.image.executablePath)
        }
    }

    // MARK: - Accounts

    private func accountValue(_ known: ProcessField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        let header = record.header
        if known == .groupIDName {
            let name = world.accounts.group(
                header.pointee.gid, mountNamespace: header.pointee.mount_ns, pid: header.pointee.pid, container: process?.container ?? .host)
            return name.map(FieldView.text) ?? arena.text(header.pointee.gid == 0 ? "root" : "<NA>")
        }
        let id = known == .loginUserName ? header.pointee.loginuid : header.pointee.uid
        // Of a login that was none there is no account.
        guard known != .loginUserName || id != .max else { return arena.text("<NA>") }
        guard
            let user = world.accounts.user(id, mountNamespace: header.pointee.mount_ns, pid: header.pointee.pid, container: process?.container ?? .host)
        else { return arena.text(id != 0 || known == .userShell ? "<NA>" : known == .userHome ? "/root" : "root") }
        switch known {
        case .userHome: return .text(user.home)
        case .userShell: return .text(user.shell)
        default: return .text(user.name)
        }
    }

    // MARK: - Asked of the kernel

    /// Values that the record has where it is of a kind that tells them, and that are otherwise those of this moment; absent once the process has
    /// ended.
    private func presentValue(_ known: ProcessField, of process: ProcessEntry, _ field: EventField, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        let facts = record.process
        let present = world.processes.present(process)
        func number(_ value: Int64?) -> FieldView { value.map(FieldView.integer) ?? .absent }
        switch known {
        case .threadCount: return number(facts.map { Int64($0.thread_count) } ?? present.threadCount)
        case .childThreadCount: return number((facts.map { Int64($0.thread_count) } ?? present.threadCount).map { max(0, $0 - 1) })
        case .memorySize: return number(facts.map { Int64($0.vm_size) } ?? present.memory?.size)
        case .memoryResident: return number(facts.map { Int64($0.vm_rss) } ?? present.memory?.resident)
        case .memorySwapped: return number(facts.map { Int64($0.vm_swap) } ?? present.memory?.swapped)
        case .threadMemorySize, .threadMemoryResident:
            guard record.header.pointee.tid == record.header.pointee.pid else { return .integer(0) }
            return presentValue(known == .threadMemorySize ? .memorySize : .memoryResident, of: process, field, record, arena)
        case .majorFaults: return number(facts.map { Int64($0.major_faults) } ?? present.faults(ofThread: record.header.pointee.tid).map { Int64($0.major) })
        case .minorFaults: return number(facts.map { Int64($0.minor_faults) } ?? present.faults(ofThread: record.header.pointee.tid).map { Int64($0.minor) })
        case .descriptorCount: return number(present.descriptorCount)
        case .descriptorLimit: return number(limit(of: process, present))
        case .descriptorUsage:
            guard let count = present.descriptorCount, let limit = limit(of: process, present), limit > 0 else { return .absent }
            return .integer(count &* 100 / limit)
        case .cgroups: return cgroups(present, record, arena)
        case .cgroup: return cgroup(field, present, record, arena)
        case .inputType, .inputName: return streamValue(present.stream(0), isType: known == .inputType, arena)
        case .outputType, .outputName: return streamValue(present.stream(1), isType: known == .outputType, arena)
        case .errorType, .errorName: return streamValue(present.stream(2), isType: known == .errorType, arena)
        default: return .absent
        }
    }

    private func limit(of process: ProcessEntry, _ present: PresentProcess) -> Int64? {
        process.descriptorLimit != 0 ? Int64(clamping: process.descriptorLimit) : present.descriptorLimit
    }

    private func cgroups(_ present: PresentProcess, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard let cgroups = present.cgroups(ofThread: record.header.pointee.tid) else { return .absent }
        return arena.text(cgroups.map { $0.controller + [UInt8(ascii: "=")] + $0.path }.joined(separator: [UInt8(ascii: " ")]).map(\.self))
    }

    private func cgroup(_ field: EventField, _ present: PresentProcess, _ record: SensorRecord, _ arena: FieldArena) -> FieldView {
        guard case .key(let name) = field.argument, let cgroups = present.cgroups(ofThread: record.header.pointee.tid) else { return .absent }
        return cgroups.first { $0.controller.elementsEqual(name) }.map { arena.text($0.path) } ?? .absent
    }

    private func streamValue(_ stream: StandardStream?, isType: Bool, _ arena: FieldArena) -> FieldView {
        guard let stream else { return .absent }
        return isType ? arena.text(stream.type.utf8) : arena.text(stream.name)
    }
}
