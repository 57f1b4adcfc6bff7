package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// directory is a configuration of all accounts of the resource directory.
func directory(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(path, []byte("resource_directory: {role_name: shenscan}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDoctorWritesOneLineACause(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 120, Regions: 12, Accounts: 2, Seed: 1})
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: "DescribeImages"}); err != nil {
		t.Fatal(err)
	}
	r := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir(), "--config", directory(t))
	if r.code != 1 || strings.Count(r.stdout, "FAIL  ecs:DescribeImages") != 1 || !strings.Contains(r.stdout, "in 24 places (") || strings.Count(r.stdout, "12 regions checked, 12 problems") != 2 {
		t.Errorf("exit %d:\n%s", r.code, r.stdout)
	}
	for _, region := range sim.Regions() {
		if !strings.Contains(r.stdout, ecssim.DemoAccountID+"/"+region) {
			t.Errorf("%s is not named:\n%s", region, r.stdout)
		}
	}
	r = run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir(), "--config", directory(t), "--output", "json")
	var out struct {
		OK       bool
		Findings []struct {
			Check  string
			Places []string
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || out.OK {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	for _, x := range out.Findings {
		if x.Check == "ecs:DescribeImages" && len(x.Places) != 24 {
			t.Errorf("%d places", len(x.Places))
		}
	}
}

func TestDoctorNamesWhatIsDoneWithoutAPermission(t *testing.T) {
	t.Parallel()
	for action, without := range map[string]string{"DescribeDisks": "plan --disks", "DescribeResourcesModification": "plan --offered", "DescribeLaunchTemplates": "a scan does without launch templates"} {
		sim := simulator(t, ecssim.Options{Instances: 60, Regions: 2, Seed: 1})
		if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: action}); err != nil {
			t.Fatal(err)
		}
		r := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir())
		if r.code != 0 || strings.Count(r.stdout, "ecs:"+action) != 1 || !strings.Contains(r.stdout, without) {
			t.Errorf("without %s: exit %d:\n%s", action, r.code, r.stdout)
		}
	}
}

// What needs an instance to be asked about is not said to be granted where there is none.
func TestDoctorSaysWhatItCouldNotTry(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 1, Regions: 2, Seed: 1})
	r := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir())
	if r.code != 0 || !strings.Contains(r.stdout, "ecs:DescribeResourcesModification") || !strings.Contains(r.stdout, "not tried: no instance was listed") {
		t.Errorf("exit %d:\n%s", r.code, r.stdout)
	}
	if n := callsOf(sim, "DescribeResourcesModification"); n != 1 {
		t.Errorf("%d calls about one instance", n)
	}
}

func TestDoctorRefusesARegionThatNobodyHas(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 4, Seed: 1})
	r := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir(), "--region", "cn-hangzou")
	if r.code != 2 || !strings.Contains(r.stderr, `did you mean "cn-hangzhou"?`) {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	r = run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir(), "--region", "cn-hangzhou")
	if r.code != 0 || !strings.Contains(r.stdout, "1 region checked, 0 problems") {
		t.Errorf("exit %d: %s", r.code, r.stdout)
	}
}

func TestNothingCheckedIsNoSuccess(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 4, Seed: 1, Contradict: []string{ecssim.RegionsEmpty.Name}})
	r := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir())
	if r.code != 1 || !strings.Contains(r.stdout, "FAIL  ") || strings.Contains(r.stdout, "0 problems") {
		t.Errorf("exit %d:\n%s", r.code, r.stdout)
	}
}

// The contract of a cloud that behaves otherwise than assumed says so, names
// nothing of the account, and makes a simulator behave the same.
func TestTheContractOfACloudIsTakenOnByTheSimulator(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 900, Regions: 3, Seed: 1, Contradict: []string{ecssim.BoundsHalfOpen.Name, ecssim.IDsCapped.Name}})
	file := filepath.Join(t.TempDir(), "contract.json")
	r := run(t, env(), "doctor", "--api-contract", "--contract-file", file, "--endpoint", sim.URL)
	if r.code != 0 || strings.Count(r.stdout, "**otherwise**") != 2 || !strings.Contains(r.stdout, "| creation-end: CreationEndTime | inclusive | exclusive | **otherwise**") || !strings.Contains(r.stdout, "the rest is asked for again") {
		t.Errorf("exit %d:\n%s", r.code, r.stdout)
	}
	if !strings.Contains(r.stdout, "2 answers are otherwise than assumed") || !strings.Contains(r.stdout, "questions were not settled") {
		t.Errorf("what is open is not said:\n%s", r.stdout)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, env(), "doctor", "--api-contract", "--output", "json", "--contract-file", filepath.Join(t.TempDir(), "c.json"), "--endpoint", sim.URL); r.code != 0 || !json.Valid([]byte(r.stdout)) || !strings.Contains(r.stdout, "creation-end") {
		t.Errorf("exit %d, as JSON:\n%.300s", r.code, r.stdout)
	}
	for _, name := range append(sim.Regions(), ecssim.DemoAccountID, "i-bp", "m-bp") {
		if strings.Contains(string(b)+r.stdout, name) {
			t.Errorf("%s is told of", name)
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, env(), shenscan, "simulate", "--listen", address, "--instances", "100", "--contract", file)
	var names []string
	eventually(t, "the simulator answers", func() bool {
		resp, err := http.Get("http://" + address + "/_sim/contradictions")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return json.NewDecoder(resp.Body).Decode(&names) == nil
	})
	if !slices.Equal(names, []string{ecssim.BoundsHalfOpen.Name, ecssim.IDsCapped.Name}) {
		t.Errorf("the simulator contradicts with %v", names)
	}
	if r := run(t, env(), "doctor", "--api-contract", "--contract-file", file, "--endpoint", sim.URL, "--region", "cn-hangzou"); r.code != 2 {
		t.Errorf("exit %d of a region that is not there", r.code)
	}
	if r := run(t, env(), "simulate", "--contract", filepath.Join(t.TempDir(), "none.json")); r.code == 0 {
		t.Error("a contract that is not there is taken on")
	}
}
