package ext4

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"gifthorse/internal/cursor"
)

// A data is the content of an inode. It implements io.ReaderAt.
type data struct {
	fs     *FS
	i      *inode
	inline []byte // the content, if the inode holds it
	last   atomic.Pointer[leaf]
}

// A leaf is the block of a file's map that was used last. Files are mostly read from their beginning to their end.
type leaf struct {
	first, end uint64 // the file's blocks that it knows of
	b          []byte
	at         int64 // in the image
}

// A run is a stretch of a file: its blocks from first to before end lie one after the other from block at of the image,
// or are a hole, where at is 0.
type run struct{ first, end, at uint64 }

func (f *FS) data(i *inode) (*data, error) {
	d := &data{fs: f, i: i}
	switch {
	case i.flags&flagEncrypted != 0:
		return nil, fmt.Errorf("inode %d: %w", i.num, ErrEncrypted)
	case i.flags&flagInline != 0:
		b, err := f.inline(i)
		d.inline = b
		return d, err
	case i.flags&flagExtents == 0:
		per := uint64(f.BlockSize / 4)
		if most := (12 + per + per*per + per*per*per) * uint64(f.BlockSize); uint64(i.size) > most {
			return nil, cursor.Errorf(i.at+4, "inode %d has %d bytes, its map has room for %d", i.num, i.size, most)
		}
	}
	return d, nil
}

func (d *data) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= d.i.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > d.i.size-off
	if short {
		p = p[:d.i.size-off]
	}
	done := 0
	if d.i.flags&flagInline != 0 {
		if off < int64(len(d.inline)) {
			done = copy(p, d.inline[off:])
		}
		clear(p[done:]) // as ext4_read_inline_page
		done = len(p)
	}
	for bs := d.fs.BlockSize; done < len(p); {
		r, err := d.find(uint64(off / bs))
		if err != nil {
			return done, err
		}
		in := off - int64(r.first)*bs
		n := int(min(int64(len(p)-done), int64(r.end-r.first)*bs-in))
		if r.at == 0 {
			clear(p[done : done+n])
		} else {
			if r.at < d.fs.firstData || r.at+(r.end-r.first) > d.fs.blocks {
				return done, cursor.Errorf(d.i.at+40, "inode %d has blocks %d to %d of %d", d.i.num, r.at, r.at+(r.end-r.first)-1, d.fs.blocks)
			}
			if err := d.fs.read(p[done:done+n], int64(r.at)*bs+in); err != nil {
				return done, err
			}
		}
		done += n
		off += int64(n)
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

// Slice gives what lies in one piece of an image in memory: see [cursor.Slice].
func (d *data) Slice(off, n int64) []byte {
	if off < 0 || n <= 0 || off > d.i.size || n > d.i.size-off || d.i.flags&flagInline != 0 {
		return nil
	}
	bs := d.fs.BlockSize
	first, last := uint64(off/bs), uint64((off+n-1)/bs)
	at := uint64(0) // of first, in the image
	for block := first; block <= last; {
		r, err := d.find(block)
		if err != nil || r.at == 0 || r.at < d.fs.firstData || r.at+(r.end-r.first) > d.fs.blocks {
			return nil
		}
		here := r.at + (block - r.first)
		if block == first {
			at = here
		} else if here != at+(block-first) {
			return nil
		}
		block = r.end
	}
	from := int64(at)*bs + off%bs
	if n > d.fs.size-from {
		return nil
	}
	return cursor.Slice(d.fs.r, from, n)
}

// find returns the run that a block of the file lies in. The block is below maxLogical.
func (d *data) find(block uint64) (run, error) {
	if d.i.flags&flagExtents != 0 {
		return d.extent(block)
	}
	return d.indirect(block)
}

// The parts of an extent tree are twelve bytes each: the header (magic, entries, room, depth, generation), in leaves extents
// (block, length, high and low half of the address) and above them indexes (block, low and high half of the address).
const (
	extentSize  = 12
	extentMagic = 0xf30a
	// maxDepth is EXT4_MAX_EXTENT_DEPTH: with it every block number has its place, even with blocks of 1 KiB.
	maxDepth = 5
	// maxExtent is the longest initialised extent. A longer one has that many blocks less, allocated but never written: zeros.
	maxExtent = 1 << 15
)

func (d *data) extent(block uint64) (run, error) {
	n := leaf{0, maxLogical, d.i.raw[40:100], d.i.at + 40}
	depth := -1
	if l := d.last.Load(); l != nil && l.first <= block && block < l.end {
		n, depth = *l, 0
	} else {
		for {
			here, err := checkNode(&n, depth)
			if err != nil {
				return run{}, err
			}
			if depth = here; depth == 0 {
				break
			}
			k := search(n.b, block)
			if k == 0 {
				return run{n.first, min(n.end, firstBlock(n.b, 1)), 0}, nil
			}
			e := n.b[k*extentSize:]
			at := n.at + int64(k*extentSize)
			n.first = max(n.first, uint64(le.Uint32(e)))
			if k < int(le.Uint16(n.b[2:])) {
				n.end = min(n.end, firstBlock(n.b, k+1))
			}
			child := uint64(le.Uint32(e[4:])) | uint64(le.Uint16(e[8:]))<<32
			if n.b, err = d.fs.block(child, at+4); err != nil {
				return run{}, err
			}
			n.at = int64(child) * d.fs.BlockSize
			depth--
		}
		if n.at != d.i.at+40 {
			l := n
			d.last.Store(&l)
		}
	}
	next := n.end // where the extent after the one found begins
	k := search(n.b, block)
	if k < int(le.Uint16(n.b[2:])) {
		next = min(next, firstBlock(n.b, k+1))
	}
	if k == 0 {
		return run{block, next, 0}, nil
	}
	e := n.b[k*extentSize:]
	first, length := uint64(le.Uint32(e)), uint64(le.Uint16(e[4:]))
	at := uint64(le.Uint32(e[8:])) | uint64(le.Uint16(e[6:]))<<32
	if length > maxExtent {
		length -= maxExtent
		at = 0
	} else if at == 0 {
		return run{}, cursor.Errorf(n.at+int64(k*extentSize), "inode %d has an extent in block 0", d.i.num)
	}
	if block >= first+length {
		return run{block, next, 0}, nil
	}
	return run{first, min(first+length, next), at}, nil
}

// firstBlock returns the block of the file that the k-th entry of a node begins with.
func firstBlock(node []byte, k int) uint64 { return uint64(le.Uint32(node[k*extentSize:])) }

// search returns the last entry of a checked node that begins at or before block, counted from 1, or 0.
func search(node []byte, block uint64) int {
	lo, hi := 1, int(le.Uint16(node[2:]))+1
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); firstBlock(node, m) <= block {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo - 1
}

// checkNode checks what Linux checks of a node (__ext4_ext_check) and returns its depth, which must be the one wanted unless that is
// negative. A tree ends because depth falls on every way down.
func checkNode(n *leaf, want int) (depth int, err error) {
	entries, room := int(le.Uint16(n.b[2:])), int(le.Uint16(n.b[4:]))
	depth = int(le.Uint16(n.b[6:]))
	switch {
	case le.Uint16(n.b) != extentMagic:
		return 0, cursor.Errorf(n.at, "no node of an extent tree")
	case entries > room || (room+1)*extentSize > len(n.b):
		return 0, cursor.Errorf(n.at, "extent tree node with %d of %d entries in %d bytes", entries, room, len(n.b))
	case depth > maxDepth || want >= 0 && depth != want:
		return 0, cursor.Errorf(n.at+6, "extent tree node of depth %d", depth)
	case depth > 0 && entries == 0:
		return 0, cursor.Errorf(n.at+2, "inner extent tree node without entries")
	}
	next := uint64(0)
	for k := 1; k <= entries; k++ {
		first := firstBlock(n.b, k)
		if first < next {
			return 0, cursor.Errorf(n.at+int64(k*extentSize), "extents overlap")
		}
		next = first + 1
		if depth == 0 {
			length := uint64(le.Uint16(n.b[k*extentSize+4:]))
			if length > maxExtent {
				length -= maxExtent
			}
			if length == 0 || first+length > maxLogical {
				return 0, cursor.Errorf(n.at+int64(k*extentSize), "extent of %d blocks from %d", length, first)
			}
			next = first + length
		}
	}
	return depth, nil
}

// indirect finds a block in the map of ext2 and ext3: twelve block numbers, then one each of a block of numbers, of a
// block of those, and of a block of those.
func (d *data) indirect(block uint64) (run, error) {
	var n leaf
	if l := d.last.Load(); l != nil && l.first <= block && block < l.end {
		n = *l
	} else if block < 12 {
		n = leaf{0, 12, d.i.raw[40:88], d.i.at + 40}
	} else {
		per := uint64(d.fs.BlockSize / 4)
		first, width := uint64(12), per // what the subtree begins with, and how many blocks it has
		slot := d.i.at + 88
		for block >= first+width {
			first += width
			width *= per
			slot += 4
		}
		// data has made sure that the file ends before the fourth subtree would be needed.
		at := uint64(le.Uint32(d.i.raw[slot-d.i.at:]))
		for {
			if at == 0 {
				return run{first, first + width, 0}, nil
			}
			b, err := d.fs.block(at, slot)
			if err != nil {
				return run{}, err
			}
			n = leaf{first, first + width, b, int64(at) * d.fs.BlockSize}
			if width == per {
				break
			}
			width /= per
			k := (block - first) / width
			first += k * width
			slot = n.at + int64(4*k)
			at = uint64(le.Uint32(b[4*k:]))
		}
		l := n
		d.last.Store(&l)
	}
	r := run{first: block, end: block + 1}
	k := 4 * (block - n.first)
	r.at = uint64(le.Uint32(n.b[k:]))
	for k += 4; k < uint64(len(n.b)); k += 4 {
		at := uint64(le.Uint32(n.b[k:]))
		if r.at == 0 && at != 0 || r.at != 0 && at != r.at+(r.end-r.first) {
			break
		}
		r.end++
	}
	return r, nil
}
