// Package simtest runs producer, workers and sink on the embedded bus, with a
// fleet in memory and the clock of testing/synctest, and lets a seed decide
// what fails: calls, handlers, deliveries, whole stages. What the store and the
// events say at the end is compared with the fleet. It holds tests alone and
// touches no network.
//
// Faults are drawn by what they strike (seed, call, attempt) and not by when,
// so that a seed means the same in every run; goroutines are still scheduled as
// they please, so that a failing seed may need a few runs to fail again.
package simtest
