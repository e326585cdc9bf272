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

    /// Of an agent with this state folder; nil: there is none.
    package init?(stateDirectory: String) {
        var facts = stat()
        guard stat(stateDirectory, &facts) == 0 else { return nil }
        folder = "\(Self.root)/\(String(facts.st_dev, radix: 16))-\(facts.st_ino)"
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

    private func removeFiles(of number: UInt32, where isMeant: (String) -> Bool) {
        guard let entries = opendir(place(of: number)) else { return }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != "..", isMeant(name) { names.append(name) }
        }
        for name in names { unlink("\(place(of: number))/\(name)") }
    }

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
    private let control: UnsafeMutablePointer<riposte_control>
    private let counters: CInt
    var rings: EventRings
    /// What comes from here on the programs of the next one tell of; set by whoever knows those.
    var until: UInt64 = .max

    /// Nothing where it is none of this version.
    init(_ number: UInt32, _ pins: SensorPins) throws(SensorError) {
        self.number = number
        func open(_ map: KernelPrograms.Map) throws(SensorError) -> (descriptor: CInt, entries: UInt32, valueBytes: UInt32) {
            let descriptor = bpf_obj_get("\(pins.place(of: number))/\(map.rawValue)")
            var (entries, valueBytes): (UInt32, UInt32) = (0, 0)
            guard descriptor >= 0, riposte_bpf_map_facts(descriptor, &entries, &valueBytes) == 0 else {
                if descriptor >= 0 { close(descriptor) }
                throw SensorError("what an agent before this one has left at \(pins.place(of: number)) cannot be read")
            }
            return (descriptor, entries, valueBytes)
        }
        let (control, bytes) = (try open(.control), MemoryLayout<riposte_control>.size)
        defer { close(control.descriptor) }
        guard control.valueBytes == UInt32(bytes), let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, control.descriptor, 0), memory != MAP_FAILED else {
            throw SensorError("what an agent before this one has left at \(pins.place(of: number)) is of another version")
        }
        self.control = memory.bindMemory(to: riposte_control.self, capacity: 1)
        guard self.control.pointee.version == UInt32(RIPOSTE_WIRE_VERSION) else {
            munmap(memory, bytes)
            throw SensorError("what an agent before this one has left at \(pins.place(of: number)) is of another version")
        }
        do throws(SensorError) {
            counters = try open(.counters).descriptor
            let (state, call) = (try open(.stateEvents), try open(.callEvents))
            defer {
                close(state.descriptor)
                close(call.descriptor)
            }
            rings = try EventRings(state: (state.descriptor, state.entries), call: (call.descriptor, call.entries))
        } catch {
            munmap(memory, bytes)
            throw error
        }
        // What this process does is no event of theirs either.
        riposte_control_set_self(self.control, UInt32(getpid()))
    }

    deinit {
        munmap(control, MemoryLayout<riposte_control>.size)
        close(counters)
    }

    var since: UInt64 { control.pointee.since }

    /// How many events found no room, of which nobody has told.
    var lost: UInt64 {
        var sum = KernelPrograms.counters(counters)
        let all = riposte_counters_lost(&sum)
        return all > control.pointee.told_lost ? all - control.pointee.told_lost : 0
    }
}
