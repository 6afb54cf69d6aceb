package oat

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gifthorse/internal/cursor"
)

// Versions of VDEX at which something moved.
const (
	vdex006      = 6  // Android 8.0
	vdex010      = 10 // 8.1
	vdexTableOff = 11 // from here on the offset of the quickening table stands before each DEX
	vdexShared   = 18 // the header knows of shared data
	vdexDexPart  = 19 // 9: the DEX section has a header of its own
	vdex019      = 19
	vdexContext  = 21 // 10 and 11: two more sizes in the header
	vdex021      = 21
	vdexSections = 27 // 12 and later: sections, no more quickening
)

// A vdex is where the parts of a VDEX before 027 lie.
type vdex struct {
	count            int64 // of DEX files
	checksums        int64 // offset
	dex, dexEnd      int64 // of the DEX files
	quick, quickSize int64 // of the quickening data
}

func openVdex(data []byte) (*File, error) {
	v, ok := version(data[4:])
	if !ok {
		return nil, cursor.Errorf(4, "VDEX version %q is no number", data[4:7])
	}
	f := &File{Kind: "vdex", Version: v}
	if v >= vdexSections {
		if err := f.readSections(data); err != nil {
			return nil, err
		}
		return f, nil
	}

	h, err := readVdexHeader(data, v)
	if err != nil {
		return nil, err
	}
	if h.count > (int64(len(data))-h.checksums)/4 {
		return nil, cursor.Errorf(h.checksums, "checksums of %d DEX files do not fit in the VDEX", h.count)
	}
	f.Dex = make([]Dex, h.count)
	for i := range f.Dex {
		f.Dex[i].Checksum = binary.LittleEndian.Uint32(data[h.checksums+int64(i)*4:])
	}
	if h.dex == h.dexEnd {
		f.missing(0, 0, InAPK)
		return f, nil
	}
	tables, err := f.readDexes(data, h.dex, h.dexEnd, v >= vdexTableOff)
	if err != nil {
		return nil, err
	}
	if h.quickSize == 0 {
		return f, nil
	}
	info := data[min(h.quick, int64(len(data))):]
	if int64(len(info)) < h.quickSize {
		f.Gaps = append(f.Gaps, cursor.Errorf(h.quick, "%d bytes of quickening data, the file ends after %d", h.quickSize, len(info)))
		return f, nil
	}
	info = info[:h.quickSize:h.quickSize]
	switch v {
	case vdex006:
		err = f.quicken006(info)
	case vdex010:
		err = f.quicken010(info)
	case vdex019, vdex021:
		f.quicken019(info, tables)
	default:
		err = fmt.Errorf("quickening data of VDEX version %03d: %w", v, errors.ErrUnsupported)
	}
	if err != nil {
		f.Gaps = append(f.Gaps, err)
	}
	return f, nil
}

// readVdexHeader finds the parts. Their order in the file is header, checksums, [header of the DEX section,] DEX files, data
// shared by compact DEX files, verifier dependencies, quickening data. Sizes are added up in 64 bits, so no sum overflows.
func readVdexHeader(data []byte, version int) (h vdex, err error) {
	c := cursor.At(data, 8)
	hasDex := true
	if version >= vdexDexPart {
		// "002\0", or "000\0" in a VDEX that has only the results of verification.
		part := c.Bytes(4)
		hasDex = part != nil && string(part[:3]) != "000"
	}
	h.count = int64(c.U32())
	var dexSize, shared, deps, quick int64
	switch {
	case version < vdexDexPart:
		dexSize = int64(c.U32())
		if version >= vdexShared {
			shared = int64(c.U32())
		}
		deps, quick = int64(c.U32()), int64(c.U32())
	default:
		deps = int64(c.U32())
		if version >= vdexContext {
			c.Skip(8)
		}
	}
	h.checksums = c.Off()
	h.dex = h.checksums + h.count*4
	if version >= vdexDexPart && hasDex {
		c.Move(h.dex)
		dexSize, shared, quick = int64(c.U32()), int64(c.U32()), int64(c.U32())
		h.dex = c.Off()
	}
	if err := c.Err(); err != nil {
		return h, err
	}
	h.dexEnd = h.dex + dexSize
	h.quick, h.quickSize = h.dexEnd+shared+deps, quick
	return h, nil
}

// readDexes fills f.Dex with the DEX files that lie one after the other, each at a multiple of four, from off to end. If
// tableOff, the offset of its quickening table stands before each; these are returned.
func (f *File) readDexes(data []byte, off, end int64, tableOff bool) (tables []uint32, err error) {
	for i := range f.Dex {
		d := &f.Dex[i]
		// vdex_file.cc rounds the address up, and the file is mapped at a page.
		off = (off + 3) &^ 3
		if off >= end {
			f.missing(i, off, fmt.Sprintf("damaged: the DEX section ends at %#x", end))
			return tables, nil
		}
		if tableOff {
			if off+4 > int64(len(data)) {
				f.missing(i, off, fmt.Sprintf("damaged: the file ends at %#x", len(data)))
				return tables, nil
			}
			tables = append(tables, binary.LittleEndian.Uint32(data[off:]))
			off += 4
		}
		// Shared data lie behind the section, so the DEX is only bounded by the file.
		if !d.dexAt(data, off) {
			if i == 0 && off < int64(len(data)) && !isReleasedVdex(f.Version) {
				return nil, unsupported("VDEX", f.Version)
			}
			f.damaged(d)
			f.missing(i+1, off, "damaged: behind a damaged DEX")
			return tables, nil
		}
		off += int64(len(d.Data))
	}
	return tables, nil
}

func isReleasedVdex(v int) bool {
	return v == vdex006 || v == vdex010 || v == vdex019 || v == vdex021 || v == vdexSections
}

// missing says of the DEX files from the i-th on why they have no data, which is so because of what is at off.
func (f *File) missing(i int, off int64, why string) {
	if i >= len(f.Dex) {
		return
	}
	for j := i; j < len(f.Dex); j++ {
		f.Dex[j].Missing = why
	}
	if why != InAPK {
		f.Gaps = append(f.Gaps, cursor.Errorf(off, "%d of %d DEX files of the VDEX: %s", len(f.Dex)-i, len(f.Dex), why))
	}
}

// Sections of VDEX 027 (VdexSection).
const (
	checksumSection = 0
	dexSection      = 1
)

// readSections reads VDEX 027: number of sections, then kind, offset and size of each. The runtime takes a section by its place in
// that list, not by its kind (GetSectionHeader), and so it is done here.
func (f *File) readSections(data []byte) error {
	c := cursor.At(data, 8)
	if n := c.U32(); c.Err() == nil && n <= dexSection {
		if f.Version > vdexSections {
			return unsupported("VDEX", f.Version)
		}
		return cursor.Errorf(8, "VDEX with %d sections", n)
	}
	var sect [2]struct{ off, size int64 }
	for i := range sect {
		c.U32()
		sect[i].off, sect[i].size = int64(c.U32()), int64(c.U32())
	}
	if err := c.Err(); err != nil {
		return err
	}
	sums := sect[checksumSection]
	c.Move(sums.off)
	b := c.Bytes(sums.size)
	if c.Err() != nil {
		if f.Version > vdexSections {
			return unsupported("VDEX", f.Version)
		}
		return cursor.Errorf(sums.off, "%d bytes of checksums do not fit in the VDEX", sums.size)
	}
	f.Dex = make([]Dex, len(b)/4)
	for i := range f.Dex {
		f.Dex[i].Checksum = binary.LittleEndian.Uint32(b[i*4:])
	}
	part := sect[dexSection]
	if part.size == 0 {
		f.missing(0, 0, InAPK)
		return nil
	}
	_, err := f.readDexes(data, part.off, part.off+part.size, false)
	return err
}
