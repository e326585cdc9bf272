package import RiposteCore

/// What somebody did to the sensor's own process, its files or its BPF objects.
package struct Tampering: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// A signal that ends or stops the process.
        case signal
        /// A debugger took hold of it.
        case trace
        /// Its memory was opened for writing, or written.
        case memory
        /// A file of its own was changed, moved or taken away.
        case file
        /// A handle on one of its BPF maps, programs or links.
        case bpf
    }

    package let kind: Kind
    /// Of ours: `SIGSTOP`, `opened for writing`.
    package let deed: String
    /// The path as it was told, a process id, the id of a BPF object.
    package let target: ByteText

    package init(_ kind: Kind, _ deed: String, _ target: ByteText) { (self.kind, self.deed, self.target) = (kind, deed, target) }
}
