import CRiposte
import RiposteRules
import Testing

@testable import RiposteSensor

@Suite("System calls")
struct SystemCallTests {
    #if arch(x86_64)
        @Test(
            "numbers of both ABIs",
            arguments: [
                (0, false, "read"), (2, false, "open"), (17, false, "pread"), (59, false, "execve"), (257, false, "openat"), (262, false, "newfstatat"), (302, false, "prlimit"),
                (435, false, "clone3"), (452, false, "fchmodat2"), (5, true, "open"), (11, true, "execve"), (23, true, "setuid"), (213, true, "setuid"), (295, true, "openat"),
                (221, true, "fcntl"),
            ])
        func numbers(number: Int32, isCompat: Bool, name: String) {
            #expect(SystemCall.number(nr: number, isCompat: isCompat)?.type.name == name)
        }

        @Test("places in the kernel's table")
        func places() throws {
            #expect(SystemCall.tableIndices(for: try type("openat")) == [257, 512 + 295])
            #expect(SystemCall.tableIndices(for: try type("setuid")) == [105, 512 + 23, 512 + 213])
            #expect(SystemCall.tableIndices(for: try type("procexit")) == [])
        }
    #endif

    @Test("numbers that are no call", arguments: [-1, 511, 512, 100_000] as [Int32])
    func noNumbers(number: Int32) {
        #expect(SystemCall.number(nr: number, isCompat: false) == nil)
        #expect(SystemCall.number(nr: number, isCompat: true) == nil)
    }

    @Test(
        "what the kernel side reads",
        arguments: [
            ("openat", "path1 1 base1 0 fd -2 flags 2 mode 3 kind 1"), ("open", "path1 0 fd -2 flags 1 mode 2 kind 1"), ("unlinkat", "path1 1 base1 0 fd 0 kind 0"),
            ("renameat2", "path1 1 base1 0 path2 3 base2 2 kind 0"), ("symlinkat", "path1 0 path2 2 base2 1 fd 1 kind 0"), ("execveat", "path1 1 base1 0 kind 4"),
            ("connect", "fd 0 address 1 length 2 kind 2"), ("read", "fd 0 data 1 data length -2 kind 0"), ("getpid", "kind 0"),
        ])
    func kernelCalls(name: String, expected: String) throws {
        let call = try #require(SystemCall.named(try type(name))).kernelCall
        let members: [(String, Int8)] = [
            ("path1", call.path1), ("base1", call.base1), ("path2", call.path2), ("base2", call.base2), ("fd", call.fd), ("address", call.address), ("length", call.address_length),
            ("data", call.data), ("data length", call.data_length), ("flags", call.open_flags), ("mode", call.open_mode), ("extra", call.extra),
        ]
        let text = members.filter { $0.1 != -1 }.map { "\($0.0) \($0.1)" } + ["kind \(call.kind)"]
        #expect(text.joined(separator: " ") == expected)
        #expect(call.wanted == 0 && call.filter == 0)
    }

    @Test("every row of the table is read, and every call has a place")
    func wholeTable() {
        for type in EventType.all.map({ EventType(rawValue: $0) }) {
            guard let call = SystemCall.named(type) else { continue }
            #expect(call.type == type)
            #expect(type.name == "procexit" || !call.facts.pointee.traits.contains(.isNoCall), "\(type)")
        }
        #expect(SystemCall.stateKeeping.count == 8)
    }

    private func type(_ name: String) throws -> EventType { try #require(EventType(named: name)) }
}
