// Package scans says what a running scan has come to: which accounts and
// regions (scopes) it has read, whether what was counted, listed, published,
// classified and stored of each agrees, what must still be asked before an
// instance may count as gone, and what the scan's report says.
//
// It is told of messages and of committed pages and answers with what follows
// from them. It knows no file, no transaction, no clock and no network: the
// caller keeps its values, hands in the time by which the broker stored a
// message, and sends the questions that it returns. Whatever order messages
// arrive in, and however often, the answers are the same.
package scans
