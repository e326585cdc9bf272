internal import CCurl
internal import Foundation
internal import Synchronization

/// Sends HTTP requests by libcurl, over TCP, TLS and Unix sockets. All transfers share one thread of their own; a peer that hangs, or a name server that
/// does not answer, holds up nobody else, and no thread of Swift's pool ever waits.
package final class HTTPClient: Sendable {
    /// Requests that wait for the thread; more are refused.
    private static let queueLimit = 1024

    private struct Interior {
        var arriving: [Transfer] = []
        /// By number, and never by place in memory: a transfer that has ended leaves its place to the next one.
        var cancelled: [UInt64] = []
        var begun: UInt64 = 0
        var isRunning = false
        var isClosed = false
    }

    private let interior = Mutex(Interior())
    private let driver = Driver()

    package init() {}

    deinit { close() }

    /// Ends what is under way; later requests are refused.
    package func close() {
        interior.withLock { $0.isClosed = true }
        driver.wake()
    }

    package func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let number = interior.withLock { interior in
            interior.begun += 1
            return interior.begun
        }
        let transfer = Transfer(request, number: number)
        let result: Result<HTTPResponse, TransportError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.begin(continuation)
                if let refusal = enqueue(transfer) { transfer.finish(.failure(refusal)) }
            }
        } onCancel: {
            // Where nothing runs there is nothing to end, and nobody who would take this off the list.
            interior.withLock { interior in if interior.isRunning { interior.cancelled.append(number) } }
            driver.wake()
        }
        return try result.get()
    }

    private func enqueue(_ transfer: Transfer) -> TransportError? {
        let (refusal, mustStart) = interior.withLock { interior -> (TransportError?, Bool) in
            if interior.isClosed { return (TransportError(.invalid, "the client is closed"), false) }
            // The task was cancelled before: the driver has heard of a transfer that it does not know, and will not again.
            if Task.isCancelled { return (TransportError(.cancelled, "\(transfer.title): cancelled"), false) }
            guard interior.arriving.count < Self.queueLimit else { return (TransportError(.invalid, "too many requests wait"), false) }
            interior.arriving.append(transfer)
            defer { interior.isRunning = true }
            return (nil, !interior.isRunning)
        }
        if mustStart {
            let thread = Thread { [weak self, driver] in
                driver.run { self?.take() ?? Driver.Orders(transfers: [], cancelled: [], isClosed: true) }
            }
            thread.name = "riposte-http"
            thread.start()
        }
        driver.wake()
        return refusal
    }

    private func take() -> Driver.Orders {
        interior.withLock { interior in
            defer { (interior.arriving, interior.cancelled) = ([], []) }
            return Driver.Orders(transfers: interior.arriving, cancelled: interior.cancelled, isClosed: interior.isClosed)
        }
    }
}

/// The thread's side: libcurl's multi handle and the transfers in it.
///
/// Unchecked: `run` and all it calls belong to the one thread; from others only `wake` is called, which libcurl allows at any time.
private final class Driver: @unchecked Sendable {
    struct Orders {
        var transfers: [Transfer]
        var cancelled: [UInt64]
        var isClosed: Bool
    }

    private let multi: UnsafeMutableRawPointer?
    private var active: [UnsafeMutableRawPointer: Transfer] = [:]

    init() {
        CurlLibrary.setUp()
        multi = curl_multi_init()
    }

    deinit { curl_multi_cleanup(multi) }

    func wake() { curl_multi_wakeup(multi) }

    func run(_ orders: () -> Orders) {
        while true {
            let orders = orders()
            if orders.isClosed {
                for transfer in orders.transfers { transfer.finish(.failure(Self.closed(transfer))) }
                break
            }
            for transfer in orders.transfers { begin(transfer) }
            for number in orders.cancelled {
                if let (handle, transfer) = active.first(where: { $0.value.number == number }) {
                    end(handle)
                    transfer.finish(.failure(TransportError(.cancelled, "\(transfer.title): cancelled")))
                }
            }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collect()
            curl_multi_poll(multi, nil, 0, 1000, nil)
        }
        for (handle, transfer) in active {
            end(handle)
            transfer.finish(.failure(Self.closed(transfer)))
        }
    }

    private static func closed(_ transfer: Transfer) -> TransportError { TransportError(.invalid, "\(transfer.title): the client was closed") }

    private func begin(_ transfer: Transfer) {
        do throws(TransportError) {
            let handle = try transfer.makeHandle()
            active[handle] = transfer
            curl_multi_add_handle(multi, handle)
        } catch {
            transfer.finish(.failure(error))
        }
    }

    private func collect() {
        var code = CURLE_OK
        while let handle = riposte_curl_finished(multi, &code) {
            guard let transfer = active[handle] else { continue }
            let result = transfer.result(code, handle)
            end(handle)
            transfer.finish(result)
        }
    }

    private func end(_ handle: UnsafeMutableRawPointer) {
        curl_multi_remove_handle(multi, handle)
        curl_easy_cleanup(handle)
        active[handle]?.release()
        active[handle] = nil
    }
}

/// One request on its way.
///
/// Unchecked: made by the caller, then handed over whole; from then on only the client's thread touches it.
private final class Transfer: @unchecked Sendable {
    let number: UInt64
    private let request: HTTPRequest
    private var continuation: CheckedContinuation<Result<HTTPResponse, TransportError>, Never>?
    private var headers: [(name: String, value: String)] = []
    private var body: [UInt8] = []
    private var isTooLarge = false
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let problem = CurlProblem()

    init(_ request: HTTPRequest, number: UInt64) {
        self.request = request
        self.number = number
    }

    var title: String { "\(request.method.rawValue) \(request.unixSocket.map { "\($0) " } ?? "")\(request.url)" }

    func begin(_ continuation: CheckedContinuation<Result<HTTPResponse, TransportError>, Never>) { self.continuation = continuation }

    /// Once; a second call, after a cancellation that came late, finds nobody waiting.
    func finish(_ result: Result<HTTPResponse, TransportError>) {
        continuation?.resume(returning: result)
        continuation = nil
    }

    func release() {
        curl_slist_free_all(headerList)
        headerList = nil
    }

    // MARK: - Set-up

    func makeHandle() throws(TransportError) -> UnsafeMutableRawPointer {
        guard let handle = curl_easy_init() else { throw TransportError(.invalid, "\(title): libcurl has no handle left") }
        let this = Unmanaged.passUnretained(self).toOpaque()
        var codes = [
            riposte_curl_set_text(handle, CURLOPT_URL, request.url),
            riposte_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method.rawValue),
            riposte_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"),
            riposte_curl_set_text(handle, CURLOPT_PROXY, request.proxy ?? ""),
            // The environment has no say, neither for a proxy nor against one.
            riposte_curl_set_text(handle, CURLOPT_NOPROXY, ""),
            riposte_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0),
            riposte_curl_set_long(handle, CURLOPT_TIMEOUT_MS, request.timeout.wholeMilliseconds),
            riposte_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, problem.text),
            riposte_curl_set_pointer(handle, CURLOPT_WRITEDATA, this),
            riposte_curl_set_pointer(handle, CURLOPT_HEADERDATA, this),
            riposte_curl_set_sink(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, this in
                Transfer.from(this).takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
            riposte_curl_set_sink(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, this in
                Transfer.from(this).takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
        ]
        if let socket = request.unixSocket { codes.append(riposte_curl_set_text(handle, CURLOPT_UNIX_SOCKET_PATH, socket)) }
        if request.isSentOnce { codes.append(riposte_curl_set_long(handle, CURLOPT_FRESH_CONNECT, 1)) }
        codes += CurlLibrary.options(of: handle) + setBody(handle) + request.tls.options(of: handle)
        // An empty value takes away the header that libcurl would add.
        for header in request.headers + [("Expect", "")] {
            headerList = curl_slist_append(headerList, header.value.isEmpty ? "\(header.name):" : "\(header.name): \(header.value)")
        }
        codes.append(riposte_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headerList))
        guard let failure = codes.first(where: { $0 != CURLE_OK }) else { return handle }
        curl_easy_cleanup(handle)
        release()
        throw TransportError(.invalid, "\(title): \(String(cString: curl_easy_strerror(failure)))")
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> Transfer {
        // The driver holds the transfer as long as its handle lives, and libcurl calls back only then.
        Unmanaged<Transfer>.fromOpaque(pointer.unsafelyUnwrapped).takeUnretainedValue()
    }

    private func setBody(_ handle: UnsafeMutableRawPointer) -> [CURLcode] {
        guard let body = request.body else { return [] }
        return body.withUnsafeBytes { bytes in
            [
                riposte_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count)),
                riposte_curl_set_text(handle, CURLOPT_COPYPOSTFIELDS, bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(problem.text)),
            ]
        }
    }

    // MARK: - Answer

    private func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        if let sink = request.bodySink {
            sink(Array(bytes))
            return bytes.count
        }
        guard body.count + bytes.count <= request.maxResponseBytes else {
            isTooLarge = true
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    private func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        let line = String(decoding: bytes, as: UTF8.self)
        // A new status line begins a new answer, after a 100 for one.
        if line.hasPrefix("HTTP/") { headers = [] }
        if let colon = line.firstIndex(of: ":"), headers.count < 256 {
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
            headers.append((line[..<colon].lowercased(), value))
        }
        return bytes.count
    }

    func result(_ code: CURLcode, _ handle: UnsafeMutableRawPointer) -> Result<HTTPResponse, TransportError> {
        guard code != CURLE_OK else {
            return .success(HTTPResponse(status: riposte_curl_status(handle), headers: headers, body: body))
        }
        return .failure(TransportError(errorCode(code), "\(title): \(problem.words(for: code))"))
    }

    private func errorCode(_ code: CURLcode) -> TransportError.Code {
        if code == CURLE_COULDNT_CONNECT, let socket = request.unixSocket, access(socket, F_OK) == 0, access(socket, R_OK | W_OK) != 0 { return .denied }
        return code == CURLE_WRITE_ERROR && isTooLarge ? .tooLarge : TransportError.Code(code)
    }
}
