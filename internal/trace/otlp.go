package trace

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// newClient sends spans to endpoint. The client reads the other
// OTEL_EXPORTER_OTLP_* variables itself.
func newClient(endpoint *url.URL) otlptrace.Client {
	// What the client cannot read of the variables it writes to standard error,
	// the keys among the headers included, and goes on without. check has told
	// of it by now, and as an error.
	otel.SetLogger(logr.Discard())
	return otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(endpoint.String()),
		otlptracehttp.WithProxy(proxy),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: 10 * time.Second,
		}),
	)
}

var errRedirect = errors.New("the collector sends elsewhere, where the keys in the headers would get, too")

// proxy is asked before every request, those included that the client would
// make because an answer sent it elsewhere: these it has no other way to stop
// that would leave it to read the certificates.
func proxy(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, errRedirect
	}
	return http.ProxyFromEnvironment(r)
}

// partial is how the client ends its error where the collector took some spans
// and not others.
var partial = regexp.MustCompile(`\((\d+) spans rejected\)$`)

// rejected is how many of count sent spans did not arrive.
func rejected(err error, count int) int {
	if err == nil {
		return 0
	}
	if m := partial.FindStringSubmatch(err.Error()); m != nil {
		if r, err := strconv.Atoi(m[1]); err == nil {
			return min(r, count)
		}
	}
	return count
}

// reason is err without what the collector wrote, which may repeat the keys
// that it was sent.
func reason(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return clip(ue.Err.Error())
	}
	text, _, _ := strings.Cut(err.Error(), "body: ")
	if before, _, ok := strings.Cut(text, "partial success: "); ok {
		text = before + partial.FindString(text)
	}
	return clip(strings.TrimRight(text, " (:"))
}

// otlp returns the variable for traces, else the one for all signals.
func otlp(name string) (value, variable string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if v := strings.TrimSpace(os.Getenv(variable)); v != "" {
			return v, variable
		}
	}
	return "", "OTEL_EXPORTER_OTLP_" + name
}

// target says where spans go, nil for nowhere.
func target(endpoint string) (*url.URL, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	whole := false // the URL is that of the traces themselves
	if endpoint == "" {
		var variable string
		endpoint, variable = otlp("ENDPOINT")
		whole = variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
		exporters := strings.Split(strings.ReplaceAll(os.Getenv("OTEL_TRACES_EXPORTER"), " ", ""), ",")
		if endpoint == "" || slices.Contains(exporters, "none") {
			return nil, nil
		}
	}
	address, err := parse(endpoint, whole)
	if err := errors.Join(err, check()); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return address, nil
}

// parse shows nothing of the text in its errors: it may hold a password.
func parse(endpoint string, whole bool) (*url.URL, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("the OTLP endpoint is not a URL such as http://127.0.0.1:4318")
	}
	if address.User != nil || address.RawQuery != "" || address.Fragment != "" { // the client would leave them out
		return nil, errors.New("the OTLP endpoint has more than host, port and path; a key of the collector belongs into OTEL_EXPORTER_OTLP_HEADERS")
	}
	if !whole {
		address = address.JoinPath("v1", "traces")
	}
	return address, nil
}

// check finds what the client would pass over in silence.
func check() error {
	var errs []error
	keep := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	value, name := otlp("PROTOCOL")
	keep(value == "" || value == "http/protobuf" || value == "http/json", "%s is %q; shenscan speaks http/protobuf and http/json, usually on port 4318", name, value)
	value, name = otlp("HEADERS")
	keep(value == "" || headers(value), "%s is not a list of key=value, separated by commas", name)
	value, name = otlp("TIMEOUT")
	ms, err := strconv.Atoi(value)
	keep(value == "" || err == nil && ms > 0, "%s is %q; it is a number of milliseconds", name, value)
	value, name = otlp("COMPRESSION")
	keep(value == "" || value == "none" || value == "gzip", "%s is %q; it is gzip or none", name, value)
	return errors.Join(append(errs, checkAuthority(), checkCertificate())...)
}

// headers reports whether list is "key=value,key=value", values
// percent-encoded as in W3C baggage.
func headers(list string) bool {
	for pair := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(value)
		if !ok || !token.MatchString(strings.TrimSpace(key)) || err != nil || strings.ContainsAny(value, "\r\n\x00") {
			return false
		}
	}
	return true
}

// token is a name of a header as in RFC 9110.
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// checkAuthority fails where the client would trust those of the system instead.
func checkAuthority() error {
	file, name := otlp("CERTIFICATE")
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s, the certificate authority of the collector: %w", name, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s holds no PEM certificate", name, file)
	}
	return nil
}

// checkCertificate fails where the client would show no certificate.
func checkCertificate() error {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_", "OTEL_EXPORTER_OTLP_CLIENT_"} {
		cert, key := strings.TrimSpace(os.Getenv(prefix+"CERTIFICATE")), strings.TrimSpace(os.Getenv(prefix+"KEY"))
		if cert == "" && key == "" {
			continue
		}
		if cert == "" || key == "" {
			return fmt.Errorf("%[1]sCERTIFICATE and %[1]sKEY belong together: one is missing", prefix)
		}
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return fmt.Errorf("%sCERTIFICATE: %w", prefix, err)
		}
		return nil
	}
	return nil
}
