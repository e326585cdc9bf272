import Foundation
import RiposteCore
import RipostePlaybooks
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

@Suite("JUnit reports")
struct JUnitReportTests {
    /// What a reader of XML makes of a report.
    private final class Reading: NSObject, XMLParserDelegate {
        var elements: [(name: String, attributes: [String: String])] = []
        var text = ""

        func parser(_ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?, attributes: [String: String]) {
            elements.append((name, attributes))
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
    }

    private func read(_ report: JUnitReport) throws -> Reading {
        let reading = Reading()
        let parser = XMLParser(data: Data(report.text.utf8))
        parser.delegate = reading
        try #require(parser.parse(), "\(report.text)")
        return reading
    }

    @Test("passed, failed and impossible tests are counted and told apart")
    func verdicts() throws {
        var report = JUnitReport(name: "riposte playbook test")
        var suite = JUnitReport.Suite(name: "p/a.test.yaml")
        suite.cases = [
            .init(name: "one", line: 2, verdict: .passed), .init(name: "two", line: 7, verdict: .failed(["x", "y"])), .init(name: "three", line: 9, verdict: .error("no file")),
        ]
        report.suites = [suite, JUnitReport.Suite(name: "p/empty.test.yaml")]
        #expect(
            report.text == """
                <?xml version="1.0" encoding="UTF-8"?>
                <testsuites name="riposte playbook test" tests="3" failures="1" errors="1" skipped="0">
                  <testsuite name="p/a.test.yaml" tests="3" failures="1" errors="1" skipped="0">
                    <testcase name="one" classname="p/a.test.yaml" file="p/a.test.yaml" line="2"/>
                    <testcase name="two" classname="p/a.test.yaml" file="p/a.test.yaml" line="7">
                      <failure message="x">x
                y</failure>
                    </testcase>
                    <testcase name="three" classname="p/a.test.yaml" file="p/a.test.yaml" line="9">
                      <error message="no file"/>
                    </testcase>
                  </testsuite>
                  <testsuite name="p/empty.test.yaml" tests="0" failures="0" errors="0" skipped="0">
                  </testsuite>
                </testsuites>

                """)
        _ = try read(report)
    }

    @Test(
        "every text stays a text, and what XML forbids is escaped",
        arguments: [
            ("a\"b'c<d>&e", "a\"b'c<d>&e"), ("]]><!-- & --><x y=\"1\"/>", "]]><!-- & --><x y=\"1\"/>"), ("a\u{0}b\u{1}\u{B}\u{1F}\u{7F}", "a\\x00b\\x01\\x0b\\x1f\\x7f"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"), ("\u{FFFE}\u{FFFF}", "\\u{fffe}\\u{ffff}"), ("\u{202E}x", "\\u{202e}x"), ("é ✓ 😀", "é ✓ 😀"), ("&#0;", "&#0;"),
        ])
    func hostile(_ text: String, _ shown: String) throws {
        var report = JUnitReport(name: text)
        var suite = JUnitReport.Suite(name: text)
        suite.cases = [.init(name: text, line: 1, verdict: .failed([text])), .init(name: text, line: 1, verdict: .error(text))]
        report.suites = [suite]
        let reading = try read(report)
        #expect(reading.elements.map(\.name) == ["testsuites", "testsuite", "testcase", "failure", "testcase", "error"])
        for element in reading.elements { #expect((element.attributes["name"] ?? element.attributes["message"]) == shown) }
        #expect(reading.text.contains(shown))
    }
}

@Suite("Coverage of playbook tests")
struct PlaybookCoverageTests {
    @Test("a playbook that no alert matches, and steps that none asks for, are unreached; what is switched off is not asked about")
    func unreached() throws {
        let set = try load(
            """
              - name: hit
                match: { rules: [a] }
                steps:
                  - action: process.kill
                  - action: container.pause
                    when: container.id exists
              - name: missed
                match: { rules: [b] }
                steps: [{ action: process.kill }]
              - name: off
                enabled: false
                match: { rules: [c] }
                steps: [{ action: process.kill }]

            """)
        let file = try PlaybookTestFile(file: "x.test.yaml", text: "tests:\n  - { name: t, alerts: [a.json], expect: [{ playbook: hit, action: process.kill }] }\n")
        let result = file.run(try #require(file.tests.first), alerts: [try alert(rule: "a", fields: ["proc.pid": 1])], playbooks: set, catalogue: testCatalogue)
        #expect(result.failures.isEmpty, "\(result.failures)")
        #expect(result.coverage.unreached(of: set).map { "\($0.playbook) \($0.step ?? "-") \($0.line)" } == ["hit container-pause 3", "missed - 9"])
        var both = result.coverage
        both.reach("missed")
        both.reach("missed", step: "process-kill")
        both.reach("hit", step: "container-pause")
        #expect(both.unreached(of: set).isEmpty)
    }
}
