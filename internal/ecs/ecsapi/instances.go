package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// minuteTime is how creation time filters are written.
const minuteTime = "2006-01-02T15:04Z"

// beforeECS is before any instance was created.
var beforeECS = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// instancesRequest writes a query; targeted calls name at most ecs.MaxPage
// ids.
func instancesRequest(s ecs.Scope, query ecs.Query) (*request, error) {
	req := ecsRequest(actInstances, "RegionId", s.Region, "AdditionalAttributes.1", "CURRENT_OS_NVME_SUPPORTED")
	if len(query.InstanceIDs) > ecs.MaxPage {
		return nil, fmt.Errorf("%d instance ids are more than the %d that one call takes", len(query.InstanceIDs), ecs.MaxPage)
	}
	if len(query.InstanceIDs) > 0 {
		ids, err := json.Marshal(query.InstanceIDs)
		if err != nil {
			return nil, err
		}
		req.set("InstanceIds", string(ids))
	}
	if query.CreatedFrom.IsZero() && !query.CreatedTo.IsZero() {
		// The filters are documented in this order, and whether they are read by
		// their keys or by their places is not.
		query.CreatedFrom = beforeECS
	}
	for place, f := range []struct {
		key string
		at  time.Time
	}{{"CreationStartTime", query.CreatedFrom}, {"CreationEndTime", query.CreatedTo}} {
		if !f.at.IsZero() {
			filter := "Filter." + strconv.Itoa(place+1)
			req.set(filter+".Key", f.key, filter+".Value", f.at.UTC().Format(minuteTime))
		}
	}
	return req, nil
}

// list asks for instances of a scope.
func (c *Client) list(ctx context.Context, scope ecs.Scope, req *request) (*listing, error) {
	return ask(ctx, c, scope, req, func(body []byte) (*listing, error) { return decodeListing(body, scope.Region) })
}

// probe asks for a page of instances by its number.
func (c *Client) probe(ctx context.Context, scope ecs.Scope, query ecs.Query, page int, size string) (*listing, error) {
	req, err := instancesRequest(scope, query)
	if err != nil {
		return nil, badRequest(actInstances, scope, err)
	}
	req.set("PageNumber", strconv.Itoa(page), "PageSize", size)
	return c.list(ctx, scope, req)
}

// Instances implements ecs.API.
func (c *Client) Instances(ctx context.Context, scope ecs.Scope, query ecs.Query) (*ecs.Page, error) {
	read := &reading{c: c, scope: scope, query: query, page: new(ecs.Page)}
	var err error
	if len(query.InstanceIDs) > 0 {
		err = read.named(ctx)
	} else {
		err = read.chained(ctx)
	}
	if err != nil {
		return nil, err
	}
	if read.unproved {
		if err := c.VerifyAccess(ctx, scope); err != nil {
			return nil, err
		}
		if len(read.page.Instances) == 0 {
			read.page.Asked = time.Now() // it shows nothing that could be too old
		}
	}
	if len(read.doubts) > 0 {
		read.page.Doubt = &ecs.Error{
			Action: actInstances, Scope: scope, Class: ecs.Contradicted, RequestID: read.page.RequestID,
			Err:  errors.New(strings.Join(read.doubts, "; ")),
			Mend: "nothing is taken for gone here; scan again, and if it stays so, show the request id to the cloud's support",
		}
	}
	return read.page, nil
}

// reading makes one page of as many calls as it takes.
type reading struct {
	c        *Client
	scope    ecs.Scope
	query    ecs.Query
	page     *ecs.Page
	doubts   []string
	unproved bool // the last answer was empty, which a refusal may look like
}

func (r *reading) doubt(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.doubts, text) {
		r.doubts = append(r.doubts, text)
	}
}

// ask makes one call. The first one's time and id are the page's.
func (r *reading) ask(ctx context.Context, ids []string, paging ...string) (*listing, error) {
	query := r.query
	query.InstanceIDs = ids
	req, err := instancesRequest(r.scope, query)
	if err != nil {
		return nil, badRequest(actInstances, r.scope, err)
	}
	req.set(paging...)
	answer, err := ask(ctx, r.c, r.scope, req, func(body []byte) (*listing, error) {
		answer, err := decodeListing(body, r.scope.Region)
		switch {
		case err != nil:
			return nil, err
		case answer.rows() > ecs.MaxPage:
			return nil, fmt.Errorf("the page holds %d instances, %d were asked for", answer.rows(), ecs.MaxPage)
		case len(answer.next) > maxToken || strings.HasPrefix(answer.next, numbered):
			return nil, errors.New("the NextToken is none")
		case answer.next != "" && answer.next == query.NextToken:
			return nil, errors.New("NextToken leads back to the same page")
		}
		return answer, nil
	})
	if err != nil {
		return nil, err
	}
	if r.page.Asked.IsZero() {
		r.page.Asked, r.page.RequestID = req.asked, answer.requestID
	}
	if answer.foreign > 0 {
		r.doubt("%d of %d instances that were listed for the region are of another one", answer.foreign, answer.rows())
	}
	if n := r.c.elsewhere(answer.instances, r.scope.Region); n > 0 {
		r.doubt("%d of %d instances that were listed for the region are in a zone of another one", n, answer.rows())
	}
	if answer.nameless > 0 {
		r.doubt("%d of %d instances that were listed have no usable id", answer.nameless, answer.rows())
	}
	r.unproved = answer.rows() == 0 && answer.next == ""
	return answer, nil
}

// elsewhere counts the instances of a region whose zone is one of another region
// of those that DescribeRegions named: its name begins with that of its region.
// Zones of regions that nobody named are left alone, for private clouds name them
// as they please.
func (c *Client) elsewhere(instances []ecs.Instance, region string) (n int) {
	for i := range instances {
		if zone := instances[i].Zone; zone != "" && !strings.HasPrefix(zone, region) && c.zoneOfAnother(zone, region) {
			n++
		}
	}
	return n
}

func (c *Client) zoneOfAnother(zone, region string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.regions {
		if strings.HasPrefix(zone, other) && !strings.HasPrefix(region, other) {
			return true
		}
	}
	return false
}

// maxToken bounds a NextToken, which travels in the query of the next call.
const maxToken = 4096

var fullPage = strconv.Itoa(ecs.MaxPage)

// maxNamed is how many calls the instances of one question by id may take. The
// fewest ids that any server is known to look at are 20 of a hundred.
const maxNamed = 12

// named reads instances by id. Ids that an answer does not hold are asked for
// again, without those that it does, until an answer holds none of them: some
// servers look at the first few ids only.
func (r *reading) named(ctx context.Context) error {
	rest := slices.Clone(r.query.InstanceIDs)
	for calls := 0; len(rest) > 0; calls++ {
		if calls == maxNamed {
			r.doubt("%d of %d instances that were asked for by id were answered in %d calls: no more are made", len(r.page.Instances), len(r.query.InstanceIDs), calls)
			return nil
		}
		listing, err := r.ask(ctx, rest, "MaxResults", fullPage)
		if err != nil {
			return err
		}
		before, unasked := len(rest), 0
		for i := range listing.instances {
			row := &listing.instances[i]
			if at := slices.Index(rest, row.ID); at >= 0 {
				rest = slices.Delete(rest, at, at+1)
				r.page.Instances = append(r.page.Instances, *row)
			} else if slices.Contains(r.query.InstanceIDs, row.ID) {
				r.again(row)
			} else {
				unasked++
			}
		}
		if unasked > 0 {
			r.doubt("the answer holds %d instances that were not asked for", unasked)
		}
		if len(rest) == before {
			if listing.total > listing.rows() {
				r.doubt("the answer counts %d of the instances and lists %d", listing.total, listing.rows())
			}
			return nil
		}
	}
	return nil
}

// again takes a further row of an instance that was answered already. Where it is
// not the same machine, neither of the two is believed.
func (r *reading) again(row *ecs.Instance) {
	at := slices.IndexFunc(r.page.Instances, func(x ecs.Instance) bool { return x.ID == row.ID })
	if at >= 0 && r.page.Instances[at].Judged() != row.Judged() {
		r.page.Instances = slices.Delete(r.page.Instances, at, at+1)
		r.doubt("instance %.64q is answered twice, with another system, image or type each time", row.ID)
	}
}

// chained reads one page of a listing.
func (r *reading) chained(ctx context.Context) error {
	if at, ok := parsePosition(r.query.NextToken); ok {
		_, err := r.byNumber(ctx, at)
		return err
	}
	listing, err := r.ask(ctx, nil, "MaxResults", fullPage, "NextToken", r.query.NextToken)
	if err != nil {
		return err
	}
	r.page.Instances, r.page.NextToken = listing.instances, listing.next
	if r.query.NextToken != "" {
		r.doubtEnd(listing)
		return nil
	}
	if !listing.cutShort() {
		return nil
	}
	return r.relist(ctx, listing)
}

// cutShort reports whether the first answer of a chain ends the chain although
// there must be more: it counts more instances than it lists. Where it does not
// count and has no NextToken at all, it comes from a server that may never have
// heard of one.
func (l *listing) cutShort() bool {
	return l.next == "" && (l.more || l.total > l.rows() || (l.total == ecs.NoCount && !l.chained && l.rows() > 0))
}

// relist begins the listing anew, by page number: the older way of paging is
// the only one that some servers know.
func (r *reading) relist(ctx context.Context, first *listing) error {
	asked, id := r.page.Asked, r.page.RequestID
	r.page.Asked = time.Time{}
	listing, err := r.byNumber(ctx, position{page: 1, total: ecs.NoCount})
	if ecs.ClassOf(err) == ecs.BadRequest && err != nil { // it does not know page numbers
		r.page.Asked, r.page.RequestID = asked, id
		if first.total > first.rows() {
			r.doubt("the only page counts %d instances and lists %d", first.total, first.rows())
		}
		r.doubtEnd(first)
		return nil
	}
	if err != nil {
		return err
	}
	if listing.rows() < first.rows() {
		r.doubt("a page by token lists %d instances and one by number %d", first.rows(), listing.rows())
		for i := range first.instances {
			x := &first.instances[i]
			if !slices.ContainsFunc(listing.instances, func(y ecs.Instance) bool { return y.ID == x.ID }) {
				r.page.Instances = append(r.page.Instances, *x)
			}
		}
	}
	return nil
}

// position is where a listing by page number goes on. It travels as the
// NextToken of a page.
type position struct {
	page  int
	read  int // rows of the pages before
	total int // what they counted
}

// numbered begins a token that is a position. No token of the API does.
const numbered = "\x00"

func (p position) token() string { return fmt.Sprintf("%s%d %d %d", numbered, p.page, p.read, p.total) }

func parsePosition(token string) (position position, ok bool) {
	if !strings.HasPrefix(token, numbered) {
		return position, false
	}
	_, err := fmt.Sscanf(token[len(numbered):], "%d %d %d", &position.page, &position.read, &position.total)
	return position, err == nil
}

// byNumber reads a page by its number.
func (r *reading) byNumber(ctx context.Context, at position) (*listing, error) {
	listing, err := r.ask(ctx, nil, "PageNumber", strconv.Itoa(at.page), "PageSize", fullPage)
	if err != nil {
		return nil, err
	}
	r.page.Instances, r.page.NextToken = listing.instances, ""
	if at.page > 1 && listing.total != at.total {
		r.doubt("the number of instances changed from %d to %d during a listing by page number, where an instance can slip past from page to page", at.total, listing.total)
	}
	read := at.read + listing.rows()
	switch {
	case listing.total >= 0 && read >= listing.total:
		r.unproved = listing.rows() == 0
	case listing.rows() > 0:
		r.page.NextToken = position{at.page + 1, read, listing.total}.token()
	case listing.total >= 0:
		r.doubt("%d instances are counted and %d listed", listing.total, read)
	}
	r.doubtEnd(listing)
	return listing, nil
}

// doubtEnd is for an answer that leads nowhere and says that there is more.
func (r *reading) doubtEnd(l *listing) {
	if l.more && r.page.NextToken == "" {
		r.doubt("the last of the answers says that there are more instances, and not where")
	}
}

// CountInstances implements ecs.API.
func (c *Client) CountInstances(ctx context.Context, scope ecs.Scope, q ecs.Query) (int, error) {
	page, err := c.probe(ctx, scope, q, 1, "1")
	if err != nil {
		return 0, err
	}
	return page.total, nil
}

// ListsUpTo reports how far a listing by page number reaches, as far as the page
// of the n-th instance tells: one call holds a count, or a chain of tokens, against
// the other way of paging. It is ecs.NoCount where the API takes no page of that
// number.
func (c *Client) ListsUpTo(ctx context.Context, scope ecs.Scope, n int) (int, error) {
	number := (n + ecs.MaxPage - 1) / ecs.MaxPage
	page, err := c.probe(ctx, scope, ecs.Query{}, number, fullPage)
	switch {
	case err != nil && ecs.ClassOf(err) == ecs.BadRequest:
		return ecs.NoCount, nil
	case err != nil:
		return 0, err
	}
	return (number-1)*ecs.MaxPage + page.rows(), nil
}

const dryRunAllowed = "DryRunOperation"

// VerifyAccess implements ecs.API.
func (c *Client) VerifyAccess(ctx context.Context, scope ecs.Scope) error {
	req := ecsRequest(actInstances, "RegionId", scope.Region, "DryRun", "true")
	req.expected = dryRunAllowed
	_, err := ask(ctx, c, scope, req, func([]byte) (struct{}, error) {
		return struct{}{}, errors.New("a dry run was answered as if it were none")
	})
	return err
}
