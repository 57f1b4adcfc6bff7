package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

const (
	ofAccount = `account=~"$account"`
	ofRegion  = `region=~"$region"`
	ofTarget  = `target=~"$target"`
)

// orNone makes a count that has no series 0 where instances were read; where
// nothing was read it stays without data. perTarget does so for each target that
// was scanned.
const (
	orNone    = " or 0 * sum(shenscan_instances{" + ofAccount + ", " + ofRegion + "})"
	perTarget = " or 0 * sum by (target) (shenscan_instances{" + ofAccount + ", " + ofRegion + ", " + ofTarget + "})"
)

// fleetDashboard answers what is wrong with the fleet, where, and whether it
// gets better.
func fleetDashboard() *dashboard.DashboardBuilder {
	verdict := func(v string) string { return `verdict="` + v + `"` }
	counted := func(v string) query {
		return query{"sum by (target) (" + instances(ofAccount, ofRegion, ofTarget, verdict(v)) + ")" + perTarget, "{{target}}"}
	}
	red := steps("green", from(1, "red"))
	return board("shenscan-fleet", "shenscan / Fleet", "Which instances boot on which virtualization, where the legacy operating systems are, and whether their number falls.").
		WithVariable(choice("account", "Account", "shenscan_instances")).
		WithVariable(choice("region", "Region", "shenscan_instances")).
		WithVariable(choice("target", "Target", "shenscan_instances")).
		WithRow(row("Now")).
		WithPanel(figure("Instances", "Instances present, in the accounts and regions chosen above.", units.Short, 4, steps("text"),
			query{"max(sum by (target) (" + instances(ofAccount, ofRegion) + "))", "instances"})).
		WithPanel(figure("Legacy OS", "Instances with an operating system on the list of known legacy ones, whatever the target.", units.Short, 4, red,
			query{"sum(" + legacies(ofAccount, ofRegion) + ")" + orNone, "legacy"})).
		WithPanel(figure("Incompatible", "Instances that do not boot, for each chosen target.", units.Short, 4, red, counted("incompatible"))).
		WithPanel(figure("Need action", "Instances that boot after the named remedies or checks, for each chosen target.", units.Short, 4, steps("green", from(1, "orange")), counted("needs-action"))).
		WithPanel(figure("Unknown", "Instances of which what is known does not tell whether they boot, for each chosen target.", units.Short, 4, steps("green", from(1, "orange")), counted("unknown"))).
		WithPanel(figure("Oldest complete scan", "Time since the account and region that was scanned longest ago was read to its end. The numbers beside it are as old as this.", units.Seconds, 4,
			steps("green", from(26*3600, "orange"), from(50*3600, "red")),
			query{"time() - min(" + once("account, region", "shenscan_scan_last_completion_timestamp_seconds", ofAccount, ofRegion) + ")", "age"})).
		WithRow(row("Over time")).
		WithPanel(layers("Legacy instances by operating system", "Instances with a legacy operating system. A rise raises the alert ShenscanLegacyInstancesRose.", units.Short, 12,
			query{"sum by (os_family) (" + legacies(ofAccount, ofRegion) + ")", "{{os_family}}"})).
		WithPanel(byVerdict(lines("Verdicts by target", "Instances by verdict for each chosen target.", units.Short, 12,
			query{"sum by (target, verdict) (" + instances(ofAccount, ofRegion, ofTarget) + ")", "{{target}} {{verdict}}"}))).
		WithRow(row("Where")).
		WithPanel(bars("Legacy instances by version", "The twenty legacy versions with most instances.", units.Short, 12,
			query{"topk(20, sum by (os_family, os_version) (" + legacies(ofAccount, ofRegion) + "))", "{{os_family}} {{os_version}}"})).
		WithPanel(bars("Legacy instances by region", "The twenty regions with most legacy instances.", units.Short, 6,
			query{"topk(20, sum by (region) (" + legacies(ofAccount, ofRegion) + "))", "{{region}}"})).
		WithPanel(bars("Legacy instances by account", "The twenty accounts with most legacy instances.", units.Short, 6,
			query{"topk(20, sum by (account) (" + legacies(ofAccount, ofRegion) + "))", "{{account}}"})).
		WithPanel(rows("Work by operating system", "Instances that do not simply boot on a chosen target, by operating system.", units.Short, 12,
			map[string]string{"os_family": "OS", "os_version": "Version", "target": "Target", "verdict": "Verdict"},
			query{"sort_desc(sum by (os_family, os_version, target, verdict) (" + instances(ofAccount, ofRegion, ofTarget, `verdict!="compatible"`) + "))", ""})).
		WithPanel(rows("Work by account and region", "Instances that do not simply boot on a chosen target, by account and region.", units.Short, 12,
			map[string]string{"account": "Account", "region": "Region", "target": "Target", "verdict": "Verdict"},
			query{"sort_desc(sum by (account, region, target, verdict) (" + instances(ofAccount, ofRegion, ofTarget, `verdict!="compatible"`) + "))", ""})).
		WithPanel(lines("Verdict changes", "How many verdicts changed an hour, by target and direction. A changed rule set moves them too.", units.Short, 24,
			query{"sum by (target, from, to) (increase(shenscan_verdict_changes_total{" + ofTarget + "}[1h]))", "{{target}}: {{from}} to {{to}}"}))
}
