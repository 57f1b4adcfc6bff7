package rules_test

import (
	"flag"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

var (
	wholeNames = flag.Bool("names.whole", false, "TestVariants: try every variant of every name, and a hundred thousand pairs of changes")
	namesSeed  = flag.Uint64("names.seed", 1, "TestVariants: the seed of the sample; 0 draws one")
	namesSeeds = flag.Int("names.seeds", 1, "TestVariants: how many seeds draw pairs of changes, with -names.whole: the seed and those after it")
)

// plainNames name systems of every family on both sides of every boundary, as
// plainly as can be.
var plainNames = []string{
	"CentOS 4.8", "CentOS 5", "CentOS 5.0", "CentOS 5.2", "CentOS 5.3", "CentOS 5.8", "CentOS 5.9", "CentOS 5.10", "CentOS 5.11", "CentOS 6", "CentOS 6.0", "CentOS 6.4",
	"CentOS 6.5", "CentOS 6.10", "CentOS 7", "CentOS 7.2", "CentOS 7.9", "CentOS 8.2", "CentOS Stream 9",
	"Red Hat Enterprise Linux 3", "Red Hat Enterprise Linux 4.9", "Red Hat Enterprise Linux 5.8", "Red Hat Enterprise Linux 5.11", "Red Hat Enterprise Linux 6.3",
	"Red Hat Enterprise Linux 7.6", "Red Hat Enterprise Linux 8.10", "Red Hat Enterprise Linux 9.4", "RHEL 5.5", "RHEL 7.9",
	"Oracle Linux 5.8", "Oracle Linux 6.9", "Oracle Linux 8.5", "Scientific Linux 5.8", "Scientific Linux 6.4", "Rocky Linux 8.5", "Rocky Linux 9.4", "AlmaLinux 8.7", "AlmaLinux 9.3",
	"Anolis OS 7.9", "Anolis OS 8.8", "Alibaba Cloud Linux 2.1903", "Alibaba Cloud Linux 3", "Aliyun Linux 5.7", "Aliyun Linux 17.1",
	"Debian 4", "Debian 5", "Debian 5.0.8", "Debian 6", "Debian 6.0", "Debian 6.0.6", "Debian 6.0.9", "Debian 6.0.10", "Debian 7.5", "Debian 8.9", "Debian 10", "Debian 12.5",
	"Ubuntu 8.04", "Ubuntu 9.10", "Ubuntu 10.04", "Ubuntu 10.10", "Ubuntu 11.04", "Ubuntu 12.04", "Ubuntu 14.04", "Ubuntu 16.04", "Ubuntu 20.04", "Ubuntu 22.04",
	"SLES 9 SP4", "SLES 10", "SLES 10 SP4", "SLES 11", "SLES 11 SP1", "SLES 11 SP4", "SLES 12 SP5", "SLES 15 SP3", "SUSE Linux Enterprise Server 10 SP2",
	"openSUSE 10.3", "openSUSE 11.4", "openSUSE 12.3", "openSUSE 13.1", "openSUSE 42.3", "openSUSE 15.2",
	"Fedora 10", "Fedora 18", "Fedora 20", "Fedora 33", "CoreOS 681.2.0", "CoreOS 2303.3.0", "Flatcar 3510.2.1", "Gentoo 13", "Gentoo",
	"FreeBSD 8.4", "FreeBSD 9.1", "FreeBSD 10.1", "FreeBSD 11.2", "FreeBSD 12.1", "FreeBSD 13.0",
	"Windows NT 4.0", "Windows 2000 Server", "Windows Server 2003", "Windows Server 2003 R2", "Windows Server 2008", "Windows Server 2008 Standard SP2", "Windows Server 2008 R2",
	"Windows Server 2012", "Windows Server 2012 R2", "Windows Server 2016", "Windows Server 2019", "Windows Server 2022", "Windows XP", "Windows 7", "Windows 8.1", "Windows 10",
	"Windows 2003", "Windows 2008", "Windows 2008 R2", "Win2003", "Win2008", "openEuler 22.03", "Kylin V10", "UOS 20", "Red Hat Linux 9", "Others Linux",
}

// change makes a variant of a name that still means the same, or less.
type change struct {
	name  string
	do    func(string) string
	lists bool // names another system beside it
}

func before(text string) change {
	return change{name: fmt.Sprintf("%q before", text), do: func(s string) string { return text + s }}
}

func after(text string) change {
	return change{name: fmt.Sprintf("%q after", text), do: func(s string) string { return s + text }}
}

func around(a, b string) change {
	return change{name: fmt.Sprintf("between %q and %q", a, b), do: func(s string) string { return a + s + b }}
}

func replaced(old, text string) change {
	return change{name: fmt.Sprintf("%q for %q", text, old), do: func(s string) string { return strings.ReplaceAll(s, old, text) }}
}

// versionDots changes the dots between digits alone.
func versionDots(text string) change {
	return change{name: fmt.Sprintf("%q for dots", text), do: func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if s[i] == '.' && i > 0 && digit(s[i-1]) && i+1 < len(s) && digit(s[i+1]) {
				b.WriteString(text)
				continue
			}
			b.WriteByte(s[i])
		}
		return b.String()
	}}
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// mapped changes every rune.
func mapped(name string, f func(r rune) string) change {
	return change{name: name, do: func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(f(r))
		}
		return b.String()
	}}
}

// changes are what people and programs do to names. None is left out because a
// variant came out milder; what truly changes the meaning stands in
// TestMeaningChanges with its reason.
func changes() []change {
	list := []change{
		{name: "upper case", do: strings.ToUpper},
		{name: "lower case", do: strings.ToLower},
		mapped("letters by turns", func() func(rune) string {
			up := false
			return func(r rune) string {
				up = !up
				if up {
					return strings.ToUpper(string(r))
				}
				return strings.ToLower(string(r))
			}
		}()),
		mapped("full width", func(r rune) string {
			if r > ' ' && r < 0x7F {
				return string(r - '!' + 0xFF01)
			}
			return string(r)
		}),
		mapped("full-width digits", func(r rune) string {
			if r >= '0' && r <= '9' {
				return string(r - '0' + '０')
			}
			return string(r)
		}),
		mapped("percent-encoded whole", func(r rune) string {
			var b strings.Builder
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			return b.String()
		}),
		mapped("decimal entities", func(r rune) string { return fmt.Sprintf("&#%d;", r) }),
		mapped("hexadecimal entities", func(r rune) string { return fmt.Sprintf("&#x%x;", r) }),
		mapped("escaped by \\u", func(r rune) string { return fmt.Sprintf(`\u%04x`, r) }),
		mapped("a zero-width space after every letter", func(r rune) string { return string(r) + "\u200b" }),
		{name: "percent-encoded as a path", do: url.PathEscape},
		{name: "percent-encoded as a query", do: url.QueryEscape},
		{name: "percent-encoded twice", do: func(s string) string { return url.PathEscape(url.PathEscape(s)) }},
		{name: "escaped for HTML", do: html.EscapeString},
		{name: "escaped for HTML twice", do: func(s string) string { return html.EscapeString(html.EscapeString(s + " & more")) }},
	}
	for _, space := range []string{"", "  ", "   ", "\t", "\u00a0", "\u3000", "_", "-", ".", "+", "%20", "&nbsp;", "\u200b ", "__", "--", " - ", "\u2003", ":", "·"} {
		list = append(list, replaced(" ", space))
	}
	for _, dot := range []string{"_", "-", "．", "。", "", " . ", ". ", "%2E", "&#46;"} {
		list = append(list, versionDots(dot))
	}
	for _, a := range []string{
		"m-", "prod-", "prod_", "阿里云", "阿里云 ", "aliyun-", "acs:", "我的", "我的 ", "backup_of_", "copy of ", "image for ", "【备份】", "[备份]", "1-", "01_", "#3 ", "v2-", "ecs-", "宝塔面板5.9 ",
		"LNMP on ", "老的", "旧系统", "template-", "公共镜像 ", "custom_", "2019-", "20190101-", "20190101_", "2019年3月", "10.0.0.5 ", "192.168.1.10-", "4核8G ", "8c16g-", "100G_", "MySQL5.7_", "Tomcat 8.5 ", "PHP7.2+",
		"Oracle 11gR2 on ", "SQL Server 2012 on ", "SQL2008R2_", "IIS7.5 ", "Docker 19.03 ", "Exchange 2010 ", "Office 2016 ", "JDK1.8-", "old ", "test ", "(", "\"", "'", " ", "\ufeff", "\n", "hvm-", "packer-", "user/",
		"i-bp1", "web01-", "db-master-2-", "64位 ", "x86_64 ", "32位 ", "ERP ", "金蝶K3 ", "用友U8 ", "VMware ", "Xen 4.2 ", "KVM ", "OSName=", "os:", "Platform: ", "image_", "Microsoft ", "The ", "new-", "ubuntu-like ",
	} {
		list = append(list, before(a))
	}
	for _, a := range []string{
		" 64位", "64位", "_64", "-64", " x86_64", "-x86_64", "_x86_64", "x64", " x64", " 64-bit", " 64bit", "(64-bit)", "（64位）", " amd64", "-amd64", " 32位", "32位", "_32", " i386", "-i386", " 32-bit", " i686", "64", "32",
		" backup", "-副本", " 副本", "备份", "_v1.2", " V2.0", " v3", " (Final)", " final", " GA", ".vhd", ".qcow2", ".raw", ".img", ".tar.gz", ".iso", "_20G_alibase_20190101.vhd", "_64_20G_alibase_20190101.vhd", "_x64_40G_aliaegis_20160222.vhd",
		" 8核16G", "8核16G", "-8c16g", " 4vCPU 8GiB", " 10M带宽", " 100GB", "_40G", "-40G", " 40G", "40G", " 10TB数据盘", " 2.5GHz", " 1T", "_01", "-2", "-02", "_12", "#3", " #12", " (2)", "(1)", "-10", "-11", "_11", "_9", "-7", " node 3",
		" 2018-01-01", "-2018-01-01", "_2018_01_01", " 2018/01/01", " 2018.01.01", " 01-05-2018", "201905", "-201905", " 201905", "_20190512", "20190512", "-201905121230", " 2019年3月", "2019年3月1日", " 12:30", " 2019", "-2019", "_2019",
		" 192.168.1.10", "-192.168.56.105", " 10.0.0.5", "_10_0_0_5", " 172.16.0.1/24", " :8080", " port 8080",
		" + MySQL 5.7", " MySQL5.7", " + PHP 7.2", " PHP7.2", "-php7", "_mysql57", " SQL Server 2008 R2", "_sql2008r2", " SQL2008R2", " SQL Server 2012 SP4", " sql2005", " Oracle 11gR2", "_Oracle10gR2", " Oracle 11.2.0.4", " Oracle 12c", " Tomcat 8.5",
		" IIS7.5", " IIS 7", " JDK1.8", " JDK 11", " Python 3.11", " Node.js 12.22", " Docker 19.03", " Kubernetes 1.20", " Nginx 1.18", " Apache2.4", " Exchange 2010 R2", " Exchange2013", " Office 2016", " WebLogic 12", " Redis 6.2", " MongoDB 5.0",
		" ASP.NET 4.5", " .NET 4.8", " 宝塔面板7.9", " 宝塔 7.9", " WDCP v3.2", " cPanel 11", " Plesk 12", " GitLab 15.11", " Elasticsearch 7.17", " PostgreSQL 12", " Zabbix 5.0", " CUDA 11.2", " VMware Tools 10", " LAMP", " LNMP 1.5",
		" 数据盘 500G", " 带宽 5M", " 正式环境", " 测试", " 勿删", " do not delete", " for web", " web server", " db server 2", " by admin", " EOL 2024", " since 2012", " 内网", " hk-01", " cn-hangzhou", " cn-hangzhou-b", " zone 2", " 等保三级", " 3台",
		" Enterprise", " Standard Edition", " Core", " UEFI", " BIOS", " LTS", " minimal", " desktop", " english", " 中文版", " 简体中文", " 自动激活", " with updates", "\n", "\r\n", " ", "\t", "!", "...", "\u0000", "\U0001f600", "。", ")", " / ", " |", ",",
	} {
		list = append(list, after(a))
	}
	list = append(list, around("PHP运行环境（", " Nginx1.4.4 PHP5.5.7）"), around("LAMP(", " | Apache2.2 | MySQL5.1)"), around("<b>", "</b>"), around("“", "”"), around("【", "】"), around("my", "box"),
		around("backup-", "-20190101"), around("http://mirrors.example.com/", "/os/x86_64/"), around("OpenLogic:", ":latest"), around("{", "}"), around("image: ", ", 40G, 2019-01-01"))
	list = append(list, furtherChanges()...)
	for _, other := range []string{"CentOS 7.9", "Ubuntu 20.04", "Windows Server 2019", "Debian 11", "Rocky Linux 9.4"} {
		for _, sep := range []string{",", ", ", ";", "; ", "|", " | ", "/", " / ", "、", " and ", " 和 ", "和", " & ", "&", " + ", "+", "\n", " or ", " 或 ", " to ", " 升级到 ", "升级", " 升级 ", "->", " → ", " upgraded to ", " ", "_", "-"} {
			a, b := after(sep+other), before(other+sep)
			a.lists, b.lists = true, true
			list = append(list, a, b)
		}
	}
	return list
}

// furtherChanges are what was seen in the names of hosts, images and market places
// after the first list was written.
func furtherChanges() []change {
	var list []change
	for _, space := range []string{"/", "\\", "~", "|", ",", "，", "、", ";", "@", "#", "*", "'", "%2B", "%2520", "—", "–", "…", "=", "()", " _ ", "::"} {
		list = append(list, replaced(" ", space))
	}
	for _, dot := range []string{",", "·", ":", "点", "__", "--", "/", " _", "·"} {
		list = append(list, versionDots(dot))
	}
	for _, a := range []string{
		"iZ2ze", "iZbp1-", "hz-", "bj_", "prod/", "ns1.", "www.", "10.0.0.5_", "2019年", "2019_", "20190101", "1.", "(1)", "5.", "v1.0 ", "8G", "4C8G-", "SQL2008 ", "PHP5.6 ", "JDK8 ", "阿里云2核4G ", "腾讯云", "华为云 ",
		"AWS ", "Azure ", "vm-", "VM_", "tpl-", "base-", "golden-", "img_", "snapshot of ", "升级前", "升级后", "原", "旧", "新", "现", "迁移自", "由", "系统：", "操作系统:", "OS: ", "name=", "\\", "/", "|", ">", "#", "-", "_", "--", "__",
		"老服务器", "从库", "主库", "3号机", "第2台", "No.5 ", "12:30 ", "2.5GHz ", "x3 ", "P2V_", "p2v-", "v2v ", "从VMware迁移的", "migrated ", "formerly ", "was ", "was: ", "a699494373c04fc0bc8f2bb1389d6106__", "ami-0abc1234 ",
	} {
		list = append(list, before(a))
	}
	for _, a := range []string{
		"_amd64_vhd", "_uefi", " HVM", " (x86_64)", " [64-bit]", "/64", " 64 bit", " x64 Edition", "x86", " x86", "_x86", "-ia32", "６４位", "64-bit", "64bit", "x86_64", "amd64", "i386", "i686", "_x64", "-x64", " 64Bit", "/x86_64",
		".ova", ".vmdk", ".vhdx", "_copy", "(copy 1)", "-clone-3", "-snap-20190101-1230", "_bak20190101", "bak", "old", "_OLD", "-new", "_final2", "_rev3", "-r1", " build 1234", " b12", " p1", " rc1", "-beta2", " v7", "-v5.8", " ver 2", " version 3.1", " 1.0.0", "_1.0", "-1.0.2", " 2.0版",
		" 2核4G", "2C4G", " 2U4G", " 2vcpu", " 16 GB RAM", " 500 GB", " 1TB SSD", " 40GB", "40GB", "100G", "500G", " 200M", "5M", "10M", "100M", " 5Mbps", " 3年", "3年", " 12个月", "12个月", " 100元/月", " 30天", "×3", "x3", "*2", " x2", "3台", "10台", "3号机", " 第2台", " No.5", " no 7", "@7", "[7]", " 7号", " -- 7", "__7", "#12", "：3",
		" 19-01-01", "_190101", "190101", " 2019.1", " 201901011200", " 1546300800", " Jan 2019", " 2019Q1", " 20190101T120000Z", "-2019-01-01T12-00-00Z", " 2019/1/1 12:30", " 1/1/2019", "2019-01-01", "2019.01.01", "20190101_1230", "2019年", "2019年1月", "12:30", " 8:05", "20190101",
		"10.0.0.5", "192.168.1.10", "-10-0-0-5", ":22", " 22端口", " /24", "_192.168.1.10", "@10.0.0.5",
		"MySQL5.7", "PHP7", "Tomcat8", "Oracle11g", "SQL2008", "IIS7", "JDK8", "Nginx", "LNMP", "Docker", "DB", "Web", "test", "prod", "beijing", "hk", "ECS", "+PHP5.6", "+SQL2008R2", "&MySQL5.6", "/PHP5.6", ",PHP5.6", "_php56", "-nginx118",
		"服务器", "系统", "模板", "备份2019", "专用", "测试机", "生产", "（勿动）", "主库", "从库", "已过期", "带宽5M", "迁移", "迁移用", "升级前备份", "升级前快照", "升级后", "待升级", " 升级前", " 之前", " 以前的", " 原", "（原）", "(旧)", " before migration", " after upgrade", " was", " old disk", " -> ", "→", "2号", "①", "Ⅱ", " 一号",
	} {
		list = append(list, after(a))
	}
	return append(list, around("原", "系统"), around("升级前", "升级后"), around("<p>", "</p>"), around("『", "』"), around("a_", "_b"), around("1-", "-2"), around("*", "*x3"), around("VM", "机"), around("20190101-", "-10.0.0.5"), around("8核16G", "40G"))
}

// newerVersions make a list of a name: the same system, another release.
func newerVersions(plain string) []change {
	newer := map[string][]string{
		"CentOS": {"7.9", "8.2", "7"}, "Red": {"7.9", "9.4"}, "RHEL": {"7.9", "8"}, "Oracle": {"7.9"}, "Debian": {"11", "12.5"}, "Ubuntu": {"20.04", "22.04"},
		"openSUSE": {"15.2"}, "Fedora": {"33"}, "FreeBSD": {"13.0"}, "Windows": {"2012 R2", "2016", "2019"}, "Win2003": {"2012R2"}, "Rocky": {"9.4"}, "SLES": {"15 SP3"},
	}
	first, _, _ := strings.Cut(plain, " ")
	var list []change
	for _, v := range newer[first] {
		for _, sep := range []string{",", ", ", "/", " / ", "、", " and ", " 和 ", " & ", " + ", " to ", " 到 ", "~", " - ", ";", "|", " or ", "\n"} {
			list = append(list, after(sep+v))
		}
	}
	return list
}

// aVariant is a name and what was done to it.
type aVariant struct {
	plain, text string
	did         string
	kind        string
}

// checkVariant says how a variant came out milder than its plain name, "" where
// it did not, or that it cannot be read.
func checkVariant(c *rules.Classifier, v *aVariant) string {
	if distro.Identify(v.text).Failed {
		return fmt.Sprintf("%q (%s): reading it panics", v.text, v.did)
	}
	want, got := c.Classify(asFacts(v.kind, v.plain)), c.Classify(asFacts(v.kind, v.text))
	for i := range want.Verdicts {
		if w, g := &want.Verdicts[i], &got.Verdicts[i]; milder(g.Level, w.Level) {
			return fmt.Sprintf("%q as %q (%s) on %s: %s %s is %s by %s; plain %q is %s", v.text, v.kind, v.did, w.Target, got.OS.Family, got.OS.Version, g.Level, g.Rule, v.plain, w.Level)
		}
	}
	return ""
}

// A change that leaves the meaning of a name, or tells less, never makes the
// verdict milder.
func TestVariants(t *testing.T) {
	t.Parallel()
	seed := *namesSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	r := ruleset(t)
	c := r.NewClassifier(nil)
	all := changes()
	kinds := []string{"os_name", "image_name", ""}
	n, bad := 0, 0
	check := func(v aVariant) {
		if n++; n%20000 == 0 {
			c = r.NewClassifier(nil)
		}
		if diff := checkVariant(c, &v); diff != "" {
			if bad++; bad <= 20000 {
				t.Error(diff)
			}
		}
	}
	for _, plain := range plainNames {
		own := append(newerVersions(plain), all...)
		if plain == "Others Linux" { // says less than any name beside it, which is what it is refined by
			own = slices.DeleteFunc(own, func(c change) bool { return c.lists })
		}
		for i := range own {
			for _, kind := range kinds {
				if *wholeNames || rng.IntN(25) == 0 {
					check(aVariant{plain: plain, text: own[i].do(plain), did: own[i].name, kind: kind})
				}
			}
		}
	}
	pairs, seeds := 2000, 1
	if *wholeNames {
		pairs, seeds = 100_000, *namesSeeds
	}
	for more := range seeds {
		if more > 0 {
			rng = rand.New(rand.NewPCG(seed+uint64(more), 1))
		}
		before := bad
		for range pairs {
			plain := plainNames[rng.IntN(len(plainNames))]
			a, b := &all[rng.IntN(len(all))], &all[rng.IntN(len(all))]
			if plain == "Others Linux" && (a.lists || b.lists) {
				continue
			}
			check(aVariant{plain: plain, text: b.do(a.do(plain)), did: a.name + ", then " + b.name, kind: kinds[rng.IntN(len(kinds))]})
		}
		t.Logf("seed %d: %d of %d pairs of changes came out milder", seed+uint64(more), bad-before, pairs)
	}
	t.Logf("%d variants, %d milder; run again with -names.seed=%d", n, bad, seed)
	if bad > 0 {
		t.Errorf("%d of %d variants came out milder than their plain name, -names.seed=%d", bad, n, seed)
	}
}

// What stands in brackets right after a name, and is the same system told less or
// more exactly, is no other one: so no change puts brackets around a name that then
// gets another beside it.
func TestMeaningChanges(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, text := range []string{"CentOS 7.9 (CentOS 7)", "CentOS 7 (CentOS 7.9)"} {
		if cl := c.Classify(asFacts("os_name", text)); cl.OS.Version != "7.9" || len(cl.Conflicts) > 0 {
			t.Errorf("%s: %+v, conflicts %+v", text, cl.OS, cl.Conflicts)
		}
	}
	for _, text := range []string{"CentOS 7.9 / (CentOS 7)", "CentOS 7.9 or (CentOS 7)", "CentOS 7.9升级(CentOS 7)"} {
		if cl := c.Classify(asFacts("os_name", text)); len(cl.Conflicts) == 0 {
			t.Errorf("%s: %+v, no conflict", text, cl.OS)
		}
	}
}
