internal import CNetfilter
internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// A netlink socket of one namespace. Requests and their answers come in turn; nobody else uses it meanwhile.
struct NetlinkSocket: ~Copyable {
    private let socket: OpaquePointer
    private static let bufferBytes = 1 << 17

    /// `bus` is NETLINK_NETFILTER or NETLINK_ROUTE. The socket stays in the context's namespace wherever it is used from.
    init(_ bus: Int32, in context: NetworkContext = .own) throws(ActionError) {
        let address = try context.within { () throws(ActionError) -> UInt in
            guard let socket = mnl_socket_open2(bus, Int32(SOCK_CLOEXEC.rawValue)), mnl_socket_bind(socket, 0, 0) == 0 else {
                throw NetlinkSocket.error(errno, "open a netlink socket")
            }
            return UInt(bitPattern: socket)
        }
        guard let socket = OpaquePointer(bitPattern: address) else { throw Self.error(ENOMEM, "open a netlink socket") }
        self.socket = socket
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var size = Int32(4 << 20)
        setsockopt(descriptor, SOL_SOCKET, Int32(SO_RCVBUFFORCE), &size, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, Int32(SO_SNDBUFFORCE), &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Hears from here on what the kernel tells to one of the bus's multicast groups.
    borrowing func join(_ group: Int32) throws(ActionError) {
        var group = group
        guard mnl_socket_setsockopt(socket, Int32(NETLINK_ADD_MEMBERSHIP), &group, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw Self.error(errno, "join a netlink group")
        }
    }

    borrowing func isReadable(within time: Duration) async -> Bool { await DescriptorWaiter.shared.readable(descriptor, within: time) }

    deinit { mnl_socket_close(socket) }

    private var descriptor: Int32 { mnl_socket_get_fd(socket) }

    borrowing func send(_ bytes: [UInt8], doing: String) throws(ActionError) {
        guard bytes.withUnsafeBytes({ mnl_socket_sendto(socket, $0.baseAddress, $0.count) }) == bytes.count else { throw Self.error(errno, doing) }
    }

    /// So often a list is asked for anew that was changed while the kernel told it.
    private static let dumpAttempts = 5

    /// Every message of a whole answer; `doing` is what the request asked for.
    borrowing func dump(_ request: [UInt8], doing: String, _ body: (UnsafePointer<nlmsghdr>) -> Void) throws(ActionError) {
        for _ in 0..<Self.dumpAttempts {
            var dump = NetlinkDump()
            try send(request, doing: doing)
            while try receive(waiting: true, doing: doing, { dump.take($0) }) {}
            if !dump.isInterrupted { return dump.forEach(body) }
        }
        throw ActionError(.busy, doing, "it changed each time while it was listed")
    }

    enum Verdict {
        case more
        case complete
        case failed(Int32)
    }

    /// Takes one datagram; false when the answer is complete, or, not waiting, when nothing is there.
    borrowing func receive(waiting: Bool, doing: String, _ body: (UnsafePointer<nlmsghdr>) -> Verdict) throws(ActionError) -> Bool {
        var buffer = [UInt8](repeating: 0, count: Self.bufferBytes)
        var count = -1
        repeat {
            count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, waiting ? 0 : Int32(MSG_DONTWAIT)) }
        } while count < 0 && errno == EINTR
        if count < 0 {
            guard errno == EAGAIN || errno == EWOULDBLOCK, !waiting else { throw Self.error(errno == EAGAIN ? ETIMEDOUT : errno, doing) }
            return false
        }
        var failure: Int32?
        var isComplete = false
        buffer.withUnsafeBytes { bytes in
            var left = Int32(count)
            var next = bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self)
            while let message = next, mnl_nlmsg_ok(message, left) {
                switch body(message) {
                case .more: break
                case .complete: isComplete = true
                case .failed(let code): failure = failure ?? code
                }
                next = UnsafePointer(mnl_nlmsg_next(message, &left))
            }
        }
        if let failure { throw Self.error(failure, doing) }
        return !isComplete
    }

    /// Of an NLMSG_ERROR: 0 is an acknowledgement.
    static func errorCode(_ message: UnsafePointer<nlmsghdr>) -> Int32 {
        guard let payload = mnl_nlmsg_get_payload(message) else { return EIO }
        return -payload.assumingMemoryBound(to: nlmsgerr.self).pointee.error
    }

    static func error(_ code: Int32, _ doing: String) -> ActionError {
        let answer = String(cString: strerror(code))
        switch code {
        case EPERM, EACCES: return ActionError(.denied, doing, answer, remedy: "run as root or with CAP_NET_ADMIN")
        case EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT: return ActionError(.unsupported, doing, answer, remedy: "the kernel lacks nf_tables or one of its parts")
        case EBUSY, EAGAIN, ERESTART: return ActionError(.busy, doing, answer)
        case EEXIST: return ActionError(.conflict, doing, answer)
        case ETIMEDOUT: return ActionError(.timeout, doing, answer)
        default: return ActionError(.unavailable, doing, answer)
        }
    }
}

/// The messages of one answer. Nothing is known of a list before it is complete: the kernel tells it in pieces, marks those after a change (NLM_F_DUMP_INTR), and
/// then some of it may be missing, or there twice.
struct NetlinkDump {
    private var messages: [UInt64] = []
    private(set) var isInterrupted = false

    mutating func take(_ message: UnsafePointer<nlmsghdr>) -> NetlinkSocket.Verdict {
        if message.pointee.nlmsg_flags & UInt16(NLM_F_DUMP_INTR) != 0 { isInterrupted = true }
        switch Int32(message.pointee.nlmsg_type) {
        case NLMSG_DONE: return .complete
        case NLMSG_ERROR:
            let code = NetlinkSocket.errorCode(message)
            return code == 0 ? .complete : .failed(code)
        default:
            keep(message)
            return message.pointee.nlmsg_flags & UInt16(NLM_F_MULTI) == 0 ? .complete : .more
        }
    }

    /// In whole words: the next header is aligned.
    private mutating func keep(_ message: UnsafePointer<nlmsghdr>) {
        let bytes = UnsafeRawBufferPointer(start: message, count: Int(message.pointee.nlmsg_len))
        let start = messages.count
        messages += [UInt64](repeating: 0, count: (bytes.count + 7) / 8)
        messages.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[(start * 8)...]).copyMemory(from: bytes) }
    }

    func forEach(_ body: (UnsafePointer<nlmsghdr>) -> Void) {
        messages.withUnsafeBytes { all in
            var rest = all[...]
            while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
                let message = start.assumingMemoryBound(to: nlmsghdr.self)
                body(message)
                rest = rest.dropFirst((Int(message.pointee.nlmsg_len) + 7) / 8 * 8)
            }
        }
    }
}

/// Builds one netlink message: header, family header, attributes.
struct NetlinkMessage {
    static let limit = 1 << 16

    /// The bytes of what `fill` puts after a header of this type and flags.
    static func build(type: Int32, flags: Int32, sequence: UInt32 = 1, _ fill: (UnsafeMutablePointer<nlmsghdr>) -> Void) -> [UInt8] {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: limit, alignment: 8)
        defer { buffer.deallocate() }
        guard let header = mnl_nlmsg_put_header(buffer) else { return [] }
        header.pointee.nlmsg_type = UInt16(type)
        header.pointee.nlmsg_flags = UInt16(flags)
        header.pointee.nlmsg_seq = sequence
        fill(header)
        return Array(UnsafeRawBufferPointer(start: buffer, count: Int(header.pointee.nlmsg_len)))
    }
}

/// Calls `body` with each attribute of a message behind a family header of `offset` bytes.
func forEachAttribute(of message: UnsafePointer<nlmsghdr>, after offset: Int, _ body: (UInt16, UnsafePointer<nlattr>) -> Void) {
    var next = mnl_nlmsg_get_payload_offset(message, offset).map { UnsafePointer($0.assumingMemoryBound(to: nlattr.self)) }
    let end = UnsafeRawPointer(message) + Int(message.pointee.nlmsg_len)
    while let attribute = next, mnl_attr_ok(attribute, Int32(end - UnsafeRawPointer(attribute))) {
        body(mnl_attr_get_type(attribute), attribute)
        next = UnsafePointer(mnl_attr_next(attribute))
    }
}

func forEachAttribute(inside nest: UnsafePointer<nlattr>, _ body: (UInt16, UnsafePointer<nlattr>) -> Void) {
    forEachAttribute(in: UnsafeRawBufferPointer(start: mnl_attr_get_payload(nest), count: Int(mnl_attr_get_payload_len(nest))), body)
}

func forEachAttribute(in bytes: UnsafeRawBufferPointer, _ body: (UInt16, UnsafePointer<nlattr>) -> Void) {
    guard let start = bytes.baseAddress else { return }
    let end = start + bytes.count
    var next: UnsafePointer<nlattr>? = UnsafePointer(start.assumingMemoryBound(to: nlattr.self))
    while let attribute = next, mnl_attr_ok(attribute, Int32(end - UnsafeRawPointer(attribute))) {
        body(mnl_attr_get_type(attribute), attribute)
        next = UnsafePointer(mnl_attr_next(attribute))
    }
}
