// Package imgfs gives the files of a file system image as an [io/fs.FS], for readers that know inodes and directories.
//
// A reader says in a [Format] how to read an inode, the entries of a directory, the data and what else is stored of a file;
// a [Tree] follows paths through them. It remembers directories, in a bounded number, and refuses what a made-up image
// does to directories: names that are none or come twice, a directory that is reached in two ways. Names are the bytes of
// the image, of which io/fs asks that they be UTF-8. A Tree is safe for concurrent use if its Format is.
package imgfs

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"gifthorse/internal/cursor"
)

const (
	// maxListed is how many directory entries are kept for lookups to come: a whole system partition of today, a few MB.
	maxListed = 1 << 16

	maxName = 256  // SQUASHFS_NAME_LEN, the longest of all
	maxPath = 4096 // PATH_MAX of Linux, for paths and the targets of links
)

// A Format is how one file system is read. I is its inode, T what is stored of a file beyond [fs.FileInfo].
type Format[I interface{ Node() Node }, T any] struct {
	Root    uint64
	Inode   func(id uint64) (I, error)
	Dir     func(I) *Dir
	Content func(I) (io.ReaderAt, error) // of a regular file; of a symbolic link its target
	Info    func(I) (T, error)           // an error may come with what could be read
}

// A Node is what every inode says.
type Node struct {
	ID   uint64
	Off  int64 // in the image
	Mode fs.FileMode
	Size int64
	Time time.Time
}

// A Dir is what a directory holds.
type Dir struct {
	entries []dirent
	err     error // the first thing that was wrong
}

type dirent struct {
	name string
	id   uint64
	typ  fs.FileMode // as the directory has it; the inode has the last word
}

// Add adds an entry; "." and ".." are passed over. A name that is none is an error at byte off of the image.
func (d *Dir) Add(name []byte, id uint64, typ fs.FileMode, off int64) {
	switch {
	case string(name) == ".", string(name) == "..":
	case len(name) == 0 || len(name) > maxName || bytes.ContainsAny(name, "/\x00"):
		d.Fail(cursor.Errorf(off, "the name %q", name[:min(len(name), maxName)]))
	default:
		d.entries = append(d.entries, dirent{string(name), id, typ})
	}
}

// Fail notes what is wrong with a directory. What was added counts all the same.
func (d *Dir) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Types has the types of directory entries by their number in EROFS and F2FS (Linux include/linux/fs_types.h).
func Types(n byte) fs.FileMode {
	types := [...]fs.FileMode{fs.ModeIrregular, 0, fs.ModeDir, fs.ModeDevice | fs.ModeCharDevice, fs.ModeDevice, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeSymlink}
	if int(n) < len(types) {
		return types[n]
	}
	return types[0]
}

// Mode turns st_mode into Go's form (Linux include/uapi/linux/stat.h). ok is false for a type that there is not.
func Mode(m uint16) (mode fs.FileMode, ok bool) {
	mode = fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	switch m >> 12 {
	case 0o10:
	case 0o04:
		mode |= fs.ModeDir
	case 0o12:
		mode |= fs.ModeSymlink
	case 0o02:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o06:
		mode |= fs.ModeDevice
	case 0o01:
		mode |= fs.ModeNamedPipe
	case 0o14:
		mode |= fs.ModeSocket
	default:
		return mode, false
	}
	return mode, true
}

// A Tree is the files of an image.
type Tree[I interface{ Node() Node }, T any] struct {
	format Format[I, T]

	mu      sync.Mutex
	listed  map[uint64]*Dir // directories read of late
	nlisted int             // their entries
	owner   map[uint64]link // the path by which each directory was first reached
}

// A link is a name in a directory.
type link struct {
	dir  uint64
	name string
}

// New returns the tree of an image.
func New[I interface{ Node() Node }, T any](f Format[I, T]) *Tree[I, T] {
	return &Tree[I, T]{format: f, listed: map[uint64]*Dir{}, owner: map[uint64]link{f.Root: {}}}
}

// list reads a directory, or remembers it.
func (t *Tree[I, T]) list(ino I) *Dir {
	n := ino.Node()
	t.mu.Lock()
	d := t.listed[n.ID]
	t.mu.Unlock()
	if d != nil {
		return d
	}
	d = t.format.Dir(ino)
	slices.SortStableFunc(d.entries, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	count := len(d.entries)
	d.entries = slices.CompactFunc(d.entries, func(a, b dirent) bool { return a.name == b.name })
	if len(d.entries) < count {
		d.Fail(cursor.Errorf(n.Off, "directory that has a name twice"))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nlisted+len(d.entries) > maxListed {
		clear(t.listed)
		t.nlisted = 0
	}
	if t.listed[n.ID] == nil && len(d.entries) <= maxListed {
		t.listed[n.ID] = d
		t.nlisted += len(d.entries)
	}
	return d
}

// resolve follows a path to an inode; it does not follow symbolic links. Errors are *fs.PathError.
func (t *Tree[I, T]) resolve(op, name string) (ino I, err error) {
	fail := func(err error) (I, error) {
		var none I
		return none, &fs.PathError{Op: op, Path: name, Err: err}
	}
	// Names on Linux are bytes; io/fs asks for UTF-8, the only rule of its that is let off here.
	if !fs.ValidPath(strings.ToValidUTF8(name, "x")) || len(name) > maxPath {
		return fail(fs.ErrInvalid)
	}
	if ino, err = t.format.Inode(t.format.Root); err != nil {
		return fail(err)
	}
	if name == "." {
		return ino, nil
	}
	for elem := range strings.SplitSeq(name, "/") {
		if !ino.Node().Mode.IsDir() {
			return fail(fs.ErrNotExist)
		}
		d := t.list(ino)
		i, ok := slices.BinarySearchFunc(d.entries, elem, func(e dirent, name string) int { return cmp.Compare(e.name, name) })
		if !ok {
			// If the directory is damaged, whether the name exists cannot be told.
			return fail(cmp.Or(d.err, fs.ErrNotExist))
		}
		parent := ino.Node().ID
		if ino, err = t.format.Inode(d.entries[i].id); err != nil {
			return fail(err)
		}
		if n := ino.Node(); n.Mode.IsDir() {
			if err := t.claim(n, link{parent, elem}); err != nil {
				return fail(err)
			}
		}
	}
	return ino, nil
}

// claim says that a directory is reached by l, and fails if it was reached in another way before.
func (t *Tree[I, T]) claim(n Node, l link) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, ok := t.owner[n.ID]
	if !ok {
		t.owner[n.ID] = l
	} else if old != l {
		return cursor.Errorf(n.Off, "directory %q of inode %d is also %q of inode %d", l.name, l.dir, old.name, old.dir)
	}
	return nil
}

// Open opens the named file. What it returns is a *[File]; a directory is an fs.ReadDirFile. A symbolic link reads as its
// target, devices, pipes and sockets are empty.
func (t *Tree[I, T]) Open(name string) (fs.File, error) {
	ino, err := t.resolve("open", name)
	if err != nil {
		return nil, err
	}
	if info := (fileInfo{ino.Node(), path.Base(name)}); info.IsDir() {
		return &openDir{list: func() ([]fs.DirEntry, error) { return t.entries(ino) }, info: info, path: name}, nil
	}
	return t.open(ino, path.Base(name), name)
}

func (t *Tree[I, T]) open(ino I, base, name string) (fs.File, error) {
	n := ino.Node()
	var r io.ReaderAt = strings.NewReader("")
	size := int64(0)
	if typ := n.Mode.Type(); typ == 0 || typ == fs.ModeSymlink {
		var err error
		if r, err = t.format.Content(ino); err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		size = n.Size
	}
	return &File{io.NewSectionReader(r, 0, size), fileInfo{n, base}}, nil
}

// ReadDir returns the entries of the named directory, each a *[Entry], sorted by name. Entries come with an error if some are damaged.
func (t *Tree[I, T]) ReadDir(name string) ([]fs.DirEntry, error) {
	ino, err := t.resolve("readdir", name)
	if err != nil {
		return nil, err
	}
	if !ino.Node().Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	list, err := t.entries(ino)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, err
}

// entries lists a directory with the inodes, because a lookup goes by the type in the inode and not by that in the directory.
func (t *Tree[I, T]) entries(ino I) ([]fs.DirEntry, error) {
	d := t.list(ino)
	list := make([]fs.DirEntry, len(d.entries))
	for i, e := range d.entries {
		entry := &Entry[I, T]{tree: t, dirent: e}
		entry.ino, entry.err = t.format.Inode(e.id)
		list[i] = entry
	}
	return list, d.err
}

// Stat describes the named file; a symbolic link is described itself.
func (t *Tree[I, T]) Stat(name string) (fs.FileInfo, error) {
	ino, err := t.resolve("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{ino.Node(), path.Base(name)}, nil
}

// Node returns what the inode of the named file says; a symbolic link is described itself.
func (t *Tree[I, T]) Node(name string) (Node, error) {
	ino, err := t.resolve("stat", name)
	if err != nil {
		return Node{}, err
	}
	return ino.Node(), nil
}

// Lstat is [Tree.Stat]. With it a Tree is an io/fs.ReadLinkFS.
func (t *Tree[I, T]) Lstat(name string) (fs.FileInfo, error) { return t.Stat(name) }

// ReadLink returns the target of the named symbolic link, as it is stored.
func (t *Tree[I, T]) ReadLink(name string) (string, error) {
	ino, err := t.resolve("readlink", name)
	if err != nil {
		return "", err
	}
	fail := func(err error) (string, error) { return "", &fs.PathError{Op: "readlink", Path: name, Err: err} }
	n := ino.Node()
	switch {
	case n.Mode.Type() != fs.ModeSymlink:
		return fail(fs.ErrInvalid)
	case n.Size > maxPath:
		return fail(cursor.Errorf(n.Off, "a symbolic link of %d bytes", n.Size))
	}
	r, err := t.format.Content(ino)
	if err != nil {
		return fail(err)
	}
	b := make([]byte, n.Size)
	if k, err := r.ReadAt(b, 0); k < len(b) {
		return fail(cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return string(b), nil
}

// Info returns what is stored about the named file. If its attributes are damaged the Info holds what could be read and comes
// with an error.
func (t *Tree[I, T]) Info(name string) (T, error) {
	ino, err := t.resolve("info", name)
	if err != nil {
		var none T
		return none, err
	}
	return t.info(ino, name)
}

func (t *Tree[I, T]) info(ino I, name string) (T, error) {
	info, err := t.format.Info(ino)
	if err != nil {
		err = &fs.PathError{Op: "info", Path: name, Err: err}
	}
	return info, err
}

// An Entry is an entry of a directory with its inode, or with what is wrong with that.
type Entry[I interface{ Node() Node }, T any] struct {
	tree   *Tree[I, T]
	dirent dirent
	ino    I
	err    error
}

// Name returns the name in the directory.
func (e *Entry[I, T]) Name() string { return e.dirent.name }

// IsDir reports whether the entry is a directory.
func (e *Entry[I, T]) IsDir() bool { return e.Type().IsDir() }

// Type returns the type that the inode has, or if it cannot be read the one that the directory says it has.
func (e *Entry[I, T]) Type() fs.FileMode {
	if e.err != nil {
		return e.dirent.typ
	}
	return e.ino.Node().Mode.Type()
}

// Info describes the entry; a symbolic link is described itself.
func (e *Entry[I, T]) Info() (fs.FileInfo, error) {
	if e.err != nil {
		return nil, &fs.PathError{Op: "stat", Path: e.dirent.name, Err: e.err}
	}
	return fileInfo{e.ino.Node(), e.dirent.name}, nil
}

// Inode is [Tree.Info] without looking for the file again.
func (e *Entry[I, T]) Inode() (T, error) {
	if e.err != nil {
		var none T
		return none, &fs.PathError{Op: "info", Path: e.dirent.name, Err: e.err}
	}
	return e.tree.info(e.ino, e.dirent.name)
}

// Open is [Tree.Open] without looking for the file again. It does not open directories.
func (e *Entry[I, T]) Open() (fs.File, error) {
	if e.err != nil || e.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: e.dirent.name, Err: cmp.Or(e.err, fs.ErrInvalid)}
	}
	return e.tree.open(e.ino, e.dirent.name, e.dirent.name)
}

// A fileInfo is an inode under a name.
type fileInfo struct {
	node Node
	name string
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.node.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.node.Mode }
func (i fileInfo) ModTime() time.Time { return i.node.Time }
func (i fileInfo) IsDir() bool        { return i.node.Mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

// A File is an opened file that is no directory.
type File struct {
	*io.SectionReader
	info fileInfo
}

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing: the image belongs to whoever opened it.
func (f *File) Close() error { return nil }

// An openDir is an opened directory.
type openDir struct {
	list func() ([]fs.DirEntry, error)
	info fileInfo
	path string
	left []fs.DirEntry // once read
	err  error
	read bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.read = true
		if d.left, d.err = d.list(); d.err != nil {
			d.err = &fs.PathError{Op: "readdir", Path: d.path, Err: d.err}
		}
	}
	if n <= 0 {
		list := d.left
		d.left = nil
		return list, d.err
	}
	if len(d.left) == 0 {
		return nil, cmp.Or(d.err, io.EOF)
	}
	n = min(n, len(d.left))
	list := d.left[:n:n]
	d.left = d.left[n:]
	return list, nil
}

// Capabilities takes the permitted set from a struct vfs_cap_data (Linux, include/uapi/linux/capability.h) of revision 1, 2 or 3.
func Capabilities(v []byte) uint64 {
	c := cursor.At(v, 0)
	revision := c.U32() >> 24
	low := uint64(c.U32())
	c.Skip(4)
	switch {
	case revision == 1 && c.Err() == nil:
		return low
	case revision == 2 || revision == 3:
		high := uint64(c.U32())
		c.Skip(4)
		if c.Err() == nil {
			return low | high<<32
		}
	}
	return 0
}
