package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// How a page says what a block is. Every code block is fenced and names its
// language. The languages sh and console hold commands: sh a script, console
// lines behind "$ " and what they print. A comment on the line above the fence
// says what such a block counts on:
//
//	<!-- runs with nothing -->       the program alone, as without a comment
//	<!-- runs with cloud -->         a simulated cloud, whose keys are in the environment
//	<!-- runs with server -->        that and an open NATS server
//	<!-- runs with deployment -->    that and every role, on deploy/nats/nats-server.conf
//	<!-- runs with store -->         the store of a scan, which nobody holds open
//	<!-- runs before the others -->  what every later block of the page needs
//	<!-- not run: REASON -->
//
// ", exits 3 4" behind one of them names the statuses that its commands may have beside 0.

// block is one code block of a page.
type block struct {
	page     string
	line     int // of the first line in the fence
	language string
	text     string
	with     string   // "", cloud, server, deployment, store, before or, with a reason, not
	reason   string   // why it is not run
	statuses []string // beside 0
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

func (b block) isCommands() bool { return b.language == "sh" || b.language == "console" }

// languages are those that a fence may name.
var languages = []string{"sh", "console", "text", "yaml", "json", "nginx", "mermaid"}

var surroundings = []string{"cloud", "server", "deployment", "store"}

// mark reads the comment above a block.
func (b *block) mark(comment string) error {
	comment = strings.TrimSuffix(strings.TrimPrefix(comment, "<!-- "), " -->")
	if reason, ok := strings.CutPrefix(comment, "not run: "); ok {
		b.with, b.reason = "not", reason
		return nil
	}
	comment, statuses, ok := strings.Cut(comment, ", exits ")
	if ok {
		b.statuses = strings.Fields(statuses)
	}
	if comment == "runs before the others" {
		b.with = "before"
		return nil
	}
	b.with = strings.TrimPrefix(comment, "runs with ")
	if b.with == "nothing" {
		b.with = ""
		return nil
	}
	if !slices.Contains(surroundings, b.with) {
		return fmt.Errorf("%s: the comment %q is none that blocks_test.go knows", b, comment)
	}
	return nil
}

// blocks reads the code blocks of a page; what it cannot place is an error each.
func blocks(page, text string) (found []block, problems []error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		indented := strings.HasPrefix(lines[i], "    ") && (i == 0 || lines[i-1] == "")
		// Of the generated reference these are the forms of commands, not commands.
		if indented && page != "docs/COMMANDS.md" {
			problems = append(problems, fmt.Errorf("%s:%d: an indented block; fence it and name its language", page, i+1))
		}
		fence, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		b := block{page: page, line: i + 2, language: fence}
		if !slices.Contains(languages, fence) {
			problems = append(problems, fmt.Errorf("%s: the language %q is none of %v", b, fence, languages))
		}
		if i > 0 && (strings.HasPrefix(lines[i-1], "<!-- runs ") || strings.HasPrefix(lines[i-1], "<!-- not run")) {
			if err := b.mark(lines[i-1]); err != nil {
				problems = append(problems, err)
			}
			if !b.isCommands() {
				problems = append(problems, fmt.Errorf("%s: a block of the language %s has nothing to run", b, b.language))
			}
		}
		var inside []string
		for i++; i < len(lines) && lines[i] != "```"; i++ {
			inside = append(inside, lines[i])
		}
		if i == len(lines) {
			problems = append(problems, fmt.Errorf("%s: the fence is not closed", b))
		}
		b.text = strings.Join(inside, "\n") + "\n"
		if !b.isCommands() && page != "docs/COMMANDS.md" && commandIn(b.text) {
			problems = append(problems, fmt.Errorf("%s: holds a command, and is not marked as sh or console", b))
		}
		found = append(found, b)
	}
	return found, problems
}

// commandIn says whether a line looks like something to type.
func commandIn(text string) bool {
	for line := range strings.Lines(text) {
		word, _, _ := strings.Cut(strings.TrimPrefix(line, "$ "), " ")
		if slices.Contains([]string{"shenscan", "nats", "curl", "docker", "kubectl", "helm", "make", "go", "systemctl"}, word) {
			return true
		}
	}
	return false
}

// pages returns the text of every page by its path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/rules/*.md", "deploy/*.md", "deploy/*/*.md", "benchmarks/*.md"} {
		paths, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(filepath.ToSlash(path), "../")] = string(text)
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d pages were found", len(all))
	}
	return all
}

// all returns the command blocks of every page in the order of pages and lines.
func all(t *testing.T) (found []block) {
	t.Helper()
	texts := pages(t)
	for _, page := range slices.Sorted(func(yield func(string) bool) {
		for page := range texts {
			if !yield(page) {
				return
			}
		}
	}) {
		inPage, problems := blocks(page, texts[page])
		for _, err := range problems {
			t.Error(err)
		}
		for _, b := range inPage {
			if b.isCommands() {
				found = append(found, b)
			}
		}
	}
	if len(found) < 20 {
		t.Fatalf("%d command blocks were found", len(found))
	}
	return found
}

// mostNotRun bounds the blocks that nothing tries.
const mostNotRun = 12

func TestBlocksSayWhatTheyAre(t *testing.T) {
	found := all(t)
	var not []string
	for _, b := range found {
		if b.with == "not" {
			not = append(not, fmt.Sprintf("%s: %s", b, b.reason))
		}
	}
	t.Logf("%d command blocks, %d of them not run:\n%s", len(found), len(not), strings.Join(not, "\n"))
	if len(not) > mostNotRun {
		t.Errorf("%d command blocks are not run, at most %d may be", len(not), mostNotRun)
	}
}

func TestBlocksAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"indented commands":        {"x\n\n    shenscan scan\n", "an indented block"},
		"no language":              {"```\nx\n```\n", `the language ""`},
		"commands that are text":   {"```text\nshenscan scan\n```\n", "holds a command"},
		"a comment with a mistake": {"<!-- runs with clouds -->\n```sh\nshenscan scan\n```\n", `"runs with clouds"`},
		"a fence that stays open":  {"```sh\nshenscan scan\n", "not closed"},
		"a comment above text":     {"<!-- not run: is none -->\n```text\nx\n```\n", "has nothing to run"},
	} {
		_, problems := blocks("page.md", c.text)
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, problems, c.want)
		}
	}
	found, problems := blocks("page.md", "<!-- runs with cloud, exits 3 4 -->\n```sh\nshenscan scan\n```\n<!-- not run: needs a cloud -->\n```sh\naliyun\n```\n")
	if len(problems) > 0 || len(found) != 2 || found[0].with != "cloud" || strings.Join(found[0].statuses, " ") != "3 4" || found[1].reason != "needs a cloud" {
		t.Errorf("read as %+v, %v", found, problems)
	}
}

// command is one section of COMMANDS.md.
type command struct{ flags []string }

// reference reads commands and flags from the generated reference.
func reference(text string) (general []string, commands map[string]command) {
	commands = map[string]command{}
	name := ""
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			name, _ = strings.CutPrefix(strings.TrimSpace(heading), "shenscan ")
			if name != "Settings of all commands" {
				commands[name] = command{}
			}
			continue
		}
		if flag, ok := strings.CutPrefix(line, "| `--"); ok {
			flag, _, _ = strings.Cut(flag, "`")
			flag, _, _ = strings.Cut(flag, " ")
			if name == "Settings of all commands" {
				general = append(general, flag)
				continue
			}
			c := commands[name]
			c.flags = append(c.flags, flag)
			commands[name] = c
		}
	}
	return general, commands
}

// hiddenFlags are on every command that works for long, and in no help.
var hiddenFlags = []string{"cpuprofile", "memprofile"}

// mistake says what is wrong with a command of shenscan, "" for nothing.
func mistake(line string, general []string, commands map[string]command) string {
	words := strings.Fields(line)[1:]
	if len(words) == 0 || strings.HasPrefix(words[0], "/") {
		return ""
	}
	name := words[0]
	if name == "completion" {
		return "" // the library's own, which the reference leaves out
	}
	if len(words) > 1 {
		if _, ok := commands[name+" "+words[1]]; ok {
			name += " " + words[1]
		}
	}
	c, ok := commands[name]
	if !ok {
		return "no command " + name
	}
	for _, word := range words {
		flag, ok := strings.CutPrefix(word, "--")
		flag, _, _ = strings.Cut(flag, "=")
		if ok && flag != "" && flag != "help" && !slices.Contains(slices.Concat(c.flags, general, hiddenFlags), flag) {
			return name + " has no flag --" + flag
		}
	}
	return ""
}

// What stands in the text between backticks is not run; its command and flags,
// or its target of make, are there.
func TestCommandsInTheTextAreThere(t *testing.T) {
	texts := pages(t)
	general, commands := reference(texts["docs/COMMANDS.md"])
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for page, text := range texts {
		if page == "CHANGELOG.md" {
			continue // of versions that are past
		}
		for i, part := range strings.Split(text, "`") {
			if i%2 == 0 || strings.Contains(part, "\n") {
				continue
			}
			switch {
			case strings.HasPrefix(part, "shenscan "):
				checked++
				if m := mistake(part, general, commands); m != "" {
					t.Errorf("%s: `%s`: %s", page, part, m)
				}
			case strings.HasPrefix(part, "make "):
				for _, target := range strings.Fields(part)[1:] {
					checked++
					if !strings.Contains(target, "=") && !strings.Contains(string(makefile), "\n"+target+":") {
						t.Errorf("%s: `%s`: no target %s", page, part, target)
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d commands were found in the text", checked)
	}
	for line, want := range map[string]string{
		"shenscan scam": "no command scam", "shenscan scan --regions x": "scan has no flag --regions",
		"shenscan dead list --limit 3": "", "shenscan rules explain --target=x": "",
	} {
		if got := mistake(line, general, commands); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
