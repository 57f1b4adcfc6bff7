package store

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// Found returns the raw facts of the instance with the id within an account and a
// region, where they are not "", with those that it is in: the first one where several
// have it. It returns ErrNotFound where none has.
func (db *DB) Found(account, region, instanceID string) (*rules.Facts, ecs.Scope, error) {
	return db.reading().factsOf(account, region, instanceID)
}

// factsOf returns what is stored of the system and machine of the first instance
// with the id; account and region narrow the search where they are not empty.
func (r *reading) factsOf(account, region, instanceID string) (*rules.Facts, ecs.Scope, error) {
	var out *rules.Facts
	var in ecs.Scope
	err := r.view(func(tx *bbolt.Tx) error {
		for _, sc := range r.scopes() {
			if account != "" && sc.key.Account != account || region != "" && sc.key.Region != region {
				continue
			}
			found, err := lookup(tx, sc.no, []string{instanceID})
			if err != nil {
				return err
			}
			finding, ok := found[instanceID]
			if !ok {
				continue
			}
			_, facts, err := r.tables().profs.readers.Load().reader().instance(tx, finding.row, r.tables().dict.Words())
			out, in = &facts, sc.key
			return err
		}
		return fmt.Errorf("instance %.64q: %w", instanceID, ErrNotFound)
	})
	return out, in, err
}

// facts reads the facts of one profile, those of this transaction included.
func (a *applier) facts(profile uint32) (rules.Facts, error) {
	return a.factsReader().facts(a.tx, profile)
}

// instanceOf decodes a row and reads the facts of its profile.
func (a *applier) instanceOf(enc []byte) (event.Row, rules.Facts, error) {
	return a.factsReader().instance(a.tx, enc, a.db.dict.Words())
}

func (a *applier) factsReader() *factsReader {
	profiles := a.db.profs.now()
	if a.reader == nil {
		a.reader = profiles.reader()
	}
	a.reader.profileTable = profiles
	return a.reader
}
