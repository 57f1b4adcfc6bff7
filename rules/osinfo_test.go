package rules_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// Every verdict on kvm against libosinfo's database, which knows of 784 systems
// whether they hold a driver for virtio disks (testdata/osinfo.tsv: osinfo-db
// 0.20221130, the Debian package; device 1af4:1001 or 1af4:1042 among those of
// the system, by libosinfo's inheritance). Disagreements are explained one by
// one in docs/RULES.md, and only those that there are.
func TestEveryDisagreementWithOsinfoIsExplained(t *testing.T) {
	doc, err := os.ReadFile("../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9.-]+) \| (\d+) \|`).FindAllStringSubmatch(string(doc), -1) {
		if explained[m[1]], err = strconv.Atoi(m[2]); err != nil {
			t.Fatal(err)
		}
	}
	r := ruleset(t)
	kvm, err := r.ParseTarget("kvm")
	if err != nil {
		t.Fatal(err)
	}
	c := r.NewClassifier([]rules.Target{kvm})
	found := map[string]int{}
	var agreed, open int
	for _, row := range rows(t, "osinfo.tsv") {
		v := c.Classify(&rules.Facts{OSName: row["name"]}).Verdicts[0]
		driver := row["virtio_disk"] == "yes"
		switch {
		case v.Level == rules.Unknown:
			open++
		case driver == (v.Level == rules.Compatible):
			agreed++
		default:
			found[v.Rule]++
			if explained[v.Rule] == 0 {
				t.Errorf("%s: %s by %s, and osinfo-db says virtio_disk=%s; docs/RULES.md does not explain it", row["name"], v.Level, v.Rule, row["virtio_disk"])
			}
		}
	}
	for rule, n := range explained {
		if found[rule] != n {
			t.Errorf("docs/RULES.md explains %d disagreements of %s, and there are %d", n, rule, found[rule])
		}
	}
	if agreed < 300 {
		t.Errorf("only %d systems are compared", agreed)
	}
	t.Logf("%d agree, %d are explained, %d are not known to one of the two", agreed, len(found), open)
}
