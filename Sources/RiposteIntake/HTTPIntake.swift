internal import HTTPTypes
internal import Hummingbird
package import Logging
internal import RiposteCore

/// Alerts by HTTP: Falco's `http_output`, falcosidekick's webhook and Talon outputs, or anybody's POST.
package struct HTTPIntake: Intake {
    package typealias Configuration = HTTPListener.Configuration
    package typealias Unusable = HTTPListener.Unusable
    package typealias Misconfigured = HTTPListener.Misconfigured

    package let name: String
    package let counters = IntakeCounters()
    private let listener: HTTPListener
    private let reader: AlertReader
    /// The ids of the alerts that were taken of it, its first ones.
    private let halfTaken = HalfTakenTexts<[Identifier]>()

    /// `onListening` is told the port once connections are taken.
    package init(
        _ configuration: Configuration, sink: any AlertSink, logger: Logger, onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws(Misconfigured) {
        listener = try HTTPListener(configuration, counters: counters, logger: logger, onListening: onListening)
        name = configuration.name
        reader = AlertReader(name: configuration.name, trust: configuration.trust, sink: sink, counters: counters)
    }

    package var place: String { "\(listener.place)/" }

    package func run() async throws { try await listener.run(route) }

    /// Takes up tokens and certificates as they are now; see ``HTTPListener/renew(_:)``.
    package func renew(_ fresh: Configuration) throws(HTTPListener.Misconfigured) -> Bool { try listener.renew(fresh) }

    /// Whether it may listen like this, and whether its certificates and keys can be read.
    package static func check(_ configuration: Configuration) throws(Misconfigured) { try HTTPListener.check(configuration) }

    // MARK: - Requests

    private func route(_ request: Request, _ peer: HTTPListener.Peer) async -> Response {
        guard ["/", "/alerts"].contains(request.uri.path) else { return .json(.notFound, ["error": "alerts go to / or /alerts"]) }
        guard request.method == .post || request.method == .put else { return .notAllowed("POST, PUT") }
        if let refusal = listener.refusal(of: request) { return refusal }
        return await listener.withBody(of: request, from: peer, ifTooLarge: .contentTooLarge) { take($0, peer.arrival(at: name)) }
    }

    // MARK: - Alerts

    /// All or nothing as far as reading goes: a body with one bad alert is refused whole, so that it can be sent again whole. One that found no room to its end goes
    /// on where it was when it is sent again.
    private func take(_ body: [UInt8], _ arrival: Alert.Arrival) -> Response {
        let alerts: [Alert]
        do throws(BodyError) { alerts = try AlertBody.alerts(in: body, arrival) } catch {
            reader.reject(error.problem, body, arrival)
            return .json(.badRequest, error.json)
        }
        // One who is believed does not owe his alerts to one who is not.
        let source = arrival.trust.rawValue
        var taken = alerts.count > 1 ? halfTaken.part(of: body, from: source) ?? [] : []
        let isAgain = !taken.isEmpty
        for alert in alerts.dropFirst(taken.count) {
            do throws(AdmissionError) { try reader.sink.accept(alert) } catch {
                if case .unsafe(let reason) = error { listener.note(reason) }
                if !taken.isEmpty { halfTaken.keep(taken, of: body, from: source) }
                return refusal(error, taken.map { .text("\($0)") })
            }
            listener.note(nil)
            reader.countAccepted(arrival)
            taken.append(alert.id)
        }
        if isAgain { halfTaken.forget(body, from: source) }
        return .json(.accepted, Self.receipt(taken.map { .text("\($0)") }))
    }

    private static func receipt(_ ids: [JSON]) -> JSON {
        var answer: JSONObject = [:]
        if ids.count == 1 { answer.append("id", ids[0]) }
        answer.append("ids", .array(ids))
        return .object(answer)
    }

    private func refusal(_ error: AdmissionError, _ taken: [JSON]) -> Response {
        counters.count(turnedAway: error)
        switch error {
        case .full: return .json(.tooManyRequests, ["error": "too many alerts are being answered", "ids": .array(taken)], [.retryAfter: "1"])
        case .rationed(let reason): return .json(.tooManyRequests, ["error": .text(reason), "ids": .array(taken)], [.retryAfter: "10"])
        case .closed: return .json(.serviceUnavailable, ["error": "the agent is stopping", "ids": .array(taken)])
        case .unsafe(let reason): return .json(.serviceUnavailable, ["error": .text("the alert could not be made safe: \(reason)"), "ids": .array(taken)])
        }
    }
}

extension HTTPListener.Configuration {
    /// For alerts.
    package init() { self.init(section: "intake.http", name: "http", port: 2803, bodyLimit: 1 << 20) }
}

/// Where in a body something is wrong.
struct BodyError: Error, Equatable {
    /// Its place among the alerts of the body, from 1.
    let number: Int
    let problem: AlertError

    var json: JSON {
        var object: JSONObject = ["error": .text(problem.problem), "alert": .integer(Int64(number))]
        object.append("offset", problem.offset.map { .integer(Int64($0)) })
        return .object(object)
    }
}

/// A body: one alert, an array of alerts, or one alert per line.
enum AlertBody {
    static func alerts(in body: [UInt8], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: body) } catch { return try alerts(inLines: body, arrival, unlessOne: error) }
        return try documents(json, isFaithful: String(validating: body, as: UTF8.self) != nil, body, arrival)
    }

    private static func alerts(inLines body: [UInt8], _ arrival: Alert.Arrival, unlessOne whole: JSONError) throws(BodyError) -> [Alert] {
        let lines = body.split(separator: UInt8(ascii: "\n")).filter { $0.contains { !$0.isBlank } }
        guard lines.count > 1 else { throw BodyError(number: 1, problem: AlertError(problem: "not JSON: \(whole.problem)", offset: whole.offset)) }
        return try self.lines(lines, arrival)
    }

    private static func documents(_ json: JSON, isFaithful: Bool, _ body: [UInt8], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        guard let elements = json.array else { return [try alert(json, isFaithful ? nil : body, 1, arrival)] }
        guard !elements.isEmpty else { throw BodyError(number: 0, problem: AlertError(problem: "the array is empty")) }
        var alerts: [Alert] = []
        let texts = isFaithful ? [] : elementTexts(body)
        for (index, element) in elements.enumerated() { alerts.append(try alert(element, isFaithful ? nil : texts[index], index + 1, arrival)) }
        return alerts
    }

    /// The bytes of each element of an array; of bytes that were read as one already.
    private static func elementTexts(_ body: [UInt8]) -> [[UInt8]] {
        var (texts, start, depth) = ([[UInt8]](), body.startIndex, 0)
        var (isInText, isEscaped) = (false, false)
        for (index, byte) in body.enumerated() {
            if isInText {
                if byte == UInt8(ascii: "\""), !isEscaped { isInText = false }
                isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth == 1 { start = index + 1 }
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 1 {
                    texts.append(Array(body[start..<index]))
                    start = index + 1
                }
                if byte != UInt8(ascii: ",") { depth -= 1 }
            default: break
            }
        }
        return texts
    }

    private static func lines(_ lines: [ArraySlice<UInt8>], _ arrival: Alert.Arrival) throws(BodyError) -> [Alert] {
        var alerts: [Alert] = []
        for (index, line) in lines.enumerated() {
            do throws(AlertError) { alerts.append(try Alert(parsing: line, id: .new(at: arrival.time), arrival: arrival).withinLimits()) } catch {
                throw BodyError(number: index + 1, problem: AlertError(problem: error.problem, offset: error.offset.map { $0 + line.startIndex }))
            }
        }
        return alerts
    }

    private static func alert(_ json: JSON, _ original: [UInt8]?, _ number: Int, _ arrival: Alert.Arrival) throws(BodyError) -> Alert {
        do throws(AlertError) { return try Alert(json, original: original, id: .new(at: arrival.time), arrival: arrival).withinLimits() } catch {
            throw BodyError(number: number, problem: error)
        }
    }
}
