internal import Glibc
internal import RiposteCore
package import RipostePlaybooks
package import RiposteTransport
internal import Synchronization

/// The way to the Kubernetes API: found when it is first needed, so that an agent without a cluster starts all the same; one client for all who ask, so that its
/// token is one; and found anew when a file that it was read from has changed.
package final class KubernetesGateway: Sendable {
    package typealias Search = @Sendable () throws(ActionError) -> KubernetesConfiguration

    private let search: Search
    private let http: HTTPClient
    private let known = Mutex<KubernetesClient?>(nil)

    package init(http: HTTPClient, search: @escaping Search) {
        self.http = http
        self.search = search
    }

    package func client() throws(ActionError) -> KubernetesClient {
        if let client = known.withLock(\.self), client.configuration.isCurrent { return client }
        let client = KubernetesClient(configuration: try search(), client: http)
        return known.withLock { known in
            // Of two who search at once, the first is followed.
            if let other = known, other.configuration.files == client.configuration.files { return other }
            known = client
            return client
        }
    }
}

/// By what a file is known to be the one that was read, and as it was then.
struct FileState: Sendable, Equatable {
    let path: String
    private let identity: [Int64]

    /// Of now; look before reading, so that what changes in between counts as changed.
    init(_ path: String) {
        self.path = path
        var status = Glibc.stat()
        guard stat(path, &status) == 0 else {
            identity = []
            return
        }
        identity = [
            Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size), Int64(status.st_mtim.tv_sec),
            Int64(status.st_mtim.tv_nsec), Int64(status.st_ctim.tv_sec), Int64(status.st_ctim.tv_nsec),
        ]
    }

    var isCurrent: Bool { FileState(path) == self }
}
