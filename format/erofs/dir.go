package erofs

import (
	"bytes"
	"encoding/binary"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// maxDir is the largest directory that is read. It holds 200,000 names; the largest on a phone has some thousand.
const maxDir = 8 << 20

// An Entry is an entry of a directory with its inode, or with what is wrong with that.
type Entry = imgfs.Entry[*inode, Info]

// readDir reads a directory block by block (dir.c, erofs_readdir). It takes from a damaged one what it can.
func (f *FS) readDir(ino *inode) *imgfs.Dir {
	d := &imgfs.Dir{}
	if ino.size > maxDir {
		d.Fail(cursor.Errorf(ino.off+8, "a directory of %d bytes", ino.size))
		return d
	}
	c, err := f.content(ino)
	if err != nil {
		d.Fail(err)
		return d
	}
	buf := make([]byte, min(f.blockSize(), ino.size))
	for off := int64(0); off < ino.size; off += f.blockSize() {
		b := buf[:min(f.blockSize(), ino.size-off)]
		if err := c.readFull(b, off); err != nil {
			d.Fail(err)
		} else if msg := readBlock(d, b, ino.off); msg != "" {
			d.Fail(cursor.Errorf(ino.off, "directory at its byte %#x: %s", off, msg))
		}
	}
	return d
}

// readBlock adds the entries of a directory block. It returns what is wrong with it.
func readBlock(d *imgfs.Dir, b []byte, at int64) (msg string) {
	const size = 12
	le := binary.LittleEndian
	if len(b) < size {
		return "block too short"
	}
	names := int(le.Uint16(b[8:]))
	if names < size || names > len(b) {
		return "names do not lie in the block"
	}
	for i := 0; i+size <= names; i += size {
		e := b[i:]
		start, end := int(le.Uint16(e[8:])), len(b)
		last := i+2*size > names
		if !last {
			end = int(le.Uint16(e[size+8:]))
		}
		if start < names || end < start || end > len(b) {
			msg = "name outside the block"
			continue
		}
		name := b[start:end]
		if last {
			name, _, _ = bytes.Cut(name, []byte{0})
		}
		d.Add(name, le.Uint64(e), imgfs.Types(e[10]), at)
	}
	return msg
}
