internal import Glibc

/// What must be so before the sensor is tried, each with its remedy.
package enum SensorMachine {
    package static func check() throws(SensorError) {
        guard access("/sys/kernel/btf/vmlinux", R_OK) == 0 else {
            throw SensorError("this kernel does not describe its types (/sys/kernel/btf/vmlinux)", remedy: "a kernel of 5.8 or later built with CONFIG_DEBUG_INFO_BTF is needed")
        }
        try checkNamespace()
    }

    /// The inode number that the first pid namespace always has (PROC_PID_INIT_INO).
    private static let hostNamespace: UInt64 = 0xEFFF_FFFC

    /// Numbers of processes must mean the same here and in events: in a pid namespace of its own Riposte would take a stranger for itself, spare that one from
    /// reflexes, and end itself. Where the namespace cannot be read nothing speaks against it.
    private static func checkNamespace() throws(SensorError) {
        var facts = stat()
        guard stat("/proc/self/ns/pid", &facts) == 0, UInt64(facts.st_ino) != hostNamespace else { return }
        throw SensorError(
            "this process is in a pid namespace of its own, and the kernel counts processes as the host does",
            remedy: "run it in the host's: hostPID: true in Kubernetes, --pid host with Docker, no PrivatePIDs= in a systemd unit")
    }
}
