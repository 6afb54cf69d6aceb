package super

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"unicode/utf16"

	"gifthorse/internal/cursor"
)

// maxGPTTable bounds the table of entries. UEFI wants room for at least 16 KiB, 128 entries, and phones have up to about that many partitions.
const maxGPTTable = 1 << 20

// A GPT is a disk with a GUID partition table.
type GPT struct {
	SectorSize int64  // 512 or 4096
	ID         string // the disk's GUID
	Partitions []GPTPartition
	Gaps       []error // copies that are missing, damaged or differ
}

// A GPTPartition is a partition of a disk.
type GPTPartition struct {
	Name        string // "super", "boot_a"
	Type, ID    string // GUIDs, as "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	First, Last int64  // sectors
	Attributes  uint64
	Size        int64 // bytes

	view view
	err  error
}

// Open returns the content. The error is a *FormatError if the partition begins behind the image's end.
func (p *GPTPartition) Open() (*io.SectionReader, error) {
	if p.err != nil {
		return nil, p.err
	}
	return io.NewSectionReader(&p.view, 0, p.Size), nil
}

// Open returns the content of the first partition of that name.
func (g *GPT) Open(name string) (*io.SectionReader, error) {
	for k := range g.Partitions {
		if g.Partitions[k].Name == name {
			return g.Partitions[k].Open()
		}
	}
	return nil, fmt.Errorf("partition %q: %w", name, fs.ErrNotExist)
}

// A gptTable is one of a disk's two headers with its entries.
type gptTable struct {
	sector    int64
	disk      []byte // GUID
	alternate uint64 // sector of the other header
	at        int64  // of the entries
	entries   []byte
	size      int   // of an entry
	err       error // a checksum that is wrong
}

// NewGPT reads the partition table of the disk image in the first size bytes of r. Of the two copies the first that is intact is
// taken, or if neither is, the first with a header. The error is a *FormatError if there is none.
func NewGPT(r io.ReaderAt, size int64) (*GPT, error) {
	disk := Part{"disk", r, size}
	var primary, backup *gptTable
	var perr, berr, first error
	for _, sector := range []int64{512, 4096} {
		if primary, perr = readGPT(&disk, sector, sector); primary == nil {
			first = cmp.Or(first, perr)
		}
		if primary != nil && primary.alternate < uint64(size/sector) {
			backup, berr = readGPT(&disk, int64(primary.alternate)*sector, sector)
		} else {
			backup, berr = readGPT(&disk, (size/sector-1)*sector, sector)
		}
		if primary != nil || backup != nil {
			break
		}
	}
	g := &GPT{}
	t := primary
	if t == nil || t.err != nil && backup != nil && backup.err == nil {
		t = backup
	}
	switch {
	case t == nil:
		return nil, first
	case primary == nil:
		g.Gaps = append(g.Gaps, perr)
	case backup == nil:
		g.Gaps = append(g.Gaps, berr)
	case !bytes.Equal(primary.entries, backup.entries):
		g.Gaps = append(g.Gaps, cursor.Errorf(backup.at, "the two partition tables differ"))
	}
	for _, c := range []*gptTable{primary, backup} {
		if c != nil && c.err != nil {
			g.Gaps = append(g.Gaps, c.err)
		}
	}
	g.SectorSize, g.ID = t.sector, guid(t.disk)
	for off := 0; off+t.size <= len(t.entries); off += t.size {
		e := t.entries[off : off+t.size]
		if [16]byte(e) == [16]byte{} {
			continue
		}
		g.Partitions = append(g.Partitions, gptPartition(e, t.at+int64(off), t.sector, disk))
	}
	return g, nil
}

func gptPartition(e []byte, at, sector int64, disk Part) GPTPartition {
	p := GPTPartition{Type: guid(e), ID: guid(e[16:]), Attributes: le.Uint64(e[48:])}
	name := make([]uint16, 0, 36)
	for k := 56; k < 128; k += 2 {
		c := le.Uint16(e[k:])
		if c == 0 {
			break
		}
		name = append(name, c)
	}
	p.Name = string(utf16.Decode(name))
	first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
	if last < first || last >= uint64(math.MaxInt64/sector) {
		p.err = cursor.Errorf(at+32, "partition %q from sector %d to %d", p.Name, first, last)
		return p
	}
	p.First, p.Last = int64(first), int64(last)
	p.Size = (p.Last - p.First + 1) * sector
	if p.First*sector >= disk.Size {
		p.err = cursor.Errorf(at+32, "partition %q begins at %#x, the image ends at %#x", p.Name, p.First*sector, disk.Size)
		return p
	}
	p.view = view{parts: []Part{disk}, segments: []segment{{0, p.Size, p.First * sector, 0}}, size: p.Size, lost: math.MaxInt64}
	return p
}

// readGPT reads a header and its entries. A checksum that is wrong is no error, but the table's err.
func readGPT(disk *Part, at, sector int64) (*gptTable, error) {
	h := make([]byte, sector)
	if err := disk.read(h, at); err != nil {
		return nil, err
	}
	size := int64(le.Uint32(h[12:]))
	if string(h[:8]) != "EFI PART" || size < 92 || size > sector {
		return nil, cursor.Errorf(at, "no header of a GUID partition table")
	}
	n, entry := int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	table := le.Uint64(h[72:])
	if entry < 128 || entry%8 != 0 || entry > maxGPTTable || n > maxGPTTable/entry || table > uint64(disk.Size/sector) {
		return nil, cursor.Errorf(at+72, "%d partition entries of %d bytes at sector %d", n, entry, table)
	}
	t := &gptTable{
		sector: sector, disk: h[56:72], alternate: le.Uint64(h[32:]), at: int64(table) * sector, size: int(entry),
	}
	if n*entry > disk.Size-t.at {
		return nil, cursor.Errorf(t.at, "partition entries cut off")
	}
	t.entries = make([]byte, n*entry)
	if err := disk.read(t.entries, t.at); err != nil {
		return nil, err
	}
	sum := le.Uint32(h[16:])
	clear(h[16:20])
	if crc32.ChecksumIEEE(h[:size]) != sum {
		t.err = cursor.Errorf(at+16, "wrong checksum of a partition table's header")
	} else if crc32.ChecksumIEEE(t.entries) != le.Uint32(h[88:]) {
		t.err = cursor.Errorf(at+88, "wrong checksum of a partition table's entries")
	}
	return t, nil
}

// guid prints a GUID, of which the first three groups are stored the other way round.
func guid(b []byte) string {
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
