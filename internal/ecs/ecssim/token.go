package ecssim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"
)

// tokenBox seals and opens NextTokens: 64 hex digits that say nothing, bound
// to the query that they were made for.
type tokenBox struct {
	block  cipher.Block
	ttl    time.Duration
	refuse atomic.Int64 // every n-th token presented is refused
	asked  atomic.Int64
	epoch  atomic.Uint32 // tokens of an older epoch have expired
}

func newTokenBox(seed uint64, ttl time.Duration, refuse int) (*tokenBox, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "token %d", seed))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("ecssim: token cipher: %w", err)
	}
	t := &tokenBox{block: block, ttl: ttl}
	t.refuse.Store(int64(refuse))
	return t, nil
}

// seal makes the token for the instances from index at on. Tokens with
// different serials differ.
func (t *tokenBox) seal(bound uint64, at int, serial uint32, now time.Time) string {
	var raw [32]byte
	binary.BigEndian.PutUint64(raw[0:], bound)
	binary.BigEndian.PutUint32(raw[8:], serial)
	binary.BigEndian.PutUint32(raw[12:], uint32(at))
	binary.BigEndian.PutUint64(raw[16:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint32(raw[24:], t.epoch.Load())
	copy(raw[28:], "next")
	cipher.NewCBCEncrypter(t.block, make([]byte, aes.BlockSize)).CryptBlocks(raw[:], raw[:]) // chained, so that neither half stands alone
	return hex.EncodeToString(raw[:])
}

func (t *tokenBox) open(token string, bound uint64, now time.Time) (int, *apiError) {
	var raw [32]byte
	if n, err := hex.Decode(raw[:], []byte(token[:min(len(token), 64)])); err != nil || n != 32 || len(token) != 64 {
		return 0, errToken
	}
	cipher.NewCBCDecrypter(t.block, make([]byte, aes.BlockSize)).CryptBlocks(raw[:], raw[:])
	issued := time.UnixMilli(int64(binary.BigEndian.Uint64(raw[16:])))
	every, asked := t.refuse.Load(), t.asked.Add(1)
	switch {
	case string(raw[28:]) != "next", binary.BigEndian.Uint64(raw[0:]) != bound, binary.BigEndian.Uint32(raw[24:]) != t.epoch.Load(),
		t.ttl > 0 && now.Sub(issued) > t.ttl, every > 0 && asked%every == 0:
		return 0, errToken
	}
	return int(binary.BigEndian.Uint32(raw[12:])), nil
}
