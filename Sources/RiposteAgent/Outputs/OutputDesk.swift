internal import Foundation
internal import Logging
package import RiposteCore
internal import RiposteOutputs
internal import RiposteTransport

extension AgentConfiguration {
    /// What outputs are given, beside their keys.
    func outputSurroundings(_ http: HTTPClient, _ logger: Logger) -> Outputs.Surroundings {
        Outputs.Surroundings(stateDirectory: stateDirectory, host: rules.hostnameInAlerts, http: http, language: .rules, logger: logger)
    }

    func readOutputs(_ surroundings: Outputs.Surroundings) throws(Diagnostics) -> [Output] {
        try Outputs.read(outputs.entries, file: outputs.file, surroundings)
    }
}

/// `riposte output`: what can be asked of outputs without being their agent.
package struct OutputDesk: Sendable {
    private let configuration: AgentConfiguration

    package init(_ configuration: AgentConfiguration) { self.configuration = configuration }

    /// Sends a marked message by a destination of our own making; for where no agent runs.
    package func test(_ name: String) async throws -> JSON {
        let http = HTTPClient()
        defer { http.close() }
        let surroundings = configuration.outputSurroundings(http, Logger(label: "riposte.output", factory: { _ in SwiftLogNoOpLogHandler() }))
        let outputs = try configuration.readOutputs(surroundings)
        guard let output = outputs.first(where: { $0.name == name }) else { throw DeskError.noOutput(name, among: outputs.map(\.name)) }
        return Self.json(name, await output.test(host: surroundings.host))
    }

    static func json(_ name: String, _ test: Courier.Test) -> JSON {
        var object: JSONObject = ["name": .text(name)]
        switch test.report.fates.first {
        case .delivered?: object.append("delivered", true)
        case .tryAgain(let reason, _)?, .rejected(let reason)?:
            object.append("delivered", false)
            object.append("reason", .text(reason))
        case nil: object.append("delivered", false)
        }
        object.append("answer", test.report.answer.map(JSON.text))
        object.append("duration_us", .integer(test.took.wholeMicroseconds))
        return .object(object)
    }
}

extension DeskError {
    package static func noOutput(_ name: String, among names: [String]) -> DeskError {
        let hint = nearMiss(to: name, among: names).map { "; did you mean \"\($0)\"?" } ?? (names.isEmpty ? "; none is configured" : "; there are \(names.joined(separator: ", "))")
        return DeskError(.notFound, "there is no output \"\(name.escapedForDisplay)\"\(hint)")
    }
}
