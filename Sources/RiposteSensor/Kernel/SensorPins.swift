internal import CLibBPF
internal import CRiposte
internal import Glibc

/// Names in the BPF file system by which programs outlive the agent (`sensor.pinned`): below a folder that belongs to one state folder, one folder for each agent
/// that has run with it, counted up. Whoever removes the links in it ends the programs; root can, and nobody else.
package struct SensorPins: Sendable, Equatable {
    package static let root = "/sys/fs/bpf/riposte"
    static let linkPrefix = "link_"
    /// What a successor needs: the events that wait, whom the programs leave out, what was lost.
    static let maps: [KernelPrograms.Map] = [.control, .stateEvents, .callEvents, .counters]

    package let folder: String
    private let stateDirectory: String

    /// Of an agent with this state folder; nil: there is none.
    package init?(stateDirectory: String) {
        guard let name = Self.name(of: stateDirectory), let path = realpath(stateDirectory, nil) else { return nil }
        defer { free(path) }
        folder = "\(Self.root)/\(name)"
        self.stateDirectory = String(cString: path)
    }

    /// By what the state folder is, and not by what it is called.
    private static func name(of stateDirectory: String) -> String? {
        var facts = stat()
        guard stat(stateDirectory, &facts) == 0 else { return nil }
        return "\(String(facts.st_dev, radix: 16))-\(facts.st_ino)"
    }

    /// What agents before this one have left, the oldest first; nothing that somebody else could have put there.
    var present: [UInt32] { Self.isOwn(Self.root) && Self.isOwn(folder) ? (NumberedFolder.numbers(in: folder) ?? []).filter { Self.isOwn(place(of: $0)) }.sorted() : [] }

    /// Whether nobody but this user and root can change what is in a folder. By default everybody may make folders in a BPF file system.
    private static func isOwn(_ path: String) -> Bool {
        var facts = stat()
        return lstat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR && (facts.st_uid == 0 || facts.st_uid == geteuid()) && facts.st_mode & 0o022 == 0
    }

    func place(of number: UInt32) -> String { "\(folder)/\(number)" }

    /// Keeps these from now on.
    func pin(_ programs: KernelPrograms, as number: UInt32) throws(SensorError) {
        try Self.mount()
        for path in [Self.root, folder, place(of: number)] {
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw Self.failed("make \(path)", errno) }
            guard Self.isOwn(path) else { throw SensorError("the sensor's programs are not pinned: others can change \(path)", remedy: "take it away: rm -r \(path)") }
        }
        riposte_control_set_owner(programs.control, Self.mountNamespace, stateDirectory)
        do throws(SensorError) { try programs.pin(below: place(of: number)) } catch {
            remove(number)
            throw error
        }
    }

    /// Ends the programs; what they have written can still be read.
    func end(_ number: UInt32) { removeFiles(of: number) { $0.hasPrefix(Self.linkPrefix) } }

    func remove(_ number: UInt32) {
        removeFiles(of: number) { _ in true }
        rmdir(place(of: number))
        rmdir(folder)
    }

    /// Ends and forgets all that was left.
    package func removeAll() { for number in present { remove(number) } }

    private func removeFiles(of number: UInt32, where isMeant: (String) -> Bool) { Self.removeFiles(in: place(of: number), where: isMeant) }

    private static func removeFiles(in place: String, where isMeant: (String) -> Bool) {
        for name in names(in: place) where isMeant(name) { unlink("\(place)/\(name)") }
    }

    private static func names(in folder: String) -> [String] {
        guard let entries = opendir(folder) else { return [] }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    // MARK: - Of other state folders

    /// What an agent with another state folder has left at work.
    package struct Left: Sendable, Equatable {
        /// Its folder in the BPF file system.
        package let place: String
        /// What its state folder was called, in its mount namespace; nothing: unknown.
        package let stateDirectory: String
        /// Nobody will follow that agent: its state folder was in this mount namespace, and is gone or another one by now.
        package let isOrphaned: Bool
    }

    /// Programs that are at work though their agents have ended, of all state folders but `own`. Those of other versions are left out: nobody can say whether their
    /// agents run.
    package static func left(butOf own: SensorPins? = nil) -> [Left] {
        guard isOwn(root) else { return [] }
        var result: [Left] = []
        for name in names(in: root).sorted() where "\(root)/\(name)" != own?.folder && isOwn("\(root)/\(name)") {
            for number in (NumberedFolder.numbers(in: "\(root)/\(name)") ?? []).sorted() where isOwn("\(root)/\(name)/\(number)") {
                let place = "\(root)/\(name)/\(number)"
                guard let control = try? LeftControl(place), control.memory.pointee.unattended != 0 else { continue }
                let state = String(cString: riposte_control_state_folder(control.memory))
                let isHere = control.memory.pointee.mount_ns == mountNamespace && !state.isEmpty
                result.append(Left(place: place, stateDirectory: state, isOrphaned: isHere && Self.name(of: state) != name))
            }
        }
        return result
    }

    /// Ends and forgets what no agent will ever follow; gives all that agents of other state folders have left.
    package func removeOrphans() -> [Left] {
        let left = Self.left(butOf: self)
        for orphan in left where orphan.isOrphaned {
            Self.removeFiles(in: orphan.place) { _ in true }
            rmdir(orphan.place)
            rmdir(String(orphan.place[..<(orphan.place.lastIndex(of: "/") ?? orphan.place.endIndex)]))
        }
        return left
    }

    private static let mountNamespace: UInt64 = {
        var facts = stat()
        return stat("/proc/self/ns/mnt", &facts) == 0 ? UInt64(facts.st_ino) : 0
    }()

    // MARK: - The file system

    private static let mountPoint = "/sys/fs/bpf"

    /// Whether there is such a file system, mounted if need be.
    package static var isPossible: Bool {
        do throws(SensorError) { try mount() } catch { return false }
        return true
    }

    /// Where nobody has mounted it, as systemd does, this does.
    private static func mount() throws(SensorError) {
        let code = riposte_mount_bpf(mountPoint)
        guard code == 0 else { throw failed("mount the BPF file system at \(mountPoint)", -code) }
    }

    private static func failed(_ doing: String, _ code: CInt) -> SensorError {
        SensorError(
            "the sensor's programs are not pinned: could not \(doing): \(String(cString: strerror(code)))",
            remedy: "mount -t bpf bpf \(mountPoint), writable for the agent's user; or sensor: { pinned: false }")
    }
}

/// What an agent that has ended has left in the kernel: programs that go on, and the events that nobody has read.
final class LeftSensor {
    let number: UInt32
    private let control: LeftControl
    private let counters: CInt
    var rings: EventRings
    /// What comes from here on the programs of the next one tell of; set by whoever knows those.
    var until: UInt64 = .max

    /// Nothing where it is none of this version.
    init(_ number: UInt32, _ pins: SensorPins) throws(SensorError) {
        self.number = number
        let place = pins.place(of: number)
        control = try LeftControl(place)
        let counters = try LeftMap(.counters, at: place)
        let state = try LeftMap(.stateEvents, at: place)
        let call = try LeftMap(.callEvents, at: place)
        rings = try EventRings(state: (state.descriptor, state.entries), call: (call.descriptor, call.entries))
        self.counters = counters.take()
        // What this process does is no event of theirs either.
        riposte_control_set_self(control.memory, UInt32(getpid()))
    }

    deinit { close(counters) }

    var since: UInt64 { control.memory.pointee.since }

    /// How many events found no room, of which nobody has told.
    var lost: UInt64 {
        var sum = KernelPrograms.counters(counters)
        let all = riposte_counters_lost(&sum)
        let told = control.memory.pointee.told_lost
        return all > told ? all - told : 0
    }
}

/// The table by which programs that were left at work go.
private final class LeftControl {
    let memory: UnsafeMutablePointer<riposte_control>

    /// Nothing where it is none of this version.
    init(_ place: String) throws(SensorError) {
        let map = try LeftMap(.control, at: place)
        let bytes = MemoryLayout<riposte_control>.size
        guard map.valueBytes == UInt32(bytes), let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.descriptor, 0), memory != MAP_FAILED else {
            throw SensorError("what an agent before this one has left at \(place) is of another version")
        }
        self.memory = memory.bindMemory(to: riposte_control.self, capacity: 1)
        guard self.memory.pointee.version == UInt32(RIPOSTE_WIRE_VERSION) else {
            throw SensorError("what an agent before this one has left at \(place) is of another version")
        }
    }

    deinit { munmap(memory, MemoryLayout<riposte_control>.size) }
}

/// A map, by its name in the BPF file system.
private struct LeftMap: ~Copyable {
    let descriptor: CInt
    let entries: UInt32
    let valueBytes: UInt32

    init(_ map: KernelPrograms.Map, at place: String) throws(SensorError) {
        descriptor = bpf_obj_get("\(place)/\(map.rawValue)")
        var (entries, valueBytes): (UInt32, UInt32) = (0, 0)
        let isRead = descriptor >= 0 && riposte_bpf_map_facts(descriptor, &entries, &valueBytes) == 0
        (self.entries, self.valueBytes) = (entries, valueBytes)
        guard isRead else { throw SensorError("what an agent before this one has left at \(place) cannot be read") }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The descriptor is the caller's from here on.
    consuming func take() -> CInt {
        let own = descriptor
        discard self
        return own
    }
}
