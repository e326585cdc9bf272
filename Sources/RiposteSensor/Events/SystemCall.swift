package import CRiposte
package import RiposteRules

/// What is known of one system call: its name, its arguments as Falco tells them, and how the kernel side reads them.
package struct SystemCall: Sendable {
    package let type: EventType
}
