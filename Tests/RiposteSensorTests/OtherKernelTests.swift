import Foundation
import RiposteTestSupport
import Testing

/// The most important live tests of the sensor once more, on kernels that are not this machine's: their verifiers and structures differ, and only they can tell. `make test-kernels` runs
/// more of them.
///
/// `RIPOSTE_KERNELS`: which; `make test` says so. Without it those that have been unpacked here.
@Suite(
    "the sensor on other kernels, in emulated machines", .serialized,
    .enabled(if: !isGuest && Machine.isRoot && Machine.has("qemu-system-x86_64"), "needs root and qemu-system-x86; not in such a machine itself"),
    .enabled(if: !kernels.isEmpty, "needs kernels: make test-kernels unpacks them"))
struct OtherKernelTests {
    @Test("its live tests pass", arguments: kernels)
    func live(_ kernel: String) throws {
        let run = try #require(Self.runs[kernel]).get()
        let status = run.child.waitForExit()
        let output = try String(contentsOfFile: run.folder.path + "/output", encoding: .utf8)
        #expect(status == 0, "\(output.suffix(8000))")
    }

    /// All at once: each has one processor.
    private static let runs = Dictionary(uniqueKeysWithValues: kernels.map { kernel in (kernel, Result { try Run(kernel) }) })

    /// One guest, and what is told of it.
    private struct Run {
        let folder: TemporaryFolder
        let child: ChildProcess

        init(_ kernel: String) throws {
            folder = try TemporaryFolder()
            folder.removeAtExit()
            let descriptor = open(try folder.file("output"), O_WRONLY | O_CLOEXEC)
            defer { close(descriptor) }
            child = try ChildProcess(["python3", sources + "/Tests/Kernels/kernels.py", "run", "--brief", "--bundle", CommandLine.arguments[0], kernel], output: descriptor)
        }
    }
}

private let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
private let isGuest = ProcessInfo.processInfo.environment["RIPOSTE_GUEST"] != nil

private let kernels: [String] = {
    let folder = sources + "/.build-kernels"
    func isThere(_ name: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: name.contains("/") ? name : "\(folder)/\(name)", isDirectory: &isFolder) && isFolder.boolValue
    }
    let names = ProcessInfo.processInfo.environment["RIPOSTE_KERNELS"]?.split(separator: " ").map(String.init)
    return (names ?? (try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted() ?? []).filter(isThere)
}()
