// Package super opens what partitions of Android phones come wrapped in, without unwrapping it: sparse images, the super
// partition with its logical partitions, and disk images with a GUID partition table.
//
// [NewSparse] gives the view of a sparse image, or of one cut into pieces (super.img_sparsechunk.0 and so on), as it would be
// expanded. [New] finds the logical partitions in a super partition, [NewGPT] the partitions of a disk. They can be
// stacked: a sparse image in a disk image's partition in which a super partition lies. Tables are read at once, contents when they are
// asked for; all views may be used by several goroutines.
//
// # Layouts
//
// Sparse images: system/core/libsparse/sparse_format.h and sparse_read.cpp, version 1. Super: system/core/fs_mgr/liblp/include/liblp/metadata_format.h,
// reader.cpp and utility.cpp (AdjustMetadataForSlot), metadata versions 10.0 to 10.2, that is, Android 10 and later; also super_empty.img, which
// has metadata without contents. GPT: UEFI specification 2.10, chapter 5.3, with sectors of 512 and 4096 bytes (UFS).
//
// Damage: metadata and tables have a copy, which is taken if the first is damaged; then, and wherever something is missing
// that another part does not depend on, Gaps says so. An extent that lies outside of its device is the error of its partition only.
//
// # Not read
//
// The checksums of sparse images. Snapshots of Virtual A/B (the COW images on /data). Metadata before version 10, which no release had.
// MBR partition tables.
package super

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"

	"gifthorse/internal/cursor"
)

// FormatError says what is wrong with an image, and at which byte of it.
type FormatError = cursor.FormatError

// A Part is an image, or a piece of one: what [NewSparse] puts together, or a block device that [New] finds partitions on.
type Part struct {
	Name string // of a device: the partition it is on the phone ("super", "system_a"), as far as known
	R    io.ReaderAt
	Size int64 // bytes
}

// read fills b from a part.
func (p *Part) read(b []byte, off int64) error {
	if off < 0 || off > p.Size || int64(len(b)) > p.Size-off {
		return cursor.Errorf(off, "%s: %d bytes wanted, it ends at %#x", p.Name, len(b), p.Size)
	}
	n, err := p.R.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || err == io.EOF:
		return cursor.Errorf(off+int64(n), "%s ends here, not at %#x", p.Name, p.Size)
	}
	return fmt.Errorf("%s at byte %#x: %w", p.Name, off, err)
}

// Attributes of a partition: LP_PARTITION_ATTR_*.
const (
	ReadOnly     = 1 << 0
	SlotSuffixed = 1 << 1 // Partition.Name has the suffix already
	Updated      = 1 << 2 // created for an update that uses snapshots
	Disabled     = 1 << 3 // not to be used or mapped
)

const (
	sector = 512 // LP_SECTOR_SIZE

	geometryMagic = "gDla"
	headerMagic   = "0PLA"
	geometryOff   = 4096 // LP_PARTITION_RESERVED_BYTES, so that no boot sector is overwritten; the copy follows
	geometrySpace = 4096
	geometrySize  = 52

	// maxSlots bounds the copies of metadata. lpmake makes one without A/B, two with it, three with Virtual A/B.
	maxSlots = 8

	// maxDevices bounds the names of block devices. Phones that were fitted with logical partitions have three or four.
	maxDevices = 64

	// maxMetadata bounds the tables of one slot. lpmake is given 65536 by the builds of AOSP; 16 MiB have room for 300000 partitions.
	maxMetadata = 16 << 20
)

var le = binary.LittleEndian

// A Super is a super partition.
type Super struct {
	Version    string   // of the metadata: "10.0", "10.2"
	Slots      int      // copies of the metadata that can differ: slot 0 is a, 1 is b
	VirtualAB  bool     // LP_HEADER_FLAG_VIRTUAL_AB_DEVICE, in 10.2
	Devices    []string // the block devices that it lies on besides the one with the metadata, by the partitions they are
	Partitions []Partition
	Gaps       []error // what is missing: metadata of a slot, or its first copy
}

// A Partition is a logical partition. Mostly all slots list the same ones, then there is one Partition of a name; if the slots differ, there
// are several.
type Partition struct {
	Name       string // "system", "system_a"
	Slots      []int  // which slots list it like this, in order
	Attributes uint32
	Group      string // of update: "qti_dynamic_partitions_a", "default"
	Size       int64  // bytes; 0 is usual for the partitions of the slot that a factory image leaves empty

	view view
	err  error
}

// Open returns the content. The error is a *FormatError if an extent lies outside of its block device, and wraps fs.ErrNotExist if the device
// was not given to New.
func (p *Partition) Open() (*io.SectionReader, error) {
	if p.err != nil {
		return nil, p.err
	}
	return io.NewSectionReader(&p.view, 0, p.Size), nil
}

// Open returns the content of the first partition of that name.
func (s *Super) Open(name string) (*io.SectionReader, error) {
	for k := range s.Partitions {
		if s.Partitions[k].Name == name {
			return s.Partitions[k].Open()
		}
	}
	return nil, fmt.Errorf("partition %q: %w", name, fs.ErrNotExist)
}

// New reads the metadata on the first of devices that has any. The others are needed only where a phone was fitted with logical partitions in
// an update: then the metadata name several block devices, and Part.Name tells which one is which. The error is a *FormatError,
// or wraps errors.ErrUnsupported if the metadata are of another version.
func New(devices ...Part) (*Super, error) {
	var first error
	for k := range devices {
		s, err := open(&devices[k], devices)
		if err == nil {
			return s, nil
		}
		if first == nil || errors.Is(first, errNoGeometry) {
			first = err
		}
	}
	if first == nil {
		first = cursor.Errorf(0, "no device")
	}
	return nil, first
}

var errNoGeometry = cursor.Errorf(geometryOff, "no logical partitions")

// A geometry says where a device has its metadata.
type geometry struct{ at, maxSize, slots int64 }

func readGeometry(dev *Part, at int64) (geometry, error) {
	var b [geometrySize]byte
	if err := dev.read(b[:], at); err != nil || string(b[:4]) != geometryMagic {
		return geometry{}, errNoGeometry
	}
	sum := [32]byte(b[8:40])
	clear(b[8:40])
	if le.Uint32(b[4:]) != geometrySize || sha256.Sum256(b[:]) != sum {
		return geometry{}, cursor.Errorf(at, "damaged geometry of logical partitions")
	}
	g := geometry{geometryOff + 2*geometrySpace, int64(le.Uint32(b[40:])), int64(le.Uint32(b[44:]))}
	if g.slots == 0 || g.slots > maxSlots || g.maxSize == 0 || g.maxSize%sector != 0 {
		return geometry{}, cursor.Errorf(at+40, "%d slots of %d bytes for metadata", g.slots, g.maxSize)
	}
	return g, nil
}

func open(dev *Part, devices []Part) (*Super, error) {
	s := &Super{}
	g, first := readGeometry(dev, geometryOff)
	if first != nil {
		var err error
		if g, err = readGeometry(dev, geometryOff+geometrySpace); err == nil {
			s.Gaps = append(s.Gaps, fmt.Errorf("first copy of the geometry: %w", first))
		} else if g, err = readGeometry(dev, 0); err == nil {
			// super_empty.img has neither the reserved bytes nor copies, and one slot: WriteToImageFile.
			g.at, g.slots = geometrySpace, 1
		} else {
			return nil, first
		}
	}
	s.Slots, first = int(g.slots), nil
	known := map[string]int{}
	for slot := range g.slots {
		m, err := readMetadata(dev, g.at+slot*g.maxSize, g.maxSize)
		if err != nil {
			s.Gaps = append(s.Gaps, fmt.Errorf("metadata of slot %d: %w", slot, err))
			first = cmp.Or(first, err)
			if m, err = readMetadata(dev, g.at+(g.slots+slot)*g.maxSize, g.maxSize); err != nil {
				s.Gaps = append(s.Gaps, fmt.Errorf("second copy of the metadata of slot %d: %w", slot, err))
				continue
			}
		}
		s.Version, s.VirtualAB = fmt.Sprintf("10.%d", m.minor), m.flags&1 != 0
		s.add(m, int(slot), dev, devices, known)
	}
	if s.Version == "" {
		return nil, first
	}
	return s, nil
}

// A metadata is the metadata of one slot.
type metadata struct {
	at                                int64 // of the tables
	minor                             uint16
	flags                             uint32
	partitions, extents, groups, devs table
}

// A table is one of the tables behind a header.
type table struct {
	b    []byte
	size int   // of an entry
	at   int64 // in the image
}

func (t table) len() int           { return len(t.b) / t.size }
func (t table) entry(k int) []byte { return t.b[k*t.size:][:t.size] }

func readMetadata(dev *Part, at, maxSize int64) (*metadata, error) {
	h := make([]byte, 256)
	if err := dev.read(h[:128], at); err != nil {
		return nil, err
	}
	if string(h[:4]) != headerMagic {
		return nil, cursor.Errorf(at, "no metadata of logical partitions")
	}
	m := &metadata{minor: le.Uint16(h[6:])}
	if major := le.Uint16(h[4:]); major != 10 || m.minor > 2 {
		return nil, fmt.Errorf("metadata of logical partitions, version %d.%d: %w", major, m.minor, errors.ErrUnsupported)
	}
	size := int64(128)
	if m.minor == 2 { // LP_METADATA_VERSION_FOR_EXPANDED_HEADER
		size = 256
		if err := dev.read(h, at); err != nil {
			return nil, err
		}
		m.flags = le.Uint32(h[128:])
	}
	h = h[:size]
	sum := [32]byte(h[12:44])
	clear(h[12:44])
	if int64(le.Uint32(h[8:])) != size || sha256.Sum256(h) != sum {
		return nil, cursor.Errorf(at, "damaged header of metadata")
	}
	tables := int64(le.Uint32(h[44:]))
	if tables > maxMetadata || tables > maxSize-size || tables > dev.Size {
		return nil, cursor.Errorf(at+44, "tables of %d bytes", tables)
	}
	b := make([]byte, tables)
	m.at = at + size
	if err := dev.read(b, m.at); err != nil {
		return nil, err
	}
	if sha256.Sum256(b) != [32]byte(h[48:80]) {
		return nil, cursor.Errorf(m.at, "damaged tables of metadata")
	}
	for k, t := range []*table{&m.partitions, &m.extents, &m.groups, &m.devs} {
		d := h[80+12*k:]
		off, n, size := int64(le.Uint32(d)), int64(le.Uint32(d[4:])), int64(le.Uint32(d[8:]))
		if size != [...]int64{52, 24, 48, 64}[k] || off > tables || n > (tables-off)/size {
			return nil, cursor.Errorf(at+80+12*int64(k), "table of %d entries of %d bytes", n, size)
		}
		*t = table{b[off : off+n*size], int(size), m.at + off}
	}
	if m.devs.len() == 0 {
		return nil, cursor.Errorf(m.at, "metadata name no block device")
	}
	return m, nil
}

// add adds the partitions of a slot. known has those of the slots before by all that is said of them.
func (s *Super) add(m *metadata, slot int, super *Part, devices []Part, known map[string]int) {
	name := func(b []byte, suffixed bool) string { // AdjustMetadataForSlot
		n, _, _ := strings.Cut(string(b), "\x00")
		if suffixed && slot < 26 {
			n += "_" + string(rune('a'+slot))
		}
		return n
	}
	// The block devices as parts of a view, the first being the one that the metadata are on.
	parts := make([]Part, m.devs.len())
	for k := range parts {
		d := m.devs.entry(k)
		parts[k].Name = name(d[24:60], le.Uint32(d[60:])&1 != 0)
		if k == 0 {
			parts[k] = *super
			continue
		}
		if len(s.Devices) < maxDevices && !slices.Contains(s.Devices, parts[k].Name) {
			s.Devices = append(s.Devices, parts[k].Name)
		}
		if i := slices.IndexFunc(devices, func(p Part) bool { return p.Name == parts[k].Name }); i >= 0 {
			parts[k] = devices[i]
		}
	}
	devs := sha256.Sum256(m.devs.b)
	left := m.extents.len() // every extent belongs to one partition
	for k := range m.partitions.len() {
		e := m.partitions.entry(k)
		at := m.partitions.at + int64(k*m.partitions.size)
		p := Partition{Attributes: le.Uint32(e[36:]), Slots: []int{slot}}
		p.Name = name(e[:36], p.Attributes&SlotSuffixed != 0)
		if g := int64(le.Uint32(e[48:])); g < int64(m.groups.len()) {
			group := m.groups.entry(int(g))
			p.Group = name(group[:36], le.Uint32(group[36:])&1 != 0)
		}
		first, n := int64(le.Uint32(e[40:])), int64(le.Uint32(e[44:]))
		var key []byte
		if first+n > int64(m.extents.len()) || n > int64(left) {
			p.err = cursor.Errorf(at+40, "partition %q has %d extents from %d of %d", p.Name, n, first, m.extents.len())
		} else {
			left -= int(n)
			key = m.extents.b[first*24 : (first+n)*24]
			p.view, p.err = m.view(int(first), int(n), parts)
			p.Size = p.view.size
		}
		said := fmt.Sprintf("%q %q %x %x %x", p.Name, p.Group, p.Attributes, key, devs)
		if k, ok := known[said]; ok {
			s.Partitions[k].Slots = append(s.Partitions[k].Slots, slot)
			continue
		}
		known[said] = len(s.Partitions)
		s.Partitions = append(s.Partitions, p)
	}
}

// view puts extents together.
func (m *metadata) view(first, n int, parts []Part) (view, error) {
	v := view{parts: parts, lost: math.MaxInt64}
	var missing error
	for k := first; k < first+n; k++ {
		e := m.extents.entry(k)
		at := m.extents.at + int64(24*k)
		sectors, target, source := le.Uint64(e), le.Uint64(e[12:]), le.Uint32(e[20:])
		if sectors > uint64(math.MaxInt64-v.size)/sector {
			return view{}, cursor.Errorf(at, "extent of %d sectors", sectors)
		}
		from := v.size
		v.size += int64(sectors) * sector
		switch kind := le.Uint32(e[8:]); kind {
		case 0: // LP_TARGET_TYPE_LINEAR
			if source >= uint32(len(parts)) {
				return view{}, cursor.Errorf(at+20, "extent on block device %d of %d", source, len(parts))
			}
			size := min(le.Uint64(m.devs.entry(int(source))[16:]), math.MaxInt64) / sector
			if target > size || sectors > size-target {
				return view{}, cursor.Errorf(at+12, "extent of %d sectors at %d, its block device has %d", sectors, target, size)
			}
			if parts[source].R == nil && missing == nil {
				missing = fmt.Errorf("block device %q: %w", parts[source].Name, fs.ErrNotExist)
			}
			if sectors > 0 {
				v.segments = append(v.segments, segment{from, v.size, int64(target) * sector, int32(source)})
			}
		case 1: // LP_TARGET_TYPE_ZERO
		default:
			return view{}, fmt.Errorf("extent of type %d: %w", kind, errors.ErrUnsupported)
		}
	}
	return v, missing
}
