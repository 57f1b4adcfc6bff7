// Package archtest holds the direction of imports: who may import whom, and
// which package owns which library. It is only a test; it refuses to be
// imported. To change a direction, change the table of docs/ARCHITECTURE.md in
// the same commit, and say why.
package archtest
