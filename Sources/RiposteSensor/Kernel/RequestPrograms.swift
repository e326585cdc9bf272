internal import CLibBPF
internal import CRiposte
internal import Dispatch
internal import Foundation
internal import Glibc
internal import RiposteRules
internal import Synchronization

/// Which requests of io_uring are seen, as events of the calls that they stand for.
package struct RequestSight: Sendable, Equatable {
    /// The types of these events, in order.
    package var types: [String] = []
    /// Why there are none, or fewer than rules ask for.
    package var problem: String?
}

/// The BPF programs that see requests of io_uring, beside the others and on their maps. They are loaded and attached by a thread of their own once the others are
/// at work, and only what rules ask for: neither the start of the sensor nor the host waits for what may never be used. They are an object of their own, so
/// that a kernel which does not take them keeps nothing else from being seen.
final class RequestPrograms: Sendable {
    /// The functions by which the kernel carries out requests, and as which calls' events those come.
    static let functions: [(name: String, types: [String])] = [
        ("io_openat", ["openat"]), ("io_openat2", ["openat", "openat2"]), ("io_connect", ["connect"]), ("io_socket", ["socket"]), ("io_bind", ["bind"]), ("io_listen", ["listen"]),
        ("io_accept", ["accept4"]), ("io_unlinkat", ["unlinkat"]), ("io_renameat", ["renameat2"]), ("io_mkdirat", ["mkdirat"]), ("io_symlinkat", ["symlinkat"]),
        ("io_linkat", ["linkat"]), ("io_sendmsg", ["sendmsg"]), ("io_sendmsg_zc", ["sendmsg", "sendto"]), ("io_send", ["sendto"]), ("io_send_zc", ["sendto"]),
    ]

    private struct Desk {
        var wanted: Set<String> = []
        var pinFolder: String?
        var orders = 0
        var isOver = false
    }

    private struct Published {
        var sight = RequestSight()
        /// Descriptors of programs, by name, as long as the thread goes on.
        var programs: [(name: String, descriptor: CInt)] = []
        var objects = BPFObjects()
        var version = 0
    }

    private let desk = Mutex(Desk())
    private let published = Mutex(Published())
    private let bell = DispatchSemaphore(value: 0)
    private let settled = DispatchGroup()
    private let ended = DispatchSemaphore(value: 0)
    private let hasBegun = Mutex(false)
    private let isTyped: Bool
    /// By name, of the programs that are there already.
    private let maps: [String: CInt]

    init(maps: [String: CInt], isTyped: Bool) { (self.maps, self.isTyped) = (maps, isTyped) }

    // MARK: - For the thread that has the other programs

    /// Begins, with what was asked for by now.
    func begin() {
        hasBegun.withLock { $0 = true }
        let thread = Thread { [self] in
            live()
            ended.signal()
        }
        thread.name = "sensor-requests"
        thread.start()
    }

    /// Nothing of it is left in the kernel when this returns, but for what is pinned.
    func end() {
        give { $0.isOver = true }
        guard hasBegun.withLock(\.self) else { return answer(desk.withLock(\.orders)) }
        ended.wait()
    }

    /// These types of events are asked for from here on, and no others.
    func want(_ types: Set<EventType>) {
        let names = Set(types.map(\.name))
        let wanted = Set(Self.functions.filter { !names.isDisjoint(with: $0.types) }.map(\.name))
        guard wanted != desk.withLock(\.wanted) else { return }
        give { $0.wanted = wanted }
    }

    /// Has the kernel keep what is attached, and will be, by names in this folder.
    func pin(below folder: String) { give { $0.pinFolder = folder } }

    private func give(_ change: (inout Desk) -> Void) {
        desk.withLock { desk in
            guard !desk.isOver else { return }
            change(&desk)
            desk.orders += 1
            settled.enter()
        }
        bell.signal()
    }

    private func answer(_ orders: Int) { for _ in 0..<orders { settled.leave() } }

    /// Waits until what was asked for is done, or cannot be; false: it takes longer.
    func settle(within limit: DispatchTimeInterval) -> Bool { settled.wait(timeout: .now() + limit) == .success }

    var sight: RequestSight { published.withLock(\.sight) }
    /// Changes with ``objects``.
    var version: Int { published.withLock(\.version) }
    var objects: BPFObjects { published.withLock(\.objects) }

    /// As ``KernelPrograms/missedRuns``.
    var missedRuns: [String: UInt64] {
        // Under the lock, as the thread closes them.
        published.withLock { published in
            var missed: [String: UInt64] = [:]
            for (name, descriptor) in published.programs {
                let count = riposte_bpf_missed_runs(descriptor)
                if count > 0 { missed[name] = count }
            }
            return missed
        }
    }

    // MARK: - Its own thread

    private func live() {
        var hooks: RequestHooks?
        var hasTried = false
        var problem: String?
        while true {
            bell.wait()
            let (order, count) = desk.withLock { desk in
                defer { desk.orders = 0 }
                return (desk, desk.orders)
            }
            if !order.isOver, !order.wanted.isEmpty, !hasTried {
                hasTried = true
                do throws(SensorError) { hooks = try RequestHooks(maps: maps, isTyped: isTyped) } catch { problem = "\(error)" }
            }
            if !order.isOver, let hooks {
                // What was asked for meanwhile is looked at next.
                hooks.attach(only: order.wanted, pinnedBelow: order.pinFolder) {
                    // Whoever takes a handle on one of them meddles with it from its first moment on.
                    publish(hooks, hooks.problem)
                    return desk.withLock(\.isOver)
                }
                problem = hooks.problem
            }
            publish(order.isOver ? nil : hooks, problem)
            answer(count)
            if order.isOver { return }
        }
    }

    private func publish(_ hooks: RequestHooks?, _ problem: String?) {
        published.withLock { published in
            published.sight = RequestSight(types: hooks?.types ?? [], problem: problem)
            published.programs = hooks?.programs ?? []
            published.objects = hooks?.objects ?? BPFObjects()
            published.version += 1
        }
    }
}

/// What ``RequestPrograms`` has in the kernel; its thread alone uses it.
private final class RequestHooks {
    /// What the hooks lead into, by the map that says so.
    private static let bodies = [("request_begin", "riposte_request_begin"), ("request_end", "riposte_request_end")]
    /// Sees the file that an open puts into the ring's own table.
    private static let installing = (program: "riposte_request_install", function: "io_fixed_fd_install")

    private let object: OpaquePointer
    /// By function, of those that the kernel has.
    private let present: [String: [OpaquePointer]]
    private var links: [String: [(name: String, link: OpaquePointer)]] = [:]
    private var untaken: [String: String] = [:]
    private var pinFolder: String?
    private var pinProblem: String?

    init(maps: [String: CInt], isTyped: Bool) throws(SensorError) {
        try KernelFeatures.checkRequests()
        let functions = try Self.functions()
        object = try KernelPrograms.open(typed: isTyped, requests: true)
        do throws(SensorError) {
            var present: [String: [OpaquePointer]] = [:]
            try Self.choose(in: object) { name, function in
                functions.contains(function) || Self.bodies.contains { $0.1 == name }
            } found: { function, program in
                present[function, default: []].append(program)
            }
            try Self.share(maps, with: object)
            Self.makeRoom(in: object)
            let code = bpf_object__load(object)
            guard code == 0 else { throw KernelPrograms.failed("load the BPF programs for io_uring", -code) }
            for (map, body) in Self.bodies { try Self.lead(map, into: body, of: object) }
            // Last: what throws when all members are there is taken down by deinit, which would close the object once more.
            self.present = present
        } catch {
            bpf_object__close(object)
            throw error
        }
    }

    deinit {
        for (_, link) in links.values.joined() { bpf_link__destroy(link) }
        bpf_object__close(object)
    }

    // BTF_KIND_STRUCT and BTF_KIND_FUNC of linux/btf.h, which are there as an enumeration and as macros.
    private static let (kindStructure, kindFunction): (UInt32, UInt32) = (4, 12)

    /// Those that the kernel has, and that take what the others take: a program can only be led into where it could be attached itself.
    private static func functions() throws(SensorError) -> Set<String> {
        guard let types = btf__load_vmlinux_btf() else { throw KernelPrograms.failed("read the kernel's types", errno) }
        defer { btf__free(types) }
        func parameters(of name: String) -> UInt32? {
            let id = btf__find_by_name_kind(types, name, kindFunction)
            return id > 0 ? btf__type_by_id(types, UInt32(id))?.pointee.type : nil
        }
        guard btf__find_by_name_kind(types, "io_cmd_data", kindStructure) > 0, let common = parameters(of: "io_openat2") else {
            throw SensorError("this kernel has no io_uring, or one of before Linux 6.0: requests are not seen")
        }
        var names = Set(RequestPrograms.functions.map(\.name).filter { parameters(of: $0) == common })
        if parameters(of: installing.function) != nil { names.insert(installing.function) }
        return names
    }

    /// Which programs are loaded, of all in the object.
    private static func choose(
        in object: OpaquePointer, where isMeant: (_ name: String, _ function: String) -> Bool, found: (_ function: String, OpaquePointer) -> Void
    ) throws(SensorError) {
        var program: OpaquePointer?
        while let next = bpf_object__next_program(object, program) {
            program = next
            let name = String(cString: bpf_program__name(next))
            let section = String(cString: bpf_program__section_name(next))
            let function = String(section.drop { $0 != "/" }.dropFirst())
            let isLoaded = isMeant(name, function)
            bpf_program__set_autoload(next, isLoaded)
            if isLoaded, !bodies.contains(where: { $0.1 == name }) { found(function, next) }
        }
    }

    /// The maps that the other programs have are these programs' too.
    private static func share(_ maps: [String: CInt], with object: OpaquePointer) throws(SensorError) {
        var map: OpaquePointer?
        while let next = bpf_object__next_map(object, map) {
            map = next
            guard !bpf_map__is_internal(next), let descriptor = maps[String(cString: bpf_map__name(next))] else { continue }
            let code = bpf_map__reuse_fd(next, descriptor)
            guard code == 0 else { throw KernelPrograms.failed("share the table \(String(cString: bpf_map__name(next)))", -code) }
        }
    }

    /// Each processor takes 128 entries of such a map for itself, free ones even where others have none; and what is being carried out must not be forgotten for that.
    /// An entry of long names has eight KiB.
    private static func makeRoom(in object: OpaquePointer) {
        let processors = max(1, Int(libbpf_num_possible_cpus()))
        let entries = UInt32(clamping: max(4096, 256 * processors))
        for (name, entries) in [("requests", entries), ("request_names", entries), ("request_tries", entries), ("request_long", UInt32(clamping: max(128, 32 * processors)))] {
            if let map = bpf_object__find_map_by_name(object, name) { bpf_map__set_max_entries(map, entries) }
        }
    }

    private static func lead(_ map: String, into program: String, of object: OpaquePointer) throws(SensorError) {
        guard let table = bpf_object__find_map_by_name(object, map), let body = bpf_object__find_program_by_name(object, program) else {
            throw SensorError("the BPF object has no map \(map) or program \(program)")
        }
        var (key, descriptor): (UInt32, CInt) = (0, bpf_program__fd(body))
        let code = bpf_map_update_elem(bpf_map__fd(table), &key, &descriptor, 0)
        guard code == 0 else { throw KernelPrograms.failed("lead the hooks of requests into \(program)", -code) }
    }

    // MARK: - Hooks

    /// Sees to it that these functions are looked at, and no others. A hook takes the kernel some milliseconds; before the first, and after each, it is asked whether all is over.
    func attach(only wanted: Set<String>, pinnedBelow folder: String?, until isOver: () -> Bool) {
        let functions = wanted.isEmpty ? wanted : wanted.union([Self.installing.function])
        for (function, own) in links where !functions.contains(function) {
            for (name, link) in own {
                if let pinFolder { unlink(Self.place(of: name, below: pinFolder)) }
                bpf_link__destroy(link)
            }
            links[function] = nil
        }
        if let folder, pinFolder == nil { beginPinning(below: folder) }
        for function in functions.sorted() where links[function] == nil && untaken[function] == nil {
            if isOver() { return }
            attach(function, until: isOver)
        }
    }

    /// Its beginning and its end, or none of both.
    private func attach(_ function: String, until isOver: () -> Bool) {
        guard let programs = present[function] else { return }
        var own: [(name: String, link: OpaquePointer)] = []
        for program in programs {
            let name = String(cString: bpf_program__name(program))
            guard let link = bpf_program__attach(program) else {
                untaken[function] = String(cString: strerror(errno))
                for (_, link) in own { bpf_link__destroy(link) }
                links[function] = nil
                return
            }
            own.append((name, link))
            links[function] = own
            // Both are attached, whatever it answers.
            _ = isOver()
        }
        if pinFolder != nil { for (name, link) in own { pin(bpf_link__fd(link), SensorPins.linkPrefix + name) } }
    }

    var programs: [(name: String, descriptor: CInt)] {
        present.values.joined().map { (String(cString: bpf_program__name($0)), bpf_program__fd($0)) }
            + Self.bodies.compactMap { body in bpf_object__find_program_by_name(object, body.1).map { (body.1, bpf_program__fd($0)) } }
    }

    var objects: BPFObjects {
        var objects = BPFObjects()
        for (_, link) in links.values.joined() { objects.insert(riposte_bpf_id(bpf_link__fd(link)), .link) }
        for (_, descriptor) in programs { objects.insert(riposte_bpf_id(descriptor), .program) }
        var map: OpaquePointer?
        while let next = bpf_object__next_map(object, map) {
            objects.insert(riposte_bpf_id(bpf_map__fd(next)), .map)
            map = next
        }
        return objects
    }

    var types: [String] { Set(RequestPrograms.functions.filter { isWhole($0.name) }.flatMap(\.types)).sorted() }

    private func isWhole(_ function: String) -> Bool { links[function].map { $0.count == present[function]?.count } ?? false }

    var problem: String? {
        if let pinProblem { return pinProblem }
        guard !untaken.isEmpty else { return nil }
        return "the kernel lets nobody look at \(untaken.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }.joined(separator: ", "))"
    }

    // MARK: - Names

    private static func place(of name: String, below folder: String) -> String { "\(folder)/\(SensorPins.linkPrefix)\(name)" }

    /// Also what the hooks lead into: the kernel empties these maps as soon as no process has them open and no name leads to them.
    private func beginPinning(below folder: String) {
        pinFolder = folder
        for (map, _) in Self.bodies { if let table = bpf_object__find_map_by_name(object, map) { pin(bpf_map__fd(table), map) } }
        for (name, link) in links.values.joined() { pin(bpf_link__fd(link), SensorPins.linkPrefix + name) }
    }

    private func pin(_ descriptor: CInt, _ name: String) {
        guard let pinFolder, bpf_obj_pin(descriptor, "\(pinFolder)/\(name)") != 0 else { return }
        pinProblem = "\(name) is not pinned below \(pinFolder): \(String(cString: strerror(errno)))"
    }
}
