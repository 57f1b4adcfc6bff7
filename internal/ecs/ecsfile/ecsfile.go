// Package ecsfile answers as ecs.API from files of saved API answers, so that
// a fleet can be judged without keys or network. It refuses to guess: what the
// files do not say is not known, a listing that they hold only a part of is
// never whole, and an image that is not in them is not taken for deleted.
package ecsfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// unnamed is the region of rows that name neither a region nor a zone.
const unnamed = "unknown"

// Source holds what the files say. It does not change once it is open.
type Source struct {
	account string
	regions map[string]*region
	images  map[string]rules.ImageFacts
	types   []ecs.InstanceType

	// Files is how many files were read.
	Files int
	// Skipped says which JSON objects are answers of other actions, by file and
	// line; there may be more, which SkippedMore counts.
	Skipped     []string
	SkippedMore int
}

var _ ecs.API = (*Source)(nil)

// region is what the files say of one region.
type region struct {
	rows    []ecs.Instance // by creation time, then id
	created []time.Time    // of each row; zero where it cannot be read
	counted int            // what the answers count, at least as many as there are rows
	doubts  []string       // why there may be more
}

// Counts says how many instances, images and instance types the files hold.
func (s *Source) Counts() (instances, images, types int) {
	for _, r := range s.regions {
		instances += len(r.rows)
	}
	return instances, len(s.images), len(s.types)
}

// HasTypes reports whether the files hold instance types.
func (s *Source) HasTypes() bool { return len(s.types) > 0 }

const (
	actInstances = "DescribeInstances"
	actTypes     = "DescribeInstanceTypes"
)

// allowed refuses what no call of the API would be answered for.
func (s *Source) allowed(ctx context.Context, action string, scope ecs.Scope) (*region, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if scope.Account != s.account {
		return nil, &ecs.Error{
			Action: action, Scope: scope, Class: ecs.BadRequest, Err: fmt.Errorf("the saved answers stand for account %q", s.account),
			Mend: "name it with --account",
		}
	}
	region := s.regions[scope.Region]
	if region == nil {
		return nil, &ecs.Error{
			Action: action, Scope: scope, Class: ecs.RegionClosed, Err: errors.New("the saved answers hold no instance of this region"),
			Mend: "they hold instances of " + strings.Join(s.regionIDs(), ", "),
		}
	}
	return region, nil
}

func (s *Source) regionIDs() []string { return slices.Sorted(maps.Keys(s.regions)) }

// Regions implements ecs.API: those that the saved instances are in.
func (s *Source) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	ids := s.regionIDs()
	if _, err := s.allowed(ctx, "DescribeRegions", ecs.Scope{Account: account, Region: ids[0]}); err != nil {
		return nil, err
	}
	out := make([]ecs.Region, len(ids))
	for i, id := range ids {
		out[i] = ecs.Region{ID: id}
	}
	return out, nil
}

// matching is the part of the rows that were created within the bounds of query,
// both inclusive. A row whose creation time cannot be read is in the part that
// has no lower bound.
func (r *region) matching(query ecs.Query) (from, to int) {
	to = len(r.rows)
	if !query.CreatedFrom.IsZero() {
		from, _ = slices.BinarySearchFunc(r.created, query.CreatedFrom, time.Time.Compare)
	}
	if !query.CreatedTo.IsZero() {
		to, _ = slices.BinarySearchFunc(r.created, query.CreatedTo.Add(1), time.Time.Compare)
	}
	return from, max(from, to)
}

// Instances implements ecs.API. The last page of a listing carries the doubts
// of its region.
func (s *Source) Instances(ctx context.Context, scope ecs.Scope, query ecs.Query) (*ecs.Page, error) {
	region, err := s.allowed(ctx, actInstances, scope)
	if err != nil {
		return nil, err
	}
	page := &ecs.Page{Asked: time.Now()}
	if len(query.InstanceIDs) > 0 {
		if len(query.InstanceIDs) > ecs.MaxPage {
			return nil, &ecs.Error{
				Action: actInstances, Scope: scope, Class: ecs.BadRequest,
				Err: fmt.Errorf("%d instance ids are more than the %d that one call takes", len(query.InstanceIDs), ecs.MaxPage),
			}
		}
		for i := range region.rows {
			if slices.Contains(query.InstanceIDs, region.rows[i].ID) {
				page.Instances = append(page.Instances, region.rows[i])
			}
		}
		page.Doubt = region.doubt(scope)
		return page, nil
	}
	from, to := region.matching(query)
	if query.NextToken != "" {
		at, err := strconv.Atoi(query.NextToken)
		if err != nil || at <= from || at >= to {
			return nil, &ecs.Error{Action: actInstances, Scope: scope, Class: ecs.TokenExpired, Err: errors.New("the NextToken is none of this listing")}
		}
		from = at
	}
	end := min(from+ecs.MaxPage, to)
	page.Instances = slices.Clone(region.rows[from:end])
	if end < to {
		page.NextToken = strconv.Itoa(end)
	} else {
		page.Doubt = region.doubt(scope)
	}
	return page, nil
}

func (r *region) doubt(scope ecs.Scope) *ecs.Error {
	if len(r.doubts) == 0 {
		return nil
	}
	return &ecs.Error{
		Action: actInstances, Scope: scope, Class: ecs.Contradicted, Err: errors.New(strings.Join(r.doubts, "; ")),
		Mend: "save every page of the listing (aliyun ecs DescribeInstances --RegionId " + scope.Region + " --PageSize 100 --PageNumber 1, 2, …) and name all files",
	}
}

// CountInstances implements ecs.API: of a whole region, what its answers count.
func (s *Source) CountInstances(ctx context.Context, scope ecs.Scope, query ecs.Query) (int, error) {
	region, err := s.allowed(ctx, actInstances, scope)
	if err != nil {
		return 0, err
	}
	if query.CreatedFrom.IsZero() && query.CreatedTo.IsZero() {
		return region.counted, nil
	}
	from, to := region.matching(query)
	return to - from, nil
}

// VerifyAccess implements ecs.API.
func (s *Source) VerifyAccess(ctx context.Context, scope ecs.Scope) error {
	_, err := s.allowed(ctx, actInstances, scope)
	return err
}

// Images implements ecs.API. An image that is not in the files was not asked
// for: it may well be there.
func (s *Source) Images(ctx context.Context, scope ecs.Scope, ids []string) ([]ecs.Image, error) {
	if _, err := s.allowed(ctx, "DescribeImages", scope); err != nil {
		return nil, err
	}
	out := make([]ecs.Image, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, ecs.Image{ID: id, Facts: s.images[id]})
		}
	}
	return out, nil
}

// MissingImages is how many distinct images the instances name that the files
// do not hold.
func (s *Source) MissingImages() int {
	missing := map[string]bool{}
	for _, r := range s.regions {
		for i := range r.rows {
			id := r.rows[i].ImageID
			if _, known := s.images[id]; !known && id != "" {
				missing[id] = true
			}
		}
	}
	return len(missing)
}

// InstanceTypes implements ecs.API.
func (s *Source) InstanceTypes(ctx context.Context, account string) ([]ecs.InstanceType, error) {
	scope := ecs.Scope{Account: account, Region: s.regionIDs()[0]}
	if _, err := s.allowed(ctx, actTypes, scope); err != nil {
		return nil, err
	}
	if len(s.types) == 0 {
		return nil, &ecs.Error{Action: actTypes, Scope: scope, Class: ecs.BadRequest, Err: errors.New("the saved answers hold none of DescribeInstanceTypes")}
	}
	return slices.Clone(s.types), nil
}

// Stock implements ecs.API: saved answers do not say what is sold now.
func (s *Source) Stock(ctx context.Context, scope ecs.Scope, _ ecs.StockQuery) ([]ecs.ZoneStock, error) {
	const action = "DescribeAvailableResource"
	if _, err := s.allowed(ctx, action, scope); err != nil {
		return nil, err
	}
	return nil, &ecs.Error{Action: action, Scope: scope, Class: ecs.BadRequest, Err: errors.New("saved answers do not say what is sold now")}
}

// minute is how ECS spells a creation time.
const minute = "2006-01-02T15:04Z"

// sort orders the rows for queries.
func (r *region) sort() {
	created := func(x *ecs.Instance) time.Time {
		at, err := time.Parse(minute, x.CreationTime)
		if err != nil {
			return time.Time{}
		}
		return at
	}
	slices.SortFunc(r.rows, func(a, b ecs.Instance) int {
		return cmp.Or(created(&a).Compare(created(&b)), cmp.Compare(a.ID, b.ID))
	})
	r.created = make([]time.Time, len(r.rows))
	for i := range r.rows {
		r.created[i] = created(&r.rows[i])
	}
}
