package ecs

import "context"

// MaxTemplates is how many launch templates of one account and region are read; an
// account may have thirty unless it asked for more.
const MaxTemplates = 200

// LaunchTemplate is one row of DescribeLaunchTemplates.
type LaunchTemplate struct {
	ID, Name        string
	Default, Latest int64 // numbers of its versions
}

// LaunchTemplates is a list of launch templates.
type LaunchTemplates struct {
	List []LaunchTemplate
	// Counted is how many there are by the answer; more than are listed where the
	// list was cut.
	Counted int
	Calls   int // that were made for it
}

// TemplateVersion is what a version of a launch template starts. A version never
// changes.
type TemplateVersion struct {
	Number int64
	Image  string // "" where the version names none
}

// TemplateAPI is what an account keeps to start instances from. It is an ability
// of some implementations of API.
type TemplateAPI interface {
	// LaunchTemplates lists at most MaxTemplates launch templates of a region
	// (DescribeLaunchTemplates).
	LaunchTemplates(ctx context.Context, s Scope) (*LaunchTemplates, error)
	// TemplateVersions returns the versions of a launch template that are asked
	// for, at most ten, in their order (DescribeLaunchTemplateVersions). An answer
	// that lacks one of them is an error of class Contradicted.
	TemplateVersions(ctx context.Context, s Scope, template string, numbers []int64) ([]TemplateVersion, error)
}
