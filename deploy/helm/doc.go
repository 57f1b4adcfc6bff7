// Package helm is the chart of shenscan, and the test that renders it with Helm's
// own library and reads what comes out as strictly as a cluster would. It holds
// no code.
package helm
