package ecsapi

import (
	"context"
	"fmt"
	"strconv"

	"github.com/shenscan/shenscan/internal/ecs"
)

const (
	templatePage    = 50 // the most that one answer lists
	maxVersions     = 10 // that are asked for in one call
	maxTemplateName = 128
)

var _ ecs.TemplateAPI = (*Client)(nil)

// LaunchTemplates implements ecs.TemplateAPI.
func (c *Client) LaunchTemplates(ctx context.Context, scope ecs.Scope) (*ecs.LaunchTemplates, error) {
	out := &ecs.LaunchTemplates{}
	seen, promised := map[string]ecs.LaunchTemplate{}, false // that another page brings others
	for page := 1; len(out.List) < ecs.MaxTemplates; page++ {
		req := asideRequest(actTemplates, "RegionId", scope.Region, "PageNumber", strconv.Itoa(page), "PageSize", strconv.Itoa(templatePage))
		got, err := ask(ctx, c, scope, req, decodingRest((*wireTemplates).ended))
		if err != nil {
			return nil, err
		}
		before := len(out.List)
		more, err := got.addTo(out, seen, scope)
		if err != nil {
			return nil, err
		}
		out.Calls++
		switch fresh := len(out.List) > before; {
		case fresh && (more || got.goesOn):
			promised = got.goesOn
		case got.goesOn, promised && !fresh:
			return nil, badTemplates(actTemplates, scope, got.RequestID, "it says that there are more launch templates, and not where")
		default:
			return out, nil
		}
	}
	return out, nil
}

// ended notes whether the answer says that there are more.
func (m *wireTemplates) ended(rest present) (out wireTemplates, err error) {
	more, err := goesOn(rest)
	m.goesOn = more || m.NextToken != ""
	return *m, err
}

// addTo adds an answer to the list; more says that another may bring others.
func (m *wireTemplates) addTo(out *ecs.LaunchTemplates, seen map[string]ecs.LaunchTemplate, scope ecs.Scope) (more bool, err error) {
	doubt := func(format string, args ...any) error {
		return badTemplates(actTemplates, scope, m.RequestID, format, args...)
	}
	if !m.Sets.there && !m.TotalCount.there {
		return false, doubt("it has neither a list nor a count")
	}
	before, rows := len(out.List), m.Sets.v.Set
	for i := range rows {
		row := &rows[i]
		template := ecs.LaunchTemplate{ID: row.ID, Name: clip(row.Name, maxTemplateName), Default: int64(row.Default.v), Latest: int64(row.Latest.v)}
		had, twice := seen[row.ID]
		switch {
		case !sendableImage(row.ID): // ids of launch templates are made of the same characters
			return false, doubt("%q is no id of a launch template", clip(row.ID, 60))
		case row.Default.v < 1 || row.Latest.v < row.Default.v:
			return false, doubt("launch template %s has the default version %d and the latest %d", row.ID, row.Default.v, row.Latest.v)
		case twice && had.Default != template.Default:
			return false, doubt("launch template %s stands in it twice, with the default versions %d and %d", row.ID, had.Default, template.Default)
		case twice || len(out.List) == ecs.MaxTemplates:
			continue
		}
		seen[row.ID] = template
		out.List = append(out.List, template)
	}
	out.Counted = max(out.Counted, orNone(m.TotalCount), len(out.List), len(rows))
	return len(out.List) > before && (len(rows) >= templatePage || len(out.List) < out.Counted), nil
}

// wireTemplates is an answer of DescribeLaunchTemplates.
type wireTemplates struct {
	RequestID  string `json:"RequestId"`
	NextToken  string
	TotalCount count
	goesOn     bool
	Sets       maybe[struct {
		Set list[struct {
			ID      string `json:"LaunchTemplateId"`
			Name    string `json:"LaunchTemplateName"`
			Default count  `json:"DefaultVersionNumber"`
			Latest  count  `json:"LatestVersionNumber"`
		}] `json:"LaunchTemplateSet"`
	}] `json:"LaunchTemplateSets"`
}

// TemplateVersions implements ecs.TemplateAPI.
func (c *Client) TemplateVersions(ctx context.Context, scope ecs.Scope, template string, numbers []int64) ([]ecs.TemplateVersion, error) {
	if !sendableImage(template) || len(numbers) == 0 || len(numbers) > maxVersions {
		return nil, badRequest(actVersions, scope, fmt.Errorf("%d versions of %q cannot be asked for", len(numbers), clip(template, 60)))
	}
	req := asideRequest(actVersions, "RegionId", scope.Region, "LaunchTemplateId", template, "PageSize", strconv.Itoa(templatePage))
	for i, number := range numbers {
		req.set("LaunchTemplateVersion."+strconv.Itoa(i+1), strconv.FormatInt(number, 10))
	}
	got, err := ask(ctx, c, scope, req, asItIs[wireVersions])
	if err != nil {
		return nil, err
	}
	doubt := func(format string, args ...any) error {
		return badTemplates(actVersions, scope, got.RequestID, format, args...)
	}
	images := map[int64]string{}
	for _, row := range got.Sets.v.Set {
		image := row.Data.v.Image
		number := int64(row.Number.v)
		had, twice := images[number]
		switch {
		case row.Template != "" && row.Template != template:
			return nil, doubt("it is about launch template %q", clip(row.Template, 60))
		case image != "" && !sendableImage(image):
			return nil, doubt("version %d of launch template %s starts %q, which is no image", number, template, clip(image, 60))
		case twice && had != image:
			return nil, doubt("version %d of launch template %s stands in it twice, with two images", number, template)
		case !row.Data.there:
			continue // it says that there is a version, and not what it starts
		}
		images[number] = image
	}
	out := make([]ecs.TemplateVersion, len(numbers))
	for i, number := range numbers {
		image, there := images[number]
		if !there {
			return nil, doubt("it lacks version %d of launch template %s", number, template)
		}
		out[i] = ecs.TemplateVersion{Number: number, Image: image}
	}
	return out, nil
}

// wireVersions is an answer of DescribeLaunchTemplateVersions.
type wireVersions struct {
	RequestID string `json:"RequestId"`
	Sets      maybe[struct {
		Set list[struct {
			Template string `json:"LaunchTemplateId"`
			Number   count  `json:"VersionNumber"`
			Data     maybe[struct {
				Image string `json:"ImageId"`
			}] `json:"LaunchTemplateData"`
		}] `json:"LaunchTemplateVersionSet"`
	}] `json:"LaunchTemplateVersionSets"`
}

// badTemplates is an answer that cannot be believed.
func badTemplates(action string, scope ecs.Scope, requestID, format string, args ...any) error {
	return notBelieved(action, scope, requestID, "verdicts are not touched by it", "the answer is not believed: "+format, args...)
}

// checkTemplates reads one launch template and its default version, if there is
// one.
func (c *Client) checkTemplates(ctx context.Context, scope ecs.Scope) (list, versions error) {
	got, err := c.LaunchTemplates(ctx, scope)
	if err != nil || len(got.List) == 0 {
		return err, nil
	}
	_, err = c.TemplateVersions(ctx, scope, got.List[0].ID, []int64{got.List[0].Default})
	return nil, err
}
