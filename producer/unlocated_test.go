package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// failing is a producer.Locator that fails with err, unless that is nil.
type failing struct{ err error }

func (f *failing) Locate(context.Context, []string) (map[string]ecs.Scope, error) { return nil, f.err }

// While a sink lags, every rescan asks every scope. The log says so once for each
// cause, and how many rescans there were when it is over.
func TestRescansThatCannotLookUpInstancesAreToldOfOnce(t *testing.T) {
	var log bytes.Buffer
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	c, f := &cloud{regions: []string{"cn-x"}}, &failing{}
	p := producer.New(o, c, accounts(c, "1"), &journal{}, f)
	for i, err := range []error{errors.New("nobody answers"), errors.New("nobody answers"), errors.New("nobody answers"), errors.New("no answer in time"), nil, nil} {
		f.err = err
		if err := p.HandleRescan(t.Context(), &event.ScanRequested{ScanID: fmt.Sprint("r-", i), Kind: event.KindRescan, InstanceIDs: []string{"i-1"}}, time.Unix(5, 0), "1"); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "level=")
		got = append(got, text)
	}
	want := []string{
		`WARN msg="known instances cannot be looked up; rescans ask every scope until a sink answers" scan=r-0 err="nobody answers"`,
		`INFO msg="rescans asked every scope, since their instances could not be looked up" rescans=3 err="nobody answers"`,
		`WARN msg="known instances cannot be looked up; rescans ask every scope until a sink answers" scan=r-3 err="no answer in time"`,
		`INFO msg="rescans asked every scope, since their instances could not be looked up" rescans=1 err="no answer in time"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
