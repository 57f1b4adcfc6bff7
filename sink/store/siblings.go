package store

import (
	"bytes"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// What instances tell of their image is counted where a scan has listed all of a
// scope, and given to the workers of later scans: never in the middle of one, so
// that an image is judged alike on all of its pages. A scope that is partial
// counts nothing; what was counted before stands until it is too old. Two counts
// are kept of each image, since a scan that began before the newest was taken
// goes by the one before.

// takeFleet counts, for each image of a scope of which a scan has just listed
// everything, the instances that are up, by class.
func (a *applier) takeFleet(scanID string, sc *scope) error {
	ix, err := a.index(sc)
	if err != nil {
		return err
	}
	counts := make([]int, len(a.db.profs.list))
	floor := sc.Floor()
	for i := range ix.at {
		if ix.at[i].order >= floor {
			counts[ix.at[i].profile]++
		}
	}
	images, err := a.countFleet(counts)
	if err != nil {
		return fmt.Errorf("count what the instances of %s tell of their images: %w", sc.key, err)
	}
	return a.keepFleet(scanID, sc, images)
}

// countFleet counts instances, given by profile, by their image.
func (a *applier) countFleet(counts []int) (map[string]*rules.ImageFleet, error) {
	reader := a.db.profs.now().reader()
	images := map[string]*rules.ImageFleet{}
	for id, count := range counts {
		if count == 0 {
			continue
		}
		profile := a.db.profs.list[id]
		hardware := a.db.profs.hardware[profile.Hardware]
		if hardware.Running != rules.Yes {
			continue
		}
		software, err := reader.softwareOf(a.tx, uint32(id))
		if err != nil {
			return nil, err
		}
		if software.Guest.Up != rules.Yes || !usable(software.ImageID) {
			continue
		}
		machine := a.j.Machine(hardware)
		class, known := rules.ClassOf(machine.Virtualization, machine.Generation)
		if !known {
			continue
		}
		judged := a.j.Judge(a.j.System(software), a.j.Host(hardware))
		if machine.Contradicts(&judged.OS) {
			continue
		}
		facts := *software
		facts.Put(hardware)
		of := images[facts.ImageID]
		if of == nil {
			of = &rules.ImageFleet{}
			images[facts.ImageID] = of
		}
		of.Add(class, &judged.OS, &facts, count)
	}
	return images, nil
}

// keepFleet stores new counts, and the ones before under their earlier key. An
// image of which nothing is counted any more keeps a count of nothing until the
// next scan, which says that the one before does not stand.
func (a *applier) keepFleet(scanID string, sc *scope, images map[string]*rules.ImageFleet) error {
	bucket, prefix := a.tx.Bucket(bucketEvidence), evidencePrefix(sc.key, event.EvidenceFleet)
	had := map[string]StoredEvidence{}
	for key, v := range entries(bucket, prefix) {
		is, err := readEvidence(v)
		if err != nil {
			return err
		}
		had[string(key[len(prefix):])] = is
	}
	at := utc(a.msg.Stored)
	put := func(id string, is StoredEvidence) error {
		return bucket.Put(append(bytes.Clone(prefix), id...), is.value())
	}
	drop := func(id string) error { return bucket.Delete(append(bytes.Clone(prefix), id...)) }
	for id, is := range had {
		if image, earlier := strings.CutPrefix(id, event.EarlierPrefix); earlier {
			if _, newer := had[image]; !newer {
				if err := drop(id); err != nil {
					return err
				}
			}
			continue
		}
		if images[id] == nil && is.Fleet == "" { // told once that there is none
			if err := dropBoth(bucket, drop, id); err != nil {
				return err
			}
			continue
		}
		if err := put(event.EarlierPrefix+id, is); err != nil {
			return err
		}
		if images[id] == nil {
			images[id] = &rules.ImageFleet{}
		}
	}
	for id, of := range images {
		text := of.Text()
		if _, known := had[id]; text == "" && !known {
			continue
		}
		item := event.EvidenceItem{Asked: at, Fleet: text, Scan: scanID}
		if err := put(id, StoredEvidence{EvidenceItem: item, Seen: at}); err != nil {
			return err
		}
	}
	return nil
}

func dropBoth(b *bbolt.Bucket, drop func(string) error, id string) error {
	if err := drop(id); err != nil {
		return err
	}
	return drop(event.EarlierPrefix + id)
}
