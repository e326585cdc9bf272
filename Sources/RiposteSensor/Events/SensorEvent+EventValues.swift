internal import CRiposte
internal import RiposteRules

/// Where the values of arguments come from.
extension SensorEvent {
    /// Of arguments that are numbers; nil of others, and where the event does not carry it.
    func number(_ argument: SystemCall.Argument, _ record: SensorRecord) -> Int64? {
        switch argument.kind {
        case .error, .errorOrAddress, .descriptor, .process, .user, .group, .signal, .int32, .int64, .uint8, .uint32, .uint64, .hexadecimal8, .hexadecimal32, .hexadecimal64,
            .named,
            .socketFlags, .deviceNumber, .quotaCommand, .quotaType:
            return given(argument, record).map { Self.number($0, as: argument) }
        case .openFlags: return Int64(toldOpenFlags(record))
        case .openMode: return Int64(openMode(record))
        case .resolve: return Int64(ValueNames.openat2Resolve.value(ofNative: openResolve(record)))
        case .creationFlags: return Int64(ValueNames.creation.value(ofNative: UInt32(record.file?.flags ?? 0)))
        case .device: return Int64(record.file?.dev ?? 0)
        case .inode: return Int64(bitPattern: record.file?.ino ?? 0)
        case .queuePercent, .queueLength, .queueLimit: return queueNumber(argument.kind, record)
        case .exitStatus, .exitCode, .exitSignal, .exitCore: return exitNumber(argument.kind, record)
        default: return headerNumber(argument.kind, record) ?? processNumber(argument.kind, record)
        }
    }

    /// A register, the result, or what a structure begins with.
    private func given(_ argument: SystemCall.Argument, _ record: SensorRecord) -> UInt64? {
        switch argument.source {
        case .result:
            // Of EXEC, `result` is not a call's; the event says that it succeeded.
            return record.kind == .call ? UInt64(bitPattern: record.header.pointee.result) : 0
        case .register(let number):
            guard record.kind == .call, 0..<6 ~= number else { return nil }
            return withUnsafeBytes(of: record.header.pointee.args) { $0.load(fromByteOffset: 8 * number, as: UInt64.self) }
        case .structure: return record[.extra] == nil ? nil : extraWord(0, record)
        case .none, .firstPath, .secondPath: return nil
        }
    }

    /// A register holds what the call takes of it: the lower half of an int, with its sign.
    private static func number(_ given: UInt64, as argument: SystemCall.Argument) -> Int64 {
        let lower = UInt32(truncatingIfNeeded: given)
        switch argument.kind {
        case .error, .errorOrAddress, .int64, .uint64, .hexadecimal64: return Int64(bitPattern: given)
        case .descriptor, .process, .int32: return Int64(Int32(bitPattern: lower))
        // -1 leaves an id as it is.
        case .user, .group: return lower == UInt32.max ? -1 : Int64(lower)
        case .signal, .uint8, .hexadecimal8: return Int64(lower & 0xFF)
        case .socketFlags: return Int64(ValueNames.file.value(ofNative: lower & ~0xF))
        case .quotaCommand: return Int64(ValueNames.quotaCommand.value(ofNative: lower >> 8))
        case .quotaType: return Int64(ValueNames.quotaType.value(ofNative: lower & 0xFF))
        case .named: return Int64(argument.names?.value(ofNative: lower) ?? lower)
        default: return Int64(lower)
        }
    }

    private func queueNumber(_ kind: SystemCall.Argument.Kind, _ record: SensorRecord) -> Int64? {
        guard let socket = record.socket else { return nil }
        let (length, limit) = (Int64(socket.backlog), Int64(socket.backlog_limit))
        switch kind {
        case .queueLength: return length
        case .queueLimit: return limit
        default: return limit > 0 ? length * 100 / limit : 0
        }
    }

    /// Of the wait status: the signal in the lowest seven bits, then whether there is a core, then the code.
    private func exitNumber(_ kind: SystemCall.Argument.Kind, _ record: SensorRecord) -> Int64 {
        let status = record.header.pointee.result
        switch kind {
        case .exitSignal: return status & 0x7F
        case .exitCore: return status >> 7 & 1
        case .exitCode: return status >> 8 & 0xFF
        default: return status
        }
    }

    // MARK: - The process

    private func headerNumber(_ kind: SystemCall.Argument.Kind, _ record: SensorRecord) -> Int64? {
        let header = record.header
        switch kind {
        case .thread: return Int64(header.pointee.tid)
        case .leader: return Int64(header.pointee.pid)
        case .innerThread: return Int64(header.pointee.vtid)
        case .login: return header.pointee.loginuid == UInt32.max ? -1 : Int64(header.pointee.loginuid)
        case .inheritable: return Int64(bitPattern: header.pointee.cap_inheritable)
        case .permitted: return Int64(bitPattern: header.pointee.cap_permitted)
        case .effective: return Int64(bitPattern: header.pointee.cap_effective)
        case .effectiveUser, .userNumber: return Int64(header.pointee.uid)
        case .effectiveGroup, .groupNumber: return Int64(header.pointee.gid)
        default: return nil
        }
    }

    /// From the items of EXEC.
    private func processNumber(_ kind: SystemCall.Argument.Kind, _ record: SensorRecord) -> Int64? {
        switch kind {
        case .executableFlags, .executableInode, .executableChange, .executableModification: return executableNumber(kind, record)
        default: break
        }
        guard let process = record.process else { return nil }
        switch kind {
        case .parent: return Int64(process.parent)
        case .descriptorLimit: return Int64(bitPattern: process.fd_limit)
        case .majorFaults: return Int64(bitPattern: process.major_faults)
        case .minorFaults: return Int64(bitPattern: process.minor_faults)
        case .memory: return Int64(bitPattern: process.vm_size)
        case .resident: return Int64(bitPattern: process.vm_rss)
        case .swapped: return Int64(bitPattern: process.vm_swap)
        case .terminal: return Int64(process.tty)
        case .group_: return Int64(process.vgroup)
        case .hostGroup: return Int64(process.group)
        case .innerLeader: return Int64(process.vpid)
        case .namespaceStart: return world.wallTime(process.ns_init_start).nanoseconds
        default: return nil
        }
    }

    private func executableNumber(_ kind: SystemCall.Argument.Kind, _ record: SensorRecord) -> Int64? {
        guard let file = record.structure(.executable, as: riposte_file.self) else { return nil }
        switch kind {
        case .executableFlags: return Int64(ValueNames.executable.value(ofNative: UInt32(file.flags)))
        case .executableInode: return Int64(bitPattern: file.ino)
        case .executableChange: return file.ctime
        default: return file.mtime
        }
    }

    // MARK: - Texts

    /// Of arguments that are texts; nil of others, and where the event does not carry it.
    func rawText(_ argument: SystemCall.Argument, _ record: SensorRecord) -> UnsafeRawBufferPointer? {
        switch argument.kind {
        case .path, .text: return record[argument.source == .secondPath ? .path2 : .path1]
        case .kernelPath: return record[.filePath]
        case .comm: return record.comm
        case .exe: return splitArguments(record)?.first
        case .arguments: return splitArguments(record)?.rest
        case .directory: return record[.workingDirectory]
        case .cgroups: return record[.cgroup]
        case .environment: return record[.environment]
        case .executablePath: return record[.executablePath]
        case .programName: return renamed(record)
        default: return nil
        }
    }

    /// argv[0], and the others each with its NUL.
    private func splitArguments(_ record: SensorRecord) -> (first: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer)? {
        guard let all = record[.arguments] else { return nil }
        let end = all.firstIndex(of: 0) ?? all.count
        return (UnsafeRawBufferPointer(rebasing: all[..<end]), all.bytes(from: end + 1))
    }

    /// prctl's text: the new name of the thread, of PR_SET_NAME.
    private func renamed(_ record: SensorRecord) -> UnsafeRawBufferPointer? {
        let setName: UInt64 = 15
        // The option is an int.
        return record.kind == .call && record.header.pointee.args.0 & 0xFFFF_FFFF == setName ? record.comm : nil
    }
}
