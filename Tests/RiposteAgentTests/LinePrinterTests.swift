import CRiposte
import Glibc
import Synchronization
import Testing

@testable import RiposteAgent

/// A pipe of one page, whose reader reads when the test says so.
private final class PagePipe: Sendable {
    let reader: Int32
    let writer: Int32

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        (reader, writer) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        try #require(fcntl(writer, Self.setSize, 4096) == 4096)
    }

    /// F_SETPIPE_SZ of fcntl(2).
    private static let setSize: Int32 = 1031

    deinit { for end in [reader, writer] { close(end) } }

    /// What is there, at most one page, without waiting for more.
    func there() -> String {
        var wait = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, 0) > 0 else { return "" }
        return read()
    }

    private func read() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(reader, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    /// Waits until so many bytes have come.
    func text(_ bytes: Int) -> String {
        var text = ""
        while text.utf8.count < bytes { text += read() }
        return text
    }

    static let takesWritesNow: Bool = {
        guard let pipe = try? PagePipe() else { return false }
        return riposte_write_now(pipe.writer, "x", 1) == 1
    }()
}

@Suite("lines are printed in order, at once where that is possible, and hold nobody up", .timeLimit(.minutes(1)))
struct LinePrinterTests {
    private final class Losses: Sendable {
        let count = Atomic<Int>(0)
        @Sendable func add(_ more: Int) { count.wrappingAdd(more, ordering: .relaxed) }
        var now: Int { count.load(ordering: .relaxed) }
    }

    private let losses = Losses()

    private func printer(_ pipe: PagePipe, bound: Int = 8192, quiet: Duration = .milliseconds(1)) -> LinePrinter<String> {
        LinePrinter(descriptor: pipe.writer, bound: bound, quiet: quiet, onLoss: losses.add) { $0 }
    }

    @Test("after a quiet time a line is there before take returns", .enabled(if: PagePipe.takesWritesNow, "needs pipes that take RWF_NOWAIT: Linux 6.4"))
    func atOnce() throws {
        let pipe = try PagePipe()
        let printer = printer(pipe, quiet: .zero)
        for number in 0..<100 {
            printer.take("line \(number)")
            #expect(pipe.there() == "line \(number)\n")
        }
        printer.finish()
    }

    @Test("a flood comes whole and in order, some of it at once and some by the thread", arguments: [Duration.zero, .milliseconds(1), .seconds(1000)])
    func order(_ quiet: Duration) async throws {
        let pipe = try PagePipe()
        let printer = printer(pipe, quiet: quiet)
        let lines = (0..<5000).map { "line \($0)" }
        let expected = lines.map { $0 + "\n" }.joined()
        async let read = Task.detached { pipe.text(expected.utf8.count) }.value
        for line in lines { printer.take(line) }
        printer.finish()
        #expect(await read == expected)
        #expect(losses.now == 0)
    }

    @Test("a reader that does not read holds nobody up; what is beyond the bound is counted, and what was begun is finished")
    func slowReader() async throws {
        let pipe = try PagePipe()
        let printer = printer(pipe, bound: 3, quiet: .zero)
        let long = String(repeating: "x", count: 10_000)
        // The pipe takes a page of the first; some wait, and the others find no room.
        let lines = (0..<20).map { "\($0) \(long)" }
        for line in lines { printer.take(line) }
        let finished = Task.detached { printer.finish() }
        var text = ""
        while !text.hasSuffix("\n") || losses.now == 0 { text += pipe.there() }
        await finished.value
        text += pipe.there()
        let printed = text.split(separator: "\n").map(String.init)
        #expect(printed.count + losses.now == lines.count && printed.count >= 1)
        #expect(printed == lines.filter(printed.contains))
    }

    @Test("that nobody reads any more is known, at once or from the thread", arguments: [Duration.zero, .seconds(1000)])
    func reader(_ quiet: Duration) throws {
        let pipe = try PagePipe()
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        // The reading end becomes something else.
        try #require(dup2(null, pipe.reader) >= 0)
        close(null)
        let printer = printer(pipe, quiet: quiet)
        for _ in 0..<3 { printer.take("line") }
        printer.finish()
        #expect(printer.failure == EPIPE)
    }
}
