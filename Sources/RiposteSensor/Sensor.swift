internal import CRiposte
internal import Foundation
internal import Glibc
package import Logging
internal import RiposteCore
package import RiposteRules
internal import Synchronization

/// Who takes what the sensor found. Called on the sensor's thread, which reads no events meanwhile.
package protocol SensorSink: AnyObject, Sendable {
    /// A rule holds for the event; `values` can tell the event's fields until this returns.
    func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge)
    /// Events were lost since the last call, by the name of their type, because a ring was full.
    func lost(_ events: [String: UInt64])
    /// Reflexes have sent so many signals since the last call, by playbook, of which nothing more will be told: even their part of a ring was full, or their
    /// rule is not there any more.
    func unrecorded(_ reflexes: [String: UInt64])
    /// Somebody meddled with this process; `event` can tell by whom until this returns. Only with ``Sensor/Configuration/guards``.
    func tampered(_ tampering: Tampering, _ event: SensorEvent)
    /// All losses so far were told. About once a second, and once more, as the last of all calls, when the sensor ends.
    func looked(isLast: Bool)
}

extension SensorSink {
    package func tampered(_ tampering: Tampering, _ event: SensorEvent) {}
    package func unrecorded(_ reflexes: [String: UInt64]) {}
    package func looked(isLast: Bool) {}
}

/// The own sensor: BPF programs, the thread that reads what they write, the process table, and the rules that judge.
///
/// One thread owns everything that changes. It sleeps in poll(2) until the kernel has something, takes events in order of time straight out of the
/// rings, and judges them where they lie.
package final class Sensor: Sendable {
    package struct Configuration: Sendable {
        /// Of each processor's calls together; a power of two is taken.
        package var bufferBytes = 8 << 20
        /// Of starts, forks and ends of processes: as many as a machine with two processors makes in a tenth of a second if it does nothing else.
        package var stateBufferBytes = 4 << 20
        /// Whether the kernel drops what no rule can match.
        package var pushesDown = true
        /// Judge successful opens under the path that the kernel opened too, where it differs from what the program asked for.
        package var judgesKernelPaths = true
        /// Events of this process too.
        package var seesItself = false
        /// Tell of tampering with this process, its BPF objects and these files; nil: of none.
        package var guards: GuardedFiles?
        /// Files of programs that no reflex ends.
        package var sparedPrograms: [String] = []
        /// The BPF programs are those of this build or, where the kernel cannot have it, of a lesser one; nil: of the one that is best for this kernel.
        package var build: KernelBuild?
        /// The same of those that are spared as children of init alone.
        package var sparedEntrances: [String] = []
        /// Where agents before this one may have left programs, which are taken over; nil: nobody can have.
        package var pins: SensorPins?
        /// Leave the programs at work when this process ends.
        package var isPinned = false

        package init() {}
    }

    /// Counted since start. For `status`.
    package struct Counts: Sendable, Equatable {
        package var events: UInt64 = 0
        package var matches: UInt64 = 0
        package var malformed: UInt64 = 0
        package var processes = 0
        package var table = ProcessTable.Counters()
        /// Processes that no reflex should end, and of which the kernel could not be told for lack of room.
        package var unspared = 0
        /// How often the account files of a container did not come in time.
        package var lateAccounts: UInt64 = 0
    }

    /// What the kernel side has counted, by type of event.
    package struct KernelCounts: Sendable, Equatable {
        package var seen: [String: UInt64] = [:]
        package var passed: [String: UInt64] = [:]
        package var dropped: [String: UInt64] = [:]
    }

    private enum Order: Sendable {
        case use(RuleSet, ReflexSet, @Sendable (SensorError?) -> Void)
        case stop
        case count(@Sendable (KernelCounts) -> Void)
    }

    private let configuration: Configuration
    /// What the thread is asked for, until it has ended; then what it would answer.
    private enum Desk: Sendable {
        case open([Order])
        case closed(KernelCounts)
    }

    private let desk = Mutex(Desk.open([]))
    private let bell: CInt
    private let published: Mutex<(counts: Counts, armament: Armament)>
    private let pthread = Mutex<pthread_t?>(nil)
    private let ended = DispatchSemaphore(value: 0)
    package let containers: any ContainerKnowledge
    /// Why the programs are not kept although they should be, or what was left before could not be read.
    package let pinProblem: SensorError?
    private let requestPrograms: RequestPrograms
    private let sink: any SensorSink
    private let logger: Logger

    /// Loads the programs, learns of all processes and begins. When this returns, the programs are at work and nothing that happens is missed.
    ///
    /// `loading`: begun earlier with the same configuration, to save the time.
    package init(
        _ configuration: Configuration, rules: RuleSet, reflexes: ReflexSet = ReflexSet(), containers: any ContainerKnowledge, sink: any SensorSink, logger: Logger,
        loading: SensorLoading? = nil
    ) throws(SensorError) {
        self.configuration = configuration
        self.containers = containers
        self.sink = sink
        self.logger = logger
        bell = riposte_eventfd()
        guard bell >= 0 else { throw SensorError("could not make an eventfd: \(String(cString: strerror(-bell)))") }
        let loop: SensorLoop
        do throws(SensorError) { loop = try SensorLoop(configuration, rules, reflexes, containers, sink, bell: bell, loading: loading) } catch {
            close(bell)
            throw error
        }
        published = Mutex((Counts(), loop.armament))
        pinProblem = loop.pinProblem
        requestPrograms = loop.requests
        let carried = Carried(loop)
        let thread = Thread { [self] in
            live(carried)
            ended.signal()
        }
        thread.name = "sensor"
        thread.stackSize = 4 << 20
        thread.start()
    }

    deinit { close(bell) }

    /// Hands the loop to its thread, which from then on is the only one to touch it.
    private final class Carried: @unchecked Sendable {
        private var loop: SensorLoop?

        init(_ loop: SensorLoop) { self.loop = loop }

        /// Nothing of the loop stays here: with its last user it ends, and takes the programs with it.
        func take() -> SensorLoop? {
            defer { loop = nil }
            return loop
        }
    }

    private func live(_ carried: Carried) {
        guard let loop = carried.take() else { return }
        pthread.withLock { $0 = pthread_self() }
        loop.readLeft()
        while carryOutOrders(loop) {
            let isDrained = loop.drain { [bell] in riposte_eventfd_is_set(bell) != 0 || loop.isTimeToLook }
            publish(loop)
            loop.tellLosses(isDrained: isDrained)
            // What was moved out of its ring wakes nobody.
            if isDrained { loop.sleep() } else { loop.clearBell() }
        }
        loop.drainLast()
        publish(loop)
        closeDesk(loop.kernelCounts())
    }

    /// False: it was told to stop.
    private func carryOutOrders(_ loop: SensorLoop) -> Bool {
        var goesOn = true
        for order in takeOrders() {
            switch order {
            case .stop: goesOn = false
            case .use(let rules, let reflexes, let done):
                let problem: SensorError?
                do throws(SensorError) {
                    try loop.use(rules, reflexes)
                    problem = nil
                } catch { problem = error }
                publish(loop)
                done(problem)
            case .count(let answer): answer(loop.kernelCounts())
            }
        }
        return goesOn
    }

    private func takeOrders() -> [Order] {
        desk.withLock { desk in
            guard case .open(let orders) = desk else { return [] }
            desk = .open([])
            return orders
        }
    }

    /// From here on orders are answered by whoever gives them; those that came meanwhile, here.
    private func closeDesk(_ last: KernelCounts) {
        let late = takeOrders(closing: last)
        for order in late { Self.answer(order, last) }
    }

    private func takeOrders(closing last: KernelCounts) -> [Order] {
        desk.withLock { desk in
            defer { desk = .closed(last) }
            guard case .open(let orders) = desk else { return [] }
            return orders
        }
    }

    /// What an order comes to once the thread has ended.
    private static func answer(_ order: Order, _ last: KernelCounts) {
        switch order {
        case .stop: break
        case .use(_, _, let done): done(SensorError("the sensor has ended"))
        case .count(let answer): answer(last)
        }
    }

    private func publish(_ loop: SensorLoop) { published.withLock { $0 = (loop.counts, loop.armament) } }

    /// Each order is answered: by the thread, or, where that has ended, at once.
    private func give(_ order: Order) {
        let last = desk.withLock { desk -> KernelCounts? in
            switch desk {
            case .open(let orders):
                desk = .open(orders + [order])
                return nil
            case .closed(let last): return last
            }
        }
        if let last { Self.answer(order, last) } else { riposte_eventfd_set(bell) }
    }

    // MARK: - For others

    /// Whether the caller is the sensor's thread, as whoever is called by ``SensorSink`` is: it must not wait for an order.
    package var isOnItsThread: Bool { pthread.withLock { $0.map { pthread_equal($0, pthread_self()) != 0 } ?? false } }

    package var counts: Counts { published.withLock(\.counts) }
    /// Which requests of io_uring it sees by now. After the end, none.
    package var requests: RequestSight { requestPrograms.sight }
    package var armament: Armament { published.withLock(\.armament) }

    /// Judges by other rules from here on: the kernel's tables are built beside those in force and switched at once. Returns when that is done; throws
    /// where the kernel did not take them: then it goes on by the old tables, what only the new rules ask for does not come, and no reflex acts any more.
    /// Throws after the end, too.
    package func use(_ rules: RuleSet, _ reflexes: ReflexSet = ReflexSet()) throws(SensorError) {
        let (done, failure) = (DispatchSemaphore(value: 0), Box<SensorError?>(nil))
        give(
            .use(rules, reflexes) { error in
                failure.value.withLock { $0 = error }
                done.signal()
            })
        done.wait()
        if let error = failure.value.withLock(\.self) { throw error }
    }

    /// After the end, the last there were.
    package func kernelCounts() -> KernelCounts {
        let (done, counts) = (DispatchSemaphore(value: 0), Box(KernelCounts()))
        give(
            .count { answer in
                counts.value.withLock { $0 = answer }
                done.signal()
            })
        done.wait()
        return counts.value.withLock(\.self)
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex(value) }
    }

    /// Ends: what the kernel has written by now is still judged. The programs are unloaded when this returns.
    package func stop() {
        give(.stop)
        ended.wait()
        // For whoever stops it as well.
        ended.signal()
    }
}
