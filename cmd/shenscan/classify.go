package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

// maxLine bounds a line of stdin, in bytes; what is beyond is dropped, and the
// line is classified by its beginning.
const maxLine = 1 << 20

// classified is one line of the answer.
type classified struct {
	Input string `json:"input"`
	*rules.Classification
}

type classifyFlags struct {
	targets, rules []string
	output, failOn string
}

func newClassifyCmd() *cobra.Command {
	f := &classifyFlags{}
	cmd := &cobra.Command{
		Use:   "classify [STRING...]",
		Short: "Judge operating systems by their names, image ids or facts, without any cloud",
		Long: `Judges its arguments, or the lines of stdin when there are none. A line is an OS
name in English or Chinese, an image id, or a JSON object with any of os_name,
os_name_en, os_type, platform, image_id, image_name, architecture, boot_mode,
kernel, instance_type.

One JSON object comes out for every line, in order, also for an empty or absurd
one; on a terminal a table does.`,
		Example: `  shenscan classify "CentOS  5.8 64位"
  shenscan classify win2008_32_stand_sp2_cn_40G_alibase_20151212.vhd --target ecs.g8i
  echo '{"os_name":"CentOS 5.10","kernel":"2.6.18-348.el5"}' | shenscan classify
  shenscan classify --fail-on incompatible < os-names.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.targets, "target", nil, rules.ClassList()+", an instance family (ecs.g8i) or type (ecs.g8y.large); default all classes")
	fl.StringSliceVar(&f.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
	fl.StringVar(&f.output, "output", "", "table, json, jsonl, csv or markdown; default jsonl, on a terminal table")
	fl.StringVar(&f.failOn, "fail-on", "", "exit with 3 when a line has this verdict or a worse one on any target: compatible, needs-action, unknown or incompatible")
	return cmd
}

func (f *classifyFlags) run(cmd *cobra.Command, args []string) error {
	r, err := loadRules(f.rules)
	if err != nil {
		return err
	}
	targets, err := parseTargets(r, f.targets)
	if err != nil {
		return err
	}
	var failOn *rules.Level
	if f.failOn != "" {
		level, err := rules.ParseLevel(f.failOn)
		if err != nil {
			return usage(fmt.Errorf("--fail-on: %w", err))
		}
		failOn = &level
	}
	out, err := newClassifyWriter(f.output, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	c, bad := r.NewClassifier(targets), 0
	err = eachLine(cmd.InOrStdin(), args, out.flush, func(line string) error {
		facts := factsOf(line)
		cl := c.Classify(&facts)
		if failOn != nil && worstOf(cl).AtLeast(*failOn) {
			bad++
		}
		return out.write(&classified{line, cl})
	})
	if err := errors.Join(err, out.end()); err != nil {
		return fmt.Errorf("classify: %w", err)
	}
	if bad > 0 {
		return &exitError{exitFailOn, fmt.Errorf("%d lines are %s or worse on a target (--fail-on)", bad, *failOn)}
	}
	return nil
}

func worstOf(cl *rules.Classification) rules.Level {
	worst := rules.Compatible
	for i := range cl.Verdicts {
		worst = rules.Worse(worst, cl.Verdicts[i].Level)
	}
	return worst
}

func parseTargets(r *rules.Ruleset, names []string) ([]rules.Target, error) {
	if len(names) == 0 {
		return rules.DefaultTargets(), nil
	}
	var out []rules.Target
	seen := map[string]bool{}
	for _, n := range names {
		t, err := r.ParseTarget(n)
		if err != nil {
			return nil, usage(fmt.Errorf("--target: %w", err))
		}
		if !seen[t.ID] {
			seen[t.ID] = true
			out = append(out, t)
		}
	}
	return out, nil
}

// eachLine calls do for every argument, or for every line of in when there are
// none. idle is called whenever no further line is at hand.
func eachLine(in io.Reader, args []string, idle func() error, do func(string) error) error {
	for _, a := range args {
		if err := do(a); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		return nil
	}
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(r)
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := do(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
			return err
		}
		if r.Buffered() == 0 {
			if err := idle(); err != nil {
				return err
			}
		}
	}
}

// readLine reads a line of any length and keeps maxLine bytes of it, the line
// feed included.
func readLine(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := r.ReadSlice('\n')
		if room := maxLine - b.Len(); room > 0 {
			b.Write(part[:min(room, len(part))])
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b.String(), err
		}
	}
}

// factsOf reads a line: a JSON object of facts, or a bare string. In an object,
// values of another type than text are ignored.
func factsOf(line string) rules.Facts {
	var o rules.Observation
	if s := strings.TrimSpace(line); strings.HasPrefix(s, "{") {
		if json.Unmarshal([]byte(s), &o) == nil {
			return o.Facts()
		}
		var fields map[string]any
		if json.Unmarshal([]byte(s), &fields) == nil {
			return looseFacts(fields)
		}
	}
	return rules.Facts{Name: line}
}

func looseFacts(fields map[string]any) rules.Facts {
	var o rules.Observation
	for k, v := range fields {
		if _, ok := v.(string); !ok {
			continue
		}
		one, err := json.Marshal(map[string]any{k: v})
		if err != nil {
			continue
		}
		kept := o
		if json.Unmarshal(one, &o) != nil {
			o = kept
		}
	}
	return o.Facts()
}

// classifyWriter writes answers in one of the formats.
type classifyWriter struct {
	w     *bufio.Writer
	write func(*classified) error
	end   func() error
}

func (c *classifyWriter) flush() error { return c.w.Flush() }

func newClassifyWriter(format string, out io.Writer) (*classifyWriter, error) {
	c := &classifyWriter{w: bufio.NewWriterSize(out, 64<<10)}
	c.end = c.w.Flush
	if format == "" {
		format = "jsonl"
		if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			format = "table"
		}
	}
	switch format {
	case "jsonl":
		c.write = jsonEncoder(c.w).encode
	case "json":
		c.array()
	case "table":
		c.table()
	case "csv":
		c.csv()
	case "markdown":
		c.markdown()
	default:
		return nil, usage(fmt.Errorf("--output %q is none of table, json, jsonl, csv, markdown", format))
	}
	return c, nil
}

type encoder struct{ *json.Encoder }

func jsonEncoder(w io.Writer) encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return encoder{e}
}

func (e encoder) encode(c *classified) error { return e.Encode(c) }

func (c *classifyWriter) array() {
	enc, sep := jsonEncoder(c.w), "[\n"
	c.write = func(v *classified) error {
		if _, err := c.w.WriteString(sep); err != nil {
			return err
		}
		sep = ","
		return enc.encode(v)
	}
	c.end = func() error {
		if sep == "[\n" {
			fmt.Fprint(c.w, "[")
		}
		fmt.Fprintln(c.w, "]")
		return c.w.Flush()
	}
}

var classifyColumns = []string{"INPUT", "OS", "TARGET", "VERDICT", "CONFIDENCE", "RULE", "REASON"}

// lines are the rows of an answer, one a target.
func (v *classified) lines() [][]string {
	os := strings.TrimSpace(v.OS.Family + " " + v.OS.Version)
	if v.OS.ServicePack != "" {
		os += " SP" + v.OS.ServicePack
	}
	var out [][]string
	for i := range v.Verdicts {
		d := &v.Verdicts[i]
		out = append(out, []string{v.Input, os, d.Target, d.Level.String(), d.Confidence.String(), d.Rule, d.Reason})
	}
	return out
}

func (c *classifyWriter) table() {
	t := &report.TextTable{}
	for _, h := range classifyColumns[:6] {
		t.Head = append(t.Head, report.Cell{Text: h})
	}
	c.write = func(v *classified) error {
		for i, l := range v.lines() {
			l[0], l[1] = report.Short(l[0], 48), report.Clean(l[1])
			if i > 0 {
				l[0], l[1] = "", ""
			}
			var row []report.Cell
			for n, text := range l[:6] {
				cell := report.Cell{Text: text}
				if n == 3 {
					cell.Style = report.VerdictStyle(text)
				}
				row = append(row, cell)
			}
			t.Rows = append(t.Rows, row)
		}
		return nil
	}
	c.end = func() error { return errors.Join(t.Write(c.w, 160, false), c.w.Flush()) }
}

func (c *classifyWriter) csv() {
	w := csv.NewWriter(c.w)
	head := make([]string, len(classifyColumns))
	for i, h := range classifyColumns {
		head[i] = strings.ToLower(h)
	}
	first := w.Write(head)
	c.write = func(v *classified) error {
		for _, l := range v.lines() {
			l[0] = report.FormulaSafe(l[0])
			if err := w.Write(l); err != nil {
				return err
			}
		}
		return nil
	}
	c.end = func() error {
		w.Flush()
		return errors.Join(first, w.Error(), c.w.Flush())
	}
}

func (c *classifyWriter) markdown() {
	fmt.Fprintf(c.w, "| %s |\n|%s\n", strings.Join(classifyColumns, " | "), strings.Repeat(" --- |", len(classifyColumns)))
	escape := strings.NewReplacer(`\`, `\\`, "|", `\|`, "`", "\\`", "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`)
	c.write = func(v *classified) error {
		for _, l := range v.lines() {
			for i := range l {
				l[i] = escape.Replace(report.Clean(l[i]))
			}
			fmt.Fprintf(c.w, "| %s |\n", strings.Join(l, " | "))
		}
		return nil
	}
}
