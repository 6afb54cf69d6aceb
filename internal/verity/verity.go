// Package verity computes dm-verity hash trees, as the kernel's Documentation/admin-guide/device-mapper/verity.rst
// lays them out: every block of data is hashed with the salt before it, the digests fill blocks that are hashed in
// turn, until one block is left. The digest of that block is the root.
//
// In the tree the level nearest the root comes first. A digest takes the next power of two of its size; a level
// ends on a block boundary, with zeros.
//
// # Not read
//
// The superblock of veritysetup, which Android never writes, tables of format version 0 (the salt behind the block),
// and forward error correction.
package verity

import (
	"errors"
	"hash"
	"io"
)

// MaxBlock is the largest block: the kernel refuses a block larger than a page, and 64 KiB is the largest page.
const MaxBlock = 64 << 10

// MaxTree bounds a tree that is computed, for it is held in memory: the tree of a partition of 128 GB. System partitions have 6 GB
// at most so far.
const MaxTree = 1 << 30

// ErrGeometry says that no tree has such blocks, or that the tree would be larger than [MaxTree].
var ErrGeometry = errors.New("verity: block size is no power of two that holds two digests, or the tree is too large")

// TreeSize returns how many bytes the tree over size bytes takes, 0 for a single block.
func TreeSize(size int64, block, digest int) int64 {
	total := int64(0)
	for size > int64(block) {
		size = levelSize(size, block, digest)
		total += size
	}
	return total
}

// Tree reads size bytes and returns their tree and its root digest. A last block cut short counts as ending in zeros.
// The tree is kept in memory: 1/127 of size with SHA-256 and blocks of 4096. The caller has checked size
// against the bytes it holds.
func Tree(r io.ReaderAt, size int64, block int, salt []byte, h hash.Hash) (tree, root []byte, err error) {
	slot := digestSlot(h.Size())
	if block < 2*slot || block > MaxBlock || block&(block-1) != 0 {
		return nil, nil, ErrGeometry
	}
	n := TreeSize(size, block, h.Size())
	if n > MaxTree {
		return nil, nil, ErrGeometry
	}
	tree = make([]byte, n)
	buf := make([]byte, max(block, 1<<20)) // a multiple of block: both are powers of two
	var sum []byte
	one := func(b []byte) {
		h.Reset()
		h.Write(salt)
		h.Write(b)
		sum = h.Sum(sum[:0])
	}

	// The lowest level stands last in the tree.
	level := levelSize(size, block, h.Size())
	if size <= int64(block) {
		level = 0
	}
	start := int64(len(tree)) - level
	at := start
	for off := int64(0); off < size; {
		n := min(int64(len(buf)), size-off)
		if _, err := io.ReadFull(io.NewSectionReader(r, off, n), buf[:n]); err != nil {
			return nil, nil, err
		}
		off += n
		for n%int64(block) != 0 {
			buf[n] = 0
			n++
		}
		for b := buf[:n]; len(b) > 0; b = b[block:] {
			one(b[:block])
			if level > 0 {
				copy(tree[at:], sum)
				at += int64(slot)
			}
		}
	}
	if size == 0 {
		one(nil)
	}
	for level > int64(block) {
		below := tree[start : start+level]
		level = levelSize(level, block, h.Size())
		start -= level
		at = start
		for ; len(below) > 0; below = below[block:] {
			one(below[:block])
			copy(tree[at:], sum)
			at += int64(slot)
		}
	}
	if level > 0 {
		one(tree[:block])
	}
	return tree, sum, nil
}

func levelSize(size int64, block, digest int) int64 {
	b := int64(block)
	bytes := (size + b - 1) / b * int64(digestSlot(digest))
	return (bytes + b - 1) / b * b
}

// digestSlot is the power of two a digest is padded to.
func digestSlot(digest int) int {
	slot := 1
	for slot < digest {
		slot *= 2
	}
	return slot
}
