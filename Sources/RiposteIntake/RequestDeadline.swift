internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection on which a request does not come to its end in time, whether its answer is given already or not: one byte now and then
/// keeps an idle timeout from ever being over.
///
/// Unchecked: a channel handler belongs to its connection's event loop, and nobody else calls it.
final class RequestDeadline: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let time: TimeAmount
    private var deadline: Scheduled<Void>?

    init(_ time: TimeAmount) { self.time = time }

    /// Whatever is read ahead of who is slow to take it is small.
    func handlerAdded(context: ChannelHandlerContext) {
        context.channel.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readSize)).whenComplete { _ in }
    }

    private static let readSize = 16 << 10

    func channelActive(context: ChannelHandlerContext) {
        restart(context)
        context.fireChannelActive()
    }

    /// Each request's head has its time, from the end of the one before; and so has what follows the head.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head, .end: restart(context)
        case .body: break
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    private func restart(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [channel = context.channel] in channel.close(promise: nil) }
    }
}
