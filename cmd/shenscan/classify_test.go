package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/rules"
)

// execute runs a command with stdin and returns its stdout and exit code.
func execute(cmd *cobra.Command, stdin string, args ...string) (string, int) {
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{}, args...))
	if err := cmd.Execute(); err != nil {
		return out.String() + err.Error(), exitCode(err)
	}
	return out.String(), exitDone
}

func TestClassifyAnswersEveryLine(t *testing.T) {
	t.Parallel()
	lines := []string{
		"CentOS  5.8 64位", "", "   ", `{"os_name":"CentOS 5.10","kernel":"2.6.18-348.el5"}`, `{"os_name":"CentOS 5.8"`, `{}`, `[1]`, "null",
		`{"os_name":"Ubuntu 12.04","platform":null}`, "\x00\xff\x1b[31m", strings.Repeat("x", 3*maxLine), "Debian  6.09 64位\r",
		`{"os_name":"CentOS 7.9 64位","instance_type":"ecs.t1.small"}`, "<script>|`rm`",
	}
	out, code := execute(newClassifyCmd(), strings.Join(lines, "\n"))
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, out)
	}
	got := strings.Split(strings.TrimRight(out, "\n"), "\n")
	if len(got) != len(lines) {
		t.Fatalf("%d answers for %d lines", len(got), len(lines))
	}
	for i, l := range got {
		var v struct {
			Input string
			OS    struct {
				Family, Version, Evidence *string
				SP                        *string `json:"service_pack"`
			}
			Legacy   *bool
			Verdicts []struct {
				Target, Verdict, Confidence, Rule, Reason, Source string
				Remedies                                          []map[string]any
				Checks                                            []string
			}
		}
		if err := json.Unmarshal([]byte(l), &v); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if v.OS.Family == nil || v.OS.Version == nil || v.OS.Evidence == nil || v.OS.SP == nil || v.Legacy == nil || len(v.Verdicts) != len(rules.Classes()) {
			t.Errorf("line %d lacks something: %.300s", i, l)
		}
		for _, d := range v.Verdicts {
			if d.Rule == "" || d.Reason == "" || d.Source == "" || d.Remedies == nil || len(d.Checks) < 3 {
				t.Errorf("line %d: %+v", i, d)
			}
		}
		if i == 0 && v.Input != lines[0] {
			t.Errorf("input %q", v.Input)
		}
	}
	for i, want := range map[int]string{0: "incompatible", 1: "unknown", 3: "incompatible", 4: "incompatible", 8: "compatible", 11: "compatible", 12: "needs-action"} {
		if !strings.Contains(got[i], `"target":"shenlong-6","verdict":"`+want+`"`) {
			t.Errorf("%.60q: not %s: %.400s", lines[i], want, got[i])
		}
	}
}

// Instances and images come as the API spells them, in or out of an answer.
func TestClassifyReadsTheSpellingOfTheAPI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, family, version, verdict string }{
		{`{"InstanceId":"i-bp1","OSName":"CentOS  5.8 64位","OSType":"linux","ImageId":"m-bp1","InstanceType":"ecs.n4.large","Cpu":2,"VpcAttributes":{"VpcId":"v"}}`, "centos", "5.8", "incompatible"},
		{`{"OSName":"CentOS  5.8 64位"}`, "centos", "5.8", "incompatible"},
		{`{"ImageId":"m-bp1","ImageName":"base","Platform":"Windows Server 2008","OSType":"windows","OSName":"Windows Server  2008 标准版 32位","Size":40,"Tags":{"Tag":[]}}`, "windows-server", "2008", "needs-action"},
		{`{"ImageId":"centos_7_9_x64_20G_alibase_20230613.vhd","ImageName":"x","OSName":"CentOS  7.9 64位","ImageOwnerAlias":"system"}`, "centos", "7.9", "compatible"},
		{`{"InstanceId":"i-bp1","OSName":"CentOS  7.9 64位","ImageName":"win2k3-backup","InstanceType":"ecs.n4.large"}`, "centos", "7.9", "incompatible"},
	} {
		out, code := execute(newClassifyCmd(), c.line)
		var v struct {
			OS       struct{ Family, Version string }
			Error    string
			Verdicts []struct{ Target, Verdict string }
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitDone {
			t.Errorf("%s: exit code %d, %v: %s", c.line, code, err, out)
			continue
		}
		if v.OS.Family != c.family || v.OS.Version != c.version || v.Verdicts[1].Verdict != c.verdict {
			t.Errorf("%s: %+v, want %s %s %s", c.line, v, c.family, c.version, c.verdict)
		}
	}
}

// What is not read is told: a fact that there is none is an error, and its line
// is not judged by the rest.
func TestClassifyTellsWhatIsNotRead(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"os_name":"CentOS 7.9","kernal":"2.6.18-348.el5"}`: `"error":"there is no fact \"kernal\"`,
		`{"os_name":"CentOS 7.9","OSName":"CentOS 5.8"}`:     `"error":"there is no fact \"OSName\"`,
		`{"os_name":"CentOS 7.9","os_name":"CentOS 5.8"}`:    `"error":"the key \"os_name\" stands twice"`,
		`{"os_name":"CentOS 7.9","virtio":"perhaps"}`:        `"error":`,
		`{"os_name":7}`:                       `"error":`,
		`{"foo":1}`:                           `"error":"there is no fact \"foo\"`,
		`{"Instances":{"Instance":[]}}`:       `"error":"it is a whole answer of the API`,
		`{"Code":"Forbidden","Message":"no"}`: `"error":`,
	} {
		out, code := execute(newClassifyCmd(), line+"\nCentOS 7.9\n")
		lines := strings.Split(out, "\n")
		if code != exitUsage || len(lines) < 3 || !strings.Contains(lines[0], want) || strings.Contains(lines[0], `"verdict":"compatible"`) {
			t.Errorf("%s: exit code %d, %s", line, code, out)
		}
		if len(lines) > 1 && (strings.Contains(lines[1], `"error"`) || !strings.Contains(lines[1], `"verdict":"compatible"`)) {
			t.Errorf("%s: the next line: %s", line, lines[1])
		}
	}
	for line, want := range map[string]string{
		`{"os_name":"CentOS 7.9","kernel":"gibberish"}`:     `"unread":[{"field":"guest.kernel","text":"gibberish"`,
		`{"os_name":"CentOS 7.99"}`:                         `"unread":[{"field":"os_name","text":"CentOS 7.99","why":"it names a release that the table of releases does not list"`,
		`{"os_name":"CentOS 7.9","image_name":"testImage"}`: `"unread":[{"field":"image_name","text":"testImage"`,
		`{"os_name":"CentOS 7.9","architecture":"z80"}`:     `"unread":[{"field":"architecture","text":"z80"`,
		`{"os_name":"CentOS 7.9","instance_type":"m5.big"}`: `"unread":[{"field":"instance_type","text":"m5.big"`,
		`{"os_name":"CentOS 7.9"`:                           `"unread":[{"field":"line"`,
		"no system at all":                                  `"unread":[{"field":"name","text":"no system at all"`,
	} {
		out, code := execute(newClassifyCmd(), line)
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, %s", line, code, out)
		}
	}
	for _, line := range []string{"CentOS 7.9", `{"os_name":"CentOS 7.9","image_id":"m-bp1234567890abcdef","kernel":"3.10.0-1160.el7.x86_64","boot_mode":"BIOS"}`, "{}", ""} {
		if out, code := execute(newClassifyCmd(), line+"\n"); code != exitDone || strings.Contains(out, `"unread"`) || strings.Contains(out, `"error"`) {
			t.Errorf("%s: exit code %d, %s", line, code, out)
		}
	}
	for _, format := range []string{"table", "csv", "markdown"} {
		out, _ := execute(newClassifyCmd(), `{"os_name":"CentOS 7.9","kernal":"x"}`, "--output", format)
		if !strings.Contains(out, "there is no fact") {
			t.Errorf("%s: %s", format, out)
		}
	}
}

func TestClassifyNoInput(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"jsonl": "", "json": "[]\n"} {
		if out, code := execute(newClassifyCmd(), "", "--output", format); out != want || code != exitDone {
			t.Errorf("%s: %q, exit code %d", format, out, code)
		}
	}
}

func TestClassifyFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"table": "INPUT", "csv": "input,os,target", "markdown": "| INPUT |", "json": "[\n", "jsonl": `{"input":"=1+1 CentOS 5.8"`,
	} {
		out, code := execute(newClassifyCmd(), "", "--output", format, "--target", "shenlong-6,ecs.g8i", "=1+1 CentOS 5.8")
		if code != exitDone || !strings.HasPrefix(out, want) || !strings.Contains(out, "ecs.g8i") || !strings.Contains(out, "incompatible") {
			t.Errorf("%s: exit code %d: %s", format, code, out)
		}
		if format == "csv" && !strings.Contains(out, "\n'=1+1") {
			t.Errorf("a spreadsheet takes the input for a formula: %s", out)
		}
	}
}

func TestClassifyExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--fail-on", "incompatible", "CentOS 5.8"}, exitFailOn},
		{[]string{"--fail-on", "incompatible", "CentOS 7.9"}, exitDone},
		{[]string{"--fail-on", "unknown", "CentOS 6.8"}, exitFailOn},
		{[]string{"--fail-on", "unknown", "--target", "shenlong-6", "CentOS 6.8"}, exitDone},
		{[]string{"--fail-on", "bad", "CentOS 6.8"}, exitUsage},
		{[]string{"--target", "m5.large", "CentOS 6.8"}, exitUsage},
		{[]string{"--target", "ecs.t1", "CentOS 6.8"}, exitUsage},
		{[]string{"--output", "xml", "CentOS 6.8"}, exitUsage},
		{[]string{"--rules", "no-such-file", "CentOS 6.8"}, exitUsage},
	} {
		if out, code := execute(newClassifyCmd(), "", c.args...); code != c.want {
			t.Errorf("%v: exit code %d, want %d: %.200s", c.args, code, c.want, out)
		}
	}
}

func TestRulesCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for path, text := range map[string]string{
		good: "version: 1\noverrides:\n  - {rule: ubuntu.11, verdicts: {shenlong-6: needs-action, shenlong-7: unknown}, reason: We tried it.}\n",
		bad:  "version: 1\noverrides:\n  - {rule: no.such, verdicts: {kvm: unknown}, reason: r}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"list"}, exitDone, "el5.release"},
		{[]string{"list", "--output", "json"}, exitDone, `"id": "el5.release"`},
		{[]string{"show", "el5.release"}, exitDone, "minor-upgrade to 5.11"},
		{[]string{"show", "no.such"}, exitUsage, "there is no rule"},
		{[]string{"show"}, exitUsage, "give the id"},
		{[]string{"explain", "CentOS  5.8 64位"}, exitDone, "* el5.release"},
		{[]string{"explain", "--output", "json", "CentOS 5.8"}, exitDone, `"won": true`},
		{[]string{"explain", "--rules", good, "Ubuntu 11.04"}, exitDone, "We tried it."},
		{[]string{"validate", good}, exitDone, "valid"},
		{[]string{"validate", bad}, exitUsage, "bad.yaml:3: override no.such"},
		{[]string{"validate"}, exitUsage, "give the rule files"},
		{[]string{"test"}, exitDone, "fixtures hold"},
		{[]string{"test", bad}, exitUsage, "bad.yaml:3"},
		{[]string{"schema"}, exitDone, `"$schema"`},
	} {
		if out, code := execute(newRulesCmd(), "", c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("rules %v: exit code %d, want %d with %q: %.400s", c.args, code, c.code, c.says, out)
		}
	}
}
