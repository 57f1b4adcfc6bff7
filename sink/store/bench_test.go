package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// benchFleet is a fleet whose instances look like real ones: random ids, names
// of about twenty characters, two to three tags, twenty regions. It is made
// anew from numbers whenever it is scanned, so that the collector has nothing
// to do with it.
type benchFleet struct {
	scopes []ecs.Scope
	sizes  []int
	image  [][]uint8 // by scope and instance: how often the image was replaced
	name   [][]uint8 // how often it was renamed
	facts  []rules.Facts
	stream stream
}

const benchRegions = 20

func newBenchFleet(n int) *benchFleet {
	f := &benchFleet{stream: stream{id: t0}}
	systems := []string{"centos 5.8", "centos 7.9", "debian 7", "debian 12", "ubuntu 22.04", "windows-server 2003", "alinux 3"}
	for i := range 2000 {
		x := facts(systems[i%len(systems)])
		x.ImageID = fmt.Sprintf("m-bp1%015d", i%520)
		x.InstanceType = fmt.Sprintf("ecs.g%d.%dxlarge", i%9, i%7)
		x.OSNameEn = systems[i%len(systems)] + " 64 bit"
		x.Image = rules.ImageFacts{Presence: rules.ImageFound, Name: x.ImageID + " name", OSName: x.OSName, Architecture: "x86_64", Owner: "system", Status: "Available"}
		f.facts = append(f.facts, x)
	}
	for i := range benchRegions {
		f.scopes = append(f.scopes, ecs.Scope{Account: "1234567890123456", Region: fmt.Sprintf("cn-region-%02d", i)})
		size := n / benchRegions
		if i < n%benchRegions {
			size++
		}
		f.sizes = append(f.sizes, size)
		f.image = append(f.image, make([]uint8, size))
		f.name = append(f.name, make([]uint8, size))
	}
	return f
}

func (f *benchFleet) id(s, i int) string {
	r := rand.New(rand.NewPCG(uint64(s), uint64(i)))
	return "i-bp1" + word(r, 15)
}

func word(r *rand.Rand, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// row makes an instance; its profile is a place in f.facts.
func (f *benchFleet) row(s, i int) event.Row {
	r := rand.New(rand.NewPCG(uint64(s), uint64(i)))
	out := event.Row{
		ID: "i-bp1" + word(r, 15), Name: []string{"prod", "test", "stage"}[r.IntN(3)] + "-web-" + word(r, 12),
		Zone: f.scopes[s].Region + "-" + string("abcd"[r.IntN(4)]), Status: []string{"Running", "Stopped"}[r.IntN(10)/9],
		CreationTime: fmt.Sprintf("20%02d-%02d-%02dT%02d:%02dZ", 12+r.IntN(14), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60)),
		NetworkType:  "vpc", CPU: int32(1 << r.IntN(6)), MemoryMiB: int32(1024 << r.IntN(6)),
		Tags: []ecs.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: fmt.Sprint("team-", r.IntN(60))}, {Key: "app", Value: fmt.Sprint("app-", r.IntN(400))}}[:2+r.IntN(2)],
	}
	out.Profile = (r.IntN(len(f.facts)) + 7*int(f.image[s][i])) % len(f.facts)
	if v := f.name[s][i]; v > 0 {
		out.Name = fmt.Sprintf("renamed-%d-%s", v, word(r, 10))
	}
	return out
}

// scan calls each with batches of one whole scan, regions interleaved by page.
func (f *benchFleet) scan(id string, each func([]event.Received)) {
	f.stream.now += 86400
	epoch := f.stream.now
	f.stream.now++
	each(f.stream.put(planned(id, event.KindScan, epoch, f.scopes...)))
	pages := make([]int, len(f.scopes))
	batch := []event.Received{}
	rows := 0
	for more := true; more; {
		more = false
		for s, scope := range f.scopes {
			from := pages[s] * 100
			if from >= f.sizes[s] {
				continue
			}
			more = true
			part := make([]event.Row, min(100, f.sizes[s]-from))
			for i := range part {
				part[i] = f.row(s, from+i)
			}
			m := &event.InstancesClassified{
				Walk: event.Walk{ScanID: id, Kind: event.KindScan, Scope: scope, Lane: "1.0", Walk: "1.0"}, Page: pages[s],
				Order: t0 + f.stream.now*second + int64(pages[s]*1e6+s), Ruleset: "a", Targets: []string{"kvm", "shenlong-6", "shenlong-7"},
			}
			byProfile := map[int]int{}
			for i := range part {
				p, ok := byProfile[part[i].Profile]
				if !ok {
					p = len(m.Profiles)
					byProfile[part[i].Profile] = p
					facts := &f.facts[part[i].Profile]
					m.Software = append(m.Software, facts.Software())
					m.Hardware = append(m.Hardware, facts.Hardware())
					m.Profiles = append(m.Profiles, event.Profile{Software: p, Hardware: p})
				}
				part[i].Profile = p
			}
			m.Rows = event.RowsOf(part)
			pages[s]++
			rows += len(part)
			batch = append(batch, f.stream.put(m)...)
			if from+100 >= f.sizes[s] {
				f.stream.now += 60
				batch = append(batch, f.stream.put(scopePlanned(id, event.KindScan, scope, "1", "1.0"), laneEnded(id, event.KindScan, scope, "1.0", "1.0", pages[s]))...)
				f.stream.now -= 60
			}
			if rows >= 20_000 {
				each(batch)
				batch, rows = nil, 0
			}
		}
	}
	each(batch)
	f.stream.now += 60
}

// churn changes one instance in a hundred: half get another image, half
// another name.
func (f *benchFleet) churn(r *rand.Rand) {
	for s := range f.sizes {
		for i := range f.sizes[s] {
			switch r.IntN(200) {
			case 0:
				f.image[s][i]++
			case 1:
				f.name[s][i]++
			}
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func written() int64 {
	b, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(b)) {
		var n int64
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

func rss() int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		var n int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &n); err == nil {
			return n >> 10
		}
	}
	return 0
}

// benchRows is the fleet of the benchmarks; STORE_BENCH_ROWS sets another.
func benchRows(b *testing.B) int {
	n := 100_000
	if s := os.Getenv("STORE_BENCH_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

// measured runs a scan and counts only what Apply takes.
func measured(b *testing.B, db *store.DB, f *benchFleet, id string) (spent time.Duration) {
	f.scan(id, func(batch []event.Received) {
		from := cpu()
		if _, err := db.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		spent += cpu() - from
	})
	return spent
}

func report(b *testing.B, db *store.DB, n int, spent time.Duration, wrote int64) {
	b.ReportMetric(float64(spent.Nanoseconds())/1e3/float64(n)/float64(b.N), "cpu-µs/row")
	b.ReportMetric(float64(wrote)/float64(n)/float64(b.N), "written-B/row")
	b.ReportMetric(float64(db.Size())/float64(n), "file-B/row")
	b.ReportMetric(float64(rss()), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkFirstLoad(b *testing.B) {
	n := benchRows(b)
	var spent time.Duration
	var wrote int64
	var db *store.DB
	for i := range b.N {
		f := newBenchFleet(n)
		db = open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
		before := written()
		spent += measured(b, db, f, fmt.Sprint("s", i))
		wrote += written() - before
		if got := db.Summary().Instances; got != n {
			b.Fatalf("%d instances", got)
		}
	}
	report(b, db, n, spent, wrote)
}

func BenchmarkUnchanged(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	before := written()
	var spent time.Duration
	for i := range b.N {
		spent += measured(b, db, f, fmt.Sprint("s", i))
	}
	report(b, db, n, spent, written()-before)
}

func BenchmarkOnePercentChanged(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	before := written()
	r := rand.New(rand.NewPCG(3, 4))
	var spent time.Duration
	for i := range b.N {
		f.churn(r)
		spent += measured(b, db, f, fmt.Sprint("s", i))
		drain(b, db)
	}
	report(b, db, n, spent, written()-before)
}

func drain(b *testing.B, db *store.DB) {
	for {
		events, err := db.Outbox(0, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(events) == 0 {
			return
		}
		if err := db.Delivered(events[len(events)-1].Key); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReclassify moves every verdict of the fleet, and says how much memory
// was taken at most, the mapped file apart.
func BenchmarkReclassify(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	stricter := map[string]rules.Level{}
	for i := range f.facts {
		stricter[f.facts[i].OSName] = rules.NeedsAction
	}
	from, to := newJudge("a", oldOnes), newJudge("b", stricter)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), from)
	measured(b, db, f, "first")
	drain(b, db)
	debug.FreeOSMemory()
	var most atomic.Uint64
	ctx, stop := context.WithCancel(b.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for ctx.Err() == nil {
			metrics.Read(samples)
			most.Store(max(most.Load(), samples[0].Value.Uint64()-samples[1].Value.Uint64()))
			time.Sleep(20 * time.Millisecond)
		}
	})
	moved := 0
	for b.Loop() {
		done, err := db.Reclassify(b.Context(), to)
		if err != nil {
			b.Fatal(err)
		}
		moved += done.Moved
		from, to = to, from
	}
	stop()
	watch.Wait()
	b.ReportMetric(float64(moved)/float64(b.N), "moved/op")
	b.ReportMetric(float64(most.Load())/(1<<20), "most-MiB")
}

func BenchmarkReadAll(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	from := cpu()
	for b.Loop() {
		got := 0
		for _, err := range db.Instances(b.Context(), store.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatalf("%d instances", got)
		}
	}
	b.ReportMetric(float64((cpu()-from).Nanoseconds())/1e3/float64(n)/float64(b.N), "cpu-µs/row")
}

func BenchmarkQueryOneVersion(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	for b.Loop() {
		for _, err := range db.Instances(b.Context(), store.Filter{Query: "web-abc"}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkGet(b *testing.B) {
	f := newBenchFleet(benchRows(b))
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	i := 0
	for b.Loop() {
		i++
		if _, err := db.Find(f.id(3, i%f.sizes[3])); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	f := newBenchFleet(benchRows(b))
	path := filepath.Join(b.TempDir(), "store.db")
	db := open(b, path, newJudge("a", oldOnes))
	measured(b, db, f, "first")
	for b.Loop() {
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		db = open(b, path, newJudge("a", oldOnes))
	}
}

// BenchmarkTenDays is ten daily scans with 1 % churn after the first load: its
// file size is the figure.
func BenchmarkTenDays(b *testing.B) {
	n := benchRows(b)
	var db *store.DB
	var spent time.Duration
	before := written()
	for range b.N {
		f := newBenchFleet(n)
		r := rand.New(rand.NewPCG(3, 4))
		db = open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
		for day := range 11 {
			spent += measured(b, db, f, fmt.Sprint("day", day))
			drain(b, db)
			f.churn(r)
		}
	}
	report(b, db, n, spent, written()-before)
}

// BenchmarkScanEnd ends a scan of one empty region beside a large fleet: what it
// takes is what every scan's end takes to count the fleet, with the owners and
// without.
func BenchmarkScanEnd(b *testing.B) {
	f := newBenchFleet(benchRows(b))
	path := filepath.Join(b.TempDir(), "store.db")
	db := open(b, path, newJudge("a", oldOnes))
	measured(b, db, f, "first")
	for _, owners := range [][]string{nil, {"team"}} {
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		db = openFor(b, path, newJudge("a", oldOnes), owners...)
		b.Run(fmt.Sprint("owners_", len(owners)), func(b *testing.B) {
			for b.Loop() {
				f.stream.now += 60
				id := fmt.Sprint("empty", f.stream.now)
				apply(b, db, f.stream.put(planned(id, event.KindScan, f.stream.now, hangzhou), scopePlanned(id, event.KindScan, hangzhou, "1", "1.0"), laneEnded(id, event.KindScan, hangzhou, "1.0", "1.0", 0)))
			}
		})
	}
}
