package oat

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"gifthorse/internal/cursor"
)

// A QuickTable finds the quickening data of a DEX's methods.
type QuickTable struct {
	info   []byte       // the file's quickening data
	byPC   bool         // VDEX 006: entries name the instruction
	codes  []quickEntry // VDEX 006, 010: sorted by code
	byID   *offsetTable // VDEX 019, 021
	method uint32       // number of method ids, if byID
}

// A quickEntry says that the data of the code item at code begin at off of the quickening data.
type quickEntry struct{ code, off uint32 }

// Len returns how many code items have quickening data, or -1 where the table has no list of them (VDEX 019 and 021).
func (q *QuickTable) Len() int {
	if q.byID != nil {
		return -1
	}
	return len(q.codes)
}

// Info returns what quickening replaced in a method: codeItemOff is the offset of its code item in the DEX (from Shared, in a
// compact DEX), as the class data have it, and methodIndex its index in the DEX's method ids. VDEX 006 and 010 (Android 8)
// are searched by the former, 019 and 021 (9 to 11) by the latter. ok is false if the method has nothing replaced, or what
// the table says of it is damaged.
//
// Methods may share a code item; then the table names one of them only, or several with the same data.
func (q *QuickTable) Info(codeItemOff, methodIndex uint32) (info QuickInfo, ok bool) {
	if q.byID != nil {
		if methodIndex >= q.method {
			return info, false
		}
		off, ok := q.byID.offset(methodIndex)
		// The table counts from one, so that zero can mean none.
		if !ok || off == 0 {
			return info, false
		}
		c := cursor.At(q.info, int64(off)-1)
		info.b = c.Bytes(2 * int64(c.Uleb128()))
		return info, len(info.b) > 0
	}
	i, ok := slices.BinarySearchFunc(q.codes, codeItemOff, func(e quickEntry, code uint32) int {
		switch {
		case e.code < code:
			return -1
		case e.code > code:
			return 1
		}
		return 0
	})
	if !ok {
		return info, false
	}
	c := cursor.At(q.info, int64(q.codes[i].off))
	info.b = c.Bytes(int64(c.U32()))
	info.byPC = q.byPC
	return info, len(info.b) > 0
}

// A QuickInfo hands out the indexes that quickening replaced in one method. It is a position in them: take it by value, and
// walk the method's code once, from its first instruction to its last:
//
//	info, ok := dex.Quick.Info(codeOff, methodIndex)
//	if ok { // else the method's code is as it was, but for return-void-no-barrier
//		for each instruction, in order, at code unit pc {
//			switch opcode := units[pc] & 0xff; {
//			case opcode == 0x00: // nop, also the payloads of switches and arrays, whose first unit is 0x0100, 0x0200, 0x0300
//				reg, typ, ok := info.Nop(pc)
//				// If ok, it was "check-cast v<reg>, type@<typ>" and is two units long: the nop behind it is part of it.
//				// Else it was a nop, or a payload.
//			case 0xe3 <= opcode && opcode <= 0xf2: // the quick instructions
//				index, ok := info.Index(pc)
//				// iget-quick and so on: the field index. invoke-virtual-quick, -range: the method index.
//			}
//		}
//	}
//
// Nop and Index have to be called for each such instruction, dead code and payloads included, and for no other: since VDEX
// 010 what is stored is only a sequence, in which every nop and every payload has its place. After the walk Left is 0.
// return-void-no-barrier (0x73) was return-void and stores nothing; it occurs in methods without data too.
// Quickening stores no more than the index: registers and length are unchanged. (dex_to_dex_decompiler.cc)
//
//	0xe3 iget-quick           0xe8 iput-object-quick           0xed iput-char-quick
//	0xe4 iget-wide-quick      0xe9 invoke-virtual-quick        0xee iput-short-quick
//	0xe5 iget-object-quick    0xea invoke-virtual/range-quick  0xef iget-boolean-quick
//	0xe6 iput-quick           0xeb iput-boolean-quick          0xf0 iget-byte-quick
//	0xe7 iput-wide-quick      0xec iput-byte-quick             0xf1 iget-char-quick    0xf2 iget-short-quick
type QuickInfo struct {
	b    []byte
	byPC bool
}

// noIndex stands for a nop that was always one (DexFile::kDexNoIndex16).
const noIndex = 0xffff

// Index takes the index that the quick instruction at code unit pc replaced: of a field or of a method, in the DEX's own
// tables. ok is false if there is none left, or it is another instruction's.
func (q *QuickInfo) Index(pc uint32) (index uint16, ok bool) {
	if !q.byPC {
		return q.next()
	}
	c := cursor.At(q.b, 0)
	at, i := c.Uleb128(), c.Uleb128()
	if c.Err() != nil || at != pc || i > noIndex {
		return 0, false
	}
	q.b = q.b[c.Off():]
	return uint16(i), true
}

// Nop takes what is stored for the nop, or payload, at code unit pc. If ok, the nop and the one behind it were
// "check-cast v<reg>, type@<typ>", which dex2oat proved could not fail.
func (q *QuickInfo) Nop(pc uint32) (reg, typ uint16, ok bool) {
	if q.byPC {
		rest := *q
		if reg, ok = rest.Index(pc); ok {
			if typ, ok = rest.Index(pc); ok {
				*q = rest
			}
		}
		return reg, typ, ok
	}
	if reg, ok = q.next(); !ok || reg == noIndex {
		return 0, 0, false
	}
	typ, ok = q.next()
	return reg, typ, ok
}

func (q *QuickInfo) next() (uint16, bool) {
	if len(q.b) < 2 {
		return 0, false
	}
	v := binary.LittleEndian.Uint16(q.b)
	q.b = q.b[2:]
	return v, true
}

// Left returns how many bytes of quickening data have not been taken.
func (q QuickInfo) Left() int { return len(q.b) }

// quicken006 assigns the data of VDEX 006: for each method with code, in the order of the class definitions of all DEX files
// (direct before virtual methods), a size and that many bytes of pairs pc, index, both LEB128 (VdexFile::Unquicken of oreo-release).
func (f *File) quicken006(info []byte) error {
	c := cursor.At(info, 0)
	for i := range f.Dex {
		d := &f.Dex[i]
		q := &QuickTable{info: info, byPC: true}
		err := eachCode(d.Data, func(code uint32) bool {
			off := uint32(c.Off())
			n := c.U32()
			c.Skip(int64(n))
			if c.Err() == nil && n > 0 {
				q.codes = append(q.codes, quickEntry{code, off})
			}
			return c.Err() == nil
		})
		q.sort()
		d.Quick = q
		if err == nil {
			err = c.Err()
		}
		if err != nil {
			return cursor.Errorf(d.Off, "quickening data from the DEX at %#x on not assigned: %v", d.Off, err)
		}
	}
	return nil
}

// sort brings the entries in order of their code. Of several for one code item the first stays: quickening it again found
// nothing more to replace.
func (q *QuickTable) sort() {
	slices.SortStableFunc(q.codes, func(a, b quickEntry) int {
		switch {
		case a.code < b.code:
			return -1
		case a.code > b.code:
			return 1
		}
		return 0
	})
	q.codes = slices.CompactFunc(q.codes, func(a, b quickEntry) bool { return a.code == b.code })
}

// eachCode calls yield with the offset of each method's code item, in the order of the class definitions, as long as it returns true.
func eachCode(dex []byte, yield func(code uint32) bool) error {
	if len(dex) < dexHeaderSize {
		return nil
	}
	defs := cursor.At(dex, dexClassDefs)
	n := defs.U32()
	defs.Move(int64(defs.U32()))
	// Each class has class data of its own, so all together are no longer than the DEX. Without this many classes that point
	// at the same long data would take hours.
	left := int64(len(dex))
	for range n {
		def := defs.Bytes(32)
		if def == nil {
			return defs.Err()
		}
		at := int64(binary.LittleEndian.Uint32(def[24:])) // class_data_off
		if at == 0 {
			continue
		}
		c := cursor.At(dex, at)
		static, instance, direct, virtual := c.Uleb128(), c.Uleb128(), c.Uleb128(), c.Uleb128()
		for k := uint64(static) + uint64(instance); k > 0 && c.Err() == nil; k-- {
			c.Uleb128()
			c.Uleb128()
		}
		for k := uint64(direct) + uint64(virtual); k > 0 && c.Err() == nil; k-- {
			c.Uleb128()
			c.Uleb128()
			if code := c.Uleb128(); code != 0 && c.Err() == nil && !yield(code) {
				return nil
			}
		}
		if err := c.Err(); err != nil {
			return err
		}
		if left -= c.Off() - at; left < 0 {
			return cursor.Errorf(at, "class data are longer than the DEX")
		}
	}
	return nil
}

// quicken010 assigns the data of VDEX 010. At their end stands for each DEX where its pairs begin; a pair is the offset of a code item in its DEX
// and of its data, which are a size and that many bytes of indexes (QuickeningInfoIterator of oreo-mr1-release).
func (f *File) quicken010(info []byte) error {
	n := len(f.Dex)
	if len(info) < n*4 {
		return cursor.Errorf(0, "quickening data of %d bytes for %d DEX files", len(info), n)
	}
	end := uint32(len(info) - n*4)
	starts := info[end:]
	for i := range f.Dex {
		from, to := binary.LittleEndian.Uint32(starts[i*4:]), end
		if i+1 < n {
			to = binary.LittleEndian.Uint32(starts[i*4+4:])
		}
		if from > to || to > end {
			return cursor.Errorf(f.Dex[i].Off, "quickening table of the DEX at %#x goes from %#x to %#x of %#x", f.Dex[i].Off, from, to, end)
		}
		q := &QuickTable{info: info, codes: make([]quickEntry, (to-from)/8)}
		for j := range q.codes {
			b := info[int(from)+j*8:]
			q.codes[j] = quickEntry{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
		}
		q.sort()
		f.Dex[i].Quick = q
	}
	return nil
}

// quicken019 assigns the data of VDEX 019 and 021, in which tables holds where each DEX's offset table begins. A method's data are a LEB128 count and that
// many indexes (QuickenInfoTable).
func (f *File) quicken019(info []byte, tables []uint32) {
	for i, at := range tables {
		d := &f.Dex[i]
		if d.Data == nil {
			continue
		}
		t, ok := newOffsetTable(info, at)
		if !ok {
			f.Gaps = append(f.Gaps, cursor.Errorf(d.Off, "quickening table of the DEX at %#x begins outside of the data", d.Off))
			continue
		}
		d.Quick = &QuickTable{info: info, byID: t, method: binary.LittleEndian.Uint32(d.Data[dexMethodIDs:])}
	}
}

// An offsetTable maps indexes to offsets in little space (CompactOffsetTable). For each sixteen indexes there is a block: a
// big-endian mask of those that have an offset, and for each of these, LEB128, how much it is more than the one before.
type offsetTable struct {
	blocks []byte
	index  []byte // of the blocks, four bytes each
	min    uint32 // from which each block counts
}

func newOffsetTable(info []byte, at uint32) (*offsetTable, bool) {
	c := cursor.At(info, int64(at))
	low, table := c.U32(), c.U32()
	blocks := c.Bytes(int64(c.Len()))
	if c.Err() != nil || uint64(table) > uint64(len(blocks)) {
		return nil, false
	}
	return &offsetTable{blocks, blocks[table:], low}, true
}

// offset returns the offset of the i-th, zero if it has none.
func (t *offsetTable) offset(i uint32) (uint32, bool) {
	at := uint64(i/16) * 4
	if at+4 > uint64(len(t.index)) {
		return 0, false
	}
	c := cursor.At(t.blocks, int64(binary.LittleEndian.Uint32(t.index[at:])))
	mask := uint16(c.U8())<<8 | uint16(c.U8())
	bit := i % 16
	if c.Err() != nil || mask&(1<<bit) == 0 {
		return 0, c.Err() == nil
	}
	off := t.min
	for range bits.OnesCount16(mask << (15 - bit)) {
		off += c.Uleb128()
	}
	return off, c.Err() == nil
}
