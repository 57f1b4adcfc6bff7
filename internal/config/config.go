// Package config reads shenscan's settings: a strict YAML file under the
// environment under the flags. Flags are the one list of settings; the file and
// the environment spell the same names. It decides nothing about what a
// setting means.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/internal/filter"
)

// Account is one entry of accounts: in the file.
type Account struct {
	Name          string `yaml:"name"`            // what people call it, beside its id; default the id in role_arn
	RoleARN       string `yaml:"role_arn"`        // acs:ram::1234567890123456:role/shenscan
	ExternalID    string `yaml:"external_id"`     // where the role's trust policy demands one
	SessionName   string `yaml:"session_name"`    // default shenscan
	AccessKeyFile string `yaml:"access_key_file"` // JSON file with keys of the account's own
}

// Directory is resource_directory: in the file: every member account is
// scanned with a role of the same name.
type Directory struct {
	RoleName   string `yaml:"role_name"`
	ExternalID string `yaml:"external_id"`
}

// Schedule is one entry of schedules: in the file.
type Schedule struct {
	Name     string   `yaml:"name"`
	Cron     string   `yaml:"cron"` // six fields, seconds first: "0 0 3 * * *"
	Zone     string   `yaml:"zone"` // "Asia/Shanghai"; default UTC
	Accounts []string `yaml:"accounts"`
	Regions  []string `yaml:"regions"`
}

// PlanWindow is one entry of plan_windows: in the file: when instances that the
// words of the filter fit are moved.
type PlanWindow struct {
	Name       string   `yaml:"name"`
	From       string   `yaml:"from"`  // a day, 2026-12-01; "" for none
	Until      string   `yaml:"until"` // a day, included
	Account    []string `yaml:"account"`
	Region     []string `yaml:"region"`
	Tag        []string `yaml:"tag"`
	Family     []string `yaml:"family"`
	OS         []string `yaml:"os"`
	Verdict    []string `yaml:"verdict"`
	Confidence []string `yaml:"confidence"`
	Exclude    []string `yaml:"exclude"`
}

// Accounts is accounts: in the file: a list, or an object with the list and
// the accounts that are left alone.
type Accounts struct {
	List    []Account `yaml:"list"`
	Exclude []string  `yaml:"exclude"` // ids or names; they stand in every report
}

// UnmarshalYAML reads both forms and refuses unknown names in them.
func (a *Accounts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return strict(node, &a.List)
	}
	type object Accounts // has no UnmarshalYAML
	return strict(node, (*object)(a))
}

// strict decodes n and refuses unknown names in it, which Node.Decode would
// pass over.
func strict(n *yaml.Node, into any) error {
	body, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	return dec.Decode(into)
}

// File is what only the file can say.
type File struct {
	Accounts  Accounts   `yaml:"accounts"`
	Directory Directory  `yaml:"resource_directory"`
	Schedules []Schedule `yaml:"schedules"`
	// PlanWindows are in order: the first that fits an instance counts.
	PlanWindows []PlanWindow `yaml:"plan_windows"`
}

// structured are the keys of File; every other key of the file is a flag.
var structured = map[string]bool{"accounts": true, "resource_directory": true, "schedules": true, "plan_windows": true}

// EnvPrefix begins the environment variable of every flag: --nats-url is
// SHENSCAN_NATS_URL.
const EnvPrefix = "SHENSCAN_"

// Key is how the file spells the flag of that name, and, in capitals behind
// EnvPrefix, the environment.
func Key(flag string) string { return strings.NewReplacer("-", "_", ".", "_").Replace(flag) }

// Apply fills every flag of set that the command line left alone from the
// environment (getenv), else from the file at path ("" for none). names are the keys of the
// flags of all commands: the one file serves all of them. It
// reports every mistake, with its line.
func Apply(set *pflag.FlagSet, names []string, path string, getenv func(string) (string, bool)) (*File, error) {
	file := &File{}
	values := map[string][]string{}
	var errs []error
	if path != "" {
		var err error
		if file, values, err = read(path, names); err != nil {
			errs = append(errs, err)
		}
	}
	set.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			return
		}
		env := EnvPrefix + strings.ToUpper(Key(flag.Name))
		if v, ok := getenv(env); ok && v != "" {
			if err := assign(set, flag, []string{v}); err != nil {
				errs = append(errs, fmt.Errorf("%s in the environment: %w", env, err))
			}
			notTyped(flag, "environment "+env)
			return
		}
		if v, ok := values[Key(flag.Name)]; ok {
			if err := assign(set, flag, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", path, Key(flag.Name), err))
			}
			notTyped(flag, "file "+path)
		}
	})
	return file, errors.Join(errs...)
}

// fromElsewhere marks flags whose value the environment or the file gave.
const fromElsewhere = "shenscan.from-elsewhere"

func notTyped(flag *pflag.Flag, from string) {
	if flag.Annotations == nil {
		flag.Annotations = map[string][]string{}
	}
	flag.Annotations[fromElsewhere] = []string{from}
}

// source says where the value of a flag comes from.
func source(flag *pflag.Flag) string {
	switch from := flag.Annotations[fromElsewhere]; {
	case len(from) > 0:
		return from[0]
	case flag.Changed:
		return "flag"
	}
	return "default"
}

// Typed says whether the flag stands on the command line. What stands there
// wins over settings of the environment or the file that it goes not together
// with; two flags that were both typed are a mistake.
func Typed(set *pflag.FlagSet, name string) bool {
	flag := set.Lookup(name)
	if flag == nil || !flag.Changed {
		return false
	}
	_, elsewhere := flag.Annotations[fromElsewhere]
	return !elsewhere
}

// byCluster are variables that Kubernetes sets in every container for Services
// whose name begins with shenscan.
var byCluster = regexp.MustCompile(`^SHENSCAN_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST=|SERVICE_PORT(?:_[A-Z0-9_]+)?=|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?=|PORT=[a-z]+://)`)

// CheckEnv refuses variables of this program's prefix that nothing reads: a
// misspelt one would otherwise be a setting that is silently not in force. names
// are those that there are, without the prefix, in capitals.
func CheckEnv(environ, names []string) error {
	var errs []error
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, EnvPrefix)
		if !ours || slices.Contains(names, rest) || byCluster.MatchString(entry) {
			continue
		}
		var known []string
		for _, n := range names {
			known = append(known, EnvPrefix+n)
		}
		errs = append(errs, fmt.Errorf("%s in the environment is read by nothing%s", name, filter.Nearest(name, known)))
	}
	return errors.Join(errs...)
}

// assign sets a flag to the values of the file or of the environment. Those of a list
// replace its default, whereas pflag's Set would add to it from the second call on.
func assign(set *pflag.FlagSet, flag *pflag.Flag, values []string) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok && len(values) != 1 {
		flag.Changed = true
		return list.Replace(values)
	}
	if len(values) != 1 {
		return fmt.Errorf("takes one value and has %d", len(values))
	}
	return set.Set(flag.Name, values[0])
}

func read(path string, names []string) (*File, map[string][]string, error) {
	file, values := &File{}, map[string][]string{}
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, values, fmt.Errorf("configuration file %s does not exist; name another with --config", path)
	}
	if err != nil {
		return file, values, fmt.Errorf("configuration file: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return file, values, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return file, values, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return file, values, fmt.Errorf("%s:%d: the file is not a list of `name: value` settings", path, root.Line)
	}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case structured[key.Value]:
			if err := decodeStrict(file, key, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
			}
		case !slices.Contains(names, key.Value):
			errs = append(errs, fmt.Errorf("%s:%d: no setting is called %q; `shenscan help` lists the flags, spelt here with _%s", path, key.Line, key.Value, nearestKey(key.Value, names)))
		default:
			list, err := scalars(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %s: %w", path, value.Line, key.Value, err))
			}
			values[key.Value] = list
		}
	}
	return file, values, errors.Join(errs...)
}

// nearestKey names the setting that was meant, where one is near.
func nearestKey(key string, names []string) string {
	if s := filter.Nearest(key, append(slices.Sorted(maps.Keys(structured)), names...)); strings.Contains(s, "did you mean") {
		return s
	}
	return ""
}

// decodeStrict decodes one structured key and refuses unknown names in it.
func decodeStrict(file *File, key, value *yaml.Node) error {
	if err := strict(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}}, file); err != nil {
		return fmt.Errorf("in %s (line %d): %w", key.Value, key.Line, err)
	}
	return nil
}

func scalars(node *yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return nil, errors.New("has no value")
		}
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		out := []string{}
		for _, c := range node.Content {
			if c.Kind != yaml.ScalarNode {
				return nil, errors.New("takes a list of plain values")
			}
			out = append(out, c.Value)
		}
		return out, nil
	}
	return nil, errors.New("takes a plain value or a list of plain values")
}
