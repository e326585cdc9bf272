internal import RiposteCore

/// Results of tests as CI systems read them: JUnit's XML, in the elements and attributes that Jenkins, GitLab and GitHub's readers share.
package struct JUnitReport: Sendable, Equatable {
    package struct Suite: Sendable, Equatable {
        package var name: String
        package var cases: [Case] = []

        package init(name: String) { self.name = name }
    }

    package struct Case: Sendable, Equatable {
        package var name: String
        package var line: Int
        package var verdict: Verdict

        package init(name: String, line: Int, verdict: Verdict) {
            self.name = name
            self.line = line
            self.verdict = verdict
        }
    }

    package enum Verdict: Sendable, Equatable {
        case passed
        /// What went otherwise than expected.
        case failed([String])
        /// Why it could not be run.
        case error(String)
    }

    package let name: String
    package var suites: [Suite] = []

    package init(name: String) { self.name = name }

    package var text: String {
        var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
        lines.append("<testsuites name=\"\(name.xml)\" \(Self.counts(suites.flatMap(\.cases)))>")
        for suite in suites {
            lines.append("  <testsuite name=\"\(suite.name.xml)\" \(Self.counts(suite.cases))>")
            for each in suite.cases { lines += Self.lines(of: each, in: suite) }
            lines.append("  </testsuite>")
        }
        lines.append("</testsuites>")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func counts(_ cases: [Case]) -> String {
        let failures = cases.count { if case .failed = $0.verdict { true } else { false } }
        let errors = cases.count { if case .error = $0.verdict { true } else { false } }
        return "tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"\(errors)\" skipped=\"0\""
    }

    private static func lines(of each: Case, in suite: Suite) -> [String] {
        let head = "    <testcase name=\"\(each.name.xml)\" classname=\"\(suite.name.xml)\" file=\"\(suite.name.xml)\" line=\"\(each.line)\""
        switch each.verdict {
        case .passed: return [head + "/>"]
        case .failed(let messages):
            // Some readers take the first failure of a case only, so there is one.
            let first = messages.first ?? ""
            return [head + ">", "      <failure message=\"\(first.xml)\">\(messages.map(\.xml).joined(separator: "\n"))</failure>", "    </testcase>"]
        case .error(let message): return [head + ">", "      <error message=\"\(message.xml)\"/>", "    </testcase>"]
        }
    }
}

extension String {
    /// As text or attribute of XML 1.0. Characters that XML forbids even as references, and all others that a reader's eye or log would take for
    /// something else, are written as escapes first.
    fileprivate var xml: String {
        var result = ""
        for scalar in escapedForDisplay.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
