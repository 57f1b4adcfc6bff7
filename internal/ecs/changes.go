package ecs

import "context"

// TypeChange is an instance type to which an instance can be changed.
type TypeChange struct {
	Stock Stock
	// AfterDisks says that the change is offered only once the category of its
	// disks was changed.
	AfterDisks bool
	// Odd is a status that no document names, from which nothing follows; "" for any
	// other.
	Odd string
}

// ChangeQuery asks to which types an instance can be changed.
type ChangeQuery struct {
	Instance string
	Zone     string // where the instance is, which the answer is held to; "" where that is not known
	// AcrossClusters asks for changes that move the instance to another cluster of
	// its zone, too.
	AcrossClusters bool
}

// ChangeAPI tells to which types an instance can be changed. It is an ability of
// some implementations of API.
type ChangeAPI interface {
	// TypeChanges lists the types to which an instance can be upgraded where it is
	// (DescribeResourcesModification). An answer that names no type, or is about
	// another zone, is an error of class Contradicted.
	TypeChanges(ctx context.Context, s Scope, q ChangeQuery) (map[string]TypeChange, error)
}
