internal import CLibBPF
internal import Glibc

/// What this kernel can do for the sensor, found out by asking it: for `riposte doctor`.
package struct KernelFeatures: Sendable {
    package struct Feature: Sendable, Equatable {
        package let name: String
        package let isThere: Bool
        /// Whether there is no sensor without it.
        package let isNeeded: Bool
        /// What it is for, or what is lost without it.
        package let meaning: String
    }

    package let features: [Feature]

    package init() {
        libbpf_set_print(nil)
        func map(_ type: bpf_map_type) -> Bool { libbpf_probe_bpf_map_type(type, nil) == 1 }
        func program(_ type: bpf_prog_type) -> Bool { libbpf_probe_bpf_prog_type(type, nil) == 1 }
        func helper(_ type: bpf_prog_type, _ id: UInt32) -> Bool { libbpf_probe_bpf_helper(type, bpf_func_id(id), nil) == 1 }
        // Numbers of bpf_func_id in linux/bpf.h, which older headers lack.
        let (sendSignal, taskRegisters, loop) = (UInt32(109), UInt32(175), UInt32(181))
        let securityModules = Self.text(of: "/sys/kernel/security/lsm")
        features = [
            Feature(name: "BTF", isThere: access("/sys/kernel/btf/vmlinux", R_OK) == 0, isNeeded: true, meaning: "the kernel describes its types: CONFIG_DEBUG_INFO_BTF"),
            Feature(name: "ring buffers", isThere: map(BPF_MAP_TYPE_RINGBUF), isNeeded: true, meaning: "events without loss of order: Linux 5.8"),
            Feature(
                name: "raw tracepoints", isThere: program(BPF_PROG_TYPE_RAW_TRACEPOINT), isNeeded: true, meaning: "exec, fork, exit and system calls are seen where they happen"),
            Feature(name: "bpf_send_signal", isThere: helper(BPF_PROG_TYPE_RAW_TRACEPOINT, sendSignal), isNeeded: false, meaning: "reflexes: Linux 5.3"),
            Feature(name: "bpf_task_pt_regs", isThere: helper(BPF_PROG_TYPE_RAW_TRACEPOINT, taskRegisters), isNeeded: false, meaning: "the call behind an exec: Linux 5.15"),
            Feature(name: "bpf_loop", isThere: helper(BPF_PROG_TYPE_RAW_TRACEPOINT, loop), isNeeded: false, meaning: "paths of any depth: Linux 5.17"),
            Feature(
                name: "BPF LSM", isThere: securityModules.contains("bpf") && program(BPF_PROG_TYPE_LSM), isNeeded: false,
                meaning: "reflexes that deny and not only kill: lsm=…,bpf on the kernel's command line"),
        ]
    }

    private static func text(of path: String) -> String {
        guard let file = fopen(path, "re") else { return "" }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard fgets(&buffer, 255, file) != nil else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
