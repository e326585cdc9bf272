// What can only be measured inside a process: alerts per second of one core, journal appends per second, events judged by rules. No part of
// Riposte; run.py runs it and reads one JSON object per line from its standard output.
//
// Usage: riposte-bench alerts ALERTS FOLDER ROUNDS ITERATIONS PLAYBOOKS...
//          ALERTS      a file of alerts, one JSON object per line; taken in turn, again and again
//          FOLDER      an empty folder on the disk that the journal is measured on
//          ROUNDS      how often each measurement is taken
//          ITERATIONS  alerts, or records, per measurement
//          PLAYBOOKS   folders of playbooks, each a measurement of its own
//        riposte-bench rules FOLDER ROUNDS ITERATIONS
//          FOLDER      rules files, each a set of its own
//        riposte-bench rules-once FILE ITERATIONS
//          for a counter of instructions around it
//        riposte-bench outputs ALERTS FOLDER URL RATE SECONDS
//          RATE        alerts per second written to the journal, each for three outputs: a file, and URL twice

internal import Foundation
internal import Logging
internal import RiposteAudit
internal import RiposteCore
internal import RipostePlaybooks

let arguments = Array(CommandLine.arguments.dropFirst())

func count(_ index: Int) -> Int? { arguments.indices.contains(index) ? Int(arguments[index]).flatMap { $0 > 0 ? $0 : nil } : nil }

switch (arguments.first, arguments.count) {
case ("alerts", 5...):
    guard let rounds = count(3), let iterations = count(4) else { fallthrough }
    let lines = try [UInt8](Data(contentsOf: URL(fileURLWithPath: arguments[1]))).split(separator: UInt8(ascii: "\n")).map { Array($0) }
    for folder in arguments.dropFirst(5) { try MatchingBenchmark(lines: lines, folder: folder).run(rounds: rounds, iterations: iterations) }
    try JournalBenchmark(lines: lines, folder: arguments[2]).run(rounds: rounds, iterations: iterations)
case ("rules", 4):
    guard let rounds = count(2), let iterations = count(3) else { fallthrough }
    try RulesBenchmark(folder: arguments[1], rounds: rounds, iterations: iterations).run()
case ("rules-once", 3):
    guard let iterations = count(2) else { fallthrough }
    try RulesBenchmark(folder: arguments[1], rounds: 1, iterations: iterations).once()
case ("outputs", 6):
    guard let rate = count(4), let seconds = count(5) else { fallthrough }
    let lines = try [UInt8](Data(contentsOf: URL(fileURLWithPath: arguments[1]))).split(separator: UInt8(ascii: "\n")).map { Array($0) }
    try await OutputsBenchmark(lines: lines, folder: arguments[2], url: arguments[3]).run(rate: rate, seconds: seconds)
default:
    FileHandle.standardError.write(Data("usage: riposte-bench alerts|rules|rules-once|outputs ...; see main.swift\n".utf8))
    exit(2)
}
