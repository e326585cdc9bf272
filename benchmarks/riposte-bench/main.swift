// What can only be measured inside a process: alerts per second of one core, and journal appends per second. No part of Riposte; run.py runs it
// and reads one JSON object per line from its standard output.
//
// Usage: riposte-bench ALERTS FOLDER ROUNDS ITERATIONS PLAYBOOKS...
//   ALERTS      a file of alerts, one JSON object per line; taken in turn, again and again
//   FOLDER      an empty folder on the disk that the journal is measured on
//   ROUNDS      how often each measurement is taken
//   ITERATIONS  alerts, or records, per measurement
//   PLAYBOOKS   folders of playbooks, each a measurement of its own

internal import Foundation
internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks

guard CommandLine.arguments.count >= 5, let rounds = Int(CommandLine.arguments[3]), let iterations = Int(CommandLine.arguments[4]), rounds > 0, iterations > 0
else {
    FileHandle.standardError.write(Data("usage: riposte-bench ALERTS FOLDER ROUNDS ITERATIONS PLAYBOOKS...\n".utf8))
    exit(2)
}

let lines = try [UInt8](Data(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1]))).split(separator: UInt8(ascii: "\n")).map { Array($0) }

for folder in CommandLine.arguments.dropFirst(5) { try MatchingBenchmark(lines: lines, folder: folder).run(rounds: rounds, iterations: iterations) }
try JournalBenchmark(lines: lines, folder: CommandLine.arguments[2]).run(rounds: rounds, iterations: iterations)
