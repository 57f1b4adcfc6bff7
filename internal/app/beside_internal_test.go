package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"

	"github.com/shenscan/shenscan/sink/store"
)

// Whoever reads a store while the process that holds it is about to end asks that
// process in vain, and then waits until it has let go.
func TestAStoreIsOpenedWhoseProcessEndsWhenItIsAsked(t *testing.T) {
	t.Parallel()
	classifier, err := Classifier(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	holder, err := store.Open(t.Context(), store.Options{Path: StoreFile(dir), Classifier: classifier})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	ending := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		if err := holder.Close(); err != nil {
			t.Error(err)
		}
	}))
	defer ending.Close()
	if err := writeLocalServer(dir, &localServer{URL: ending.URL, Key: "key", PID: os.Getpid()}); err != nil {
		t.Fatal(err)
	}
	held, err := OpenStore(t.Context(), Place{Dir: dir}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil || held.From != "" || asked.Load() != 1 {
		t.Errorf("opened from %q after %d questions: %v", held.From, asked.Load(), err)
	}
}
