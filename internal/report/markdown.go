package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
)

// mdEscaper spells what Markdown or the HTML inside it would read as markup.
var mdEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`,
	"[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`, "@", "&#64;", "://", "&#58;//", "www.", "www&#46;",
)

// MarkdownText returns s as Markdown that shows as exactly that text: no
// markup, no links, no mentions, no line breaks.
func MarkdownText(s string) string { return mdEscaper.Replace(Clean(s)) }

// MarkdownRow writes one row of a Markdown table.
func MarkdownRow(w io.Writer, cells ...string) error {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString("| ")
		b.WriteString(MarkdownText(c))
		b.WriteByte(' ')
	}
	b.WriteString("|\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// MarkdownHead writes the head of a table; a title that ends in ":" is a
// column aligned to the right.
func MarkdownHead(w io.Writer, titles ...string) error {
	var rule strings.Builder
	names := make([]string, len(titles))
	for i, title := range titles {
		name, right := strings.CutSuffix(title, ":")
		names[i] = name
		if right {
			rule.WriteString("| ---: ")
		} else {
			rule.WriteString("| --- ")
		}
	}
	if err := MarkdownRow(w, names...); err != nil {
		return err
	}
	_, err := io.WriteString(w, rule.String()+"|\n")
	return err
}

// writeMarkdown writes totals, groups, changes, failures and every instance
// that is not compatible with every target.
func writeMarkdown(w *bufio.Writer, r *Report, o Options) error {
	d := NewDigest(&r.Summary)
	s := &r.Summary
	fmt.Fprintf(w, "# shenscan report\n\n")
	fmt.Fprintf(w, "- Made: %s\n- Scan: %s\n", Moment(o.Now), MarkdownText(scanLine(&r.Scan)))
	fmt.Fprintf(w, "- Fleet: %s in %s of %s\n", FleetSize(s.Instances, d.Whole),
		Plural(len(d.Regions), "region", "regions"), Plural(len(d.Accounts), "account", "accounts"))
	fmt.Fprintf(w, "- Read: %s\n", Completeness(d.Whole))
	for _, line := range LeftOut(*s) {
		fmt.Fprintf(w, "- Left out: %s\n", MarkdownText(line))
	}
	fmt.Fprintf(w, "- Legacy operating systems: %s (%s)\n", AtLeast(s.Legacy, d.Whole), Percent(s.Legacy, s.Instances))
	fmt.Fprintf(w, "- Rules: %s\n", MarkdownText(s.Ruleset))
	if s.Rejudging != nil {
		fmt.Fprintf(w, "- %s\n", judgingAnew(s.Rejudging))
	}

	fmt.Fprintf(w, "\n## Verdicts\n\n")
	if err := mdVerdicts(w, s); err != nil {
		return err
	}
	for _, part := range []struct {
		title   string
		column  string
		buckets []*Bucket
		name    func(*Bucket) string
	}{
		{"By operating system", "operating system", d.OS, func(b *Bucket) string { return b.OS() + legacyMark(b) }},
		{"By account and region", "account / region", d.Scopes, func(b *Bucket) string { return b.Account + " / " + b.Region }},
	} {
		fmt.Fprintf(w, "\n## %s\n\n", part.title)
		if err := mdBuckets(w, s.Targets, part.column, part.buckets, part.name); err != nil {
			return err
		}
	}
	if err := mdSince(w, r.Since); err != nil {
		return err
	}
	if err := mdFailures(w, r.Failures); err != nil {
		return err
	}
	if err := mdEvidence(w, r, o.Now); err != nil {
		return err
	}
	return mdInstances(w, r)
}

func legacyMark(b *Bucket) string {
	if b.Legacy {
		return " (legacy)"
	}
	return ""
}

func mdVerdicts(w io.Writer, s *record.Summary) error {
	if err := MarkdownHead(w, "target", "incompatible:", "unknown:", "needs-action:", "compatible:"); err != nil {
		return err
	}
	for _, target := range s.Targets {
		row := []string{target}
		for _, v := range Levels() {
			n := s.Verdicts[target][v]
			row = append(row, Number(n)+" ("+Percent(n, s.Instances)+")")
		}
		if err := MarkdownRow(w, row...); err != nil {
			return err
		}
	}
	return nil
}

func mdBuckets(w io.Writer, targets []string, column string, buckets []*Bucket, name func(*Bucket) string) error {
	head := []string{column, "instances:"}
	head = append(head, targets...)
	if err := MarkdownHead(w, head...); err != nil {
		return err
	}
	for _, b := range buckets {
		row := []string{name(b), Number(b.Instances)}
		for _, target := range targets {
			row = append(row, CountsLine(b.Verdicts[target]))
		}
		if err := MarkdownRow(w, row...); err != nil {
			return err
		}
	}
	return nil
}

// CountsLine lists a target's verdicts, worst first: "incompatible 3, compatible 1".
func CountsLine(byVerdict map[string]int) string {
	var parts []string
	for _, v := range Levels() {
		if n := byVerdict[v]; n > 0 {
			parts = append(parts, v+" "+Number(n))
		}
	}
	return strings.Join(parts, ", ")
}

func mdSince(w io.Writer, s *Since) error {
	if s == nil {
		return nil
	}
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", MarkdownText(s.Title()), MarkdownText(s.Words()))
	if s.Listed() == 0 {
		return nil
	}
	if err := MarkdownHead(w, "when", "account / region", "instance", "name", "operating system", "why", "verdicts"); err != nil {
		return err
	}
	for c, err := range s.Changes {
		if err != nil {
			return err
		}
		if err := MarkdownRow(w, Moment(c.At), c.Account+" / "+c.Region, c.InstanceID, Short(c.InstanceName, 120), OSText(c.OS), whyLine(&c.Change), Moves(&c.Change)); err != nil {
			return err
		}
	}
	return nil
}

func mdFailures(w io.Writer, failures []record.Failure) error {
	if len(failures) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n## Not read\n\n")
	if err := MarkdownHead(w, "where", "what", "error", "mend"); err != nil {
		return err
	}
	for i := range failures {
		f := &failures[i]
		if err := MarkdownRow(w, ScopeName(f.Account, f.Region), FailureHead(f), f.Error, f.Mend); err != nil {
			return err
		}
	}
	return nil
}

func mdInstances(w io.Writer, r *Report) error {
	fmt.Fprintf(w, "\n## Instances that are not compatible everywhere\n\n")
	head := []string{"account / region", "instance", "name", "type", "operating system"}
	head = append(head, r.Summary.Targets...)
	if err := MarkdownHead(w, append(head, "why", "remedies")...); err != nil {
		return err
	}
	fine := 0
	for rec, err := range r.instances() {
		if err != nil {
			return fmt.Errorf("read instances: %w", err)
		}
		worst := WorstVerdict(rec)
		if worst == nil || worst.Level.String() == "compatible" {
			fine++
			continue
		}
		row := []string{rec.Account + " / " + rec.Region, rec.InstanceID, Short(rec.InstanceName, 120), rec.InstanceType, OSName(rec.OS.Family, rec.OS.Version)}
		for _, target := range r.Summary.Targets {
			text := ""
			if v := VerdictOn(rec, target); v != nil {
				text = v.Level.String()
			}
			row = append(row, text)
		}
		if err := MarkdownRow(w, append(row, worst.Reason, remedyList(worst.Remedies))...); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s compatible everywhere and not listed here (`--output csv` lists every one).\n", Plural(fine, "instance is", "instances are"))
	return err
}
