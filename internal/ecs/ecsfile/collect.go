package ecsfile

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
)

// collector puts the objects of all files together.
type collector struct {
	limits   Limits
	s        *Source
	at       map[rowKey]int // where a row stands in its region
	types    map[string]bool
	single   map[string]map[string]bool // ids by region of what comes as single items
	listings map[string]*listing
	doubts   []string // that hold for every region
	rows     int
	differ   map[string]int // by region
	nameless int
	failed   int // answers of failed calls
}

type rowKey struct{ region, id string }

// listing is the answers of DescribeInstances that count the same number of
// instances in the same regions: pages of one listing, as far as they tell.
type listing struct {
	total   int
	regions []string
	rows    map[rowKey]bool
	pages   map[int]bool
	size    int  // of a page by number
	short   bool // a page has fewer rows than its number and size say
	tokens  map[string]bool
	ended   bool // an answer has no NextToken
	goesOn  int  // the last page by number that says that there are more, math.MaxInt where it has no number
}

const (
	maxNamed    = 20   // doubts that are named
	maxFailed   = 2    // failed calls that are named
	maxSkipped  = 3    // skipped objects that are named
	maxListings = 1000 // far more than the regions that there are
)

// object takes one JSON object.
func (c *collector) object(file string, offset int64, object []byte) error {
	saved, err := ecsapi.DecodeSaved(object)
	if errors.Is(err, ecsapi.ErrFailedCall) {
		// It is a fact about the listing: something was asked and not answered.
		if c.failed++; c.failed <= maxFailed {
			c.doubt("%s, line %d: %v", file, lineAt(file, offset), err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if saved.Foreign {
		if len(c.s.Skipped) < maxSkipped {
			c.s.Skipped = append(c.s.Skipped, fmt.Sprintf("%s, line %d", file, lineAt(file, offset)))
		} else {
			c.s.SkippedMore++
		}
	}
	for _, img := range saved.Images {
		had, twice := c.s.images[img.ID]
		if had.Status = img.Facts.Status; twice && had != img.Facts { // which changes from day to day
			c.doubt("image %s stands in the files twice and is another each time, of which the later one is taken", clip(img.ID, 60))
		}
		c.s.images[img.ID] = img.Facts
	}
	for _, instanceType := range saved.Types {
		if !c.types[instanceType.ID] {
			c.types[instanceType.ID] = true
			c.s.types = append(c.s.types, instanceType)
		}
	}
	if len(c.s.images) > c.limits.Others || len(c.s.types) > c.limits.Others {
		return fmt.Errorf("more than %d images or instance types", c.limits.Others)
	}
	c.nameless += saved.Nameless
	keys := make([]rowKey, len(saved.Instances))
	for i := range saved.Instances {
		if keys[i], err = c.instance(&saved.Instances[i]); err != nil {
			return err
		}
	}
	if saved.Listing != nil {
		return c.listing(saved.Listing, keys, saved.Nameless)
	}
	for _, key := range keys {
		if c.single[key.region] == nil {
			c.single[key.region] = map[string]bool{}
		}
		c.single[key.region][key.id] = true
	}
	return nil
}

func (c *collector) doubt(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(c.doubts) < maxNamed && !slices.Contains(c.doubts, text) {
		c.doubts = append(c.doubts, text)
	}
}

// regionOf is the region of a row: the one that it names, or that of its zone.
func regionOf(saved *ecsapi.SavedInstance) (string, error) {
	name := saved.Region
	if name == "" {
		if at := strings.LastIndexByte(saved.Zone, '-'); at > 0 {
			name = saved.Zone[:at]
		}
	}
	if name == "" {
		return unnamed, nil
	}
	for i := range len(name) {
		ch := name[i]
		if len(name) > 64 || (ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '-' {
			return "", fmt.Errorf("instance %s: RegionId %q is no region id", clip(saved.ID, 60), clip(name, 60))
		}
	}
	return name, nil
}

func (c *collector) instance(saved *ecsapi.SavedInstance) (rowKey, error) {
	name, err := regionOf(saved)
	if err != nil {
		return rowKey{}, err
	}
	if n := textOf(&saved.Instance); n > c.limits.Text {
		return rowKey{}, fmt.Errorf("instance %s has %d bytes of text, more than the %d that are taken", clip(saved.ID, 60), n, c.limits.Text)
	}
	home := c.s.regions[name]
	if home == nil {
		home = new(region)
		c.s.regions[name] = home
	}
	key := rowKey{name, saved.ID}
	if at, twice := c.at[key]; twice {
		if !reflect.DeepEqual(home.rows[at], saved.Instance) {
			c.differ[name]++
			home.rows[at] = saved.Instance
		}
		return key, nil
	}
	if c.rows++; c.rows > c.limits.Instances {
		return key, fmt.Errorf("more than %d instances", c.limits.Instances)
	}
	c.at[key] = len(home.rows)
	home.rows = append(home.rows, saved.Instance)
	return key, nil
}

// listing files an answer of DescribeInstances with the others of its listing.
func (c *collector) listing(said *ecsapi.SavedListing, keys []rowKey, nameless int) error {
	in := map[string]bool{}
	for _, k := range keys {
		in[k.region] = true
	}
	regions := slices.Sorted(maps.Keys(in))
	name := fmt.Sprint(said.Total, regions)
	listed := c.listings[name]
	if listed == nil {
		if len(c.listings) == maxListings {
			return fmt.Errorf("more than %d listings", maxListings)
		}
		listed = &listing{total: said.Total, regions: regions, rows: map[rowKey]bool{}, pages: map[int]bool{}, tokens: map[string]bool{}}
		c.listings[name] = listed
	}
	for _, k := range keys {
		listed.rows[k] = true
	}
	if said.NextToken != "" {
		listed.tokens[said.NextToken] = true
	} else {
		listed.ended = true
		if said.GoesOn && said.PageNumber > 0 {
			listed.goesOn = max(listed.goesOn, said.PageNumber)
		} else if said.GoesOn {
			listed.goesOn = math.MaxInt
		}
	}
	if said.PageNumber <= 0 || said.PageSize <= 0 || said.Total < 0 {
		return nil
	}
	listed.pages[said.PageNumber], listed.size = true, max(listed.size, said.PageSize)
	if due := min(said.PageSize, said.Total-(said.PageNumber-1)*said.PageSize); len(keys)+nameless < due {
		listed.short = true
	}
	return nil
}

// end joins what belongs together and says of each region what speaks against
// its being whole.
func (c *collector) end() (*Source, error) {
	c.spreadEmpty()
	if len(c.s.regions) == 0 {
		return nil, c.nothing()
	}
	for _, l := range c.listings {
		for k := range l.rows {
			delete(c.single[k.region], k.id)
		}
	}
	doubts := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(c.listings)) {
		listing := c.listings[name]
		for _, text := range listing.doubts() {
			if len(listing.regions) == 0 {
				c.doubt("%s", text)
			}
			for _, name := range listing.regions {
				doubts[name] = append(doubts[name], text)
			}
		}
	}
	if c.nameless > 0 {
		c.doubt("instances in the files that have no usable id: %d", c.nameless)
	}
	if more := c.failed - maxFailed; more > 0 {
		c.doubt("answers of failed calls in the files beside these: %d", more)
	}
	for name, region := range c.s.regions {
		region.counted = len(region.rows)
		for _, l := range c.listings {
			if slices.Equal(l.regions, []string{name}) {
				region.counted = max(region.counted, l.total)
			}
		}
		region.doubts = append(region.doubts, doubts[name]...)
		if n := len(c.single[name]); n > 0 {
			region.doubts = append(region.doubts, fmt.Sprintf("as single items and not in a listing come %d of %d instances, which leaves open whether there are more", n, len(region.rows)))
		}
		if n := c.differ[name]; n > 0 {
			region.doubts = append(region.doubts, fmt.Sprintf("instances that stand in the files twice with different facts, of which the later ones are taken: %d", n))
		}
		region.doubts = append(region.doubts, c.doubts...)
		region.sort()
	}
	return c.s, nil
}

// spreadEmpty lets an answer without rows, which names no region, count as a
// page of every listing that counts the same.
func (c *collector) spreadEmpty() {
	maps.DeleteFunc(c.listings, func(_ string, empty *listing) bool {
		if len(empty.regions) > 0 {
			return false
		}
		joined := false
		for _, l := range c.listings {
			if len(l.regions) > 0 && l.total == empty.total {
				l.ended = l.ended || empty.ended
				l.goesOn = max(l.goesOn, empty.goesOn)
				maps.Copy(l.tokens, empty.tokens)
				maps.Copy(l.pages, empty.pages)
				joined = true
			}
		}
		return joined
	})
}

// nothing says why there is nothing to scan.
func (c *collector) nothing() error {
	switch {
	case len(c.doubts) > 0:
		return fmt.Errorf("the files hold no instance: %s", strings.Join(c.doubts, "; "))
	case len(c.listings) > 0:
		return errors.New("the files hold no instance: an empty answer names no region, and it is also what those get who may not look")
	case len(c.s.images)+len(c.s.types) > 0:
		return errors.New("the files hold no instance: add answers of DescribeInstances to those of DescribeImages and DescribeInstanceTypes")
	}
	return errors.New("the files hold no instance, image or instance type")
}

// doubts says what speaks against the listing's being whole.
func (l *listing) doubts() []string {
	var out []string
	if l.total > len(l.rows) {
		out = append(out, fmt.Sprintf("the answers count %d instances and the files hold %d of them", l.total, len(l.rows)))
	} else if pages := l.missingPages(); pages > 0 || l.short {
		out = append(out, fmt.Sprintf("pages are missing or cut short in a listing of %d instances", l.total))
	}
	if len(l.tokens) > 0 && !l.ended {
		out = append(out, "a NextToken is left over: a further page was not saved")
	}
	if last := slices.Max(append(slices.Collect(maps.Keys(l.pages)), 0)); l.goesOn > 0 && l.goesOn >= last {
		out = append(out, "the last answer says that there are more instances: a further page was not saved")
	}
	return out
}

// missingPages is how many of the pages by number are not there.
func (l *listing) missingPages() int {
	if l.size == 0 {
		return 0
	}
	return max((l.total+l.size-1)/l.size-len(l.pages), 0)
}
