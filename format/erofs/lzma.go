package erofs

import "encoding/binary"

// An lzma decodes MicroLZMA: an LZMA stream without header whose first byte, always zero, is replaced by the inverted properties
// byte (xz/src/liblzma/common/microlzma_decoder.c; lzma-specification.txt of the LZMA SDK for the rest). There is no end marker.
type lzma struct {
	src  []byte
	pos  int
	rng  uint32
	code uint32

	match, rep0Long       [12 << 4]uint16
	rep, rep0, rep1, rep2 [12]uint16
	slot                  [4 << 6]uint16
	dist                  [128]uint16
	align                 [16]uint16
	lens, repLens         lzmaLen
	literal               [0x300 << 4]uint16 // EROFS allows lc + lp of 4 at most
}

// An lzmaLen has the probabilities of lengths.
type lzmaLen struct {
	choice   [2]uint16
	low, mid [16 << 3]uint16
	high     [256]uint16
}

const lzmaHalf = 1 << 10 // the probability of one half

func fill(ps ...[]uint16) {
	for _, p := range ps {
		for i := range p {
			p[i] = lzmaHalf
		}
	}
}

func (l *lzmaLen) reset() { fill(l.choice[:], l.low[:], l.mid[:], l.high[:]) }

// bit decodes one bit. Past the end of the input it goes on with zeros; decode sees that by pos.
func (l *lzma) bit(p *uint16) uint32 {
	bound := l.rng >> 11 * uint32(*p)
	var b uint32
	if l.code < bound {
		l.rng = bound
		*p += (1<<11 - *p) >> 5
	} else {
		l.rng -= bound
		l.code -= bound
		*p -= *p >> 5
		b = 1
	}
	if l.rng < 1<<24 {
		l.normalize()
	}
	return b
}

func (l *lzma) normalize() {
	l.rng <<= 8
	l.code <<= 8
	if l.pos < len(l.src) {
		l.code |= uint32(l.src[l.pos])
	}
	l.pos++
}

func (l *lzma) direct(n int) (v uint32) {
	for range n {
		l.rng >>= 1
		v <<= 1
		if l.code >= l.rng {
			l.code -= l.rng
			v |= 1
		}
		if l.rng < 1<<24 {
			l.normalize()
		}
	}
	return v
}

func (l *lzma) tree(p []uint16, n uint) uint32 {
	m := uint32(1)
	for range n {
		m = m<<1 | l.bit(&p[m])
	}
	return m - 1<<n
}

func (l *lzma) reverse(p []uint16, n uint) (v uint32) {
	m := uint32(1)
	for i := range n {
		b := l.bit(&p[m])
		m = m<<1 | b
		v |= b << i
	}
	return v
}

func (l *lzma) length(n *lzmaLen, posState uint32) int {
	if l.bit(&n.choice[0]) == 0 {
		return 2 + int(l.tree(n.low[posState<<3:posState<<3+8], 3))
	}
	if l.bit(&n.choice[1]) == 0 {
		return 10 + int(l.tree(n.mid[posState<<3:posState<<3+8], 3))
	}
	return 18 + int(l.tree(n.high[:], 8))
}

// decode decodes until dst is full. It returns how many bytes it wrote and what was wrong.
func (l *lzma) decode(dst, src []byte) (d int, msg string) {
	if len(src) < 5 {
		return 0, "no LZMA header"
	}
	props := ^src[0]
	if props >= 9*5*5 {
		return 0, "bad LZMA properties"
	}
	lc, lp, pb := uint(props%9), uint(props/9%5), uint(props/45)
	if lc+lp > 4 {
		return 0, "bad LZMA properties"
	}
	l.src, l.pos, l.rng, l.code = src, 5, 0xffffffff, binary.BigEndian.Uint32(src[1:])
	fill(l.match[:], l.rep0Long[:], l.rep[:], l.rep0[:], l.rep1[:], l.rep2[:], l.slot[:], l.dist[:], l.align[:], l.literal[:0x300<<(lc+lp)])
	l.lens.reset()
	l.repLens.reset()

	var rep [4]uint32
	state := uint32(0)
	for d < len(dst) {
		if l.pos > len(src) {
			return d, "LZMA data cut off"
		}
		posState := uint32(d) & (1<<pb - 1)
		if l.bit(&l.match[state<<4|posState]) == 0 {
			prev := uint32(0)
			if d > 0 {
				prev = uint32(dst[d-1])
			}
			ctx := uint32(d)&(1<<lp-1)<<lc | prev>>(8-lc)
			p := l.literal[0x300*ctx : 0x300*ctx+0x300]
			m := uint32(1)
			if state >= 7 {
				if int64(rep[0]) >= int64(d) {
					return d, "match before the beginning"
				}
				for b := uint32(dst[d-1-int(rep[0])]); m < 0x100; {
					mb := b >> 7 & 1
					b <<= 1
					bit := l.bit(&p[(1+mb)<<8|m])
					m = m<<1 | bit
					if mb != bit {
						break
					}
				}
			}
			for m < 0x100 {
				m = m<<1 | l.bit(&p[m])
			}
			dst[d] = byte(m)
			d++
			switch {
			case state < 4:
				state = 0
			case state < 10:
				state -= 3
			default:
				state -= 6
			}
			continue
		}
		var n int
		after := func(literal, other uint32) uint32 {
			if state < 7 {
				return literal
			}
			return other
		}
		if l.bit(&l.rep[state]) == 0 {
			rep[3], rep[2], rep[1] = rep[2], rep[1], rep[0]
			n = l.length(&l.lens, posState)
			slot := l.tree(l.slot[min(n-2, 3)<<6:][:64], 6)
			rep[0] = slot
			if slot >= 4 {
				bits := uint(slot>>1 - 1)
				rep[0] = (2 | slot&1) << bits
				if slot < 14 {
					rep[0] += l.reverse(l.dist[rep[0]-slot:], bits)
				} else {
					rep[0] += l.direct(int(bits-4)) << 4
					rep[0] += l.reverse(l.align[:], 4)
				}
			}
			state = after(7, 10)
		} else {
			if l.bit(&l.rep0[state]) == 0 {
				if l.bit(&l.rep0Long[state<<4|posState]) == 0 {
					n = 1
				}
			} else {
				v := rep[1]
				if l.bit(&l.rep1[state]) != 0 {
					v = rep[2]
					if l.bit(&l.rep2[state]) != 0 {
						v = rep[3]
						rep[3] = rep[2]
					}
					rep[2] = rep[1]
				}
				rep[1], rep[0] = rep[0], v
			}
			if n == 1 {
				state = after(9, 11)
			} else {
				n = l.length(&l.repLens, posState)
				state = after(8, 11)
			}
		}
		if int64(rep[0]) >= int64(d) {
			return d, "match before the beginning"
		}
		end := min(d+n, len(dst))
		repeat(dst, d, int(rep[0])+1, end)
		d = end
	}
	if l.pos > len(src) {
		return d, "LZMA data cut off"
	}
	return d, ""
}

// repeat fills dst[d:end] with what lies dist before it.
func repeat(dst []byte, d, dist, end int) {
	for start := d - dist; d < end; {
		d += copy(dst[d:end], dst[start:d])
	}
}
