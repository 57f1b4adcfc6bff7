package archtest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// layer is one row of the import table of docs/ARCHITECTURE.md: what the packages
// at path may import of this module in code that ships. A path that ends in "/..."
// covers the package of that name and all below it; the longest matching row counts.
type layer struct {
	path string
	may  []string
}

var (
	layerRow = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| [^|]+ \\| (nothing|`[^|]*`) \\|$")
	quoted   = regexp.MustCompile("`([^`]+)`")
)

// layers reads the table. A package that no row covers fails the test.
func layers(t *testing.T) []layer {
	t.Helper()
	page, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Packages, and who may import whom\n")
	table, _, _ = strings.Cut(table, "\n## ")
	paths := func(cell string) (out []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			path := m[1]
			if base, deep := strings.CutSuffix(path, "/*"); deep {
				path = base + "/..."
			}
			out = append(out, path)
		}
		return out
	}
	var out []layer
	rows := layerRow.FindAllStringSubmatch(table, -1)
	if n := strings.Count(table, "\n| ") - 2; n < 1 || len(rows) != n { // the head and the line below it are no rows
		t.Fatalf("of %d rows of the import table %d could be read", n, len(rows))
	}
	for _, row := range rows {
		for _, path := range paths(row[1]) {
			out = append(out, layer{path, paths(row[2])})
		}
	}
	return out
}

// ownership says which packages may import a library directly.
type ownership struct {
	library string // a module path, or the start of several
	owners  []string
}

// libraries is the whole table. An import of a module that no row covers
// fails the test.
var libraries = []ownership{
	{"go.yaml.in/yaml/", []string{"rules/catalog", "internal/config"}},
	// benchmarks holds the loop that one would write with the SDK alone.
	{"github.com/alibabacloud-go/", []string{"internal/ecs/ecsapi/...", "benchmarks/..."}},
	{"github.com/aliyun/", []string{"internal/ecs/ecsapi/..."}},
	{"github.com/nats-io/", []string{"internal/bus/..."}},
	// benchmarks holds the loop that keeps what it reads.
	{"go.etcd.io/bbolt", []string{"sink/store", "benchmarks/..."}},
	{"github.com/prometheus/client_golang", []string{
		"producer", "producer/cloudevents", "workers", "sink", "sink/exporter", "sink/httpapi", "sink/store", "internal/app", "internal/bus", "internal/ecs/ecsapi",
	}},
	// The exporter makes the fleet's series past a registry, and keeps them between scrapes.
	{"github.com/prometheus/common/expfmt", []string{"sink/exporter"}},
	{"github.com/prometheus/client_model/", []string{"sink/exporter"}},
	{"github.com/prometheus/exporter-toolkit", []string{"internal/app", "sink/httpapi"}},
	// OpenTelemetry's own exporter over HTTP reads the variables, the certificates and
	// the collector's patience; that it links gRPC for its messages is the price.
	{"go.opentelemetry.io/", []string{"internal/trace/..."}},
	{"github.com/go-logr/logr", []string{"internal/trace"}}, // only to silence the exporter, which logs headers
	{"google.golang.org/protobuf/", []string{"internal/trace/tracetest"}},
	{"github.com/spf13/", []string{"cmd/shenscan", "internal/config"}},
	{"github.com/robfig/cron/", []string{"internal/app"}}, // when the server will fire a schedule: its parser is this one's
	{"github.com/cenkalti/backoff/", []string{"internal/ecs/ecsapi", "internal/app", "internal/bus", "sink"}},
	{"github.com/go-json-experiment/json", []string{"internal/ecs/ecsapi", "internal/ecs/ecsfile"}},
	{"github.com/cespare/xxhash/", []string{"internal/event"}},                         // stages sum ids: a seed of each process would tell them nothing
	{"github.com/xuri/excelize/", []string{"internal/plan"}},                           // workbooks that teams fill in
	{"github.com/klauspost/compress/", []string{"sink/store/format", "internal/plan"}}, // a plan of millions keeps its items compressed
	{"github.com/chromedp/", []string{"internal/report/reporttest"}},
	{"golang.org/x/", []string{"internal/...", "producer/...", "workers", "sink/...", "cmd/...", "benchmarks/..."}},
}

// impure are the standard packages that rules must not need: without context,
// network, files or logs, equal facts have equal verdicts for ever. Package
// time is there to read dates; clock is what must not be used of it.
var impure = []string{"context", "log/...", "math/rand/...", "net/...", "os/...", "unsafe", "crypto/rand", "database/..."}

var clock = regexp.MustCompile(`\btime\.(Now|Since|Until|After|AfterFunc|Tick|NewTicker|NewTimer|Sleep)\b`)

// unlinked are libraries that the packages at path must not even reach
// through others: a role that does not talk to the cloud does not carry its
// SDK, and only the sink carries the store.
var unlinked = []ownership{
	{"github.com/alibabacloud-go/", []string{"rules/...", "producer/...", "workers/...", "sink/...", "internal/event", "internal/bus/...", "internal/report/...", "internal/plan/..."}},
	{"go.etcd.io/bbolt", []string{"rules/...", "producer/...", "workers/...", "internal/bus/...", "internal/ecs/...", "internal/report/..."}},
	{"github.com/nats-io/", []string{"rules/...", "producer/...", "workers/...", "sink/store", "sink/exporter", "sink/httpapi", "internal/event", "internal/ecs/...", "internal/report/..."}},
}
