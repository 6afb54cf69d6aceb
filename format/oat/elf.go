package oat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"gifthorse/internal/cursor"
)

// An image is the memory that an OAT file describes: which bytes of data lie at which address, and where the OAT begins.
type image struct {
	data []byte
	segs []segment
	addr uint64 // of the OAT header; 0 in a bare OAT
	isa  string
}

// A segment is size bytes at off of the file that are mapped at addr. They lie within the file.
type segment struct {
	addr      uint64
	off, size int64
}

// at returns the bytes at addr up to the end of their segment, and where they begin in the file. nil if nothing lies there.
func (m *image) at(addr uint64) ([]byte, int64) {
	for _, s := range m.segs {
		if d := addr - s.addr; addr >= s.addr && d < uint64(s.size) {
			off := s.off + int64(d)
			end := s.off + s.size
			return m.data[off:end:end], off
		}
	}
	return nil, 0
}

// oat returns the bytes from the OAT header to the end of its segment.
func (m *image) oat() []byte {
	b, _ := m.at(m.addr)
	return b
}

func isELF(b []byte) bool { return len(b) >= 52 && string(b[:4]) == "\x7fELF" }

// What of ELF is used (gABI, chapters 4 and 5).
const (
	ptLoad, ptDynamic                   = 1, 2
	dtHash, dtStrtab, dtSymtab, dtStrsz = 4, 5, 6, 10
)

// maxSegments is eight times what dex2oat writes. Each address is looked for in all of them, so without a limit a file could
// have 65535 searched for each of its DEX files.
const maxSegments = 64

// readELF reads what the runtime's own loader reads (art/runtime/elf_file.cc): program headers, and through PT_DYNAMIC the
// symbol table, in which "oatdata" marks the OAT. Section headers, which a stripped file lacks, are not looked at.
func readELF(data []byte) (*image, error) {
	if data[5] != 1 {
		return nil, cursor.Errorf(5, "ELF file is not little-endian")
	}
	var wide bool
	switch data[4] {
	case 1:
	case 2:
		wide = true
	default:
		return nil, cursor.Errorf(4, "ELF class %d", data[4])
	}
	m := &image{data: data, isa: machine(binary.LittleEndian.Uint16(data[18:]), wide)}

	word := func(c *cursor.Cursor) uint64 { // an address or size
		if wide {
			return c.U64()
		}
		return uint64(c.U32())
	}
	c := cursor.At(data, 28)
	if wide {
		c.Move(32)
	}
	phoff := word(&c)
	if wide {
		c.Move(54)
	} else {
		c.Move(42)
	}
	phentsize, phnum := int64(c.U16()), int64(c.U16())
	if err := c.Err(); err != nil {
		return nil, err
	}
	if phoff > uint64(len(data)) || phentsize*phnum > int64(len(data))-int64(phoff) {
		return nil, cursor.Errorf(int64(min(phoff, math.MaxInt64)), "%d ELF program headers do not fit in the file", phnum)
	}
	var dyn []byte
	for i := range phnum {
		c.Move(int64(phoff) + i*phentsize)
		typ := c.U32()
		if wide {
			c.U32() // flags
		}
		off, addr := word(&c), word(&c)
		word(&c) // physical address
		filesz := word(&c)
		if c.Err() != nil {
			break
		}
		if (typ != ptLoad && typ != ptDynamic) || off >= uint64(len(data)) {
			continue
		}
		// A dump may be cut short; what is there of the segment is what can be read.
		n := int64(min(filesz, uint64(len(data))-off))
		if typ == ptDynamic {
			dyn = data[off : int64(off)+n]
		} else {
			if len(m.segs) == maxSegments {
				return nil, fmt.Errorf("ELF file with more than %d segments: %w", maxSegments, errors.ErrUnsupported)
			}
			m.segs = append(m.segs, segment{addr, int64(off), n})
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}

	var hash, strtab, symtab, strsz uint64
	c = cursor.At(dyn, 0)
	for c.Len() > 0 {
		tag, v := word(&c), word(&c)
		if c.Err() != nil || tag == 0 {
			break
		}
		switch tag {
		case dtHash:
			hash = v
		case dtStrtab:
			strtab = v
		case dtSymtab:
			symtab = v
		case dtStrsz:
			strsz = v
		}
	}
	strs, _ := m.at(strtab)
	strs = strs[:min(uint64(len(strs)), strsz)]
	syms, _ := m.at(symtab)
	size, value := 16, 4
	if wide {
		size, value = 24, 8
	}
	// The second word of DT_HASH is the number of symbols.
	if h, _ := m.at(hash); len(h) >= 8 {
		syms = syms[:min(uint64(len(syms)), uint64(binary.LittleEndian.Uint32(h[4:]))*uint64(size))]
	}
	const name = "oatdata\x00"
	for ; len(syms) >= size; syms = syms[size:] {
		n := uint64(binary.LittleEndian.Uint32(syms))
		if n > uint64(len(strs)) || uint64(len(strs))-n < uint64(len(name)) || string(strs[n:n+uint64(len(name))]) != name {
			continue
		}
		if wide {
			m.addr = binary.LittleEndian.Uint64(syms[value:])
		} else {
			m.addr = uint64(binary.LittleEndian.Uint32(syms[value:]))
		}
		return m, nil
	}
	return nil, cursor.Errorf(0, "ELF file without the symbol oatdata")
}

// machine names an ELF machine as Android names instruction sets (art/libartbase/arch/instruction_set.cc).
func machine(m uint16, wide bool) string {
	switch m {
	case 3:
		return "x86"
	case 8:
		if wide {
			return "mips64"
		}
		return "mips"
	case 40:
		return "arm"
	case 62:
		return "x86_64"
	case 183:
		return "arm64"
	case 243:
		return "riscv64"
	}
	return ""
}
