import CNetfilter
import Glibc
@testable import RiposteActions
import Testing

@Suite("Answers of netlink")
struct NetlinkDumpTests {
    private static func message(_ type: Int32, _ flags: Int32, _ payload: [UInt8]) -> [UInt8] {
        NetlinkMessage.build(type: type, flags: flags) { header in
            mnl_nlmsg_put_extra_header(header, payload.count)?.copyMemory(from: payload, byteCount: payload.count)
        }
    }

    private static func take(_ messages: [[UInt8]]) -> NetlinkDump {
        var dump = NetlinkDump()
        for bytes in messages {
            bytes.withUnsafeBytes { bytes in
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
                defer { buffer.deallocate() }
                buffer.copyMemory(from: bytes)
                if let start = buffer.baseAddress { _ = dump.take(UnsafePointer(start.assumingMemoryBound(to: nlmsghdr.self))) }
            }
        }
        return dump
    }

    private static func list(_ mark: Int32 = 0, on index: Int? = nil) -> [[UInt8]] {
        let parts = (1...3).map { message(Int32(RTM_NEWLINK), NLM_F_MULTI | (index == $0 ? mark : 0), [UInt8](repeating: UInt8($0), count: $0 * 5)) }
        return parts + [message(NLMSG_DONE, NLM_F_MULTI | (index == 4 ? mark : 0), [0, 0, 0, 0])]
    }

    @Test("an answer in several messages is given out whole, in its order")
    func whole() {
        var payloads: [[UInt8]] = []
        let dump = Self.take(Self.list())
        dump.forEach { message in
            // Padded to words of four bytes by the kernel.
            payloads.append(Array(UnsafeRawBufferPointer(start: mnl_nlmsg_get_payload(message), count: Int(message.pointee.nlmsg_len) - 16)).filter { $0 != 0 })
        }
        #expect(payloads == (1...3).map { [UInt8](repeating: UInt8($0), count: $0 * 5) } && !dump.isInterrupted)
    }

    @Test("a list that was changed while it was told is not taken for complete, wherever the kernel says so", arguments: 1...4)
    func interrupted(index: Int) { #expect(Self.take(Self.list(NLM_F_DUMP_INTR, on: index)).isInterrupted) }
}
