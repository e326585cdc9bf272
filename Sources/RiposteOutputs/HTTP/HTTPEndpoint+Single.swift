internal import RiposteCore
internal import RiposteTransport

extension HTTPEndpoint {
    /// One POST of JSON for each message, in order; what stands behind one that must wait waits too. `verdict`: what this receiver means by an answer,
    /// where that is not what all mean.
    func post(
        _ batch: [OutputMessage], path: String = "", query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [], at now: Timestamp,
        verdict: (HTTPResponse) -> DeliveryReport.Fate? = { _ in nil },
        body: (OutputMessage) -> JSON
    ) async -> DeliveryReport {
        var (fates, answer): ([DeliveryReport.Fate], String?) = ([], nil)
        for message in batch {
            if let last = fates.last, case .tryAgain = last {
                fates.append(last)
                continue
            }
            let exchange = await send(path: path, query: query, headers: [("Content-Type", "application/json; charset=utf-8")] + headers, body: body(message).bytes)
            fates.append(exchange.fate(at: now, verdict))
            answer = exchange.answer
        }
        return DeliveryReport(fates, answer: answer)
    }

    /// One at a time, at once.
    var single: BatchLimits { BatchLimits(count: 1, deadline: timeout + .seconds(5)) }
}

extension HTTPEndpoint.Exchange {
    func fate(at now: Timestamp, _ verdict: (HTTPResponse) -> DeliveryReport.Fate?) -> DeliveryReport.Fate {
        if case .answered(let response) = self, let own = verdict(response) { return own }
        return fate(at: now)
    }

    /// The answer where there was one with a 2xx.
    var success: HTTPResponse? {
        if case .answered(let response) = self, 200..<300 ~= response.status { response } else { nil }
    }
}

extension HTTPResponse {
    /// The body where it is JSON.
    var json: JSON? { try? JSON(parsing: body) }

    /// Does the body have one of these words? For receivers whose errors are words.
    func says(_ words: String...) -> Bool {
        let text = String(decoding: body, as: UTF8.self)
        return words.contains { text.contains($0) }
    }
}
