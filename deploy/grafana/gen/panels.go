package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// The colours of the verdicts: readable on light and dark, and told apart by
// those who do not see red and green.
var verdictColours = map[string]string{
	"compatible": "#56A64B", "needs-action": "#F2A93B", "incompatible": "#C4162A", "unknown": "#8E8E9C",
}

// source is the data source variable that every panel asks.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// board starts a dashboard with what all have: the data source, the address of
// the page that panels lead to, and marks for what happened. since is the range
// that it opens with.
func board(uid, title, description, since string) *dashboard.DashboardBuilder {
	return dashboard.NewDashboardBuilder(title).
		Uid(uid).
		Description(description).
		Tags([]string{"shenscan"}).
		Time("now-"+since, "now").
		Refresh("1m").
		Timezone("browser").
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("shenscan").
			Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"shenscan"}).
			AsDropdown(true).KeepTime(true).IncludeVars(true)).
		Link(dashboard.NewDashboardLinkBuilder("Runbook").
			Type(dashboard.DashboardLinkTypeLink).
			Url(strings.TrimSuffix(runbook, "#")).Tooltip("What each alert says, means and wants done").Icon("doc").TargetBlank(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").
			Label("Data source").Type("prometheus")).
		WithVariable(dashboard.NewTextBoxVariableBuilder("page").
			Label("Page").Description("Address of the page of shenscan that panels lead to").
			DefaultValue(dashboard.StringOrMap{String: new("http://127.0.0.1:10470")})).
		Annotation(mark("Scan ended", "blue", "max by (account) (shenscan_scan_last_completion_timestamp_seconds) * 1000", "a scan of {{account}} read everything").
			UseValueForTime(true)).
		Annotation(mark("Rule set changed", "purple", "max by (ruleset) (shenscan_build_info) unless max by (ruleset) (shenscan_build_info offset 10m)", "rule set {{ruleset}} judges: verdicts may move though nobody mended anything")).
		Annotation(mark("Alert", "red", `max by (alertname) (ALERTS{alertname=~"Shenscan.+", alertstate="firing"})`, "{{alertname}} fires"))
}

// mark is a line across the graphs of a dashboard for each time that expr is
// there.
func mark(name, colour, expr, text string) *dashboard.AnnotationQueryBuilder {
	return dashboard.NewAnnotationQueryBuilder().
		Name(name).Datasource(source()).Enable(true).IconColor(colour).Expr(expr).
		TitleFormat(name).TextFormat(text).Step("60s")
}

// page is a link to a page of shenscan.
func page(title, path string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).Url("${page}" + path).TargetBlank(true),
	}
}

// choice is a variable that holds the values of one label.
func choice(name, label, metric string) *dashboard.QueryVariableBuilder {
	query := "label_values(" + metric + ", " + name + ")"
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source()).
		Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{
			Selected: new(true),
			Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

// query is one line of a panel; legend names its series.
type query struct{ expr, legend string }

func (q query) ranged(ref string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId(ref).Datasource(source()).Expr(q.expr).LegendFormat(q.legend).Range()
}

func (q query) instant(ref string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId(ref).Datasource(source()).Expr(q.expr).LegendFormat(q.legend).Instant()
}

func ref(i int) string { return string(rune('A' + i)) }

// steps are thresholds: the first value is the colour from which the others
// leave off.
func steps(first string, rest ...dashboard.Threshold) cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().
		Mode(dashboard.ThresholdsModeAbsolute).
		Steps(append([]dashboard.Threshold{{Color: first}}, rest...))
}

func from(value float64, colour string) dashboard.Threshold {
	return dashboard.Threshold{Value: &value, Color: colour}
}

// figure is one number.
func figure(title, description, unit string, width uint32, thresholds cog.Builder[dashboard.ThresholdsConfig], q query) *stat.PanelBuilder {
	return stat.NewPanelBuilder().
		Title(title).Description(description).Unit(unit).
		Datasource(source()).
		Height(4).Span(width).
		NoValue("no data").
		Thresholds(thresholds).
		ColorMode(common.BigValueColorModeValue).
		GraphMode(common.BigValueGraphModeArea).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(q.ranged("A"))
}

// lines is a graph over time.
func lines(title, description, unit string, width uint32, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().
		Title(title).Description(description).Unit(unit).
		Datasource(source()).
		Height(8).Span(width).
		NoValue("no data").
		Min(0).
		FillOpacity(10).LineWidth(1).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().
			ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).
			Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, q := range queries {
		p.WithTarget(q.ranged(ref(i)))
	}
	return p
}

// layers is a graph whose series add up.
func layers(title, description, unit string, width uint32, queries ...query) *timeseries.PanelBuilder {
	return lines(title, description, unit, width, queries...).
		FillOpacity(60).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// byVerdict colours the series that are named after verdicts.
func byVerdict(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	for _, verdict := range []string{"compatible", "needs-action", "incompatible", "unknown"} {
		p.OverrideByRegexp("(^|.* )"+verdict+"$", []dashboard.DynamicConfigValue{
			{Id: "color", Value: map[string]string{"mode": "fixed", "fixedColor": verdictColours[verdict]}},
		})
	}
	return p
}

// bars compares groups as they are now.
func bars(title, description, unit string, width uint32, q query) *bargauge.PanelBuilder {
	return bargauge.NewPanelBuilder().
		Title(title).Description(description).Unit(unit).
		Datasource(source()).
		Height(9).Span(width).
		NoValue("no data").
		Min(0).
		Orientation(common.VizOrientationHorizontal).
		DisplayMode(common.BarGaugeDisplayModeBasic).
		Thresholds(steps(verdictColours["incompatible"])).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(q.instant("A"))
}

// rows is a table of what is now, one row for each combination of labels.
func rows(title, description, unit string, width uint32, columns map[string]string, q query) *table.PanelBuilder {
	rename := map[string]any{"Value": "Instances"}
	for label, name := range columns {
		rename[label] = name
	}
	return table.NewPanelBuilder().
		Title(title).Description(description).Unit(unit).
		Datasource(source()).
		Height(9).Span(width).
		NoValue("no data").
		Filterable(true).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true},
			"renameByName":  rename,
		}}).
		WithTarget(q.instant("A").Format(prometheus.PromQueryFormatTable))
}

// selector writes a metric with matchers.
func selector(metric string, matchers ...string) string {
	if len(matchers) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(matchers, ", ") + "}"
}

// once counts what several sinks export alike once: each sink has the whole
// fleet, so a plain sum would count an instance once for each sink.
func once(labels, metric string, matchers ...string) string {
	return "max by (" + labels + ") (" + selector(metric, matchers...) + ")"
}

// open are the counts by wave of those that still need work; owned are what owners
// had open.
func open(matchers ...string) string {
	return once("account, region, target, wave", "shenscan_wave_instances", append(matchers, `wave!~"ready|already-there"`)...)
}

func owned(matchers ...string) string {
	return once("owner, target", "shenscan_owner_open_instances", matchers...)
}

const (
	instanceLabels = "account, region, target, verdict, os_family, os_version"
	legacyLabels   = "account, region, os_family, os_version"
)

// instances are the counts by verdict, legacies those with a legacy OS.
func instances(matchers ...string) string {
	return once(instanceLabels, "shenscan_instances", matchers...)
}

func legacies(matchers ...string) string {
	return once(legacyLabels, "shenscan_legacy_os_instances", matchers...)
}
