package httpapi

import "net/http"

// PagePatterns are the patterns of every page for people, where all are served.
func PagePatterns(options Options) []string {
	var out []string
	for _, r := range (&server{o: options}).pageRoutes() {
		if r.method == http.MethodGet {
			out = append(out, r.pattern())
		}
	}
	return out
}
