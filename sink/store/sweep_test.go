package store_test

import "testing"

// The process that forgot systems which no instance had any more takes one that comes
// with such a system again, and stores the system with it: a row without its system would
// make the whole file unreadable.
func TestASystemThatWasForgottenComesBackInTheSameProcess(t *testing.T) {
	path := profiled(t, 10, 256)
	db := open(t, path, newJudge("a", oldOnes))
	if n := db.Profiles(); n != 10 {
		t.Fatalf("%d profiles: nothing was forgotten", n)
	}
	s := &stream{id: t0, seq: 1_000_000, now: 100}
	apply(t, db, s.put(page("r3", rescanKind, hangzhou, "1.0", "1.0", 0, 30, machine{id: "i-0001", os: "centos 7.200"}, machine{id: "i-0002", os: "centos 7.3"})))
	db = kept(t, db, path)
	for id, want := range map[string]string{"i-0001": "7.200", "i-0002": "7.3", "i-0003": "7.3"} {
		found, err := db.Find(id)
		if err != nil || len(found) != 1 || found[0].Record.OS.Version != want {
			t.Errorf("%s: %+v, %v", id, found, err)
		}
	}
}
