package plan

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
)

// Words beyond those that are kept once are kept with the disk.
func TestWordsBeyondTheRoomAreKept(t *testing.T) {
	w := newWords()
	var packed []byte
	disk := func(i int) record.Disk {
		return record.Disk{ID: fmt.Sprintf("d-%d", i), Category: "cloud_ssd", Type: "data", Device: fmt.Sprintf("/dev/%d", i), SizeGiB: i, Do: record.DiskConvert}
	}
	const n = maxWords + 100
	for i := range n {
		said := disk(i)
		packed = w.packDisk(packed, &said)
	}
	got := w.unpackDisks(packed)
	if len(got) != n || len(w.texts) != maxWords || len(w.number) != maxWords {
		t.Fatalf("%d disks, %d words", len(got), len(w.texts))
	}
	for i := range got {
		if got[i] != disk(i) {
			t.Errorf("%+v, want %+v", got[i], disk(i))
		}
	}
}
