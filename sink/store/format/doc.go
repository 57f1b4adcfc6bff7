// Package format knows the bytes of the store: values with their checksums,
// keys, blocks of rows and when each was observed, journal entries, classes and
// profiles, and whether the pages of a bbolt file are sound. It opens no
// transaction and knows nothing of what the bytes are for.
//
// A value is a CRC-32C over what follows it, in four bytes, little-endian, a
// version byte, and a body. Bodies are JSON, or a flat encoding of varints and
// strings behind their length. Numbers in keys are big-endian, so that keys sort
// as their numbers do. Whatever is read is checked first: damaged bytes are
// ErrCorrupt, never a panic.
package format
