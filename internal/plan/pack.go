package plan

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
)

//go:embed web/index.html
var indexPage string

// MaxOwners bounds the parts of a pack: a tag with more values names machines
// rather than owners.
const MaxOwners = 5000

// The ways in which a pack is refused.
var (
	ErrTooManyOwners = errors.New("plan: too many owners")
	ErrNotEmpty      = errors.New("plan: the folder is not empty")
	ErrNoFolder      = errors.New("plan: what is there is no folder")
)

// Part is what one owner gets.
type Part struct {
	Owner string // "" where there is none
	File  string // of its files, without the extension
	Plan  *Plan
}

// Split divides the plan by owner, by account where no owner is named. Every
// item is in exactly one part; together they are the plan.
func (p *Plan) Split() ([]Part, error) {
	owners := map[string]*Plan{}
	for at, wave := range p.Waves {
		for _, r := range wave.rows.runs {
			name := r.owner
			if !p.ByOwner {
				name = "account " + name
			}
			part := owners[name]
			if part == nil {
				if len(owners) == MaxOwners {
					return nil, fmt.Errorf("%w: more than %d", ErrTooManyOwners, MaxOwners)
				}
				part = p.empty(name)
				owners[name] = part
			}
			own := *wave.rows
			own.runs = []*run{r}
			part.Waves[at].hold(&own)
			part.Instances += r.n
		}
	}
	parts := make([]Part, 0, len(owners))
	sameFile := map[string]int{}
	for name, plan := range owners {
		for at, wave := range plan.Waves {
			wave.Solutions = needed(p.Waves[at], wave.alike())
		}
		sameFile[fileName(name, false)]++
		parts = append(parts, Part{Owner: name, Plan: plan})
	}
	for i := range parts {
		parts[i].File = fileName(parts[i].Owner, sameFile[fileName(parts[i].Owner, false)] > 1)
	}
	slices.SortFunc(parts, func(x, y Part) int { return cmp.Compare(x.Owner, y.Owner) })
	return parts, nil
}

// empty is the plan without its items, as an owner's.
func (p *Plan) empty(owner string) *Plan {
	part := *p
	part.Owner, part.Instances, part.ByOwner, part.Waves = ownerName(owner), 0, false, make([]*Wave, len(p.Waves))
	part.StartGroups = nil // they are of the whole fleet; an item names its own
	for i, wave := range p.Waves {
		part.Waves[i] = &Wave{ID: wave.ID, Title: wave.Title, What: wave.What, Solutions: []*Solution{}}
		part.Waves[i].hold(&waveRows{})
	}
	return &part
}

// needed are the solutions of a wave that some of its items name, counted anew.
func needed(wave *Wave, items []same) []*Solution {
	counts, named := map[string]int{}, map[string]bool{}
	for _, item := range items {
		for _, name := range item.Solutions {
			counts[name] += item.N
			named[name] = true
		}
		for _, name := range item.Alternatives {
			named[name] = true
		}
	}
	out := []*Solution{}
	for _, solution := range wave.Solutions {
		if named[solution.Name] {
			own := *solution
			own.Instances = counts[solution.Name]
			out = append(out, &own)
		}
	}
	return out
}

// fileName makes an owner's name one that every file system takes; marked adds
// what tells it from others that would have the same.
func fileName(owner string, marked bool) string {
	if owner == "" {
		return "no-owner"
	}
	name := strings.Map(func(char rune) rune {
		switch {
		case char >= 'a' && char <= 'z', char >= '0' && char <= '9', char == '-', char == '_':
			return char
		case char >= 'A' && char <= 'Z':
			return char + ('a' - 'A')
		}
		return '-'
	}, owner)
	name = strings.Trim(name[:min(len(name), 60)], "-")
	marked, name = marked || name == "", strings.TrimSuffix("owner-"+name, "-")
	if marked {
		sum := sha256.Sum256([]byte(owner))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	return name
}

// packFormats are the files of a part, by extension.
var packFormats = []struct {
	ext, title string
	write      func(*bufio.Writer, *Plan, lang.Language) error
}{
	{"html", "page", writeHTML},
	{"csv", "CSV", func(w *bufio.Writer, p *Plan, _ lang.Language) error { return writeCSV(w, p, false) }},
	{"xlsx", "Excel", func(w *bufio.Writer, p *Plan, in lang.Language) error { return writeWorkbook(w, p, sheetRows, in) }},
}

// WritePack writes an index and the files of every part into a folder, which is
// made; one that is there must be empty. It appears whole or not at all. Its
// pages and workbooks speak the language; its CSV does not.
func WritePack(dir string, plan *Plan, in lang.Language) ([]Part, error) {
	parts, err := plan.Split()
	if err != nil {
		return nil, err
	}
	// What the pack takes the place of below is an empty folder and nothing else:
	// no file of anybody's, no device, and no link.
	switch info, err := os.Lstat(dir); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("plan: pack: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("%w: %s; name a new one", ErrNoFolder, dir)
	default:
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("plan: pack: %w", err)
		}
		if len(entries) > 0 {
			return nil, fmt.Errorf("%w: %s holds %d files; name a new one", ErrNotEmpty, dir, len(entries))
		}
	}
	above := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(above, 0o755); err != nil {
		return nil, fmt.Errorf("plan: pack: %w", err)
	}
	made, err := os.MkdirTemp(above, ".shenscan-pack-*")
	if err != nil {
		return nil, fmt.Errorf("plan: pack: %w", err)
	}
	err = writeParts(made, plan, parts, in)
	if err == nil {
		if err = os.Remove(dir); errors.Is(err, os.ErrNotExist) { // an empty one gives way
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("plan: pack: %w", err), os.RemoveAll(made))
	}
	return parts, nil
}

func writeParts(dir string, plan *Plan, parts []Part, in lang.Language) error {
	for i := range parts {
		for _, f := range packFormats {
			if err := writeFile(filepath.Join(dir, parts[i].File+"."+f.ext), func(w *bufio.Writer) error { return f.write(w, parts[i].Plan, in) }); err != nil {
				return fmt.Errorf("%s: %w", parts[i].File, err)
			}
		}
	}
	if err := writeFile(filepath.Join(dir, "index.csv"), func(w *bufio.Writer) error { return writeIndexCSV(w, plan, parts) }); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "index.html"), func(w *bufio.Writer) error { return writeIndex(w, plan, parts, in) })
}

func writeFile(path string, write func(*bufio.Writer) error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it holds what a whole team runs
	if err != nil {
		return err
	}
	writer := bufio.NewWriterSize(file, 64<<10)
	err = write(writer)
	if err == nil {
		err = writer.Flush()
	}
	return errors.Join(err, file.Close())
}

func writeIndexCSV(w io.Writer, plan *Plan, parts []Part) error {
	out := csv.NewWriter(w)
	head := []string{"owner", "file", "instances"}
	for _, wave := range plan.Waves {
		head = append(head, string(wave.ID))
	}
	rows := [][]string{append(head, "completeness")}
	for i := range parts {
		row := []string{report.FormulaSafe(parts[i].Owner), parts[i].File, strconv.Itoa(parts[i].Plan.Instances)}
		for _, wave := range parts[i].Plan.Waves {
			row = append(row, strconv.Itoa(wave.Instances))
		}
		rows = append(rows, append(row, plan.Completeness))
	}
	return out.WriteAll(rows)
}

func writeIndex(w io.Writer, plan *Plan, parts []Part, in lang.Language) error {
	layout, err := report.Templates(in).Funcs(template.FuncMap{
		"ownerName": func(name string) string { return sayOwner(in, name) }, "capital": report.Capital,
	}).Parse(in.Template(indexPage))
	if err != nil {
		return err
	}
	type format struct{ Ext, Title string }
	var formats []format
	for _, f := range packFormats {
		formats = append(formats, format{f.ext, in.Say(f.title)})
	}
	css := report.Stylesheet()
	return layout.ExecuteTemplate(w, "index", struct {
		CSP     string
		CSS     template.CSS
		Plan    *Plan
		Parts   []Part
		Formats []format
	}{report.Inline(css, ""), template.CSS(css), plan, parts, formats})
}
