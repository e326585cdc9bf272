internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Logging
internal import RiposteActions
internal import RiposteAgent
internal import RiposteCore
internal import RiposteRules
internal import RiposteSensor
internal import Synchronization

/// The sensor run by a command of its own, beside an agent or without one.
struct LiveEvents {
    /// What rules usually ask for: without the calls that move data, which are many.
    static let usual = """
        evt.type in (execve, execveat, open, openat, openat2, creat, open_by_handle_at, connect, accept, accept4, bind, listen, sendto, sendmsg, \
        rename, renameat, renameat2, unlink, unlinkat, rmdir, mkdir, mkdirat, link, linkat, symlink, symlinkat, chmod, fchmod, fchmodat, chown, lchown, \
        fchown, fchownat, mount, umount2, ptrace, setns, unshare, setuid, setgid, setresuid, setresgid, init_module, finit_module, delete_module, bpf, \
        userfaultfd, memfd_create, kill, tgkill, chroot, pivot_root, process_vm_writev, process_vm_readv, procexit)
        """

    let rules: RuleSet
    let containers: ContainerDirectory

    /// Every finding on standard error and status 2 where the condition or the format is wrong.
    init(condition: String?, format: String, common: CommonOptions) throws {
        let condition = condition ?? Self.usual
        let (compiled, findings) = EventCondition.compile(condition, source: "syscall")
        for finding in findings { Terminal.complainPlainly(finding.diagnostic.rendered) }
        guard compiled != nil else { throw ExitCode(2) }
        let rule: JSON = [
            "rule": "event", "desc": "an event that was asked for", "condition": .text(condition), "output": .text(format), "priority": "DEBUG",
        ]
        let (set, problems) = RuleSet.load([RuleSet.File(name: "format", text: "[\(rule.line)]")], RulesSettings())
        guard let set else {
            for problem in problems where problem.isError { Terminal.complain(problem.message) }
            throw ExitCode(2)
        }
        rules = set
        containers = ContainerDirectory(inspector: ContainerBridge(docker: DockerInspector(docker: Facilities(try common.configuration()).docker)))
    }

    /// Runs until SIGINT, SIGTERM, or `isEnough`; 1 where the sensor cannot run.
    func run(_ configuration: Sensor.Configuration, sink: any SensorSink, logger: Logger, for time: Duration?, isEnough: @escaping @Sendable () -> Bool) async throws {
        let sensor: Sensor
        do throws(SensorError) { sensor = try Sensor(configuration, rules: rules, containers: containers, sink: sink, logger: logger) } catch {
            throw Complaint(error.description, status: 1)
        }
        let end = time.map { ContinuousClock.now + $0 }
        let stop = Interrupts()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await containers.run() }
            group.addTask {
                var hasRemarked = false
                while !stop.came, !isEnough(), end.map({ ContinuousClock.now < $0 }) ?? true {
                    // What sees them is loaded behind the rest.
                    if !hasRemarked, let problem = sensor.requests.problem {
                        Terminal.remark(problem)
                        hasRemarked = true
                    }
                    try? await Task.sleep(for: .milliseconds(50))
                }
            }
            await group.next()
            group.cancelAll()
        }
        sensor.stop()
    }
}

/// SIGINT and SIGTERM, asked for instead of dying by them.
private final class Interrupts: Sendable {
    private struct Sources: @unchecked Sendable {
        // Made once and kept; the handlers only set a flag.
        let all: [any DispatchSourceSignal]
    }

    private let flag = Atomic<Bool>(false)
    private let sources = Mutex(Sources(all: []))

    init() {
        let all = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in self?.flag.store(true, ordering: .sequentiallyConsistent) }
            source.resume()
            return source
        }
        let made = Sources(all: all)
        sources.withLock { $0 = made }
    }

    var came: Bool { flag.load(ordering: .sequentiallyConsistent) }
}
