import RiposteCore
@testable import RiposteSensor
import Testing

private let id = "5d1f28a0c3b7e94d6f80a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6"
private let other = "0000000000000000000000000000000000000000000000000000000000000abc"
private let pod = "pod3e41dc6b_08a8_44db_bc2a_3724b18ab19a"

struct CgroupCase: CustomTestStringConvertible, Sendable {
    let path: String
    let runtime: ContainerReference.Runtime
    let id: String

    init(_ path: String, _ runtime: ContainerReference.Runtime, _ id: String = RiposteSensorTests.id) { (self.path, self.runtime, self.id) = (path, runtime, id) }

    static func host(_ path: String) -> CgroupCase { CgroupCase(path, .host, "") }

    var testDescription: String { path }
}

private func container(_ path: String) -> ContainerReference { Array(path.utf8).withUnsafeBytes(CgroupPath.container(of:)) }

struct CgroupPathTests {
    @Test(
        "paths as the runtimes make them",
        arguments: [
            // Docker: cgroupfs driver, systemd driver, a parent of one's own, systemd in the container, a build.
            CgroupCase("/docker/\(id)", .docker),
            CgroupCase("/system.slice/docker-\(id).scope", .docker),
            CgroupCase("/actions_job/\(id)", .docker),
            CgroupCase("/docker/\(id)/system.slice/ssh.service", .docker),
            CgroupCase("/system.slice/docker-\(id).scope/init.scope", .docker),
            CgroupCase("/system.slice/docker-\(id).scope/kubelet/kubepods/besteffort", .docker),
            CgroupCase("/docker/buildkit/\(id)", .docker),
            CgroupCase("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-\(id).scope", .docker),
            CgroupCase("/system.slice:docker:\(id)", .docker),
            CgroupCase("/../../docker-\(id).scope", .docker),
            // Kubernetes.
            CgroupCase("/kubepods/burstable/\(pod)/\(id)", .containerd),
            CgroupCase("/kubepods/besteffort/\(pod)/\(id)", .containerd),
            CgroupCase("/kubepods/\(pod)/\(id)/nested", .containerd),
            CgroupCase("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-\(pod).slice/cri-containerd-\(id).scope", .containerd),
            CgroupCase("/kubepods.slice/kubepods-\(pod).slice/docker-\(id).scope", .docker),
            CgroupCase("/system.slice/containerd.service/kubepods-besteffort-\(pod).slice:cri-containerd:\(id)", .containerd),
            CgroupCase("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-\(pod).slice/crio-\(id).scope", .crio),
            CgroupCase("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-\(pod).slice/crio-\(id).scope/container", .crio),
            CgroupCase("/kubepods/burstable/\(pod)/crio-\(id)", .crio),
            // A node of a test cluster is itself a container: the inner one counts.
            CgroupCase("/docker/\(other)/kubelet.slice/kubelet-kubepods.slice/cri-containerd-\(id).scope", .containerd),
            // Podman, of root and of a user, systemd and cgroupfs.
            CgroupCase("/machine.slice/libpod-\(id).scope", .podman),
            CgroupCase("/machine.slice/libpod-\(id).scope/container", .podman),
            CgroupCase("/libpod_parent/libpod-\(id)", .podman),
            CgroupCase("/machine.slice/libpod-payload-\(id).scope", .podman),
            CgroupCase("/libpod_parent/libpod-payload-\(id)", .podman),
            CgroupCase("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-\(id).scope/container", .podman),
            // containerd alone.
            CgroupCase("/system.slice/nerdctl-\(id).scope", .containerd),
            CgroupCase("/default/redis", .containerd, "redis"),
            CgroupCase("/k8s.io/my_job-1", .containerd, "my_job-1"),
            // Others.
            CgroupCase("/lxc/web", .lxc, "web"),
            CgroupCase("/lxc/web/system.slice/ssh.service", .lxc, "web"),
            CgroupCase("/lxc.payload/web", .lxc, "web"),
            CgroupCase("/lxc.payload.web/init.scope", .lxc, "web"),
            CgroupCase("/lxc.payload.web/docker/\(id)", .docker),
            CgroupCase("/machine/db.libvirt-lxc", .libvirt, "db"),
            CgroupCase(#"/machine.slice/machine-lxc\x2d2293906\x2ddb.scope/libvirt"#, .libvirt, #"2293906\x2ddb"#),
            CgroupCase("/libvirt/lxc/db", .libvirt, "db"),
            CgroupCase("/system.slice/runc-bpm-galera-agent.scope", .bpm, "galera-agent"),
            CgroupCase("/bpm-galera-agent", .bpm, "galera-agent"),
        ])
    func containers(_ row: CgroupCase) {
        #expect(container(row.path) == ContainerReference(fullID: ByteText(row.id), runtime: row.runtime))
    }

    @Test(
        "near misses are of the host",
        arguments: [
            "", "/", "//", "/init.scope", "/user.slice/user-1000.slice/session-3.scope", "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.scope",
            "/system.slice/docker.service", "/system.slice/ssh.service", "/system.slice/containerd.service", "/machine.slice/machine-qemu.scope",
            "/machine/web.libvirt-qemu", "/kubepods/burstable", "/kubepods.slice/kubepods-burstable.slice", "/docker/buildkit", "/openrc/sshd", "/lxc.monitor.web",
            "/lxc.monitor/web", "/jobs/0123456789abcdef", "/lxc", "/lxc.payload", "/lxc.payload.", "/.libvirt-lxc", "/bpm-", "/system.slice/dev-hugepages.mount",
            // The helpers of containers.
            "/machine.slice/libpod-conmon-\(id).scope", "/kubepods.slice/crio-conmon-\(id).scope", "/system.slice/crio-conmon-\(id).scope",
            // 64 digits elsewhere, or what is nearly so many.
            "/system.slice/backup-\(id).service", "/system.slice/run-\(id).scope", "/system.slice/docker-\(id)", "/system.slice/docker-\(id).scopes",
            "/system.slice/docker-\(id.dropLast()).scope", "/system.slice/docker-0\(id).scope", "/system.slice/docker-\(id.dropLast())g.scope", "/system.slice/\(id).scope",
            "/system.slice/x\(id)/y", "/a/b/\(id.dropLast())", "/a/b/\(id)0", "\(id)", "docker-\(id).scope", "/a/b/libpod-\(id)x", "/a/b/libpod-payload-\(id)0",
            "/system.slice/cri-containerd-\(id)", "/a/b/DOCKER-\(id).scope",
        ])
    func hosts(_ path: String) {
        #expect(container(path).isHost)
        #expect(container(path) == .host)
    }

    @Test("hostile bytes are no danger")
    func hostile() {
        for count in 0..<200 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            _ = bytes.withUnsafeBytes(CgroupPath.container(of:))
            _ = bytes.withUnsafeBytes(CgroupPath.container(ofFile:))
        }
        let long = [UInt8](repeating: UInt8(ascii: "/"), count: 4096)
        #expect(long.withUnsafeBytes(CgroupPath.container(of:)).isHost)
        #expect(Array("/default/\u{1B}[31m".utf8).withUnsafeBytes(CgroupPath.container(of:)).isHost)
        #expect(Array("/default/a b".utf8).withUnsafeBytes(CgroupPath.container(of:)).isHost)
    }

    @Test("a container that is called host is not the host")
    func calledHost() {
        #expect(!container("/lxc/host").isHost)
        #expect(container("/lxc/host").fullID == "host")
    }

    @Test(
        "of a file with several hierarchies the line that names a container counts",
        arguments: [
            ("0::/system.slice/docker-\(id).scope\n", ContainerReference(fullID: ByteText(id), runtime: .docker)),
            ("12:pids:/docker/\(id)\n11:cpuset:/docker/\(id)\n1:name=systemd:/docker/\(id)\n0::/\n", ContainerReference(fullID: ByteText(id), runtime: .docker)),
            ("3:cpu:/\n2:memory:/user/batch\n1:name=systemd:/kubepods/besteffort/\(pod)/\(id)", ContainerReference(fullID: ByteText(id), runtime: .containerd)),
            // What only looks like a container's name counts last.
            ("4:cpu:/batch/jobs\n1:name=systemd:/docker/\(id)\n", ContainerReference(fullID: ByteText(id), runtime: .docker)),
            ("1:name=systemd:/user.slice/user-0.slice/session-1.scope\n0::/user.slice\n", .host),
            ("0::/x:/docker/\(id)\n", ContainerReference(fullID: ByteText(id), runtime: .docker)),
            ("", .host), ("\n\n", .host), ("0:", .host), ("::", .host), ("0::", .host), ("nothing", .host),
        ])
    func files(_ text: String, _ expected: ContainerReference) {
        #expect(Array(text.utf8).withUnsafeBytes(CgroupPath.container(ofFile:)) == expected)
    }
}
