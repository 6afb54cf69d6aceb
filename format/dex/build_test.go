package dex

import (
	"crypto/sha1"
	"encoding/binary"
	"hash/adler32"
	"slices"
)

// The DEX of these tests, made here from the specification. It has one of everything:
//
//	class LA; extends Object implements Runnable, annotated with LNote;(value = "é\0😀")
//	  static int s = 42
//	  static int m(int), with a try, a packed switch and line numbers
//
// seed makes it as an ordinary DEX, container several of them in one, compact the two sections of a compact DEX.

var seedStrings = []string{
	0: "A.java", 1: "I", 2: "II", 3: "LA;", 4: "LNote;", 5: "Ljava/lang/Exception;", 6: "Ljava/lang/Object;", 7: "Ljava/lang/Runnable;",
	8: "m", 9: "s", 10: "value", 11: "\u00e9\xc0\x80\xed\xa0\xbd\xed\xb8\x80", // MUTF-8, six... see utf16Len
}

var seedCode = []uint16{
	0x1012,                 // 0: const/4 v0, 1
	0x1071, 0x0000, 0x0001, // 1: invoke-static {v1}, m
	0x000a,                 // 4: move-result v0
	0x002b, 0x0005, 0x0000, // 5: packed-switch v0, +5
	0x000f,                                                         // 8: return v0
	0x000d,                                                         // 9: move-exception v0
	0x0100, 0x0002, 0x0007, 0x0000, 0x0003, 0x0000, 0xfffb, 0xffff, // 10: payload: 7 -> 8, 8 -> 0
	0x0f12, // 18: const/4 v15, 0
	0xf528, // 19: goto 8
}

var seedLines = [][2]uint32{{0, 10}, {1, 12}, {8, 14}}

type builder struct {
	main, data []byte
	origin     int // of data, in the offsets that count from it
	version    int
	big        bool // registers, tries and code of a size that a compact code item cannot hold in its packed fields
}

func (b *builder) off() uint32 { return uint32(b.origin + len(b.data)) }

func (b *builder) align(n int) {
	for (b.origin+len(b.data))%n != 0 {
		b.data = append(b.data, 0)
	}
}

func (b *builder) u8(v ...byte) { b.data = append(b.data, v...) }
func (b *builder) u16(v ...uint16) {
	for _, x := range v {
		b.data = binary.LittleEndian.AppendUint16(b.data, x)
	}
}
func (b *builder) u32(v ...uint32) {
	for _, x := range v {
		b.data = binary.LittleEndian.AppendUint32(b.data, x)
	}
}
func (b *builder) uleb(v ...uint32) {
	for _, x := range v {
		for ; x >= 0x80; x >>= 7 {
			b.data = append(b.data, byte(x)|0x80)
		}
		b.data = append(b.data, byte(x))
	}
}

// utf16Len counts the units of MUTF-8.
func utf16Len(s string) (n uint32) {
	for i := range len(s) {
		if s[i]&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// dex builds one DEX. Its header will lie at base of the file the offsets count from; version 1 is a compact DEX.
func (b *builder) dex(base int) {
	header := headerSize
	switch {
	case b.version == 1:
		header = headerSizeCompact
	case b.version >= 41:
		header = headerSize41
	}
	counts := []struct{ at, n, size int }{
		{0x38, len(seedStrings), 4}, {0x40, 6, 4}, {0x48, 1, 12}, {0x50, 1, 8}, {0x58, 1, 8}, {0x60, 1, 32},
	}
	var at []int
	size := header
	for _, c := range counts {
		at = append(at, size)
		size += c.n * c.size
	}
	handles := size
	size += 8
	callSites := size
	size += 4
	b.main = make([]byte, size)
	if b.version == 1 {
		b.u32(0) // so that nothing has offset 0
	} else {
		b.origin = base + size
	}
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(b.main[off:], v) }

	for i, s := range seedStrings {
		put(at[0]+4*i, b.off())
		b.uleb(utf16Len(s))
		b.u8(append([]byte(s), 0)...)
	}
	for i, s := range []uint32{1, 3, 4, 5, 6, 7} {
		put(at[1]+4*i, s)
	}
	b.align(4)
	params := b.off()
	b.u32(1)
	b.u16(0)
	b.align(4)
	interfaces := b.off()
	b.u32(1)
	b.u16(5)
	put(at[2], 2)
	put(at[2]+8, params)
	put(at[3], 1) // class LA;, type I
	put(at[3]+4, 9)
	put(at[4], 1)
	put(at[4]+4, 8)

	debug := b.off()
	b.uleb(10, 1, 0) // line 10, one nameless parameter
	b.u8(0x07, 0x0a+4, 0x03, 0, 9, 2, 0x0a+15+6, 0x01, 7, 0x02, 0x02, 0x0a+4, 0x00)

	code := b.code(debug)
	values := b.off()
	b.uleb(1)
	b.u8(0x04, 42)
	note := b.off()
	b.u8(1) // runtime
	b.uleb(2, 1, 10)
	b.u8(0x17, 11)
	b.align(4)
	set := b.off()
	b.u32(1, note)
	refs := b.off()
	b.u32(2, 0, set)
	directory := b.off()
	b.u32(set, 1, 1, 1, 0, set, 0, set, 0, refs)
	class := b.off()
	b.uleb(1, 0, 1, 0)
	b.uleb(0, 0x9)
	b.uleb(0, 0x9, code)
	for i, v := range []uint32{1, 1, 4, interfaces, 0, directory, class, values} {
		put(at[5]+4*i, v)
	}
	site := b.off()
	b.uleb(3)
	b.u8(0x16, 0, 0x17, 8, 0x15, 0)
	put(handles, 4) // invoke-static
	put(handles+4, 0)
	put(callSites, site)

	b.align(4)
	mapOff := b.off()
	items := [][3]uint32{{0, 1, uint32(base)}}
	for i, c := range counts {
		items = append(items, [3]uint32{uint32(i + 1), uint32(c.n), uint32(base + at[i])})
	}
	items = append(items, [3]uint32{8, 1, uint32(base + handles)}, [3]uint32{7, 1, uint32(base + callSites)}, [3]uint32{0x1000, 1, mapOff})
	b.u32(uint32(len(items)))
	for _, it := range items {
		b.u32(it[:]...)
	}

	copy(b.main, "dex\n0"+string([]byte{'0' + byte(b.version/10), '0' + byte(b.version%10), 0}))
	put(0x20, uint32(len(b.main)+len(b.data)))
	put(0x24, uint32(header))
	put(0x28, 0x12345678)
	put(0x34, mapOff)
	for i, c := range counts {
		put(c.at, uint32(c.n))
		put(c.at+4, uint32(base+at[i]))
	}
	put(0x68, uint32(len(b.data)))
	put(0x6c, uint32(b.origin))
	if b.version == 1 {
		copy(b.main, "cdex001\x00")
		put(0x20, uint32(len(b.main)))
	}
	if b.version == 41 {
		put(0x68, 0)
		put(0x6c, 0)
		put(0x74, uint32(base))
	}
}

// code writes the code item of m and returns its offset.
func (b *builder) code(debug uint32) uint32 {
	insns, regs, ins, outs, tries := seedCode, uint16(2), uint16(1), uint16(1), 1
	if b.big {
		insns = append(slices.Clone(seedCode), make([]uint16, 0x10834)...)
		regs, outs, tries = 300, 33, 18
	}
	b.align(4)
	off := b.off()
	if b.version == 1 {
		regs -= ins
		n := uint32(len(insns))
		flags := uint16(n<<5) & 0xffe0
		var pre []uint16 // nearest to the item first
		if n >>= 11; n > 0 {
			flags |= 0x10
			pre = append(pre, uint16(n<<11), uint16(n>>5))
		}
		for i, v := range []uint16{regs, ins, outs, uint16(tries)} {
			if v > 15 {
				flags |= 1 << i
				pre = append(pre, v&^15)
			}
		}
		slices.Reverse(pre)
		b.u16(pre...)
		off = b.off()
		b.u16(regs&15<<12|ins&15<<8|outs&15<<4|uint16(tries)&15, flags)
	} else {
		b.u16(regs, ins, outs, uint16(tries))
		b.u32(debug, uint32(len(insns)))
	}
	b.u16(insns...)
	b.align(4)
	for i := range tries {
		b.u32(uint32(8 * i)) // try 0..8, 8..16, ...
		b.u16(8, 1)
	}
	b.uleb(1)
	b.u8(0x7f) // -1: one type and a catch-all
	b.uleb(3, 9, 9)
	return off
}

func seed(version int) []byte {
	b := builder{version: version}
	b.dex(0)
	out := append(b.main, b.data...)
	sign(out)
	return out
}

// sign puts right what dexdump checks.
func sign(dex []byte) {
	sum := sha1.Sum(dex[32:])
	copy(dex[12:], sum[:])
	binary.LittleEndian.PutUint32(dex[8:], adler32.Checksum(dex[12:]))
}

func container(n int) []byte {
	var out []byte
	for range n {
		b := builder{version: 41}
		b.dex(len(out))
		out = append(append(out, b.main...), b.data...)
		for len(out)%4 != 0 {
			panic("container out of step")
		}
	}
	for off := 0; off < len(out); off += int(binary.LittleEndian.Uint32(out[off+0x20:])) {
		binary.LittleEndian.PutUint32(out[off+0x70:], uint32(len(out)))
	}
	return out
}

// compact returns the two sections; whole puts them into one file.
func compact(big bool) (main, shared []byte) {
	b := builder{version: 1, big: big}
	b.dex(0)
	return b.main, b.data
}

func whole(main, shared []byte) []byte {
	out := append(slices.Clone(main), make([]byte, 4)...)
	binary.LittleEndian.PutUint32(out[0x6c:], uint32(len(out)))
	return append(out, shared...)
}
