package sink

import (
	"os"
	"testing"

	"github.com/shenscan/shenscan/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Waits()
	os.Exit(proctest.Run(m))
}
