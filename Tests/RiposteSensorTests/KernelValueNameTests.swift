import Testing

@testable import RiposteRules
@testable import RiposteSensor

@Suite("Names that the kernel's filters know are those that rules see")
struct KernelValueNameTests {
    /// By type of event and argument, the table that its text comes from.
    @Test(
        "each name is told of its number, and no other one is",
        arguments: [
            ("openat", "flags", "file"), ("chmod", "mode", "chmod"), ("fchmodat", "mode", "chmod"), ("ptrace", "request", "ptrace"), ("socket", "domain", "family"),
            ("bpf", "cmd", "bpf"),
            ("unshare", "flags", "clone"), ("setns", "flags", "clone"), ("mprotect", "prot", "prot"), ("unlinkat", "flags", "unlinkat"),
        ])
    func names(_ type: String, _ argument: String, _ table: String) {
        let names = ValueNames.named(table)
        func told(_ native: UInt32) -> [String] {
            let entries = names.entries.filter { names.form == .enumeration ? $0.native == native : $0.native != 0 && native & $0.native == $0.native }
            return entries.map { String(decoding: $0.name, as: UTF8.self) }
        }
        switch CallTraits(type).argument(argument)?.text {
        case .flags(let flags): for flag in flags { #expect(told(UInt32(flag.bits)) == [flag.name], "\(type) \(flag)") }
        case .names(let values): for (number, known) in values { #expect(told(UInt32(number)).sorted() == known.sorted(), "\(type) \(number)") }
        case nil: break
        }
    }
}
