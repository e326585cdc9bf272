internal import RiposteCore

/// What a standard stream of a process leads to, in the words of `fd.type` and `fd.name`.
struct StandardStream {
    let type: String
    let name: [UInt8]

    private static let formatMask: UInt32 = 0o170000
    private static let directory: UInt32 = 0o040000

    /// Nil where the descriptor is closed.
    init?(_ number: Int, _ folder: borrowing ProcessFolder, _ buffer: ProcessReadBuffer) {
        guard let link = folder.link("fd/\(number)", into: buffer).map(Array.init) else { return nil }
        if link.first == UInt8(ascii: "/") {
            let isMemory = link.starts(with: "/memfd:".utf8)
            let isDirectory = folder.status(at: "fd/\(number)").map { UInt32($0.st_mode) & Self.formatMask == Self.directory } ?? false
            self.init(type: isMemory ? "memfd" : isDirectory ? "directory" : "file", name: Self.withoutDeleted(link))
        } else if let inode = Self.number(in: link, after: "socket:[") {
            self = SocketTable.stream(inode: inode, folder) ?? StandardStream(type: "<NA>", name: [])
        } else if link.starts(with: "pipe:".utf8) {
            self.init(type: "pipe", name: [])
        } else {
            self.init(type: Self.types.first { link.starts(with: $0.link.utf8) }?.type ?? "<NA>", name: [])
        }
    }

    init(type: String, name: [UInt8]) { (self.type, self.name) = (type, name) }

    private static let types: [(link: String, type: String)] = [
        ("anon_inode:[eventpoll]", "eventpoll"), ("anon_inode:[eventfd]", "event"), ("anon_inode:[signalfd]", "signalfd"), ("anon_inode:inotify", "inotify"),
        ("anon_inode:[timerfd]", "timerfd"), ("anon_inode:bpf-", "bpf"), ("anon_inode:[userfaultfd]", "userfaultfd"), ("anon_inode:[io_uring]", "io_uring"),
        ("anon_inode:[pidfd]", "pidfd"), ("pidfd:", "pidfd"),
    ]

    private static func withoutDeleted(_ path: [UInt8]) -> [UInt8] {
        let suffix = Array(" (deleted)".utf8)
        return path.suffix(suffix.count).elementsEqual(suffix) ? path.dropLast(suffix.count) : path
    }

    private static func number(in text: [UInt8], after prefix: String) -> UInt64? {
        guard text.starts(with: prefix.utf8) else { return nil }
        return UInt64(String(decoding: text.dropFirst(prefix.utf8.count).prefix { $0 != UInt8(ascii: "]") }, as: UTF8.self))
    }
}

/// The kernel's tables of sockets of a network namespace, as text.
private enum SocketTable {
    /// `0A` in the column of states: TCP_LISTEN.
    private static let listening = "0A"

    /// A socket by its inode, looked for in the process's own network namespace; nil where it is in none of the tables.
    static func stream(inode: UInt64, _ folder: borrowing ProcessFolder) -> StandardStream? {
        for (file, type) in [("tcp", "ipv4"), ("tcp6", "ipv6"), ("udp", "ipv4"), ("udp6", "ipv6")] {
            guard let text = folder.wholeText("net/\(file)"), let name = name(inode: inode, in: text, isTCP: file.hasPrefix("tcp")) else { continue }
            return StandardStream(type: type, name: Array(name.utf8))
        }
        guard let text = folder.wholeText("net/unix") else { return nil }
        for line in text.split(separator: "\n").dropFirst() {
            let words = line.split(separator: " ", maxSplits: 7)
            guard words.count > 6, UInt64(words[6]) == inode else { continue }
            return StandardStream(type: "unix", name: words.count > 7 ? Array(words[7].utf8) : [])
        }
        return StandardStream.netlink(inode: inode, folder)
    }

    /// `client->server`, or the bound end alone. The end of this host is the server where somebody here listens on its port.
    private static func name(inode: UInt64, in text: String, isTCP: Bool) -> String? {
        let rows = text.split(separator: "\n").dropFirst().map { $0.split(separator: " ") }.filter { $0.count > 9 }
        guard let own = rows.first(where: { UInt64($0[9]) == inode }), let local = end(own[1]), let remote = end(own[2]) else { return nil }
        guard remote.port != 0 else { return local.text }
        let isServer = isTCP && rows.contains { $0[3] == listening && $0[1].hasSuffix(own[1].suffix(5)) }
        return isServer ? "\(remote.text)->\(local.text)" : "\(local.text)->\(remote.text)"
    }

    /// `0100007F:0016`: address in words of the host's byte order, port.
    private static func end(_ text: Substring) -> (text: String, port: UInt16)? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16) else { return nil }
        var bytes: [UInt8] = []
        var digits = parts[0]
        while digits.count >= 8 {
            guard let word = UInt32(digits.prefix(8), radix: 16) else { return nil }
            withUnsafeBytes(of: word) { bytes += $0 }
            digits = digits.dropFirst(8)
        }
        let isMapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        guard let address = IPAddress(bytes: isMapped ? bytes.suffix(4) : bytes[...]) else { return nil }
        return ("\(address):\(port)", port)
    }
}

extension StandardStream {
    fileprivate static func netlink(inode: UInt64, _ folder: borrowing ProcessFolder) -> StandardStream? {
        guard let text = folder.wholeText("net/netlink") else { return nil }
        let isThere = text.split(separator: "\n").dropFirst().contains { $0.split(separator: " ").last.flatMap { UInt64($0) } == inode }
        return isThere ? StandardStream(type: "netlink", name: []) : nil
    }
}
