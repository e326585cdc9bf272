internal import CLibBPF
internal import CRiposte
internal import Glibc
internal import RiposteRules
internal import Synchronization

/// Builds of the BPF programs, which see the same. From the one for all kernels to the one for the newest.
package enum KernelBuild: Int, CaseIterable, Sendable {
    /// Calls a helper for each member of the kernel's structures.
    case untyped
    /// Reads them directly, which costs the host less. From Linux 6.17 on.
    case typed
    /// The same, attached to perf's tracepoints, which no kernel preempts. From Linux 7.0 on raw ones are: what other processes do on a processor while a program
    /// waits for it is seen by nobody then. Before that it costs a little more than ``typed`` for nothing.
    case steady

    /// Those that this kernel should take, the best first. `limit`: none above it, and that one, whether this kernel needs it or not.
    static func candidates(upTo limit: KernelBuild?) -> [KernelBuild] {
        let best: KernelBuild = KernelFeatures.release >= (7, 0) ? .steady : .typed
        let builds = KernelFeatures.release >= (6, 17) ? allCases : [.untyped]
        return builds.filter { $0.rawValue <= (limit ?? best).rawValue }.reversed()
    }

    /// All that this kernel should take.
    package static var possible: [KernelBuild] { candidates(upTo: .steady).reversed() }
}

/// The BPF programs and their maps, loaded and, once asked, at work. When this goes, or the process ends in whatever way, the kernel unloads them, but for what
/// ``pin(below:)`` was asked for.
final class KernelPrograms {
    /// The members of ``riposte_event/kind`` that keep the process table; without these programs there is no sensor.
    private static let statePrograms = ["riposte_exec", "riposte_fork", "riposte_exit"] + tracepoints.dropLast().map(\.program)
    /// What the programs of ``KernelBuild/steady`` are attached to, in the order in which they are.
    private static let tracepoints: [(program: String, tracepoint: String)] = [
        ("riposte_exec_tp", "sched/sched_process_exec"), ("riposte_fork_tp", "sched/sched_process_fork"),
        ("riposte_exit_tp", "sched/sched_process_exit"), ("riposte_call_tp", "raw_syscalls/sys_exit"),
    ]
    /// Those that refuse calls, each at work only while a reflex needs it: it costs every such call on the host.
    private static let refusing: [(before: KernelFilter.Before, name: String)] = [(.open, "riposte_file_open"), (.connect, "riposte_connect")]

    enum Map: String { case control, stateEvents = "state_events", callEvents = "call_events", filters, pieces, names, prefixes, cgroups, reflexes, budgets, protected, counters }

    private let object: OpaquePointer
    /// Of ``KernelBuild/steady``: descriptors of perf's events, by program, as long as it is not attached.
    private var events: [String: CInt]
    private var links: [(name: String, link: OpaquePointer)] = []
    private var hooks: [(before: KernelFilter.Before, link: OpaquePointer)] = []
    private var wantedHooks: KernelFilter.Before = []
    private var isAttached = false
    private var descriptors: [Map: CInt] = [:]
    let control: UnsafeMutablePointer<riposte_control>
    /// RIPOSTE_BUDGETS of them.
    let budgets: UnsafeMutablePointer<riposte_budget>
    let build: KernelBuild
    /// Whether calls can be refused.
    let canRefuse: Bool
    /// Those that see requests of io_uring, on the same maps.
    let requests: RequestPrograms
    /// The rings' sizes, in bytes.
    let stateRingBytes: UInt32
    let callRingBytes: UInt32

    /// Loads, and attaches nothing yet. Ring sizes are rounded up to a power of two pages.
    ///
    /// Of several builds, which see the same, it is the best that the kernel takes, of those up to `build`.
    ///
    /// Where the kernel asks BPF programs as a security module those that refuse calls are loaded with the others, and if it does not take them, goes without.
    init(stateRingBytes: Int, callRingBytes: Int, build: KernelBuild? = nil) throws(SensorError) {
        try SensorMachine.check()
        _ = Self.quietLibrary
        (self.stateRingBytes, self.callRingBytes) = (Self.ringSize(stateRingBytes), Self.ringSize(callRingBytes))
        let rings: [(Map, UInt32)] = [(.stateEvents, self.stateRingBytes), (.callEvents, self.callRingBytes)]
        (object, self.build, canRefuse, events) = try Self.loaded(KernelBuild.candidates(upTo: build), rings)
        requests = RequestPrograms(maps: Self.maps(of: object), isTyped: self.build != .untyped)
        do throws(SensorError) {
            control = try Self.memory(of: .control, in: object, as: riposte_control.self, count: 1)
            budgets = try Self.memory(of: .budgets, in: object, as: riposte_budget.self, count: Int(RIPOSTE_BUDGETS))
        } catch {
            Self.close(events)
            bpf_object__close(object)
            throw error
        }
        riposte_control_set_self(control, UInt32(getpid()))
        control.pointee.version = UInt32(RIPOSTE_WIRE_VERSION)
    }

    deinit {
        requests.end()
        for link in hooks.map(\.link) + links.map(\.link) { bpf_link__destroy(link) }
        Self.close(events)
        munmap(control, MemoryLayout<riposte_control>.size)
        munmap(budgets, MemoryLayout<riposte_budget>.stride * Int(RIPOSTE_BUDGETS))
        bpf_object__close(object)
    }

    private static func ringSize(_ bytes: Int) -> UInt32 {
        var size = 1 << 16
        while size < bytes, size < 1 << 30 { size <<= 1 }
        return UInt32(size)
    }

    /// What libbpf says goes to whoever asks for ``lastWords``, and not to standard error.
    private static let quietLibrary: Void = {
        libbpf_set_strict_mode(LIBBPF_STRICT_ALL)
        riposte_collect_bpf_messages()
    }()

    private typealias Loaded = (object: OpaquePointer, build: KernelBuild, canRefuse: Bool, events: [String: CInt])

    /// The first build that the kernel takes, with the programs that refuse or else without them.
    private static func loaded(_ builds: [KernelBuild], _ rings: [(Map, UInt32)]) throws(SensorError) -> Loaded {
        var problem = SensorError("there are no BPF programs")
        for refuses in KernelFeatures.canRefuse ? [true, false] : [false] {
            for build in builds {
                do throws(SensorError) { return try loaded(build, refusing: refuses, rings) } catch { problem = error }
            }
        }
        throw problem
    }

    private static func loaded(_ build: KernelBuild, refusing: Bool, _ rings: [(Map, UInt32)]) throws(SensorError) -> Loaded {
        let events = build == .steady ? try openEvents() : [:]
        do throws(SensorError) {
            let object = try open(typed: build != .untyped)
            do throws(SensorError) {
                try choose(in: object, isSteady: build == .steady, refusing: refusing)
                try load(object, rings)
            } catch {
                bpf_object__close(object)
                throw error
            }
            return (object, build, refusing, events)
        } catch {
            close(events)
            throw error
        }
    }

    /// Which programs are loaded, and which are attached with the others.
    private static func choose(in object: OpaquePointer, isSteady: Bool, refusing: Bool) throws(SensorError) {
        let refusals = Set(Self.refusing.map(\.name))
        var program: OpaquePointer?
        while let next = bpf_object__next_program(object, program) {
            program = next
            let name = String(cString: bpf_program__name(next))
            if refusals.contains(name) {
                bpf_program__set_autoload(next, refusing)
                bpf_program__set_autoattach(next, false)
            } else {
                bpf_program__set_autoload(next, tracepoints.contains { $0.program == name } == isSteady)
            }
        }
    }

    private static func openEvents() throws(SensorError) -> [String: CInt] {
        var events: [String: CInt] = [:]
        for (program, tracepoint) in tracepoints {
            events[program] = riposte_open_tracepoint(tracepoint)
            guard let code = events[program], code < 0 else { continue }
            close(events)
            throw failed("open the tracepoint \(tracepoint)", -code)
        }
        return events
    }

    private static func close(_ events: [String: CInt]) { for event in events.values where event >= 0 { Glibc.close(event) } }

    /// Whether perf's tracepoints can be had.
    static var hasTracepoints: Bool {
        do throws(SensorError) { close(try openEvents()) } catch { return false }
        return true
    }

    /// The maps that are there, by name.
    private static func maps(of object: OpaquePointer) -> [String: CInt] {
        var (maps, map): ([String: CInt], OpaquePointer?) = ([:], nil)
        while let next = bpf_object__next_map(object, map) {
            map = next
            if !bpf_map__is_internal(next) { maps[String(cString: bpf_map__name(next))] = bpf_map__fd(next) }
        }
        return maps
    }

    static func open(typed: Bool, requests: Bool = false) throws(SensorError) -> OpaquePointer {
        var size = 0
        let bytes = requests ? riposte_requests_bpf_object(typed, &size) : riposte_bpf_object(typed, &size)
        // Named, the kernel's own types are all that is looked at: to look through those of its modules, as libbpf else does for structures that this kernel
        // no longer has, takes CAP_SYS_ADMIN.
        let types: StaticString = "/sys/kernel/btf/vmlinux"
        var options = bpf_object_open_opts()
        options.sz = MemoryLayout<bpf_object_open_opts>.size
        options.btf_custom_path = UnsafeRawPointer(types.utf8Start).assumingMemoryBound(to: CChar.self)
        guard let object = bpf_object__open_mem(bytes, size, &options) else { throw failed("read the BPF object", errno) }
        return object
    }

    private static func load(_ object: OpaquePointer, _ rings: [(Map, UInt32)]) throws(SensorError) {
        for (name, size) in rings { bpf_map__set_max_entries(try map(name, in: object), size) }
        for name in [Map.control, .budgets] { bpf_map__set_map_flags(try map(name, in: object), UInt32(BPF_F_MMAPABLE)) }
        let code = bpf_object__load(object)
        guard code == 0 else { throw failed("load the BPF programs", -code) }
    }

    private static func map(_ map: Map, in object: OpaquePointer) throws(SensorError) -> OpaquePointer {
        guard let found = bpf_object__find_map_by_name(object, map.rawValue) else { throw SensorError("the BPF object has no map \(map.rawValue)") }
        return found
    }

    /// A map's values as memory of ours, changed by both sides.
    private static func memory<Value>(of name: Map, in object: OpaquePointer, as type: Value.Type, count: Int) throws(SensorError) -> UnsafeMutablePointer<Value> {
        let memory = mmap(nil, MemoryLayout<Value>.stride * count, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(try map(name, in: object)), 0)
        guard let memory, memory != MAP_FAILED else { throw failed("map the table \(name.rawValue)", errno) }
        return memory.bindMemory(to: type, capacity: count)
    }

    static func failed(_ doing: String, _ code: CInt) -> SensorError {
        let remedy: String? =
            code == EPERM || code == EACCES
            ? "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; a container needs them too, and no seccomp filter on bpf(2)" : nil
        let words = lastWords
        return SensorError("could not \(doing): \(String(cString: strerror(code)))" + (words.isEmpty ? "" : " (\(words))"), remedy: remedy)
    }

    /// The last lines that libbpf or the verifier wrote.
    static var lastWords: String { String(cString: riposte_last_bpf_messages()).replacing("\n", with: " ").trimmingBlanks }

    // MARK: - Maps

    func descriptor(_ map: Map) -> CInt {
        if let known = descriptors[map] { return known }
        let descriptor = bpf_object__find_map_by_name(object, map.rawValue).map { bpf_map__fd($0) } ?? -1
        descriptors[map] = descriptor
        return descriptor
    }

    /// Sets an entry. Keys and values are of the map's own sizes.
    func set<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ map: Map, _ key: Key, _ value: Value) throws(SensorError) {
        let code = withUnsafeBytes(of: key) { key in withUnsafeBytes(of: value) { bpf_map_update_elem(descriptor(map), key.baseAddress, $0.baseAddress, 0) } }
        guard code == 0 else { throw Self.failed("write to map \(map.rawValue)", -code) }
    }

    func remove<Key: BitwiseCopyable>(_ map: Map, _ key: Key) {
        _ = withUnsafeBytes(of: key) { bpf_map_delete_elem(descriptor(map), $0.baseAddress) }
    }

    func get<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ map: Map, _ key: Key, into value: inout Value) -> Bool {
        withUnsafeBytes(of: key) { key in withUnsafeMutableBytes(of: &value) { bpf_map_lookup_elem(descriptor(map), key.baseAddress, $0.baseAddress) == 0 } }
    }

    /// What all processors have counted.
    func counters() -> riposte_counters { Self.counters(descriptor(.counters)) }

    static func counters(_ descriptor: CInt) -> riposte_counters {
        var sum = riposte_counters()
        let processors = max(1, Int(libbpf_num_possible_cpus()))
        let values = UnsafeMutablePointer<riposte_counters>.allocate(capacity: processors)
        defer { values.deallocate() }
        var key: UInt32 = 0
        guard bpf_map_lookup_elem(descriptor, &key, values) == 0 else { return sum }
        riposte_counters_add(&sum, values, UInt32(processors))
        return sum
    }

    /// How often the kernel has passed over each program, by name, where that has happened: what came then was seen by nobody.
    var missedRuns: [String: UInt64] {
        var (missed, program): ([String: UInt64], OpaquePointer?) = ([:], nil)
        while let next = bpf_object__next_program(object, program) {
            program = next
            let count = riposte_bpf_missed_runs(bpf_program__fd(next))
            if count > 0 { missed[String(cString: bpf_program__name(next))] = count }
        }
        return missed.merging(requests.missedRuns) { $0 + $1 }
    }

    /// The ids by which others can ask the kernel for what is loaded here.
    var identifiers: BPFObjects {
        var objects = requests.objects
        for link in links.map(\.link) + hooks.map(\.link) { objects.insert(riposte_bpf_id(bpf_link__fd(link)), .link) }
        var (map, program): (OpaquePointer?, OpaquePointer?) = (nil, nil)
        while let next = bpf_object__next_map(object, map) {
            objects.insert(riposte_bpf_id(bpf_map__fd(next)), .map)
            map = next
        }
        while let next = bpf_object__next_program(object, program) {
            objects.insert(riposte_bpf_id(bpf_program__fd(next)), .program)
            program = next
        }
        return objects
    }

    // MARK: - Programs

    /// From here on events come: first of processes, then of calls, so that no call is seen of a process that is not known.
    func attach() throws(SensorError) {
        var program: OpaquePointer? = nil
        var pending: [(OpaquePointer, String)] = []
        while let next = bpf_object__next_program(object, program) {
            pending.append((next, String(cString: bpf_program__name(next))))
            program = next
        }
        let isState = { (name: String) in Self.statePrograms.contains(name) }
        for (program, name) in pending.filter({ isState($0.1) }) + pending.filter({ !isState($0.1) }) {
            guard bpf_program__autoload(program), bpf_program__autoattach(program) else { continue }
            guard let link = attach(program, name) else { throw Self.failed("attach the BPF program \(name)", errno) }
            links.append((name, link))
        }
        isAttached = true
        // The end of a call is seen by now, and with it that it was refused.
        refuse(before: wantedHooks)
        requests.begin()
    }

    private func attach(_ program: OpaquePointer, _ name: String) -> OpaquePointer? {
        guard let event = events[name] else { return bpf_program__attach(program) }
        guard let link = bpf_program__attach_perf_event(program, event) else { return nil }
        // It is the link's now.
        events[name] = nil
        return link
    }

    /// Has the kernel keep the programs and what a successor needs of their maps by names in this folder of the BPF file system, whatever becomes of this process. Calls
    /// are not refused any more then.
    func pin(below folder: String) throws(SensorError) {
        let maps = SensorPins.maps.map { ($0.rawValue, descriptor($0)) }
        for (name, descriptor) in maps + links.map({ ("\(SensorPins.linkPrefix)\($0.name)", bpf_link__fd($0.link)) }) {
            let code = bpf_obj_pin(descriptor, "\(folder)/\(name)")
            guard code == 0 else { throw Self.failed("pin \(name) below \(folder)", -code) }
        }
        requests.pin(below: folder)
    }

    /// The moments at which calls can be refused. At others, reflexes act at the end of the call.
    var refusesBefore: KernelFilter.Before { hooks.reduce([]) { $0.union($1.before) } }

    /// Has calls refused at these moments too from here on, or as soon as the other programs are at work.
    func refuse(before wanted: KernelFilter.Before) {
        guard canRefuse else { return }
        wantedHooks.formUnion(wanted)
        guard isAttached else { return }
        for (before, name) in Self.refusing where wanted.contains(before) && !hooks.contains(where: { $0.before == before }) {
            guard let program = bpf_object__find_program_by_name(object, name), let link = bpf_program__attach(program) else { continue }
            hooks.append((before, link))
        }
    }

    /// At no other moments than these.
    func refuse(onlyBefore wanted: KernelFilter.Before) {
        wantedHooks = wanted
        for (_, link) in hooks.filter({ !wanted.contains($0.before) }) { bpf_link__destroy(link) }
        hooks.removeAll { !wanted.contains($0.before) }
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return String(rest)
    }
}
