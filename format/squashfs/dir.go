package squashfs

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
	// maxDir is the largest listing of a directory that is read. It holds 200,000 names; the largest directory on a phone has some thousand.
	maxDir = 8 << 20

	// maxListed is how many directory entries are kept for lookups to come: a whole system partition of today, a few MB.
	maxListed = 1 << 16
)

// A dir is a directory that was read. entries are sorted by name.
type dir struct {
	entries []dirent
	err     error // the first thing that was wrong
}

type dirent struct {
	name string
	ref  uint64
	typ  fs.FileMode // as the directory has it; the inode has the last word
}

// list reads a directory, or remembers it.
func (f *FS) list(ino *inode) *dir {
	f.mu.Lock()
	d := f.listed[ino.ref]
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
	if f.listed[ino.ref] == nil && len(d.entries) <= maxListed {
		f.listed[ino.ref] = d
		f.nlisted += len(d.entries)
	}
	return d
}

// readDir reads a directory (dir.c, squashfs_readdir): headers, each followed by entries whose inodes lie in one metadata
// block. It takes from a damaged one what comes before the damage.
func (f *FS) readDir(ino *inode) *dir {
	d := &dir{}
	fail := func(err error) {
		if d.err == nil {
			d.err = err
		}
	}
	if ino.size > maxDir {
		d.err = cursor.Errorf(ino.at, "a directory of %d bytes", ino.size)
		return d
	}
	p := position{f.dirs + ino.start, int(ino.off)}
	for left := ino.size - 3; left > 0; {
		at := p.block
		head, err := f.take(&p, 12)
		if err != nil {
			fail(err)
			break
		}
		left -= 12
		count, block := le.Uint32(head), uint64(le.Uint32(head[4:]))
		if count >= 256 { // SQUASHFS_DIR_COUNT; one less is stored
			fail(cursor.Errorf(at, "directory header for %d entries", uint64(count)+1))
			break
		}
		for range count + 1 {
			b, err := f.take(&p, 8)
			if err != nil {
				fail(err)
				left = 0
				break
			}
			off, typ := le.Uint16(b), le.Uint16(b[4:])
			n := int(le.Uint16(b[6:])) + 1
			if n > 256 { // SQUASHFS_NAME_LEN
				fail(cursor.Errorf(at, "a name of %d bytes", n))
				left = 0
				break
			}
			name, err := f.take(&p, n)
			if err != nil {
				fail(err)
				left = 0
				break
			}
			left -= 8 + int64(n)
			switch {
			case string(name) == ".", string(name) == "..":
				continue
			case bytes.ContainsAny(name, "/\x00"):
				fail(cursor.Errorf(at, "the name %q", name))
				continue
			}
			e := dirent{string(name), block<<16 | uint64(off), fs.ModeIrregular}
			if int(typ) < len(fileTypes) {
				e.typ = fileTypes[typ]
			}
			d.entries = append(d.entries, e)
		}
	}
	slices.SortStableFunc(d.entries, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	n := len(d.entries)
	d.entries = slices.CompactFunc(d.entries, func(a, b dirent) bool { return a.name == b.name })
	if len(d.entries) < n {
		fail(cursor.Errorf(ino.at, "directory that has a name twice"))
	}
	return d
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
		if ino, err = f.inode(d.entries[i].ref); err != nil {
			return fail(err)
		}
		if ino.mode.IsDir() {
			if err := f.claim(ino, link{parent.ref, elem}); err != nil {
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
	old, ok := f.owner[ino.ref]
	if !ok {
		f.owner[ino.ref] = l
	} else if old != l {
		return cursor.Errorf(ino.at, "directory %q of inode %#x is also %q of inode %#x", l.name, l.dir, old.name, old.dir)
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
		entry.ino, entry.err = f.inode(e.ref)
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
