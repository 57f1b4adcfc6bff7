package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// reload makes memory what the file says.
func (db *DB) reload() error {
	db.meta = meta{}
	db.measure()
	db.dict, db.profs, db.classes = newDict(), newProfiles(db.seed), newClasses()
	db.codec = &rowCodec{dict: db.dict}
	db.scopes, db.byNo, db.running = map[ecs.Scope]*scope{}, map[uint32]*scope{}, map[string]*scanState{}
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		if err := readJSON("meta", tx.Bucket(bucketMeta).Get(keyMeta), &db.meta); err != nil {
			return err
		}
		for _, load := range []func(*bbolt.Tx) error{db.loadWords, db.loadProfiles, db.loadScopes, db.loadScans, db.loadCounts} {
			if err := load(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	db.readers.Store(&tables{dict: db.dict, profs: db.profs, classes: db.classes})
	db.publish()
	return nil
}

func number32(k []byte) (uint32, error) {
	if len(k) != 4 {
		return 0, fmt.Errorf("%w: key %x", ErrCorrupt, k)
	}
	return binary.BigEndian.Uint32(k), nil
}

func (db *DB) loadWords(tx *bbolt.Tx) error {
	for k, v := range scan(tx.Bucket(bucketStrings), nil) {
		n, err := number32(k)
		if err != nil {
			return err
		}
		body, err := unseal("interned string", v)
		if err != nil {
			return err
		}
		if err := db.dict.restore(n, string(body)); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) loadProfiles(tx *bbolt.Tx) error {
	for k, v := range scan(tx.Bucket(bucketSoftware), nil) {
		id, err := number32(k)
		if err != nil || id > maxProfile {
			return orCorrupt(err, "software number out of range")
		}
		enc, err := unseal("software", v)
		if err != nil {
			return fmt.Errorf("software %d: %w", id, err)
		}
		f, err := event.DecodeParts(enc, event.AppendMachine(nil, &rules.Facts{}))
		if err != nil {
			return fmt.Errorf("%w: software %d: %w", ErrCorrupt, id, err)
		}
		db.profs.softByHash[hashSoftware(db.profs.seed, &f)] = id
		db.profs.softNext = max(db.profs.softNext, id+1)
	}
	for k, v := range scan(tx.Bucket(bucketProfiles), nil) {
		id, err := number32(k)
		if err != nil || id > maxProfile {
			return orCorrupt(err, "profile number out of range")
		}
		c, enc, err := readProfile(v)
		if err != nil {
			return fmt.Errorf("profile %d: %w", id, err)
		}
		facts, err := decodeFacts(tx, enc)
		if err != nil {
			return fmt.Errorf("profile %d: %w", id, err)
		}
		db.profs.restore(id, &facts, db.classes.number(c))
	}
	return nil
}

func (db *DB) loadScopes(tx *bbolt.Tx) error {
	for k, v := range scan(tx.Bucket(bucketScopes), nil) {
		no, err := number32(k)
		if err != nil {
			return err
		}
		sc := &scope{no: no, counts: map[uint32]int{}}
		if err := sc.decode(v); err != nil {
			return err
		}
		sc.key = ecs.Scope{Account: sc.Account, Region: sc.Region}
		db.scopes[sc.key], db.byNo[no] = sc, sc
	}
	return nil
}

func (db *DB) loadScans(tx *bbolt.Tx) error {
	for k, v := range scan(tx.Bucket(bucketScans), nil) {
		s := newScan(string(k), "")
		if err := readJSON("scan", v, s); err != nil {
			return err
		}
		db.running[s.ID] = s
		for _, v := range scan(tx.Bucket(bucketProgress), append(append([]byte(nil), k...), 0)) {
			p := &progress{}
			if err := readJSON("progress of a scan", v, p); err != nil {
				return err
			}
			for _, w := range p.Walks {
				w.recount()
			}
			if p.Plans == nil {
				p.Plans = map[string][]string{}
			}
			s.progress[p.Scope] = p
		}
	}
	return nil
}

// loadCounts counts every scope's instances. An index that holds journal
// entries stays; the others are dropped again.
func (db *DB) loadCounts(tx *bbolt.Tx) error {
	db.used = make([]bool, len(*db.profs.class.Load()))
	for _, sc := range db.scopes {
		ix, err := db.loadIndex(tx, sc)
		if err != nil {
			return err
		}
		floor := sc.floor()
		for i := range ix.at {
			e := &ix.at[i]
			if _, ok := db.profs.classOf(e.profile); !ok {
				return fmt.Errorf("%w: an instance of %s refers to profile %d, which is not there", ErrCorrupt, sc.key, e.profile)
			}
			db.used[e.profile] = true
			if e.order < floor {
				sc.gone++
				continue
			}
			sc.counts[db.classAt(ix, uint32(i))]++
			sc.present++
		}
		if len(ix.journal) > 0 {
			sc.ix = ix
		} else {
			db.drop(sc)
		}
	}
	db.evict()
	return nil
}

// sweepProfiles removes profiles that no instance has any more, once there are
// enough of them to be worth a commit.
func (db *DB) sweepProfiles() error {
	list, used := *db.profs.class.Load(), db.used
	db.used = nil
	var idle []uint32
	for id, class := range list {
		if class != noClass && (id >= len(used) || !used[id]) {
			idle = append(idle, uint32(id))
		}
	}
	if len(idle) < 256 || len(idle) < len(list)/4 {
		return nil
	}
	err := db.update(func(tx *bbolt.Tx) error {
		for _, id := range idle {
			if err := tx.Bucket(bucketProfiles).Delete(key32(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return db.guard(db.reload)
}

// classAt is the class of an indexed row.
func (db *DB) classAt(ix *index, ordinal uint32) uint32 {
	if ix.class != nil {
		return ix.class[ordinal]
	}
	c, _ := db.profs.classOf(ix.at[ordinal].profile)
	return c
}

// loadWaived gives the index classes of its own for instances that waivers
// touch.
func (db *DB) loadWaived(tx *bbolt.Tx, sc *scope, ix *index) error {
	ix.class = make([]uint32, ix.len())
	for i := range ix.at {
		p := ix.at[i].profile
		c, ok := db.profs.classOf(p)
		if !ok {
			return fmt.Errorf("%w: profile %d is missing", ErrCorrupt, p)
		}
		ix.class[i] = c
	}
	prefix := key32(sc.no)
	for k, v := range scan(tx.Bucket(bucketWaived), prefix) {
		levels, err := unseal("waived verdicts", v)
		if err != nil {
			return err
		}
		if ordinal, ok := ix.findID(k[4:]); ok {
			c := *db.classes.at(ix.class[ordinal])
			c.levels = string(levels)
			ix.class[ordinal] = db.classes.number(c)
		}
	}
	return nil
}

// classFor is the class that an instance has with the row at hand.
func (p *pager) classFor(r *event.Row, profile uint32) (uint32, error) {
	own, ok := p.db.profs.classOf(profile)
	if !ok {
		return 0, fmt.Errorf("%w: profile %d is missing", ErrCorrupt, profile)
	}
	if !p.j.waivers {
		return own, nil
	}
	f := &p.m.Profiles[r.Profile]
	if waived := p.j.judgeRow(&p.sc.scopeValue, r, f); waived != p.j.Classify(f) {
		return p.db.classes.number(classOf(waived)), nil
	}
	return own, nil
}

// newClass is classFor for a row that has just been taken, and notes where it
// differs from its profile's.
func (p *pager) newClass(ordinal uint32, r *event.Row, profile uint32) (uint32, error) {
	class, err := p.classFor(r, profile)
	if err != nil || !p.j.waivers {
		return class, err
	}
	for len(p.ix.class) <= int(ordinal) {
		p.ix.class = append(p.ix.class, class)
	}
	p.ix.class[ordinal] = class
	own, _ := p.db.profs.classOf(profile)
	return class, storeWaived(p.tx, p.sc.no, []byte(r.ID), own, class, p.db.classes)
}

// storeWaived keeps the levels of an instance whose class is not its
// profile's.
func storeWaived(tx *bbolt.Tx, scope uint32, id []byte, own, class uint32, cs *classes) error {
	b := tx.Bucket(bucketWaived)
	key := scopeKey(scope, id)
	if own == class {
		if b.Get(key) == nil {
			return nil
		}
		return b.Delete(key)
	}
	return b.Put(key, seal(append(startValue(nil), cs.at(class).levels...)))
}

func unmarshal(what string, b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	return nil
}

// needsReclassify reports whether stored verdicts are not j's.
func (db *DB) needsReclassify(j *judge) bool {
	if db.meta.Digest != j.Digest() || db.meta.Today != j.today || len(db.meta.Targets) != len(j.targets) {
		return true
	}
	for i, t := range j.targets {
		if db.meta.Targets[i] != t {
			return true
		}
	}
	return false
}

var _ Classifier = (*rules.Classifier)(nil)
