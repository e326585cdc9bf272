internal import CLibBPF
internal import CRiposte
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
        let common = [
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
            Feature(
                name: "BPF LSM", isThere: Self.canRefuse, isNeeded: false,
                meaning: "reflexes refuse opens and connects before they are done, where else they act at their end: Linux 5.15 with bpf in lsm="),
            Feature(
                name: "io_uring", isThere: Self.seesRequests, isNeeded: false,
                meaning: "requests of io_uring are seen as the calls that they stand for: Linux 6.0 (arm64: 6.4) that takes programs at its functions (fentry)"),
        ]
        features = common + Self.steadiness
    }

    /// Where raw tracepoints are preempted, what is attached to perf's ones is not.
    private static var steadiness: [Feature] {
        guard release >= (7, 0) else { return [] }
        return [
            Feature(
                name: "perf tracepoints", isThere: KernelPrograms.hasTracepoints, isNeeded: false,
                meaning: "no process is overlooked while a program waits for its processor, which is counted elsewhere: CAP_PERFMON, and tracefs or CAP_SYS_ADMIN")
        ]
    }

    /// Whether the kernel asks BPF programs before a call is done, these can see which one, and this process may load them.
    static var canRefuse: Bool {
        let callRegisters: UInt32 = 175
        return riposte_bpf_lsm_is_active() && libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, bpf_func_id(callRegisters), nil) == 1 && mayLoadRefusing
    }

    /// Whether requests of io_uring can be seen, as far as can be told without loading what sees them.
    package static var seesRequests: Bool {
        do throws(SensorError) { try checkRequests() } catch { return false }
        return true
    }

    static func checkRequests() throws(SensorError) {
        guard release >= (6, 0) else { throw SensorError("requests of io_uring are not seen: that needs Linux 6.0") }
        guard mayLoad(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY) else {
            throw SensorError("requests of io_uring are not seen: this kernel lets no program look at its functions (fentry)")
        }
    }

    /// The first two numbers of the kernel's release; 0.0: unknown.
    static let release: (Int, Int) = {
        var names = utsname()
        guard uname(&names) == 0 else { return (0, 0) }
        let release = withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : (0, 0)
    }()

    private static var mayLoadRefusing: Bool { mayLoad(BPF_PROG_TYPE_LSM, BPF_LSM_MAC) }

    /// Tried with a program for a hook that does not exist: to find a real one's number takes longer than all else here. Whoever may load it is told that
    /// it is wrong, and whoever may not, that.
    private static func mayLoad(_ type: bpf_prog_type, _ place: bpf_attach_type) -> Bool {
        // r0 = 0; exit
        let program = [bpf_insn(code: 0xB7, dst_reg: 0, src_reg: 0, off: 0, imm: 0), bpf_insn(code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0)]
        var options = bpf_prog_load_opts()
        options.sz = MemoryLayout<bpf_prog_load_opts>.size
        (options.expected_attach_type, options.attach_btf_id) = (place, 1)
        let descriptor = bpf_prog_load(type, "riposte_probe", "GPL", program, program.count, &options)
        let refusal = errno
        if descriptor >= 0 { close(descriptor) }
        return descriptor >= 0 || refusal != EPERM && refusal != EACCES
    }
}
