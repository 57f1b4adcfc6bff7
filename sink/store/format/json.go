package format

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// JSON is the value of v, whose body is JSON.
func JSON(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("store: encode %T: %w", v, err)
	}
	return Seal(append(Start(make([]byte, 0, 5+len(body))), body...)), nil
}

// ReadJSON reads what JSON wrote. what names it in errors.
func ReadJSON(what string, b []byte, into any) error {
	body, err := Unseal(what, b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	return nil
}

// Packed is JSON, compressed with S2.
func Packed(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("store: encode %T: %w", v, err)
	}
	return Pack(body), nil
}

// ReadPacked reads what Packed wrote; more than most bytes of JSON are
// refused.
func ReadPacked(what string, b []byte, most int, into any) error {
	plain, err := Unpack(what, b, most)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	return nil
}

// Pack is the value of a body, compressed with S2.
func Pack(body []byte) []byte {
	return Sealed(s2.Encode(nil, body))
}

// Unpack returns the body that Pack was given; one of more than most bytes is
// refused. what names it in errors.
func Unpack(what string, b []byte, most int) ([]byte, error) {
	packed, err := Unseal(what, b)
	if err != nil {
		return nil, err
	}
	if n, err := s2.DecodedLen(packed); err != nil || n > most {
		return nil, fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	body, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	return body, nil
}
