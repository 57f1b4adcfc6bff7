// Package store keeps what the results stream says of a fleet in one bbolt
// file: instances with their raw facts, verdict history, scans, and the events
// that are not yet published. It is the only importer of bbolt. It knows no
// NATS, calls nobody, and never derives a verdict itself: it asks a
// Classifier. What a scan has come to is the affair of sink/scans, the bytes of
// values that of sink/store/format.
//
// # What an instance is
//
// The newest observation of an instance counts, whatever order observations
// arrive in. Whether an instance is there follows from two facts that are
// stored: when it was last observed, and when the complete scans of its scope
// began. It is gone exactly if a complete scan began after its last
// observation.
//
// # Layout
//
// Values begin with a CRC-32C over the rest and a version byte; numbers in keys
// are big-endian.
//
//	meta      name                       -> format, checkpoint, rule set, counters (JSON)
//	strings   id u32                     -> interned string (zones, states, tag keys, common tag values)
//	profiles  id/256 u32                 -> what rows refer to: class, software and hardware by their numbers
//	software  id u32                     -> the facts of an operating system and its image, which repeat on many machines
//	hardware  id u32                     -> the facts of a machine
//	classes   id u32                     -> verdict levels, waves, family, version: how profiles were last judged
//	scopes    scope u32                  -> account, region, epochs of complete scans, completeness (JSON)
//	blocks    scope u32, first id        -> up to 256 rows sorted by instance id
//	orders    scope u32, first id        -> when and by which scan each row of that block was last observed
//	journal   scope u32, number u64      -> one page: changed rows in full, unchanged ones by ordinal
//	history   scope u32, id, 0, number   -> one change of an instance (JSON)
//	waived    scope u32, id              -> verdicts and waves of an instance that a waiver changes
//	scans     scan id                    -> a scan that runs (JSON)
//	progress  scan id, 0, scope u32      -> what that scan has committed of one scope (JSON)
//	ended     kind, end u64, scan id     -> a scan that ended (JSON, S2)
//	endedids  scan id                    -> key in ended
//	outbox    number u64                 -> events not yet published (JSON, S2)
//	questions number u64                 -> questions for producers not yet published (JSON, S2)
//	points    number u64, time u64       -> how far the fleet was when a scan had ended or other rules had judged it (JSON, S2)
//	parts     number u64, time u64       -> the same by owner, account and region (JSON, S2)
//	before    kind, key                  -> while other rules are being told of: classes, profiles and waived verdicts as they were
//	evidence  account, 0, region, 0, source, 0, id -> what was asked for beyond the listing (JSON)
//
// A page is one journal entry, which appends cheaply, so that a batch of pages is
// committed soon. When a scan of a scope is decided, or the journal
// has grown, the scope's journal is folded into its blocks in one sorted pass.
// Blocks without a changed row are left alone. While a scope is written to, an
// index of it is held in memory; it is dropped at the fold.
package store
