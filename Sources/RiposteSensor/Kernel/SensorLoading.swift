internal import Dispatch
internal import Foundation
internal import Synchronization

/// The BPF programs on their way into the kernel, which looks at each instruction of them: a fifth of a second in which whoever starts can read his rules.
package final class SensorLoading: Sendable {
    private let outcome = Mutex<Carried?>(nil)
    private let isLoaded = DispatchSemaphore(value: 0)

    /// From the thread that loads to the one that takes.
    private struct Carried: @unchecked Sendable { let result: Result<KernelPrograms, SensorError> }

    /// Begins; nothing is attached.
    package init(_ configuration: Sensor.Configuration) {
        let thread = Thread { [self] in
            let result = Result { () throws(SensorError) in try KernelPrograms(configuration) }
            outcome.withLock { $0 = Carried(result: result) }
            isLoaded.signal()
        }
        thread.name = "sensor-loading"
        thread.start()
    }

    /// Waits until they are there. Once: whoever takes them has them for itself.
    func take() throws(SensorError) -> KernelPrograms {
        isLoaded.wait()
        let carried = outcome.withLock { outcome in
            defer { outcome = nil }
            return outcome
        }
        isLoaded.signal()
        guard let carried else { throw SensorError("the programs that were loaded are in use") }
        return try carried.result.get()
    }
}

extension KernelPrograms {
    convenience init(_ configuration: Sensor.Configuration) throws(SensorError) {
        try self.init(stateRingBytes: configuration.stateBufferBytes, callRingBytes: configuration.bufferBytes, build: configuration.build)
    }
}
