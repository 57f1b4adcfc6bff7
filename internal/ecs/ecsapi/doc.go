// Package ecsapi is the one adapter between shenscan and the Alibaba Cloud SDK.
// It implements ecs.API: the SDK signs and sends, and this package supplies
// what the SDK leaves open: time limits, a bound on the size of an answer,
// cancellation, retries, a rate limit, credentials that renew themselves,
// typed errors and a decoder for pages of instances.
//
// It refuses to follow redirects, to talk to an address that an endpoint of
// the cloud cannot have, to start while the SDK would print keys, to return a
// shorter list for an answer that it could not read, and to call any action
// that changes something: Actions lists all that it calls.
package ecsapi
