package main

import (
	"strconv"
	"time"
)

// number10 writes a limit as a person would.
func number10(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// duration writes d in Prometheus' way; nothing for none.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	default:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
}
