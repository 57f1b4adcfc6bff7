package store

import (
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// reload reads everything that is kept in memory from the file, at the start and
// after a failed transaction.
func (db *DB) reload() error {
	db.meta, db.owners = meta{}, nil
	db.measure()
	if db.profs != nil {
		db.profs.retire()
	}
	db.dict, db.profs, db.classes = format.NewDict(), newProfiles(db.seed), newClasses()
	db.codec = &format.RowCodec{Dict: db.dict}
	db.scopes, db.byNo, db.running = map[ecs.Scope]*scope{}, map[uint32]*scope{}, map[string]*scans.Scan{}
	db.places = newWhereabouts()
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		db.commit = tx.ID()
		db.seen.Store(int64(db.commit))
		if err := format.ReadJSON("meta", tx.Bucket(bucketMeta).Get(keyMeta), &db.meta); err != nil {
			return err
		}
		for _, load := range []func(*bbolt.Tx) error{db.loadWords, db.loadProfiles, db.loadScopes, db.loadScans, db.loadCounts, db.loadOwners} {
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

func (db *DB) loadWords(tx *bbolt.Tx) error {
	for k, value := range entries(tx.Bucket(bucketStrings), nil) {
		number, err := format.Number32(k)
		if err != nil {
			return err
		}
		body, err := format.Unseal("interned string", value)
		if err != nil {
			return err
		}
		if err := db.dict.Restore(number, string(body)); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) loadProfiles(tx *bbolt.Tx) error {
	for k, value := range entries(tx.Bucket(bucketSoftware), nil) {
		id, err := format.Number32(k)
		if err != nil || id > format.MaxProfile {
			return format.OrCorrupt(err, "software number out of range")
		}
		enc, err := format.Unseal("software", value)
		if err != nil {
			return fmt.Errorf("software %d: %w", id, err)
		}
		facts, err := event.DecodeSoftware(enc)
		if err != nil {
			return fmt.Errorf("%w: software %d: %w", ErrCorrupt, id, err)
		}
		db.profs.softByHash[hashSoftware(db.profs.seed, &facts)] = id
		db.profs.softNext = max(db.profs.softNext, id+1)
	}
	if err := db.loadHardware(tx); err != nil {
		return err
	}
	if err := db.loadClasses(tx); err != nil {
		return err
	}
	if last, _ := tx.Bucket(bucketProfiles).Cursor().Last(); len(last) > 0 {
		no, err := format.Number32(last)
		if err != nil {
			return err
		}
		db.profs.list = make([]format.Profile, 0, min((int(no)+1)*format.MaxChunk, 2*mostReserved))
	}
	var part []format.Profile
	for k, value := range entries(tx.Bucket(bucketProfiles), nil) {
		no, err := format.Number32(k)
		if err != nil {
			return err
		}
		if part, err = format.ReadProfiles(value, part[:0]); err != nil {
			return fmt.Errorf("profiles %d: %w", no, err)
		}
		if err := db.profs.restore(no, part, len(*db.classes.list.Load())); err != nil {
			return err
		}
	}
	db.profs.publish()
	return nil
}

func (db *DB) loadHardware(tx *bbolt.Tx) error {
	for key, v := range entries(tx.Bucket(bucketHardware), nil) {
		hardware, err := storedHardware(v)
		if err != nil {
			return err
		}
		if id, err := format.Number32(key); err != nil || int(id) != len(db.profs.hardware) {
			return format.OrCorrupt(err, "hardware is not numbered from 0")
		}
		db.profs.byHardware[hardware] = uint32(len(db.profs.hardware))
		db.profs.hardware = append(db.profs.hardware, hardware)
	}
	return nil
}

func storedHardware(v []byte) (rules.Hardware, error) {
	enc, err := format.Unseal("hardware", v)
	if err != nil {
		return rules.Hardware{}, err
	}
	hardware, err := event.DecodeHardware(enc)
	if err != nil {
		return hardware, fmt.Errorf("%w: hardware: %w", ErrCorrupt, err)
	}
	return hardware, nil
}

// loadClasses reads the classes, whose numbers rows and profiles hold: one that is missing
// between others, or there twice, means that the file is damaged.
func (db *DB) loadClasses(tx *bbolt.Tx) error {
	for key, v := range entries(tx.Bucket(bucketClasses), nil) {
		class, err := format.ReadClass(v)
		if err != nil {
			return err
		}
		id, err := format.Number32(key)
		if err != nil || db.classes.number(class) != id {
			return format.OrCorrupt(err, "classes are not numbered from 0")
		}
	}
	db.classes.fresh = 0
	return nil
}

func (db *DB) loadScopes(tx *bbolt.Tx) error {
	for k, value := range entries(tx.Bucket(bucketScopes), nil) {
		no, err := format.Number32(k)
		if err != nil {
			return err
		}
		sc := &scope{no: no, counts: map[uint32]int{}}
		if err := format.ReadJSON("scope", value, &sc.scopeValue); err != nil {
			return err
		}
		sc.key = ecs.Scope{Account: sc.Account, Region: sc.Region}
		db.scopes[sc.key], db.byNo[no] = sc, sc
	}
	return nil
}

func (db *DB) loadScans(tx *bbolt.Tx) error {
	for key := range entries(tx.Bucket(bucketScans), nil) {
		state, err := readRunning(tx, key)
		if err != nil {
			return err
		}
		db.running[state.ID] = state
	}
	return nil
}

// loadCounts counts the instances of every scope by class. Indexes of scopes with a
// journal stay in memory; the others are dropped again, and so are all where
// nothing is applied before long: in a store that is only read, and while a
// change of judgement is being told.
func (db *DB) loadCounts(tx *bbolt.Tx) error {
	db.used = make([]bool, len(db.profs.list))
	once := db.o.ReadOnly || db.meta.Rejudging != nil
	load := db.loadIndex
	if once {
		load = db.outline
	}
	for _, sc := range db.scopes {
		ix, err := load(tx, sc)
		if err != nil {
			return err
		}
		floor := sc.Floor()
		for i := range ix.at {
			entry := &ix.at[i]
			if _, ok := db.profs.classOf(entry.profile); !ok {
				return fmt.Errorf("%w: an instance of %s refers to profile %d, which is not there", ErrCorrupt, sc.key, entry.profile)
			}
			db.used[entry.profile] = true
			if !db.o.ReadOnly {
				db.places.put(entry.hash, sc.no)
			}
			if entry.order < floor {
				sc.gone++
				continue
			}
			sc.counts[db.classAt(ix, uint32(i))]++
			sc.present++
		}
		if len(ix.journal) > 0 && !once {
			sc.ix = ix
		} else {
			db.drop(sc)
		}
	}
	db.evict()
	return nil
}

// sweepProfiles removes profiles, and software, that no instance has any more,
// once there are enough of them to be worth a commit.
func (db *DB) sweepProfiles() error {
	profiles, used := db.profs, db.used
	db.used = nil
	idle := 0
	for id := range profiles.list {
		if profiles.list[id].Class != format.NoClass && !used[id] {
			idle++
		}
	}
	if idle < format.MaxChunk || idle < len(profiles.list)/4 {
		return nil
	}
	err := db.update(func(tx *bbolt.Tx) error {
		software := map[uint32]bool{}
		for id := range profiles.list {
			switch is := &profiles.list[id]; {
			case is.Class == format.NoClass:
			case used[id]:
				software[is.Software] = true
			default:
				is.Class = format.NoClass
				profiles.dirty[uint32(id)/format.MaxChunk] = struct{}{}
			}
		}
		bucket := tx.Bucket(bucketSoftware)
		unused := slices.DeleteFunc(keysOf(bucket, nil), func(k []byte) bool {
			id, err := format.Number32(k)
			return err == nil && software[id]
		})
		if err := deleteKeys(bucket, unused); err != nil {
			return err
		}
		return profiles.store(tx)
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
		profile := ix.at[i].profile
		c, ok := db.profs.classOf(profile)
		if !ok {
			return fmt.Errorf("%w: profile %d is missing", ErrCorrupt, profile)
		}
		ix.class[i] = c
	}
	prefix := format.Key32(sc.no)
	for k, value := range entries(tx.Bucket(bucketWaived), prefix) {
		if ordinal, ok := ix.findID(k[4:]); ok {
			class := *db.classes.at(ix.class[ordinal])
			if err := format.ReadWaived(value, &class); err != nil {
				return err
			}
			ix.class[ordinal] = db.classes.number(class)
		}
	}
	return nil
}

// classFor is the class that an instance has with the row at hand.
func (p *pager) classFor(candidate *candidate) (uint32, error) {
	own, ok := p.db.profs.classOf(candidate.profile)
	if !ok {
		return 0, fmt.Errorf("%w: profile %d is missing", ErrCorrupt, candidate.profile)
	}
	if !p.j.waivers {
		return own, nil
	}
	row, err := p.atHand()
	if err != nil {
		return 0, err
	}
	f := p.m.Facts(candidate.of)
	if waived := p.j.judgeRow(&p.sc.scopeValue, &row, &f); waived != p.j.Classify(&f) {
		return p.db.classes.number(p.j.classOf(waived, f.Hardware())), nil
	}
	return own, nil
}

// newClass is classFor for a row that has just been taken, and notes where it
// differs from its profile's.
func (p *pager) newClass(ordinal uint32, candidate *candidate) (uint32, error) {
	class, err := p.classFor(candidate)
	if err != nil || !p.j.waivers {
		return class, err
	}
	for len(p.ix.class) <= int(ordinal) {
		p.ix.class = append(p.ix.class, class)
	}
	p.ix.class[ordinal] = class
	own, _ := p.db.profs.classOf(candidate.profile)
	return class, storeWaived(p.tx, p.sc.no, format.RowID(p.row), own, class, p.db.classes)
}

// storeWaived keeps what is of its own in the class of an instance, where that
// is not its profile's.
func storeWaived(tx *bbolt.Tx, scope uint32, id []byte, own, class uint32, cs *classes) error {
	bucket := tx.Bucket(bucketWaived)
	key := format.RowKey(scope, id)
	if own == class {
		if bucket.Get(key) == nil {
			return nil
		}
		return bucket.Delete(key)
	}
	return bucket.Put(key, format.WaivedValue(cs.at(class)))
}

// needsReclassify reports whether Reclassify has to do something before
// anything can be applied.
func (db *DB) needsReclassify(j *judge) bool { return db.meta.Rejudging != nil || db.differs(j) }

// differs reports whether stored verdicts are not judge's.
func (db *DB) differs(judge *judge) bool {
	return db.meta.Digest != judge.Digest() || db.meta.Today != judge.today || !slices.Equal(db.meta.Targets, judge.targets)
}

var _ Classifier = (*rules.Classifier)(nil)
