package app

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
)

func TestEventsFindAccountsByTheirIDs(t *testing.T) {
	var log strings.Builder
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), accounts: []string{"shop", "lab", "2345678901234567", "3456789012345678"}}
	a.o.Cloud.Accounts = []ecsapi.Account{
		{Name: "shop", RoleARN: "acs:ram::1234567890123456:role/shenscan"},
		{RoleARN: "acs:ram::2345678901234567:role/shenscan"},
		{Name: "lab", AccessKeyFile: "lab.json"},
		{Name: "left-out", RoleARN: "acs:ram::4567890123456789:role/shenscan"}, // not among those that --account names
	}
	want := map[string]string{"1234567890123456": "shop", "2345678901234567": "2345678901234567", "3456789012345678": "3456789012345678"}
	if diff := cmp.Diff(want, a.accountIDs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "account=lab") {
		t.Errorf("log: %s", log.String())
	}
}
