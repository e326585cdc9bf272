internal import Foundation
internal import Glibc
internal import RiposteCore

/// A file that is appended to and, when it is large or old enough, put aside: `path.1` is the newest of those, and so many are kept.
struct RotatingFile: ~Copyable {
    struct Policy: Sendable {
        enum Sync: String, CaseIterable, Sendable {
            /// The kernel writes when it likes.
            case never
            /// On the medium before a batch counts as delivered.
            case always
        }

        var size = 100 << 20
        var age: Duration?
        var kept = 5
        var sync = Sync.never
        var mode: UInt32 = 0o640
    }

    private let path: String
    private let policy: Policy
    private var file: Int32 = -1
    private var length = 0
    private var identity: (device: UInt64, number: UInt64) = (0, 0)

    init(path: String, policy: Policy) {
        self.path = path
        self.policy = policy
    }

    deinit { if file >= 0 { Glibc.close(file) } }

    /// Whole lines, or none: what could be written in part only is taken back.
    mutating func append(_ lines: [UInt8], at now: Timestamp) throws(OutputFileError) {
        if file >= 0, !isInPlace() { close() }
        if file < 0 { try open() }
        if length > 0, length + lines.count > policy.size || isOld(at: now) {
            try rotate()
            try open()
        }
        var written = 0
        while written < lines.count {
            let count = lines.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + written }, lines.count - written) }
            if count > 0 { written += count } else if errno != EINTR { try takeBack(errno) }
        }
        if policy.sync == .always, fdatasync(file) != 0 { try takeBack(errno) }
        length += lines.count
    }

    private mutating func takeBack(_ problem: Int32) throws(OutputFileError) {
        // Only ever shorter: to make one longer again that somebody has cut meanwhile would fill it with zeros.
        var facts = stat()
        if fstat(file, &facts) == 0, Int(facts.st_size) > length { ftruncate(file, off_t(length)) }
        close()
        throw OutputFileError("write \(path)", problem)
    }

    mutating func close() {
        if file >= 0 { Glibc.close(file) }
        file = -1
    }

    /// Somebody may have moved it away, as logrotate does, or, with copytruncate, made it shorter.
    private mutating func isInPlace() -> Bool {
        var facts = stat()
        guard stat(path, &facts) == 0, (UInt64(facts.st_dev), UInt64(facts.st_ino)) == identity else { return false }
        length = Int(facts.st_size)
        return true
    }

    private mutating func open() throws(OutputFileError) {
        // Never through a link that somebody else put there, and never waiting for a pipe's other end.
        file = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, policy.mode)
        guard file >= 0 else { throw OutputFileError(errno == ELOOP ? "open \(path), a symbolic link" : "open \(path)", errno) }
        var facts = stat()
        guard fstat(file, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close()
            throw OutputFileError("open \(path): it is no regular file", EINVAL)
        }
        length = Int(facts.st_size)
        identity = (UInt64(facts.st_dev), UInt64(facts.st_ino))
        try dropTornEnd()
    }

    /// A line that an end of the agent or a full disk left unfinished is taken away: it was not acknowledged and comes again.
    private mutating func dropTornEnd() throws(OutputFileError) {
        guard length > 0 else { return }
        let reader = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard reader >= 0 else { return }
        defer { Glibc.close(reader) }
        let window = min(length, 4 << 20)
        let bytes = [UInt8](unsafeUninitializedCapacity: window) { buffer, count in
            count = max(0, pread(reader, buffer.baseAddress, window, off_t(length - window)))
        }
        guard let last = bytes.last, last != UInt8(ascii: "\n"), let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
        let whole = length - bytes.count + end + 1
        guard ftruncate(file, off_t(whole)) == 0 else { throw OutputFileError("truncate \(path)", errno) }
        length = whole
    }

    // MARK: - Rotation

    /// By the end of its period: with `every: 24h` at midnight UTC, whenever it was begun.
    private func isOld(at now: Timestamp) -> Bool {
        guard let age = policy.age?.wholeNanoseconds, age > 0 else { return false }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { return false }
        let changed = Int64(facts.st_mtim.tv_sec) * 1_000_000_000 + Int64(facts.st_mtim.tv_nsec)
        return changed / age < now.nanoseconds / age
    }

    private mutating func rotate() throws(OutputFileError) {
        close()
        unlink("\(path).\(policy.kept)")
        for number in stride(from: policy.kept - 1, through: 1, by: -1) { rename("\(path).\(number)", "\(path).\(number + 1)") }
        guard rename(path, "\(path).1") == 0 else { throw OutputFileError("rename \(path)", errno) }
    }
}
