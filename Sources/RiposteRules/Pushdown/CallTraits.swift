/// What decides how tests of the fields of an event are put to the kernel: which arguments its system call has, and what they mean.
struct CallTraits: Hashable {
    /// How a field depends on the path that the kernel looks at.
    enum PathValue {
        /// It is that path, whole, with the directory put before it where it is relative.
        case path
        /// The same, and only after success.
        case pathOfSuccess
        /// The part before the last slash, of directories all of it.
        case directory
        /// The part behind the last slash, of files only.
        case name
    }

    /// How the text of an argument depends on its number.
    enum ArgumentText {
        /// Names joined by bars, each where some bit is set.
        case flags([(name: String, bits: UInt64)])
        /// One name, or several equal ones joined by bars.
        case names([(number: Int64, names: [String])])
    }

    /// Whether filters may decide at all: events of the sensor itself, new processes and ended ones are handed up anyway.
    let isFiltered: Bool
    /// It opens a path, and the flags are known to the kernel.
    let isOpen: Bool
    let isCreat: Bool
    let isConnect: Bool
    let isExec: Bool
    /// Its result is a descriptor, which is -1 where it failed.
    let makesDescriptor: Bool
    /// It uses a descriptor that its caller gave, or makes one of one.
    let usesDescriptor: Bool
    /// Whether `evt.is_open_read` and its like are false whatever happens.
    let neverOpens: Bool
    private let paths: Paths
    private let arguments: Arguments

    private enum Paths { case none, open, path, name, oldName, linkedName, linkTarget, changedFile, ownedFile, ownedFileAt }
    private enum Arguments { case none, open, mode1, mode2, request, domain, command, namespaces, unlinking, protection }

    /// Nil: a type that no rule names.
    init(_ type: String?) {
        let name = type ?? ""
        let opens = ["open", "openat", "openat2"]
        isFiltered = type == nil || !Self.unfiltered.contains(name)
        isCreat = name == "creat"
        isOpen = isCreat || opens.contains(name)
        isConnect = name == "connect"
        isExec = name == "execve" || name == "execveat"
        makesDescriptor = isOpen || ["socket", "accept", "accept4"].contains(name)
        usesDescriptor = isConnect || ["dup", "dup2", "dup3", "bind", "listen", "sendto", "sendmsg", "recvfrom", "recvmsg", "userfaultfd", "bpf"].contains(name)
        neverOpens = type != nil && !isOpen && name != "open_by_handle_at"
        switch name {
        case "open", "openat", "openat2", "creat": paths = .open
        case "unlink", "rmdir", "mkdir", "mkdirat": paths = .path
        case "unlinkat": paths = .name
        case "rename", "renameat", "renameat2": paths = .oldName
        case "link", "linkat": paths = .linkedName
        case "symlink", "symlinkat": paths = .linkTarget
        case "chmod", "fchmodat": paths = .changedFile
        case "chown", "lchown": paths = .ownedFile
        case "fchownat": paths = .ownedFileAt
        default: paths = .none
        }
        switch name {
        case "open", "openat", "openat2": arguments = .open
        case "chmod", "fchmod": arguments = .mode1
        case "fchmodat": arguments = .mode2
        case "ptrace": arguments = .request
        case "socket": arguments = .domain
        case "bpf": arguments = .command
        case "unshare": arguments = .namespaces
        case "unlinkat": arguments = .unlinking
        case "mprotect": arguments = .protection
        default: arguments = .none
        }
    }

    /// No system calls, or ones whose events tell of the process table and come whatever the rules are.
    private static let unfiltered: Set<String> = Set(
        """
        other asyncevent clone clone3 container cpu_hotplug drop exit exit_group fork groupadded groupdeleted idle infra k8s mesos multiplexer
        notification page_fault page_fault_kernel page_fault_user pluginevent procexit procinfo scapevent sched_process_exit sched_switch signal_deliver
        signaldeliver switch syscall task task_file_anon_inode task_file_directory task_file_memfd task_file_pipe task_file_regular
        task_file_socket_inet task_file_socket_inet6 task_file_socket_netlink task_file_socket_unix tracer uprobe uretprobe useradded userdeleted vfork
        """.split(whereSeparator: \.isWhitespace).map(String.init))

    /// How a field depends on the path; nil where it does not, as far as is known.
    func pathValue(_ field: String, argument: String?) -> PathValue? {
        switch (paths, field, argument) {
        case (.open, "fd.name", _), (.open, "fd.nameraw", _), (.open, "evt.arg", "name"): .path
        case (.open, "fd.directory", _): .directory
        case (.open, "fd.filename", _): .name
        case (.open, "fs.path.name", _), (.open, "fs.path.nameraw", _): .pathOfSuccess
        case (.path, "evt.arg", "path"), (.name, "evt.arg", "name"), (.oldName, "evt.arg", "oldpath"), (.linkedName, "evt.arg", "oldpath"): .path
        case (.linkTarget, "evt.arg", "target"), (.changedFile, "evt.arg", "filename"), (.ownedFile, "evt.arg", "path"), (.ownedFileAt, "evt.arg", "pathname"): .path
        case (.path, "fs.path.name", _), (.path, "fs.path.nameraw", _), (.name, "fs.path.name", _), (.name, "fs.path.nameraw", _): .pathOfSuccess
        case (.changedFile, "fs.path.name", _), (.ownedFile, "fs.path.name", _), (.ownedFileAt, "fs.path.name", _): .pathOfSuccess
        case (.oldName, "fs.path.source", _), (.oldName, "fs.path.sourceraw", _): .pathOfSuccess
        // Of links the target is the file that was there before.
        case (.linkedName, "fs.path.target", _), (.linkedName, "fs.path.targetraw", _), (.linkTarget, "fs.path.target", _), (.linkTarget, "fs.path.targetraw", _):
            .pathOfSuccess
        default: nil
        }
    }

    /// The same of the second path: what a file is renamed to, the name that a link gets.
    func secondPathValue(_ field: String, argument: String?) -> PathValue? {
        switch (paths, field, argument) {
        case (.oldName, "evt.arg", "newpath"), (.linkedName, "evt.arg", "newpath"), (.linkTarget, "evt.arg", "linkpath"): .path
        case (.oldName, "fs.path.target", _), (.oldName, "fs.path.targetraw", _): .pathOfSuccess
        case (.linkedName, "fs.path.source", _), (.linkedName, "fs.path.sourceraw", _), (.linkTarget, "fs.path.source", _), (.linkTarget, "fs.path.sourceraw", _):
            .pathOfSuccess
        default: nil
        }
    }

    func argument(_ name: String) -> (source: KernelFilter.NumberSource, text: ArgumentText)? {
        switch (arguments, name) {
        case (.open, "flags"): (.openFlags, .flags(Self.openFlags))
        case (.mode1, "mode"): (.argument1, .flags(Self.modes))
        case (.mode2, "mode"): (.argument2, .flags(Self.modes))
        case (.request, "request"): (.argument0, .names(Self.requests))
        case (.domain, "domain"): (.argument0, .names(Self.domains))
        case (.command, "cmd"): (.argument0, .names(Self.commands))
        case (.namespaces, "flags"): (.argument0, .flags(Self.cloneFlags))
        case (.unlinking, "flags"): (.argument2, .flags([("AT_REMOVEDIR", 0x200)]))
        case (.protection, "prot"): (.argument2, .flags([("PROT_READ", 1), ("PROT_WRITE", 2), ("PROT_EXEC", 4)]))
        default: nil
        }
    }

    /// The argument that a number of the kernel's is.
    func argumentName(of source: KernelFilter.NumberSource) -> (name: String, text: ArgumentText)? {
        for name in ["flags", "mode", "request", "domain", "cmd", "prot"] {
            if let argument = argument(name), argument.source == source { return (name, argument.text) }
        }
        return nil
    }

    /// The field that has the path that the kernel looks at.
    var pathField: String {
        switch paths {
        case .none, .open: "fd.name"
        case .path, .ownedFile: "evt.arg.path"
        case .name: "evt.arg.name"
        case .oldName, .linkedName: "evt.arg.oldpath"
        case .linkTarget: "evt.arg.target"
        case .changedFile: "evt.arg.filename"
        case .ownedFileAt: "evt.arg.pathname"
        }
    }

    /// And the one that has the second.
    var secondPathField: String { paths == .linkTarget ? "evt.arg.linkpath" : "evt.arg.newpath" }

    // MARK: - Names

    /// Flags that mean the same on all architectures that Riposte runs on; the modes of access, which are no bits, are looked at apart.
    private static let openFlags: [(String, UInt64)] = [
        ("O_CREAT", 0o100), ("O_EXCL", 0o200), ("O_TRUNC", 0o1000), ("O_APPEND", 0o2000), ("O_NONBLOCK", 0o4000), ("O_CLOEXEC", 0o2_000_000),
    ]

    private static let modes: [(String, UInt64)] = [
        ("S_IXOTH", 0o1), ("S_IWOTH", 0o2), ("S_IROTH", 0o4), ("S_IXGRP", 0o10), ("S_IWGRP", 0o20), ("S_IRGRP", 0o40), ("S_IXUSR", 0o100), ("S_IWUSR", 0o200),
        ("S_IRUSR", 0o400), ("S_ISVTX", 0o1000), ("S_ISGID", 0o2000), ("S_ISUID", 0o4000),
    ]

    private static let cloneFlags: [(String, UInt64)] = [
        ("CLONE_NEWNS", 0x2_0000), ("CLONE_NEWCGROUP", 0x200_0000), ("CLONE_NEWUTS", 0x400_0000), ("CLONE_NEWIPC", 0x800_0000),
        ("CLONE_NEWUSER", 0x1000_0000), ("CLONE_NEWPID", 0x2000_0000), ("CLONE_NEWNET", 0x4000_0000),
    ]

    private static let requests: [(Int64, [String])] = [
        (0, ["PTRACE_TRACEME"]), (1, ["PTRACE_PEEKTEXT"]), (2, ["PTRACE_PEEKDATA"]), (3, ["PTRACE_PEEKUSR"]), (4, ["PTRACE_POKETEXT"]), (5, ["PTRACE_POKEDATA"]),
        (6, ["PTRACE_POKEUSR"]), (7, ["PTRACE_CONT"]), (8, ["PTRACE_KILL"]), (12, ["PTRACE_GETREGS"]), (13, ["PTRACE_SETREGS"]), (16, ["PTRACE_ATTACH"]),
        (17, ["PTRACE_DETACH"]), (0x4204, ["PTRACE_GETREGSET"]), (0x4205, ["PTRACE_SETREGSET"]), (0x4206, ["PTRACE_SEIZE"]), (0x4207, ["PTRACE_INTERRUPT"]),
    ]

    private static let domains: [(Int64, [String])] = [
        (1, ["AF_LOCAL", "AF_UNIX"]), (2, ["AF_INET"]), (10, ["AF_INET6"]), (16, ["AF_ROUTE", "AF_NETLINK"]), (17, ["AF_PACKET"]), (38, ["AF_ALG"]),
    ]

    private static let commands: [(Int64, [String])] = [
        (0, ["BPF_MAP_CREATE"]), (5, ["BPF_PROG_LOAD"]), (8, ["BPF_PROG_ATTACH"]), (9, ["BPF_PROG_DETACH"]), (17, ["BPF_RAW_TRACEPOINT_OPEN"]), (18, ["BPF_BTF_LOAD"]),
        (28, ["BPF_LINK_CREATE"]),
    ]

    /// By bit.
    static let capabilities =
        """
        CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW
        IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD
        LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
        """.split(whereSeparator: \.isWhitespace).map { "CAP_\($0)" }

    /// Of errno(3), but for second names of a number: no value is called by those.
    static let errors: [String: Int64] = Dictionary(
        uniqueKeysWithValues: """
            EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
            EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE
            """.split(whereSeparator: \.isWhitespace).enumerated().map { (String($1), Int64($0 + 1)) } + [
                ("ENAMETOOLONG", 36), ("ENOSYS", 38), ("ENOTEMPTY", 39), ("ELOOP", 40), ("ENOTSOCK", 88), ("EADDRINUSE", 98), ("EADDRNOTAVAIL", 99), ("ENETUNREACH", 101),
                ("ECONNABORTED", 103), ("ECONNRESET", 104), ("EISCONN", 106), ("ENOTCONN", 107), ("ETIMEDOUT", 110), ("ECONNREFUSED", 111), ("EHOSTUNREACH", 113),
                ("EALREADY", 114), ("EINPROGRESS", 115), ("ECANCELED", 125),
            ])
}
