package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
)

// languageParam names the language in an address, languageCookie the one that a
// reader chose by it.
const (
	languageParam  = "lang"
	languageCookie = "shenscan_lang"
)

// languageKey is the context key of the language of an answer.
type languageKey struct{}

// languageOf is the language in which a request is answered.
func languageOf(r *http.Request) lang.Language {
	if in, ok := r.Context().Value(languageKey{}).(lang.Language); ok {
		return in
	}
	return lang.English
}

// otherLanguage leads to the same page in another language.
type otherLanguage struct{ Name, Tag, Href string }

// other are the languages in which the page of a request may be read, but that
// of the answer.
func (s *server) other(r *http.Request) []otherLanguage {
	var out []otherLanguage
	for _, in := range s.o.Languages {
		if in == languageOf(r) {
			continue
		}
		path, values := r.URL.Path, r.URL.Query()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			path, values = "/", url.Values{}
		}
		values.Set(languageParam, string(in))
		out = append(out, otherLanguage{in.Name(), in.Tag(), path + "?" + values.Encode()})
	}
	return out
}

// spoken chooses the language of a page: the one in its address, which a cookie
// keeps, or that of the cookie, or what the browser asks for. What programs read
// speaks none.
func (s *server) spoken(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(s.o.Languages) == 0 || !forPeople(r.URL.Path) {
			handler.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Accept-Language, Cookie")
		in := s.wished(r)
		values := r.URL.Query()
		asked, known := values[languageParam], false
		if len(asked) == 1 {
			if named, ok := lang.Parse(asked[0]); ok && slices.Contains(s.o.Languages, named) {
				in, known = named, true
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), languageKey{}, in))
		if known {
			http.SetCookie(w, &http.Cookie{
				Name: languageCookie, Value: string(in), Path: "/", MaxAge: 365 * 24 * 60 * 60,
				HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
			})
			address := *r.URL // what handlers read of an address is what it asks for
			values.Del(languageParam)
			address.RawQuery = values.Encode()
			r.URL = &address
		} else if len(asked) > 0 {
			s.failWith(w, r, http.StatusBadRequest, lang.Unknown(report.Short(strings.Join(asked, ", "), 40)).Error()+".")
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// wished is the language that a reader chose before, or that the browser asks
// for.
func (s *server) wished(r *http.Request) lang.Language {
	if c, err := r.Cookie(languageCookie); err == nil {
		if in, ok := lang.Parse(c.Value); ok && slices.Contains(s.o.Languages, in) {
			return in
		}
	}
	if in, ok := lang.Wished(r.Header.Get("Accept-Language")); ok && slices.Contains(s.o.Languages, in) {
		return in
	}
	return s.o.Languages[0]
}

// forPeople tells whether an address is that of a page.
func forPeople(path string) bool {
	for _, prefix := range []string{"/api/", "/static/", "/metrics", "/healthz", "/readyz", ReloadPath} {
		if strings.HasPrefix(path, prefix) {
			return false
		}
	}
	return true
}
