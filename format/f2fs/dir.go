package f2fs

import (
	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

const (
	// maxDir is the largest directory that is read, in bytes with its holes. It has room for more than three million names; of
	// those on a phone the largest has some ten thousand.
	maxDir = 64 << 20

	dentrySize = 11
	slotSize   = 8 // bytes of a name; longer names have several slots
)

// An Entry is an entry of a directory with its inode, or with what is wrong with that.
type Entry = imgfs.Entry[*inode, Info]

// readDir reads a directory block by block (dir.c, f2fs_readdir), or from the inode. It takes from a damaged one what it can.
func (f *FS) readDir(ino *inode) *imgfs.Dir {
	d := &imgfs.Dir{}
	c, err := f.content(ino)
	switch {
	case err != nil:
		d.Fail(err)
	case ino.inline&inlineDentry != 0:
		readBlock(d, f.inlineData(c.top, ino), ino.at+addrOffset)
	case ino.size > maxDir:
		d.Fail(cursor.Errorf(ino.at+16, "a directory of %d bytes", ino.size))
	default:
		b := make([]byte, f.block)
		seen := map[uint32]bool{} // a block of one directory twice is names without end in a small image
		for i := range (ino.size + f.block - 1) / f.block {
			a, err := c.address(i)
			if err != nil {
				d.Fail(err)
				continue
			}
			if a == 0 || a == newAddr { // a bucket without names
				continue
			}
			if !f.valid(a) || seen[a] {
				d.Fail(cursor.Errorf(ino.at, "directory %d in block %#x, which is none of its own", ino.num, a))
				continue
			}
			seen[a] = true
			if err := f.read(b, int64(a)*f.block); err != nil {
				d.Fail(err)
				continue
			}
			readBlock(d, b, int64(a)*f.block)
		}
	}
	return d
}

// readBlock adds the entries of a directory block at byte at of the image: a bitmap of the slots in use, the entries, the names
// (dir.c, f2fs_fill_dentries).
func readBlock(d *imgfs.Dir, b []byte, at int64) {
	slots := len(b) * 8 / ((dentrySize+slotSize)*8 + 1)
	entries := b[len(b)-slots*(dentrySize+slotSize):]
	names := entries[slots*dentrySize:]
	for i := 0; i < slots; {
		if b[i/8]>>(i%8)&1 == 0 {
			i++
			continue
		}
		e := entries[i*dentrySize:][:dentrySize]
		n := int(le.Uint16(e[8:]))
		if n == 0 { // a slot that the kernel steps over
			i++
			continue
		}
		if n > 255 || i*slotSize+n > len(names) {
			d.Fail(cursor.Errorf(at, "a name of %d bytes in a directory", n))
			return
		}
		name := names[i*slotSize:][:n]
		i += (n + slotSize - 1) / slotSize
		d.Add(name, uint64(le.Uint32(e[4:])), imgfs.Types(e[10]), at)
	}
}
