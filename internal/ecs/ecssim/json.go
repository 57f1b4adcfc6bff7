package ecssim

import (
	"strconv"
	"time"
)

// appendMinute appends a minute since 1970 as "2017-12-10T04:04Z".
func appendMinute(out []byte, m int64) []byte {
	at := time.Unix(m*60, 0).UTC()
	y, mo, d := at.Date()
	out = append(out, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-')
	out = append(two(out, int(mo)), '-')
	out = append(two(out, d), 'T')
	out = append(two(out, at.Hour()), ':')
	return append(two(out, at.Minute()), 'Z')
}

func two(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// appendIP appends 172.16-31.x.y made from a random number.
func appendIP(out []byte, seed uint64) []byte {
	out = append(out, "172."...)
	out = appendInt(out, 16+int(seed%16))
	out = append(out, '.')
	out = appendInt(out, int(seed>>8&255))
	out = append(out, '.')
	return appendInt(out, 1+int(seed>>16%250))
}

const hexDigits = "0123456789abcdef"

// appendHex appends the low 4n bits of x.
func appendHex(b []byte, x uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		b = append(b, hexDigits[x>>(4*i)&15])
	}
	return b
}
