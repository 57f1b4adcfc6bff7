package cloudevents

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// tokenHeader carries the token of an EventBridge HTTP or HTTPS target, as the
// user wrote it into the target's settings.
//
// Source: alibabacloud.com/help/en/eventbridge/user-guide/signature-algorithm
// (Chinese edition: doc-detail/207037), "x-eventbridge-signature-token: the
// user's own token, optional".
const tokenHeader = "X-Eventbridge-Signature-Token" //nolint:gosec // the name of a header

// Bounds of a secret. 24 characters of base64 are 144 bits; EventBridge says
// nothing of how long a token may be.
const (
	minSecret  = 24
	maxSecret  = 256
	maxSecrets = 2
)

// Secrets are the one or two secrets that senders may use, two while one
// replaces the other. Only their hashes are kept; they print as <secret>.
type Secrets struct{ sums [][sha256.Size]byte }

// String hides them.
func (Secrets) String() string { return "<secret>" }

// LogValue hides them.
func (Secrets) LogValue() slog.Value { return slog.StringValue("<secret>") }

// Empty reports whether there is none: then there is no endpoint.
func (s Secrets) Empty() bool { return len(s.sums) == 0 }

// ParseSecrets reads one secret, or two that are separated by white space. An
// error never contains any of them.
func ParseSecrets(text string) (Secrets, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Secrets{}, errors.New("it is empty; `openssl rand -hex 32` makes a secret")
	}
	if len(words) > maxSecrets {
		return Secrets{}, fmt.Errorf("it holds %d words, and at most %d secrets are taken: the new one and the one it replaces", len(words), maxSecrets)
	}
	var secrets Secrets
	for i, word := range words {
		if len(word) < minSecret || len(word) > maxSecret {
			return Secrets{}, fmt.Errorf("secret %d has %d characters, and %d to %d are needed; `openssl rand -hex 32` makes one", i+1, len(word), minSecret, maxSecret)
		}
		if strings.ContainsFunc(word, func(r rune) bool { return r < '!' || r > '~' }) {
			return Secrets{}, fmt.Errorf("secret %d has characters that no HTTP header carries; use printable ASCII", i+1)
		}
		secrets.sums = append(secrets.sums, sha256.Sum256([]byte(word)))
	}
	return secrets, nil
}

// ReadSecrets reads the first 4 KiB of the file at path, as ParseSecrets reads a text.
func ReadSecrets(path string) (Secrets, error) {
	file, err := os.Open(path)
	if err != nil {
		return Secrets{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return Secrets{}, fmt.Errorf("read %s: %w", path, err)
	}
	secrets, err := ParseSecrets(string(text))
	if err != nil {
		return Secrets{}, fmt.Errorf("%s: %w", path, err)
	}
	return secrets, nil
}

// admit reports whether a request carries one of the secrets. How long that
// takes does not depend on which, nor on how much of it is right.
func (s Secrets) admit(head http.Header) bool {
	offered := head.Get(tokenHeader)
	if scheme, token, ok := strings.Cut(head.Get("Authorization"), " "); offered == "" && ok && strings.EqualFold(scheme, "Bearer") {
		offered = strings.TrimSpace(token)
	}
	if offered == "" {
		return false
	}
	sum := sha256.Sum256([]byte(offered))
	same := 0
	for i := range s.sums {
		same |= subtle.ConstantTimeCompare(sum[:], s.sums[i][:])
	}
	return same == 1
}

// maxSources bounds how many remote addresses are remembered.
const maxSources = 4096

// sources limits how often one remote address may ask.
type sources struct {
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	known map[string]*rate.Limiter
}

func newSources(perSecond float64, burst int) *sources {
	return &sources{rate: rate.Limit(perSecond), burst: burst, known: map[string]*rate.Limiter{}}
}

func (s *sources) allow(address string, now time.Time) bool {
	s.mu.Lock()
	limiter, ok := s.known[address]
	if !ok {
		if len(s.known) >= maxSources {
			clear(s.known) // forgetting is kinder than refusing strangers
		}
		limiter = rate.NewLimiter(s.rate, s.burst)
		s.known[address] = limiter
	}
	s.mu.Unlock()
	return limiter.AllowN(now, 1)
}
