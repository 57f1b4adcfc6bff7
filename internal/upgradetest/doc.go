// Package upgradetest runs the roles of two versions side by side, every mix of
// them, on one NATS server and one store, forth and back. It holds tests alone.
package upgradetest
