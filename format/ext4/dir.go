package ext4

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"

	"gifthorse/internal/cursor"
)

// A dir is a directory's content in order of name, and the first thing that was wrong with it.
type dir struct {
	i       *inode
	entries []entry
	err     error
}

type entry struct {
	name string
	ino  uint32
	typ  fs.FileMode
}

// A claim is the place of a directory: the directory and name by which it was first come to.
type claim struct {
	parent uint32
	name   string
}

// dir returns the content of a directory.
func (f *FS) dir(i *inode) *dir {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.dirs[i.num]
	if d == nil {
		d = f.readDir(i)
		f.dirs[i.num] = d
	}
	return d
}

// claim says whether a directory has its place at name in parent.
func (f *FS) claim(i *inode, parent uint32, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, ok := f.claims[i.num]
	if !ok {
		f.claims[i.num] = claim{parent, name}
		return nil
	}
	if was != (claim{parent, name}) {
		return cursor.Errorf(i.at, "directory %d, which is %q in directory %d, is also %q in directory %d", i.num, was.name, was.parent, name, parent)
	}
	return nil
}

// fileTypes are the types that entries of a directory may carry: EXT4_FT_*.
var fileTypes = [...]fs.FileMode{
	fs.ModeIrregular, 0, fs.ModeDir, fs.ModeDevice | fs.ModeCharDevice, fs.ModeDevice, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeSymlink,
}

func (f *FS) readDir(i *inode) *dir {
	d := &dir{i: i}
	note := func(err error) {
		if d.err == nil {
			d.err = err
		}
	}
	content, err := f.data(i)
	if err != nil {
		note(err)
		return d
	}
	if i.flags&flagInline != 0 {
		// The parent's number stands where the entries "." and ".." would be: EXT4_INLINE_DOTDOT_SIZE.
		b := content.inline[:min(i.size, int64(len(content.inline)))]
		if len(b) > 4 {
			f.readEntries(d, b[4:], i.at+44, note)
		}
	} else {
		f.readDirBlocks(d, i, content, note)
	}
	slices.SortStableFunc(d.entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	n := len(d.entries)
	d.entries = slices.CompactFunc(d.entries, func(a, b entry) bool { return a.name == b.name })
	if len(d.entries) < n {
		note(cursor.Errorf(i.at, "directory %d has names twice", i.num))
	}

	// What an entry says of its file's type may be wrong, or nothing; the inode decides, as in Linux.
	mode := make([]byte, 2)
	for k := range d.entries {
		e := &d.entries[k]
		off, err := f.inodeOff(e.ino)
		if err == nil {
			err = f.read(mode, off)
		}
		if m := le.Uint16(mode); err == nil && m != 0 {
			e.typ = fileMode(m).Type()
		}
	}
	return d
}

func (f *FS) readDirBlocks(d *dir, i *inode, content *data, note func(error)) {
	buf := make([]byte, f.BlockSize)
	end := uint64((i.size + f.BlockSize - 1) / f.BlockSize)
	for block := uint64(0); block < end; {
		r, err := content.find(block)
		if err != nil {
			note(err)
			return
		}
		if r.at == 0 { // ext4_readdir steps over holes
			block = r.end
			continue
		}
		for ; block < min(end, r.end); block++ {
			if f.dirBlocks--; f.dirBlocks < 0 {
				note(cursor.Errorf(i.at, "directories have more than %d bytes, or more than the image", int64(maxDirBytes)))
				return
			}
			at := r.at + (block - r.first)
			if at < f.firstData || at >= f.blocks {
				note(cursor.Errorf(i.at+40, "directory %d has block %d of %d", i.num, at, f.blocks))
				continue
			}
			if err := f.read(buf, int64(at)*f.BlockSize); err != nil {
				note(err)
				continue
			}
			if !f.readEntries(d, buf, int64(at)*f.BlockSize, note) {
				return
			}
		}
	}
}

// readEntries appends what a block of a directory, or the part in an inode, lists. After damage it goes on with the next block, as ext4_readdir does.
// The nodes of a hash tree and the checksum at a block's end look like entries not in use. It returns false if there are too many.
func (f *FS) readEntries(d *dir, b []byte, at int64, note func(error)) bool {
	for off := 0; off < len(b); {
		e := b[off:]
		if len(e) < 8 {
			note(cursor.Errorf(at+int64(off), "directory entry cut off"))
			return true
		}
		length := int(le.Uint16(e[4:]))
		if f.BlockSize == 1<<16 && (length == 0xffff || length == 0) { // ext4_rec_len_from_disk
			length = 1 << 16
		}
		nameLen := int(e[6])
		if f.incompat&incompatFiletype == 0 {
			nameLen = int(le.Uint16(e[6:]))
		}
		ino := le.Uint32(e)
		if length < 8 || length%4 != 0 || length > len(e) || ino != 0 && (nameLen == 0 || 8+nameLen > length) {
			note(cursor.Errorf(at+int64(off), "directory entry of %d bytes, its name of %d", length, nameLen))
			return true
		}
		off += length
		if ino == 0 {
			continue
		}
		name := e[8 : 8+nameLen]
		switch {
		case string(name) == "." || string(name) == "..":
			continue
		case bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0:
			note(cursor.Errorf(at+int64(off-length), "directory entry with the name %q", name))
			continue
		}
		if f.entries--; f.entries < 0 {
			note(cursor.Errorf(at+int64(off-length), "more than %d names", maxEntries))
			return false
		}
		typ := fs.ModeIrregular
		if k := int(e[7]); f.incompat&incompatFiletype != 0 && k < len(fileTypes) {
			typ = fileTypes[k]
		}
		d.entries = append(d.entries, entry{string(name), ino, typ})
	}
	return true
}

// validPath is fs.ValidPath, but for UTF-8.
func validPath(name string) bool {
	if name == "." {
		return true
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "" || elem == "." || elem == ".." {
			return false
		}
	}
	return true
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// find returns the inode that a name leads to. Links on the way are followed, one at its end only if follow says so.
func (f *FS) find(op, name string, follow bool) (*inode, error) {
	fail := func(err error) (*inode, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	if !validPath(name) {
		return fail(fs.ErrInvalid)
	}
	if len(name) >= maxPath {
		return fail(fmt.Errorf("name of %d bytes: %w", len(name), fs.ErrInvalid))
	}
	root, err := f.known(rootIno)
	if err != nil {
		return fail(err)
	}
	if root.mode&sIFMT != sIFDIR {
		return fail(cursor.Errorf(root.at, "the root is no directory"))
	}
	way := []*inode{root} // to where we are
	rest := name
	for links := 0; rest != ""; {
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		here := way[len(way)-1]
		switch elem {
		case "", ".":
			continue
		case "..":
			if len(way) == 1 {
				return fail(fmt.Errorf("a symbolic link leaves the file system: %w", fs.ErrNotExist))
			}
			way = way[:len(way)-1]
			continue
		}
		if here.mode&sIFMT != sIFDIR {
			return fail(fs.ErrNotExist)
		}
		d := f.dir(here)
		k, ok := slices.BinarySearchFunc(d.entries, elem, func(e entry, s string) int { return cmp.Compare(e.name, s) })
		if !ok {
			if d.err != nil {
				return fail(d.err) // it may have been in the part that cannot be read
			}
			return fail(fs.ErrNotExist)
		}
		next, err := f.known(d.entries[k].ino)
		if err != nil {
			return fail(err)
		}
		switch next.mode & sIFMT {
		case sIFDIR:
			if err := f.claim(next, here.num, elem); err != nil {
				return fail(err)
			}
		case sIFLNK:
			if rest == "" && !follow {
				break
			}
			target, err := f.link(next)
			if err != nil {
				return fail(err)
			}
			if links++; links > maxLinks || len(target)+len(rest) >= maxPath {
				return fail(cursor.Errorf(next.at, "more than %d symbolic links, or a name of more than %d bytes", maxLinks, maxPath))
			}
			if strings.HasPrefix(target, "/") {
				return fail(fmt.Errorf("symbolic link to %q: %w", target, fs.ErrNotExist))
			}
			rest = target + "/" + rest
			continue
		}
		way = append(way, next)
	}
	return way[len(way)-1], nil
}

// known returns an inode, that of a directory already listed without reading it again.
func (f *FS) known(n uint32) (*inode, error) {
	f.mu.Lock()
	d := f.dirs[n]
	f.mu.Unlock()
	if d != nil {
		return d.i, nil
	}
	return f.inode(n)
}

// ReadDir lists a directory in order of name. If a part of it is damaged, the rest is returned with the error.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	i, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	return f.list(i, name)
}

func (f *FS) list(i *inode, name string) ([]fs.DirEntry, error) {
	if i.mode&sIFMT != sIFDIR {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	d := f.dir(i)
	list := make([]fs.DirEntry, len(d.entries))
	for k := range d.entries {
		list[k] = dirEntry{f, &d.entries[k]}
	}
	if d.err != nil {
		return list, &fs.PathError{Op: "readdir", Path: name, Err: d.err}
	}
	return list, nil
}

// ReadFile returns the content of a regular file. A file that is larger than the image, which only holes can make it, is
// refused: it has to be opened and read in pieces.
func (f *FS) ReadFile(name string) ([]byte, error) {
	i, err := f.find("read", name, true)
	if err != nil {
		return nil, err
	}
	fail := func(b []byte, err error) ([]byte, error) {
		return b, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	if i.mode&sIFMT != sIFREG {
		return fail(nil, fs.ErrInvalid)
	}
	if i.size > f.size || i.size > math.MaxInt {
		return fail(nil, cursor.Errorf(i.at+4, "inode %d has %d bytes, the image %d", i.num, i.size, f.size))
	}
	d, err := f.data(i)
	if err != nil {
		return fail(nil, err)
	}
	b := make([]byte, i.size)
	if n, err := d.ReadAt(b, 0); n < len(b) {
		return fail(b[:n], err)
	}
	return b, nil
}

// Stat returns what is known of a file, following symbolic links. Sys of it is an *Info.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat(name, true) }

// Lstat returns what is known of a file or of a symbolic link itself. Sys of it is an *Info.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat(name, false) }

func (f *FS) stat(name string, follow bool) (fs.FileInfo, error) {
	i, err := f.find("stat", name, follow)
	if err != nil {
		return nil, err
	}
	return fileInfo{base(name), f.info(i)}, nil
}

// Inode returns what the inode of a file says, of a symbolic link that of the link.
func (f *FS) Inode(name string) (Info, error) {
	i, err := f.find("stat", name, false)
	if err != nil {
		return Info{}, err
	}
	return *f.info(i), nil
}

// ReadLink returns the target of a symbolic link, as stored.
func (f *FS) ReadLink(name string) (string, error) {
	i, err := f.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if i.mode&sIFMT != sIFLNK {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := f.link(i)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

type dirEntry struct {
	fs *FS
	e  *entry
}

func (d dirEntry) Name() string      { return d.e.name }
func (d dirEntry) IsDir() bool       { return d.e.typ.IsDir() }
func (d dirEntry) Type() fs.FileMode { return d.e.typ }

func (d dirEntry) Info() (fs.FileInfo, error) {
	i, err := d.fs.inode(d.e.ino)
	if err != nil {
		return nil, err
	}
	return fileInfo{d.e.name, d.fs.info(i)}, nil
}

// A dirFile is an opened directory.
type dirFile struct {
	fs   *FS
	i    *inode
	name string
	fi   fileInfo
	list []fs.DirEntry // what ReadDir has not returned yet
	err  error
	read bool
}

func (d *dirFile) Stat() (fs.FileInfo, error) { return d.fi, nil }
func (d *dirFile) Close() error               { return nil }

func (d *dirFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.list, d.err = d.fs.list(d.i, d.name)
		d.read = true
	}
	if n <= 0 || n >= len(d.list) {
		list := d.list
		d.list = nil
		if n > 0 && len(list) == 0 {
			return nil, cmp.Or(d.err, io.EOF)
		}
		if n > 0 {
			return list, nil
		}
		return list, d.err
	}
	list := d.list[:n:n]
	d.list = d.list[n:]
	return list, nil
}
