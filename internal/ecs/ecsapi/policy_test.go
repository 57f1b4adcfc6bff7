package ecsapi

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

func TestThePoliciesGrantExactlyWhatIsCalled(t *testing.T) {
	for _, file := range []string{"ram-policy.json", "ram-policy-probe.json", "ram-policy-console.json"} {
		got := granted(t, file)
		var want []string
		for _, a := range Actions() {
			if !a.Hub && a.Policy() == "deploy/"+file {
				want = append(want, a.Permission)
			}
		}
		sort.Strings(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	if slices.Contains(granted(t, "ram-policy.json"), "ecs:RunCommand") {
		t.Error("whoever scans can run commands")
	}
}

// Users copy permissions from the page, too: it names each and says what it is for.
func TestThePageNamesEveryPermission(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "FIRST-SCAN.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range Actions() {
		if a.Hub || regexp.MustCompile(regexp.QuoteMeta(a.Permission)+`\b`).Match(page) {
			continue
		}
		t.Errorf("docs/FIRST-SCAN.md does not name %s, which %s grants: say there what it is for, and what shenscan does without it", a.Permission, a.Policy())
	}
}

// The simulator answers every action that is called, so that whatever calls it is
// tried by a scan of the simulated fleet.
func TestTheSimulatorKnowsEveryAction(t *testing.T) {
	sim, c := simulate(t, ecssim.Options{Instances: 10, Regions: 1}, nil)
	scope := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	versions := map[string]string{actAssume: stsVersion, actIdentity: stsVersion, actMembers: rdVersion, actDirectory: rdVersion}
	for _, a := range Actions() {
		version := ecsVersion
		if v, other := versions[a.Name]; other {
			version = v
		}
		req := newRequest(version, a.Name)
		_, err := ask(t.Context(), c, scope, req, unread)
		if e, _ := errors.AsType[*ecs.Error](err); e != nil && (e.Code == "InvalidAction.NotFound" || e.Class == ecs.Permission) {
			t.Errorf("the simulator does not answer %s: give it a row in internal/ecs/ecssim/actions.go (%v)", a.Name, err)
		}
	}
}

// granted are the actions that a policy of deploy allows.
func granted(t *testing.T, file string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Version   string
		Statement []struct {
			Effect, Resource string
			Action           []string
		}
	}
	if err := json.Unmarshal(raw, &policy); err != nil {
		t.Fatal(err)
	}
	for _, s := range policy.Statement {
		if s.Effect != "Allow" {
			t.Errorf("%s: effect %s", file, s.Effect)
		}
		out = append(out, s.Action...)
	}
	if policy.Version != "1" {
		t.Errorf("%s: version %q", file, policy.Version)
	}
	sort.Strings(out)
	return out
}

// Every request is made by newRequest with one of the act constants, and
// Actions lists each of them.
func TestActionsListsWhatTheCodeCalls(t *testing.T) {
	listed := map[string]bool{}
	for _, a := range Actions() {
		listed[a.Name] = true
		if !regexp.MustCompile(`^(Describe|List|Get|Assume)`).MatchString(a.Name) && !(a.Name == actRun && a.Probe) {
			t.Errorf("%s does more than read", a.Name)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constants, used := map[string]string{}, map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if strings.HasPrefix(n.Names[0].Name, "act") && len(n.Values) == 1 {
					if lit, ok := n.Values[0].(*ast.BasicLit); ok {
						constants[n.Names[0].Name], _ = strconv.Unquote(lit.Value)
					}
				}
			case *ast.CallExpr:
				id, ok := n.Fun.(*ast.Ident)
				if !ok {
					return true
				}
				at, ok := map[string]int{"newRequest": 1, "ecsRequest": 0, "asideRequest": 0}[id.Name]
				if !ok {
					return true
				}
				arg, ok := n.Args[at].(*ast.Ident)
				switch {
				case !ok:
					t.Errorf("%s: %s without a constant", name, id.Name)
				case arg.Name != "action": // that of ecsRequest and asideRequest, which pass it on
					used[arg.Name] = true
				}
			}
			return true
		})
	}
	for name := range used {
		if !listed[constants[name]] {
			t.Errorf("%s (%s) is called and not listed", name, constants[name])
		}
	}
	if len(used) != len(listed) {
		t.Errorf("%d actions are called, %d listed", len(used), len(listed))
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	regions := garbage(200, "application/json", `{"Regions":{"Region":[{"RegionId":"cn-hangzhou"}]}}`)
	f := newFake(t, map[string]http.HandlerFunc{
		actRegions: regions, actInstances: refusal(403, "Forbidden.RAM"),
		actImages: garbage(200, "application/json", `{"TotalCount":900,"Images":{"Image":[{"ImageId":"m"}]}}`),
		actTypes:  refusal(403, "NoPermission"),
	})
	var missing []string
	for _, p := range newTestClient(t, f, nil).Check(t.Context(), testScope) {
		if p.Missing() {
			missing = append(missing, p.Action)
		} else if !p.Granted && !p.Optional { // which the fake does not know
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff([]string{"ecs:DescribeInstances", "ecs:DescribeInstanceTypes"}, missing); diff != "" {
		t.Error(diff)
	}
	dead := newFake(t, map[string]http.HandlerFunc{actRegions: refusal(403, "InvalidAccessKeyId.Inactive")})
	got := newTestClient(t, dead, nil).Check(t.Context(), testScope)
	if len(got) != 1 || got[0].Missing() || ecs.ClassOf(got[0].Err) != ecs.Credentials {
		t.Errorf("%+v", got)
	}
}
