internal import Foundation
internal import RiposteCore
internal import RipostePlaybooks

/// What speaks for us at the API. A plugin's token is kept until it expires; whoever needs one while the plugin runs waits for that run, and what it failed with is
/// the answer for some seconds.
actor KubernetesCredentials {
    private typealias Outcome = Result<CredentialPlugin.Token, ActionError>

    private static let failureValidity = Duration.seconds(5)

    private let credential: KubernetesConfiguration.Credential
    private var kept: CredentialPlugin.Token?
    private var failure: (error: ActionError, until: ContinuousClock.Instant)?
    private var isRunning = false
    private var waiters: [Int: CheckedContinuation<Outcome, Never>] = [:]
    private var nextTicket = 0

    init(_ credential: KubernetesConfiguration.Credential) { self.credential = credential }

    /// What goes behind `Bearer`, or nil where a certificate or nothing speaks for us.
    func token() async throws(ActionError) -> String? {
        switch credential {
        case .none: return nil
        case .token(let token): return token
        case .tokenFile(let path):
            return String(decoding: try KubernetesConfiguration.bytes(of: path), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        case .plugin(let plugin):
            if let kept, kept.expires.map({ $0 - .now() > .seconds(10) }) ?? true { return kept.text }
            if let failure, .now < failure.until { throw failure.error }
            return try await outcome(of: plugin).get().text
        }
    }

    /// After a 401: this token is no good. One that came since may be.
    func forget(_ token: String?) { if kept?.text == token { kept = nil } }

    /// Of the run that is under way, or of one that begins now.
    private func outcome(of plugin: CredentialPlugin) async -> Outcome {
        if !isRunning {
            isRunning = true
            Task { settle(await Self.run(plugin)) }
        }
        let ticket = nextTicket
        nextTicket += 1
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: Self.calledOff) }
                waiters[ticket] = continuation
            }
        } onCancel: {
            Task { await self.leave(ticket) }
        }
    }

    private static let calledOff = Outcome.failure(ActionError(.cancelled, "wait for the credential plugin", "it was called off"))

    /// The run goes on: the next who asks may need it.
    private func leave(_ ticket: Int) { waiters.removeValue(forKey: ticket)?.resume(returning: Self.calledOff) }

    private static func run(_ plugin: CredentialPlugin) async -> Outcome {
        do throws(ActionError) { return .success(try await plugin.run()) } catch { return .failure(error) }
    }

    private func settle(_ outcome: Outcome) {
        isRunning = false
        switch outcome {
        case .success(let token): (kept, failure) = (token, nil)
        case .failure(let error): (kept, failure) = (nil, (error, .now + Self.failureValidity))
        }
        let waiting = waiters.values
        waiters = [:]
        for continuation in waiting { continuation.resume(returning: outcome) }
    }
}
