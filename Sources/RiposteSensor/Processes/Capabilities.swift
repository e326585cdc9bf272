internal import RiposteRules

/// Sets of capabilities as rules read them: names joined by blanks, in the order of their numbers (capabilities(7)).
enum Capabilities {
    private static let names: [StaticString] = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
        "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE",
    ]

    /// Longer than all names with their blanks.
    private static let roomBytes = 1024

    /// Empty for the empty set.
    static func text(of set: UInt64, in arena: FieldArena) -> FieldView {
        guard set != 0 else { return arena.text("") }
        let memory = arena.allocate(bytes: roomBytes, alignment: 1)
        var length = 0
        var rest = set
        while rest != 0, case let number = rest.trailingZeroBitCount, number < names.count {
            rest &= rest &- 1
            if length > 0 {
                memory[length] = UInt8(ascii: " ")
                length += 1
            }
            let name = names[number]
            UnsafeMutableRawBufferPointer(rebasing: memory[length...]).copyMemory(from: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
            length += name.utf8CodeUnitCount
        }
        return .text(UnsafeRawBufferPointer(memory).keeping(length))
    }
}
