package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

const (
	ofAccount = `account=~"$account"`
	ofRegion  = `region=~"$region"`
	ofTarget  = `target=~"$target"`
	ofOwner   = `owner=~"$owner"`
)

// orNone makes a count that has no series 0 where instances were read; where
// nothing was read it stays without data. perTarget does so for each target that
// was scanned.
const (
	orNone    = " or 0 * sum(shenscan_instances{" + ofAccount + ", " + ofRegion + "})"
	waveNone  = " or 0 * sum by (target) (shenscan_wave_instances{" + ofAccount + ", " + ofRegion + ", " + ofTarget + "})"
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
	return board("shenscan-fleet", "shenscan / Fleet", "Which instances boot on which virtualization, where the legacy operating systems are, and how far the migration is.", "30d").
		Refresh("5m").
		WithVariable(choice("account", "Account", "shenscan_instances")).
		WithVariable(choice("region", "Region", "shenscan_instances")).
		WithVariable(choice("target", "Target", "shenscan_instances")).
		WithVariable(choice("owner", "Owner", "shenscan_owner_open_instances")).
		WithRow(dashboard.NewRowBuilder("Now")).
		WithPanel(figure("Instances", "Instances present, in the accounts and regions chosen above.", units.Short, 3, steps("text"),
			query{"max(sum by (target) (" + instances(ofAccount, ofRegion) + "))", "instances"}).
			Links(page("All instances", "/instances"))).
		WithPanel(figure("Legacy OS", "Instances with an operating system on the list of known legacy ones, whatever the target.", units.Short, 3, red,
			query{"sum(" + legacies(ofAccount, ofRegion) + ")" + orNone, "legacy"}).
			Links(page("Instances with a legacy system", "/instances?legacy=true"))).
		WithPanel(figure("Incompatible", "Instances that do not boot, for each chosen target.", units.Short, 4, red, counted("incompatible")).
			Links(page("Incompatible instances", "/instances?verdict=incompatible"))).
		WithPanel(figure("Need action", "Instances that boot after the named remedies or checks, for each chosen target.", units.Short, 4, steps("green", from(1, "orange")), counted("needs-action")).
			Links(page("Instances that need action", "/instances?verdict=needs-action"))).
		WithPanel(figure("Unknown", "Instances of which what is known does not tell whether they boot, for each chosen target.", units.Short, 4, steps("green", from(1, "orange")), counted("unknown")).
			Links(page("Unknown instances", "/instances?verdict=unknown"))).
		WithPanel(figure("Oldest complete scan", "Time since the account and region that was scanned longest ago was read to its end. The numbers beside it are as old as this.", units.Seconds, 3,
			steps("green", from(26*3600, "orange"), from(50*3600, "red")),
			query{"time() - min(" + once("account, region", "shenscan_scan_last_completion_timestamp_seconds", ofAccount, ofRegion) + ")", "age"})).
		WithPanel(figure("Not whole", "Accounts and regions whose last scan could not read everything, and accounts that could not even be identified, whatever is chosen above. The numbers beside it are of what was read.", units.Short, 3, red,
			query{"count(" + once("account, region", "shenscan_scan_complete") + ") - sum(" + once("account, region", "shenscan_scan_complete") + ")", "not whole"}).
			Links(page("Overview", "/"))).
		WithRow(dashboard.NewRowBuilder("Burn-down")).
		WithPanel(lines("Still need work, by target", "Instances that need something before they can move: all but those that are ready and those that are there. Waived ones are among them. A rule set that changed moves them too: see the marks.", units.Short, 12,
			query{"sum by (target) (" + open(ofAccount, ofRegion, ofTarget) + ")" + waveNone, "{{target}}"}).Links(page("Progress", "/#burndown"))).
		WithPanel(layers("Work by wave", "Instances by what is to be done before they can move, for the chosen targets together: choose one target.", units.Short, 12,
			query{"sum by (wave) (" + open(ofAccount, ofRegion, ofTarget) + ")", "{{wave}}"})).
		WithPanel(lines("Still need work, by owner", "Open instances of the twenty owners with most of them, as counted when the last scan ended. Owners are counted where owner_tag is configured.", units.Short, 12,
			query{"topk(20, sum by (owner, target) (" + owned(ofOwner, ofTarget) + "))", "{{owner}} {{target}}"})).
		WithPanel(lines("Still need work, by region", "Open instances of the twenty regions with most of them.", units.Short, 12,
			query{"topk(20, sum by (region, target) (" + open(ofAccount, ofRegion, ofTarget) + "))", "{{region}} {{target}}"})).
		WithPanel(rows("Owners behind", "Open instances of owners that have no fewer than seven days ago. What other rules moved is in it.", units.Short, 12,
			map[string]string{"owner": "Owner", "target": "Target"},
			query{"sort_desc(" + owned(ofOwner, ofTarget) + " > 0 and " + owned(ofOwner, ofTarget) + " >= max by (owner, target) (shenscan_owner_open_instances{" + ofOwner + ", " + ofTarget + "} offset 7d))", ""})).
		WithPanel(figure("Moved in seven days", "By how much the open instances grew in seven days, for each chosen target; less is better. It counts what came, went and was judged by other rules: `shenscan plan --progress` tells them apart.", units.Short, 6, steps("text"),
			query{"sum by (target) (" + open(ofAccount, ofRegion, ofTarget) + ") - sum by (target) (max by (account, region, target, wave) (shenscan_wave_instances{" + ofAccount + ", " + ofRegion + ", " + ofTarget + `, wave!~"ready|already-there"} offset 7d))`, "{{target}}"})).
		WithPanel(figure("Waived", "Instances whose verdict a waiver sets aside until a day: nothing was mended on them.", units.Short, 6, steps("green", from(1, "orange")),
			query{"sum by (target) (" + once("target, verdict", "shenscan_waived_instances", ofTarget) + ")", "{{target}}"})).
		WithPanel(layers("Confidence", "Instances by how firmly the evidence and the rule carry their verdict, for the chosen targets together.", units.Short, 12,
			query{"sum by (confidence) (" + once("target, verdict, confidence", "shenscan_confidence_instances", ofTarget) + ")", "{{confidence}}"})).
		WithPanel(layers("Unknown, by what settles it", "Instances whose verdict is unknown, by the cheapest question that settles it, for the chosen targets together. `shenscan plan --settle` says what each needs and costs.", units.Short, 12,
			query{"sum by (question) (" + once("target, question", "shenscan_unknown_instances", ofTarget) + ")", "{{question}}"})).
		WithPanel(rows("Did it work?", "Instances that were seen to have moved to a chosen target, by what was said of it before and how it went: up, running (nothing tells whether the guest is up), not-up, early, none (stopped, moved on or gone). What was compatible and is not-up raises the alert ShenscanMovedNotUp; `shenscan report --outcomes` names the instances.", units.Short, 12,
			map[string]string{"target": "Moved to", "verdict": "Said before", "result": "Result"},
			query{"sort_desc(" + once("target, verdict, result", "shenscan_moved_instances", ofTarget) + " > 0)", ""})).
		WithRow(dashboard.NewRowBuilder("Over time")).
		WithPanel(layers("Legacy instances by operating system", "Instances with a legacy operating system. A rise raises the alert ShenscanLegacyInstancesRose.", units.Short, 12,
			query{"sum by (os_family) (" + legacies(ofAccount, ofRegion) + ")", "{{os_family}}"})).
		WithPanel(byVerdict(lines("Verdicts by target", "Instances by verdict for each chosen target.", units.Short, 12,
			query{"sum by (target, verdict) (" + instances(ofAccount, ofRegion, ofTarget) + ")", "{{target}} {{verdict}}"}))).
		WithRow(dashboard.NewRowBuilder("Where")).
		WithPanel(bars("Legacy instances by version", "The twenty legacy versions with most instances.", units.Short, 12,
			query{"topk(20, sum by (os_family, os_version) (" + legacies(ofAccount, ofRegion) + "))", "{{os_family}} {{os_version}}"})).
		WithPanel(bars("Legacy instances by region", "The twenty regions with most legacy instances.", units.Short, 6,
			query{"topk(20, sum by (region) (" + legacies(ofAccount, ofRegion) + "))", "{{region}}"}).
			DataLinks(page("Its instances", "/instances?legacy=true&region=${__field.labels.region}"))).
		WithPanel(bars("Legacy instances by account", "The twenty accounts with most legacy instances.", units.Short, 6,
			query{"topk(20, sum by (account) (" + legacies(ofAccount, ofRegion) + "))", "{{account}}"}).
			DataLinks(page("Its instances", "/instances?legacy=true&account=${__field.labels.account}"))).
		WithPanel(rows("Work by operating system", "Instances that do not simply boot on a chosen target, by operating system.", units.Short, 12,
			map[string]string{"os_family": "OS", "os_version": "Version", "target": "Target", "verdict": "Verdict"},
			query{"sort_desc(sum by (os_family, os_version, target, verdict) (" + instances(ofAccount, ofRegion, ofTarget, `verdict!="compatible"`) + "))", ""})).
		WithPanel(rows("Work by account and region", "Instances that do not simply boot on a chosen target, by account and region.", units.Short, 12,
			map[string]string{"account": "Account", "region": "Region", "target": "Target", "verdict": "Verdict"},
			query{"sort_desc(sum by (account, region, target, verdict) (" + instances(ofAccount, ofRegion, ofTarget, `verdict!="compatible"`) + "))", ""})).
		WithPanel(lines("Verdict changes", "How many verdicts changed an hour, by target and direction. A changed rule set moves them too.", units.Short, 24,
			query{"sum by (target, from, to) (increase(shenscan_verdict_changes_total{" + ofTarget + "}[1h]))", "{{target}}: {{from}} to {{to}}"}))
}
