package oat

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gifthorse/internal/cursor"
)

// Fields of the OAT header that never moved.
const (
	oatISA      = 12
	oatDexCount = 20
	oatDexTable = 24 // since 127
)

// Versions at which something moved.
const (
	firstOat       = 39  // Android 5.0; 4.4's 007 is another format
	classesMoved   = 75  // class offsets went from the DEX table to one of their own
	firstVdex      = 87  // from here on a DEX may be in a VDEX
	onlyVdex       = 124 // Android 8.0: always
	dexTableOffset = 127 // the header tells where the DEX table is; before, it follows the key-value store
)

// storeSize returns where the header keeps the size of the key-value store, which follows it.
func storeSize(version int) int {
	switch {
	case version < 56:
		return 80 // with the offsets of three "portable" trampolines
	case version < dexTableOffset:
		return 68
	case version < 166:
		return 72
	case version < 181:
		return 52 // without image patching and interpreter bridges
	case version < 194:
		return 56 // with jni_dlsym_lookup_critical_trampoline_offset
	case version < 223:
		return 60 // with nterp_trampoline_offset
	case version < 240:
		return 64 // with bcp_bss_info_offset
	}
	return 68 // with base_oat_offset
}

// maxLocation is the longest location taken for one: PATH_MAX of the system that wrote it (4096), and "!classes99999.dex".
const maxLocation = 4096 + 32

// maxEntryWords is how many words of a DEX table's entry may follow the DEX's offset. Version 225 has 8, 124 has 4; the
// latest have more before it (magic, SHA-1), which count here too.
const maxEntryWords = 24

func openOat(m *image) (*File, error) {
	b, base := m.at(m.addr)
	if !isOat(b) {
		return nil, cursor.Errorf(base, "no OAT header where oatdata points")
	}
	v, ok := version(b[4:])
	if !ok {
		return nil, cursor.Errorf(base+4, "OAT version %q is no number", b[4:7])
	}
	if v < firstOat {
		return nil, unsupported("OAT", v)
	}
	f := &File{Kind: "oat", Version: v, ISA: m.isa}
	if len(b) < oatDexTable+4 {
		return nil, cursor.Errorf(base, "OAT header of %d bytes", len(b))
	}
	if f.ISA == "" {
		f.ISA = instructionSet(binary.LittleEndian.Uint32(b[oatISA:]))
	}
	count := int64(binary.LittleEndian.Uint32(b[oatDexCount:]))

	storeEnd, ok := f.readStore(b, v)
	table := storeEnd
	if v >= dexTableOffset {
		table = int64(binary.LittleEndian.Uint32(b[oatDexTable:]))
		if !ok {
			f.Gaps = append(f.Gaps, cursor.Errorf(base, "key-value store of OAT version %03d not found", v))
		}
	} else if !ok {
		return nil, unsupported("OAT", v)
	}

	t := dexTable{m: m, b: b, base: base, version: v}
	if err := t.read(f, table, count); err != nil {
		return nil, err
	}
	return f, nil
}

// readStore finds and reads the key-value store and returns the offset of its end. The position follows from the version; a
// version in which it lies elsewhere is helped by the store's own form. The OAT files of a boot image but the first have
// an empty one.
func (f *File) readStore(b []byte, version int) (end int64, ok bool) {
	read := func(at int) (kvs []KeyValue, end int64, ok bool) {
		if at+4 > len(b) {
			return nil, 0, false
		}
		n := int64(binary.LittleEndian.Uint32(b[at:]))
		if n > int64(len(b)-at-4) {
			return nil, 0, false
		}
		end = int64(at) + 4 + n
		kvs, ok = readKeyValues(b[at+4 : end])
		return kvs, end, ok
	}
	kvs, end, ok := read(storeSize(version))
	if ok && len(kvs) > 0 {
		f.KeyValues = kvs
		return end, true
	}
	for try := 48; try <= 96; try += 4 {
		if kvs, end, ok := read(try); ok && len(kvs) > 0 {
			f.KeyValues = kvs
			return end, true
		}
	}
	return end, ok
}

// A dexTable reads the OatDexFile entries. Each is: size of the location, location, checksum, offset of the DEX, and what no
// one here needs. What follows differs from version to version:
//
//	039-074  as many words as the DEX has classes (073 and 074: one more before them)
//	075-086  class offsets, lookup table
//	087-...  the same, and offsets of BSS mappings and layouts; since 230 or so a magic and a SHA-1 before the DEX's offset
//
// so for 075 and later the length is that with which every entry has a location.
type dexTable struct {
	m       *image
	b       []byte // from the OAT header
	base    int64  // of b in the file
	version int
}

func (t *dexTable) read(f *File, at, count int64) error {
	if count == 0 {
		return nil
	}
	// An entry has at least 13 bytes. Nothing is allocated for more than there can be.
	if at < 0 || at > int64(len(t.b)) || count > (int64(len(t.b))-at)/13 {
		return cursor.Errorf(t.base+oatDexCount, "%d DEX files do not fit in the OAT table at %#x", count, t.base+at)
	}
	words := 0
	if t.version >= classesMoved {
		var err error
		if words, err = t.entryWords(at, count); err != nil {
			return err
		}
	}
	for i := range count {
		d, next, err := t.entry(at)
		if err != nil {
			return err
		}
		if next += 4; i+1 < count { // 4: the DEX's offset
			if t.version >= classesMoved {
				next += int64(words) * 4
			} else if d.Data != nil {
				next += int64(binary.LittleEndian.Uint32(d.Data[dexClassDefs:])) * 4
				if t.version >= 73 {
					next += 4
				}
			} else {
				f.Dex = append(f.Dex, d)
				f.damaged(&d)
				f.Gaps = append(f.Gaps, cursor.Errorf(t.base+next, "%d more DEX files not found after a damaged one", count-i-1))
				return nil
			}
		}
		if d.Data == nil && d.Missing != InVDEX {
			f.damaged(&d)
		}
		f.Dex = append(f.Dex, d)
		at = next
	}
	return nil
}

// entry reads the entry at offset at of the OAT as far as the DEX's offset, where next points.
func (t *dexTable) entry(at int64) (d Dex, next int64, err error) {
	loc, checksum, off, next, err := t.head(at)
	if err != nil {
		return d, 0, err
	}
	d.Location, d.Checksum = string(loc), checksum
	if t.version >= onlyVdex {
		d.Missing = InVDEX
		return d, next, nil
	}
	b, fileOff := t.m.at(t.m.addr + uint64(off))
	switch {
	case t.version >= firstVdex && !isDex(b):
		d.Missing = InVDEX
	case b == nil:
		d.Off = t.base + int64(off)
		d.Missing = fmt.Sprintf("damaged: nothing of the file lies at %#x of the OAT", off)
	default:
		d.dexAt(t.m.data[:fileOff+int64(len(b))], fileOff)
	}
	return d, next, nil
}

// head is what entry needs of the bytes at offset at.
func (t *dexTable) head(at int64) (loc []byte, checksum, off uint32, next int64, err error) {
	c := cursor.At(t.b, at)
	loc = c.Bytes(int64(c.U32()))
	if c.Err() != nil || !isLocation(loc) {
		return nil, 0, 0, 0, cursor.Errorf(t.base+at, "no DEX location in the OAT table")
	}
	if t.version >= onlyVdex && isMagic(t.b[c.Off():]) {
		c.Skip(8)
	}
	checksum = c.U32()
	next = c.Off()
	off = c.U32()
	if c.Err() != nil {
		return nil, 0, 0, 0, cursor.Errorf(t.base+next, "OAT table ends within an entry")
	}
	return loc, checksum, off, next, nil
}

func isMagic(b []byte) bool {
	return len(b) >= 8 && (string(b[:4]) == "dex\n" || string(b[:4]) == "cdex") && b[7] == 0
}

// entryWords finds how many words follow the DEX's offset in each entry.
func (t *dexTable) entryWords(at, count int64) (int, error) {
	if count == 1 {
		return 0, nil
	}
	_, _, _, next, err := t.head(at)
	if err != nil {
		return 0, err
	}
next:
	for words := range maxEntryWords + 1 {
		p := next
		for range count - 1 {
			var err error
			if _, _, _, p, err = t.head(p + 4 + int64(words)*4); err != nil {
				continue next
			}
		}
		return words, nil
	}
	return 0, fmt.Errorf("table of %d DEX files in OAT version %03d: %w", count, t.version, errors.ErrUnsupported)
}

// isLocation tells whether b can be a DEX location: a path, so no control characters.
func isLocation(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxLocation
}

// instructionSet names the header's instruction set (InstructionSet of instruction_set.h), for an OAT outside an ELF file.
// 4 and above are not told apart from riscv64, which pushed them up in Android 14.
func instructionSet(n uint32) string {
	switch n {
	case 1, 3: // 3 is Thumb-2
		return "arm"
	case 2:
		return "arm64"
	}
	return ""
}
