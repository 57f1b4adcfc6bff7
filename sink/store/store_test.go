package store_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

func TestScanEndsCompleteAndSweeps(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 10
	got := apply(t, db, s.put(whole("s1", hangzhou, 5, machine{id: "i-1", os: "centos 5.8"}, machine{id: "i-2", os: "debian 12"})...))
	if got.New != 2 || got.Rows != 2 || len(got.Changes) != 0 {
		t.Errorf("applied %+v", got)
	}
	if len(got.Scans) != 2 || got.Scans[0].State != record.ScanRunning || got.Scans[1].State != record.ScanComplete {
		t.Fatalf("scans %+v", got.Scans)
	}
	sum := db.Summary()
	if sum.Instances != 2 || sum.Legacy != 1 || sum.Verdicts["shenlong-7"]["incompatible"] != 1 || sum.Verdicts["kvm"]["needs-action"] != 1 {
		t.Errorf("summary %+v", sum)
	}
	s.now = 110
	got = apply(t, db, s.put(whole("s2", hangzhou, 105, machine{id: "i-2", os: "centos 5.8"}, machine{id: "i-3", os: "debian 7"})...))
	if got.Gone != 1 || got.New != 1 || len(got.Changes) != 1 {
		t.Errorf("applied %+v", got)
	}
	want := []string{
		`prod/cn-hangzhou i-1 "name of i-1" centos 5.8 incompatible @6 s1 gone 105`,
		`prod/cn-hangzhou i-2 "name of i-2" centos 5.8 incompatible @106 s2`,
		`prod/cn-hangzhou i-3 "name of i-3" debian 7 needs-action @106 s2`,
	}
	if diff := cmp.Diff(want, lines(all(t, db, store.Filter{}))); diff != "" {
		t.Error(diff)
	}
	if n := len(all(t, db, store.Filter{Verdict: "needs-action", Target: "shenlong-7"})); n != 1 {
		t.Errorf("%d instances need action", n)
	}
	f, err := db.Get("prod", "cn-hangzhou", "i-2")
	if err != nil || len(f.History) != 1 || f.History[0].After["shenlong-7"] != "incompatible" {
		t.Errorf("history %+v, %v", f, err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	events, err := db.Outbox(0, 100)
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if err := db.Delivered(events[1].Key); err != nil {
		t.Fatal(err)
	}
	if events, err = db.Outbox(0, 100); err != nil || len(events) != 3 {
		t.Fatalf("%d events left, %v", len(events), err)
	}
	questions, err := db.Questions(100)
	if err != nil || len(questions) != 1 {
		t.Fatalf("%d questions, %v: whether i-1 is there is one", len(questions), err)
	}
	if err := db.QuestionsPut(questions[0].Key); err != nil {
		t.Fatal(err)
	}
	if questions, err = db.Questions(100); err != nil || len(questions) != 0 {
		t.Fatalf("%d questions left, %v", len(questions), err)
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	j := newJudge("a", oldOnes)
	db := open(t, path, j)
	s := newStream()
	s.now = 10
	batch := s.put(whole("s1", hangzhou, 5, machine{id: "i-1", os: "centos 5.8"}, machine{id: "i-2", os: "debian 12"})...)
	for i := range batch {
		apply(t, db, batch[i:i+1])
		want, sum := lines(all(t, db, store.Filter{})), db.Summary()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, path, j)
		if diff := cmp.Diff(want, lines(all(t, db, store.Filter{}))); diff != "" {
			t.Errorf("after message %d: %s", i, diff)
		}
		if diff := cmp.Diff(sum, db.Summary()); diff != "" {
			t.Errorf("summary after message %d: %s", i, diff)
		}
		if got := db.Position(); got != batch[i].Position {
			t.Errorf("position %v, want %v", got, batch[i].Position)
		}
		if got := apply(t, db, batch[:i+1]); got.Rows != 0 || len(got.Scans) != 0 {
			t.Errorf("the same batch again applied %+v", got)
		}
	}
	if sc, err := db.Scan("s1"); err != nil || sc.State != record.ScanComplete {
		t.Errorf("scan %+v, %v", sc, err)
	}
}

func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	open(t, path, newJudge("a", nil))
	_, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", nil), LockWait: 1})
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v", err)
	}
}
