package record

import (
	"fmt"
	"strings"
	"time"

	"github.com/shenscan/shenscan/rules"
)

// StartGroups are what starts new machines by itself or on a press of a button:
// groups that instances belong to by their tags, and launch templates. An instance
// that is moved or mended is no migration as long as its group starts the old image
// again.
type StartGroups struct {
	// Groups stand by their worst image first, then by their number of instances.
	Groups []StartGroup `json:"groups"`
	// Unlisted are instances of groups beyond the number that is listed.
	Unlisted int `json:"unlisted_instances"`
	// Unread say what is not known of launch templates; none where all is.
	Unread []StartUnread `json:"unread"`
}

// StartUnread is a place whose launch templates are not known, or not all of them.
type StartUnread struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Cause   string `json:"cause"`
	Mend    string `json:"mend,omitempty"`
	// AsOf is when those that are listed were read; nil where none were.
	AsOf *time.Time `json:"as_of,omitempty"`
}

// StartGroupKind is what a group is.
type StartGroupKind string

// The kinds of groups.
const (
	NodePool     StartGroupKind = "node-pool"     // of a cluster of Container Service for Kubernetes
	Cluster      StartGroupKind = "cluster"       // such a cluster, where the pool is not named
	ScalingGroup StartGroupKind = "scaling-group" // of Auto Scaling
	// LaunchTemplate is one that instances may be started from. Which ones were,
	// instances do not show.
	LaunchTemplate StartGroupKind = "launch-template"
)

// Words names the kind for people.
func (k StartGroupKind) Words() string { return strings.ReplaceAll(string(k), "-", " ") }

// startTags are the tags by which the cloud marks what a group started, the one
// that counts most first: a node pool has a scaling group beneath it, which is
// changed through the pool.
var startTags = []struct {
	key  string
	kind StartGroupKind
}{
	{"ack.alibabacloud.com/nodepool-id", NodePool},
	{"ack.aliyun.com", Cluster},
	{"acs:autoscaling:scalingGroupId", ScalingGroup},
}

// StartTagKeys are the keys of the tags that StartGroupOf looks at.
func StartTagKeys() []string {
	keys := make([]string, len(startTags))
	for i := range startTags {
		keys[i] = startTags[i].key
	}
	return keys
}

// StartGroupOf says which group an instance belongs to, by the values of its tags
// in the order of StartTagKeys; "" is a tag that it has not. The kind is "" for an
// instance of no group.
func StartGroupOf(values []string) (kind StartGroupKind, id string) {
	for i := range startTags {
		if values[i] != "" {
			return startTags[i].kind, values[i]
		}
	}
	return "", ""
}

// StartGroup is one group of an account and region.
type StartGroup struct {
	Kind      StartGroupKind `json:"kind"`
	ID        string         `json:"id"`
	Name      string         `json:"name,omitempty"` // of a launch template
	Account   string         `json:"account"`
	Region    string         `json:"region"`
	Instances int            `json:"instances"`
	// Images of a launch template are those of its default version and, where it is
	// another, of its latest. Those of another group are those that its instances
	// were made from, the one that it started last first: as far as its instances
	// show, that is what it starts next.
	Images []StartImage `json:"images"`
	// Cause is why it is not known what a launch template starts.
	Cause string `json:"cause,omitempty"`
	// MoreImages are images beyond the number that is listed.
	MoreImages int `json:"more_images,omitempty"`
}

// StartImage is an image that a group starts, judged by itself: without what is
// known of the single machines that were made from it.
type StartImage struct {
	ImageID string `json:"image_id"` // "" where the version of a launch template names none
	// Version is what of a launch template starts it: "default 3", "latest 5", or
	// "default and latest 3"; "" for other groups.
	Version   string `json:"version,omitempty"`
	Instances int    `json:"instances"`
	// Newest is when the newest of these instances was created, as the API spells
	// it; "" where it did not say.
	Newest   string         `json:"newest,omitempty"`
	OS       rules.OS       `json:"os"`
	Legacy   bool           `json:"legacy"`
	Verdicts []ImageVerdict `json:"verdicts"`
}

// ImageVerdict is what is said of an image on one target.
type ImageVerdict struct {
	Target     string           `json:"target"`
	Verdict    rules.Level      `json:"verdict"`
	Confidence rules.Confidence `json:"confidence"`
	Rule       string           `json:"rule"`
	Reason     string           `json:"reason"`
}

// On is the verdict on a target, nil where the image was not judged for it.
func (i *StartImage) On(target string) *ImageVerdict {
	for at := range i.Verdicts {
		if i.Verdicts[at].Target == target {
			return &i.Verdicts[at]
		}
	}
	return nil
}

// VersionName is StartImage.Version of a version of a launch template.
func VersionName(number int64, initial, latest bool) string {
	switch {
	case initial && latest:
		return fmt.Sprintf("default and latest %d", number)
	case latest:
		return fmt.Sprintf("latest %d", number)
	}
	return fmt.Sprintf("default %d", number)
}

// Starting are the images that the group starts: of a launch template those of both
// versions, of another group the one that it started last.
func (g *StartGroup) Starting() []StartImage {
	if g.Kind == LaunchTemplate {
		return g.Images
	}
	return g.Images[:min(1, len(g.Images))]
}

// On is the worst verdict on a target of what the group starts, nil where that is
// not known of any image.
func (g *StartGroup) On(target string) *ImageVerdict {
	var worst *ImageVerdict
	images := g.Starting()
	for i := range images {
		if v := images[i].On(target); v != nil && (worst == nil || v.Verdict.AtLeast(worst.Verdict)) {
			worst = v
		}
	}
	return worst
}
