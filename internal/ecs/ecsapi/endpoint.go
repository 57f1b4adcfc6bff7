package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

const cloudSuffix = ".aliyuncs.com"

// endpoint is where a service is reached.
type endpoint struct {
	host     string // "host" or "host:port", as the Host header says it
	insecure bool   // plain http, to loopback only
	loopback bool
}

func (e endpoint) protocol() string {
	if e.insecure {
		return "HTTP"
	}
	return "HTTPS"
}

// parseEndpoint reads "https://host[:port]", "http://127.0.0.1:port" or a bare
// "host[:port]", which means https.
func parseEndpoint(raw string) (endpoint, error) {
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	address, err := url.Parse(raw)
	if err != nil {
		return endpoint{}, errors.New("not a URL")
	}
	if address.User != nil || (address.Path != "" && address.Path != "/") || address.RawQuery != "" || address.Fragment != "" || address.Hostname() == "" {
		return endpoint{}, errors.New("give scheme, host and port only")
	}
	parsed := endpoint{host: address.Host, loopback: isLoopbackHost(address.Hostname())}
	switch address.Scheme {
	case "https":
	case "http":
		parsed.insecure = true
		if !parsed.loopback {
			return endpoint{}, errors.New("plain http is for loopback only; use https")
		}
	default:
		return endpoint{}, fmt.Errorf("scheme %q is neither https nor http", address.Scheme)
	}
	return parsed, nil
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// cloudHost reports whether a host that the cloud named (not the user) may be
// spoken to.
func cloudHost(host string, allow []string) bool {
	host = strings.ToLower(host)
	for _, a := range allow {
		if host == strings.ToLower(a) {
			return true
		}
	}
	name, found := strings.CutSuffix(host, cloudSuffix)
	return found && madeOf(name, lowerDigits+"-.")
}

// errAddress means that an endpoint's name resolved to an address where no
// endpoint of the cloud is.
var errAddress = errors.New("refused to connect to that address")

var (
	metadataIP = netip.MustParseAddr("100.100.100.200")
	cgnat      = netip.MustParsePrefix("100.64.0.0/10")
	fakeIPs    = netip.MustParsePrefix("198.18.0.0/15") // the DNS of some proxies answers every name with one of these
	neverDial  = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), // NAT64 holds an IPv4 address that was not looked at
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2002::/16"), // 6to4, likewise
		netip.MustParsePrefix("2001::/32"), // Teredo, likewise
	}
)

// dialPolicy says which addresses may be connected to.
type dialPolicy struct {
	loopback bool // a loopback endpoint is configured
	private  bool // VPC endpoints are configured
	fakeIP   bool // a proxy's DNS is configured
}

// check refuses an address after the name was resolved, so that a name that
// changes its address between two look-ups gains nothing.
func (p dialPolicy) check(ip netip.Addr) error {
	ip = ip.Unmap()
	refuse := func(what string) error { return fmt.Errorf("%w: %s is %s", errAddress, ip, what) }
	switch {
	case ip == metadataIP:
		return refuse("the instance metadata service")
	case ip.IsLoopback():
		if !p.loopback {
			return refuse("a loopback address and no loopback endpoint is configured")
		}
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), ip.IsMulticast(), ip.IsInterfaceLocalMulticast():
		return refuse("link-local or multicast")
	case ip.IsUnspecified(), !ip.IsValid():
		return refuse("unspecified")
	case ip.IsPrivate(), cgnat.Contains(ip):
		if !p.private {
			return refuse("a private address and VPC endpoints are not configured (--vpc)")
		}
	case fakeIPs.Contains(ip):
		if !p.fakeIP {
			return refuse("in " + fakeIPs.String() + ", where the DNS of some proxies puts every name; if yours does, say --fake-ip")
		}
	}
	for _, pre := range neverDial {
		if pre.Contains(ip) {
			return refuse("in " + pre.String())
		}
	}
	return nil
}

func (p dialPolicy) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: network %s", errAddress, network)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	return p.check(ip)
}
