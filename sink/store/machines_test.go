package store_test

import (
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// Machines that one page brings are all there in the next process.
func TestEachMachineOfAPageIsStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	listed := page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 11"}, machine{id: "i-3", os: "centos 7.9"})
	types := []string{"ecs.g6.large", "ecs.g7.large", "ecs.g8i.large"}
	for i := range listed.Hardware {
		listed.Hardware[i] = rules.Hardware{InstanceType: types[i], InstanceFamily: "ecs.g6"}
	}
	apply(t, db, s.put(planned("s1", scanKind, 10, hangzhou), scopePlanned("s1", scanKind, hangzhou, "1", "1.0"), listed, laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 1)))
	db = kept(t, db, path)
	for i, id := range []string{"i-1", "i-2", "i-3"} {
		if found, err := db.Get("prod", "cn-hangzhou", id); err != nil || found.Record.InstanceType != types[i] {
			t.Errorf("%s: %+v, %v", id, found, err)
		}
	}
}
