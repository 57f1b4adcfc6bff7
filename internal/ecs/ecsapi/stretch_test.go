package ecsapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// learned is a decoder that has read pages whose instances have these members
// of no use, one instance after the other.
func learned(t *testing.T, members ...string) *pageDecoder {
	t.Helper()
	d := new(pageDecoder)
	for range 3 {
		if !reads(t, d, members...) {
			t.Fatalf("the scanner refuses %q", members)
		}
	}
	return d
}

func reads(t *testing.T, d *pageDecoder, members ...string) bool {
	t.Helper()
	var items []string
	for i, m := range members {
		items = append(items, fmt.Sprintf(`{"InstanceId":"i-%d",%s,"Cpu":%d}`, i, m, i))
	}
	body := []byte(`{"Instances":{"Instance":[` + strings.Join(items, ",") + `]}}`)
	want, wantErr := decodePageSlow(body)
	got, ok := d.decode(body)
	if ok && wantErr != nil {
		t.Errorf("the scanner took what encoding/json refuses (%v): %s", wantErr, body)
	}
	if ok && wantErr == nil {
		if diff := cmp.Diff(want, got, samePage); diff != "" {
			t.Error(diff)
		}
	}
	return ok
}

func TestAStretchKeepsWhatInstancesHaveInCommon(t *testing.T) {
	for name, tc := range map[string]struct {
		members []string
		pieces  string
		tail    string
	}{
		"nothing differs":    {[]string{`"A":1,"B":{"c":"d"}`, `"A":1,"B":{"c":"d"}`}, ``, `"A":1,"B":{"c":"d"}`},
		"values differ":      {[]string{`"A":1,"B":"x","C":true`, `"A":12,"B":"y","C":true`}, `"A":|,"B":`, `,"C":true`},
		"deep inside":        {[]string{`"A":{"b":[{"c":"1"},2]}`, `"A":{"b":[{"c":"33"},2]}`}, `"A":{"b":[{"c":`, `},2]}`},
		"one after another":  {[]string{`"A":1,"B":2`, `"A":1,"B":3`, `"A":2,"B":3`}, `"A":|,"B":`, ``},
		"for once":           {[]string{`"A":{"b":1}`, `"A":{}`, `"A":{"b":1}`}, ``, `"A":{"b":1}`},
		"a member less once": {[]string{`"A":1,"B":1`, `"A":1`, `"A":1,"B":1`}, ``, `"A":1,"B":1`},
	} {
		t.Run(name, func(t *testing.T) {
			d := learned(t, tc.members...)
			s := d.order[1].stretch
			var pieces []string
			for _, p := range s.pieces {
				pieces = append(pieces, string(p))
			}
			if got := strings.Join(pieces, "|"); got != tc.pieces || string(s.tail) != tc.tail {
				t.Errorf("%s and %s, want %s and %s", got, s.tail, tc.pieces, tc.tail)
			}
		})
	}
}

// What differs in more than its values, again and again, is given up: the
// list becomes one hole, and the members behind a missing one are a stretch
// of their own.
func TestAStretchFollowsAChangeOfShape(t *testing.T) {
	d := learned(t, `"A":1,"L":[1,2],"B":2,"O":3`)
	for range 20 {
		reads(t, d, `"A":1,"L":[1,2,3],"B":2,"O":3`, `"A":1,"L":[1],"B":2,"O":3`)
	}
	if s := d.order[1].stretch; s.members != 4 || len(s.holes) != 1 || string(s.tail) != `,"B":2,"O":3` {
		t.Errorf("%d members, %d holes, then %s", s.members, len(s.holes), s.tail)
	}
	for range 40 {
		reads(t, d, `"A":1,"L":[],"O":3`, `"A":1,"L":[],"B":2,"O":3`)
	}
	if s := d.order[1].stretch; s.members != 2 {
		t.Errorf("%d members, want 2 before the one that comes and goes", s.members)
	}
	if d.order[3].stretch == nil && d.order[4].stretch == nil {
		t.Error("nothing was learned of the members behind")
	}
}

func TestAStretchTakesOnlyJSON(t *testing.T) {
	good := []string{`"A":1,"B":{"c":["x",1]},"N":1`, `"A":2,"B":{"c":["y",2]},"N":1`}
	for _, bad := range []string{
		`"A":,"B":{"c":["y",2]},"N":1`, `"A":01,"B":{"c":["y",2]},"N":1`, `"A":2 2,"B":{"c":["y",2]},"N":1`, `"A":2,"B":{"c":["y"2]},"N":1`,
		`"A":2,"B":{"c":["y,2]},"N":1`, "\"A\":2,\"B\":{\"c\":[\"\n\",2]},\"N\":1", `"A":2,"B":{"c":["\x",2]},"N":1`, `"A":2,"B":{"c":[y,2]},"N":1`,
		`"A":2,"B":{"c":["y",2]},"N":1x`, `"A":2,"B":{"c":["y",2]},"N":1.`, `"A":2,"B":{"c":["y",2]},"N":`, `"A":2,"B":{"c":["y",2]}},"N":1`,
	} {
		if reads(t, learned(t, good...), bad) {
			t.Errorf("taken: %s", bad)
		}
	}
	for _, other := range []string{
		`"A":[{"x":null}],"B":{"c":[{},-2e5]},"N":1`, `"A":2,"B":{"c":["y",2]},"N":12`, `"A":2,"B":{"c":["y",2]},"N":1.5`, `"A":2,"B":{"c":["\"",2]},"N":1 `,
		`"A" : 2 , "B":{"c":["y",2]},"N":1`, `"A":2`, `"N":1`, `"B":7,"A":8`, `"New":1,"A":2,"B":{"c":["y",2]},"N":1`,
	} {
		if !reads(t, learned(t, good...), other) {
			t.Errorf("refused: %s", other)
		}
	}
}
