package oat

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

var le = binary.LittleEndian

func u16(v ...uint16) (b []byte) {
	for _, v := range v {
		b = le.AppendUint16(b, v)
	}
	return b
}

func u32(v ...uint32) (b []byte) {
	for _, v := range v {
		b = le.AppendUint32(b, v)
	}
	return b
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// A quickened is a method's code, before and after, and what was replaced: at each pc an index, or two for a check-cast.
type quickened struct {
	was, is []uint16
	at      [][2]uint16 // pc, index
	nops    []uint16    // pcs of nops and payloads that were always such
}

// Four methods: one with everything, one untouched, one with a return only, one with a single call.
var sample = []quickened{
	{
		was: []uint16{0x2052, 7, 0x0000, 0x031f, 5, 0x206e, 9, 0x0021, 0x0e, 0x0000, 0x0100, 1, 0, 0, 2, 0},
		is:  []uint16{0x20e3, 0x48, 0x0000, 0x0000, 0x0000, 0x20e9, 33, 0x0021, 0x73, 0x0000, 0x0100, 1, 0, 0, 2, 0},
		at:  [][2]uint16{{0, 7}, {3, 3}, {3, 5}, {5, 9}}, nops: []uint16{2, 9, 10},
	},
	{was: []uint16{0x0012, 0x000f}, is: []uint16{0x0012, 0x000f}},
	{was: []uint16{0x000e}, is: []uint16{0x0073}},
	{was: []uint16{0x1074, 11, 3, 0x0e}, is: []uint16{0x10ea, 300, 3, 0x73}, at: [][2]uint16{{0, 11}}},
}

// methodIDs are the indexes that sample's methods have in VDEX 019 and later. One is in the offset table's second block.
var methodIDs = [4]uint32{0, 1, 2, 17}

// makeDex returns a DEX, as far as anything here looks at it, and the offsets of its code items. Its methods are those of sample, the first
// two in one class. isquick says which code they have.
func makeDex(isquick bool) (dex []byte, codes []uint32) {
	const defs = dexHeaderSize
	dex = make([]byte, defs+3*32)
	copy(dex, "dex\n035\x00")
	for _, m := range sample {
		code := m.was
		if isquick {
			code = m.is
		}
		dex = pad4(dex)
		codes = append(codes, uint32(len(dex)))
		dex = append(dex, u16(4, 1, 1, 0)...)
		dex = append(dex, u32(0, uint32(len(code)))...)
		dex = append(dex, u16(code...)...)
	}
	data := func(class int, b ...byte) {
		le.PutUint32(dex[defs+32*class+24:], uint32(len(dex)))
		dex = append(dex, b...)
	}
	leb := func(v uint32) []byte { return binary.AppendUvarint(nil, uint64(v)) }
	// A static field, then two direct methods.
	data(0, bytes.Join([][]byte{{1, 0, 2, 0, 0, 8, 0, 1}, leb(codes[0]), {1, 1}, leb(codes[1])}, nil)...)
	// Class 1 has no data. Class 2: a direct method, an abstract and a virtual one.
	data(2, bytes.Join([][]byte{{0, 0, 1, 2, 2, 1}, leb(codes[2]), {16, 1, 0, 1, 1}, leb(codes[3])}, nil)...)
	dex = pad4(dex)
	le.PutUint32(dex[dexFileSize:], uint32(len(dex)))
	le.PutUint32(dex[0x50:], 20) // field ids
	le.PutUint32(dex[dexMethodIDs:], 20)
	le.PutUint32(dex[dexClassDefs:], 3)
	le.PutUint32(dex[dexClassDefs+4:], defs)
	return dex, codes
}

// makeCdex returns a compact DEX with nothing in it, whose data begin behind gap bytes and are "shared".
func makeCdex(gap int) (dex, shared []byte) {
	dex = make([]byte, cdexHeaderSize)
	copy(dex, "cdex001\x00")
	shared = []byte("data")
	le.PutUint32(dex[dexFileSize:], uint32(len(dex)))
	le.PutUint32(dex[dexDataSize:], uint32(len(shared)))
	le.PutUint32(dex[dexDataSize+4:], uint32(len(dex)+gap))
	return dex, shared
}

// sequence returns m's indexes in the form of VDEX 010 and later.
func (m quickened) sequence() (idx []uint16) {
	at, nops := m.at, m.nops
	if len(at) == 0 {
		return nil
	}
	for len(at)+len(nops) > 0 {
		if len(nops) == 0 || len(at) > 0 && at[0][0] < nops[0] {
			idx, at = append(idx, at[0][1]), at[1:]
		} else {
			idx, nops = append(idx, noIndex), nops[1:]
		}
	}
	return idx
}

// makeVdex returns a VDEX of a version with dexes, which all have sample's methods unless they are compact. shared lies behind them.
func makeVdex(version int, dexes [][]byte, codes []uint32, shared []byte) []byte {
	b := fmt.Appendf(nil, "vdex%03d\x00", version)
	var sums, quick, starts, tables []byte
	for i := range dexes {
		sums = append(sums, u32(uint32(0x1000+i))...)
	}
	if version >= vdexSections {
		section := 12 + 4*12
		var dexPart []byte
		for _, d := range dexes {
			dexPart = append(dexPart, pad4(d)...)
		}
		dexPart = append(dexPart, shared...)
		at := uint32(section + len(sums))
		b = append(b, u32(4, 0, uint32(section), uint32(len(sums)), 1, at, uint32(len(dexPart)), 2, at, 0, 3, at, 0)...)
		return append(append(b, sums...), dexPart...)
	}

	for range dexes {
		switch {
		case version <= 6:
			for _, m := range sample {
				var p []byte
				for _, a := range m.at {
					p = binary.AppendUvarint(p, uint64(a[0]))
					p = binary.AppendUvarint(p, uint64(a[1]))
				}
				quick = append(append(quick, u32(uint32(len(p)))...), p...)
			}
		case version <= 10:
			var p []uint32
			for i, m := range sample {
				if idx := m.sequence(); idx != nil {
					// Later code items first: the order is not theirs.
					p = append([]uint32{codes[i], uint32(len(quick))}, p...)
					quick = append(append(quick, u32(uint32(2*len(idx)))...), u16(idx...)...)
				}
			}
			starts = append(starts, u32(uint32(len(quick)))...)
			quick = append(quick, u32(p...)...)
		default:
			offs := make([]uint32, 20) // by method id
			for i, m := range sample {
				if idx := m.sequence(); idx != nil {
					offs[methodIDs[i]] = uint32(len(quick)) + 1
					quick = append(binary.AppendUvarint(quick, uint64(len(idx))), u16(idx...)...)
				}
			}
			quick = pad4(quick)
			tables = append(tables, u32(uint32(len(quick)))...)
			quick = append(quick, makeOffsets(offs)...)
		}
	}
	quick = append(quick, starts...)

	var part []byte
	for i, d := range dexes {
		part = pad4(part)
		if version >= vdexTableOff {
			part = append(part, tables[4*i:4*i+4]...)
		}
		part = append(part, d...)
	}
	n, size, deps := uint32(len(dexes)), uint32(len(part)), []byte("dependencies")
	switch {
	case version < vdexShared:
		b = append(b, u32(n, size, uint32(len(deps)), uint32(len(quick)))...)
	case version < vdexDexPart:
		b = append(b, u32(n, size, uint32(len(shared)), uint32(len(deps)), uint32(len(quick)))...)
	default:
		b = append(append(b, "002\x00"...), u32(n, uint32(len(deps)))...)
		if version >= vdexContext {
			b = append(b, u32(0, 0)...)
		}
	}
	b = append(b, sums...)
	if version >= vdexDexPart {
		b = append(b, u32(size, uint32(len(shared)), uint32(len(quick)))...)
	}
	return bytes.Join([][]byte{b, part, shared, deps, quick}, nil)
}

// makeOffsets packs offs the way CompactOffsetTable::Build does.
func makeOffsets(offs []uint32) []byte {
	low := ^uint32(0)
	for _, o := range offs {
		if o != 0 {
			low = min(low, o)
		}
	}
	var blocks, index []byte
	for len(offs) > 0 {
		n := min(16, len(offs))
		index = append(index, u32(uint32(len(blocks)))...)
		var mask uint16
		var leb []byte
		last := low
		for i, o := range offs[:n] {
			if o != 0 {
				mask |= 1 << i
				leb = binary.AppendUvarint(leb, uint64(o-last))
				last = o
			}
		}
		blocks = append(append(blocks, byte(mask>>8), byte(mask)), leb...)
		offs = offs[n:]
	}
	blocks = pad4(blocks)
	return bytes.Join([][]byte{u32(low, uint32(len(blocks))), blocks, index}, nil)
}

const storeText = "compiler-filter\x00speed\x00dex2oat-cmdline\x00--a --b\x00pic\x00false\x00"

// makeOat returns an OAT of a version that lists dexes under two locations, and holds them if that version does.
func makeOat(version int, store string, dexes [][]byte) []byte {
	head := make([]byte, storeSize(version)+4)
	copy(head, fmt.Sprintf("oat\n%03d\x00", version))
	le.PutUint32(head[oatISA:], 2)
	le.PutUint32(head[oatDexCount:], uint32(len(dexes)))
	le.PutUint32(head[storeSize(version):], uint32(len(store)))
	head = append(head, store...)
	if version >= dexTableOffset {
		head = pad4(head)
		le.PutUint32(head[oatDexTable:], uint32(len(head)))
	}
	entries := func(at uint32) (b []byte) {
		for i, d := range dexes {
			loc := "/system/app/X/X.apk"
			if i > 0 {
				loc = fmt.Sprintf("%s!classes%d.dex", loc, i+1)
			}
			b = append(append(b, u32(uint32(len(loc)))...), loc...)
			if version >= 231 {
				b = append(b, "dex\n035\x00"...)
			}
			b = append(b, u32(uint32(0x1000+i))...)
			if version >= 231 {
				b = append(b, "a SHA-1 of 20 bytes."...)
			}
			b = append(b, u32(at)...)
			at += uint32(len(pad4(d)))
			words := 8
			switch {
			case version < 73:
				words = 3 // as makeDex has classes
			case version < classesMoved:
				words = 1 + 3
			case version < firstVdex:
				words = 2
			case version < onlyVdex:
				words = 2
			case version < dexTableOffset:
				words = 4
			}
			for w := range words {
				b = append(b, u32(uint32(0x200*w))...)
			}
		}
		return b
	}
	end := len(head) + len(entries(0))
	end += -end & 3
	out := pad4(append(head, entries(uint32(end))...))
	if version < onlyVdex {
		for _, d := range dexes {
			out = append(out, pad4(d)...)
		}
	}
	return out
}

// makeELF wraps an OAT as dex2oat does: .rodata a page into the file, symbols behind it, no section headers.
func makeELF(oat []byte, wide bool) []byte {
	const page = 0x1000
	strs := "\x00oatexec\x00oatdata\x00"
	word := func(v ...uint64) (b []byte) {
		for _, v := range v {
			if wide {
				b = le.AppendUint64(b, v)
			} else {
				b = le.AppendUint32(b, uint32(v))
			}
		}
		return b
	}
	sym := func(name uint32, addr uint64) []byte {
		if wide {
			return bytes.Join([][]byte{u32(name), u32(0x00010011), word(addr, 8)}, nil)
		}
		return bytes.Join([][]byte{u32(name), word(addr, 8), u32(0x00010011)}, nil)
	}
	addr := uint64(page)
	dynAt := uint64(page+len(oat)+page) &^ (page - 1) // in memory at twice this
	off := dynAt
	var dyn []byte
	syms := bytes.Join([][]byte{sym(0, 0), sym(1, 0x77), sym(9, addr)}, nil)
	hash := u32(1, 3, 2, 0, 0, 1)
	strAt := 2*dynAt + uint64(len(word(0)))*12
	symAt := strAt + uint64(len(strs))
	dyn = bytes.Join([][]byte{
		word(dtStrtab, strAt, dtSymtab, symAt, dtStrsz, uint64(len(strs)), dtHash, symAt+uint64(len(syms)), 11, 16, 0, 0),
		[]byte(strs), syms, hash,
	}, nil)

	ph := func(typ uint32, off, addr, size uint64) []byte {
		if wide {
			return bytes.Join([][]byte{u32(typ, 4), word(off, addr, addr, size, size, page)}, nil)
		}
		return bytes.Join([][]byte{u32(typ), word(off, addr, addr, size, size), u32(4), word(page)}, nil)
	}
	phs := [][]byte{
		ph(ptLoad, 0, 0, 0x200),
		ph(ptLoad, page, addr, uint64(len(oat))),
		ph(ptLoad, off, 2*off, uint64(len(dyn))),
		ph(ptDynamic, off, 2*off, uint64(len(dyn))),
	}
	class, machine, ehsize := byte(1), uint16(40), 52
	if wide {
		class, machine, ehsize = 2, 183, 64
	}
	out := append([]byte("\x7fELF"), class, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0)
	out = append(out, u16(3, machine)...)
	out = append(out, u32(1)...)
	out = append(out, word(0, uint64(ehsize), 0)...)
	out = append(out, u32(0)...)
	out = append(out, u16(uint16(ehsize), uint16(len(phs[0])), uint16(len(phs)), 0, 0, 0)...)
	out = append(out, bytes.Join(phs, nil)...)
	out = append(out, make([]byte, page-len(out))...)
	out = append(out, oat...)
	out = append(out, make([]byte, int(dynAt)-len(out))...)
	return append(out, dyn...)
}

// makeOdex wraps a DEX as Dalvik's dexopt did.
func makeOdex(dex []byte) []byte {
	return bytes.Join([][]byte{[]byte("dey\n036\x00"), u32(40, uint32(len(dex)), uint32(40+len(dex)), 8, 0, 0, 0, 0), dex, []byte("depends.")}, nil)
}
