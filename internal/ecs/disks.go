package ecs

import "context"

// DiskPage is how many disks one call of DescribeDisks lists at most.
const DiskPage = 500

// Disk is one row of DescribeDisks. Every text is as the API spelled it, cut,
// and untrusted.
type Disk struct {
	ID       string
	Category string // "cloud_essd"
	Kind     string // Type: "system" or "data"
	Device   string // "/dev/xvda": the cloud's name of the place, and not the guest's of the disk
	SizeGiB  int
	// Instances are those that it is attached to: one, or several where it may be
	// attached to more than one.
	Instances []string
}

// DiskListing is what asking for disks came to.
type DiskListing struct {
	Calls int
	// Doubt says what contradicts that these were all disks of the instances. The
	// disks that were told of are there, and there may be others. It is nil where
	// nothing does.
	Doubt *Error
}

// DiskAPI tells of disks. It is an ability of some implementations of API.
type DiskAPI interface {
	// InstanceDisks calls each with every disk that is attached to one of the
	// instances, at least, and with each disk once (DescribeDisks). It asks for
	// the instances one by one, or lists the disks of the region where that takes
	// fewer calls; an instance without any disk is none that it was told of. each
	// may be called before an error is found; what it heard then is nothing.
	InstanceDisks(ctx context.Context, s Scope, instances []string, each func(*Disk)) (DiskListing, error)
}
