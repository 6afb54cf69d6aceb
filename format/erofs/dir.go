package erofs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gifthorse/internal/cursor"
)

const (
	// maxDir is the largest directory that is read. It holds 200,000 names; the largest on a phone has some thousand.
	maxDir = 8 << 20

	// maxListed is how many directory entries are kept for lookups to come: a whole system partition of today, a few MB.
	maxListed = 1 << 16

	maxPath = 4096 // PATH_MAX of Linux, for paths and the targets of links
)

// A dir is a directory that was read. entries are sorted by name, without "." and "..".
type dir struct {
	entries []dirent
	err     error // the first thing that was wrong
}

type dirent struct {
	name string
	nid  uint64
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
	d := f.listed[ino.nid]
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
	if f.listed[ino.nid] == nil && len(d.entries) <= maxListed {
		f.listed[ino.nid] = d
		f.nlisted += len(d.entries)
	}
	return d
}

// readDir reads a directory block by block (dir.c, erofs_readdir). It takes from a damaged one what it can.
func (f *FS) readDir(ino *inode) *dir {
	d := &dir{}
	fail := func(err error) {
		if d.err == nil {
			d.err = err
		}
	}
	if ino.size > maxDir {
		d.err = cursor.Errorf(ino.off+8, "a directory of %d bytes", ino.size)
		return d
	}
	c, err := f.content(ino)
	if err != nil {
		d.err = err
		return d
	}
	buf := make([]byte, min(f.blockSize(), ino.size))
	for off := int64(0); off < ino.size; off += f.blockSize() {
		b := buf[:min(f.blockSize(), ino.size-off)]
		if err := c.readFull(b, off); err != nil {
			fail(err)
			continue
		}
		if msg := d.block(b); msg != "" {
			fail(cursor.Errorf(ino.off, "directory at its byte %#x: %s", off, msg))
		}
	}
	slices.SortStableFunc(d.entries, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	n := len(d.entries)
	d.entries = slices.CompactFunc(d.entries, func(a, b dirent) bool { return a.name == b.name })
	if len(d.entries) < n {
		fail(cursor.Errorf(ino.off, "directory that has a name twice"))
	}
	return d
}

// block adds the entries of a directory block. It returns what is wrong with it.
func (d *dir) block(b []byte) (msg string) {
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
		switch {
		case len(name) > 255 || len(name) == 0 || bytes.ContainsAny(name, "/\x00"):
			msg = "a name that is none"
			continue
		case string(name) == ".", string(name) == "..":
			continue
		}
		typ := direntType[0]
		if int(e[10]) < len(direntType) {
			typ = direntType[e[10]]
		}
		d.entries = append(d.entries, dirent{string(name), le.Uint64(e), typ})
	}
	return msg
}

// resolve follows a path. Errors are *fs.PathError.
func (f *FS) resolve(op, name string) (*inode, error) {
	fail := func(err error) (*inode, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	// Names on Linux are bytes; io/fs asks for UTF-8, the only rule of its that is let off here.
	if !fs.ValidPath(strings.ToValidUTF8(name, "x")) || len(name) > maxPath {
		return fail(fs.ErrInvalid)
	}
	var w window
	ino, err := f.inode(f.root, &w)
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
		if ino, err = f.inode(d.entries[i].nid, &w); err != nil {
			return fail(err)
		}
		if ino.mode.IsDir() {
			if err := f.claim(ino, link{parent.nid, elem}); err != nil {
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
	old, ok := f.owner[ino.nid]
	if !ok {
		f.owner[ino.nid] = l
	} else if old != l {
		return cursor.Errorf(ino.off, "directory %q of inode %d is also %q of inode %d", l.name, l.dir, old.name, old.dir)
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
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	list, err := f.entries(ino)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, err
}

var errNotDir = errors.New("not a directory")

// entries lists a directory with the inodes, because a lookup goes by the type in the inode and not by that in the directory.
func (f *FS) entries(ino *inode) ([]fs.DirEntry, error) {
	d := f.list(ino)
	list := make([]fs.DirEntry, len(d.entries))
	var w window
	for i, e := range d.entries {
		entry := &Entry{dirent: e, fs: f}
		entry.ino, entry.err = f.inode(e.nid, &w)
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
	fail := func(err error) (string, error) { return "", &fs.PathError{Op: "readlink", Path: name, Err: err} }
	if ino.mode.Type() != fs.ModeSymlink {
		return fail(fs.ErrInvalid)
	}
	if ino.size > maxPath {
		return fail(cursor.Errorf(ino.off+8, "a symbolic link of %d bytes", ino.size))
	}
	c, err := f.content(ino)
	if err != nil {
		return fail(err)
	}
	b := make([]byte, ino.size)
	if err := c.readFull(b, 0); err != nil {
		return fail(err)
	}
	return string(b), nil
}
