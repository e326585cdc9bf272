internal import CRiposte
internal import Glibc

/// Reads passwd and group files: the host's own, and those that a process in a container sees.
///
/// The container's are written by whoever is root in it. Nothing there leads out of its root, only regular files are opened and only so much of them is
/// read; a process that has changed its root by chroot(2), which even a user without rights can in a user namespace of his own, does not speak for
/// its container.
enum AccountFiles {
    /// What tells whether a file has changed.
    struct Stamp: Equatable, Sendable {
        var passwd: [Int64]
        var group: [Int64]
    }

    enum Outcome: Sendable {
        case unchanged
        case read(AccountBook, Stamp)
        /// The process has ended, or does not stand for the mount namespace.
        case notThere
    }

    /// Of the process `pid`, if it is in the mount namespace whose inode number is given. May wait as long as the container's file system lets it.
    static func ofContainer(pid: UInt32, mountNamespace: UInt32, known: Stamp?) -> Outcome {
        // One descriptor for all: were the process to end now, its successor of the same number would not be looked at.
        let process = open("/proc/\(pid)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard process >= 0 else { return .notThere }
        defer { close(process) }
        var namespace = stat()
        guard fstatat(process, "ns/mnt", &namespace, 0) == 0, namespace.st_ino == ino_t(mountNamespace), isOwnRoot(process) else { return .notThere }
        let root = openat(process, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { return .notThere }
        defer { close(root) }
        return below(root, known: known, limits: AccountBook.Limits())
    }

    /// Whether its root is that of its mount namespace.
    private static func isOwnRoot(_ process: CInt) -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2) { text in
            guard let start = text.baseAddress else { return false }
            return readlinkat(process, "root", start, text.count) == 1 && start.pointee == CChar(bitPattern: UInt8(ascii: "/"))
        }
    }

    /// `etc/passwd` and `etc/group` below an open directory. A file that is not there, or is none to read, is empty.
    static func below(_ root: CInt, known: Stamp?, limits: AccountBook.Limits) -> Outcome {
        let passwd = OpenFile(below: root, "etc/passwd")
        let group = OpenFile(below: root, "etc/group")
        let stamp = Stamp(passwd: passwd.stamp, group: group.stamp)
        guard stamp != known else { return .unchanged }
        return .read(AccountBook(passwd: passwd.bytes(limits.fileBytes), group: group.bytes(limits.fileBytes), limits: limits), stamp)
    }

    private struct OpenFile: ~Copyable {
        private let descriptor: CInt
        /// Empty where there is no such file.
        let stamp: [Int64]

        init(below root: CInt, _ path: String) {
            // Not by way of `self` until it is whole: the optimizer of Swift 6.3 takes the right side of `&&`, which is a closure, for its last user, and
            // releases the stamp that is not there yet.
            let file = riposte_open_regular_below(root, path)
            var facts = stat()
            let isThere = file >= 0 && fstat(file, &facts) == 0
            descriptor = file
            stamp =
                isThere
                ? [
                    Int64(bitPattern: UInt64(facts.st_dev)), Int64(bitPattern: UInt64(facts.st_ino)), Int64(facts.st_size), Int64(facts.st_mtim.tv_sec),
                    Int64(facts.st_mtim.tv_nsec), Int64(facts.st_ctim.tv_sec), Int64(facts.st_ctim.tv_nsec),
                ] : []
        }

        deinit { if descriptor >= 0 { close(descriptor) } }

        /// Its beginning, up to the last whole line where it is longer than `limit`; empty where it cannot be read.
        func bytes(_ limit: Int) -> [UInt8] {
            guard descriptor >= 0 else { return [] }
            var result: [UInt8] = []
            let isRead = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 1) { buffer in
                while result.count <= limit {
                    let count = read(descriptor, buffer.baseAddress, buffer.count)
                    if count < 0, errno == EINTR { continue }
                    guard count >= 0 else { return false }
                    if count == 0 { break }
                    result.append(contentsOf: buffer.prefix(count))
                }
                return true
            }
            guard isRead else { return [] }
            guard result.count > limit else { return result }
            return Array(result.prefix(limit).prefix(through: result.prefix(limit).lastIndex(of: UInt8(ascii: "\n")) ?? 0))
        }
    }
}
