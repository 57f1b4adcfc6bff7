package main_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// What somebody mistypes on a command that answers from a store, or asks about
// one machine, is refused before anything is printed, and the message says what
// to give instead. Each of these was an answer that looked right.
func TestMistakesAreNotAnswered(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 40, Regions: 1, Seed: 7})
	store := t.TempDir()
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl")
	if scanned.code != 0 {
		t.Fatalf("exit %d", scanned.code)
	}
	id := records(t, scanned.stdout)[0].InstanceID
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"compact of a table":           {[]string{"report", "--store", store, "--compact", "--output", "table"}, "--compact is for --output json and jsonl"},
		"a gate on a list of scans":    {[]string{"report", "--store", store, "--scans", "--fail-on", "incompatible"}, "--fail-on is of no effect on --scans and --outcomes"},
		"outcomes since a time":        {[]string{"report", "--store", store, "--outcomes", "--since", "7d"}, "--since is of no effect on --scans and --outcomes"},
		"outcomes into a file":         {[]string{"report", "--store", store, "--outcomes", "--out", "x.json"}, "--out is of no effect on --scans and --outcomes"},
		"compact of the default":       {[]string{"report", "--store", store, "--compact"}, "--compact is for --output json and jsonl"},
		"Excel of JSON":                {[]string{"report", "--store", store, "--excel", "--output", "json"}, "--excel is for --output csv"},
		"since and of a scan":          {[]string{"report", "--store", store, "--since", "24h", "--of-scan", "s-1"}, "leave one of them out"},
		"of a scan that is none":       {[]string{"report", "--store", store, "--of-scan", "s-1"}, "no such scan"},
		"since a day to come":          {[]string{"report", "--store", store, "--since", "2999-01-01"}, "still to come"},
		"since what is no time":        {[]string{"report", "--store", store, "--since", "yesterday"}, `--since "yesterday" is no scan`},
		"since less than nothing":      {[]string{"report", "--store", store, "--since", "-5d"}, `--since "-5d" is no scan`},
		"progress since a day to come": {[]string{"plan", "--store", store, "--progress", "--since", "2999-01-01"}, "still to come"},
		"progress since no scan":       {[]string{"plan", "--store", store, "--progress", "--since", "yesterday"}, "name a time"},
		"progress to no target":        {[]string{"plan", "--store", store, "--progress", "--target", "shenlong-9"}, `did you mean "shenlong-6"`},
		"progress as a page":           {[]string{"plan", "--store", store, "--progress", "--output", "html"}, "progress is written as one of"},
		"progress of a region":         {[]string{"plan", "--store", store, "--progress", "--region", "cn-hangzhou"}, "--region"},
		"progress and settle":          {[]string{"plan", "--store", store, "--progress", "--settle"}, "ask for one of them"},
		"settle since":                 {[]string{"plan", "--store", store, "--settle", "--since", "7d"}, "shenscan: --since means nothing beside --settle, which lists questions and plans nothing: leave one of them away\n"},
		"settle as CSV":                {[]string{"plan", "--store", store, "--settle", "--output", "csv"}, "questions are written as one of"},
		"settle to no target":          {[]string{"plan", "--store", store, "--settle", "--target", "shenlong-9"}, `did you mean "shenlong-6"`},
		"a plan to two targets":        {[]string{"plan", "--store", store, "--target", "shenlong-6", "--target", "ecs.g8i"}, "run the command once for each"},
		"settle with stock":            {[]string{"plan", "--store", store, "--settle", "--availability"}, "--availability means nothing beside --settle"},
		"a plan since":                 {[]string{"plan", "--store", store, "--since", "7d"}, "--since means nothing without --progress"},
		"calls that nobody makes":      {[]string{"plan", "--store", store, "--offered-calls", "5"}, "--offered-calls means nothing without --offered"},
		"how nobody pays":              {[]string{"plan", "--store", store, "--charge-type", "PrePaid"}, "--charge-type means nothing without --availability"},
		"a cloud that is not asked":    {[]string{"plan", "--store", store, "--endpoint", sim.URL}, "--endpoint means nothing without --availability or --disks or --offered"},
		"progress of an image":         {[]string{"plan", "--store", store, "--progress", "--image", "m-1"}, "--image means nothing beside --progress"},
		"progress by other rules":      {[]string{"plan", "--store", store, "--progress", "--rules", "x.yaml"}, "--rules means nothing beside --progress"},
		"scans as JSON":                {[]string{"report", "--store", store, "--scans", "--output", "json"}, "--output means nothing beside --scans"},
		"a plan of questions in JSON":  {[]string{"scan", "--endpoint", sim.URL, "--store", filepath.Join(t.TempDir(), "none"), "--probe", "--dry-run", "--output", "json"}, "--output means nothing beside --dry-run"},
		"a page that a demo has not":   {[]string{"demo", "--listen", "127.0.0.1:0"}, "--listen means nothing without --serve"},
		"a server's key for its own":   {[]string{"scan", "--endpoint", sim.URL, "--store", filepath.Join(t.TempDir(), "none"), "--nats-nkey", "x.nk"}, "--nats-nkey means nothing without --nats-url"},
		"a pack without a folder":      {[]string{"plan", "--store", store, "--split-by-owner", ""}, "name the folder"},
		"ready of no address":          {[]string{"ready", "--server", "ftp://x"}, "--server is no address"},
		"ready of something":           {[]string{"ready", "x"}, "takes no arguments"},
		"config of no role":            {[]string{"config", "check", "nobody"}, "name one of serve, producer, worker, sink"},
		"config of no flag":            {[]string{"config", "show", "--nope"}, "unknown flag: --nope"},
		"config of no command":         {[]string{"config", "chekc"}, "chekc"},
		"check of several":             {[]string{"check", id, id, "--endpoint", sim.URL, "--target", "kvm"}, "the id of one instance"},
		"check without patience":       {[]string{"check", id, "--endpoint", sim.URL, "--target", "kvm", "--wait", "-1s"}, "--wait -1s"},
		"a role that asks machines":    {[]string{"producer", "--nats-url", "nats://127.0.0.1:1", "--probe"}, "shenscan serve --probe"},
		"serve of some instances":      {[]string{"serve", "--endpoint", sim.URL, "--store", filepath.Join(t.TempDir(), "none"), "--os", "centos"}, "--os means nothing without --probe"},
	} {
		t.Run(name, func(t *testing.T) {
			if r := run(t, env(), c.args...); r.code != 2 || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
				t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
	t.Run("check in no time at all", func(t *testing.T) {
		r := run(t, env(), "check", id, "--endpoint", sim.URL, "--target", "kvm", "--wait", "1ns")
		if r.code != 4 || !strings.Contains(r.stderr, "nothing was heard of it within 1ns") || r.stdout != "" {
			t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
		}
	})
}

// A sink that falls behind answers no more until it has caught up, and says so
// to who asks meanwhile. That ends no command that waits for a scan.
func TestRescanAsksAgainWhereASinkFellBehind(t *testing.T) {
	t.Parallel()
	server, err := bus.Open(t.Context(), bus.Options{
		Dir: t.TempDir(), Name: "server", Listen: "127.0.0.1:0", Declare: true, Replicas: 1, Sync: bus.SyncInterval, Limits: bus.DefaultOptions().Limits, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int32
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, "stand-in", "answers late", "1.0.0", 4, []bus.Endpoint{
			{Name: "scan", Subject: event.SubjectScan, Handle: func(context.Context, bus.Request) (any, error) {
				return record.ScanReply{ScanID: "s-1"}, nil
			}},
			{Name: "query", Subject: event.SubjectQueryScan, Handle: func(context.Context, bus.Request) (any, error) {
				if asked.Add(1) < 3 {
					return nil, &bus.ServiceError{Code: "503", Text: "ask again"}
				}
				return record.Scan{ID: "s-1", State: record.ScanComplete}, nil
			}},
		})
	}()
	r := run(t, env(), "rescan", "--all", "--wait", "1m", "--nats-url", server.ClientURL())
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if r.code != 0 || asked.Load() != 3 || !strings.HasPrefix(r.stdout, "s-1 complete") {
		t.Errorf("exit %d after %d questions: %s%s", r.code, asked.Load(), r.stdout, r.stderr)
	}
}
