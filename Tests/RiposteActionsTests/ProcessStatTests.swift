@testable import RiposteActions
import RiposteCore
import Testing

@Suite("/proc/PID/stat")
struct ProcessStatTests {
    @Test(
        "a name may hold any byte, and begins and ends where the kernel says",
        arguments: [
            ("1 (sleep) S 7 1 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 1", "sleep"),
            ("1 (a) R 9) S 7 1 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 1", "a) R 9"),
            ("1 (new\nline) S 7 1 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 1", "new\nline"),
            ("1 () S 7 1 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 1", ""),
        ])
    func names(line: String, name: String) throws {
        let stat = try #require(ProcessStat(parsing: Array(line.utf8)))
        #expect(stat.name == ByteText(name))
        #expect(stat.parent == 7)
        #expect(stat.startTicks == 4711)
        #expect(!stat.isKernelThread && !stat.isZombie && !stat.isStopped)
    }

    @Test("kernel threads are known by their flag", arguments: [(UInt32(0x0020_8040), true), (4_194_560, false)])
    func kernelThreads(flags: UInt32, isKernelThread: Bool) throws {
        let stat = try #require(ProcessStat(parsing: Array("2 (kthreadd) S 0 0 0 0 -1 \(flags) 1 0 0 0 0 0 0 0 20 0 1 0 5 5 1".utf8)))
        #expect(stat.isKernelThread == isKernelThread)
    }

    @Test("what is no stat line is none", arguments: ["", "1", "1 (x", "1 (x) S 7", ") 1 (", "x (y) S 7 1 2 0 -1 1 1 0 0 0 0 0 0 0 20 0 1 0 1 5 1"])
    func broken(line: String) { #expect(ProcessStat(parsing: Array(line.utf8)) == nil) }

    @Test(
        "a container's id stands in the cgroup's path, whoever made the container",
        arguments: [
            "/docker/ID", "/system.slice/docker-ID.scope", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-ID.scope",
            "/machine.slice/libpod-ID.scope", "/kubepods/besteffort/pod1/crio-ID",
        ])
    func cgroups(path: String) {
        let id = String(repeating: "0123456789abcdef", count: 4)
        #expect(ProcFS.containerID(inCgroup: path.replacing("ID", with: id)) == id)
        #expect(ProcFS.containerID(inCgroup: path.replacing("ID", with: "abc")) == nil)
    }
}
