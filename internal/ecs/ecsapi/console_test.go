package ecsapi

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
)

func TestConsoleOutput(t *testing.T) {
	log := bytes.Repeat([]byte("a line of the log\n"), 5000)
	f := newFake(t, map[string]http.HandlerFunc{actConsole: func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("InstanceId") != "i-1" || q.Get("RemoveSymbols") != "true" || q.Get("RegionId") != testScope.Region {
			t.Errorf("asked for %v", q)
		}
		answer(w, 200, `{"RequestId":"r","InstanceId":"i-1","LastUpdateTime":"2018-03-22 10:04:57","ConsoleOutput":"`+base64.StdEncoding.EncodeToString(log)+`"}`)
	}})
	c := newTestClient(t, f, nil)
	got, err := c.ConsoleOutput(t.Context(), testScope, "i-1")
	if err != nil || len(got.Log) != ecs.MaxConsole || !bytes.Equal(got.Log, log[len(log)-ecs.MaxConsole:]) || got.Updated.Format("2006-01-02T15:04:05Z") != "2018-03-22T02:04:57Z" {
		t.Error(len(got.Log), got.Updated, err)
	}
	if _, err := c.ConsoleOutput(t.Context(), testScope, ""); ecs.ClassOf(err) != ecs.BadRequest {
		t.Error(err)
	}
}

// The documents say three things of one time; the earliest reading counts.
func TestConsoleTime(t *testing.T) {
	for text, want := range map[string]string{
		"2018-03-22 10:04:57":       "2018-03-22T02:04:57Z",
		"2018-03-22T10:04Z":         "2018-03-22T02:04:00Z",
		"2018-03-22T10:04:57Z":      "2018-03-22T02:04:57Z",
		"2018-03-22T10:04:57+08:00": "2018-03-22T02:04:57Z",
		"":                          "0001-01-01T00:00:00Z",
		"yesterday":                 "0001-01-01T00:00:00Z",
	} {
		if got := consoleTime(text).Format("2006-01-02T15:04:05Z"); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestAnswersAboutConsolesThatAreNoAnswers(t *testing.T) {
	for _, body := range []string{
		`{}`, `[`, `{"InstanceId":"i-2","ConsoleOutput":"","LastUpdateTime":""}`, `{"InstanceId":"i-1","ConsoleOutput":"not base 64"}`,
		`{"InstanceId":"i-1","ConsoleOutput":["x"]}`, `{"InstanceId":"i-1","Code":"InternalError","Message":"no"}`,
	} {
		if got, err := decodeConsole([]byte(body), "i-1"); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}
