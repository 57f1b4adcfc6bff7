// Package docs is the guide, and the test that runs every command block of it
// as printed. It holds no code.
package docs
