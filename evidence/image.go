package evidence

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gifthorse/format/erofs"
	"gifthorse/format/ext4"
	"gifthorse/format/f2fs"
	"gifthorse/format/squashfs"
	"gifthorse/format/super"
	"gifthorse/internal/cursor"
)

// A region is contents that are read where they lie, through whatever they lie in: a partition inside an
// image, an image that a container stores in pieces. They may be larger than the memory and the disk.
type region struct {
	r    io.ReaderAt
	size int64
}

func (g region) load(e *Evidence) ([]byte, string, error) {
	if b := cursor.Slice(g.r, 0, g.size); b != nil {
		return b, "", nil
	}
	if g.size > maxData {
		return nil, "", &failure{TooLarge, fmt.Sprintf("%d bytes, more than the %d that are read as a whole", g.size, int64(maxData))}
	}
	b, err := e.keep(g.size, io.NewSectionReader(g.r, 0, g.size))
	return b, "", err
}

func (g region) reader(*Evidence) (io.ReaderAt, error) { return g.r, nil }

func (g region) head(e *Evidence, n int) ([]byte, error) {
	return readHead(io.NewSectionReader(g.r, 0, g.size), n)
}

// keep returns the n bytes that r gives, in the heap if they are few, or else in the spool.
func (e *Evidence) keep(n int64, r io.Reader) ([]byte, error) {
	if n > maxSmall || e.heap.Add(n) > maxHeap {
		return e.spool.put(e.ctx, n, r)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return b, nil
}

// A placed source can be read without its contents as a whole.
type placed interface {
	reader(e *Evidence) (io.ReaderAt, error)
}

// reader returns a reader of the contents, in place if they can be read there.
func (f *File) reader() (io.ReaderAt, error) {
	if f.blob != nil {
		if p, ok := f.blob.src.(placed); ok {
			r, err := p.reader(f.blob.ev)
			if err != nil {
				return nil, f.fail(err)
			}
			return r, nil
		}
	}
	b, err := f.all()
	if err != nil {
		return nil, err
	}
	return memory(b), nil
}

// An inode is a regular file of a file system image.
type inode struct {
	open func() (fs.File, error)
	size int64
}

func (i inode) contents() (io.ReaderAt, error) {
	f, err := i.open()
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, &failure{Damaged, "a file that became a directory"}
	}
	return r, nil
}

func (i inode) load(e *Evidence) ([]byte, string, error) {
	if i.size == 0 {
		return nil, "", nil
	}
	r, err := i.contents()
	if err != nil {
		return nil, "", err
	}
	if b := cursor.Slice(r, 0, i.size); b != nil {
		return b, "", nil
	}
	b, err := e.keep(i.size, io.NewSectionReader(r, 0, i.size))
	return b, "", err
}

func (i inode) head(e *Evidence, n int) ([]byte, error) {
	r, err := i.contents()
	if err != nil {
		return nil, err
	}
	return readHead(io.NewSectionReader(r, 0, i.size), n)
}

// enterFileSystem finds the partition in an ext4, erofs, f2fs or squashfs image.
func (o *opener) enterFileSystem(f *File, name, kind string, depth int) error {
	list, names, err := o.listFileSystem(f, kind)
	if err != nil {
		return err
	}
	t := &tree{at: f.Ref, hint: path.Base(name), entries: list}
	o.layout.findImage(t, append([]string{name}, names...))
	o.settled(t, depth+1)
	return nil
}

// listFileSystem lists the files of an image, and what the file system itself says that it is called.
func (o *opener) listFileSystem(f *File, kind string) (list []entry, names []string, err error) {
	r, err := f.reader()
	if err != nil {
		return nil, nil, err
	}
	w := walker{o: o, image: f, links: map[uint32]*blob{}}
	switch kind {
	case "ext4":
		e4, err := ext4.New(r, f.Size)
		if err != nil {
			return nil, nil, err
		}
		o.noteImage(f, e4.Gaps, e4.Size)
		if e4.NeedsRecovery {
			o.e.note(f.Ref, Unsupported, "its journal may hold writes that are not in place; it is not replayed")
		}
		names = []string{e4.LastMounted, e4.Volume}
		w.fs, w.describe = e4, w.ext4(e4)
	case "erofs":
		if w.fs, err = erofs.New(r, f.Size); err != nil {
			return nil, nil, err
		}
		w.describe = w.erofs
	case "squashfs":
		if w.fs, err = squashfs.New(r, f.Size); err != nil {
			return nil, nil, err
		}
		w.describe = w.squashfs
	default:
		f2, err := f2fs.New(r, f.Size)
		if err != nil {
			return nil, nil, err
		}
		o.noteImage(f, f2.Gaps, f2.Size)
		if f2.NeedsRecovery {
			o.e.note(f.Ref, Unsupported, "there may be writes after its last checkpoint; they are not recovered")
		}
		names = []string{f2.Volume}
		w.fs, w.describe = f2, w.f2fs
	}
	w.walk(".", "")
	return w.out, names, nil
}

// noteImage notes what a file system of size bytes says of itself to be missing.
func (o *opener) noteImage(f *File, gaps []error, size int64) {
	for _, g := range gaps {
		reason := explain(g).reason
		if size > f.Size {
			reason = CutShort
		}
		o.e.note(f.Ref, reason, explain(g).detail)
	}
}

// A walker lists a file system.
type walker struct {
	o     *opener
	image *File
	fs    fs.ReadDirFS
	out   []entry
	links map[uint32]*blob // of files with several names, by inode

	describe describer
}

// A describer fills in what the inode says of a file that is no directory, and returns how to open it and
// where it leads. If open is nil, the file cannot be read; other errors are about its attributes.
type describer func(m *File, name string, d fs.DirEntry) (open func() (fs.File, error), target string, err error)

func (w *walker) walk(dir, prefix string) {
	o := w.o
	list, err := w.fs.ReadDir(dir)
	if err != nil {
		why := explain(err)
		o.e.note(w.image.Ref.Inner(dir), why.reason, "the folder cannot be listed whole: "+why.detail)
	}
	for _, d := range list {
		if o.e.ctx.Err() != nil {
			return
		}
		name := prefix + d.Name()
		if !o.count(w.image, name) {
			return
		}
		if d.IsDir() {
			w.walk(name, name+"/")
			if o.full {
				return
			}
			continue
		}
		m := newFile(w.image.Ref.Inner(name), 0, d.Type())
		w.out = append(w.out, entry{name, m})
		open, target, err := w.describe(m, name, d)
		if err != nil && open == nil {
			m.blob = &blob{ev: o.e, src: explain(err)}
			m.fail(err)
			continue
		}
		if err != nil {
			o.e.note(m.Ref, explain(err).reason, "its attributes: "+explain(err).detail)
		}
		switch {
		case m.Mode&fs.ModeSymlink != 0:
			o.link(m, target)
		case m.Mode.IsRegular():
			if m.blob == nil { // or it has another name that was listed before
				m.blob = &blob{ev: o.e}
			}
			if m.blob.src == nil {
				m.blob.src = o.inodeSource(w.image, inode{open, m.Size})
			}
			if why, bad := m.blob.src.(*failure); bad {
				o.e.note(m.Ref, why.reason, why.detail)
			}
		}
	}
}

// inodeSource takes a file from the budget: files can share their bytes, be compressed, or have holes.
func (o *opener) inodeSource(image *File, i inode) source {
	switch {
	case tooDense(image.Size, i.size):
		return &failure{TooLarge, fmt.Sprintf("%d bytes, in an image of %d", i.size, image.Size)}
	case !o.mayInflate(i.size):
		return &failure{TooLarge, "more than may be inflated in all"}
	}
	return i
}

func (w *walker) ext4(e4 *ext4.FS) describer {
	return func(m *File, name string, d fs.DirEntry) (func() (fs.File, error), string, error) {
		st, err := d.Info()
		if err != nil {
			return nil, "", err
		}
		in := st.Sys().(*ext4.Info)
		m.Mode, m.Size, m.HasOwner, m.UID, m.GID, m.Label, m.Caps = in.Mode, in.Size, true, in.UID, in.GID, in.Label, in.Caps
		open := func() (fs.File, error) { return e4.Open(name) }
		target := ""
		switch {
		case m.Mode&fs.ModeSymlink != 0:
			if target, err = e4.ReadLink(name); err != nil {
				return nil, "", err
			}
		case m.Mode.IsRegular() && in.Links > 1:
			if m.blob = w.links[in.Ino]; m.blob == nil {
				m.blob = &blob{ev: w.o.e}
				w.links[in.Ino] = m.blob
			}
		}
		if in.Encrypted {
			return nil, "", ext4.ErrEncrypted
		}
		return open, target, in.XattrErr
	}
}

func (w *walker) erofs(m *File, name string, d fs.DirEntry) (func() (fs.File, error), string, error) {
	ent := d.(*erofs.Entry)
	in, err := ent.Inode()
	m.Mode, m.Size, m.UID, m.GID, m.Label, m.Caps = in.Mode, in.Size, in.UID, in.GID, in.Label, in.Caps
	return w.entry(m, ent, err)
}

func (w *walker) squashfs(m *File, name string, d fs.DirEntry) (func() (fs.File, error), string, error) {
	ent := d.(*squashfs.Entry)
	in, err := ent.Inode()
	m.Mode, m.Size, m.UID, m.GID, m.Label, m.Caps = in.Mode, in.Size, in.UID, in.GID, in.Label, in.Caps
	return w.entry(m, ent, err)
}

func (w *walker) f2fs(m *File, name string, d fs.DirEntry) (func() (fs.File, error), string, error) {
	ent := d.(*f2fs.Entry)
	in, err := ent.Inode()
	m.Mode, m.Size, m.UID, m.GID, m.Label, m.Caps = in.Mode, in.Size, in.UID, in.GID, in.Label, in.Caps
	if in.Encrypted {
		m.HasOwner = true
		return nil, "", f2fs.ErrEncrypted
	}
	return w.entry(m, ent, err)
}

// entry is the rest of a describer: of a file that is opened by its entry, whose attributes gave attrErr.
func (w *walker) entry(m *File, ent interface {
	fs.DirEntry
	Open() (fs.File, error)
}, attrErr error) (func() (fs.File, error), string, error) {
	if _, err := ent.Info(); err != nil {
		m.Mode = ent.Type()
		return nil, "", err
	}
	m.HasOwner = true
	if m.Mode&fs.ModeSymlink == 0 {
		return ent.Open, "", attrErr
	}
	if m.Size > maxTarget {
		return ent.Open, "", attrErr // which is noted as a link without a target
	}
	b, _, err := inode{ent.Open, m.Size}.load(w.o.e)
	if err != nil {
		return nil, "", err
	}
	return ent.Open, string(b), attrErr
}

// enterSparse opens a sparse image, or the pieces of one. Its address is that of the first: the expanded
// image is what it means, as a tar.gz is the tar in it.
func (o *opener) enterSparse(pieces []*File, name string, depth int) error {
	f := pieces[0]
	s, err := o.sparse(pieces)
	if err != nil {
		return err
	}
	for _, g := range s.Gaps {
		o.e.note(f.Ref, explain(g).reason, explain(g).detail)
	}
	m := newFile(f.Ref, s.Size(), f.Mode)
	m.blob = &blob{ev: o.e, src: region{s, s.Size()}}
	if k, _ := o.look(m, name, depth+1, false); k == "" {
		o.e.note(f.Ref, Unsupported, "a sparse image of unknown content")
	}
	return nil
}

func (o *opener) sparse(pieces []*File) (*super.Sparse, error) {
	parts := make([]super.Part, len(pieces))
	for i, p := range pieces {
		r, err := p.reader()
		if err != nil {
			return nil, err
		}
		// The table of all sparse images together is held in memory: 32 bytes for each chunk.
		head, _ := p.head(28)
		if len(head) == 28 {
			o.chunks += min(int64(binary.LittleEndian.Uint32(head[20:])), p.Size/12)
		}
		names := p.Ref.Names()
		parts[i] = super.Part{Name: path.Base(names[len(names)-1]), R: r, Size: p.Size}
	}
	if o.chunks > maxChunks {
		return nil, &failure{TooLarge, fmt.Sprintf("the sparse images have more than %d chunks together", maxChunks)}
	}
	return super.NewSparse(parts...)
}

// maxChunks is how many chunks all sparse images may have together. Those of a whole phone have some 10000.
const maxChunks = 4 << 20

// joinPieces finds the sparse images that are pieces of one: called alike but for a number, and each with
// the size of the whole in its header (system/core/libsparse, output_file.cpp). It returns the pieces by
// the first of them; the others are not to be looked at by themselves.
func (o *opener) joinPieces(list []entry) (first map[*File][]*File) {
	type key struct{ name, header string }
	type piece struct {
		n uint64
		f *File
	}
	sets := map[key][]piece{}
	for _, ent := range list {
		low := strings.ToLower(path.Base(ent.name))
		if ent.file.blob == nil || !strings.Contains(low, "chunk") && !strings.Contains(low, ".img") {
			continue
		}
		stem, n, ok := numbered(ent.name)
		if !ok {
			continue
		}
		head, err := ent.file.head(28)
		if err != nil || identify(head).do != expand || len(head) < 28 {
			continue
		}
		k := key{stem, string(head[12:20])} // size and number of blocks
		sets[k] = append(sets[k], piece{n, ent.file})
	}
	first = map[*File][]*File{}
	for k, set := range sets {
		if len(set) < 2 && !strings.Contains(strings.ToLower(k.name), "chunk") {
			continue
		}
		slices.SortStableFunc(set, func(a, b piece) int { return cmp.Compare(a.n, b.n) })
		next := min(set[0].n, 1) // counted from 0 or 1
		for _, p := range set {
			if p.n > next {
				o.e.note(p.f.Ref, Absent, fmt.Sprintf("the piece of the image before it, of number %d, is not there; its bytes read as zeros", p.n-1))
			}
			next = p.n + 1
		}
		for i, p := range set {
			first[set[0].f] = append(first[set[0].f], p.f)
			if i > 0 {
				o.rest[p.f] = true
			}
		}
	}
	return first
}

// joinDevices finds the super partitions that lie on several block devices, as on phones that got logical partitions in an
// update, and those devices, which are called as the metadata say: system and vendor, or as AOSP's build puts them into
// images, super_system.img and super_vendor.img.
func (o *opener) joinDevices(list []entry) {
	type device struct {
		ent  entry
		name string
		r    io.ReaderAt
		size int64
	}
	var all []device
	var first []int // of all, those with metadata
	for _, ent := range list {
		stem, _, _ := strings.Cut(strings.ToLower(path.Base(ent.name)), ".")
		name := strings.TrimPrefix(stem, "super_")
		if ent.file.blob == nil || partitionOf(name) == "" {
			continue
		}
		d := device{ent: ent, name: name, size: ent.file.Size}
		head, err := ent.file.head(headSize)
		if err != nil {
			continue
		}
		if k := identify(head); k.do == expand {
			s, err := o.sparse([]*File{ent.file})
			if err != nil {
				continue
			}
			d.r, d.size = s, s.Size()
			head, _ = readHead(io.NewSectionReader(s, 0, d.size), headSize)
		}
		if identify(head).name == "super" {
			first = append(first, len(all))
		}
		all = append(all, d)
	}
	open := func(d *device) bool {
		if d.r == nil {
			d.r, _ = d.ent.file.reader()
		}
		return d.r != nil
	}
	for _, i := range first {
		if len(all) < 2 || !open(&all[i]) {
			continue
		}
		s, err := super.New(super.Part{Name: "super", R: all[i].r, Size: all[i].size})
		if err != nil {
			continue
		}
		at := all[i].ent.file.Ref
		for _, name := range s.Devices {
			plain := strings.TrimSuffix(strings.TrimSuffix(name, "_a"), "_b")
			for k := range all {
				d := &all[k]
				if k != i && !o.rest[d.ent.file] && (d.name == name || d.name == plain) && open(d) {
					o.devices[at] = append(o.devices[at], super.Part{Name: name, R: d.r, Size: d.size})
					o.rest[d.ent.file] = true
					break
				}
			}
		}
	}
}

// numbered splits the last number off a name.
func numbered(name string) (stem string, n uint64, ok bool) {
	end := strings.LastIndexAny(name, "0123456789") + 1
	start := end
	for start > 0 && name[start-1] >= '0' && name[start-1] <= '9' {
		start--
	}
	if start == end || strings.LastIndexByte(name, '/') >= end {
		return "", 0, false
	}
	n, err := strconv.ParseUint(name[start:end], 10, 64)
	return name[:start] + "\x00" + name[end:], n, err == nil
}

// wholeName is what the image is called whose pieces are called as name: super.img of super.img_sparsechunk.0.
func wholeName(name string) string {
	stem, _, _ := numbered(name)
	before, after, _ := strings.Cut(stem, "\x00")
	if i := strings.Index(strings.ToLower(before), ".img"); i >= 0 {
		return before[:i] + ".img"
	}
	before = strings.TrimRight(before, "._-")
	for _, s := range []string{"chunk", "sparse"} {
		before = strings.TrimRight(strings.TrimSuffix(before, s), "._-")
	}
	return before + after
}

// enterPartitions lists the partitions in a super partition or on a disk.
func (o *opener) enterPartitions(f *File, kind string, depth int) error {
	r, err := f.reader()
	if err != nil {
		return err
	}
	t := &tree{at: f.Ref, partitions: true}
	add := func(name string, size int64, s *io.SectionReader, err error) bool {
		if !o.count(f, name) {
			return false
		}
		m := o.partition(t, name, size)
		if err != nil {
			why := explain(err)
			if errors.Is(err, fs.ErrNotExist) {
				why = &failure{Absent, "it lies on a block device that was not given"}
			}
			m.blob.src = why
			o.e.note(m.Ref, why.reason, why.detail)
			return true
		}
		m.blob.src = region{s, size}
		return true
	}
	var gaps []error
	if kind == "super" {
		s, err := super.New(append([]super.Part{{Name: "super", R: r, Size: f.Size}}, o.devices[f.Ref]...)...)
		if err != nil {
			return err
		}
		gaps = s.Gaps
		for i := range s.Partitions {
			if p := &s.Partitions[i]; p.Size > 0 { // the slot that a factory image leaves empty has 0
				c, err := p.Open()
				if !add(p.Name, p.Size, c, err) {
					break
				}
			}
		}
	} else {
		g, err := super.NewGPT(r, f.Size)
		if err != nil {
			return err
		}
		gaps = g.Gaps
		for i := range g.Partitions {
			p := &g.Partitions[i]
			c, err := p.Open()
			size := p.Size
			if err == nil {
				size = c.Size() // a disk image may end early
			}
			if !add(p.Name, size, c, err) {
				break
			}
		}
	}
	for _, g := range gaps {
		o.e.note(f.Ref, explain(g).reason, explain(g).detail)
	}
	o.enterTree(t, depth+1)
	return nil
}

// partition adds a partition to the tree of the image it lies in. Its source is for the caller to set.
func (o *opener) partition(t *tree, name string, size int64) *File {
	at, n := t.at.Inner(name), 1
	for slices.ContainsFunc(t.entries, func(ent entry) bool { return ent.file.Ref == at }) {
		n++
		at = t.at.Inner(fmt.Sprintf("%s~%d", name, n))
	}
	m := newFile(at, size, 0)
	m.blob = &blob{ev: o.e}
	t.entries = append(t.entries, entry{name, m})
	return m
}

// otherSlot reports whether an image is by its name that of the second slot. Which slot a phone starts is
// known to its bootloader; the first is what factories fill.
func otherSlot(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(path.Base(name)), ".")
	return strings.HasSuffix(stem, "_b") || strings.HasSuffix(stem, "-b")
}

// unknownPartition notes a partition that should hold files of the phone and of whose content nothing is known.
func (o *opener) unknownPartition(ent entry) {
	if partitionOf(ent.name) == "" && ramdisks[undecorated(ent.name)] == "" {
		return
	}
	if _, bad := ent.file.blob.src.(*failure); bad {
		return
	}
	head, _ := ent.file.head(headSize)
	switch {
	case len(bytes.Trim(head, "\x00")) > 0:
		o.e.note(ent.file.Ref, Unsupported, "a partition of unknown content, not read by this version")
	case !otherSlot(ent.name):
		o.e.note(ent.file.Ref, Absent, "the partition is empty: it begins with zeros")
	}
}
