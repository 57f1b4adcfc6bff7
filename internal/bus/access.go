package bus

import (
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Access says who may connect to the embedded server's listener, and as what.
// This process itself connects without a socket, as a user of its own that may
// do everything.
type Access uint8

const (
	// AccessOpen lets everybody do everything: for tests.
	AccessOpen Access = iota
	// AccessOperator makes everybody who can connect an operator.
	AccessOperator
	// AccessKey makes those an operator who have the key, and refuses others.
	AccessKey
)

// The inboxes of shenscan's users below _INBOX: what is sent to one of them, such
// as pages to a worker, no other user hears.
const (
	InboxProcess  = "shenscan" // one process with an embedded server
	InboxProducer = "producer"
	InboxWorker   = "worker"
	InboxSink     = "sink"
	InboxViewer   = "viewer"
	InboxOperator = "operator"
)

// operatorMay is what an operator may do: ask the services, which decide what is
// done, look at the streams' state, and listen to events. It holds no subject of
// an internal stream: who could publish a page could make any instance
// compatible. deploy/nats gives the operator of an external server the same.
func operatorMay() *server.Permissions {
	var others []string
	for _, user := range []string{InboxProcess, InboxProducer, InboxWorker, InboxSink, InboxViewer} {
		others = append(others, inboxPrefix+user+".>")
	}
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"shenscan.scan", "shenscan.rescan", "shenscan.query.>", "shenscan.letters.*",
			"$SRV.>", "$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.LIST.*",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{inboxPrefix + ">", "shenscan.events.>"}, Deny: others},
	}
}

// accessKeys are made when the bus is opened and live as long as it.
type accessKeys struct {
	own, operator         nkeys.KeyPair
	ownName, operatorName string // the public halves
	seed                  string // of the operator
}

func newAccessKeys() (keys accessKeys, err error) {
	if keys.own, keys.ownName, err = newUser(); err != nil {
		return keys, err
	}
	if keys.operator, keys.operatorName, err = newUser(); err != nil {
		return keys, err
	}
	seed, err := keys.operator.Seed()
	keys.seed = string(seed)
	return keys, err
}

func newUser() (nkeys.KeyPair, string, error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	name, err := key.PublicKey()
	return key, name, err
}

// restrict gives the embedded server its users.
func (b *Bus) restrict(options *server.Options) {
	if b.o.Access == AccessOpen {
		return
	}
	options.Nkeys = []*server.NkeyUser{{Nkey: b.keys.ownName}, {Nkey: b.keys.operatorName, Permissions: operatorMay()}}
	if b.o.Access == AccessOperator {
		options.Users = []*server.User{{Username: InboxOperator, Password: b.keys.seed, Permissions: operatorMay()}}
		options.NoAuthUser = InboxOperator
	}
}

// asOwner connects as the user that may do everything.
func (b *Bus) asOwner() nats.Option { return nats.Nkey(b.keys.ownName, b.keys.own.Sign) }

// OperatorSeed is the nkey seed of the listener's operator, "" where nobody needs
// one.
func (b *Bus) OperatorSeed() string {
	if b.embedded() == nil || b.o.Access != AccessKey || b.o.Listen == "" {
		return ""
	}
	return b.keys.seed
}

// seedOption connects with an nkey seed.
func seedOption(seed string) (nats.Option, error) {
	key, err := nkeys.FromSeed([]byte(strings.TrimSpace(seed)))
	if err != nil {
		return nil, fmt.Errorf("nkey of NATS: %w", err)
	}
	name, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("nkey of NATS: %w", err)
	}
	return nats.Nkey(name, key.Sign), nil
}

// checkListen refuses a listener that other machines could reach: what goes over
// it is not encrypted.
func checkListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--nats-listen %q: %w", addr, err)
	}
	if !Loopback(host) {
		return fmt.Errorf("--nats-listen %s: refusing to listen beyond loopback: the embedded NATS knows no users of other machines and no TLS; run a NATS server with both (deploy/nats) and name it with --nats-url", addr)
	}
	return nil
}

// Loopback reports whether a host is one that only this machine reaches.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
