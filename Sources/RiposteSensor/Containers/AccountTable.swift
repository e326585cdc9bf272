internal import Glibc

/// Users and groups by number: of the host by `/etc/passwd` and `/etc/group`, of containers by the files of that name in them. The sensor's thread
/// alone uses it.
///
/// The name service is not asked: a directory behind the network would have to be waited for, so users who are only there have no name. What is
/// in a container's files its root has written; it says what they are called there and nothing else.
package final class AccountTable {
    /// The texts lie in memory that stays until the event after the one that they were asked for.
    package final class User {
        package let name: UnsafeRawBufferPointer
        package let home: UnsafeRawBufferPointer
        package let shell: UnsafeRawBufferPointer

        init(name: UnsafeRawBufferPointer, home: UnsafeRawBufferPointer, shell: UnsafeRawBufferPointer) { (self.name, self.home, self.shell) = (name, home, shell) }
    }

    struct Limits: Sendable {
        /// Mount namespaces, and the bytes of all their tables; those used longest ago go first.
        var namespaces = 256
        var bytes = 32 << 20
        /// How often files are looked at for changes.
        var hostPause = Duration.seconds(1)
        var containerPause = Duration.seconds(3)
        /// How long the sensor's thread waits for the files of a namespace that it sees for the first time.
        var patience = Duration.milliseconds(5)
        /// Who reads for longer hangs, and takes no place of others.
        var hanging = Duration.seconds(1)
    }

    private struct Host {
        var book = AccountBook.empty
        var stamp: AccountFiles.Stamp?
        var lookedAt: UInt64?
    }

    /// The kernel gives the number of a mount namespace that has ended away again, to another container's at once.
    private struct Key: Hashable {
        let mountNamespace: UInt32
        let container: ContainerReference
    }

    private struct Namespace {
        var book: AccountBook?
        var stamp: AccountFiles.Stamp?
        var lookedAt: UInt64
        var usedAt: UInt64
        /// Of the process whose files were read last.
        var pid: UInt32
        /// Under way.
        var order: AccountReader.Order?
        /// Processes that had ended, or did not stand for the namespace, before one did.
        var misses = 0
        /// Nobody waits for it any more.
        var isLate = false
    }

    /// So many processes of a namespace are tried one after the other until one stands for it; then one per pause.
    private static let missLimit = 8

    private let limits: Limits
    private let root: CInt
    private let reader: AccountReader
    /// Nanoseconds of a clock that only goes forward.
    private let clock: () -> UInt64
    private var host = Host()
    private var namespaces: [Key: Namespace] = [:]
    /// Replaced or forgotten during this event; values of it may still point into them.
    private var retired: [AccountBook] = []
    private var bookBytes = 0
    private let superuser = User(name: text("root"), home: text("/root"), shell: text("<NA>"))

    /// How often a container's files did not come in time.
    package private(set) var lateCount: UInt64 = 0

    /// `hostRoot`: below which the host's `etc/passwd` is; another than `/` for an agent that itself runs in a container.
    package convenience init(hostRoot: String = "/") {
        self.init(hostRoot: hostRoot, read: AccountFiles.ofContainer(pid:mountNamespace:known:)) { monotonicNanoseconds() }
    }

    init(hostRoot: String, limits: Limits = Limits(), read: @escaping AccountReader.Read, clock: @escaping () -> UInt64) {
        self.limits = limits
        root = open(hostRoot, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        reader = AccountReader(patience: limits.hanging, read)
        self.clock = clock
    }

    deinit { if root >= 0 { close(root) } }

    /// A new event is judged: what was given out for the one before is void.
    package func beginEvent() {
        if !retired.isEmpty { retired.removeAll(keepingCapacity: true) }
    }

    /// Nil where the id has no entry; 0 always has one. `pid` is a process in the mount namespace, whose inode number is given.
    package func user(_ id: UInt32, mountNamespace: UInt32, pid: UInt32, container: ContainerReference) -> User? {
        book(mountNamespace, pid, container)?.users[id] ?? (id == 0 ? superuser : nil)
    }

    /// The same of groups: the name.
    package func group(_ id: UInt32, mountNamespace: UInt32, pid: UInt32, container: ContainerReference) -> UnsafeRawBufferPointer? {
        book(mountNamespace, pid, container)?.groups[id] ?? (id == 0 ? Self.text("root") : nil)
    }

    private static func text(_ string: StaticString) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: string.utf8Start, count: string.utf8CodeUnitCount) }

    private func book(_ mountNamespace: UInt32, _ pid: UInt32, _ container: ContainerReference) -> AccountBook? {
        if container.isHost { return hostBook() }
        return mountNamespace == 0 ? nil : containerBook(Key(mountNamespace: mountNamespace, container: container), pid)
    }

    private func isDue(_ lookedAt: UInt64, _ pause: Duration, _ now: UInt64) -> Bool { now &- lookedAt >= UInt64(clamping: Int64(pause / .nanoseconds(1))) }

    // MARK: - The host

    private func hostBook() -> AccountBook {
        let now = clock()
        if let lookedAt = host.lookedAt, !isDue(lookedAt, limits.hostPause, now) { return host.book }
        host.lookedAt = now
        guard root >= 0, case .read(let book, let stamp) = AccountFiles.below(root, known: host.stamp, limits: .host) else { return host.book }
        retired.append(host.book)
        (host.book, host.stamp) = (book, stamp)
        return book
    }

    // MARK: - Containers

    private func containerBook(_ key: Key, _ pid: UInt32) -> AccountBook? {
        let now = clock()
        guard let index = namespaces.index(forKey: key) else {
            namespaces[key] = Namespace(lookedAt: now, usedAt: now, pid: pid)
            makeRoom(sparing: key)
            return look(at: key, pid, now, within: limits.patience)
        }
        namespaces.values[index].usedAt = now
        let known = namespaces.values[index]
        if let order = known.order {
            guard let outcome = order.outcome else { return known.book }
            return take(outcome, for: key)
        }
        if isDue(known.lookedAt, limits.containerPause, now) {
            // Read by others while this event goes on with what is known.
            return look(at: key, pid, now, within: known.book == nil && !known.isLate ? limits.patience : .zero)
        }
        guard known.book == nil, known.pid != pid, known.misses < Self.missLimit, !known.isLate else { return known.book }
        return look(at: key, pid, now, within: limits.patience)
    }

    private func look(at key: Key, _ pid: UInt32, _ now: UInt64, within patience: Duration) -> AccountBook? {
        guard let index = namespaces.index(forKey: key) else { return nil }
        let order = reader.order(pid: pid, mountNamespace: key.mountNamespace, container: key.container, known: namespaces.values[index].stamp)
        (namespaces.values[index].order, namespaces.values[index].pid, namespaces.values[index].lookedAt) = (order, pid, now)
        guard patience > .zero else { return namespaces.values[index].book }
        if let outcome = order?.wait(patience) { return take(outcome, for: key) }
        namespaces.values[index].isLate = true
        lateCount &+= 1
        return nil
    }

    private func take(_ outcome: AccountFiles.Outcome, for key: Key) -> AccountBook? {
        guard let index = namespaces.index(forKey: key) else { return nil }
        namespaces.values[index].order = nil
        switch outcome {
        case .unchanged: break
        case .notThere: namespaces.values[index].misses += 1
        case .read(let book, let stamp):
            retire(namespaces.values[index].book)
            bookBytes += book.byteCount
            (namespaces.values[index].book, namespaces.values[index].stamp, namespaces.values[index].misses) = (book, stamp, 0)
            makeRoom(sparing: key)
        }
        return namespaces[key]?.book
    }

    private func makeRoom(sparing kept: Key) {
        while namespaces.count > limits.namespaces || bookBytes > limits.bytes {
            guard let oldest = namespaces.filter({ $0.key != kept }).min(by: { $0.value.usedAt < $1.value.usedAt })?.key else { return }
            retire(namespaces.removeValue(forKey: oldest)?.book)
        }
    }

    private func retire(_ book: AccountBook?) {
        guard let book else { return }
        bookBytes -= book.byteCount
        retired.append(book)
    }
}

/// CLOCK_MONOTONIC.
private func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
