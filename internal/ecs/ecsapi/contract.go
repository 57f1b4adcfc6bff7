package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Contract asks, with about twenty calls that read, how the API behaves where
// its documents leave it open. s is best a region with more than a hundred
// instances, empty one without any; the zero Scope skips what needs it.
func (c *Client) Contract(ctx context.Context, scope, empty ecs.Scope) (*ecs.Contract, error) {
	asking := &contractor{c: c, scope: scope, out: &ecs.Contract{Day: time.Now().UTC().Format(time.DateOnly)}}
	asking.paging(ctx)
	asking.filters(ctx)
	asking.tokens(ctx)
	asking.dryRuns(ctx, empty)
	asking.instanceIDs(ctx)
	asking.images(ctx)
	asking.offered(ctx)
	asking.directory(ctx)
	asking.throttling()
	if asking.err != nil {
		return nil, fmt.Errorf("the contract of %s: %w", scope, asking.err)
	}
	for _, q := range ecs.ContractQuestions() {
		contractAnswer := ecs.ContractAnswer{Question: q.ID, Detail: "not asked"}
		if got, ok := asking.seen[q.ID]; ok {
			contractAnswer = got
		}
		asking.out.Answers = append(asking.out.Answers, contractAnswer)
	}
	return asking.out, nil
}

// contractor gathers the answers of a contract.
type contractor struct {
	c     *Client
	scope ecs.Scope
	out   *ecs.Contract
	seen  map[string]ecs.ContractAnswer
	first *listing // the first full page
	total int
	err   error // that made going on pointless
}

// see notes an answer; the detail has numbers and codes, no ids and no names.
func (k *contractor) see(question, answer, detail string, args ...any) {
	if k.seen == nil {
		k.seen = map[string]ecs.ContractAnswer{}
	}
	k.seen[question] = ecs.ContractAnswer{Question: question, Answer: answer, Detail: fmt.Sprintf(detail, args...)}
}

// list asks for instances; code is what the API refused with.
func (k *contractor) list(ctx context.Context, scope ecs.Scope, kv ...string) (*listing, string) {
	req := ecsRequest(actInstances, append([]string{"RegionId", scope.Region}, kv...)...)
	listing, err := k.c.list(ctx, scope, req)
	return listing, k.refused(err)
}

// refused is the code of a refusal, "" for none. What is no answer to a question
// ends the asking.
func (k *contractor) refused(err error) string {
	failure, ok := errors.AsType[*ecs.Error](err)
	switch {
	case err == nil:
		return ""
	case ok && failure.Code != "" && failure.Class != ecs.Credentials && failure.Class != ecs.Throttled:
		return failure.Code
	}
	if k.err == nil {
		k.err = err
	}
	return err.Error()
}

func (k *contractor) paging(ctx context.Context) {
	counted, code := k.list(ctx, k.scope, "PageNumber", "1", "PageSize", "1")
	switch {
	case code != "":
		k.see(ecs.QuestionCount, "", "refused with %s", code)
	case counted.total == ecs.NoCount:
		k.see(ecs.QuestionCount, ecs.AnswerMissing, "")
	case counted.total == 0 && counted.rows() > 0:
		k.see(ecs.QuestionCount, ecs.AnswerZero, "%d rows", counted.rows())
	default:
		k.total = counted.total
		k.see(ecs.QuestionCount, ecs.AnswerGiven, "%d instances", counted.total)
	}
	first, code := k.list(ctx, k.scope, "MaxResults", fullPage)
	if code != "" {
		k.see(ecs.QuestionMaxResults, "", "refused with %s", code)
		return
	}
	k.first = first
	switch rows := first.rows(); {
	case rows > 10 || rows == k.total && first.next == "":
		k.see(ecs.QuestionMaxResults, ecs.AnswerKept, "%d rows", rows)
	case rows == 10 && k.total > 10:
		k.see(ecs.QuestionMaxResults, ecs.AnswerIgnored, "10 rows of %d", k.total)
	default:
		k.see(ecs.QuestionMaxResults, "", "%d rows of %d", rows, k.total)
	}
	beside := map[bool]string{true: ecs.AnswerGiven, false: ecs.AnswerZero}[first.total > 0]
	if first.total == ecs.NoCount {
		beside = ecs.AnswerMissing
	}
	k.see(ecs.QuestionCountToken, beside, "beside %d rows", first.rows())
	switch {
	case first.foreign > 0:
		k.see(ecs.QuestionRows, ecs.AnswerOthers, "%d of %d rows", first.foreign, first.rows())
	case first.rows() > 0:
		k.see(ecs.QuestionRows, ecs.AnswerOwn, "%d rows", first.rows())
	}
}

// between are the parameters of a creation-time filter.
func between(from, to string) []string {
	return []string{"Filter.1.Key", "CreationStartTime", "Filter.1.Value", from, "Filter.2.Key", "CreationEndTime", "Filter.2.Value", to}
}

// Two minutes before any instance was created.
const (
	longAgo   = "2000-01-01T00:00Z"
	longSince = "2000-01-01T00:01Z"
)

func (k *contractor) filters(ctx context.Context) {
	if k.first == nil || len(k.first.instances) == 0 {
		return
	}
	listed, code := k.list(ctx, k.scope, append(between(longAgo, longSince), "MaxResults", fullPage)...)
	counted, countCode := k.list(ctx, k.scope, append(between(longAgo, longSince), "PageNumber", "1", "PageSize", "1")...)
	if code != "" || countCode != "" {
		k.see(ecs.QuestionFilters, ecs.AnswerRefused, "with %s", code+countCode)
		return
	}
	switch {
	case listed.rows() > 0 && counted.rows() > 0:
		k.see(ecs.QuestionFilters, ecs.AnswerIgnored, "%d rows of before there were any", listed.rows())
		return
	case listed.rows() > 0:
		k.see(ecs.QuestionFilters, ecs.AnswerCounts, "%d rows listed and none counted of before there were any", listed.rows())
		return
	}
	k.see(ecs.QuestionFilters, ecs.AnswerNarrow, "no row of before there were any")
	k.bounds(ctx)
	swapped, code := k.list(ctx, k.scope, "Filter.1.Key", "CreationEndTime", "Filter.1.Value", longSince, "Filter.2.Key", "CreationStartTime", "Filter.2.Value", longAgo, "MaxResults", fullPage)
	switch {
	case code != "":
		k.see(ecs.QuestionOrder, ecs.AnswerRefused, "with %s", code)
	case swapped.rows() > 0:
		k.see(ecs.QuestionOrder, ecs.AnswerByPlace, "%d rows of before there were any", swapped.rows())
	default:
		k.see(ecs.QuestionOrder, ecs.AnswerAnyPlace, "")
	}
}

// bounds asks for the minute in which an instance was created, as the first and
// as the last one.
func (k *contractor) bounds(ctx context.Context) {
	instance := &k.first.instances[len(k.first.instances)/2]
	at, err := time.Parse(minuteTime, instance.CreationTime)
	if err != nil {
		k.see(ecs.QuestionStart, "", "the creation time is not of the documented form")
		return
	}
	for _, ask := range []struct {
		question string
		from, to time.Time
	}{{ecs.QuestionStart, at, at.Add(time.Minute)}, {ecs.QuestionEnd, at.Add(-time.Minute), at}} {
		question := ask.question
		listing, code := k.list(ctx, k.scope, append(between(ask.from.Format(minuteTime), ask.to.Format(minuteTime)), "MaxResults", fullPage)...)
		switch {
		case code != "":
			k.see(question, ecs.AnswerRefused, "with %s", code)
		case slices.ContainsFunc(listing.instances, func(y ecs.Instance) bool { return y.ID == instance.ID }):
			k.see(question, ecs.AnswerInclusive, "%d rows", listing.rows())
		case listing.next == "":
			k.see(question, ecs.AnswerExclusive, "%d rows", listing.rows())
		default:
			k.see(question, "", "more than %d rows in two minutes", listing.rows())
		}
		if code == "" && listing.rows() > 0 {
			k.lastToken(listing)
		}
	}
}

// lastToken looks for a token on a page that has room left.
func (k *contractor) lastToken(listing *listing) {
	switch {
	case listing.next == "" && k.seen[ecs.QuestionLastToken].Answer == "":
		k.see(ecs.QuestionLastToken, ecs.AnswerNone, "beside %d rows", listing.rows())
	case listing.next != "" && listing.rows() < ecs.MaxPage && k.seen[ecs.QuestionMaxResults].Answer == ecs.AnswerKept:
		k.see(ecs.QuestionLastToken, ecs.AnswerOne, "beside %d rows", listing.rows())
	}
}

func (k *contractor) tokens(ctx context.Context) {
	ask := func(question, token string, kv ...string) {
		req := ecsRequest(actInstances, append([]string{"RegionId", k.scope.Region, "NextToken", token}, kv...)...)
		_, err := k.c.list(ctx, k.scope, req)
		switch code := k.refused(err); {
		case err == nil:
			k.see(question, ecs.AnswerAccepted, "")
		case ecs.ClassOf(err) == ecs.TokenExpired:
			k.see(question, ecs.AnswerByCode, "with %s", code)
		default:
			k.see(question, ecs.AnswerRefused, "with %s, which is taken for %s", code, ecs.ClassOf(err))
		}
	}
	ask(ecs.QuestionUnknownToken, "AAAAAdDWBF2rubbJsW1UXhJRqFk4xvhpPbzGXpu7LF8=")
	if k.first != nil && k.first.next != "" {
		ask(ecs.QuestionForeignToken, k.first.next, "Status", "Stopped")
	}
}

func (k *contractor) dryRuns(ctx context.Context, empty ecs.Scope) {
	for _, ask := range []struct {
		question string
		scope    ecs.Scope
	}{{ecs.QuestionDryRun, k.scope}, {ecs.QuestionDryRunEmpty, empty}} {
		question, scope := ask.question, ask.scope
		if scope == (ecs.Scope{}) {
			k.see(question, "", "no region without instances was found")
			continue
		}
		if _, code := k.list(ctx, scope, "DryRun", "true"); code == "" {
			k.see(question, ecs.AnswerAccepted, "answered as if it were none")
		} else {
			k.see(question, code, "")
		}
	}
	k.see(ecs.QuestionDenied, "", "needs an identity without permission: run this with one and compare")
}

// manyIDs is how many ids a question asks for.
const manyIDs = 50

// ofAsked says what an answer holds of the ids that were asked for.
func ofAsked(asked, got []string) string {
	found := 0
	for _, id := range got {
		if !slices.Contains(asked, id) {
			return ecs.AnswerUnasked
		}
		found++
	}
	switch {
	case found == len(asked):
		return ecs.AnswerAll
	case found == 20 && !slices.ContainsFunc(asked[:20], func(id string) bool { return !slices.Contains(got, id) }):
		return ecs.AnswerFirst
	case found == 0:
		return ecs.AnswerEmpty
	}
	return ecs.AnswerFewer
}

// byID asks, with a way of asking for things by their ids, for many that are there and
// for one that is not.
func (k *contractor) byID(many, unknown, things, never string, there []string, ask func(ids ...string) (got []string, code string)) {
	if asked := there[:min(len(there), manyIDs)]; len(asked) <= 20 {
		k.see(many, "", "%d %s are too few", len(asked), things)
	} else if got, code := ask(asked...); code != "" {
		k.see(many, ecs.AnswerRefused, "with %s", code)
	} else {
		k.see(many, ofAsked(asked, got), "%d of %d", len(got), len(asked))
	}
	got, code := ask(never)
	switch {
	case code != "":
		k.see(unknown, ecs.AnswerRefused, "with %s", code)
	case len(got) > 0:
		k.see(unknown, ecs.AnswerUnasked, "%d %s", len(got), things)
	default:
		k.see(unknown, ecs.AnswerEmpty, "")
	}
}

func (k *contractor) instanceIDs(ctx context.Context) {
	var there []string
	if k.first != nil {
		there = listedIDs(k.first)
	}
	k.byID(ecs.QuestionInstanceIDs, ecs.QuestionUnknownID, "instances", "i-bp1thisneverwas00000", there, func(ids ...string) ([]string, string) {
		list, _ := json.Marshal(ids) // strings always encode
		got, code := k.list(ctx, k.scope, "InstanceIds", string(list), "MaxResults", fullPage)
		if code != "" {
			return nil, code
		}
		return append(listedIDs(got), make([]string, got.foreign+got.nameless)...), "" // others were not asked for
	})
}

func listedIDs(l *listing) []string {
	out := make([]string, len(l.instances))
	for i := range l.instances {
		out[i] = l.instances[i].ID
	}
	return out
}

// showImages asks for images.
func (k *contractor) showImages(ctx context.Context, kv ...string) (ids []string, code string) {
	plain := []string{"RegionId", k.scope.Region, "Status", imageStatuses, "ShowExpired", "true", "PageNumber", "1", "PageSize", "100"}
	got, err := k.c.listImages(ctx, k.scope, ecsRequest(actImages, append(plain, kv...)...))
	if err != nil {
		return nil, k.refused(err)
	}
	for _, img := range got.images {
		ids = append(ids, img.ID)
	}
	return ids, ""
}

func (k *contractor) images(ctx context.Context) {
	all, code := k.showImages(ctx)
	if code != "" {
		k.see(ecs.QuestionImageIDs, ecs.AnswerRefused, "with %s", code)
		return
	}
	k.byID(ecs.QuestionImageIDs, ecs.QuestionUnknownImage, "images", "m-bp1thisneverwas00000", all, func(ids ...string) ([]string, string) {
		return k.showImages(ctx, "ImageId", strings.Join(ids, ","))
	})
	k.owners(ctx)
}

// owners asks for images that must perhaps be asked for by their owner, and
// then for some of them without saying so.
func (k *contractor) owners(ctx context.Context) {
	hidden, shown := 0, 0
	for _, imageQuestion := range imageQuestions[1:] {
		kv := []string{"ImageOwnerAlias", imageQuestion.owner}
		if imageQuestion.public != "" {
			kv = append(kv, "IsPublic", imageQuestion.public)
		}
		theirs, code := k.showImages(ctx, kv...)
		if code != "" || len(theirs) == 0 {
			continue
		}
		asked := theirs[:min(len(theirs), 20)]
		plain, _ := k.showImages(ctx, "ImageId", strings.Join(asked, ","))
		for _, id := range asked {
			if slices.Contains(plain, id) {
				shown++
			} else {
				hidden++
			}
		}
	}
	switch {
	case hidden > 0:
		k.see(ecs.QuestionImageOwners, ecs.AnswerByAlias, "%d of %d", hidden, hidden+shown)
	case shown > 0:
		k.see(ecs.QuestionImageOwners, ecs.AnswerShown, "%d images", shown)
	default:
		k.see(ecs.QuestionImageOwners, "", "no such image can be seen from here")
	}
}

// maxLacking bounds the families that a contract names.
const maxLacking = 40

// offered compares on which families the platform offers its oldest and its newest
// public image. No document says by which rule it offers an image on a type; where the
// oldest lacks families, an answer says something of the image, and where it lacks
// none, it may be the same for every image. The ids of public images end with the day
// that they are of.
func (k *contractor) offered(ctx context.Context) {
	images, err := k.c.SystemImages(ctx, k.scope, "x86_64")
	if k.refused(err) != "" || len(images) < 2 {
		k.see(ecs.QuestionOffered, "", "no two public images for x86_64 were found")
		return
	}
	day := func(x ecs.Image) string { return publicDay.FindString(x.ID) }
	slices.SortFunc(images, func(a, b ecs.Image) int { return strings.Compare(day(a), day(b)) })
	families := func(image ecs.Image) (map[string]bool, int) {
		offered, err := k.c.OfferedFamilies(ctx, k.scope, image.ID)
		if code := k.refused(err); code != "" {
			k.see(ecs.QuestionOffered, ecs.AnswerRefused, "with %s", clip(code, 100))
			return nil, 0
		}
		out, types := map[string]bool{}, 0
		for _, family := range offered {
			out[strings.TrimPrefix(family.Name, "ecs.")] = true
			types += family.Types
		}
		return out, types
	}
	old, oldTypes := families(images[0])
	if old == nil {
		return
	}
	current, types := families(images[len(images)-1])
	if current == nil {
		return
	}
	var lacking []string
	for name := range current {
		if !old[name] {
			lacking = append(lacking, name)
		}
	}
	slices.Sort(lacking)
	answer, rest := ecs.AnswerAll, ""
	if len(lacking) > 0 {
		answer = ecs.AnswerFewer
		rest = fmt.Sprintf("; of %s it lacks %d families: %s", day(images[len(images)-1]), len(lacking), strings.Join(lacking[:min(len(lacking), maxLacking)], " "))
	}
	k.see(ecs.QuestionOffered, answer, "%d types for an image of %s, %d for one of %s%s", oldTypes, day(images[0]), types, day(images[len(images)-1]), rest)
}

// publicDay is the day in the id of a public image.
var publicDay = regexp.MustCompile(`20\d{6}`)

func (k *contractor) directory(ctx context.Context) {
	if k.c.accounts.Load().directory.RoleName == "" {
		k.see(ecs.QuestionDirectory, "", "no resource directory is configured")
		return
	}
	members, err := k.c.Members(ctx)
	if err != nil {
		k.see(ecs.QuestionDirectory, "", "could not be asked: %s", ecs.ClassOf(err))
		return
	}
	statuses := map[string]int{}
	for _, m := range members {
		statuses[clip(m.Status, 40)]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(statuses)) {
		parts = append(parts, name+" "+strconv.Itoa(statuses[name]))
	}
	k.see(ecs.QuestionDirectory, strings.Join(parts, ", "), "%d members", len(members))
}

// throttling tells which headers came with an answer that was throttled, if
// there was one.
func (k *contractor) throttling() {
	header := k.c.throttled.Load()
	if header == nil {
		k.see(ecs.QuestionThrottleHints, "", "nothing was throttled")
		return
	}
	k.see(ecs.QuestionThrottleHints, strings.Join(hintHeaders(*header), ", "), "")
}

// hintHeaders are the names of the headers that may say how long to wait.
func hintHeaders(h http.Header) []string {
	var names []string
	for name := range h {
		if low := strings.ToLower(name); strings.Contains(low, "retry") || strings.Contains(low, "ratelimit") || strings.Contains(low, "throttl") {
			names = append(names, low)
		}
	}
	slices.Sort(names)
	return names
}
