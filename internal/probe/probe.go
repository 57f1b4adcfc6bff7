// Package probe is what shenscan asks of a machine itself, and how its answer
// is read: one fixed, read-only script a platform, and a parser that takes
// every byte of the answer for hostile. It runs nothing and asks nobody; no
// text from outside reaches a script, and an answer that is cut short, garbled
// or of another version is not read, never evidence.
package probe

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
)

// Version is that of the scripts and of the format of their output. An answer
// to another version is asked for again.
const Version = 1

// The platforms that there is a script for.
const (
	Unix    = "unix" // Linux and FreeBSD
	Windows = "windows"
)

//go:embed unix.sh
var unix string

//go:embed windows.ps1
var windows string

// Script is what one platform is asked.
type Script struct {
	Platform string
	Content  string
	Digest   string // SHA-256 of Content, in hex
}

// ScriptFor returns the script for an instance's OSType as DescribeInstances
// spells it, and false where that names no platform.
func ScriptFor(osType string) (Script, bool) {
	switch strings.ToLower(osType) {
	case "linux":
		return script(Unix, unix), true
	case "windows":
		return script(Windows, windows), true
	}
	return Script{}, false
}

func script(platform, content string) Script {
	sum := sha256.Sum256([]byte(content))
	return Script{platform, content, hex.EncodeToString(sum[:])}
}
