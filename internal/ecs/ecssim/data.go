package ecssim

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed data/os.tsv
var osTSV string

//go:embed data/types.tsv
var typesTSV string

//go:embed data/regions.tsv
var regionsTSV string

// Flags of an operating system row (data/os.tsv, column flags).
const (
	flagNoIO    = "noio"    // the image is not I/O optimized: Xen machines only
	flagMissing = "missing" // DescribeImages does not know the image any more
	flagFound   = "found"   // DescribeImages always knows the image
	flagVirtio  = "virtio"  // a custom image whose check found virtio
	flagRunOnly = "runonly" // instances always run
	flagOthers  = "others"  // a shared image
	flagSelf    = "self"    // an image of the account itself
)

// osKind is one operating system as instances and images show it, with its
// label: identity and the verdicts of the system alone.
type osKind struct {
	family, version, servicePack, arch string
	verdicts                           [targets]level
	flagged                            level // the last of verdicts where a flag says that NVMe is supported
	weight                             int
	hosts                              string
	flags                              map[string]bool
	osName, osNameEn, platform         string
	imageIDs                           []string // public image ids, none for custom only
	tagOS, tagKernel                   string
}

// osType is what OSType says: FreeBSD too is "linux".
func (k *osKind) osType() string {
	if strings.HasPrefix(k.family, "windows") {
		return "windows"
	}
	return "linux"
}

// machineClass orders what an instance type runs on; a later one is newer.
type machineClass int8

// The machine classes. classOther is a family whose generation or
// virtualization the public lists leave open.
const (
	classOther machineClass = iota - 1
	classXen
	classKVM
	classShenlong6
	classShenlong7
	classShenlong8
)

// instanceType is one row of the catalogue.
type instanceType struct {
	id, family, pool, arch string // arch: X86 or ARM
	weight, vcpu           int
	memoryGiB              float64
	nvme                   string
	bootModes              []string
}

// regionRow is one region with the prefix of the ids born in it.
type regionRow struct{ id, localName, localNameEn, prefix string }

// data is everything the embedded files hold.
type data struct {
	kinds   []*osKind
	public  []*slot // the public images, which every region sells
	onSale  *slot   // one of them, which nothing may run of: no region is without any
	types   []*instanceType
	byType  map[string]*instanceType
	regions []regionRow
	pools   map[string]*pool
}

// pool is a weighted set of instance types.
type pool struct {
	types []*instanceType
	cum   []int
}

// pick chooses by a random number.
func (p *pool) pick(r uint64) *instanceType {
	x := int(r % uint64(p.cum[len(p.cum)-1]))
	at, _ := slices.BinarySearch(p.cum, x+1) // the first sum beyond x
	return p.types[at]
}

// loadData parses the embedded files.
func loadData() (*data, error) {
	loaded := &data{byType: map[string]*instanceType{}, pools: map[string]*pool{}}
	for _, file := range []struct {
		name, text string
		columns    int
		row        func([]string) error
	}{
		{"os.tsv", osTSV, 15 + targets, loaded.addKind},
		{"types.tsv", typesTSV, 9, loaded.addType},
		{"regions.tsv", regionsTSV, 4, func(f []string) error {
			loaded.regions = append(loaded.regions, regionRow{f[0], f[1], f[2], f[3]})
			return nil
		}},
	} {
		if err := eachRow(file.text, file.columns, file.row); err != nil {
			return nil, fmt.Errorf("ecssim: data/%s: %w", file.name, err)
		}
	}
	loaded.buildPools()
	return loaded, nil
}

// buildPools groups the weighted types by pool.
func (d *data) buildPools() {
	for _, instanceType := range d.types {
		if instanceType.weight == 0 {
			continue
		}
		drawn := d.pools[instanceType.pool]
		if drawn == nil {
			drawn = &pool{}
			d.pools[instanceType.pool] = drawn
		}
		sum := instanceType.weight * smallness(instanceType.vcpu)
		if n := len(drawn.cum); n > 0 {
			sum += drawn.cum[n-1]
		}
		drawn.types = append(drawn.types, instanceType)
		drawn.cum = append(drawn.cum, sum)
	}
}

// smallness makes small sizes more frequent than large ones.
func smallness(vcpu int) int {
	switch {
	case vcpu <= 4:
		return 6
	case vcpu <= 8:
		return 3
	}
	return 1
}

// eachRow calls fn with the fields of every row after the header; lines that
// begin with # say where the data is from.
func eachRow(text string, fields int, fn func([]string) error) error {
	header := true
	for number, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if header {
			header = false
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != fields {
			return fmt.Errorf("line %d: %d fields, want %d", number+1, len(columns), fields)
		}
		if err := fn(columns); err != nil {
			return fmt.Errorf("line %d: %w", number+1, err)
		}
	}
	return nil
}

func (d *data) addKind(columns []string) (err error) {
	kind := &osKind{family: columns[0], version: columns[1], servicePack: columns[2], arch: columns[3], flags: map[string]bool{}}
	for i := range kind.verdicts {
		if kind.verdicts[i], err = parseLevel(columns[4+i]); err != nil {
			return err
		}
	}
	if kind.flagged, err = parseLevel(columns[4+targets]); err != nil {
		return err
	}
	columns = columns[5+targets:]
	kind.hosts, kind.osName, kind.osNameEn, kind.platform, kind.tagOS, kind.tagKernel = columns[1], columns[3], columns[4], columns[5], columns[7], columns[8]
	if kind.weight, err = strconv.Atoi(columns[0]); err != nil {
		return fmt.Errorf("weight: %w", err)
	}
	for name := range strings.SplitSeq(columns[2], ",") {
		kind.flags[name] = true
	}
	if columns[6] != "" {
		kind.imageIDs = strings.Split(columns[6], ";")
	}
	if _, ok := hostPlans[kind.hosts]; !ok {
		return fmt.Errorf("hosts %q", kind.hosts)
	}
	d.kinds = append(d.kinds, kind)
	for _, id := range kind.imageIDs {
		image := newPublicSlot(kind, id)
		d.public = append(d.public, image)
		if d.onSale == nil && image.present && image.status == "Available" {
			d.onSale = image
		}
	}
	return nil
}

func (d *data) addType(columns []string) (err error) {
	parsed := &instanceType{id: columns[0], family: columns[1], pool: columns[2], arch: columns[4], nvme: columns[7], bootModes: strings.Split(columns[8], ",")}
	if parsed.weight, err = strconv.Atoi(columns[3]); err != nil {
		return fmt.Errorf("weight: %w", err)
	}
	if parsed.weight < 0 || parsed.weight > 0 && !drawnFrom(parsed.pool) {
		return fmt.Errorf("%s: weight %d in the class %q, which no instance is drawn from", parsed.id, parsed.weight, parsed.pool)
	}
	if parsed.vcpu, err = strconv.Atoi(columns[5]); err != nil {
		return fmt.Errorf("vcpu: %w", err)
	}
	if parsed.memoryGiB, err = strconv.ParseFloat(columns[6], 64); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	d.types, d.byType[parsed.id] = append(d.types, parsed), parsed
	return nil
}

// drawnFrom says whether instances are given types of a pool (instance.place): those of a
// known class, and two whose class the pool does not tell.
func drawnFrom(pool string) bool {
	_, known := classOf[pool]
	return known || pool == "byio" || pool == "other"
}

// classOf is the class of each pool; those of "byio" differ.
var classOf = map[string]machineClass{
	"xen": classXen, "kvm": classKVM, "sl6": classShenlong6, "arm6": classShenlong6, "sl7": classShenlong7, "sl8": classShenlong8, "arm8": classShenlong8,
}

// class says what instances of the type run on.
func (t *instanceType) class(ioOptimized bool) machineClass {
	if t.pool == "byio" {
		return map[bool]machineClass{true: classKVM, false: classXen}[ioOptimized]
	}
	if class, known := classOf[t.pool]; known {
		return class
	}
	return classOther
}
