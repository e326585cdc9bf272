import Foundation
import RiposteTestSupport
import Testing

/// The live tests of the sensor once more, on kernels that are not this machine's: their verifiers and structures differ, and only they can tell.
///
/// `RIPOSTE_KERNELS`: which; `make test` says so. Without it those that have been unpacked here.
@Suite(
    "the sensor on other kernels, in emulated machines", .serialized,
    .enabled(if: !isGuest && Machine.isRoot && Machine.has("qemu-system-x86_64"), "needs root and qemu-system-x86; not in such a machine itself"),
    .enabled(if: !kernels.isEmpty, "needs kernels: make test-kernels unpacks them"))
struct OtherKernelTests {
    @Test("its live tests pass", arguments: kernels)
    func live(_ kernel: String) throws {
        let (status, output) = try run(["python3", sources + "/Tests/Kernels/kernels.py", "run", "--bundle", CommandLine.arguments[0], kernel])
        #expect(status == 0, "\(output.suffix(8000))")
    }
}

private let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
private let isGuest = ProcessInfo.processInfo.environment["RIPOSTE_GUEST"] != nil

private let kernels: [String] = {
    if let names = ProcessInfo.processInfo.environment["RIPOSTE_KERNELS"] { return names.split(separator: " ").map(String.init) }
    let folder = URL(fileURLWithPath: sources + "/.build-kernels")
    let entries = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.isDirectoryKey])) ?? []
    return entries.filter(\.hasDirectoryPath).map(\.lastPathComponent).sorted()
}()
