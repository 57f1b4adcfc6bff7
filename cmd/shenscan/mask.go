package main

import (
	"io"
	"regexp"
)

// urlSecret finds user and password in an address, also in one that cannot be
// read as such.
var urlSecret = regexp.MustCompile(`(://)[^\s"'<>]*@`)

// mask takes user and password out of every address in a text. It stands where
// texts leave the program: what is in an error, its makers cannot all know.
func mask(text string) string { return urlSecret.ReplaceAllString(text, "$1***@") }

// maskWriter masks what is written to it, a line or more at a time.
type maskWriter struct{ io.Writer }

func (w maskWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(urlSecret.ReplaceAll(p, []byte("$1***@"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
