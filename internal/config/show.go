package config

import (
	"bytes"
	"fmt"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// secret stands where a value is nobody's business.
const secret = "<secret>"

// Show writes the settings of set and file as a configuration file in which a
// comment says where each comes from. Values that let somebody in are masked;
// mask does so for the texts of flags.
func Show(set *pflag.FlagSet, file *File, mask func(string) string) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	add := func(name string, value *yaml.Node, comment string) {
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
		if value.Kind == yaml.ScalarNode || len(value.Content) == 0 {
			value.LineComment = comment
		} else {
			key.HeadComment = comment
		}
		root.Content = append(root.Content, key, value)
	}
	var failed error
	set.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" || flag.Name == "config" {
			return
		}
		value := &yaml.Node{}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			value.Kind, value.Style = yaml.SequenceNode, yaml.FlowStyle
			for _, v := range list.GetSlice() {
				value.Content = append(value.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: mask(v)})
			}
		} else if err := value.Encode(mask(flag.Value.String())); err != nil {
			failed = fmt.Errorf("--%s: %w", flag.Name, err)
			return
		}
		add(Key(flag.Name), value, source(flag))
	})
	if failed != nil {
		return nil, failed
	}
	for _, part := range []struct {
		name string
		is   any
		any  bool
	}{
		{"accounts", hidden(file.Accounts), len(file.Accounts.List)+len(file.Accounts.Exclude) > 0},
		{"resource_directory", Directory{file.Directory.RoleName, hide(file.Directory.ExternalID)}, file.Directory != Directory{}},
		{"schedules", file.Schedules, file.Schedules != nil},
		{"plan_windows", file.PlanWindows, len(file.PlanWindows) > 0},
	} {
		if !part.any {
			continue
		}
		value := &yaml.Node{}
		if err := value.Encode(part.is); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		add(part.name, value, "file")
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

func hide(s string) string {
	if s == "" {
		return ""
	}
	return secret
}

// hidden are accounts without what their owners keep to themselves.
func hidden(accounts Accounts) Accounts {
	list := make([]Account, len(accounts.List))
	for i, x := range accounts.List {
		x.ExternalID = hide(x.ExternalID)
		list[i] = x
	}
	accounts.List = list
	return accounts
}
