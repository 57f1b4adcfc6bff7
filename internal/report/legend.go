package report

import (
	"regexp"
	"strings"
)

// means says what a verdict means.
func means(verdict string) string {
	return map[string]string{
		"compatible":   "boots there as it is",
		"needs-action": "boots there after the named remedies, or once the named checks pass",
		"incompatible": "does not boot there",
		"unknown":      "what is known does not tell; never a polite word for compatible",
	}[verdict]
}

// meansTarget says what a target is.
func meansTarget(target string) string {
	if text := map[string]string{
		"kvm":        "5th generation and earlier, not SHENLONG",
		"shenlong-6": "6th generation",
		"shenlong-7": "7th generation: virtio disks",
		"shenlong-8": "8th generation and later: disks by NVMe, systems from a list",
	}[target]; text != "" {
		return text
	}
	return "one instance family or type, with its CPU architecture, boot modes and disks"
}

// meansConfidence says what a confidence means.
func meansConfidence(confidence string) string {
	return map[string]string{
		"high":   "evidence and source carry the verdict",
		"medium": "probable; the source or the evidence leaves room",
		"low":    "the worst of what is possible, or a guess from weak evidence: do its checks before you rely on it",
	}[confidence]
}

// SourcePart is a part of a source: text, or an address to follow.
type SourcePart struct{ Text, Href string }

// inSource finds addresses, and those that were written without https.
var inSource = regexp.MustCompile(`(?:https?://)?(?:[a-z0-9-]+\.)+(?:com|org|cn|io|net)/[^\s()<>"（）；，。]+|https://[^\s()<>"（）；，。]+`)

// sourceParts takes a source apart, so that what stands in it as an address can
// be followed.
func sourceParts(source string) []SourcePart {
	source = Short(source, 1000)
	var out []SourcePart
	from := 0
	for _, at := range inSource.FindAllStringIndex(source, 8) {
		if at[0] > from {
			out = append(out, SourcePart{Text: source[from:at[0]]})
		}
		text := strings.TrimRight(source[at[0]:at[1]], ".,;")
		href := text
		if !strings.HasPrefix(href, "http") {
			href = "https://" + href
		}
		out = append(out, SourcePart{Text: text, Href: strings.Replace(href, "http://", "https://", 1)})
		from = at[0] + len(text)
	}
	if from < len(source) {
		out = append(out, SourcePart{Text: source[from:]})
	}
	return out
}
