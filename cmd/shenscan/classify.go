package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/lang"
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
	Unread []rules.Unread `json:"unread,omitempty"` // texts that took no part in the verdict
	Error  string         `json:"error,omitempty"`  // why nothing of the line was read
}

type classifyFlags struct {
	targets, rules []string
	output, failOn string
}

func newClassifyCmd() *cobra.Command {
	flags := &classifyFlags{}
	cmd := &cobra.Command{
		Use:   "classify [STRING...]",
		Short: "Judge operating systems by their names, image ids or facts, without any cloud",
		Long: `Judges its arguments, or the lines of stdin when there are none. A line is

- an OS name in English or Chinese, or an image id;
- a JSON object of facts, with any of
` + wrapped(factNames, 78) + `
- or one instance or image as DescribeInstances and DescribeImages spell it,
  whose other keys are left alone. Whole answers go through scan --from.

One JSON object comes out for every line, in order, also for an empty or absurd
one; on a terminal a table does. Its key unread lists the texts that could not be
read and so took no part in the verdict. A line with an unknown fact gets the key
error, nothing of it is judged, and the exit code is 2 at the end.`,
		Example: `  shenscan classify "CentOS  5.8 64位"
  shenscan classify win2008_32_stand_sp2_cn_40G_alibase_20151212.vhd --target ecs.g8i
  echo '{"os_name":"CentOS 5.10","kernel":"2.6.18-348.el5"}' | shenscan classify
  shenscan classify --fail-on incompatible < os-names.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd, args) },
	}
	set := cmd.Flags()
	set.StringSliceVar(&flags.targets, "target", nil, rules.ClassList()+", an instance family (ecs.g8i) or type (ecs.g8y.large); default all classes")
	set.StringSliceVar(&flags.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
	set.StringVar(&flags.output, "output", "", "table, json, jsonl, csv or markdown; default jsonl, on a terminal table")
	set.StringVar(&flags.failOn, "fail-on", "", "exit with 3 when a line has this verdict or a worse one on any target: compatible, needs-action, unknown or incompatible")
	return cmd
}

func (f *classifyFlags) run(cmd *cobra.Command, args []string) error {
	ruleset, err := loadRules(f.rules)
	if err != nil {
		return err
	}
	targets, err := app.Targets(ruleset, f.targets)
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
	out, err := newClassifyWriter(f.output, cmd.OutOrStdout(), languageOf(cmd.Flags()))
	if err != nil {
		return err
	}
	classifier, bad, wrong := ruleset.NewClassifier(targets), 0, 0
	err = eachLine(cmd.InOrStdin(), args, out.w.Flush, func(line string) error {
		facts, err := factsOf(line)
		answer := &classified{Input: line}
		if err != nil {
			wrong++
			answer.Error = err.Error()
		} else {
			answer.Unread = unreadOf(ruleset, line, &facts)
		}
		classification := classifier.Classify(&facts)
		answer.Classification = classification
		if failOn != nil && worstOf(classification).AtLeast(*failOn) {
			bad++
		}
		return out.write(answer)
	})
	if err := errors.Join(err, out.end()); err != nil {
		return fmt.Errorf("classify: %w", err)
	}
	if wrong > 0 {
		return usage(fmt.Errorf("%d lines could not be read, the answer says why", wrong))
	}
	if bad > 0 {
		return &exitError{exitFailOn, fmt.Errorf("%d lines are %s or worse on a target (--fail-on)", bad, *failOn)}
	}
	return nil
}

// wrapped puts words into indented lines of a width.
func wrapped(words []string, width int) string {
	var lines []string
	line := " "
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if len(line)+1+len(word) > width {
			lines, line = append(lines, line), " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n") + ";"
}

func worstOf(classification *rules.Classification) rules.Level {
	worst := rules.Compatible
	for i := range classification.Verdicts {
		worst = rules.Worse(worst, classification.Verdicts[i].Level)
	}
	return worst
}

// eachLine calls do for every argument, or for every line of in when there are
// none. idle is called whenever no further line is at hand.
func eachLine(in io.Reader, args []string, idle func() error, act func(string) error) error {
	for _, a := range args {
		if err := act(a); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		return nil
	}
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(reader)
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := act(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
			return err
		}
		if reader.Buffered() == 0 {
			if err := idle(); err != nil {
				return err
			}
		}
	}
}

// readLine reads a line of any length and keeps maxLine bytes of it, the line
// feed included.
func readLine(reader *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		part, err := reader.ReadSlice('\n')
		if room := maxLine - text.Len(); room > 0 {
			text.Write(part[:min(room, len(part))])
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text.String(), err
		}
	}
}

// factsOf reads a line: a JSON object of facts, an instance or image as the API
// spells it, or a bare string.
func factsOf(line string) (rules.Facts, error) {
	text := strings.TrimSpace(line)
	if !strings.HasPrefix(text, "{") {
		return rules.Facts{Name: line}, nil
	}
	keys, err := objectKeys(text)
	if err != nil {
		return rules.Facts{Name: line}, nil
	}
	own, api, foreign := 0, 0, ""
	for i, key := range keys {
		switch {
		case slices.Contains(keys[:i], key):
			return rules.Facts{}, fmt.Errorf("the key %q stands twice", key)
		case slices.Contains(factNames, key):
			own++
		case key != "" && key[0] >= 'A' && key[0] <= 'Z':
			api++
			fallthrough
		default:
			foreign = cmp.Or(foreign, key, `""`)
		}
	}
	if own == 0 && api > 0 {
		facts, err := ecsapi.DecodeFacts([]byte(text))
		if err != nil {
			return rules.Facts{}, err
		}
		return facts, nil
	}
	if foreign != "" {
		return rules.Facts{}, fmt.Errorf("there is no fact %q; classify --help lists them", foreign)
	}
	var observation rules.Observation
	if err := json.Unmarshal([]byte(text), &observation); err != nil {
		return rules.Facts{}, err
	}
	return observation.Facts(), nil
}

// unreadOf lists what of a line could not be read.
func unreadOf(r *rules.Ruleset, line string, f *rules.Facts) []rules.Unread {
	unread := r.Unread(f)
	if s := strings.TrimSpace(line); strings.HasPrefix(s, "{") && f.Name == line {
		unread = append(unread, rules.Unread{Field: "line", Text: line, Why: "it begins like a JSON object and is none, so it is read as a name"})
	}
	return unread
}

// factNames are the keys of a JSON object of facts.
var factNames = func() []string {
	var names []string
	for field := range reflect.TypeFor[rules.Observation]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	return names
}()

// objectKeys are the keys of a JSON object, those that stand twice twice.
func objectKeys(s string) ([]string, error) {
	decoder := json.NewDecoder(strings.NewReader(s))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var keys []string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("something follows the object")
	}
	return keys, nil
}

// classifyWriter writes answers in one of the formats.
type classifyWriter struct {
	w      *bufio.Writer
	screen *screen
	in     lang.Language
	write  func(*classified) error
	end    func() error
}

func newClassifyWriter(format string, out io.Writer, in lang.Language) (*classifyWriter, error) {
	writer := &classifyWriter{w: bufio.NewWriterSize(out, 64<<10), screen: onScreen(out), in: in}
	writer.end = writer.w.Flush
	if format == "" {
		format = "jsonl"
		if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			format = "table"
		}
	}
	switch format {
	case "jsonl":
		encoder := jsonEncoder(writer.w)
		writer.write = func(answer *classified) error { return encoder.Encode(answer) }
	case "json":
		writer.array()
	case "table":
		writer.table()
	case "csv":
		writer.csv()
	case "markdown":
		writer.markdown()
	default:
		return nil, notOneOf("output", format, "table", "json", "jsonl", "csv", "markdown")
	}
	return writer, nil
}

// jsonEncoder writes texts as they are: nobody reads them as HTML.
func jsonEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder
}

func (c *classifyWriter) array() {
	enc, sep := jsonEncoder(c.w), "[\n"
	c.write = func(answer *classified) error {
		if _, err := c.w.WriteString(sep); err != nil {
			return err
		}
		sep = ","
		return enc.Encode(answer)
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
	system := strings.TrimSpace(v.OS.Family + " " + v.OS.Version)
	if v.OS.ServicePack != "" {
		system += " SP" + v.OS.ServicePack
	}
	var notes []string
	for _, u := range v.Unread {
		notes = append(notes, fmt.Sprintf(" Not read: %s %q, %s.", u.Field, report.Short(u.Text, 80), u.Why))
	}
	note := strings.Join(notes, "")
	switch {
	case v.Error != "":
		system, note = "error: "+v.Error, " "+v.Error
	case v.Unread != nil:
		system += " (not all is read)"
	}
	var out [][]string
	for i := range v.Verdicts {
		d := &v.Verdicts[i]
		out = append(out, []string{v.Input, system, d.Target, d.Level.String(), d.Confidence.String(), d.Rule, d.Reason + note})
	}
	return out
}

func (c *classifyWriter) table() {
	textTable := &report.TextTable{In: c.in, Head: cells(classifyColumns[:6]...)}
	c.write = func(v *classified) error {
		for i, line := range v.lines() {
			line[0], line[1] = report.Short(line[0], 48), report.Clean(line[1])
			if i > 0 {
				line[0], line[1] = "", ""
			}
			row := cells(line[:6]...)
			row[3] = report.Cell{Text: c.in.Say(line[3]), Style: report.VerdictStyle(line[3])}
			row[4].Text = c.in.Say(line[4])
			textTable.Rows = append(textTable.Rows, row)
		}
		return nil
	}
	c.end = func() error {
		return errors.Join(textTable.Write(c.w, cmp.Or(c.screen.width, mostColumns), c.screen.color), c.w.Flush())
	}
}

func (c *classifyWriter) csv() {
	writer := csv.NewWriter(c.w)
	first := writer.Write(strings.Split(strings.ToLower(strings.Join(classifyColumns, ",")), ","))
	c.write = func(v *classified) error {
		for _, l := range v.lines() {
			l[0] = report.FormulaSafe(l[0])
			if err := writer.Write(l); err != nil {
				return err
			}
		}
		return nil
	}
	c.end = func() error {
		writer.Flush()
		return errors.Join(first, writer.Error(), c.w.Flush())
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
