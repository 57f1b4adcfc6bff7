package record

import "github.com/shenscan/shenscan/rules"

// StartGroups are what starts new machines by itself or on a press of a button:
// groups that instances belong to by their tags. An instance that is moved or
// mended is no migration as long as its group starts the old image again.
type StartGroups struct {
	// Groups stand by their worst image first, then by their number of instances.
	Groups []StartGroup `json:"groups"`
	// Unlisted are instances of groups beyond the number that is listed.
	Unlisted int `json:"unlisted_instances"`
}

// StartGroupKind is what a group is.
type StartGroupKind string

// The kinds of groups.
const (
	NodePool     StartGroupKind = "node-pool"     // of a cluster of Container Service for Kubernetes
	Cluster      StartGroupKind = "cluster"       // such a cluster, where the pool is not named
	ScalingGroup StartGroupKind = "scaling-group" // of Auto Scaling
)

// Words names the kind for people.
func (k StartGroupKind) Words() string {
	switch k {
	case NodePool:
		return "node pool"
	case Cluster:
		return "cluster"
	case ScalingGroup:
		return "scaling group"
	}
	return string(k)
}

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
	Account   string         `json:"account"`
	Region    string         `json:"region"`
	Instances int            `json:"instances"`
	// Images are those that its instances were made from, the one that it started
	// last first: as far as its instances show, that is what it starts next.
	Images []StartImage `json:"images"`
	// MoreImages are images beyond the number that is listed.
	MoreImages int `json:"more_images,omitempty"`
}

// StartImage is an image that a group starts, judged by itself: without what is
// known of the single machines that were made from it.
type StartImage struct {
	ImageID   string `json:"image_id"`
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
