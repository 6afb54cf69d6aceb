package f2fs

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gifthorse/internal/cursor"
)

const (
	// maxDir is the largest directory that is read, in bytes with its holes. It has room for more than three million names; of
	// those on a phone the largest has some ten thousand.
	maxDir = 64 << 20

	// maxListed is how many directory entries are kept for lookups to come: a whole system partition of today, a few MB.
	maxListed = 1 << 16

	dentrySize = 11
	slotSize   = 8 // bytes of a name; longer names have several slots
)

// A dir is a directory that was read. entries are sorted by name, without "." and "..".
type dir struct {
	entries []dirent
	err     error // the first thing that was wrong
}

type dirent struct {
	name string
	num  uint32
	typ  fs.FileMode // as the directory has it; the inode has the last word
}

// direntType has the types by file_type.
var direntType = [...]fs.FileMode{
	0: fs.ModeIrregular,
	1: 0,
	2: fs.ModeDir,
	3: fs.ModeDevice | fs.ModeCharDevice,
	4: fs.ModeDevice,
	5: fs.ModeNamedPipe,
	6: fs.ModeSocket,
	7: fs.ModeSymlink,
}

// list reads a directory, or remembers it.
func (f *FS) list(ino *inode) *dir {
	f.mu.Lock()
	d := f.listed[ino.num]
	f.mu.Unlock()
	if d != nil {
		return d
	}
	d = f.readDir(ino)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nlisted+len(d.entries) > maxListed {
		clear(f.listed)
		f.nlisted = 0
	}
	if f.listed[ino.num] == nil && len(d.entries) <= maxListed {
		f.listed[ino.num] = d
		f.nlisted += len(d.entries)
	}
	return d
}

// readDir reads a directory block by block (dir.c, f2fs_readdir), or from the inode. It takes from a damaged one what it can.
func (f *FS) readDir(ino *inode) *dir {
	d := &dir{}
	fail := func(err error) {
		if d.err == nil {
			d.err = err
		}
	}
	c, err := f.content(ino)
	switch {
	case err != nil:
		fail(err)
	case ino.inline&inlineDentry != 0:
		d.block(f.inlineData(c.top, ino), ino.at+addrOffset, fail)
	case ino.size > maxDir:
		fail(cursor.Errorf(ino.at+16, "a directory of %d bytes", ino.size))
	default:
		b := make([]byte, f.block)
		seen := map[uint32]bool{} // a block of one directory twice is names without end in a small image
		for i := range (ino.size + f.block - 1) / f.block {
			a, err := c.address(i)
			if err != nil {
				fail(err)
				continue
			}
			if a == 0 || a == newAddr { // a bucket without names
				continue
			}
			if !f.valid(a) || seen[a] {
				fail(cursor.Errorf(ino.at, "directory %d in block %#x, which is none of its own", ino.num, a))
				continue
			}
			seen[a] = true
			if err := f.read(b, int64(a)*f.block); err != nil {
				fail(err)
				continue
			}
			d.block(b, int64(a)*f.block, fail)
		}
	}
	slices.SortStableFunc(d.entries, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	n := len(d.entries)
	d.entries = slices.CompactFunc(d.entries, func(a, b dirent) bool { return a.name == b.name })
	if len(d.entries) < n {
		fail(cursor.Errorf(ino.at, "directory %d that has a name twice", ino.num))
	}
	return d
}

// block adds the entries of a directory block at byte at of the image: a bitmap of the slots in use, the entries, the names
// (dir.c, f2fs_fill_dentries).
func (d *dir) block(b []byte, at int64, fail func(error)) {
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
			fail(cursor.Errorf(at, "a name of %d bytes in a directory", n))
			return
		}
		name := names[i*slotSize:][:n]
		i += (n + slotSize - 1) / slotSize
		switch {
		case string(name) == ".", string(name) == "..":
			continue
		case bytes.ContainsAny(name, "/\x00"):
			fail(cursor.Errorf(at, "the name %q", name))
			continue
		}
		typ := direntType[0]
		if int(e[10]) < len(direntType) {
			typ = direntType[e[10]]
		}
		d.entries = append(d.entries, dirent{string(name), le.Uint32(e[4:]), typ})
	}
}

// resolve follows a path. Errors are *fs.PathError.
func (f *FS) resolve(op, name string) (*inode, error) {
	fail := func(err error) (*inode, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	// Names on Linux are bytes; io/fs asks for UTF-8, the only rule of its that is let off here.
	if !fs.ValidPath(strings.ToValidUTF8(name, "x")) || len(name) > maxPath {
		return fail(fs.ErrInvalid)
	}
	ino, err := f.inode(f.root)
	if err != nil {
		return fail(err)
	}
	if name == "." {
		return ino, nil
	}
	for elem := range strings.SplitSeq(name, "/") {
		if !ino.mode.IsDir() {
			return fail(fs.ErrNotExist)
		}
		d := f.list(ino)
		i, ok := slices.BinarySearchFunc(d.entries, elem, func(e dirent, name string) int { return cmp.Compare(e.name, name) })
		if !ok {
			if d.err != nil {
				return fail(d.err) // whether the name exists cannot be told
			}
			return fail(fs.ErrNotExist)
		}
		parent := ino
		if ino, err = f.inode(d.entries[i].num); err != nil {
			return fail(err)
		}
		if ino.mode.IsDir() {
			if err := f.claim(ino, link{parent.num, elem}); err != nil {
				return fail(err)
			}
		}
	}
	return ino, nil
}

// claim says that a directory is reached by l, and fails if it was reached in another way before.
func (f *FS) claim(ino *inode, l link) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, ok := f.owner[ino.num]
	if !ok {
		f.owner[ino.num] = l
	} else if old != l {
		return cursor.Errorf(ino.at, "directory %q of inode %d is also %q of inode %d", l.name, l.dir, old.name, old.dir)
	}
	return nil
}

// ReadDir returns the entries of the named directory, each a *[Entry], sorted by name. Entries come with an error if some are damaged.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	ino, err := f.resolve("readdir", name)
	if err != nil {
		return nil, err
	}
	if !ino.mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	list, err := f.entries(ino)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, err
}

// entries lists a directory with the inodes, because a lookup goes by the type in the inode and not by that in the directory.
func (f *FS) entries(ino *inode) ([]fs.DirEntry, error) {
	d := f.list(ino)
	list := make([]fs.DirEntry, len(d.entries))
	for i, e := range d.entries {
		entry := &Entry{dirent: e, fs: f}
		entry.ino, entry.err = f.inode(e.num)
		list[i] = entry
	}
	return list, d.err
}

// An Entry is an entry of a directory with its inode, or with what is wrong with that.
type Entry struct {
	dirent
	fs  *FS
	ino *inode
	err error
}

// Name returns the name in the directory.
func (e *Entry) Name() string { return e.name }

// IsDir reports whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.Type().IsDir() }

// Type returns the type that the inode has, or if it cannot be read the one that the directory says it has.
func (e *Entry) Type() fs.FileMode {
	if e.err != nil {
		return e.typ
	}
	return e.ino.mode.Type()
}

// Info describes the entry; a symbolic link is described itself.
func (e *Entry) Info() (fs.FileInfo, error) {
	if e.err != nil {
		return nil, &fs.PathError{Op: "stat", Path: e.name, Err: e.err}
	}
	return fileInfo{e.ino, e.name}, nil
}

// Inode is [FS.Info] without looking for the file again.
func (e *Entry) Inode() (Info, error) {
	if e.err != nil {
		return Info{}, &fs.PathError{Op: "info", Path: e.name, Err: e.err}
	}
	return e.fs.info(e.ino, e.name)
}

// Open is [FS.Open] without looking for the file again. It does not open directories.
func (e *Entry) Open() (fs.File, error) {
	if e.err != nil || e.ino.mode.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: e.name, Err: cmp.Or(e.err, fs.ErrInvalid)}
	}
	return e.fs.openFile(fileInfo{e.ino, e.name}, e.name)
}

// Stat describes the named file; a symbolic link is described itself.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	ino, err := f.resolve("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{ino, path.Base(name)}, nil
}

// Lstat is [FS.Stat]. With it an FS is an io/fs.ReadLinkFS.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.Stat(name) }

// ReadLink returns the target of the named symbolic link, as it is stored.
func (f *FS) ReadLink(name string) (string, error) {
	ino, err := f.resolve("readlink", name)
	if err != nil {
		return "", err
	}
	if ino.mode.Type() != fs.ModeSymlink {
		err = fs.ErrInvalid
	} else {
		var target string
		if target, err = f.target(ino); err == nil {
			return target, nil
		}
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
}
