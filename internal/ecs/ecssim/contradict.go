package ecssim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A contradiction is a way in which the API may behave that a client does not
// expect: the documents leave it open, two of them disagree, or answers were
// recorded that say so. The simulator's own picture of the API is otherwise
// the client's, and nothing that both take for granted would ever be tried.

// Contradiction describes one of them.
type Contradiction struct {
	Name string
	Says string // what the API does then
	From string // where it is known from, or why it may be
}

const (
	fromSDK      = "the SDK's comments"
	fromSilence  = "no document rules it out"
	fromRecorded = "recorded bodies"
)

// The contradictions.
var (
	BoundsExclusive     = Contradiction{"bounds-exclusive", "both creation-time bounds are exclusive", fromSDK + ": created \"after the specified time\""}
	BoundsHalfOpen      = Contradiction{"bounds-half-open", "CreationEndTime is exclusive", fromSilence}
	BoundsAfter         = Contradiction{"bounds-after", "CreationStartTime is exclusive", fromSDK + ": created \"after the specified time\""}
	FiltersPositional   = Contradiction{"filters-positional", "Filter.1 is CreationStartTime and Filter.2 CreationEndTime; in any other place they are ignored", fromSDK + ": the key of filter 1 is CreationStartTime"}
	FiltersRefused      = Contradiction{"filters-refused", "the same, but in any other place they are refused with InvalidFilterKey.NotFound", fromSDK + ": the key of filter 1 is CreationStartTime"}
	FiltersIgnored      = Contradiction{"filters-ignored", "creation-time filters are ignored", fromSilence}
	FiltersInCounts     = Contradiction{"filters-in-counts-alone", "creation-time filters narrow what is counted and not what is listed by tokens", fromSilence}
	EndIgnored          = Contradiction{"end-ignored", "CreationEndTime is ignored", fromSilence}
	MaxResultsIgnored   = Contradiction{"max-results-ignored", "MaxResults is ignored: pages of 10", "the SDK's comments: 10 is the default"}
	PagesByNumber       = Contradiction{"pages-by-number-alone", "MaxResults and NextToken are not known: pages of 10 by PageNumber, no NextToken in the answer", fromRecorded + " of 2015 and of Apsara Stack"}
	TokenMissing        = Contradiction{"token-missing", "the first page has no NextToken although more follow", fromSilence}
	TokenEmpty          = Contradiction{"token-empty", "the first page has an empty NextToken although more follow", fromSilence}
	TokenNull           = Contradiction{"token-null", "the first page's NextToken is null although more follow", fromSilence}
	TokenTwice          = Contradiction{"token-twice", "the first page has two NextTokens, the second one empty", fromSilence}
	TokenAfterLast      = Contradiction{"token-after-last", "the last page has a NextToken, too, and an empty page follows", "the example body of DescribeInstances: 1 of 1 instances and a NextToken"}
	TokenEndless        = Contradiction{"token-endless", "the last page's NextToken leads back to the first page, under a new token each time", fromSilence}
	TokenEndlessEmpty   = Contradiction{"token-endless-empty", "behind the last page come empty pages with a new NextToken each", fromSilence}
	TokenUnknownCode    = Contradiction{"token-unknown-code", "each region refuses its first NextToken with a code of its own that is documented nowhere", "no source names the code"}
	ListCut             = Contradiction{"list-cut", "chains end after six tenths of the instances; TotalCount beside them says how many there are", fromSilence}
	RowsLeftOut         = Contradiction{"rows-left-out", "lists leave out every tenth instance; it is counted, and found by its id", fromSilence}
	RowsOfOtherRegions  = Contradiction{"rows-of-other-regions", "lists by token hold another region's instances, whose RegionId says so", fromSilence}
	IDsOfOtherRegions   = Contradiction{"ids-of-other-regions", "every tenth instance of a list has the id of one of the next region, and says that it is here", fromSilence}
	RowsUnkeepable      = Contradiction{"rows-unkeepable", "every twentieth instance has an id that nothing can keep: too long, with NUL, a lone surrogate, none", fromSilence}
	CountMissing        = Contradiction{"count-missing", "there is no TotalCount", fromSDK + ": it means nothing beside NextToken"}
	CountZero           = Contradiction{"count-zero", "TotalCount is 0 always", fromSDK + ": it means nothing beside NextToken"}
	CountHigh           = Contradiction{"count-high", "TotalCount is seven tenths too high", fromSilence}
	CountHuge           = Contradiction{"count-huge", "TotalCount is 1,000,000,000 always", fromSilence}
	ErrorAs200          = Contradiction{"error-as-200", "in every second region lists are HTTP 200 with Code and Message beside an empty list, in the others from the second page on", fromSilence}
	RevokedMidway       = Contradiction{"revoked-midway", "the permission goes after a chain's first page: empty lists from then on, by id too, and dry runs are refused", "the documents: a caller without permission gets an empty list"}
	IDsIgnored          = Contradiction{"ids-ignored", "InstanceIds is ignored: the region's first page answers", fromSilence}
	IDsCapped           = Contradiction{"ids-capped", "only the first 20 of InstanceIds are answered", "no document names the cap of every form of the list"}
	NothingVisible      = Contradiction{"nothing-visible", "lists, counts and InstanceIds are answered by empty lists, and dry runs are allowed", "the documents: a caller without permission gets an empty list, and none says what a dry run of one limited to a resource group does"}
	IDsEmpty            = Contradiction{"ids-empty", "InstanceIds is answered by an empty list", "the documents: a caller without permission gets an empty list"}
	ImagesByAlias       = Contradiction{"images-by-alias", "marketplace and community images are returned with ImageOwnerAlias=marketplace, or others and IsPublic=true, alone; shared ones with others alone", "the SDK's comments on ImageOwnerAlias"}
	ImagesCapped        = Contradiction{"images-capped", "only the first 20 of the ids in ImageId are answered", "no document names the cap"}
	ImagesUnasked       = Contradiction{"images-unasked", "ImageId is ignored: the region's first images answer", fromSilence}
	ImagesEmpty         = Contradiction{"images-empty", "DescribeImages answers an empty list", "the documents: a caller without permission gets an empty list"}
	ImagesErrorAs200    = Contradiction{"images-error-as-200", "DescribeImages is HTTP 200 with Code and Message beside an empty list", fromSilence}
	OfferedErrorAs200   = Contradiction{"offered-error-as-200", "DescribeImageSupportInstanceTypes is HTTP 200 with Code and Message beside an empty list", fromSilence}
	OfferedOfOthers     = Contradiction{"offered-of-others", "DescribeImageSupportInstanceTypes answers for another image than was asked for", fromSilence}
	OfferedEmpty        = Contradiction{"offered-empty", "DescribeImageSupportInstanceTypes answers an empty list", "the documents: a caller without permission gets an empty list"}
	OfferedOldAlone     = Contradiction{"offered-old-alone", "DescribeImageSupportInstanceTypes leaves out, for images that are not public, the types of the 6th generation and later, also those on which they run", "no source says what it filters by"}
	OfferedUnknown      = Contradiction{"offered-unknown", "DescribeImageSupportInstanceTypes names a type that no other answer names", fromSilence}
	OfferedCut          = Contradiction{"offered-cut", "DescribeImageSupportInstanceTypes ends with a NextToken, which none of its parameters takes", fromSilence}
	AgentsOfOthers      = Contradiction{"agents-of-others", "DescribeCloudAssistantStatus tells of an instance that was not asked for", fromSilence}
	AgentsAhead         = Contradiction{"agents-ahead", "DescribeCloudAssistantStatus has heartbeats of tomorrow", fromSilence}
	AgentsNowhere       = Contradiction{"agents-nowhere", "DescribeCloudAssistantStatus is refused with RegionId.ApiNotSupported", "the documents' list of errors"}
	AgentsHalf          = Contradiction{"agents-half", "DescribeCloudAssistantStatus tells of 50 instances at most, whatever it is asked for", "the documents: PageSize is 50 at most"}
	ConsoleOfOthers     = Contradiction{"console-of-others", "GetInstanceConsoleOutput answers for another instance", fromSilence}
	ConsoleOld          = Contradiction{"console-old", "GetInstanceConsoleOutput shows a log of before the last start", "the documents: the last start, restart or shutdown"}
	ConsoleGarbled      = Contradiction{"console-garbled", "GetInstanceConsoleOutput shows what no system writes", "whoever is on the machine writes there"}
	TemplatesErrorAs200 = Contradiction{"templates-error-as-200", "DescribeLaunchTemplates is HTTP 200 with Code and Message beside an empty list", fromSilence}
	TemplatesCut        = Contradiction{"templates-cut", "DescribeLaunchTemplates counts every launch template and lists one", fromSilence}
	TemplatesGarbled    = Contradiction{"templates-garbled", "DescribeLaunchTemplates gives launch templates ids that are none", fromSilence}
	VersionsOfOthers    = Contradiction{"versions-of-others", "DescribeLaunchTemplateVersions answers for another launch template", fromSilence}
	VersionsMissing     = Contradiction{"versions-missing", "DescribeLaunchTemplateVersions leaves out the default version", fromSilence}
	DisksErrorAs200     = Contradiction{"disks-error-as-200", "DescribeDisks is HTTP 200 with Code and Message beside an empty list", fromSilence}
	DisksEmpty          = Contradiction{"disks-empty", "DescribeDisks answers an empty list", "the documents: a caller without permission gets an empty list"}
	DisksCut            = Contradiction{"disks-cut", "DescribeDisks counts every disk, and lists half of its first page and nothing more", fromSilence}
	DisksTwice          = Contradiction{"disks-twice", "DescribeDisks lists its first disk once more, as an ESSD", "disks are converted between the calls of a listing"}
	DisksOfOthers       = Contradiction{"disks-of-others", "DescribeDisks says that the disks are attached to an instance that nobody has", fromSilence}
	DisksElsewhere      = Contradiction{"disks-elsewhere", "DescribeDisks lists disks that say that they are of another region", fromSilence}
	DisksUnknown        = Contradiction{"disks-unknown", "DescribeDisks says that disks are of a category that no document names", "categories are added"}
	ChangesErrorAs200   = Contradiction{"changes-error-as-200", "DescribeResourcesModification is HTTP 200 with Code and Message beside an empty list", fromSilence}
	ChangesEmpty        = Contradiction{"changes-empty", "DescribeResourcesModification names no type", "the documents: a caller without permission gets an empty list"}
	ChangesElsewhere    = Contradiction{"changes-elsewhere", "DescribeResourcesModification answers about another zone than that of the instance", fromSilence}
	ChangesFewer        = Contradiction{"changes-fewer", "DescribeResourcesModification offers no change to the 8th generation and later, whatever the matrix says", "the matrix is of one day"}
	RegionsEmpty        = Contradiction{"regions-empty", "DescribeRegions answers an empty list", "the documents: a caller without permission gets an empty list"}
	RegionVanishes      = Contradiction{"region-vanishes", "DescribeRegions leaves out the second region", "regions are closed and given up"}
	MembersPromoted     = Contradiction{"members-promoted", "members of the directory are PromoteVerifying, PromoteFailed, PromoteExpired, PromoteCancelled, and so on", "the resource directory's documents"}
	DirectoryDown       = Contradiction{"directory-down", "ListAccounts answers 503", fromSilence}
	ThrottleLong        = Contradiction{"throttle-long", "each region's first DescribeInstances is refused with Retry-After: 110", "windows of the quota are minutes"}
	ThrottleMillis      = Contradiction{"throttle-millis", "every seventh DescribeInstances is refused with x-acs-retry-after in milliseconds", "recorded headers of the gateway"}
	BusyUnknownCodes    = Contradiction{"busy-unknown-codes", "every fifth DescribeInstances is 429, 408 or 400 SystemBusy with codes that are documented nowhere", fromSilence}
	BodiesDocumented    = Contradiction{"bodies-documented", "instances look as in the documents' example body: a NextToken on the last page and beside InstanceIds, TotalCount beside tokens", "the example body of DescribeInstances"}
	Bodies2015          = Contradiction{"bodies-2015", "instances look as in the example body of 2015: numbers and booleans as strings, no OSName, no NextToken, pages by number", "the older example body of DescribeInstances"}
	Bodies2024          = Contradiction{"bodies-2024", "instances look as in a body recorded in 2024", fromRecorded}
	CountTimes500       = Contradiction{"count-500", "TotalCount is 500 times too high, in every part", fromSilence}
	CountElsewhere      = Contradiction{"count-elsewhere", "TotalCount is that of the next region, whatever is asked for", fromSilence}
	CountFalls          = Contradiction{"count-falls", "TotalCount falls from page to page: it is what is left", fromSDK + ": it means nothing beside NextToken"}
	CountNegative       = Contradiction{"count-negative", "TotalCount is -1", fromSilence}
	RowsTwice           = Contradiction{"rows-twice", "each page begins with the last instance of the page before, of another system and stopped", "instances move between the calls of a listing"}
	RowsNull            = Contradiction{"rows-null", "every tenth row of a list is null", fromSilence}
	PagesRepeated       = Contradiction{"pages-repeated", "each page comes twice, the second time under a new token", fromSilence}
	PagesTooLarge       = Contradiction{"pages-too-large", "pages hold 150 instances, whatever MaxResults says", fromSilence}
	TokenForgets        = Contradiction{"token-forgets-filters", "NextToken forgets the filters: from the second page on a list goes to the region's end", fromSilence}
	CreatedLater        = Contradiction{"created-later", "every tenth instance says that it was created in 2099", "clocks are wrong"}
	CreatedNever        = Contradiction{"created-never", "every tenth instance has no CreationTime", fromSDK + ": members are optional"}
	ListEmptyAtFirst    = Contradiction{"list-empty-at-first", "each region's first list is empty", "answers come from caches and replicas"}
	List206             = Contradiction{"list-206", "every third list is HTTP 206 with an empty list", "proxies answer in the API's place"}
	List204             = Contradiction{"list-204", "every third list is HTTP 204", "proxies answer in the API's place"}
	ListGzipCut         = Contradiction{"list-gzip-cut", "every third list is gzip, asked for or not, and cut short", "proxies answer in the API's place"}
	ListTwice           = Contradiction{"list-twice", "lists by token have Instances twice, the second time empty", fromSilence}
	JSONTwice           = Contradiction{"json-twice", "behind a list by token stands a second object, which is an error", fromSilence}
	RegionsClosed       = Contradiction{"regions-in-any-status", "DescribeRegions says that the regions are soldOut, closed or in a status that no document has", fromSilence}
	MembersUncounted    = Contradiction{"members-uncounted", "ListAccounts gives five members a page and no TotalCount", fromSilence}
	MembersCountLow     = Contradiction{"members-count-low", "ListAccounts gives five members a page, and TotalCount is how many are on it", fromSilence}
	MembersCountFalls   = Contradiction{"members-count-falls", "ListAccounts gives its first five members, and an empty page that counts five behind it", fromSilence}
	ImagesTwice         = Contradiction{"images-twice", "DescribeImages lists each image once more, as another system", "images are replaced between the calls of a listing"}
	ZonesElsewhere      = Contradiction{"zones-elsewhere", "every tenth instance of a list is said to be in a zone of the next region", fromSilence}
	IDsTwice            = Contradiction{"ids-twice", "InstanceIds is answered with each instance twice, first as another system", "machines are re-installed between the calls of a listing"}
)

// Contradictions lists them all, what belongs together side by side.
func Contradictions() []Contradiction {
	return []Contradiction{
		BoundsExclusive, BoundsHalfOpen, BoundsAfter, FiltersPositional, FiltersRefused, FiltersIgnored, FiltersInCounts, EndIgnored, MaxResultsIgnored, PagesByNumber,
		TokenMissing, TokenEmpty, TokenNull, TokenTwice, TokenAfterLast, TokenEndless, TokenEndlessEmpty, TokenUnknownCode, ListCut, RowsLeftOut, RowsOfOtherRegions,
		IDsOfOtherRegions, RowsUnkeepable, CountMissing, CountZero, CountHigh, CountHuge, ErrorAs200, RevokedMidway, IDsIgnored, IDsCapped, NothingVisible, IDsEmpty,
		ImagesByAlias, ImagesCapped, ImagesUnasked, ImagesEmpty, ImagesErrorAs200, OfferedErrorAs200, OfferedOfOthers, OfferedEmpty, OfferedOldAlone, OfferedUnknown,
		OfferedCut, AgentsOfOthers, AgentsAhead, AgentsNowhere, AgentsHalf, ConsoleOfOthers, ConsoleOld, ConsoleGarbled, TemplatesErrorAs200, TemplatesCut, TemplatesGarbled,
		VersionsOfOthers, VersionsMissing, DisksErrorAs200, DisksEmpty, DisksCut, DisksTwice, DisksOfOthers, DisksElsewhere, DisksUnknown, ChangesErrorAs200, ChangesEmpty,
		ChangesElsewhere, ChangesFewer, RegionsEmpty, RegionVanishes, MembersPromoted, DirectoryDown, ThrottleLong, ThrottleMillis, BusyUnknownCodes, BodiesDocumented,
		Bodies2015, Bodies2024, CountTimes500, CountElsewhere, CountFalls, CountNegative, RowsTwice, RowsNull, PagesRepeated, PagesTooLarge, TokenForgets, CreatedLater,
		CreatedNever, ListEmptyAtFirst, List206, List204, ListGzipCut, ListTwice, JSONTwice, RegionsClosed, MembersUncounted, MembersCountLow, MembersCountFalls, ImagesTwice,
		ZonesElsewhere, IDsTwice,
	}
}

// quirks is a set of contradictions, a bit each.
type quirks [2]uint64

// quirkBits are the bits by name.
var quirkBits = func() map[string]int {
	out := map[string]int{}
	for i, c := range Contradictions() {
		out[c.Name] = i
	}
	return out
}()

func (q *quirks) has(bit int) bool { return q != nil && q[bit/64]&(1<<(bit%64)) != 0 }

// parseQuirks returns the set of the contradictions that are named, nil for none. A name
// that is not known is an error, which lists those that are.
func parseQuirks(names []string) (*quirks, error) {
	if len(names) == 0 {
		return nil, nil
	}
	set := new(quirks)
	for _, name := range names {
		bit, ok := quirkBits[name]
		if !ok {
			all := make([]string, 0, len(quirkBits))
			for _, c := range Contradictions() {
				all = append(all, c.Name)
			}
			return nil, fmt.Errorf("%w: contradiction %q: want one of %s", ErrOptions, name, strings.Join(all, " "))
		}
		set[bit/64] |= 1 << (bit % 64)
	}
	return set, nil
}

// names lists the contradictions of the set.
func (q *quirks) names() []string {
	out := []string{}
	for _, c := range Contradictions() {
		if q.has(quirkBits[c.Name]) {
			out = append(out, c.Name)
		}
	}
	return out
}

// Contradict puts contradictions in force, instead of those that are.
func (s *Simulator) Contradict(names ...string) error {
	set, err := parseQuirks(names)
	if err == nil {
		s.quirks.Store(set)
		s.struck.Clear()
	}
	return err
}

// against says whether a contradiction is in force.
func (s *Simulator) against(contradiction Contradiction) bool {
	set := s.quirks.Load()
	if set == nil {
		return false
	}
	bit, known := quirkBits[contradiction.Name]
	return known && set.has(bit)
}

// first says whether name is asked about for the first time since the
// contradictions were put in force.
func (s *Simulator) first(name string) bool {
	_, before := s.struck.LoadOrStore(name, true)
	return !before
}

// contradictCall refuses calls as the contradictions say.
func (s *Simulator) contradictCall(call *call, answer *answer) *apiError {
	if s.quirks.Load() == nil {
		return nil
	}
	scope := call.caller.account.ID + "/" + call.params.get("RegionId")
	nth := s.counted.Add(1)
	switch {
	case call.action == "ListAccounts" && s.against(DirectoryDown):
		return errUnavailable()
	case call.action != "DescribeInstances":
	case s.against(ThrottleLong) && s.first(scope):
		answer.throttled, answer.header = true, map[string]string{"Retry-After": "110"}
		return &apiError{429, "Throttling.User", "Request was denied due to user flow control."}
	case s.against(ThrottleMillis) && nth%7 == 0:
		answer.throttled, answer.header = true, map[string]string{"x-acs-retry-after": "200"}
		return &apiError{429, "Throttling.User", "Request was denied due to user flow control."}
	case s.against(BusyUnknownCodes) && nth%5 == 0:
		return [...]*apiError{
			{429, "TooManyRequests", "Too many requests."},
			{408, "RequestTimeout", "The request has timed out."},
			{400, "SystemBusy", "The system is busy, please try again later."},
		}[nth/5%3]
	case s.against(TokenUnknownCode) && call.params.get("NextToken") != "" && s.first(scope):
		return [...]*apiError{
			{400, "PaginationToken.Expired", "The pagination token has expired."},
			{404, "NextToken.NotFound", "The specified NextToken does not exist."},
			{403, "Forbidden.Token", "The specified NextToken does not belong to this request."},
			{400, "InvalidPageToken", "The page token is not valid."},
		}[hashString(scope)%4]
	}
	return nil
}

// bend changes what a call asks for into what is answered then.
func (s *Simulator) bend(instanceQuery *instanceQuery, params params) {
	if s.against(BoundsExclusive) || s.against(BoundsAfter) {
		if instanceQuery.from > 0 {
			instanceQuery.from++
		}
	}
	if s.against(BoundsExclusive) || s.against(BoundsHalfOpen) {
		if instanceQuery.to >= 0 {
			instanceQuery.to = max(instanceQuery.to-1, 0)
		}
	}
	if s.against(FiltersIgnored) || s.against(FiltersInCounts) && !instanceQuery.byPage && instanceQuery.ids == nil {
		instanceQuery.from, instanceQuery.to = 0, -1
	}
	if s.against(EndIgnored) {
		instanceQuery.to = -1
	}
	if !instanceQuery.byPage && s.against(MaxResultsIgnored) {
		instanceQuery.size = 10
	}
	if !instanceQuery.byPage && instanceQuery.ids == nil && s.against(PagesTooLarge) {
		instanceQuery.size = 150
	}
	if !instanceQuery.byPage && s.byNumberAlone() {
		instanceQuery.byPage, instanceQuery.token, instanceQuery.page, instanceQuery.size = true, "", 1, 10
		if n, err := params.int("PageNumber", 1); err == nil {
			instanceQuery.page = max(n, 1)
		}
		if n, err := params.int("PageSize", 10); err == nil {
			instanceQuery.size = min(max(n, 1), 100)
		}
	}
	switch {
	case s.against(NothingVisible):
		instanceQuery.ids = []string{}
	case instanceQuery.ids == nil:
	case s.against(IDsIgnored):
		instanceQuery.ids = nil
	case s.against(IDsCapped):
		instanceQuery.ids = instanceQuery.ids[:min(len(instanceQuery.ids), 20)]
	case s.against(IDsEmpty), s.against(RevokedMidway):
		instanceQuery.ids = []string{}
	}
}

func (s *Simulator) byNumberAlone() bool { return s.against(PagesByNumber) || s.against(Bodies2015) }

// contradictList answers a list of instances as the contradictions say; nil
// when they leave it alone.
func (s *Simulator) contradictList(out []byte, sc *scope, instanceQuery *instanceQuery, requestID string) []byte {
	switch {
	case s.quirks.Load() == nil || instanceQuery.ids != nil:
	case s.against(ErrorAs200) && !instanceQuery.byPage && (sc.index%2 == 1 || instanceQuery.token != ""):
		body := errorAs200{ErrorAs200, "Instances", "Instance"}.body()
		body["RequestId"], body["NextToken"] = requestID, ""
		return appendMarshalled(out, body)
	case s.against(RevokedMidway) && instanceQuery.token != "", s.against(ListEmptyAtFirst) && !instanceQuery.byPage && s.first("list "+sc.region.id+"/"+sc.account.ID):
		return emptyPage(out, instanceQuery, requestID)
	}
	return nil
}

// bendList changes a whole answer that lists by token.
func (s *Simulator) bendList(answer *answer, instanceQuery *instanceQuery, body []byte) []byte {
	if s.quirks.Load() == nil || instanceQuery.byPage || instanceQuery.ids != nil {
		return body
	}
	third := s.lists.Add(1)%3 == 0
	switch {
	case s.against(ListTwice):
		return append(body[:len(body)-1], `,"Instances":{"Instance":[]}}`...)
	case s.against(JSONTwice):
		return append(body, `{"RequestId":"`+answer.requestID+`","Code":"InternalError","Message":"The request processing has failed."}`...)
	case s.against(List206) && third:
		answer.status = http.StatusPartialContent
		return emptyPage(body[:0], instanceQuery, answer.requestID)
	case s.against(List204) && third:
		answer.status = http.StatusNoContent
		return nil
	case s.against(ListGzipCut) && third:
		answer.header = map[string]string{"Content-Encoding": "gzip"}
		compressed := gzipped(body)
		return compressed[:len(compressed)/2]
	}
	return body
}

// elsewhere is the scope whose instances a list of sc holds.
func (s *Simulator) elsewhere(sc *scope, q *instanceQuery) *scope {
	if q.byPage || q.ids != nil || !s.against(RowsOfOtherRegions) {
		return sc
	}
	return s.next(sc)
}

// next is the same account's next region.
func (s *Simulator) next(sc *scope) *scope {
	regions := s.opt.Regions
	return s.fleet.scopes[sc.index/regions*regions+(sc.index+1)%regions]
}

// listed says whether a list shows instance i.
func (s *Simulator) listed(sc *scope, i int) bool {
	return !s.against(RowsLeftOut) || hash(sc.fleet.seed, 'o', uint64(sc.index), uint64(i))%10 != 0
}

// cutAt is where a chain over [lo,hi) ends.
func (s *Simulator) cutAt(lo, hi int) int {
	if !s.against(ListCut) {
		return hi
	}
	return lo + (hi-lo)*6/10
}

// size is how many instances a scope has.
func (sc *scope) size() int {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	return sc.count() - sc.goneBetween(0, sc.count())
}

// count bends a TotalCount; elsewhere is that of the next region.
func (s *Simulator) count(n, elsewhere int) int {
	switch {
	case s.against(CountTimes500):
		return n * 500
	case s.against(CountNegative):
		return -1
	case s.against(CountElsewhere):
		return elsewhere
	case s.against(CountZero):
		return 0
	case s.against(CountHigh):
		return n*17/10 + 1
	case s.against(CountHuge):
		return 1_000_000_000
	}
	return n
}

// unkeepable is what stands between the quotes for an instance's id.
func (s *Simulator) unkeepable(sc *scope, i int, id string) string {
	if hash(sc.fleet.seed, 'w', uint64(sc.index), uint64(i))%20 != 0 {
		return id
	}
	return [...]string{id + strings.Repeat("0", 240), id + `\u0000`, `i-surrogate\ud800`, `i-surrogate\udfff`, ""}[i%5]
}

// regionStatus is what DescribeRegions says of its i-th region.
func (s *Simulator) regionStatus(i int) string {
	if s.against(RegionsClosed) {
		return [...]string{"soldOut", "closed", "evacuated", ""}[i%4]
	}
	return "available"
}

// memberStatuses are what a joined member of a resource directory may be.
var memberStatuses = []string{"CreateSuccess", "PromoteVerifying", "InviteSuccess", "PromoteFailed", "PromoteExpired", "PromoteCancelled", "PromoteSuccess"}

// memberStatus is the status of the i-th member.
func (s *Simulator) memberStatus(i int) string {
	if s.against(MembersPromoted) {
		return memberStatuses[i%len(memberStatuses)]
	}
	return "CreateSuccess"
}

// imageIDs are the ids that DescribeImages looks at.
func (s *Simulator) imageIDs(joined string) string {
	switch {
	case joined == "":
	case s.against(ImagesUnasked):
		return ""
	case s.against(ImagesCapped):
		ids := strings.Split(joined, ",")
		return strings.Join(slices.Clone(ids[:min(len(ids), 20)]), ",")
	}
	return joined
}
