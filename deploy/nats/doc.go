// Package nats is the server configuration of shenscan's bus, nats-server.conf,
// and the test that holds each of its users to its subjects. It holds no code.
package nats
