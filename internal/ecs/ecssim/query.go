package ecssim

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// params are the parameters of one call, query and form together. An empty
// value is the same as none: the SDK sends pointers to "" that way.
type params url.Values

func (p params) get(key string) string { return url.Values(p).Get(key) }

func (p params) bool(key string) bool { return strings.EqualFold(p.get(key), "true") }

// maxNumber bounds numbers, so that a page number times a page size is one too.
const maxNumber = 1 << 30

// int reads a number; absent gives def.
func (p params) int(key string, def int) (int, *apiError) {
	s := p.get(key)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > maxNumber || n < -maxNumber {
		return 0, errInvalid(key)
	}
	return n, nil
}

// paging is a page by number: the number of its first row, from 0, and how many rows
// it takes.
type paging struct{ from, size int }

func (p paging) number() int { return p.from/p.size + 1 }

// page reads PageNumber and PageSize, which is at most most.
func (p params) page(most int) (paging, *apiError) {
	number, err := p.int("PageNumber", 1)
	if err != nil || number < 1 {
		return paging{}, errInvalid("PageNumber")
	}
	size, err := p.int("PageSize", 10)
	if err != nil || size < 1 || size > most {
		return paging{}, errInvalid("PageSize")
	}
	return paging{(number - 1) * size, size}, nil
}

// Parameters that signatures of the older style put beside the others, and
// that every action takes.
var commonParams = []string{"Action", "Version", "Format", "Timestamp", "AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "SignatureType", "Signature", "SecurityToken", "RegionId"}

// known refuses parameters that are not implemented, and numbers without the
// number before them: an ignored filter would answer another question than was
// asked.
func (p params) known(action string, implemented []string) *apiError {
	for key := range p {
		pattern, before := key, ""
		if parts := strings.Split(key, "."); len(parts) > 1 {
			if n, err := strconv.Atoi(parts[1]); err == nil && n > 0 {
				parts[1] = strconv.Itoa(n - 1)
				if n > 1 {
					before = strings.Join(parts, ".")
				}
				parts[1] = "#"
				pattern = strings.Join(parts, ".")
			}
		}
		if !slices.Contains(commonParams, pattern) && !slices.Contains(implemented, pattern) || before != "" && p.get(before) == "" {
			return &apiError{400, "UnsupportedParameter", fmt.Sprintf("The simulator does not implement the parameter %s of %s.", key, action)}
		}
	}
	return nil
}

// list reads Key.1, Key.2, ... and stops at the first gap.
func (p params) list(key string) []string {
	var out []string
	for i := 1; ; i++ {
		v := p.get(key + "." + strconv.Itoa(i))
		if v == "" {
			return out
		}
		out = append(out, v)
	}
}

// maxTargeted is how many ids one targeted call takes.
const maxTargeted = 100

// instanceQuery is what a DescribeInstances call asks for.
type instanceQuery struct {
	ids          []string
	from, to     int64 // creation minutes, both inclusive; to < 0: open
	zone, family string
	status       instanceStatus
	typ, image   string
	opt          instanceOptions

	byPage     bool // PageNumber and PageSize
	page, size int
	token      string
	hash       uint64 // of everything that narrows; a NextToken is bound to it
}

// narrows says whether instances must be looked at one by one.
func (q *instanceQuery) narrows() bool {
	return q.zone != "" || q.family != "" || q.status != statusNone || q.typ != "" || q.image != ""
}

// parseInstanceQuery reads the parameters of DescribeInstances.
func (s *Simulator) parseInstanceQuery(params params) (*instanceQuery, *apiError) {
	query := &instanceQuery{from: 0, to: -1, zone: params.get("ZoneId"), family: params.get("InstanceTypeFamily"), typ: params.get("InstanceType"), image: params.get("ImageId"), token: params.get("NextToken")}
	if text := params.get("Status"); text != "" {
		st, ok := parseStatus(text)
		if !ok {
			return nil, &apiError{404, "InvalidStatus.NotFound", "The specified Status is not valid."}
		}
		query.status = st
	}
	if text := params.get("InstanceIds"); text != "" {
		if err := json.Unmarshal([]byte(text), &query.ids); err != nil || len(query.ids) > maxTargeted {
			return nil, errInvalid("InstanceIds")
		}
	}
	for _, a := range params.list("AdditionalAttributes") {
		query.opt.nvme = query.opt.nvme || a == "CURRENT_OS_NVME_SUPPORTED"
	}
	if err := query.parseFilters(params, s.against); err != nil {
		return nil, err
	}
	if err := query.parsePaging(params); err != nil {
		return nil, err
	}
	query.hash = hash(hashString(query.zone), hashString(query.family), hashString(query.typ), hashString(query.image), uint64(query.status), uint64(query.from), uint64(query.to), hashString(strings.Join(query.ids, ",")))
	return query, nil
}

func (q *instanceQuery) parseFilters(params params, against func(Contradiction) bool) *apiError {
	inPlace := [...]string{1: "CreationStartTime", 2: "CreationEndTime"}
	for number := 1; ; number++ {
		key := params.get("Filter." + strconv.Itoa(number) + ".Key")
		if key == "" {
			return nil
		}
		misplaced := number >= len(inPlace) || key != inPlace[number]
		parsed, err := time.Parse("2006-01-02T15:04Z", params.get("Filter."+strconv.Itoa(number)+".Value"))
		switch {
		case key != "CreationStartTime" && key != "CreationEndTime":
			return &apiError{404, "InvalidFilterKey.NotFound", "The specified FilterKey is not found."}
		case err != nil:
			return errInvalid("Filter." + strconv.Itoa(number) + ".Value")
		case misplaced && against(FiltersRefused):
			return &apiError{404, "InvalidFilterKey.NotFound", "The specified FilterKey is not found."}
		case misplaced && against(FiltersPositional):
		case key == "CreationStartTime":
			q.from = parsed.Unix() / 60
		default:
			q.to = max(parsed.Unix()/60, 0)
		}
	}
}

// parsePaging clamps as the API does: MaxResults 10 to 100, 10 when unset.
func (q *instanceQuery) parsePaging(params params) *apiError {
	number, err := params.int("PageNumber", 0)
	if err != nil {
		return err
	}
	size, err := params.int("PageSize", 10)
	if err != nil {
		return err
	}
	limit, err := params.int("MaxResults", 0)
	if err != nil {
		return err
	}
	q.byPage = (params.get("PageNumber") != "" || params.get("PageSize") != "") && q.token == "" && params.get("MaxResults") == ""
	if q.byPage {
		if (params.get("PageNumber") != "" && number < 1) || size < 1 {
			return errInvalid("PageNumber")
		}
		q.page, q.size = max(number, 1), min(size, 100)
		return nil
	}
	q.size = min(max(limit, 10), 100)
	return nil
}

// span is the index range that the creation filters leave. The caller holds mu.
func (q *instanceQuery) span(sc *scope) (int, int) {
	lo, hi := 0, sc.count()
	if q.from > 0 {
		lo = sc.firstAt(q.from)
	}
	if q.to >= 0 {
		hi = sc.firstAt(q.to + 1)
	}
	return lo, max(lo, hi)
}

// match says whether a live instance passes the remaining filters.
func (q *instanceQuery) match(sc *scope, in *instance) bool {
	return (q.zone == "" || sc.zones[in.zone(sc)] == q.zone) &&
		(q.family == "" || in.typ.family == q.family) &&
		(q.status == statusNone || in.status == q.status) &&
		(q.typ == "" || in.typ.id == q.typ) &&
		(q.image == "" || in.slot.imageID == q.image)
}
