package archtest

import "regexp"

// layer is one row of the import table: what the packages at path may import
// of this module in code that ships. A path that ends in "/..." covers the
// package of that name and all below it; the longest matching row counts.
type layer struct {
	path string
	may  []string
}

// nouns are the packages that every layer but rules may name things with.
var nouns = []string{"internal/ecs", "internal/event", "internal/record", "rules/..."}

// layers is the whole table. A package that no row covers fails the test.
var layers = []layer{
	// Pure: facts in, verdicts out.
	{"rules/...", []string{"rules/..."}},

	// Nouns and seams.
	{"internal/ecs", []string{"rules"}}, // an instance has Facts
	{"internal/record", []string{"rules"}},
	{"internal/schema", []string{"internal/record", "rules"}},
	{"internal/filter", []string{"rules", "rules/distro"}}, // what narrows an answer, whoever gives it
	{"internal/probe", []string{"rules/..."}},              // what a machine is asked and how its answer is read
	{"internal/event", []string{"internal/ecs", "internal/record", "rules", "rules/outcome"}},
	{"internal/lang", nil},  // texts in other languages, whoever shows them
	{"internal/files", nil}, // how files are written, whatever is in them
	// Spans know no message: whoever makes one names it.
	{"internal/trace/...", []string{"internal/trace/..."}},
	{"internal/ecs/ecsapi/...", []string{"internal/ecs", "internal/ecs/ecsapi/...", "internal/trace", "rules"}}, // fills the Facts
	{"internal/ecs/ecsfile", []string{"internal/ecs", "internal/ecs/ecsapi", "rules"}},                          // saved answers are spelt like live ones
	// The simulator knows what it holds without asking rules, so that it can check them.
	{"internal/ecs/ecssim/...", []string{"internal/ecs", "internal/ecs/ecssim/..."}},
	{"internal/ecs/ecstest", []string{"internal/ecs", "rules"}}, // one suite for every ecs.API
	{"internal/bus/...", []string{"internal/ecs", "internal/event", "internal/bus/...", "internal/trace"}},

	// Stages: they meet on the bus and never import each other.
	{"producer/...", append([]string{"producer/...", "internal/trace", "internal/filter", "internal/probe"}, nouns...)},
	{"workers/...", append([]string{"workers/...", "internal/trace", "internal/probe"}, nouns...)},
	// The sink follows the results in their order and emits events in its own;
	// both are more of the bus than one small interface could say.
	{"sink", append([]string{"internal/bus", "internal/schema", "sink/store"}, nouns...)},
	{"sink/store", append([]string{"sink/scans", "sink/store/format", "internal/filter"}, nouns...)},
	// What scans have come to: pure, without a file, a clock or a network.
	{"sink/scans", []string{"internal/ecs", "internal/event", "internal/record"}},
	// The bytes of the store: pure, without a transaction.
	{"sink/store/format", []string{"internal/ecs", "internal/event", "rules", "rules/outcome"}},
	{"sink/exporter/...", []string{"internal/record", "rules", "sink/store"}},

	// Views of the sink's records.
	{"internal/report/...", []string{"internal/ecs", "internal/lang", "internal/record", "internal/report/...", "rules"}},
	{"internal/plan/...", []string{"internal/ecs", "internal/lang", "internal/record", "internal/plan/...", "internal/report", "rules/..."}}, // tables and escaping are the report's
	{"sink/httpapi/...", []string{"internal/lang", "internal/record", "internal/schema", "internal/filter", "internal/report", "internal/plan", "sink/httpapi/...", "sink/store", "rules/..."}},

	// Configuration, wiring, command line.
	{"internal/config/...", []string{
		"internal/bus", "internal/ecs/...", "internal/filter", "producer", "rules/...", "sink", "sink/...", "workers", "internal/config/...",
	}},
	{"internal/app/...", []string{"internal/...", "producer/...", "rules/...", "sink/...", "workers/..."}},
	{"cmd/...", []string{"internal/...", "producer/...", "rules/...", "sink/...", "workers", "cmd/..."}},
	{"benchmarks/...", []string{"internal/...", "producer/...", "rules/...", "sink/...", "workers/...", "benchmarks/..."}},
	// Tests alone; what tests import is their own business.
	{"internal/chaos/...", nil},
	{"internal/simtest/...", nil},
	{"internal/upgradetest", nil},
	{"internal/proctest", nil}, // processes of tests
	{"internal/archtest", nil},
	{"deploy/nats", nil},
	{"docs", nil},
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
