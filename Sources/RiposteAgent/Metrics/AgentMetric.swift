package import RiposteMetrics

/// Every metric that the agent has. `docs/metrics.md` has the same table, the dashboard and the rules in `config/` ask for nothing else.
package enum AgentMetric {
    // MARK: - Counted as it happens

    static let alerts = Metric(
        "riposte_alerts_total", .counter, "Alerts that were taken in, repeats too; rule and source are untrusted where the sender is not believed.",
        labels: [.open("rule"), "priority", .open("source")], seriesLimit: 500)
    static let alertLatency = Metric(
        "riposte_alert_latency_seconds", .histogram(upTo: .latencies), "From the event, by the detector's clock, to the alert's arrival.", labels: [.open("intake")],
        seriesLimit: 32)
    static let responseLatency = Metric(
        "riposte_response_latency_seconds", .histogram(upTo: .latencies), "From an alert's arrival to the outcome done of an action that waited for nobody.",
        labels: [.open("action")], seriesLimit: 64)
    static let actionDuration = Metric(
        "riposte_action_duration_seconds", .histogram(upTo: .latencies), "From an order to its outcome done.", labels: [.open("action")], seriesLimit: 64)

    package static let counted = [alerts, alertLatency, responseLatency, actionDuration]

    // MARK: - Read when asked for

    static let buildInfo = Metric("riposte_build_info", .gauge, "1, for the version that runs.", labels: ["version"])
    static let startTime = Metric("riposte_start_time_seconds", .gauge, "When the agent began, in seconds since 1970.")
    static let mode = Metric("riposte_mode", .gauge, "1 for the mode that the agent is in, 0 for the others.", labels: ["mode"])
    static let playbooks = Metric("riposte_playbooks", .gauge, "Playbooks in force.")
    static let degraded = Metric("riposte_playbooks_degraded", .gauge, "Playbooks in force that lack what their steps need on this machine.")
    static let rules = Metric("riposte_rules", .gauge, "Rules in force that judge.")
    static let reloads = Metric("riposte_reloads_total", .counter, "Times that files were read anew: success, failure (rejected).", labels: ["files", "result"])
    static let reloadRejected = Metric("riposte_reload_rejected", .gauge, "1 where the files as they are now were rejected, and those before are in force.", labels: ["files"])

    static let sensorEnabled = Metric("riposte_sensor_enabled", .gauge, "1 where the own sensor is wanted.")
    static let sensorRunning = Metric("riposte_sensor_running", .gauge, "1 where the own sensor is at work.")
    static let sensorEvents = Metric("riposte_sensor_events_total", .counter, "Events that came from the kernel.")
    static let sensorKernelEvents = Metric(
        "riposte_sensor_kernel_events_total", .counter, "Events in the kernel, by type: seen by the programs, passed by their tests.", labels: [.open("type"), "stage"],
        seriesLimit: 1024)
    static let sensorLost = Metric(
        "riposte_sensor_lost_events_total", .counter, "Events that found the ring buffer full, by type.", labels: [.open("type")], seriesLimit: 512)
    static let sensorMatches = Metric("riposte_sensor_matches_total", .counter, "Events for which a rule held, once for each rule.")
    static let sensorMalformed = Metric("riposte_sensor_malformed_events_total", .counter, "Records from the kernel that could not be read.")
    static let sensorShed = Metric("riposte_sensor_shed_alerts_total", .counter, "Findings of the sensor that the engine did not take.")
    static let sensorTampering = Metric("riposte_sensor_tampering_total", .counter, "Attempts to tamper with the agent.")
    static let sensorLateAccounts = Metric(
        "riposte_sensor_late_accounts_total", .counter, "Account files of containers that did not come in time: users have no names there.")
    static let sensorProcesses = Metric("riposte_sensor_processes", .gauge, "Processes in the sensor's table.")

    static let intakeAlerts = Metric(
        "riposte_intake_alerts_total", .counter,
        "What came in at an intake: accepted, rejected (no alert), shed (no room), rationed (more than is kept of senders who are not believed), denied (no right).",
        labels: [.open("intake"), "result"])
    static let intakeUntrusted = Metric(
        "riposte_intake_untrusted_alerts_total", .counter, "Of the accepted ones, those whose sender is not believed: they are observed only.", labels: [.open("intake")])
    static let intakeEvicted = Metric(
        "riposte_intake_evicted_connections_total", .counter, "Connections that were given up, long silent, for others that waited.", labels: [.open("intake")])
    static let auditEvents = Metric("riposte_kubernetes_audit_events_total", .counter, "Audit events of Kubernetes API servers: judged, dropped.", labels: ["result"])

    static let matches = Metric("riposte_alerts_matched_total", .counter, "Alerts that a playbook answers.")
    static let repeats = Metric("riposte_alerts_repeated_total", .counter, "Alerts that told again what an earlier one had told.")
    static let shed = Metric(
        "riposte_alerts_shed_total", .counter, "Alerts and orders turned away: run_limit (too many runs are open), crowded (too many wait for the same target).", labels: ["cause"])
    static let runs = Metric("riposte_runs_total", .counter, "Runs of playbooks that came to their end.")
    static let plans = Metric("riposte_plans_total", .counter, "Plans that were to be carried out: intents on record.")
    static let outcomes = Metric(
        "riposte_outcomes_total", .counter, "How actions ended, by action, outcome and the mode they were in; planned is what was only looked at.",
        labels: [.open("action"), "outcome", "mode"], seriesLimit: 512)
    static let underWay = Metric("riposte_orders_under_way", .gauge, "Runs and orders under way.")

    static let approvals = Metric("riposte_approvals_open", .gauge, "Questions that wait for a person.")
    static let approvalDeadline = Metric("riposte_approvals_next_deadline_seconds", .gauge, "Seconds until the next open question expires; 0 where there is none.")
    static let incidents = Metric("riposte_incidents_open", .gauge, "Incidents that are open.")
    static let ungrouped = Metric("riposte_incidents_ungrouped_total", .counter, "Alerts that belong to no incident because too many were open.")
    static let undos = Metric("riposte_undos_open", .gauge, "Actions in force that can be taken back.")
    static let overdueUndos = Metric("riposte_undos_overdue", .gauge, "Of those, the ones whose time was up more than a minute ago.")
    static let drift = Metric("riposte_drift_total", .counter, "Things found not to be as an action had left them.")

    static let budgetUsed = Metric("riposte_budget_used", .gauge, "Of a budget, what is used in its window.", labels: [.open("budget"), "counts"], seriesLimit: 500)
    static let budgetLimit = Metric("riposte_budget_limit", .gauge, "Of a budget, what there is in its window.", labels: [.open("budget"), "counts"], seriesLimit: 500)
    static let breakers = Metric("riposte_breakers", .gauge, "Breakers that are not closed, by state.", labels: ["state"])
    static let breakerTripped = Metric(
        "riposte_breaker_tripped", .gauge, "1 for each breaker that is not closed.", labels: [.open("breaker"), "state"], seriesLimit: 100)

    static let journalSeq = Metric("riposte_journal_seq", .gauge, "The number of the journal's last record.")
    static let journalBytes = Metric("riposte_journal_bytes", .gauge, "Bytes of the journal on the disk.")
    static let journalFailures = Metric("riposte_journal_failures_total", .counter, "Records that the journal did not take.")
    static let journalSyncFailures = Metric(
        "riposte_journal_sync_failures_total", .counter, "How often what the journal has written could not be brought to the medium; nothing is done until it is there.")
    static let journalWritable = Metric("riposte_journal_writable", .gauge, "1 where the journal takes records, as far as is known.")
    static let journalProblem = Metric("riposte_journal_problem", .gauge, "1 where the journal was found cut off or damaged at the start.")
    static let checkpoints = Metric("riposte_journal_checkpoints_total", .counter, "Signed checkpoints: written, failed.", labels: ["result"])
    static let checkpointAge = Metric("riposte_journal_checkpoint_age_seconds", .gauge, "Time since the last signed checkpoint; 0 where there is none.")
    static let unanchored = Metric("riposte_journal_unanchored_records", .gauge, "Records that no checkpoint vouches for yet.")

    static let outputMessages = Metric(
        "riposte_output_messages_total", .counter, "Of an output: sent, retried, dead (rejected for good), shed (too far back), missing (not in the journal any more).",
        labels: [.open("output"), "result"])
    static let outputBehind = Metric("riposte_output_behind_records", .gauge, "Records of the journal that an output has not done with.", labels: [.open("output")])
    static let outputBytes = Metric("riposte_output_behind_bytes", .gauge, "The same in bytes.", labels: [.open("output")])
    static let outputFailing = Metric("riposte_output_failing", .gauge, "1 where an output's last delivery failed.", labels: [.open("output")])
    static let outputSuccess = Metric(
        "riposte_output_last_success_timestamp_seconds", .gauge, "When an output last delivered, in seconds since 1970.", labels: [.open("output")])

    static let redirected = Metric(
        "riposte_metrics_redirected_total", .counter, "Observations that were put into series labelled other, because a metric had too many series.", labels: ["metric"])
    static let undeclared = Metric("riposte_metrics_undeclared_total", .counter, "Metrics that a library asked for and that are not kept.")

    static let cpuTime = Metric("process_cpu_seconds_total", .counter, "Processor time of the agent, in seconds.")
    static let residentMemory = Metric("process_resident_memory_bytes", .gauge, "Resident memory of the agent.")
    static let virtualMemory = Metric("process_virtual_memory_bytes", .gauge, "Virtual memory of the agent.")
    static let openDescriptors = Metric("process_open_fds", .gauge, "Open file descriptors of the agent.")
    static let descriptorLimit = Metric("process_max_fds", .gauge, "How many it may have.")
    static let processStart = Metric("process_start_time_seconds", .gauge, "When the process began, in seconds since 1970.")

    static let read = [
        buildInfo, startTime, mode, playbooks, degraded, rules, reloads, reloadRejected, sensorEnabled, sensorRunning, sensorEvents, sensorKernelEvents, sensorLost, sensorMatches,
        sensorMalformed, sensorShed, sensorLateAccounts, sensorTampering, sensorProcesses,
        intakeAlerts, intakeUntrusted, intakeEvicted, auditEvents, matches, repeats, shed, runs, plans, outcomes, underWay, approvals,
        approvalDeadline, incidents, ungrouped, undos, overdueUndos, drift, budgetUsed, budgetLimit, breakers, breakerTripped, journalSeq, journalBytes, journalFailures,
        journalSyncFailures, journalWritable, journalProblem,
        checkpoints, checkpointAge, unanchored, outputMessages, outputBehind, outputBytes, outputFailing, outputSuccess, redirected, undeclared, cpuTime, residentMemory,
        virtualMemory, openDescriptors, descriptorLimit, processStart,
    ]

    package static let all = counted + read
}
