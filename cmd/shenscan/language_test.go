package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/report"
)

// TestChineseOnTheCommandLine asks for Chinese in each of the ways that a setting
// has, and holds that programs get what they get in English.
func TestChineseOnTheCommandLine(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir, file := filepath.Join(home, "store"), filepath.Join(home, "shenscan.yaml")
	if err := os.WriteFile(file, []byte("lang: zh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"PATH=/usr/bin:/bin", "HOME=" + home, "COLUMNS=60"}
	if r := run(t, base, "demo", "--store", dir, "--html", "", "--instances", "300", "--regions", "3", "--lang", "zh"); r.code != 0 || !strings.Contains(r.stdout, "这些实例可以迁移到哪里？") {
		t.Fatalf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for _, c := range []struct {
		environ []string
		args    []string
		want    string
	}{
		{nil, []string{"report", "--store", dir, "--lang", "zh"}, "需要关注的操作系统"},
		{[]string{"SHENSCAN_LANG=zh"}, []string{"report", "--store", dir}, "需要关注的操作系统"},
		{nil, []string{"report", "--store", dir, "--config", file}, "需要关注的操作系统"},
		{[]string{"SHENSCAN_LANG=zh"}, []string{"report", "--store", dir, "--lang", "en"}, "Operating systems to look at"},
		{nil, []string{"report", "--store", dir, "--output", "html", "--lang", "zh"}, `<html lang="zh-CN">`},
		{nil, []string{"plan", "--store", dir, "--lang", "zh"}, "更换操作系统"},
		{nil, []string{"plan", "--store", dir, "--output", "html", "--lang", "zh"}, `<html lang="zh-CN">`},
		{nil, []string{"rules", "explain", "CentOS 5.9", "--lang", "zh"}, "5.9 版本自带内核 2.6.18-348，神龙架构不支持"},
		{nil, []string{"classify", "--output", "table", "CentOS 5.8", "--lang", "zh"}, "不兼容"},
	} {
		r := run(t, append(base, c.environ...), c.args...)
		if r.code != 0 || !strings.Contains(strings.ReplaceAll(r.stdout, "\n", ""), c.want) {
			t.Errorf("%v %v: exit %d, %q is missing: %.600s%s", c.environ, c.args, r.code, c.want, r.stdout, r.stderr)
		}
		if strings.Contains(r.stdout, "<html") {
			continue
		}
		for line := range strings.Lines(r.stdout) {
			if line = strings.TrimRight(line, "\n"); report.Width(line) > 60 && !strings.Contains(line, "shenscan ") {
				t.Errorf("%v: %d columns: %s", c.args, report.Width(line), line)
			}
		}
	}
	for _, args := range [][]string{
		{"report", "--store", dir, "--output", "json"},
		{"report", "--store", dir, "--output", "csv"},
		{"plan", "--store", dir, "--output", "csv"},
		{"rules", "explain", "CentOS 5.9", "--output", "json"},
		{"classify", "--output", "jsonl", "CentOS  5.8 64位"},
		{"classify", "--output", "csv", "CentOS  5.8 64位"},
	} {
		english, chinese := run(t, base, args...), run(t, append(base, "SHENSCAN_LANG=zh"), args...)
		if english.stdout != chinese.stdout || english.code != chinese.code || english.stdout == "" {
			t.Errorf("%v differs in Chinese", args)
		}
	}
	if r := run(t, base, "report", "--store", dir, "--lang", "zg"); r.code != 2 || !strings.Contains(strings.Join(strings.Fields(r.stderr), " "), `unknown language "zg": use en or zh; did you mean "zh"?`) {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
}
