package workers_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/workers"
)

// fullPage is a page of 100 instances with 60 images on 80 kinds of machine.
func fullPage() (*event.InstancesListed, []*workers.Image) {
	page := &event.InstancesListed{}
	byID := map[string]*workers.Image{}
	var instances []ecs.Instance
	for i := range ecs.MaxPage {
		image := fmt.Sprintf("m-bp1%017d", i%60)
		byID[image] = &workers.Image{Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: "CentOS  7.6 64位", Architecture: "x86_64", Owner: "self"}}
		instances = append(instances, ecs.Instance{
			ID: fmt.Sprintf("i-bp1%017d", i), Name: "web", Type: fmt.Sprintf("ecs.g6.%dxlarge", i%80), Family: "ecs.g6", ImageID: image,
			OSName: "CentOS  7.6 64位", OSNameEn: "CentOS  7.6 64 bit", OSType: "linux", Status: "Running", Zone: "cn-hangzhou-b", IoOptimized: rules.Yes,
		})
	}
	page.SetInstances(instances)
	var images []*workers.Image
	for _, s := range page.Software {
		images = append(images, byID[s.ImageID])
	}
	return page, images
}

// BenchmarkClassifyPage is a worker's work on a page beside looking up its
// images.
func BenchmarkClassifyPage(b *testing.B) {
	r, err := catalog.Default()
	if err != nil {
		b.Fatal(err)
	}
	c := outcome.NewReader(r.NewClassifier(nil))
	page, images := fullPage()
	b.ReportAllocs()
	for b.Loop() {
		workers.Classify(c, page, images)
	}
}
