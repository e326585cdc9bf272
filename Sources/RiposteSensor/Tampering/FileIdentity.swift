internal import CRiposte
internal import Glibc

/// Which file a path leads to, compared with what the kernel side tells of one.
///
/// That has the device of the file system (`s_dev`). stat(2) mostly has the same, but of a subvolume of btrfs a number of its own, and of what an overlay has
/// from another file system one of the overlay's; there /proc/self/mountinfo has it.
enum FileIdentity {
    /// O_PATH, which the system's module lacks.
    private static let pathOnly: CInt = 0o10_000_000

    /// Whether a path leads to the very file that an event tells of, or that was read from /proc.
    static func leads(_ path: some Sequence<UInt8>, to file: riposte_file) -> Bool {
        let descriptor = open(path.map { CChar(bitPattern: $0) } + [0], pathOnly | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, UInt64(facts.st_ino) == file.ino else { return false }
        return UInt32(truncatingIfNeeded: facts.st_dev) == file.dev || mountDevice(of: descriptor) == file.dev
    }

    /// As stat(2) has it; nil where there is nothing, or it cannot be looked at.
    static func facts(at path: some Sequence<UInt8>) -> stat? {
        var facts = stat()
        return stat(path.map { CChar(bitPattern: $0) } + [0], &facts) == 0 ? facts : nil
    }

    /// The device of the mount that an open file lies on; nil: nobody can tell.
    private static func mountDevice(of descriptor: CInt) -> UInt32? {
        guard let own = ProcessFolder(UInt32(getpid())), let facts = own.wholeText("fdinfo/\(descriptor)"), let mounts = own.wholeText("mountinfo") else { return nil }
        guard let mount = facts.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") })?.split(separator: "\t").last else { return nil }
        // `36 35 98:0 /mnt1 /mnt2 …`: the mount's number, its parent's, the device.
        guard let line = mounts.split(separator: "\n").first(where: { $0.hasPrefix("\(mount) ") }) else { return nil }
        let fields = line.split(separator: " ", maxSplits: 3)
        let numbers = fields.count > 2 ? fields[2].split(separator: ":").compactMap { UInt32($0) } : []
        guard numbers.count == 2 else { return nil }
        return (numbers[1] & 0xff) | numbers[0] << 8 | (numbers[1] & ~0xff) << 12
    }
}
