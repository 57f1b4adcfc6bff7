package rules

// said is what each source says to a question that several of them answer: the
// strongest first, as its fact is chosen.
type said [numQuestions][maxSources]Tri

// The questions that several sources answer.
const (
	saidVirtio = iota
	saidNVMe
	saidNames
	numQuestions
)

// maxSources is how many sources a question has at most.
const maxSources = 5

// answering is a source of answers.
type answering struct {
	evidence Evidence
	name     string
}

// disputed are their names, and their sources in the order of said.
var disputed = [numQuestions]struct {
	field   string
	sources []answering
}{
	saidVirtio: {"virtio at boot", []answering{{EvidenceGuest, "the guest"}, {EvidenceImage, "the image check"}, {EvidenceInstance, "it runs on virtio"}}},
	saidNVMe: {"NVMe at boot", []answering{
		{EvidenceGuest, "the guest"},
		{EvidenceInstance, "it runs on NVMe"},
		{EvidenceImage, "the image check"},
		{EvidenceInstance, "CurrentOSNVMeSupported"},
		{EvidenceImage, "NvmeSupport of the image"},
	}},
	saidNames: {"device names at boot", []answering{{EvidenceGuest, "the console log"}, {EvidenceGuest, "the guest"}, {EvidenceImage, "the image check"}}},
}

// conflicts are the answers that contradict the one that was chosen, which is the
// strongest source's.
func (s *said) conflicts(out []Conflict) []Conflict {
	for q := range disputed {
		chosen := first(s[q][:]...)
		for i, source := range disputed[q].sources {
			if says := s[q][i]; says != Unobserved && says != chosen {
				out = append(out, Conflict{Field: disputed[q].field, Chosen: chosen.String(), Other: says.String(), Evidence: source.evidence, Text: source.name})
			}
		}
	}
	return out
}
