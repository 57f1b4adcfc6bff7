package ecsapi

import (
	"strconv"
	"strings"
)

// maxID bounds ids of instances, images and whatever else is sent back to the cloud;
// real ones have 22 characters.
const maxID = 200

// lowerDigits and letterDigits are what ids and names of hosts are made of, beside marks.
const (
	lowerDigits  = "abcdefghijklmnopqrstuvwxyz0123456789"
	letterDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lowerDigits
)

// madeOf reports whether a text has characters, and none but some.
func madeOf(text, characters string) bool { return text != "" && strings.Trim(text, characters) == "" }

// usableID reports whether an instance can be told from others by its id. The
// replacement character is no part of one: two ids may have become the same. What may be
// sent to the cloud is narrower (producer.IsInstanceID): an instance whose id looks like
// none is still an instance, and leaving it out would be an omission.
func usableID(id string) bool {
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, func(char rune) bool { return char <= ' ' || char >= 0x7f }) < 0
}

// sendableImage reports whether an id may go into the comma-joined parameter.
func sendableImage(id string) bool { return len(id) <= maxID && madeOf(id, letterDigits+"_-.:") }

func accountID(id string) bool {
	_, err := strconv.ParseUint(id, 10, 64)
	return err == nil && len(id) >= 5 && len(id) <= 20
}

// isForeign says whether a row is of another region than was asked for. One that
// does not say its region is where its zone is, whose name begins with it.
func isForeign(region, zone, asked string) bool {
	if region == "" {
		return zone != "" && !strings.HasPrefix(zone, asked)
	}
	return region != asked
}
