package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"gifthorse/internal/cursor"
)

const (
	cpioHeader = 110
	// pathMax is the kernel's PATH_MAX: init/initramfs.c passes over entries with a longer name or link target.
	pathMax = 4096
	// maxEntries bounds the entries of a ramdisk. A recovery with its resources has some 2,000.
	maxEntries = 1 << 20
	// maxHops bounds a chain of symbolic links, as the kernel's MAXSYMLINKS does.
	maxHops = 40
	// maxLinks bounds how many symbolic links are followed while a ramdisk is unpacked, so that a million entries through chains of
	// long links cost nothing. Ramdisks have a few links to directories.
	maxLinks = 1 << 16
)

// A Ramdisk is what the kernel would unpack into its first file system. It implements [fs.FS], [fs.ReadDirFS],
// [fs.ReadFileFS], [fs.StatFS] and [fs.ReadLinkFS]; Sys of a file's info is its *[Entry], nil for a directory that no entry names.
// A Ramdisk is safe for concurrent use.
type Ramdisk struct {
	Entries  []Entry   // every entry of every archive, in order
	Segments []Segment // the packed or plain stretches of the file, in order
	// Damage is what stopped the unpacking, nil if nothing did. The kernel prints such an error and starts with what
	// it has got so far (init/initramfs.c, do_populate_rootfs), so the entries before it count.
	Damage error

	root  *node
	links int // followed while unpacking
}

// A Segment is a stretch of the file that holds archives, packed or plain.
type Segment struct {
	Off, Size int64  // in the file
	Packing   string // gzip, lz4, ... or "" for a plain archive
	Unpacked  int64
}

// An Entry is one record of an archive.
type Entry struct {
	Name         string // cleaned, without a leading slash; "." for the root
	Mode         fs.FileMode
	UID, GID     uint32
	ModTime      time.Time
	Major, Minor uint32 // of a device node
	Link         string // target of a symbolic link
	Size         int64
	Segment      int   // index of its segment
	Off          int64 // of its header, in the unpacked segment
	Overridden   bool  // not in the tree: a later entry stands in its place or in that of a directory above it, or it had no place

	data  []byte
	first int // 1 + the index of the entry this one is another name of, 0 for none
}

// Data returns the contents of a regular file. The caller must not change them.
func (e *Entry) Data() []byte { return e.data }

// NewRamdisk unpacks size bytes: archives of cpio's newc form, plain or packed, one after the other, zeros between
// them. It is an error if no archive is found at all; for damage further on see [Ramdisk.Damage].
func NewRamdisk(r io.ReaderAt, size int64) (*Ramdisk, error) {
	if n := mediatek(r, 0, size); n > 0 {
		r, size = io.NewSectionReader(r, mediatekHeader, n), n
	}
	b, err := readAll(r, size)
	if err != nil {
		return nil, err
	}
	d := &Ramdisk{root: newDir()}
	d.Damage = d.unpack(b)
	if len(d.Segments) == 0 {
		if d.Damage == nil {
			d.Damage = cursor.Errorf(0, "no ramdisk: nothing but zeros")
		}
		return nil, d.Damage
	}
	live := make([]bool, len(d.Entries))
	d.root.finish(live)
	for i := range d.Entries {
		e := &d.Entries[i]
		if e.first > 0 { // one file with several names: its contents came with one of them
			e.data = d.Entries[e.first-1].data
		}
		if e.Mode.IsRegular() {
			e.Size = int64(len(e.data))
		}
		e.Overridden = !live[i]
	}
	return d, nil
}

// unpack goes through the file as unpack_to_rootfs does.
func (d *Ramdisk) unpack(b []byte) error {
	left := int64(maxPart)
	for pos := int64(0); pos < int64(len(b)); {
		rest := b[pos:]
		switch {
		case rest[0] == 0:
			pos++
		case rest[0] == '0' && pos%4 == 0:
			seg := len(d.Segments)
			d.Segments = append(d.Segments, Segment{Off: pos})
			n, err := d.archives(rest, seg, pos)
			d.Segments[seg].Size, d.Segments[seg].Unpacked = n, n
			if err != nil {
				if n == 0 {
					d.Segments = d.Segments[:seg]
				}
				return err
			}
			pos += n
		default:
			kind := packing(rest)
			if kind == "" {
				return cursor.Errorf(pos, "neither an archive nor a known packing: %q", rest[:min(8, len(rest))])
			}
			out, used, err := unpack(rest, kind, left)
			if len(out) > 0 || err == nil {
				left -= int64(len(out))
				seg := len(d.Segments)
				d.Segments = append(d.Segments, Segment{Off: pos, Size: used, Packing: kind, Unpacked: int64(len(out))})
				n, aerr := d.archives(out, seg, 0)
				if aerr == nil && n < int64(len(out)) {
					aerr = cursor.Errorf(n, "junk within the archive")
				}
				if aerr != nil && err == nil {
					// Offsets inside a packed stream are told apart by words.
					err = fmt.Errorf("in the %s stream at byte %#x, unpacked: %w", kind, pos, aerr)
				}
			}
			if err != nil {
				return shift(err, pos)
			}
			if used == 0 {
				return cursor.Errorf(pos, "empty %s stream", kind)
			}
			pos += used
		}
	}
	return nil
}

// shift adds to the offset of an error that stands inside a stretch of the file.
func shift(err error, by int64) error {
	if fe, ok := err.(*FormatError); ok {
		return cursor.Errorf(fe.Off+by, "%s", fe.Msg)
	}
	return err
}

// archives reads the archives b begins with, until a byte that belongs to none, and returns how many bytes they
// take. Offsets of errors count from base.
func (d *Ramdisk) archives(b []byte, seg int, base int64) (int64, error) {
	links := map[[4]uint32]int{} // hard links: device, inode and type to the entry that came first
	for pos := int64(0); ; {
		for pos < int64(len(b)) && b[pos] == 0 {
			pos++
		}
		if pos == int64(len(b)) || b[pos] != '0' || pos%4 != 0 {
			return pos, nil
		}
		h := b[pos:]
		if len(h) < cpioHeader {
			return pos, cursor.Errorf(base+pos, "archive header cut short")
		}
		// 070702 adds checksums, which the kernel does not check either without its option.
		if m := string(h[:6]); m != "070701" && m != "070702" {
			if m == "070707" {
				return pos, fmt.Errorf("cpio archive of the old form at byte %#x: %w", base+pos, errors.ErrUnsupported)
			}
			return pos, cursor.Errorf(base+pos, "no archive header: %q", m)
		}
		var v [13]uint32
		for i := range v {
			v[i] = hex(h[6+8*i : 14+8*i])
		}
		ino, mode, uid, gid, nlink, mtime, size := v[0], v[1], v[2], v[3], v[4], v[5], int64(v[6])
		nameSize := int64(v[11])
		start := pos
		body := (pos + cpioHeader + nameSize + 3) &^ 3
		next := (body + size + 3) &^ 3
		if body+size > int64(len(b)) {
			return pos, cursor.Errorf(base+pos, "archive entry of %d and %d bytes, %d are left", nameSize, size, int64(len(h))-cpioHeader)
		}
		pos = min(next, int64(len(b)))
		if nameSize == 0 || nameSize > pathMax {
			continue
		}
		name := text(h[cpioHeader : cpioHeader+nameSize])
		if name == "TRAILER!!!" {
			clear(links)
			continue
		}
		kind := mode & 0170000
		if size > 0 && kind != 0100000 && kind != 0120000 || kind == 0120000 && size > pathMax {
			continue // the kernel passes over these
		}
		if len(d.Entries) == maxEntries {
			return start, cursor.Errorf(base+start, "more than %d archive entries", maxEntries)
		}
		e := Entry{
			Name: clean(name), Mode: fileMode(mode), UID: uid, GID: gid, ModTime: time.Unix(int64(mtime), 0).UTC(),
			Segment: seg, Off: start,
		}
		switch kind {
		case 0100000:
			e.data = b[body : body+size : body+size]
			if nlink >= 2 {
				key := [4]uint32{v[7], v[8], ino, kind}
				first, seen := links[key]
				if !seen {
					links[key] = len(d.Entries)
				} else {
					e.first = first + 1
					if size > 0 {
						d.Entries[first].data = e.data
					}
				}
			}
		case 0120000:
			e.Link = text(b[body : body+size])
			e.Size = int64(len(e.Link))
		case 0020000, 0060000:
			e.Major, e.Minor = v[9], v[10]
		}
		d.Entries = append(d.Entries, e)
		d.place(len(d.Entries) - 1)
	}
}

// place puts an entry into the tree: a later one takes the place of an earlier one of its name, but a directory
// keeps its children when it is named again. Parents that no entry names are made up: the kernel would not
// unpack the file, but a dump without them is still readable.
func (d *Ramdisk) place(i int) {
	e := &d.Entries[i]
	if e.Name == "." {
		if e.Mode.IsDir() {
			d.root.entry = i
		}
		return
	}
	dir, base := path.Split(e.Name)
	parent := d.walk(strings.TrimSuffix(dir, "/"))
	if parent == nil {
		return
	}
	old := parent.children[base]
	if old != nil && old.children != nil && e.Mode.IsDir() {
		old.entry = i
		return
	}
	n := &node{name: base, entry: i}
	if e.Mode.IsDir() {
		n.children = map[string]*node{}
	}
	parent.children[base] = n
}

// walk returns the directory dir, made if need be, through symbolic links as the kernel opens files through them.
func (d *Ramdisk) walk(dir string) *node {
	at := []*node{d.root}
	parts := split(dir)
	for hops := 0; len(parts) > 0; {
		here, name := at[len(at)-1], parts[0]
		parts = parts[1:]
		if name == ".." {
			if len(at) > 1 {
				at = at[:len(at)-1]
			}
			continue
		}
		n := here.children[name]
		switch {
		case n == nil:
			n = newDir()
			n.name = name
			here.children[name] = n
		case n.children == nil && n.entry >= 0 && d.Entries[n.entry].Mode&fs.ModeSymlink != 0:
			hops++
			if d.links++; hops > maxHops || d.links > maxLinks {
				return nil
			}
			target := d.Entries[n.entry].Link
			if strings.HasPrefix(target, "/") {
				at = at[:1]
			}
			if parts = append(split(target), parts...); len(parts) > pathMax {
				return nil
			}
			continue
		case n.children == nil:
			return nil // a file stands where a directory should
		}
		if at = append(at, n); len(at) > pathMax {
			return nil
		}
	}
	return at[len(at)-1]
}

func split(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// clean makes a name fit for io/fs. ".." does not leave the root.
func clean(name string) string {
	if p := path.Clean("/" + name); p != "/" {
		return p[1:]
	}
	return "."
}

// hex reads a number as the kernel's simple_strtoul does: up to the first byte that is no digit.
func hex(b []byte) uint32 {
	var v uint32
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return v
		}
		v = v<<4 | uint32(c)
	}
	return v
}

// fileMode turns st_mode into an fs.FileMode.
func fileMode(m uint32) fs.FileMode {
	f := fs.FileMode(m & 0777)
	switch m & 0170000 {
	case 0040000:
		f |= fs.ModeDir
	case 0120000:
		f |= fs.ModeSymlink
	case 0020000:
		f |= fs.ModeDevice | fs.ModeCharDevice
	case 0060000:
		f |= fs.ModeDevice
	case 0010000:
		f |= fs.ModeNamedPipe
	case 0140000:
		f |= fs.ModeSocket
	case 0100000:
	default:
		f |= fs.ModeIrregular
	}
	if m&04000 != 0 {
		f |= fs.ModeSetuid
	}
	if m&02000 != 0 {
		f |= fs.ModeSetgid
	}
	if m&01000 != 0 {
		f |= fs.ModeSticky
	}
	return f
}

// A node is a name in the tree.
type node struct {
	name     string
	entry    int // index into Entries, -1 for a directory made up
	children map[string]*node
	sorted   []*node
}

func newDir() *node { return &node{name: ".", entry: -1, children: map[string]*node{}} }

// finish sorts every directory and marks the entries that stand in the tree. It keeps a list of its own: a hostile archive
// nests 2,000 directories deep.
func (n *node) finish(live []bool) {
	if n.entry >= 0 {
		live[n.entry] = true
	}
	for todo := []*node{n}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n.sorted = make([]*node, 0, len(n.children))
		for _, c := range n.children {
			n.sorted = append(n.sorted, c)
			if c.entry >= 0 {
				live[c.entry] = true
			}
			if c.children != nil {
				todo = append(todo, c)
			}
		}
		sort.Slice(n.sorted, func(i, j int) bool { return n.sorted[i].name < n.sorted[j].name })
	}
}

// find finds a name, and follows links in the directories on the way to it, and in its last part if follow is set.
func (d *Ramdisk) find(op, name string, follow bool) (*node, error) {
	// A file name is any bytes to the kernel; io/fs asks for UTF-8.
	if !fs.ValidPath(strings.ToValidUTF8(name, "_")) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	missing := &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	at := []*node{d.root}
	parts := split(name)
	for hops := 0; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		if part == ".." {
			if len(at) > 1 {
				at = at[:len(at)-1]
			}
			continue
		}
		n := at[len(at)-1].children[part]
		if n == nil {
			return nil, missing
		}
		if n.entry >= 0 && d.Entries[n.entry].Mode&fs.ModeSymlink != 0 && (follow || len(parts) > 0) {
			target := d.Entries[n.entry].Link
			if strings.HasPrefix(target, "/") {
				at = at[:1]
			}
			if hops++; hops > maxHops {
				return nil, missing
			}
			if parts = append(split(target), parts...); len(parts) > pathMax {
				return nil, missing
			}
			continue
		}
		at = append(at, n)
	}
	return at[len(at)-1], nil
}

// Open opens the named file, through symbolic links; an absolute link starts at the ramdisk's root.
func (d *Ramdisk) Open(name string) (fs.File, error) {
	n, err := d.find("open", name, true)
	if err != nil {
		return nil, err
	}
	in := d.info(n)
	in.name = path.Base(name)
	if n.children != nil {
		return &openDir{info: in, d: d, left: n.sorted}, nil
	}
	return &openFile{in, bytes.NewReader(d.Entries[n.entry].data)}, nil
}

// ReadFile returns a file's contents, which the caller may change.
func (d *Ramdisk) ReadFile(name string) ([]byte, error) {
	n, err := d.find("read", name, true)
	if err != nil {
		return nil, err
	}
	if n.children != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	return append([]byte{}, d.Entries[n.entry].data...), nil
}

// ReadDir lists a directory by name.
func (d *Ramdisk) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := d.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if n.children == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return d.list(n.sorted), nil
}

// Stat follows symbolic links, Lstat does not.
func (d *Ramdisk) Stat(name string) (fs.FileInfo, error) {
	n, err := d.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	in := d.info(n)
	in.name = path.Base(name)
	return in, nil
}

// Lstat returns what stands under the name itself.
func (d *Ramdisk) Lstat(name string) (fs.FileInfo, error) {
	n, err := d.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	in := d.info(n)
	in.name = path.Base(name)
	return in, nil
}

// ReadLink returns the target of a symbolic link as it is stored.
func (d *Ramdisk) ReadLink(name string) (string, error) {
	n, err := d.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.entry < 0 || d.Entries[n.entry].Mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return d.Entries[n.entry].Link, nil
}

func (d *Ramdisk) list(nodes []*node) []fs.DirEntry {
	l := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		l[i] = fs.FileInfoToDirEntry(d.info(n))
	}
	return l
}

func (d *Ramdisk) info(n *node) info {
	if n.entry < 0 {
		return info{name: n.name}
	}
	return info{n.name, &d.Entries[n.entry]}
}

type info struct {
	name string
	e    *Entry
}

func (i info) Name() string { return i.name }
func (i info) IsDir() bool  { return i.Mode().IsDir() }

func (i info) Mode() fs.FileMode {
	if i.e == nil {
		return fs.ModeDir | 0755
	}
	return i.e.Mode
}

func (i info) Size() int64 {
	if i.e == nil {
		return 0
	}
	return i.e.Size
}

func (i info) ModTime() time.Time {
	if i.e == nil {
		return time.Time{}
	}
	return i.e.ModTime
}

func (i info) Sys() any {
	if i.e == nil {
		return nil
	}
	return i.e
}

type openFile struct {
	info info
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info info
	d    *Ramdisk
	left []*node
}

func (f *openDir) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openDir) Close() error               { return nil }

func (f *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.info.name, Err: errors.New("is a directory")}
}

func (f *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.left)
	} else if len(f.left) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.left))
	l := f.d.list(f.left[:n])
	f.left = f.left[n:]
	return l, nil
}
