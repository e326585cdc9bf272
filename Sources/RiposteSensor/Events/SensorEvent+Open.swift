internal import CRiposte
internal import RiposteRules

extension DescriptorKind {
    /// O_DIRECTORY (asm/fcntl.h), which is not the same number everywhere.
    #if arch(arm64)
        static let openDirectory: UInt32 = 0x4000
    #else
        static let openDirectory: UInt32 = 0x10000
    #endif
}

/// What opens were asked for.
extension SensorEvent {
    private static let accessMode: UInt32 = 3
    private static let create: UInt32 = 0x40
    private static let temporaryFile: UInt32 = 0x40_0000
    /// O_CREAT, O_WRONLY, O_TRUNC: what creat(2) stands for.
    private static let creat: UInt32 = 0x241
    private static let executableBits: UInt32 = 0o111

    /// The kernel's flags; 0 where they could not be read.
    func openFlags(_ record: SensorRecord) -> UInt32 {
        let arguments = record.header.pointee.args
        switch knownCall?.facts.pointee.kind {
        case .open: return UInt32(truncatingIfNeeded: arguments.1)
        case .openat, .openByHandle: return UInt32(truncatingIfNeeded: arguments.2)
        case .creat: return Self.creat
        // struct open_how: flags, mode, resolve, eight bytes each.
        case .openat2: return Self.flags(given: UInt32(truncatingIfNeeded: extraWord(0, record)), record.header.pointee.result >= 0 ? record.file : nil)
        default: return 0
        }
    }

    /// O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_CLOEXEC: what the kernel does not keep with the file.
    private static let ofCall: UInt32 = 0x8_03C0

    /// Flags that stand in user memory may have been changed since the kernel read them: of those that it keeps with the file, these count.
    private static func flags(given: UInt32, _ file: riposte_file?) -> UInt32 {
        guard let file else { return given }
        let isMade = UInt32(file.flags) & RIPOSTE_FILE_CREATED.rawValue != 0
        return given & ofCall | file.open_flags & ~ofCall | (isMade ? create : 0)
    }

    /// Permissions for a file that is made; 0 where the flags make none.
    func openMode(_ record: SensorRecord) -> UInt32 {
        guard openFlags(record) & (Self.create | Self.temporaryFile) != 0 else { return 0 }
        let arguments = record.header.pointee.args
        let mode: UInt64 =
            switch knownCall?.facts.pointee.kind {
            case .open: arguments.2
            case .openat: arguments.3
            case .creat: arguments.1
            case .openat2: extraWord(1, record)
            default: 0
            }
        return UInt32(truncatingIfNeeded: mode) & 0o7777
    }

    func openResolve(_ record: SensorRecord) -> UInt32 { UInt32(truncatingIfNeeded: extraWord(2, record)) }

    /// A word of the structure that the call was given; 0 where it is shorter.
    func extraWord(_ index: Int, _ record: SensorRecord) -> UInt64 {
        guard let extra = record[.extra], extra.count >= 8 * (index + 1) else { return 0 }
        return extra.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
    }

    /// Falco's numbers of the flags (ppm_events_public.h), with what it adds: that the file was made, and in which layer of an overlay it is.
    func toldOpenFlags(_ record: SensorRecord) -> UInt32 {
        let flags = openFlags(record)
        let access: UInt32 =
            switch flags & Self.accessMode {
            case 1: 2
            case 2: 3
            default: 1
            }
        var told = access | ValueNames.file.value(ofNative: flags & ~Self.accessMode)
        guard let file = record.file else { return told }
        if UInt32(file.flags) & RIPOSTE_FILE_CREATED.rawValue != 0 { told |= 1 << 14 }
        if UInt32(file.flags) & RIPOSTE_FILE_UPPER_LAYER.rawValue != 0 { told |= 1 << 15 }
        if UInt32(file.flags) & RIPOSTE_FILE_LOWER_LAYER.rawValue != 0 { told |= 1 << 16 }
        return told
    }

    // MARK: - evt.is_open_…

    /// Nil for calls that open nothing by these flags: creat is not one of them for Falco.
    private func flagsOfOpen(_ record: SensorRecord) -> UInt32? {
        guard let kind = knownCall?.facts.pointee.kind, kind.isOpen, kind != .creat, record.kind == .call else { return nil }
        return openFlags(record)
    }

    /// Whether or not the call succeeded. O_PATH counts as reading.
    func isOpenRead(_ record: SensorRecord) -> Bool { flagsOfOpen(record).map { $0 & Self.accessMode != 1 } ?? false }

    func isOpenWrite(_ record: SensorRecord) -> Bool { flagsOfOpen(record).map { 1...2 ~= $0 & Self.accessMode } ?? false }

    func isOpenExecutable(_ record: SensorRecord) -> Bool {
        guard let kind = knownCall?.facts.pointee.kind, kind.isOpen, kind != .openByHandle else { return false }
        return openMode(record) & Self.executableBits != 0
    }

    func isOpenCreate(_ record: SensorRecord) -> Bool {
        guard let flags = flagsOfOpen(record), record.header.pointee.result >= 0 else { return false }
        return flags & Self.temporaryFile != 0 || record.file.map { UInt32($0.flags) & RIPOSTE_FILE_CREATED.rawValue != 0 } ?? false
    }
}
