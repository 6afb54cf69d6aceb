package squashfs

import (
	"io/fs"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// maxDir is the largest listing of a directory that is read. It holds 200,000 names; the largest directory on a phone has some thousand.
const maxDir = 8 << 20

// An Entry is an entry of a directory with its inode, or with what is wrong with that.
type Entry = imgfs.Entry[*inode, Info]

// readDir reads a directory (dir.c, squashfs_readdir): headers, each followed by entries whose inodes lie in one metadata
// block. It takes from a damaged one what comes before the damage.
func (f *FS) readDir(ino *inode) *imgfs.Dir {
	d := &imgfs.Dir{}
	if ino.size > maxDir {
		d.Fail(cursor.Errorf(ino.at, "a directory of %d bytes", ino.size))
		return d
	}
	p := position{f.dirs + ino.start, int(ino.off)}
	for left := ino.size - 3; left > 0; {
		at := p.block
		head, err := f.take(&p, 12)
		if err != nil {
			d.Fail(err)
			break
		}
		left -= 12
		count, block := le.Uint32(head), uint64(le.Uint32(head[4:]))
		if count >= 256 { // SQUASHFS_DIR_COUNT; one less is stored
			d.Fail(cursor.Errorf(at, "directory header for %d entries", uint64(count)+1))
			break
		}
		for range count + 1 {
			b, err := f.take(&p, 8)
			if err != nil {
				d.Fail(err)
				left = 0
				break
			}
			off, typ := le.Uint16(b), le.Uint16(b[4:])
			n := int(le.Uint16(b[6:])) + 1
			if n > 256 { // SQUASHFS_NAME_LEN
				d.Fail(cursor.Errorf(at, "a name of %d bytes", n))
				left = 0
				break
			}
			name, err := f.take(&p, n)
			if err != nil {
				d.Fail(err)
				left = 0
				break
			}
			left -= 8 + int64(n)
			mode := fs.ModeIrregular
			if int(typ) < len(fileTypes) {
				mode = fileTypes[typ]
			}
			d.Add(name, block<<16|uint64(off), mode, at)
		}
	}
	return d
}
