package workers_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/workers"
)

// fullPage is a page of 100 instances with 60 images on 80 kinds of machine.
func fullPage() (*event.InstancesListed, map[string]*rules.ImageFacts) {
	page := &event.InstancesListed{}
	images := map[string]*rules.ImageFacts{}
	for i := range ecs.MaxPage {
		image := fmt.Sprintf("m-bp1%017d", i%60)
		images[image] = &rules.ImageFacts{Presence: rules.ImageFound, OSName: "CentOS  7.6 64位", Architecture: "x86_64", Owner: "self"}
		page.Instances = append(page.Instances, ecs.Instance{
			ID: fmt.Sprintf("i-bp1%017d", i), Name: "web", Type: fmt.Sprintf("ecs.g6.%dxlarge", i%80), Family: "ecs.g6", ImageID: image,
			OSName: "CentOS  7.6 64位", OSNameEn: "CentOS  7.6 64 bit", OSType: "linux", Status: "Running", Zone: "cn-hangzhou-b", IoOptimized: rules.Yes,
		})
	}
	return page, images
}

// A page whose images and machines were seen before is classified with a few
// allocations: for the message, none for an instance.
func TestAllocationsOfAKnownPage(t *testing.T) {
	r, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := r.NewClassifier(nil)
	page, images := fullPage()
	const most = 30 // slices of the message that grow
	if n := testing.AllocsPerRun(50, func() { workers.Classify(c, page, images) }); n > most {
		t.Errorf("%v allocations for a page, more than %d", n, most)
	}
}

// BenchmarkClassifyPage is a worker's work on a page beside looking up its
// images.
func BenchmarkClassifyPage(b *testing.B) {
	r, err := catalog.Default()
	if err != nil {
		b.Fatal(err)
	}
	c := r.NewClassifier(nil)
	page, images := fullPage()
	b.ReportAllocs()
	for b.Loop() {
		workers.Classify(c, page, images)
	}
}
