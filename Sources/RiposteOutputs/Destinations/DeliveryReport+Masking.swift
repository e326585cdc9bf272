extension SecretMask {
    /// Whatever a library or a receiver said, it is one harmless line of a bounded length without our secrets.
    func masked(_ report: DeliveryReport) -> DeliveryReport { report.mapped { maskedExcerpts($0).escapedForDisplay.cut(to: 500) } }

    /// For a destination that has a secret which nobody else knows; the rest is still to be masked.
    func maskedInPart(_ report: DeliveryReport) -> DeliveryReport { report.mapped { maskedExcerpts($0, keepsMarks: true) } }
}

extension DeliveryReport {
    /// Every text in it, changed.
    fileprivate func mapped(_ change: (String) -> String) -> DeliveryReport {
        // Of a batch most say the same.
        var known: [String: String] = [:]
        func line(_ text: String) -> String {
            if let line = known[text] { return line }
            let line = change(text)
            known[text] = line
            return line
        }
        var report = self
        report.answer = answer.map(line)
        report.refusal = refusal.map { Refusal(count: $0.count, reason: line($0.reason)) }
        report.missing = missing.map(line)
        report.fates = fates.map { fate in
            switch fate {
            case .delivered: fate
            case .tryAgain(let reason, let after): .tryAgain(reason: line(reason), after: after)
            case .rejected(let reason): .rejected(reason: line(reason))
            }
        }
        return report
    }
}
