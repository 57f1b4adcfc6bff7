package rules_test

import (
	"os"
	"testing"

	"github.com/shenscan/shenscan/internal/proctest"
)

func TestMain(m *testing.M) { os.Exit(proctest.Run(m)) }
