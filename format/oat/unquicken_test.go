package oat

import (
	"encoding/binary"
	"testing"
)

// An unquickener puts a plain DEX back as it was, in place, the way the documentation of QuickInfo says.
type unquickener struct {
	t                       testing.TB
	name                    string
	dex                     []byte
	quick                   *QuickTable
	methods, indexes, casts int
}

// run walks all code items. ids are the methods' indexes in the order of the class definitions.
func (u *unquickener) run(ids func(n int) uint32) {
	done := map[uint32]bool{}
	n := 0
	err := eachCode(u.dex, func(code uint32) bool {
		if !done[code] {
			done[code] = true
			u.method(ids(n), code)
		}
		n++
		return true
	})
	if err != nil {
		u.t.Errorf("%s: %v", u.name, err)
	}
}

// original has the opcode that each quick one replaced.
var original = [256]byte{
	0xe3: 0x52, 0xe4: 0x53, 0xe5: 0x54, 0xe6: 0x59, 0xe7: 0x5a, 0xe8: 0x5b, 0xe9: 0x6e, 0xea: 0x74,
	0xeb: 0x5c, 0xec: 0x5d, 0xed: 0x5e, 0xee: 0x5f, 0xef: 0x55, 0xf0: 0x56, 0xf1: 0x57, 0xf2: 0x58,
}

func (u *unquickener) method(method, code uint32) {
	le := binary.LittleEndian
	n := le.Uint32(u.dex[code+12:])
	insns := u.dex[code+16 : code+16+2*n]
	fields, methods := le.Uint32(u.dex[0x50:]), le.Uint32(u.dex[0x58:])
	info, ok := u.quick.Info(code, method)
	if ok {
		u.methods++
	}
	for pc := uint32(0); pc < n; {
		in := insns[2*pc:]
		switch op := in[0]; {
		case op == 0x73:
			in[0] = 0x0e
		case op == 0 && ok:
			if reg, typ, cast := info.Nop(pc); cast {
				u.casts++
				in[0], in[1] = 0x1f, byte(reg)
				le.PutUint16(in[2:], typ)
			}
		case original[op] != 0:
			i, found := info.Index(pc)
			limit := fields
			if op == 0xe9 || op == 0xea {
				limit = methods
			}
			if !found || uint32(i) >= limit {
				u.t.Errorf("%s: code item %#x: quick instruction at %#x: index %d of %d, found %v", u.name, code, pc, i, limit, found)
				return
			}
			u.indexes++
			in[0] = original[op]
			le.PutUint16(in[2:], i)
		}
		pc += units(in)
	}
	if info.Left() != 0 {
		u.t.Errorf("%s: code item %#x: %d bytes of quickening data left", u.name, code, info.Left())
	}
}

// units returns how many code units the instruction at in has.
func units(in []byte) uint32 {
	le := binary.LittleEndian
	between := func(from, to byte) bool { return from <= in[0] && in[0] <= to }
	switch op := in[0]; {
	case op == 0 && in[1] == 1: // packed-switch payload
		return uint32(le.Uint16(in[2:]))*2 + 4
	case op == 0 && in[1] == 2: // sparse-switch payload
		return uint32(le.Uint16(in[2:]))*4 + 2
	case op == 0 && in[1] == 3: // fill-array-data payload
		return (uint32(le.Uint16(in[2:]))*le.Uint32(in[4:])+1)/2 + 4
	case op == 0x18:
		return 5
	case between(0xfa, 0xfb):
		return 4
	case op == 0x73:
		return 1
	case op == 0x03, op == 0x06, op == 0x09, op == 0x14, op == 0x17, op == 0x1b, between(0x24, 0x26), between(0x2a, 0x2c),
		between(0x6e, 0x78), between(0xe9, 0xea), between(0xfc, 0xfd):
		return 3
	case op == 0x02, op == 0x05, op == 0x08, op == 0x13, op == 0x15, op == 0x16, op == 0x19, op == 0x1a, op == 0x1c, between(0x1f, 0x20),
		between(0x22, 0x23), op == 0x29, between(0x2d, 0x3d), between(0x44, 0x6d), between(0x90, 0xaf), between(0xd0, 0xf9), op >= 0xfe:
		return 2
	}
	return 1
}
