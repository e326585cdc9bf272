/// Names of error numbers and signals, as Falco prints them.
enum KernelNames {
    /// Of a positive error number; nil where it has none.
    static func error(_ number: Int64) -> UnsafeRawBufferPointer? {
        guard number > 0, number < Int64(errors.count) else { return nil }
        let name = errors[Int(number)]
        return name.isEmpty ? nil : name
    }

    static func signal(_ number: UInt8) -> UnsafeRawBufferPointer? {
        guard number > 0, Int(number) <= signals.count else { return nil }
        return signals[Int(number) - 1]
    }

    // Both are made once and never changed: any thread may read.
    nonisolated(unsafe) private static let errors: UnsafeBufferPointer<UnsafeRawBufferPointer> = {
        var names = [UnsafeRawBufferPointer](repeating: .nothing, count: 532)
        for (index, name) in common.split(whereSeparator: \.isWhitespace).enumerated() where name != "-" { names[index + 1] = .kept(name) }
        for (index, name) in internals.split(whereSeparator: \.isWhitespace).enumerated() where name != "-" { names[index + 512] = .kept(name) }
        return .kept(names)
    }()

    nonisolated(unsafe) private static let signals = UnsafeBufferPointer<UnsafeRawBufferPointer>.kept(signalText.split(whereSeparator: \.isWhitespace).map { .kept($0) })

    /// From 1 (asm-generic/errno-base.h, errno.h); `-` for those that are not used.
    private static let common = """
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY
        ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG
        EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP
        EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE
        ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
        ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO
        EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
        """

    /// From 512 (linux/errno.h): seen where a call is interrupted and begun again.
    private static let internals = """
        ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ENOIOCTLCMD ERESTART_RESTARTBLOCK EPROBE_DEFER EOPENSTALE ENOPARAM - EBADHANDLE ENOTSYNC EBADCOOKIE ENOTSUPP ETOOSMALL
        ESERVERFAULT EBADTYPE EJUKEBOX EIOCBQUEUED ERECALLCONFLICT ENOGRACE
        """

    /// From 1 (asm-generic/signal.h).
    private static let signalText = """
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN
        SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
        """
}
