internal import Glibc
internal import RiposteCore
internal import RipostePlaybooks

/// Where a container's packets can go.
///
/// Root inside may take its processes into other network namespaces, rename its interfaces and make new ones. So what counts is where its processes are, which
/// sandbox the engine made for it, and of what kind each device there is and where it leads: the kernel's and the engine's word, no name.
struct ContainerNetwork {
    /// The host's ends of its veths. Here its traffic can be cut.
    var ends: [RouteReader.Link] = []
    /// What leads out another way, or may: `wg0 (wireguard)`.
    var open: [String] = []
    /// Other containers in the same network, by their ids: what is cut for one is cut for all.
    var sharers: [String] = []
    /// Its next hops, by the engine's word.
    var gateways: [IPAddress] = []

    var isNone: Bool { ends.isEmpty && open.isEmpty }
    /// "veth1, veth2"
    var endNames: String { ends.map(\.name.escapedForDisplay).joined(separator: ", ") }
    var openNames: String { open.joined(separator: ", ") }

    /// Throws where it lives in the host's own network.
    init(of state: ContainerState, docker: DockerClient, context: NetworkContext) async throws(ActionError) {
        var owner = state
        // The engine made the sandbox for another one. That may be gone, and the sandbox lives on.
        if let reference = state.networkOwner {
            do throws(ActionError) { owner = try await reference.utf8.count == 64 ? docker.inspect(id: reference) : docker.inspect(reference) } catch {
                guard error.failure == nil else { throw error }
            }
        }
        self = try ContainerNetworkReader(state: state, owner: owner, context: context).read()
    }

    fileprivate init() {}
}

/// Looks for the ways out of a container.
private struct ContainerNetworkReader {
    let state: ContainerState
    /// In whose sandbox it is: itself, mostly.
    let owner: ContainerState
    let context: NetworkContext

    /// So many namespaces of one container are looked into; of more it is said that they are open.
    private static let namespaceLimit = 64

    private var doing: String { "find the network of container \(state.name.escapedForDisplay)" }

    func read() throws(ActionError) -> ContainerNetwork {
        let process = try ProcessHandle(pid: state.pid)
        guard let first = NamespaceFile("/proc/\(state.pid)/ns/net") else { throw ActionError(.denied, doing, "its network namespace cannot be opened") }
        let isProved = ContainerGroups(of: state) != nil
        // Alive after it was looked at: what was seen is this process's and not a later one's.
        try process.checkPermission()
        let host = context.namespace.map(NamespaceFile.identity(of:)) ?? NamespaceFile.identity(at: "/proc/self/ns/net")
        guard let host else { throw ActionError(.unavailable, doing, "our own network namespace cannot be told") }
        guard let home = owner.sandbox.flatMap({ NamespaceFile($0) }) ?? (isProved ? first : nil) else {
            throw ActionError(
                .identity, doing, "process \(state.pid), which the engine says is its first one, is in none of its control groups: it may be anybody's",
                remedy: "see whether the engine at docker.socket runs on this host, and who moved the process; use container.pause")
        }
        guard home.identity != host else {
            throw ActionError(.policy, doing, "it uses the host's network, which cannot be cut for it alone", remedy: "use container.pause or network.block")
        }
        let residents = NetworkResidents(of: isProved ? state : nil, but: state.id)
        var network = ContainerNetwork()
        if !isProved { network.open.append("wherever its processes are: its first one, \(state.pid), is in none of its control groups") }
        network.gateways = owner.gateways
        let namespaces = namespaces(home, host, residents, &network)
        network.sharers = Set(namespaces.flatMap { residents.others[$0.identity] ?? [] }).sorted()
        try lookForWays(out: namespaces, residents, &network)
        // Held open by a socket alone, a namespace is in no process's folder.
        if network.isNone, state.hasAddress { network.open.append("an interface that was not found, to which the engine gave an address") }
        return network
    }

    /// Those that are the container's own: its sandbox, and what its processes made for themselves. Where they have entered the network of somebody else, the
    /// traffic is not cut, which would hit that one, and is said to be open.
    private func namespaces(_ home: NamespaceFile, _ host: UInt64, _ residents: NetworkResidents, _ network: inout ContainerNetwork) -> [NamespaceFile] {
        var namespaces = [home]
        var passedOver = 0
        for (identity, place) in residents.entered.sorted(by: { $0.key < $1.key }) where identity != home.identity {
            if identity == host {
                network.open.append("the host's network, in which its process \(place.pid) is")
            } else if let other = residents.others[identity]?.min() {
                network.open.append("the network of container \(other.prefix(12)), in which its process \(place.pid) is")
            } else if namespaces.count < Self.namespaceLimit, let file = NamespaceFile(place.path), file.identity == identity {
                namespaces.append(file)
            } else {
                passedOver += 1
            }
        }
        if passedOver > 0 { network.open.append("\(passedOver) more network namespaces of its processes") }
        return namespaces
    }

    private func lookForWays(out namespaces: [NamespaceFile], _ residents: NetworkResidents, _ network: inout ContainerNetwork) throws(ActionError) {
        let routes = try RouteReader(in: context)
        let outer = try routes.links()
        for namespace in namespaces {
            let inside = try RouteReader(in: NetworkContext(namespace: namespace.descriptor))
            let links = try inside.links()
            let number = try routes.number(ofNamespace: namespace.descriptor)
            var own: Set<Int32> = []
            for other in namespaces where other.identity != namespace.identity {
                if let number = try inside.number(ofNamespace: other.descriptor) { own.insert(number) }
            }
            for link in links {
                let end = number.flatMap { number in outer.first { $0.isOuterEnd(of: link, inNamespace: number) } }
                if let end { network.ends.append(end) } else if link.leadsOut(beside: own, residents) { network.open.append(link.words) }
            }
        }
    }
}

extension RouteReader.Link {
    /// Both ends must name each other, and the outer one the namespace of the inner.
    fileprivate func isOuterEnd(of link: Self, inNamespace number: Int32) -> Bool {
        kind == "veth" && link.kind == "veth" && index == link.peer && peer == link.index && peerNamespace == number
    }

    /// They join devices of their own namespace, or nothing.
    private static let local: Set = ["bridge", "bond", "team", "dummy", "ifb", "vrf", "nlmon"]
    /// The kernel tells of these in which namespace they go on, unless it is their own: devices upon, and tunnels through, others.
    private static let linked: Set = [
        "veth", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "vxlan", "geneve", "ipip", "sit", "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan",
        "ip6tnl", "vti", "vti6", "xfrm",
    ]

    /// Whether packets may leave the container here without passing another interface of it. `own` are the numbers of its other namespaces.
    fileprivate func leadsOut(beside own: Set<Int32>, _ residents: NetworkResidents) -> Bool {
        if isLoopback || Self.local.contains(kind) { return false }
        if Self.linked.contains(kind) { return peerNamespace.map { !own.contains($0) } ?? false }
        // Its packets go to who holds its file.
        if kind == "tun" { return residents.isTunnelHeldOutside(name) }
        return true
    }

    fileprivate var words: String { "\(name.escapedForDisplay) (\(kind.isEmpty ? "a device of the host" : kind.escapedForDisplay))" }
}

/// A network namespace, held open.
private final class NamespaceFile: Sendable {
    let descriptor: Int32
    let identity: UInt64

    /// NS_GET_NSTYPE of linux/nsfs.h, and what it answers for a network namespace: CLONE_NEWNET.
    private static let askType: UInt = 0xb703
    private static let networkType: Int32 = 0x4000_0000

    /// Nil where no namespace is at this path.
    init?(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        guard ioctl(descriptor, Self.askType, 0) == Self.networkType, let identity = Self.identity(of: descriptor) else {
            close(descriptor)
            return nil
        }
        (self.descriptor, self.identity) = (descriptor, identity)
    }

    deinit { close(descriptor) }

    static func identity(of descriptor: Int32) -> UInt64? {
        var information = stat()
        return fstat(descriptor, &information) == 0 ? UInt64(information.st_ino) : nil
    }

    static func identity(at path: String) -> UInt64? {
        var information = stat()
        return stat(path, &information) == 0 ? UInt64(information.st_ino) : nil
    }
}

/// Whose processes are in which network namespace, by one walk through /proc.
private struct NetworkResidents {
    /// Where threads of the container are, with the place where one of them is seen. A thread may be elsewhere than its process.
    private(set) var entered: [UInt64: (pid: Int32, path: String)] = [:]
    /// Other containers, by the namespaces that their processes are in.
    private(set) var others: [UInt64: Set<String>] = [:]
    private var members: Set<Int32> = []

    /// `state`: of the container, where its first process is known to be its own; nil: none is a member.
    init(of state: ContainerState?, but id: String) {
        let membership = state.map(ContainerMembership.init(of:))
        for pid in ProcFS.numbers(in: "/proc") {
            if membership?.holds(pid) == true {
                members.insert(pid)
                for thread in ProcFS.numbers(in: "/proc/\(pid)/task") {
                    let path = "/proc/\(pid)/task/\(thread)/ns/net"
                    if let identity = NamespaceFile.identity(at: path), entered[identity] == nil { entered[identity] = (pid, path) }
                }
            } else if let other = ProcFS.cgroup(pid).flatMap(ProcFS.containerID(inCgroup:)), other != id, let identity = NamespaceFile.identity(at: "/proc/\(pid)/ns/net") {
                others[identity, default: []].insert(other)
            }
        }
    }

    /// Whether a process that is not the container's has a tun device of this name open. Names are of namespaces, so it may be another one: then too much is
    /// said to be open, and not too little.
    func isTunnelHeldOutside(_ name: String) -> Bool {
        let line = Array("iff:\t\(name)".utf8)
        return ProcFS.numbers(in: "/proc").contains { pid in
            guard !members.contains(pid) else { return false }
            return ProcFS.numbers(in: "/proc/\(pid)/fd").contains { number in
                guard ProcFS.link("/proc/\(pid)/fd/\(number)") == "/dev/net/tun" else { return false }
                return ProcFS.bytes(of: "/proc/\(pid)/fdinfo/\(number)")?.split(separator: UInt8(ascii: "\n")).contains { $0.elementsEqual(line) } ?? false
            }
        }
    }
}

/// Which processes are a container's: those in the cgroups that the engine made for it, and those that share its first process's view of processes.
private struct ContainerMembership {
    private let id: String
    /// By hierarchy; each ends with the part that names the container. What root inside makes is below, and what somebody else calls alike is elsewhere.
    private let cgroups: [String: String]
    private let processNamespace: UInt64?

    init(of state: ContainerState) {
        id = state.id
        var cgroups: [String: String] = [:]
        for cgroup in ProcFS.cgroups(state.pid) {
            let parts = cgroup.path.split(separator: "/", omittingEmptySubsequences: false)
            if let last = parts.firstIndex(where: { $0.contains(state.id) }) { cgroups[cgroup.hierarchy] = parts[...last].joined(separator: "/") }
        }
        self.cgroups = cgroups
        let namespace = NamespaceFile.identity(at: "/proc/\(state.pid)/ns/pid")
        processNamespace = namespace == NamespaceFile.identity(at: "/proc/self/ns/pid") ? nil : namespace
    }

    func holds(_ pid: Int32) -> Bool {
        let its = ProcFS.cgroups(pid)
        if its.contains(where: { its in cgroups[its.hierarchy].map { its.path == $0 || its.path.hasPrefix($0 + "/") } ?? false }) { return true }
        guard let processNamespace, NamespaceFile.identity(at: "/proc/\(pid)/ns/pid") == processNamespace else { return false }
        // It may share that with another container, which is not meant.
        return its.allSatisfy { ProcFS.containerID(inCgroup: $0.path).map { $0 == id } ?? true }
    }
}
