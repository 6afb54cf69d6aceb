package erofs

import (
	"encoding/binary"

	"gifthorse/internal/cursor"
)

// Types of a logical cluster.
const (
	lcPlain   = iota // an extent that is not compressed begins here
	lcHead1          // one compressed by the first algorithm of the inode
	lcNonhead        // belongs to an extent that began before
	lcHead2          // one compressed by the second algorithm
)

// Bits of h_advise.
const (
	adviseCompact2B  = 0x01
	adviseBig1       = 0x02
	adviseBig2       = 0x04
	adviseInline     = 0x08
	adviseInterlaced = 0x10
	adviseFragment   = 0x20
)

const (
	blocksFlag = 1 << 11 // in a distance to the head: it is the extent's number of blocks instead

	// The kernel's Z_EROFS_PCLUSTER_MAX_SIZE and _MAX_DSIZE: no extent is longer, encoded and decoded.
	maxEncoded = 1 << 20
	maxDecoded = 12 << 20
)

// A zmap says where the extents of a compressed inode are.
type zmap struct {
	compact   bool
	bits      uint // of a logical cluster
	advise    uint16
	alg       [2]uint8
	index     int64 // offset of the first index
	total     int64 // logical clusters
	initial4B int64 // how many come in packs of two before the packs of 16 begin
	packed2B  int64 // how many come in packs of 16

	whole    bool  // the file is one fragment
	tail     int64 // the logical cluster with the head of the last extent, if that is inline or a fragment; else -1
	tailOff  int64 // of the last extent: in the image if inline, in the packed inode if a fragment
	tailSize int64 // encoded, if inline
}

// A cluster is the index of a logical cluster.
type cluster struct {
	typ    uint8
	ofs    int64  // where in it its extent begins, of a head
	dist   int64  // to the head or to a logical cluster nearer to it, of a nonhead
	blocks int64  // of the extent, if a nonhead says it
	block  uint32 // where the extent lies, of a head, if asked for
	next   int64  // offset of what follows the index, or its pack
}

// newZmap reads the map header of a compressed inode (zmap.c, z_erofs_fill_inode_lazy).
func (c *content) newZmap() (*zmap, error) {
	f, ino := c.fs, c.ino
	le := binary.LittleEndian
	pos := roundUp(ino.end, 8)
	h, err := c.win.at(f, pos, 8)
	if err != nil {
		return nil, err
	}
	z := &zmap{compact: ino.layout == compressedCompact, tail: -1}
	if h[7]&0x80 != 0 {
		z.advise, z.whole, z.tail = adviseFragment, true, 0
		z.tailOff = int64(le.Uint64(h) &^ (1 << 63))
		return z, nil
	}
	z.advise = le.Uint16(h[4:])
	z.alg = [2]uint8{h[6] & 15, h[6] >> 4}
	z.bits = f.blockBits + uint(h[7]&15)
	if z.bits > 16 || z.compact && z.bits > 14 {
		return nil, unsupported("logical clusters of 2^%d bytes, inode at byte %#x", z.bits, ino.off)
	}
	z.total = roundUp(ino.size, 1<<z.bits) >> z.bits
	z.index = pos + 8
	if !z.compact {
		z.index += 8
	} else if z.advise&adviseCompact2B != 0 {
		z.initial4B = (32 - z.index%32) / 4 % 8
		if z.initial4B < z.total {
			z.packed2B = (z.total - z.initial4B) &^ 15
			if z.packed2B > 0 && z.bits > 12 {
				return nil, unsupported("two-byte indexes for logical clusters of 2^%d bytes, inode at byte %#x", z.bits, ino.off)
			}
		}
	}
	if z.advise&(adviseInline|adviseFragment) == 0 {
		return z, nil
	}
	fragment := int64(le.Uint32(h))
	z.tailSize = int64(le.Uint16(h[2:]))
	c.z = z
	last := ino.size - 1
	head, hd, end, err := c.head(last)
	if err != nil {
		return nil, err
	}
	z.tail = head
	if z.advise&adviseInline != 0 {
		z.tailOff = end
		if z.tailSize == 0 || z.tailOff&(f.blockSize()-1)+z.tailSize > f.blockSize() {
			return nil, cursor.Errorf(pos, "inline extent of %d bytes at %#x", z.tailSize, z.tailOff)
		}
		return z, nil
	}
	z.tailOff = fragment
	if !z.compact {
		z.tailOff |= int64(hd.block) << 32
	}
	z.whole = head == 0
	return z, nil
}

// cluster reads the index of logical cluster n. The block of a head is only worked out if block is set.
func (c *content) cluster(n int64, block bool) (cluster, error) {
	z := c.z
	if n < 0 || n >= z.total {
		return cluster{}, cursor.Errorf(z.index, "logical cluster %d of %d", n, z.total)
	}
	if !z.compact {
		return c.fullCluster(n)
	}
	pos, shift := z.index, uint(2)
	switch {
	case n < z.initial4B:
	case n-z.initial4B < z.packed2B:
		n -= z.initial4B
		pos += 4 * z.initial4B
		shift = 1
	default:
		n -= z.initial4B + z.packed2B
		pos += 4*z.initial4B + 2*z.packed2B
	}
	pos += n << shift
	// Two indexes of 16 bits or 16 of 14 bits make a pack with a block address at its end.
	count, width := 2, 16
	if shift == 1 {
		count, width = 16, 14
	}
	size := int64(count) << shift
	start := pos &^ (size - 1)
	b, err := c.win.at(c.fs, start, int(size))
	if err != nil {
		return cluster{}, err
	}
	// The number has as many bits as an offset in the cluster or a distance with its flag needs.
	low := max(z.bits, 12)
	at := func(i int) (uint8, int) {
		bit := i * width
		// The pack is longer than its indexes by four bytes, so there are always four to load.
		v := binary.LittleEndian.Uint32(b[bit/8:]) >> (bit & 7)
		return uint8(v >> low & 3), int(v & (1<<low - 1))
	}
	i := int(pos-start) >> shift
	typ, lo := at(i)
	cl := cluster{typ: typ, next: start + size}
	if typ == lcNonhead {
		switch {
		case lo&blocksFlag != 0:
			cl.blocks, cl.dist = int64(lo&^blocksFlag), 1
		case i+1 < count:
			cl.dist = int64(lo)
		default:
			// The last in a pack has the distance to the next head. That to its own is one more than its neighbour's.
			cl.dist = 1
			if t, lo := at(i - 1); t == lcNonhead {
				cl.dist += int64(lo)
				if lo&blocksFlag != 0 {
					cl.dist = 2
				}
			}
		}
		return cl, nil
	}
	cl.ofs = int64(lo)
	if cl.ofs >= 1<<z.bits {
		return cluster{}, cursor.Errorf(pos, "an extent that begins at %#x of a logical cluster", cl.ofs)
	}
	if !block {
		return cl, nil
	}
	// The address is that of the block before the pack's first extent; the extents before this one are counted.
	blocks := 0
	if z.advise&adviseBig1 == 0 {
		blocks = 1
		for i > 0 {
			i--
			if t, lo := at(i); t == lcNonhead {
				i -= lo
			}
			if i >= 0 {
				blocks++
			}
		}
	} else {
		for i > 0 {
			i--
			t, lo := at(i)
			switch {
			case t != lcNonhead:
				blocks++
			case lo&blocksFlag != 0:
				i--
				blocks += lo &^ blocksFlag
			case lo <= 1:
				return cluster{}, cursor.Errorf(start, "an extent without its number of blocks")
			default:
				i -= lo - 2
			}
		}
	}
	cl.block = binary.LittleEndian.Uint32(b[size-4:]) + uint32(blocks)
	return cl, nil
}

// fullCluster reads an index of the legacy layout, which has eight bytes.
func (c *content) fullCluster(n int64) (cluster, error) {
	pos := c.z.index + 8*n
	b, err := c.win.at(c.fs, pos, 8)
	if err != nil {
		return cluster{}, err
	}
	le := binary.LittleEndian
	advise := le.Uint16(b)
	cl := cluster{typ: uint8(advise & 3), next: pos + 8}
	if cl.typ == lcNonhead {
		cl.dist = int64(le.Uint16(b[4:]))
		if cl.dist&blocksFlag != 0 {
			cl.blocks, cl.dist = cl.dist&^blocksFlag, 1
		}
		return cl, nil
	}
	cl.ofs = int64(le.Uint16(b[2:]))
	cl.block = le.Uint32(b[4:])
	if cl.ofs >= 1<<c.z.bits {
		return cluster{}, cursor.Errorf(pos, "an extent that begins at %#x of a logical cluster", cl.ofs)
	}
	return cl, nil
}

// head finds the extent that holds off: the logical cluster in which it begins, that one's index, and the offset of what
// follows the index (or its pack) of the logical cluster of off.
func (c *content) head(off int64) (n int64, cl cluster, next int64, err error) {
	z := c.z
	n = off >> z.bits
	if cl, err = c.cluster(n, true); err != nil {
		return
	}
	next = cl.next
	if cl.typ != lcNonhead {
		if off&(1<<z.bits-1) >= cl.ofs {
			return
		}
		cl.dist = 1
	}
	first := n
	for {
		if cl.dist == 0 || cl.dist > n || first-n > maxDecoded>>z.bits {
			err = cursor.Errorf(next, "logical cluster %d: no head %d before it", n, cl.dist)
			return
		}
		n -= cl.dist
		if cl, err = c.cluster(n, true); err != nil || cl.typ != lcNonhead {
			return
		}
	}
}

// An extent is a piece of a compressed file that is decoded at once.
type extent struct {
	start, size  int64 // decoded
	off, encSize int64 // in the image
	alg          uint8
	fragment     bool // it lies at off of the packed inode

	data []byte // decoded
}

// Algorithms. The first four are those of h_algorithmtype.
const (
	algLZ4 = iota
	algLZMA
	algDeflate
	algZstd
	algShifted    // not compressed
	algInterlaced // not compressed, each byte at the same place in its block as in the file
)

// extentAt maps off (zmap.c, z_erofs_do_map_blocks).
func (c *content) extentAt(off int64) (e extent, err error) {
	z, ino := c.z, c.ino
	if z.whole {
		return extent{size: ino.size, off: z.tailOff, fragment: true}, nil
	}
	n, cl, _, err := c.head(off)
	if err != nil {
		return e, err
	}
	e.start = n<<z.bits + cl.ofs
	following, haveNext := cluster{}, n+1 < z.total
	if haveNext {
		if following, err = c.cluster(n+1, false); err != nil {
			return e, err
		}
	}

	// The extent ends where the next begins, or where an index denies to belong to it.
	end := ino.size
	for i, next := n+1, following; i < z.total; i++ {
		if i > n+1 {
			if next, err = c.cluster(i, false); err != nil {
				return e, err
			}
		}
		if next.typ != lcNonhead {
			end = min(end, i<<z.bits+next.ofs)
			break
		}
		if next.dist == 0 || i-next.dist < n {
			end = i << z.bits
			break
		}
		if i<<z.bits-e.start > maxDecoded {
			return e, cursor.Errorf(z.index, "logical cluster %d begins an extent longer than %d bytes", n, maxDecoded)
		}
	}
	e.size = end - e.start
	if off >= end {
		return e, cursor.Errorf(z.index, "logical cluster %d: indexes contradict each other", off>>z.bits)
	}

	switch {
	case n == z.tail && z.advise&adviseInline != 0:
		e.off, e.encSize = z.tailOff, z.tailSize
	case n == z.tail:
		e.off, e.fragment = z.tailOff, true
		return e, nil
	default:
		e.off = int64(cl.block) << c.fs.blockBits
		big := z.advise&adviseBig1 != 0
		if cl.typ == lcHead2 {
			big = z.advise&adviseBig2 != 0
		}
		e.encSize = 1 << z.bits
		if big && haveNext && following.typ == lcNonhead {
			if following.blocks > 0 {
				e.encSize = following.blocks << c.fs.blockBits
			} else if cl.typ != lcPlain {
				return e, cursor.Errorf(z.index, "logical cluster %d: an extent without its number of blocks", n)
			}
		}
	}
	if e.encSize > maxEncoded {
		return e, cursor.Errorf(e.off, "extent of %d encoded bytes", e.encSize)
	}
	switch cl.typ {
	case lcHead1:
		e.alg = z.alg[0]
	case lcHead2:
		e.alg = z.alg[1]
	default:
		e.alg = algShifted
		if z.advise&adviseInterlaced != 0 {
			e.alg = algInterlaced
		}
		if e.size > e.encSize {
			return e, cursor.Errorf(e.off, "%d bytes in a plain extent of %d", e.size, e.encSize)
		}
		return e, nil
	}
	if e.alg > algZstd {
		return e, unsupported("compression algorithm %d, inode at byte %#x", e.alg, ino.off)
	}
	return e, nil
}

// readExtent reads within one extent of a compressed file.
func (c *content) readExtent(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.cache {
		if e := &c.cache[i]; e.data != nil && off >= e.start && off < e.start+e.size {
			if i > 0 {
				c.cache[0], c.cache[1] = c.cache[1], c.cache[0]
			}
			return copy(p, c.cache[0].data[off-c.cache[0].start:]), nil
		}
	}
	e, err := c.extentAt(off)
	if err != nil {
		return 0, err
	}
	in := off - e.start
	rest := p[:min(int64(len(p)), e.size-in)]
	switch {
	case e.fragment:
		packed, err := c.fs.packed()
		if err != nil {
			return 0, err
		}
		if err := packed.readFull(rest, e.off+in); err != nil {
			return 0, err
		}
		return len(rest), nil
	case e.alg == algShifted:
		return readAll(c.fs, rest, e.off+in)
	case e.alg == algInterlaced:
		return c.readInterlaced(rest, e, in)
	case in == 0 && int64(len(rest)) == e.size:
		if err := c.decode(rest, e); err != nil {
			return 0, err
		}
		return len(rest), nil
	}
	c.cache[0], c.cache[1] = c.cache[1], c.cache[0]
	data := c.cache[0].data
	c.cache[0].data = nil
	if int64(cap(data)) < e.size {
		data = make([]byte, e.size)
	}
	data = data[:e.size]
	if err := c.decode(data, e); err != nil {
		return 0, err
	}
	e.data = data
	c.cache[0] = e
	return copy(p, data[in:]), nil
}

// readInterlaced reads a plain extent that was turned: its beginning, up to the first block boundary of the file, lies at the end
// (decompressor.c, z_erofs_transform_plain).
func (c *content) readInterlaced(p []byte, e extent, in int64) (int, error) {
	bs := c.fs.blockSize()
	first := bs - e.start&(bs-1)
	if e.encSize < bs && e.size <= first {
		// An inline extent is shorter than a block and lies there as it is.
		return readAll(c.fs, p, e.off+in)
	}
	if in >= first {
		return readAll(c.fs, p, e.off+in-first)
	}
	if e.encSize < first {
		return 0, cursor.Errorf(e.off, "interlaced extent of %d bytes that begins %d before a block", e.encSize, first)
	}
	return readAll(c.fs, p[:min(int64(len(p)), first-in)], e.off+e.encSize-first+in)
}
