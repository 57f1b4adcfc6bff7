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
	BoundsExclusive     = contradiction("bounds-exclusive", "both creation-time bounds are exclusive", fromSDK+": created \"after the specified time\"")
	BoundsHalfOpen      = contradiction("bounds-half-open", "CreationEndTime is exclusive", fromSilence)
	BoundsAfter         = contradiction("bounds-after", "CreationStartTime is exclusive", fromSDK+": created \"after the specified time\"")
	FiltersPositional   = contradiction("filters-positional", "Filter.1 is CreationStartTime and Filter.2 CreationEndTime; in any other place they are ignored", fromSDK+": the key of filter 1 is CreationStartTime")
	FiltersRefused      = contradiction("filters-refused", "the same, but in any other place they are refused with InvalidFilterKey.NotFound", fromSDK+": the key of filter 1 is CreationStartTime")
	FiltersIgnored      = contradiction("filters-ignored", "creation-time filters are ignored", fromSilence)
	FiltersInCounts     = contradiction("filters-in-counts-alone", "creation-time filters narrow what is counted and not what is listed by tokens", fromSilence)
	EndIgnored          = contradiction("end-ignored", "CreationEndTime is ignored", fromSilence)
	MaxResultsIgnored   = contradiction("max-results-ignored", "MaxResults is ignored: pages of 10", "the SDK's comments: 10 is the default")
	PagesByNumber       = contradiction("pages-by-number-alone", "MaxResults and NextToken are not known: pages of 10 by PageNumber, no NextToken in the answer", fromRecorded+" of 2015 and of Apsara Stack")
	TokenMissing        = contradiction("token-missing", "the first page has no NextToken although more follow", fromSilence)
	TokenEmpty          = contradiction("token-empty", "the first page has an empty NextToken although more follow", fromSilence)
	TokenNull           = contradiction("token-null", "the first page's NextToken is null although more follow", fromSilence)
	TokenTwice          = contradiction("token-twice", "the first page has two NextTokens, the second one empty", fromSilence)
	TokenAfterLast      = contradiction("token-after-last", "the last page has a NextToken, too, and an empty page follows", "the example body of DescribeInstances: 1 of 1 instances and a NextToken")
	TokenEndless        = contradiction("token-endless", "the last page's NextToken leads back to the first page, under a new token each time", fromSilence)
	TokenEndlessEmpty   = contradiction("token-endless-empty", "behind the last page come empty pages with a new NextToken each", fromSilence)
	TokenUnknownCode    = contradiction("token-unknown-code", "each region refuses its first NextToken with a code of its own that is documented nowhere", "no source names the code")
	ListCut             = contradiction("list-cut", "chains end after six tenths of the instances; TotalCount beside them says how many there are", fromSilence)
	RowsLeftOut         = contradiction("rows-left-out", "lists leave out every tenth instance; it is counted, and found by its id", fromSilence)
	RowsOfOtherRegions  = contradiction("rows-of-other-regions", "lists by token hold another region's instances, whose RegionId says so", fromSilence)
	IDsOfOtherRegions   = contradiction("ids-of-other-regions", "every tenth instance of a list has the id of one of the next region, and says that it is here", fromSilence)
	RowsUnkeepable      = contradiction("rows-unkeepable", "every twentieth instance has an id that nothing can keep: too long, with NUL, a lone surrogate, none", fromSilence)
	CountMissing        = contradiction("count-missing", "there is no TotalCount", fromSDK+": it means nothing beside NextToken")
	CountZero           = contradiction("count-zero", "TotalCount is 0 always", fromSDK+": it means nothing beside NextToken")
	CountHigh           = contradiction("count-high", "TotalCount is seven tenths too high", fromSilence)
	CountHuge           = contradiction("count-huge", "TotalCount is 1,000,000,000 always", fromSilence)
	ErrorAs200          = contradiction("error-as-200", "in every second region lists are HTTP 200 with Code and Message beside an empty list, in the others from the second page on", fromSilence)
	RevokedMidway       = contradiction("revoked-midway", "the permission goes after a chain's first page: empty lists from then on, by id too, and dry runs are refused", "the documents: a caller without permission gets an empty list")
	IDsIgnored          = contradiction("ids-ignored", "InstanceIds is ignored: the region's first page answers", fromSilence)
	IDsCapped           = contradiction("ids-capped", "only the first 20 of InstanceIds are answered", "no document names the cap of every form of the list")
	NothingVisible      = contradiction("nothing-visible", "lists, counts and InstanceIds are answered by empty lists, and dry runs are allowed", "the documents: a caller without permission gets an empty list, and none says what a dry run of one limited to a resource group does")
	IDsEmpty            = contradiction("ids-empty", "InstanceIds is answered by an empty list", "the documents: a caller without permission gets an empty list")
	ImagesByAlias       = contradiction("images-by-alias", "marketplace and community images are returned with ImageOwnerAlias=marketplace, or others and IsPublic=true, alone; shared ones with others alone", "the SDK's comments on ImageOwnerAlias")
	ImagesCapped        = contradiction("images-capped", "only the first 20 of the ids in ImageId are answered", "no document names the cap")
	ImagesUnasked       = contradiction("images-unasked", "ImageId is ignored: the region's first images answer", fromSilence)
	ImagesEmpty         = contradiction("images-empty", "DescribeImages answers an empty list", "the documents: a caller without permission gets an empty list")
	ImageIDsEmpty       = contradiction("image-ids-empty", "DescribeImages answers ImageId by an empty list, and shows the region's images without it", fromSilence)
	ImagesErrorAs200    = contradiction("images-error-as-200", "DescribeImages is HTTP 200 with Code and Message beside an empty list", fromSilence)
	OfferedErrorAs200   = contradiction("offered-error-as-200", "DescribeImageSupportInstanceTypes is HTTP 200 with Code and Message beside an empty list", fromSilence)
	OfferedOfOthers     = contradiction("offered-of-others", "DescribeImageSupportInstanceTypes answers for another image than was asked for", fromSilence)
	OfferedEmpty        = contradiction("offered-empty", "DescribeImageSupportInstanceTypes answers an empty list", "the documents: a caller without permission gets an empty list")
	OfferedOldAlone     = contradiction("offered-old-alone", "DescribeImageSupportInstanceTypes leaves out, for images that are not public, the types of the 6th generation and later, also those on which they run", "no source says what it filters by")
	OfferedUnknown      = contradiction("offered-unknown", "DescribeImageSupportInstanceTypes names a type that no other answer names", fromSilence)
	OfferedCut          = contradiction("offered-cut", "DescribeImageSupportInstanceTypes ends with a NextToken, which none of its parameters takes", fromSilence)
	AgentsOfOthers      = contradiction("agents-of-others", "DescribeCloudAssistantStatus tells of an instance that was not asked for", fromSilence)
	AgentsAhead         = contradiction("agents-ahead", "DescribeCloudAssistantStatus has heartbeats of tomorrow", fromSilence)
	AgentsNowhere       = contradiction("agents-nowhere", "DescribeCloudAssistantStatus is refused with RegionId.ApiNotSupported", "the documents' list of errors")
	AgentsHalf          = contradiction("agents-half", "DescribeCloudAssistantStatus tells of 50 instances at most, whatever it is asked for", "the documents: PageSize is 50 at most")
	ConsoleOfOthers     = contradiction("console-of-others", "GetInstanceConsoleOutput answers for another instance", fromSilence)
	ConsoleOld          = contradiction("console-old", "GetInstanceConsoleOutput shows a log of before the last start", "the documents: the last start, restart or shutdown")
	ConsoleGarbled      = contradiction("console-garbled", "GetInstanceConsoleOutput shows what no system writes", "whoever is on the machine writes there")
	TemplatesErrorAs200 = contradiction("templates-error-as-200", "DescribeLaunchTemplates is HTTP 200 with Code and Message beside an empty list", fromSilence)
	TemplatesCut        = contradiction("templates-cut", "DescribeLaunchTemplates counts every launch template and lists one", fromSilence)
	TemplatesGarbled    = contradiction("templates-garbled", "DescribeLaunchTemplates gives launch templates ids that are none", fromSilence)
	VersionsOfOthers    = contradiction("versions-of-others", "DescribeLaunchTemplateVersions answers for another launch template", fromSilence)
	VersionsMissing     = contradiction("versions-missing", "DescribeLaunchTemplateVersions leaves out the default version", fromSilence)
	DisksErrorAs200     = contradiction("disks-error-as-200", "DescribeDisks is HTTP 200 with Code and Message beside an empty list", fromSilence)
	DisksEmpty          = contradiction("disks-empty", "DescribeDisks answers an empty list", "the documents: a caller without permission gets an empty list")
	DisksCut            = contradiction("disks-cut", "DescribeDisks counts every disk, and lists half of its first page and nothing more", fromSilence)
	DisksTwice          = contradiction("disks-twice", "DescribeDisks lists its first disk once more, as an ESSD", "disks are converted between the calls of a listing")
	DisksOfOthers       = contradiction("disks-of-others", "DescribeDisks says that the disks are attached to an instance that nobody has", fromSilence)
	DisksElsewhere      = contradiction("disks-elsewhere", "DescribeDisks lists disks that say that they are of another region", fromSilence)
	DisksUnknown        = contradiction("disks-unknown", "DescribeDisks says that disks are of a category that no document names", "categories are added")
	ChangesErrorAs200   = contradiction("changes-error-as-200", "DescribeResourcesModification is HTTP 200 with Code and Message beside an empty list", fromSilence)
	ChangesEmpty        = contradiction("changes-empty", "DescribeResourcesModification names no type", "the documents: a caller without permission gets an empty list")
	ChangesElsewhere    = contradiction("changes-elsewhere", "DescribeResourcesModification answers about another zone than that of the instance", fromSilence)
	ChangesFewer        = contradiction("changes-fewer", "DescribeResourcesModification offers no change to the 8th generation and later, whatever the matrix says", "the matrix is of one day")
	RegionsEmpty        = contradiction("regions-empty", "DescribeRegions answers an empty list", "the documents: a caller without permission gets an empty list")
	RegionsCut          = contradiction("regions-cut", "DescribeRegions names the first half of the regions and ends with a NextToken, which none of its parameters takes", fromSilence)
	RegionVanishes      = contradiction("region-vanishes", "DescribeRegions leaves out the second region", "regions are closed and given up")
	MembersPromoted     = contradiction("members-promoted", "members of the directory are PromoteVerifying, PromoteFailed, PromoteExpired, PromoteCancelled, and so on", "the resource directory's documents")
	DirectoryDown       = contradiction("directory-down", "ListAccounts answers 503", fromSilence)
	ThrottleLong        = contradiction("throttle-long", "each region's first DescribeInstances is refused with Retry-After: 110", "windows of the quota are minutes")
	ThrottleMillis      = contradiction("throttle-millis", "every seventh DescribeInstances is refused with x-acs-retry-after in milliseconds", "recorded headers of the gateway")
	BusyUnknownCodes    = contradiction("busy-unknown-codes", "every fifth DescribeInstances is 429, 408 or 400 SystemBusy with codes that are documented nowhere", fromSilence)
	BodiesDocumented    = contradiction("bodies-documented", "instances look as in the documents' example body: a NextToken on the last page and beside InstanceIds, TotalCount beside tokens", "the example body of DescribeInstances")
	Bodies2015          = contradiction("bodies-2015", "instances look as in the example body of 2015: numbers and booleans as strings, no OSName, no NextToken, pages by number", "the older example body of DescribeInstances")
	Bodies2024          = contradiction("bodies-2024", "instances look as in a body recorded in 2024", fromRecorded)
	CountTimes500       = contradiction("count-500", "TotalCount is 500 times too high, in every part", fromSilence)
	CountElsewhere      = contradiction("count-elsewhere", "TotalCount is that of the next region, whatever is asked for", fromSilence)
	CountFalls          = contradiction("count-falls", "TotalCount falls from page to page: it is what is left", fromSDK+": it means nothing beside NextToken")
	CountNegative       = contradiction("count-negative", "TotalCount is -1", fromSilence)
	RowsTwice           = contradiction("rows-twice", "each page begins with the last instance of the page before, of another system and stopped", "instances move between the calls of a listing")
	RowsNull            = contradiction("rows-null", "every tenth row of a list is null", fromSilence)
	PagesRepeated       = contradiction("pages-repeated", "each page comes twice, the second time under a new token", fromSilence)
	PagesTooLarge       = contradiction("pages-too-large", "pages hold 150 instances, whatever MaxResults says", fromSilence)
	TokenForgets        = contradiction("token-forgets-filters", "NextToken forgets the filters: from the second page on a list goes to the region's end", fromSilence)
	CreatedLater        = contradiction("created-later", "every tenth instance says that it was created in 2099", "clocks are wrong")
	CreatedNever        = contradiction("created-never", "every tenth instance has no CreationTime", fromSDK+": members are optional")
	ListEmptyAtFirst    = contradiction("list-empty-at-first", "each region's first list is empty", "answers come from caches and replicas")
	List206             = contradiction("list-206", "every third list is HTTP 206 with an empty list", "proxies answer in the API's place")
	List204             = contradiction("list-204", "every third list is HTTP 204", "proxies answer in the API's place")
	ListGzipCut         = contradiction("list-gzip-cut", "every third list is gzip, asked for or not, and cut short", "proxies answer in the API's place")
	ListTwice           = contradiction("list-twice", "lists by token have Instances twice, the second time empty", fromSilence)
	JSONTwice           = contradiction("json-twice", "behind a list by token stands a second object, which is an error", fromSilence)
	RegionsClosed       = contradiction("regions-in-any-status", "DescribeRegions says that the regions are soldOut, closed or in a status that no document has", fromSilence)
	MembersUncounted    = contradiction("members-uncounted", "ListAccounts gives five members a page and no TotalCount", fromSilence)
	MembersCountLow     = contradiction("members-count-low", "ListAccounts gives five members a page, and TotalCount is how many are on it", fromSilence)
	MembersCountFalls   = contradiction("members-count-falls", "ListAccounts gives its first five members, and an empty page that counts five behind it", fromSilence)
	ImagesTwice         = contradiction("images-twice", "DescribeImages lists each image once more, as another system", "images are replaced between the calls of a listing")
	ZonesElsewhere      = contradiction("zones-elsewhere", "every tenth instance of a list is said to be in a zone of the next region", fromSilence)
	FamiliesOfOthers    = contradiction("families-of-others", "every tenth instance of a list is said to be of InstanceTypeFamily ecs.g8i, whatever its InstanceType", fromSilence)
	IDsTwice            = contradiction("ids-twice", "InstanceIds is answered with each instance twice, first as another system", "machines are re-installed between the calls of a listing")
)

// contradictions are those that contradiction made.
var contradictions []Contradiction

// contradiction makes a contradiction, and lists it behind those that are declared
// before it.
func contradiction(name, says, from string) Contradiction {
	made := Contradiction{name, says, from}
	contradictions = append(contradictions, made)
	return made
}

// Contradictions lists them all in the order in which they are declared, what belongs
// together side by side.
func Contradictions() []Contradiction { return slices.Clone(contradictions) }

// ContradictionNames are the names of them all.
func ContradictionNames() []string {
	names := make([]string, len(contradictions))
	for i, made := range contradictions {
		names[i] = made.Name
	}
	return names
}

// quirks are the names of the contradictions in force; nil is none.
type quirks map[string]bool

// names lists them in the order of Contradictions.
func (q *quirks) names() []string {
	return slices.DeleteFunc(ContradictionNames(), func(name string) bool { return q == nil || !(*q)[name] })
}

// Contradict puts contradictions in force, instead of those that are.
func (s *Simulator) Contradict(names ...string) error {
	var set *quirks
	for _, name := range names {
		if all := ContradictionNames(); !slices.Contains(all, name) {
			return fmt.Errorf("%w: contradiction %q: want one of %s", ErrOptions, name, strings.Join(all, " "))
		}
		if set == nil {
			set = &quirks{}
		}
		(*set)[name] = true
	}
	s.quirks.Store(set)
	s.struck.Clear()
	return nil
}

// against says whether a contradiction is in force.
func (s *Simulator) against(contradiction Contradiction) bool {
	set := s.quirks.Load()
	return set != nil && (*set)[contradiction.Name]
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
		return errUnavailable
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
