package store

import (
	"fmt"

	"github.com/shenscan/shenscan/internal/ecs"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Facts returns the raw facts of the instance with the id, the first one where
// several accounts or regions have it, or ErrNotFound.
func (db *DB) Facts(instanceID string) (*rules.Facts, error) {
	facts, _, err := db.Found("", "", instanceID)
	return facts, err
}

// Found is Facts within an account and a region, where they are not "", with those
// that the instance is in.
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
			_, profile, err := format.ReadRow(finding.row, r.tables().dict.Words())
			if err != nil {
				return fmt.Errorf("%w: row: %w", ErrCorrupt, err)
			}
			facts, err := r.facts(tx, profile)
			out, in = &facts, sc.key
			return err
		}
		return fmt.Errorf("instance %.64q: %w", instanceID, ErrNotFound)
	})
	return out, in, err
}

// facts reads the facts of one profile, as readers see it.
func (r *reading) facts(tx *bbolt.Tx, profile uint32) (rules.Facts, error) {
	return r.tables().profs.readers.Load().reader().facts(tx, profile)
}

// facts reads the facts of one profile, those of this transaction included.
func (a *applier) facts(profile uint32) (rules.Facts, error) {
	profiles := &profileTable{a.db.profs.list, a.db.profs.hardware}
	if a.reader == nil {
		a.reader = profiles.reader()
	}
	a.reader.profileTable = profiles
	return a.reader.facts(a.tx, profile)
}
