// Package kubernetes is shenscan's manifests, and the test that reads them as
// strictly as a cluster would. It holds no code.
package kubernetes
