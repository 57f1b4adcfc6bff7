package httpapi

import "net/http"

// PagePatterns are those of every page for people.
func PagePatterns(options Options) []string { return readable((&server{o: options}).pageRoutes()) }

// APIPatterns are those of every resource of the API that is read.
func APIPatterns(options Options) []string { return readable((&server{o: options}).apiRoutes()) }

func readable(routes []route) []string {
	var out []string
	for i := range routes {
		if routes[i].method == http.MethodGet {
			out = append(out, routes[i].pattern())
		}
	}
	return out
}
