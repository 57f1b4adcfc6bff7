// Package rules says whether an instance boots on another machine: it reads the
// operating system out of whatever was observed, and judges it by a rule set.
// It is pure: no I/O, no clock, no state that changes what it says. It does not
// fetch facts, keep records or print; the rule set as data is read by package
// catalog.
//
// # How a verdict comes about
//
// Facts hold raw strings. The identity is put together from them, the
// strongest evidence first (guest, image, instance, name); weaker evidence may
// make it finer (7, then 7.9) and is kept as a Conflict where it contradicts.
// Unless the machine itself has spoken, a contradicting identity is judged as
// well and the worse verdict counts, with confidence low.
//
// Operating system rules are tried in order. What is known of a release is an
// interval: "CentOS 5" is every release of 5. A rule whose range holds all of
// it decides; one that holds a part is possible, and the worst of the possible
// ones counts. A running kernel narrows the interval. Findings then add
// reasons: they may raise the verdict and never lower it. Where the instance
// runs on the target's class, that observation takes the place of the operating
// system rules, and of findings that do not look at the target.
//
// Two more stages judge systems in the same way and add their verdict: whether
// the system starts from an NVMe disk, on targets that attach disks so, and
// whether the platform accepts it, on targets that accept listed systems only.
// A kernel that is older than the release makes the system as old as itself.
//
// Compatible needs a rule that says so: the last rule of every operating
// system is "unknown".
//
// # Cost
//
// A Classifier remembers thousands of classifications by the facts' content; a
// hit allocates nothing, takes no lock and costs 60 to 110 ns on a core of an
// AMD EPYC (9 to 14 million a second, the more distinct facts the more waiting
// for memory), most of it for comparing the strings. New facts of an operating
// system that was seen cost 2 to 4 µs, of which 0.4 to 1.5 µs go to each
// distinct string; a new operating system costs about 15 µs.
// BenchmarkClassifyKnown and BenchmarkIdentifyCold measure it.
package rules
