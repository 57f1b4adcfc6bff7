// Package chaos runs shenscan as it is deployed, as processes on a
// nats-server, and breaks them: kills, pauses, cut connections, full disks, power
// cuts, repeated messages. After every run the store is compared, record by
// record, with a fault-free run's. It holds tests alone, behind the build tags
// chaos, soak and powercut (`make chaos`, `make soak`, `make powercut`), talks to
// loopback and ends only processes that it started.
package chaos
