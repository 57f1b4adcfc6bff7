package workers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/workers"
)

// Pages that are classified side by side and one after the other, in the same
// memory, keep what was said of them: a message of one never changes with another.
func TestPagesKeepWhatWasSaidOfThem(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	reader := outcome.NewReader(rs.NewClassifier(nil))
	systems := []string{"CentOS  5.8 64位", "CentOS  7.6 64位", "Windows Server  2008 R2 企业版 64位中文版", "Debian  12.0 64位", "FreeBSD  11.1 64位", ""}
	type given struct {
		page   *event.InstancesListed
		images []*workers.Image
	}
	var pages []given
	for size := range 8 { // pages of other sizes, with other systems first
		var page event.InstancesListed
		var instances []ecs.Instance
		for i := range 10 * (size + 1) {
			instances = append(instances, ecs.Instance{
				ID: fmt.Sprintf("i-%d-%d", size, i), Type: fmt.Sprintf("ecs.g%d.large", 5+i%3), Family: fmt.Sprintf("ecs.g%d", 5+i%3), ImageID: fmt.Sprintf("m-%d", i%7),
				OSName: systems[(size+i)%len(systems)], Status: "Running", Zone: "cn-hangzhou-b", IoOptimized: rules.Yes,
			})
		}
		page.SetInstances(instances)
		images := make([]*workers.Image, len(page.Software))
		for i := range images {
			images[i] = &workers.Image{Facts: rules.ImageFacts{Presence: rules.ImageFound, Architecture: "x86_64"}}
		}
		pages = append(pages, given{&page, images})
	}
	// spelled is what a message says of each profile.
	spelled := func(m *event.InstancesClassified) string {
		var text strings.Builder
		for i := range m.Profiles {
			profile := &m.Profiles[i]
			fmt.Fprintln(&text, m.Software[profile.Software].OSName, m.Hardware[profile.Hardware].InstanceType, m.Classes[profile.Class])
		}
		return text.String()
	}
	want := make([]string, len(pages))
	for i, p := range pages {
		want[i] = spelled(workers.Classify(reader, p.page, p.images))
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			var said []*event.InstancesClassified
			for round := range 10 * len(pages) {
				p := pages[(worker+round)%len(pages)]
				said = append(said, workers.Classify(reader, p.page, p.images))
			}
			for round, message := range said { // after all of them were made
				if diff := cmp.Diff(want[(worker+round)%len(pages)], spelled(message)); diff != "" {
					t.Error(diff)
					return
				}
			}
		})
	}
	group.Wait()
}
