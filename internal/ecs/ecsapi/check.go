package ecsapi

import (
	"context"
	"errors"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Permission is what Check found about one needed permission.
type Permission struct {
	Action string // RAM action, "ecs:DescribeInstances"
	// Granted is true when a call proved it. When it is false, Err tells a
	// refusal (ecs.ClassOf(Err) is ecs.Permission) from a call that could not
	// be made.
	Granted bool
	Err     error
	// Optional permissions are those that a scan does without.
	Optional bool
	// Untried says why nothing was asked, where there was nothing to ask about.
	Untried string
}

// Missing reports whether the permission is known to be absent.
func (p Permission) Missing() bool { return !p.Granted && ecs.ClassOf(p.Err) == ecs.Permission }

// Check proves, with calls that read next to nothing, which of the needed
// permissions the credentials have in a scope: DescribeInstances by a dry
// run, because without permission the API may answer with an empty list.
func (c *Client) Check(ctx context.Context, scope ecs.Scope) []Permission {
	probes := []struct {
		action string
		call   func() error
	}{
		{actRegions, func() error { _, err := c.Regions(ctx, scope.Account); return err }},
		{actInstances, func() error { return c.VerifyAccess(ctx, scope) }},
		{actImages, func() error { _, _, err := c.countImages(ctx, scope); return err }},
		{actTypes, func() error {
			_, err := ask(ctx, c, scope, ecsRequest(actTypes, "MaxResults", "10"), decoding((*wireTypes).page))
			return err
		}},
	}
	out := make([]Permission, 0, len(probes))
	for _, p := range probes {
		err := p.call()
		out = append(out, Permission{Action: permissionOf(p.action), Granted: err == nil, Err: err})
		if e, ok := errors.AsType[*ecs.Error](err); ok && e.Class == ecs.Credentials {
			break // the others would fail alike
		}
	}
	if len(out) == len(probes) {
		list, versions := c.checkTemplates(ctx, scope)
		untried, changes := c.probeChanges(ctx, scope)
		_, disks := (&diskLister{c: c, scope: scope}).count(ctx)
		for _, p := range []struct {
			action  string
			err     error
			untried string
		}{{actTemplates, list, ""}, {actVersions, versions, ""}, {actDisks, disks, ""}, {actChanges, changes, untried}} {
			if p.err != nil || p.untried != "" {
				out = append(out, Permission{Action: permissionOf(p.action), Err: p.err, Optional: true, Untried: p.untried})
			}
		}
	}
	return out
}

// probeChanges asks about the change of some instance of the scope, where there is one.
// An answer that is not believed was given all the same.
func (c *Client) probeChanges(ctx context.Context, scope ecs.Scope) (untried string, err error) {
	found, err := c.list(ctx, scope, ecsRequest(actInstances, "RegionId", scope.Region, "MaxResults", "1"))
	if err != nil { // that is no refusal of the change
		return "no instance could be listed that could be asked about", nil
	}
	if len(found.instances) == 0 {
		return "no instance was listed that could be asked about", nil
	}
	some := &found.instances[0]
	_, err = c.TypeChanges(ctx, scope, ecs.ChangeQuery{Instance: some.ID, Zone: some.Zone})
	if err != nil && ecs.ClassOf(err) == ecs.Contradicted {
		err = nil
	}
	return "", err
}
