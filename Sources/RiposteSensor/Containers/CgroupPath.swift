internal import RiposteCore

/// Which container a cgroup's path names, by the patterns of the runtimes (spec: fields.md, "Cgroup patterns").
///
/// The path is looked at from its end, component by component, and the innermost one that names a container counts: below a container's own cgroup
/// there may be others (systemd in a container makes `/docker/ID/system.slice/ssh.service`), and a container may hold containers (the nodes of a
/// test cluster). A bare `ID` is taken for Docker's, below `kubepods` for containerd's, which write the same there; the id is right either way. The
/// helper of a container (`crio-conmon-ID.scope`, `libpod-conmon-ID.scope`) is a process of the host.
///
/// Whoever may make cgroups may give them such names, so a process of the host can look as if it were in a container that no runtime knows; its facts
/// then stay unknown. Nothing is allocated for a path that names none.
package enum CgroupPath {
    /// `path` as in `/proc/PID/cgroup`, with the slash in front; where its beginning was cut off, only whole components count.
    package static func container(of path: UnsafeRawBufferPointer) -> ContainerReference {
        named(in: path) ?? containerdName(of: path) ?? .host
    }

    /// Looks at all lines of `/proc/PID/cgroup`, of either version of cgroups: `ID:CONTROLLERS:PATH`.
    package static func container(ofFile bytes: UnsafeRawBufferPointer) -> ContainerReference {
        if let found = first(of: bytes, named(in:)) { return found }
        return first(of: bytes, containerdName(of:)) ?? .host
    }

    private static func first(of lines: UnsafeRawBufferPointer, _ find: (UnsafeRawBufferPointer) -> ContainerReference?) -> ContainerReference? {
        var rest = lines
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            let line = rest[..<end]
            rest = UnsafeRawBufferPointer(rebasing: rest[min(end + 1, rest.count)...])
            guard let first = line.firstIndex(of: UInt8(ascii: ":")), let second = line[(first + 1)...].firstIndex(of: UInt8(ascii: ":")) else { continue }
            if let found = find(UnsafeRawBufferPointer(rebasing: line[(second + 1)...])) { return found }
        }
        return nil
    }

    // MARK: - Names that say what they are

    private static func named(in path: UnsafeRawBufferPointer) -> ContainerReference? {
        var end = path.count
        var child: UnsafeRawBufferPointer?
        while let slash = path[..<end].lastIndex(of: UInt8(ascii: "/")) {
            let component = UnsafeRawBufferPointer(rebasing: path[(slash + 1)..<end])
            if let found = byDigits(component, in: path) ?? byName(component, child: child, above: path[..<slash]) { return found }
            if !component.isEmpty { child = component }
            end = slash
        }
        return nil
    }

    private static let idLength = 64

    /// Components that end in 64 hexadecimal digits, a `.scope` of systemd's aside.
    private static func byDigits(_ component: UnsafeRawBufferPointer, in path: UnsafeRawBufferPointer) -> ContainerReference? {
        guard component.count >= idLength else { return nil }
        if component.begins("libpod-payload-"), let id = digits(in: component.dropping(15)) { return reference(id, .podman) }
        let isScope = component.ends(".scope")
        let name = isScope ? component.dropping(last: 6) : component
        guard name.count >= idLength, let id = digits(in: name.dropping(name.count - idLength)) else { return nil }
        let prefix = name.dropping(last: idLength)
        if prefix.isEmpty { return isScope ? nil : reference(id, holds(path, "kubepods") ? .containerd : .docker) }
        if prefix.equals("libpod-") { return reference(id, .podman) }
        if prefix.equals("crio-") { return reference(id, .crio) }
        // What runc makes of systemd's `slice:prefix:name` where it does not talk to systemd.
        if prefix.ends(":cri-containerd:") { return reference(id, .containerd) }
        if prefix.ends(":docker:") { return reference(id, .docker) }
        guard isScope else { return nil }
        if prefix.equals("docker-") { return reference(id, .docker) }
        return prefix.equals("cri-containerd-") || prefix.equals("nerdctl-") ? reference(id, .containerd) : nil
    }

    /// 64 hexadecimal digits and no further one at the beginning of `text`.
    private static func digits(in text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard text.count >= idLength, text.count == idLength || !isHexDigit(text[idLength]) else { return nil }
        let id = UnsafeRawBufferPointer(rebasing: text[..<idLength])
        return id.allSatisfy(isHexDigit) ? id : nil
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }

    private static func holds(_ path: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        (0..<max(0, path.count - word.utf8CodeUnitCount + 1)).contains { path.dropping($0).begins(word) }
    }

    /// Containers that have names of people's own.
    private static func byName(_ component: UnsafeRawBufferPointer, child: UnsafeRawBufferPointer?, above: Slice<UnsafeRawBufferPointer>) -> ContainerReference? {
        if component.equals("lxc") {
            let isLibvirt = UnsafeRawBufferPointer(rebasing: above).ends("/libvirt")
            return child.map { reference($0, isLibvirt ? .libvirt : .lxc) }
        }
        if component.equals("lxc.payload") { return child.map { reference($0, .lxc) } }
        if component.begins("lxc.payload."), component.count > 12 { return reference(component.dropping(12), .lxc) }
        if component.ends(".libvirt-lxc"), component.count > 12 { return reference(component.dropping(last: 12), .libvirt) }
        if component.begins(#"machine-lxc\x2d"#), component.ends(".scope"), component.count > 21 { return reference(component.dropping(15).dropping(last: 6), .libvirt) }
        return byProcessManager(component)
    }

    /// BPM's: `bpm-JOB`, `runc-bpm-JOB.scope`.
    private static func byProcessManager(_ component: UnsafeRawBufferPointer) -> ContainerReference? {
        let name = component.begins("runc-") ? component.dropping(5) : component
        guard name.begins("bpm-") else { return nil }
        let job = name.ends(".scope") ? name.dropping(4).dropping(last: 6) : name.dropping(4)
        return !job.isEmpty && job.allSatisfy(isNameByte) ? reference(job, .bpm) : nil
    }

    // MARK: - containerd

    /// `/NAMESPACE/NAME`, as containerd's own tool makes them: nothing about it says container, and whoever may make groups can make ones of that
    /// shape. So it counts in the namespaces that containerd and what is built on it have, and nowhere else; Falco takes any.
    private static func containerdName(of path: UnsafeRawBufferPointer) -> ContainerReference? {
        guard path.first == UInt8(ascii: "/"), let slash = path.dropFirst().firstIndex(of: UInt8(ascii: "/")) else { return nil }
        let namespace = UnsafeRawBufferPointer(rebasing: path[1..<slash])
        let name = UnsafeRawBufferPointer(rebasing: path[(slash + 1)...])
        guard isName(namespace), isName(name), name.count <= idLength, !isUnit(name), isNamespace(namespace) else { return nil }
        return reference(name, .containerd)
    }

    private static func isName(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let first = text.first, let last = text.last else { return false }
        return text.allSatisfy(isNameByte) && isLetterOrDigit(first) && isLetterOrDigit(last)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: false
        }
    }

    private static func isUnit(_ name: UnsafeRawBufferPointer) -> Bool {
        name.ends(".service") || name.ends(".slice") || name.ends(".scope") || name.ends(".mount") || name.ends(".socket") || name.ends(".swap")
            || name.ends(".partition") || name.ends(".libvirt-qemu")
    }

    private static func isNamespace(_ name: UnsafeRawBufferPointer) -> Bool {
        name.equals("default") || name.equals("moby") || name.equals("k8s.io") || name.equals("buildkit") || name.equals("nerdctl") || name.equals("finch")
            || name.equals("example") || name.equals("services.linuxkit")
    }

    private static func reference(_ id: UnsafeRawBufferPointer, _ runtime: ContainerReference.Runtime) -> ContainerReference {
        ContainerReference(fullID: ByteText(Array(id)), runtime: runtime)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func dropping(last count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[..<(self.count - count)]) }

    fileprivate func equals(_ text: StaticString) -> Bool { count == text.utf8CodeUnitCount && begins(text) }

    fileprivate func begins(_ text: StaticString) -> Bool { count >= text.utf8CodeUnitCount && has(text, at: 0) }

    fileprivate func ends(_ text: StaticString) -> Bool { count >= text.utf8CodeUnitCount && has(text, at: count - text.utf8CodeUnitCount) }

    private func has(_ text: StaticString, at offset: Int) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where self[offset + index] != text.utf8Start[index] { return false }
        return true
    }
}
