// Package ecs is the seam to the cloud: the nouns of the ECS API that shenscan
// needs, small enough to be read in one go, and the errors that callers branch
// on. It knows no SDK, no HTTP and no NATS.
package ecs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/rules"
)

// MaxPage is the largest page that DescribeInstances returns and the largest
// number of ids that one targeted call takes.
const MaxPage = 100

// Scope is one account in one region: the unit of completeness.
type Scope struct {
	Account string `json:"account"` // Alibaba Cloud account id
	Region  string `json:"region"`  // "cn-hangzhou"
}

// String formats the scope as account/region.
func (s Scope) String() string { return s.Account + "/" + s.Region }

// Compare orders scopes by account and region.
func (s Scope) Compare(other Scope) int {
	return cmp.Or(cmp.Compare(s.Account, other.Account), cmp.Compare(s.Region, other.Region))
}

// Account is one account that there is to look at.
type Account struct {
	ID   string // the cloud's id, which scopes, records and metrics carry; "" while it cannot be learnt
	Name string // what people call it: the configured name, else the one in the resource directory
	// Status is that of a member of the resource directory, "" for others.
	Status string
	// Excluded accounts are named and left alone.
	Excluded bool
	// Err is why the account cannot be looked at.
	Err error
}

// String is the account as people are told of it.
func (a Account) String() string {
	switch {
	case a.ID == "":
		return a.Name
	case a.Name == "" || a.Name == a.ID:
		return a.ID
	}
	return a.ID + " (" + a.Name + ")"
}

// Region is one row of DescribeRegions.
type Region struct {
	ID, Endpoint string
}

// Tag is one tag of an instance.
type Tag struct{ Key, Value string }

// Instance is the part of a DescribeInstances row that shenscan keeps. Every
// string is as the API spelled it and untrusted.
type Instance struct {
	ID           string `json:"InstanceId"`
	Name         string `json:"InstanceName"`
	Type         string `json:"InstanceType"`       // "ecs.g6.large"
	Family       string `json:"InstanceTypeFamily"` // "ecs.g6"
	ImageID      string `json:"ImageId"`
	OSName       string
	OSNameEn     string
	OSType       string
	Status       string // Pending, Running, Starting, Stopping, Stopped
	Zone         string `json:"ZoneId"`
	CreationTime string // "2017-12-10T04:04Z"
	StartTime    string // when it was started last, in the same form
	NetworkType  string `json:"InstanceNetworkType"` // "classic" or "vpc"
	IoOptimized  rules.Tri
	OSNVMe       rules.Tri `json:"-"`   // ImageOptions.CurrentOSNVMeSupported
	CPU          int32     `json:"Cpu"` // vCPUs
	MemoryMiB    int32     `json:"Memory"`
	Tags         []Tag     `json:"-"` // Tags.Tag
	// Guest is what the machine itself answered; nil where it was not asked. It
	// comes from no answer of the API.
	Guest *rules.GuestFacts `json:"-"`
}

// Hardware returns what the rules look at of the machine.
func (x *Instance) Hardware() rules.Hardware {
	return rules.Hardware{InstanceType: x.Type, InstanceFamily: x.Family, IoOptimized: x.IoOptimized, OSNVMe: x.OSNVMe, Running: running(x.Status)}
}

// Judged is what a verdict on an instance rests on and what no start, stop or
// renaming changes. Two rows of one instance that differ in it contradict each
// other: which of them is true is not known.
type Judged struct {
	ImageID, OSName, OSNameEn, OSType, Type, Family string
	IoOptimized, OSNVMe                             rules.Tri
}

// Judged returns what a verdict on the instance rests on.
func (x *Instance) Judged() Judged {
	return Judged{x.ImageID, x.OSName, x.OSNameEn, x.OSType, x.Type, x.Family, x.IoOptimized, x.OSNVMe}
}

// running says whether the instance runs. A stopped one may be one that no
// longer boots, so it proves nothing.
func running(status string) rules.Tri {
	switch status {
	case "Running":
		return rules.Yes
	case "":
		return rules.Unobserved
	}
	return rules.No
}

// Page is one answer of DescribeInstances: 0 to MaxPage instances.
type Page struct {
	Instances []Instance
	NextToken string // of the next call; "" at the end of the chain
	RequestID string
	// Asked is when the call that was answered left, after all waiting for the
	// rate limit, by the time package's clock: the page shows the fleet as it was
	// then or later.
	Asked time.Time
	// Doubt says what in the answer contradicts the question, the answer itself
	// or what was read before it. Its class is Contradicted. The instances are
	// true, but they may not be all: a listing with a doubt in one of its pages
	// is never complete, an instance that is absent from it is not gone, and the
	// chain is followed to its end all the same. It is nil for nearly every
	// page.
	Doubt *Error
}

// pages are empty lists of instances.
var pages = sync.Pool{New: func() any { return new(make([]Instance, 0, MaxPage)) }}

// NewInstances returns an empty list with room for the instances of a page.
func NewInstances() []Instance { return *pages.Get().(*[]Instance) }

// Recycle takes the memory of a list that nobody refers to any more, for other pages.
// A page is some 30 KB that nobody needs a moment later: making it anew each time was a
// fifteenth of all that a scan allocates.
func Recycle(list []Instance) {
	if list = list[:cap(list)]; len(list) == MaxPage {
		clear(list)
		list = list[:0]
		pages.Put(&list)
	}
}

// NoCount is the number of instances where the API does not say it.
const NoCount = -1

// Query narrows DescribeInstances. The zero value asks for everything.
type Query struct {
	NextToken string
	// CreatedFrom and CreatedTo bound the creation time, both inclusive,
	// minute precision; zero means unbounded (CreationStartTime and
	// CreationEndTime filters).
	CreatedFrom, CreatedTo time.Time
	InstanceIDs            []string // at most MaxPage; excludes paging
}

// InstanceType is the part of a DescribeInstanceTypes row that shenscan keeps.
type InstanceType struct {
	ID, Family string
	Arch       string // CpuArchitecture: "X86" or "ARM"
	CPU        int
	MemoryGiB  float64
	NVMe       string   // NvmeSupport: required, supported, unsupported
	BootModes  []string // SupportedBootModes
}

// Facts are those of the type that rules look at.
func (t *InstanceType) Facts() rules.TypeFacts {
	typeFacts := rules.TypeFacts{Type: t.ID, Family: t.Family, NVMe: strings.ToLower(t.NVMe), BootModes: t.BootModes}
	switch strings.ToUpper(t.Arch) {
	case "X86":
		typeFacts.Arch = "x86_64"
	case "ARM":
		typeFacts.Arch = "arm64"
	}
	return typeFacts
}

// TypeFacts are the facts of the types.
func TypeFacts(types []InstanceType) []rules.TypeFacts {
	out := make([]rules.TypeFacts, len(types))
	for i := range types {
		out[i] = types[i].Facts()
	}
	return out
}

// Stock is how much of an instance type a zone has to sell.
type Stock uint8

// The levels of stock. What an answer does not list is not sold: SoldOut.
const (
	SoldOut  Stock = iota // WithoutStock or ClosedWithoutStock
	LowStock              // ClosedWithStock: some is left, another type is advised
	InStock               // WithStock
)

// StockQuery narrows Stock.
type StockQuery struct {
	Zone       string // "" asks for every zone of the region
	ChargeType string // PostPaid or PrePaid; "" is PostPaid
}

// ZoneStock is what one zone sells.
type ZoneStock struct {
	Zone  string           // "cn-hangzhou-h"
	Types map[string]Stock // by id of the instance type
}

// Image is one image as DescribeImages shows it.
type Image struct {
	ID    string
	Facts rules.ImageFacts
}

// OfferedFamily is an instance family on which the platform offers an image, on so
// many of its types.
type OfferedFamily struct {
	Name  string // "ecs.g6"
	Types int
}

// PlatformAPI is what the platform itself says of images. It is an ability of
// some implementations of API: saved answers, for one, do not hold it.
type PlatformAPI interface {
	// OfferedFamilies counts, by family and in order of their names, the instance
	// types on which the platform offers an image in its region
	// (DescribeImageSupportInstanceTypes). What it goes by is documented nowhere.
	// An answer is whole, about that image and not empty; any other is an error of
	// class Contradicted. The list is shared and must not be changed.
	OfferedFamilies(ctx context.Context, s Scope, image string) ([]OfferedFamily, error)
	// SystemImages lists current public images of the region, of an architecture
	// as DescribeImages spells it; perhaps not all.
	SystemImages(ctx context.Context, s Scope, arch string) ([]Image, error)
}

// API is what shenscan asks of the cloud. Implementations are safe for
// concurrent use, honour ctx, retry what may be retried within their budget,
// keep to the rate limit, and return *Error for everything that the cloud
// refused. A short answer is never returned for a failed call.
type API interface {
	// Regions lists the regions that the account may use (DescribeRegions). Where
	// the answer says that it is not all, its regions come beside the error.
	Regions(ctx context.Context, account string) ([]Region, error)
	// Instances returns one page of DescribeInstances. A page without instances
	// is returned only after a dry run that began behind it has proved that the
	// call was allowed: to those who may not look, the API shows an empty list,
	// on any page of a chain. Instances that q names and the page does not hold
	// were asked for until an answer held none of them. The list is the caller's, who
	// may write to it and Recycle it.
	Instances(ctx context.Context, s Scope, q Query) (*Page, error)
	// CountInstances asks for the number of instances that match q with a
	// page-number probe, whose TotalCount is meaningful. It is NoCount where the
	// API answers without one.
	CountInstances(ctx context.Context, s Scope, q Query) (int, error)
	// VerifyAccess proves with DryRun that DescribeInstances is allowed: an
	// empty list alone may be a refusal.
	VerifyAccess(ctx context.Context, s Scope) error
	// Images looks up any number of ids, every Status included. Ids that the
	// API does not know come back with Presence ImageMissing.
	Images(ctx context.Context, s Scope, ids []string) ([]Image, error)
	// InstanceTypes lists the catalogue of the account.
	InstanceTypes(ctx context.Context, account string) ([]InstanceType, error)
	// Stock says which instance types the zones of a region sell now
	// (DescribeAvailableResource).
	Stock(ctx context.Context, s Scope, q StockQuery) ([]ZoneStock, error)
}

// Class says what kind of failure an Error is and so what to do with it.
type Class uint8

// The classes of failure.
const (
	Transient    Class = iota // the network or the service; retried already
	Throttled                 // the quota of account, region and action
	Credentials               // keys are wrong, disabled or expired
	Permission                // RAM denies the action
	RegionClosed              // the region is not activated, unknown or closed to the account
	TokenExpired              // NextToken is no longer valid: restart the chain
	BadRequest                // a bug of the caller
	BadAnswer                 // an answer that is cut short, too large, not JSON or of the wrong shape
	Contradicted              // answers that are well-formed and cannot all be true: what was read may not be all
)

// classes are how logs, metrics and reports spell a class, and how people are told of it.
var classes = [...]struct{ name, words string }{
	Transient:    {"transient", "temporary failure"},
	Throttled:    {"throttled", "throttled"},
	Credentials:  {"credentials", "credentials"},
	Permission:   {"permission", "permission"},
	RegionClosed: {"region-closed", "region-closed"},
	TokenExpired: {"token-expired", "page token expired"},
	BadRequest:   {"bad-request", "refused as wrong"},
	BadAnswer:    {"bad-answer", "unusable answer"},
	Contradicted: {"contradicted", "contradicted"},
}

// String returns the class as logs, metrics and reports spell it.
func (c Class) String() string { return classes[c].name }

// Words names the class for people.
func (c Class) Words() string { return classes[c].words }

// ClassWords names for people the class that is spelt name.
func ClassWords(name string) string {
	for _, class := range classes {
		if class.name == name {
			return class.words
		}
	}
	return name
}

// Error is a call that the cloud refused or that did not come through. It
// never holds a credential.
type Error struct {
	Action    string // "DescribeInstances"
	Scope     Scope
	Class     Class
	Code      string // the API's code, "" when it sent none
	Status    int    // HTTP status, 0 when none arrived
	RequestID string
	Mend      string // what a person can do about it
	Err       error  // cause
}

// Error says what failed, where, why and what to do.
func (e *Error) Error() string {
	if e.Class == Credentials && e.Code == "" && e.Err != nil {
		return e.lacking() // nobody was asked yet
	}
	msg := fmt.Sprintf("%s in %s: %s", e.Action, e.where(), e.Class.Words())
	if e.Code != "" {
		msg += " (" + e.Code + ")"
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	if e.RequestID != "" {
		msg += " [request " + e.RequestID + "]"
	}
	if e.Mend != "" {
		msg += "; " + e.Mend
	}
	return msg
}

// Cause says in short why something is not known: neither where, nor what the
// platform wrote.
func (e *Error) Cause() string {
	cause := fmt.Sprintf("%s: %s", e.Action, e.Class)
	if e.Code != "" {
		cause += " (" + e.Code + ")"
	}
	if e.Class == Contradicted && e.Err != nil { // it says why
		cause += ": " + e.Err.Error()
	}
	return cause
}

// lacking says what is missing before a call can be made, the cause first.
func (e *Error) lacking() string {
	msg := e.Err.Error()
	if e.Scope.Account != "" && e.Scope.Account != BaseCredentials {
		msg = "account " + e.Scope.Account + ": " + msg
	}
	if e.Mend != "" && !strings.Contains(msg, e.Mend) {
		msg += "; " + e.Mend
	}
	return msg
}

// BaseCredentials stands for the account where nothing but the credentials of
// this process is known.
const BaseCredentials = "of the credentials"

// SecurityTokens stands for the region where the service that gives out tokens
// is asked, which has none.
const SecurityTokens = "sts"

// where names the scope for people.
func (e *Error) where() string {
	if e.Scope.Account == BaseCredentials {
		return "the account " + BaseCredentials
	}
	if e.Scope.Region == SecurityTokens {
		return e.Scope.Account
	}
	return e.Scope.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the first *Error in err's chain; any other
// error is Transient.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Transient
}
