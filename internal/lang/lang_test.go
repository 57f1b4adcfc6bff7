package lang_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/lang"
)

func TestSentencesAreFoundByHowTheyLook(t *testing.T) {
	for _, c := range []struct{ english, chinese string }{
		{"compatible", "兼容"},
		{"1 instance", "1 台实例"},
		{"at least 2,000 instances", "至少 2,000 台实例"},
		{"complete: 3 regions read to the end", "完整：已读完 3 个地域"},
		{
			"Of at least 12 instances, 1 boots as they are on shenlong-8 (1 of them by a verdict of low confidence), 3 need action first, 1 does not boot there and of 7 it is not known.",
			"至少 12 台实例：在 shenlong-8 上，1 台无需改动即可启动（其中 1 台的结论为低置信度），3 台需先处理，1 台无法启动，7 台尚不明确。",
		},
		{"shenlong-6: incompatible -> compatible; kvm: unknown", "shenlong-6：不兼容 → 兼容；kvm：未知"},
		{"minor-upgrade to 5.11: 12; replace-os: 3; and 2 more", "minor-upgrade 到 5.11：12；replace-os：3；另有 2 项"},
		{
			"308 of 10,000 instances still need work before shenlong-6: 2,625 fewer than last week (2026-11-16) (2,800 mended, 3 worse).",
			"10,000 台实例中，308 台在迁移到 shenlong-6 之前仍需处理：比上周（2026-11-16）减少 2,625 台（2,800 台已修复、3 台变差）。",
		},
		{
			"None of 12 instances needs work before kvm: as many as 3 days before (2026-11-20).",
			"12 台实例在迁移到 kvm 之前均无需处理：与3 天前（2026-11-20）相同。",
		},
		// What is not ours stays, whatever it looks like.
		{"payments-db-01", "payments-db-01"},
		{"<script>alert(1)</script>", "<script>alert(1)</script>"},
		{"compatible with everything", "compatible with everything"},
		{"", ""},
	} {
		if got := lang.Chinese.Say(c.english); got != c.chinese {
			t.Errorf("%q became %q, want %q", c.english, got, c.chinese)
		}
		if got := lang.English.Say(c.english); got != c.english {
			t.Errorf("%q became %q in English", c.english, got)
		}
	}
	long := strings.Repeat("compatible; ", 10_000)
	if got := lang.Chinese.Say(long); got != long {
		t.Error("a text that is too long to be ours was changed")
	}
}

// Values keep their places, whatever their order is in the other language, and
// nothing of a value is translated.
func TestTemplatesKeepTheirValues(t *testing.T) {
	for _, c := range []struct{ english, chinese string }{
		{`<p>{{.Name}}</p>`, `<p>{{.Name}}</p>`},
		{`<th scope="col">instance</th>`, `<th scope="col">实例</th>`},
		{`<td class="n">{{number .Done}} of {{number .Regions}}</td>`, `<td class="n">{{number .Done}} / {{number .Regions}}</td>`},
		{`<span>({{say .Confidence}} confidence)</span>`, `<span>（置信度：{{say .Confidence}}）</span>`},
		{`{{if .X}}as of {{moment .At}}{{else}}nothing read yet{{end}}`, `{{if .X}}截至 {{moment .At}}{{else}}尚未读取任何内容{{end}}`},
		{`<a title="Leave this out" href="/instances?q=scan">scan</a>`, `<a title="去掉此条件" href="/instances?q=scan">扫描</a>`},
		{`<svg aria-label="{{percent .A "x"}} of the regions are done"></svg>`, `<svg aria-label="已完成 {{percent .A "x"}} 的地域"></svg>`},
		{`<code>shenscan scan</code><script>instance</script><style>name</style>`, `<code>shenscan scan</code><script>instance</script><style>name</style>`},
		{`{{- /* Parts that pages share, with }} in quotes. */ -}}`, `{{- /* Parts that pages share, with }} in quotes. */ -}}`},
		{`{{define "name"}}no text of ours{{end}}`, `{{define "name"}}no text of ours{{end}}`},
	} {
		if got := lang.Chinese.Template(c.english); got != c.chinese {
			t.Errorf("%s became %s, want %s", c.english, got, c.chinese)
		}
		if got := lang.English.Template(c.english); got != c.english {
			t.Errorf("%s became %s in English", c.english, got)
		}
	}
}

func TestLanguagesAreRead(t *testing.T) {
	for name, want := range map[string]lang.Language{"en": lang.English, "zh": lang.Chinese, " ZH ": lang.Chinese, "zh-CN": lang.Chinese, "zh_CN": lang.Chinese} {
		if got, ok := lang.Parse(name); !ok || got != want {
			t.Errorf("%q is %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "de", "zhh", "chinese"} {
		if got, ok := lang.Parse(name); ok {
			t.Errorf("%q is taken for %q", name, got)
		}
	}
}

func TestTheBrowsersWishIsRead(t *testing.T) {
	type wish struct {
		In lang.Language
		OK bool
	}
	for accept, want := range map[string]wish{
		"":                            {lang.English, false},
		"zh-CN,zh;q=0.9,en;q=0.8":     {lang.Chinese, true},
		"en-US,en;q=0.9,zh-CN;q=0.8":  {lang.English, true},
		"zh":                          {lang.Chinese, true},
		"zh-TW":                       {lang.Chinese, true}, // rather than English
		"fr-FR,fr":                    {lang.English, false},
		"fr,zh;q=0.5":                 {lang.Chinese, true},
		";;;=":                        {lang.English, false},
		strings.Repeat("zh,", 10_000): {lang.English, false},
	} {
		in, ok := lang.Wished(accept)
		if diff := cmp.Diff(want, wish{in, ok}); diff != "" {
			t.Errorf("%.40q: %s", accept, diff)
		}
	}
}

// Whatever a sentence holds, looking it up ends, and what comes out is no longer
// than its parts can explain.
func FuzzSay(f *testing.F) {
	for _, s := range []string{"1 instance", "a; b; c", "By its {1} [x] alone", "a, b, c. d", "stay-gen5: 3; and 2 more"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := lang.Chinese.Say(s); len(got) > 20*len(s)+200 {
			t.Errorf("%q became %d bytes", s, len(got))
		}
		_ = lang.Chinese.Template(s)
		_ = lang.Units(s)
	})
}
