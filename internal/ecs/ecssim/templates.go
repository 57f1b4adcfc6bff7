package ecssim

import (
	"slices"
	"strconv"
)

// maxTemplates is how many launch templates an account may have in a region.
const maxTemplates = 30

// template is a launch template of a scope.
type template struct {
	id, name        string
	initial, latest int64     // numbers of the default version and the latest
	images          [2]string // of the versions up to the default one, and of later ones
}

// templates are those of the scope: one for every fourth of its images, of which
// every third has a later version that starts another image, and every ninth a
// default version that names no image at all.
func (sc *scope) templates() []template {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	n := min(maxTemplates, (len(sc.slots)+3)/4)
	out := make([]template, n)
	for index := range out {
		sum := hash(sc.fleet.seed, 't', uint64(sc.index), uint64(index))
		made := template{
			id: "lt-" + sc.region.prefix + string(appendBase36(nil, sum, 12)), name: "template-" + strconv.Itoa(index),
			initial: 1 + int64(sum>>40%3), images: [2]string{sc.slots[4*index].imageID, sc.slots[4*index].imageID},
		}
		made.latest = made.initial
		if index%3 == 1 {
			made.latest++
			made.images[1] = sc.slots[(4*index+2)%len(sc.slots)].imageID
		}
		if index%9 == 5 {
			made.images[0] = ""
			if made.latest == made.initial {
				made.images[1] = ""
			}
		}
		out[index] = made
	}
	return out
}

// image is what a version of the template starts; not ok where there is no such
// version.
func (t *template) image(version int64) (id string, ok bool) {
	switch {
	case version < 1 || version > t.latest:
		return "", false
	case version > t.initial:
		return t.images[1], true
	}
	return t.images[0], true
}

// describeTemplates answers DescribeLaunchTemplates.
func (s *Simulator) describeTemplates(call *call, sc *scope) (object, *apiError) {
	at, err := call.params.page(50)
	if err != nil {
		return nil, err
	}
	all := sc.templates()
	total := len(all)
	if s.against(TemplatesCut) {
		all = all[:min(len(all), 1)]
	}
	var rows []object
	for _, t := range all {
		row := object{
			"LaunchTemplateId": t.id, "LaunchTemplateName": t.name, "DefaultVersionNumber": t.initial, "LatestVersionNumber": t.latest,
			"CreateTime": "2024-05-14T14:18:00Z", "ModifiedTime": "2025-05-14T14:18:00Z", "CreatedBy": sc.account.ID,
		}
		if s.against(TemplatesGarbled) {
			row["LaunchTemplateId"] = "<b>lt</b>\x1b[2J"
		}
		rows = append(rows, row)
	}
	return paged(at, total, "LaunchTemplateSets", "LaunchTemplateSet", rows), nil
}

// describeVersions answers DescribeLaunchTemplateVersions: the versions that are
// asked for, or all.
func (s *Simulator) describeVersions(call *call, sc *scope) (object, *apiError) {
	id := call.params.get("LaunchTemplateId")
	if id == "" {
		return nil, errMissing("LaunchTemplateId")
	}
	asked, err := call.params.page(50)
	if err != nil {
		return nil, err
	}
	all := sc.templates()
	at := slices.IndexFunc(all, func(t template) bool { return t.id == id })
	if at < 0 {
		return nil, &apiError{404, "InvalidLaunchTemplate.NotFound", "The specified LaunchTemplate is not found."}
	}
	chosen := &all[at]
	var numbers []int64
	for _, text := range call.params.list("LaunchTemplateVersion") {
		n, parseErr := strconv.ParseInt(text, 10, 64)
		if parseErr != nil {
			return nil, errInvalid("LaunchTemplateVersion")
		}
		numbers = append(numbers, n)
	}
	if numbers == nil {
		for n := chosen.latest; n >= 1; n-- {
			numbers = append(numbers, n)
		}
	}
	var rows []object
	for _, number := range numbers {
		image, ok := chosen.image(number)
		if !ok || s.against(VersionsMissing) && number == chosen.initial {
			continue
		}
		data := object{"InstanceType": "ecs.g5.large", "SystemDisk.Category": "cloud_efficiency", "Tags": list("InstanceTag", []object(nil))}
		if image != "" {
			data["ImageId"] = image
		}
		row := object{
			"LaunchTemplateId": chosen.id, "LaunchTemplateName": chosen.name, "VersionNumber": number, "DefaultVersion": number == chosen.initial,
			"CreateTime": "2024-05-14T14:18:00Z", "ModifiedTime": "2024-05-14T14:18:00Z", "CreatedBy": sc.account.ID, "LaunchTemplateData": data,
		}
		if s.against(VersionsOfOthers) {
			row["LaunchTemplateId"] = "lt-" + sc.region.prefix + "somebodyselses"
		}
		rows = append(rows, row)
	}
	return paged(asked, len(rows), "LaunchTemplateVersionSets", "LaunchTemplateVersionSet", rows), nil
}
