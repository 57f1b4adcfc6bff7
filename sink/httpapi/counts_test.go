package httpapi_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// unlinked are the numbers of a page that lead nowhere, each with its reason. A
// column of a table goes by its head, a heading and a card by its text without
// numbers.
var unlinked = map[string]string{
	"took":    "a time, not a count",
	"regions": "the regions of a scan stand on its page, which its row links to",
	// What a scan had in hand at its time is no list of today.
	"instances of a scan": "what one scan read; the instances of today are another list",
	"counted":             "what the cloud said to one scan",
	"listed":              "what the cloud listed to one scan",
	"published":           "what a producer sent on in one scan",
	"classified":          "what workers judged in one scan",
	"stored":              "what one scan stored; the region beside it leads to what is there now",
	"Regions":             "the regions stand in the table below the card",
	"Instances":           "what one scan read, likewise",
	"facts":               "properties of one instance: sizes and generations",
	// Headings count what stands right below them.
	"heading":  "what stands below it",
	"solution": "for how many of a wave a way fits; the list of the wave, whose heading is a link, has each with its way",
	"legacy":   "the whole of which the linked count beside it is a part",
	"check":    "texts of the rule set, with the numbers that vendors put into them",
}

// wording are columns of names, texts and times: a number in them is none that
// counts something.
var wording = []string{
	"account / region", "instance", "name", "type", "operating system", "when", "started", "change", "error", "how to mend it", "text", "says", "what it is", "what it says", "source",
}

var (
	anchors  = regexp.MustCompile(`(?s)<a\b[^>]*>.*?</a>`)
	hidden   = regexp.MustCompile(`(?s)<(script|style|svg|form|code|head|footer)\b.*?</(script|style|svg|form|code|head|footer)>`)
	tables   = regexp.MustCompile(`(?s)<table\b[^>]*>(.*?)</table>`)
	rowsHTML = regexp.MustCompile(`(?s)<tr\b[^>]*>(.*?)</tr>`)
	cells    = regexp.MustCompile(`(?s)<(t[dh])\b([^>]*)>(.*?)</t[dh]>`)
	headings = regexp.MustCompile(`(?s)<(h[123]\b|dd\b|div class="big")[^>]*>(.*?)</(h[123]|dd|div)>`)
	tagsHTML = regexp.MustCompile(`<[^>]*>`)
	span     = regexp.MustCompile(`colspan="(\d+)"`)
	counts   = regexp.MustCompile(`^\(?[0-9][0-9,]*[,;)]?$`)
)

// bare are the counts in a piece of a page that are outside of links.
func bare(piece string) []string {
	text := html.UnescapeString(tagsHTML.ReplaceAllString(anchors.ReplaceAllString(piece, " "), " "))
	var out []string
	for word := range strings.FieldsSeq(text) {
		if counts.MatchString(word) && word != "0" { // there is no list of nothing
			out = append(out, word)
		}
	}
	return out
}

func plain(piece string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tagsHTML.ReplaceAllString(piece, " "))), " ")
}

// Every count in a table, a card or a heading of any page is a link, or stands
// among the exceptions above with its reason.
func TestEveryCountOfEveryPageIsALink(t *testing.T) {
	w := everyPage(t, 300)
	used := map[string]bool{}
	scans := w.fleet.Scan
	scans.ID, scans.New, scans.Gone, scans.Changed = "20261122T012000Z-before", 3, 2, 1
	w.store.PutScan(scans)
	for _, path := range append(w.pages(t), "/scans/"+scans.ID, "/changes?scan="+scans.ID) {
		page := w.get(path)
		if page.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, page.Code)
		}
		body := hidden.ReplaceAllString(page.Body.String(), " ")
		// complain says of a number that it leads nowhere, unless one of the names
		// under which it may be excused is.
		complain := func(numbers []string, what string, names ...string) {
			for _, name := range names {
				if unlinked[name] != "" && len(numbers) > 0 {
					used[name] = true
					return
				}
			}
			if len(numbers) > 0 {
				t.Errorf("%s: %q of %s leads nowhere", path, numbers, what)
			}
		}
		for _, table := range tables.FindAllStringSubmatch(body, -1) {
			var head []string
			for _, row := range rowsHTML.FindAllStringSubmatch(table[1], -1) {
				at := 0
				first := head == nil
				for _, cell := range cells.FindAllStringSubmatch(row[1], -1) {
					if first {
						head = append(head, plain(cell[3]))
						continue
					}
					column := fmt.Sprint(at)
					if at < len(head) {
						column = head[at]
					}
					of := column
					if head[0] == "scan" && column == "instances" {
						of = "instances of a scan"
					}
					if !slices.Contains(wording, column) {
						complain(bare(cell[3]), "column "+column, of)
					}
					at++
					if m := span.FindStringSubmatch(cell[2]); m != nil {
						n, _ := strconv.Atoi(m[1])
						at += n - 1
					}
				}
			}
		}
		for _, card := range headings.FindAllStringSubmatch(tables.ReplaceAllString(body, " "), -1) {
			name := "heading"
			switch {
			case card[1] == "dd" && strings.HasPrefix(path, "/instances/"), card[1] == "dd" && strings.HasPrefix(path, "/plan"):
				name = "facts"
			case card[1] == "dd" && path == "/rules":
				name = "check"
			case strings.HasPrefix(card[1], "div") && strings.Contains(card[2], "done"):
				name = "Regions"
			case strings.HasPrefix(card[1], "div") && strings.Contains(card[2], "page"):
				name = "Instances"
			case strings.HasPrefix(card[1], "div") && path == "/":
				name = "legacy"
			case card[1] == "h3" && strings.HasPrefix(path, "/plan"):
				name = "solution"
			case card[1] == "dd", strings.HasPrefix(card[1], "div"):
				name = "card"
			}
			complain(bare(card[2]), strconv.Quote(plain(card[2])), name)
		}
	}
	for name := range unlinked {
		if !used[name] {
			t.Errorf("%q is an exception that nothing needs", name)
		}
	}
}

// What a scan found leads to the list of just that, with as many rows, in the
// page and in the API.
func TestCountsOfAScanLeadToItsChanges(t *testing.T) {
	w := everyPage(t, 50)
	scan := w.fleet.Scan
	scan.ID, scan.New, scan.Gone, scan.Changed = "20261122T012000Z-before", 0, 0, 1
	w.store.PutScan(scan)
	for _, path := range []string{"/", "/scans", "/scans/" + scan.ID} {
		if body := w.get(path).Body.String(); !strings.Contains(body, `href="/changes?kind=changed&amp;scan=`+scan.ID+`">1<`) {
			t.Errorf("%s does not lead to what the scan changed", path)
		}
	}
	page := w.get("/changes?kind=changed&scan=" + scan.ID)
	for _, want := range []string{"Found by scan " + scan.ID, `href="/instances/i-1?`, "/api/v1/changes?kind=changed&amp;scan=" + scan.ID} {
		if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), want) {
			t.Errorf("%d: %q is missing", page.Code, want)
		}
	}
	rows := func(kind string) (answer struct {
		Of      string `json:"of_scan"`
		Changed int
		Changes []record.Change
	},
	) {
		t.Helper()
		if err := json.Unmarshal(w.get("/api/v1/changes?scan="+scan.ID+kind).Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if all := rows(""); all.Of != scan.ID || all.Changed != 1 || len(all.Changes) != 1 {
		t.Errorf("%+v", all)
	}
	if gone := rows("&kind=gone"); gone.Changed != 1 || len(gone.Changes) != 0 {
		t.Errorf("of the gone ones alone %d are listed, and %d changed ones are counted; want none and 1", len(gone.Changes), gone.Changed)
	}
	for query, want := range map[string]string{"scan=a&since=7d": "name one of them", "scan=a&kind=goen": `did you mean \"gone\"`, "kind=gone": "name since"} {
		if rec := w.get("/api/v1/changes?" + query); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", query, rec.Code, rec.Body)
		}
	}
}

// A scan that runs says of what it has not counted yet that it has not.
func TestARunningScanHasNoZeroes(t *testing.T) {
	w := everyPage(t, 50)
	running := slices.IndexFunc(strings.Split(w.get("/scans").Body.String(), "<tr"), func(row string) bool {
		return strings.Contains(row, "20261123T012900Z-running") && strings.Count(row, "not yet") == 3
	})
	if running < 0 {
		t.Errorf("a running scan has counts where nothing was counted (%d targets)", len(reporttest.Targets()))
	}
}

// A scan that could read nothing has no zeroes, says how many regions failed, and
// the pages say of which time the numbers are that stand there instead.
func TestAScanThatReadNothingCountsNothing(t *testing.T) {
	before := reporttest.Now().Add(-5 * time.Hour)
	fleet := reporttest.New(30, 5)
	for i := range fleet.Summary.Scopes {
		sc := &fleet.Summary.Scopes[i]
		sc.Completeness, sc.LastComplete = record.ScopeFailed, &before
		for range 3 {
			sc.Failures = append(sc.Failures, record.Failure{Account: sc.Account, Region: sc.Region, API: "DescribeRegions", Class: "transient", Error: "connection refused"})
		}
	}
	scan := fleet.Scan
	scan.State, scan.Instances, scan.New, scan.Gone, scan.Changed, scan.Scopes = record.ScanPartial, 0, 0, 0, 0, slices.Clone(scan.Scopes)
	for i := range scan.Scopes {
		scan.Scopes[i].Completeness, scan.Scopes[i].Instances = record.ScopeFailed, 0
	}
	w := newWorld(t, 3, func(o *httpapi.Options) {
		o.Store = newMemory(fleet.Records, &fleet.Summary, []record.Scan{scan}, nil)
	})
	for path, wants := range map[string][]string{
		"/":      {"6 regions were not read to the end by the last scan: their numbers are, wholly or in part, of earlier ones, the oldest read to the end at 2026-11-22 20:30", "none read", "0 of 6", "6 failed", "13 more"},
		"/scans": {"none read", "not known"},
	} {
		body := w.get(path).Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
		_, table, _ := strings.Cut(body, `aria-label="Scans"`)
		if strings.Contains(table, `<td class="n opt">0<`) || strings.Contains(table, `<td class="n">0<`) {
			t.Errorf("%s has zeroes for a scan that read nothing", path)
		}
	}
}
