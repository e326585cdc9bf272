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
        func helper(_ id: UInt32) -> Bool { libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_func_id(id), nil) == 1 }
        // Asked of raw tracepoints: with BTF they are what the programs attach to, and libbpf cannot ask about programs of type tracing.
        // Numbers of bpf_func_id in linux/bpf.h, which older headers lack.
        let (sendSignal, ringQuery, currentTask) = (UInt32(109), UInt32(134), UInt32(158))
        features = [
            Feature(name: "BTF", isThere: access("/sys/kernel/btf/vmlinux", R_OK) == 0, isNeeded: true, meaning: "the kernel describes its types: CONFIG_DEBUG_INFO_BTF"),
            Feature(
                name: "ring buffers", isThere: map(BPF_MAP_TYPE_RINGBUF) && helper(ringQuery), isNeeded: true,
                meaning: "events without loss of order: Linux 5.8"),
            Feature(
                name: "raw tracepoints", isThere: program(BPF_PROG_TYPE_RAW_TRACEPOINT), isNeeded: true,
                meaning: "exec, fork, exit and system calls are seen where they happen: Linux 4.17"),
            Feature(name: "bpf_send_signal", isThere: helper(sendSignal), isNeeded: true, meaning: "reflexes: Linux 5.3"),
            Feature(
                name: "bpf_get_current_task_btf", isThere: helper(currentTask), isNeeded: false,
                meaning: "the sensor costs the host less: Linux 5.11"),
        ]
    }
}
