package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gifthorse/format/super"
)

// Progress says what [Open] is doing.
type Progress struct {
	Stage string // "open" or "unpack"
	Item  string // what is opened, as [Ref] prints it
	Done  int64  // bytes: with "open" of all that was given, with "unpack" of what comes out of Item
	Total int64  // 0 if not known
}

// Budgets.
const (
	// maxDepth is how many containers may lie in each other. Makers nest three or four: a download's zip, the
	// tool's zip, a tar.gz, an image.
	maxDepth = 8

	// maxEntries is how many files are listed in all. A whole phone has up to 100000; each costs some 400
	// bytes here, beside what the reader of its container needs.
	maxEntries = 500_000

	// maxText is how many bytes the names and the link targets of all files may have together. Those of a whole
	// phone have some 8 MB; a tar that inflates a thousandfold can hold gigabytes of them.
	maxText = 128 << 20

	// Firmware shrinks to a half or a tenth, images of zeros to much less. What inflates to more than a
	// hundred times all that was given, and more than a small input may by chance, was made to fill a disk;
	// what passes 64 GiB fills it too.
	inflateTimes = 100
	inflateFree  = 1 << 30
	inflateMax   = 64 << 30
)

// Open reads what stands at paths: files or folders, several of which are parts of one phone. The error is
// the user's mistake (no such file, nothing there that belongs to a phone) or that ctx ended; everything
// else is a gap. progress may be nil; it is not called by two goroutines at once. The evidence lives until
// Close or until ctx ends.
func Open(ctx context.Context, paths []string, progress func(Progress)) (*Evidence, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("nothing to open")
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	o := newOpener(ctx, progress)
	if err := o.open(paths); err != nil {
		o.e.Close()
		return nil, err
	}
	return o.e, nil
}

func newOpener(ctx context.Context, progress func(Progress)) *opener {
	e := &Evidence{byPath: map[string]*File{}, gaps: map[Gap]struct{}{}}
	e.inflation = inflateFree
	e.ctx, e.stop = context.WithCancel(ctx)
	return &opener{e: e, rest: map[*File]bool{}, devices: map[Ref][]super.Part{}, layout: layout{e: e, taken: map[string]bool{}}, nesting: inflateFree, progress: progress}
}

// An opener is what is needed while an Evidence is opened, and not afterwards.
type opener struct {
	e        *Evidence
	layout   layout
	progress func(Progress)
	several  bool                 // inputs
	pieces   map[*File][]*File    // inputs that are a sparse image in pieces, by the first
	rest     map[*File]bool       // the other pieces, and the other devices of a super partition
	devices  map[Ref][]super.Part // of super partitions that lie on several, those but the first

	done, total  int64
	nesting      int64 // bytes of archives in archives that may still be opened
	entries      int   // listed
	text         int   // bytes of their names and targets
	chunks       int64 // of sparse images
	full         bool  // entries has reached its budget
	known        bool  // something of the present input was recognised
	trees        []*tree
	apps         []looseApp
	others       []*File // of no tree
	certificates []*File // outside of partitions
}

// A looseApp lies outside of all partitions.
type looseApp struct {
	file  *File
	name  string // to be found by
	given bool   // by the user
	kind  *kind
}

func (o *opener) open(paths []string) error {
	e := o.e
	o.several = len(paths) > 1
	names := map[string]int{}
	infos := make([]fs.FileInfo, len(paths))
	given := make([]entry, len(paths))
	var regular []entry
	for i, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return err
		}
		infos[i] = st
		if st.Mode().IsRegular() {
			o.total += st.Size()
		} else if !st.IsDir() {
			return fmt.Errorf("%s is neither a file nor a folder", p)
		}
	}
	o.allow(o.total)
	for i, p := range paths {
		name := baseName(p)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s~%d", name, names[name])
		}
		given[i].name = name
		if !infos[i].IsDir() {
			f := newFile(Ref{}.Inner(name), infos[i].Size(), infos[i].Mode())
			f.blob = &blob{ev: e, src: diskFile(p)}
			given[i].file = f
			regular = append(regular, given[i])
		}
	}
	o.pieces = o.joinPieces(regular)
	o.joinDevices(regular)
	var strange []string
	for i, p := range paths {
		name := given[i].name
		o.known = false
		if f := given[i].file; f != nil {
			o.openFile(f, name)
		} else {
			o.openFolder(p, name)
		}
		if err := e.ctx.Err(); err != nil {
			return err
		}
		if !o.known {
			strange = append(strange, p)
			e.note(Ref{}.Inner(name), Unsupported, "nothing in it was recognised")
		}
	}
	if len(strange) == len(paths) {
		return fmt.Errorf("nothing of a phone was found in %s: no partition, app, archive or image", strings.Join(strange, ", "))
	}
	o.finish()
	return e.ctx.Err()
}

func baseName(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	return filepath.Base(p)
}

func (o *opener) openFolder(p, name string) {
	t := &tree{hint: name}
	if o.several {
		t.at = Ref{}.Inner(name)
	}
	in := &input{Input: Input{Name: name, Kind: "folder"}}
	o.e.inputs = append(o.e.inputs, in)
	o.progress(Progress{Stage: "open", Item: name, Done: o.done, Total: o.total})
	o.walk(t, p, "")
	// By name as a whole, so that the order is that of every other list of paths.
	slices.SortFunc(t.entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	for _, ent := range t.entries {
		in.Size += ent.file.Size
	}
	in.members = t.entries
	o.allow(in.Size)
	o.enterTree(t, 1)
}

// walk lists a folder. Links are listed and never followed.
func (o *opener) walk(t *tree, p, prefix string) {
	list, err := os.ReadDir(p)
	if err != nil {
		w := explain(err)
		o.known = true
		o.e.note(t.at.Inner(cmp.Or(strings.TrimSuffix(prefix, "/"), ".")), w.reason, "the folder cannot be listed: "+w.detail)
	}
	for _, d := range list {
		if o.e.ctx.Err() != nil {
			return
		}
		name, full := prefix+d.Name(), filepath.Join(p, d.Name())
		if d.IsDir() {
			o.walk(t, full, name+"/")
			continue
		}
		f := newFile(t.at.Inner(name), 0, 0)
		if !o.count(f, name) {
			return
		}
		t.entries = append(t.entries, entry{name, f})
		st, err := d.Info()
		if err != nil {
			f.blob = &blob{ev: o.e, src: explain(err)}
			f.fail(err)
			continue
		}
		f.Mode = st.Mode()
		switch {
		case f.Mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(full)
			if err != nil {
				f.blob = &blob{ev: o.e, src: explain(err)}
				f.fail(err)
				continue
			}
			o.link(f, filepath.ToSlash(target))
		case f.Mode.IsRegular():
			f.Size = st.Size()
			f.blob = &blob{ev: o.e, src: diskFile(full)}
		}
	}
}

func (o *opener) openFile(f *File, name string) {
	in := &input{Input: Input{Name: name, Size: f.Size}, file: f}
	o.e.inputs = append(o.e.inputs, in)
	o.e.hashing.Go(func() { f.SHA256() })
	o.progress(Progress{Stage: "open", Item: f.Ref.String(), Done: o.done, Total: o.total})
	if set := o.pieces[f]; set != nil || o.rest[f] {
		o.known = true
		in.Kind = "part of an image"
		if set != nil {
			in.Kind = "sparse image"
			o.noteFailure(f, in.Kind+": ", o.enterSparse(set, wholeName(name), 1))
		}
	} else {
		in.Kind = o.enter(f, name, 1, true)
	}
	o.done += f.Size
	o.progress(Progress{Stage: "open", Item: f.Ref.String(), Done: o.done, Total: o.total})
}

// count takes one file with its name or link target from the budget. The first that exceeds it is the gap.
func (o *opener) count(in *File, text string) bool {
	if o.entries < maxEntries && o.text+len(text) <= maxText {
		o.entries++
		o.text += len(text)
		return true
	}
	if !o.full {
		o.full = true
		o.e.note(in.Ref, TooLarge, fmt.Sprintf("more than %d files, or too long names; this and what follows is not listed", maxEntries))
	}
	return false
}

// link makes m a link to a target.
func (o *opener) link(m *File, target string) {
	m.blob = nil
	switch {
	case target == "" || len(target) > maxTarget:
		o.e.note(m.Ref, Damaged, "a symbolic link without a target, or with one that is too long")
	case o.text+len(target) > maxText:
		o.e.note(m.Ref, TooLarge, "a symbolic link, after too many long ones")
	default:
		o.text += len(target)
		m.Link = target
	}
}

// allow adds what an input of n bytes may inflate to.
func (o *opener) allow(n int64) {
	o.e.inflation = min(inflateMax, o.e.inflation+inflateTimes*min(n, inflateMax))
	o.nesting = min(inflateMax, o.nesting+inflateTimes*min(n, inflateMax))
}

// mayInflate takes n bytes from the budget.
func (o *opener) mayInflate(n int64) bool {
	if n > o.e.inflation {
		return false
	}
	o.e.inflation -= n
	return true
}

// leastOpening is what opening even the smallest archive counts: about what its decompressor needs.
const leastOpening = 64 << 10

// mayOpen says why an archive is not opened, or "". Archives can share their bytes, so that many cost much
// and hold nothing.
func (o *opener) mayOpen(f *File, depth int) string {
	switch {
	case depth > maxDepth:
		return fmt.Sprintf("nested deeper than %d archives", maxDepth)
	case o.full:
		return "not opened, for too many files were listed before it"
	case depth == 1:
		return ""
	}
	cost := max(f.Size, leastOpening)
	if cost > o.nesting {
		return "archives in archives of more than may be opened in all"
	}
	o.nesting -= cost
	return ""
}

// enter looks at a file that lies outside of all partitions, opens it if it is an archive or an image, and
// returns what kind of file it is. given says that the user named it.
func (o *opener) enter(f *File, name string, depth int, given bool) string {
	kind, opened := o.look(f, name, depth, given)
	if given && !opened {
		o.others = append(o.others, f)
	}
	return kind
}

// look is enter, and says besides whether the file was opened or is an app.
func (o *opener) look(f *File, name string, depth int, given bool) (kind string, opened bool) {
	head, err := f.head(headSize)
	if err != nil {
		f.fail(err)
		o.known = true
		return "", false
	}
	k := identify(head)
	o.known = o.known || k.name != ""
	switch k.do {
	case unzip, untar, unwrap, fileSystem, expand, partitioned, bootable, ramdisk, payload:
		if why := o.mayOpen(f, depth); why != "" {
			o.e.note(f.Ref, TooLarge, why)
			return k.name, true
		}
	}
	switch k.do {
	case unzip:
		b, err := f.all()
		if err != nil {
			break
		}
		z, err := o.openZip(f, b)
		if err != nil {
			o.e.note(f.Ref, explain(err).reason, "a zip that cannot be listed: "+explain(err).detail)
			break
		}
		if k = zipKind(z.zip); k.do == app {
			o.apps = append(o.apps, looseApp{f, name, given, k})
			return k.name, true
		}
		o.enterTree(&tree{at: f.Ref, hint: path.Base(name), entries: o.listZip(f, z)}, depth+1)
		return k.name, true
	case untar:
		b, err := f.all()
		if err != nil {
			break
		}
		o.enterTree(&tree{at: f.Ref, hint: path.Base(name), entries: o.listTar(f, b)}, depth+1)
		return k.name, true
	case unwrap:
		return o.unwrap(f, name, k.name, depth)
	case fileSystem:
		err = o.enterFileSystem(f, name, k.name, depth)
	case expand:
		err = o.enterSparse([]*File{f}, name, depth)
	case partitioned:
		err = o.enterPartitions(f, k.name, depth)
	case bootable:
		err = o.enterBoot(f, name, depth)
	case ramdisk:
		err = o.enterRamdisk(f, depth)
	case payload:
		err = o.enterPayload(f, depth)
	case app:
		o.apps = append(o.apps, looseApp{f, name, given, k})
		return k.name, true
	case image:
		o.e.note(f.Ref, Unsupported, k.name+", not read by this version")
	case locked:
		o.e.note(f.Ref, Encrypted, k.name)
	case pointer:
		o.notePointer(f, lfsSize(head))
	case attest:
		o.certificates = append(o.certificates, f)
	case revoke:
		o.e.statuses = append(o.e.statuses, f)
	}
	switch k.do {
	case fileSystem, expand, partitioned, bootable, ramdisk, payload:
		o.noteFailure(f, k.name+": ", err)
		return k.name, err == nil
	}
	return k.name, false
}

// noteFailure makes a gap of what went wrong with an image, unless it is one already.
func (o *opener) noteFailure(f *File, what string, err error) {
	if _, noted := errors.AsType[Gap](err); err != nil && !noted && o.e.ctx.Err() == nil {
		o.e.note(f.Ref, explain(err).reason, what+explain(err).detail)
	}
}

// shortNames are how the kinds of compressed files are called behind "tar.".
var shortNames = map[string]string{"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst", "lz4": "lz4"}

// unwrap opens a compressed file. A tar in it is one container with it; anything else is a file in it.
func (o *opener) unwrap(f *File, name, kind string, depth int) (string, bool) {
	inner := strings.TrimSuffix(name, path.Ext(name))
	m := newFile(f.Ref.Inner(path.Base(inner)), -1, 0)
	m.blob = &blob{ev: o.e, src: stream{f, kind, nil}}
	head, err := m.blob.src.head(o.e, headSize)
	if err != nil {
		f.fail(err)
		return kind, false
	}
	k := identify(head)
	if k.do != image && k.do != locked {
		m.blob.src = stream{f, kind, func(n int64) { o.progress(Progress{Stage: "unpack", Item: f.Ref.String(), Done: n}) }}
		b, err := m.blob.load()
		o.e.inflation -= int64(len(b))
		m.Size = int64(len(b))
		if err != nil {
			f.fail(err)
		}
		if k.do == untar {
			o.enterTree(&tree{at: f.Ref, hint: path.Base(name), entries: o.listTar(f, b)}, depth+1)
			return "tar." + shortNames[kind], true
		}
		// What came before the damage is all there is.
		m.blob = &blob{ev: o.e, src: memory(b)}
	}
	o.enterTree(&tree{at: f.Ref, hint: path.Base(name), entries: []entry{{path.Base(inner), m}}}, depth+1)
	return kind, true
}

// enterTree finds the partitions in a tree and looks at all that is not in them.
func (o *opener) enterTree(t *tree, depth int) {
	o.layout.find(t)
	o.settled(t, depth)
}

// settled looks at all that is in a tree and not in its partitions: images of the first slot, then those of the second.
func (o *opener) settled(t *tree, depth int) {
	o.trees = append(o.trees, t)
	o.known = o.known || len(t.claims) > 0
	var left []entry
	for _, ent := range t.entries {
		if _, _, ok := t.place(ent.name); ok || ent.file.Size == 0 || ent.file.blob == nil {
			continue
		}
		if cleanName(ent.name) == nil {
			o.e.note(ent.file.Ref, Damaged, "its name leads out of the archive; it belongs to no path of the phone")
		}
		left = append(left, ent)
	}
	first := o.joinPieces(left)
	o.joinDevices(left)
	updates, dats := blockUpdates(left)
	for _, slot := range []bool{false, true} {
		for _, ent := range left {
			if o.e.ctx.Err() != nil {
				return
			}
			if otherSlot(ent.name) != slot || o.rest[ent.file] || dats[ent.file] {
				continue
			}
			set, split := first[ent.file]
			update, isList := updates[ent.file]
			var err error
			switch {
			case split:
				o.known = true
				err = o.enterSparse(set, wholeName(ent.name), depth)
			case isList:
				o.known = true
				err = o.enterBlockUpdate(update, depth)
			case strings.Contains(path.Base(ent.name), ".new.dat"): // begins as the partition does that it makes in pieces
				o.unknownImage(ent)
			default:
				if k := o.enter(ent.file, ent.name, depth, false); k == "" && t.partitions {
					o.unknownPartition(ent)
				} else if k == "" {
					o.unknownImage(ent)
				}
			}
			o.noteFailure(ent.file, "", err)
		}
	}
}

// unknownImage notes what is called an image and has no content that is known: a block image of an update
// package, an encrypted or split one.
func (o *opener) unknownImage(ent entry) {
	const least = 64 << 10 // smaller ones hold settings, not files
	name := strings.ToLower(path.Base(ent.name))
	if ent.file.Size >= least && (strings.Contains(name, ".img") || strings.Contains(name, ".new.dat")) {
		o.known = true
		o.e.note(ent.file.Ref, Unsupported, "an image by its name, of unknown content, not read by this version")
	}
}

// finish gives every file its path.
func (o *opener) finish() {
	e := o.e
	o.layout.settle()
	for _, t := range o.trees {
		for _, ent := range t.entries {
			claim, rest, ok := t.place(ent.name)
			if !ok {
				e.outside = append(e.outside, ent.file)
				continue
			}
			o.put(ent.file, strings.TrimSuffix(t.claims[claim], "/")+"/"+rest)
		}
	}
	e.outside = append(e.outside, o.others...)
	moved := map[*File]bool{}
	for _, a := range o.apps {
		switch {
		case a.given:
			o.put(a.file, "/"+path.Base(a.name))
		case len(e.roots) == 0 && cleanName(a.name) != nil:
			moved[a.file] = true
			o.put(a.file, "/"+strings.Join(cleanName(a.name), "/"))
		}
	}
	e.outside = slices.DeleteFunc(e.outside, func(f *File) bool { return moved[f] && f.Path != "" })
	e.sortLists()
	o.joinAttestations()
	o.openApexes()
	e.findDangling()
	for _, t := range o.trees {
		o.findUnstored(t)
	}
}

// listing is the name under which public dumps keep a list of all files the phone had, one path a line, from
// the folder it lies in. Their hosts refuse large files, so that many of those listed are not stored.
const listing = "all_files.txt"

// maxListed is how many lines of a listing are compared, as many as files are listed elsewhere.
const maxListed = maxEntries

// findUnstored notes the files of the phone that a dump lists and does not hold.
func (o *opener) findUnstored(t *tree) {
	for _, l := range t.entries {
		if path.Base(l.name) != listing || l.file.Path != "" || !l.file.Mode.IsRegular() {
			continue
		}
		b, err := l.file.Data()
		if err != nil {
			continue
		}
		there := make(map[string]bool, len(t.entries))
		for _, ent := range t.entries {
			there[strings.Join(cleanName(ent.name), "/")] = true
		}
		dir := strings.TrimSuffix(l.name, listing)
		n := 0
		for line := range bytes.Lines(b) {
			if n++; n > maxListed {
				o.e.note(l.file.Ref, TooLarge, fmt.Sprintf("more than %d lines; the rest is not compared", maxListed))
				break
			}
			if len(line) > maxTarget {
				continue
			}
			name := strings.Join(cleanName(dir+strings.TrimRight(string(line), "\r\n")), "/")
			if _, rest, ok := t.place(name); ok && rest != "" && !there[name] {
				there[name] = true
				o.e.note(t.at.Inner(name), Absent, "listed in "+listing+", and not in what was given")
			}
		}
	}
}

// put places a file on the phone, unless it is only the note of a file, or another one has its path.
func (o *opener) put(f *File, name string) {
	if n := f.lfsPointer(); n >= 0 {
		o.notePointer(f, n)
		o.e.outside = append(o.e.outside, f)
		return
	}
	if o.e.byPath[name] != nil {
		o.e.note(f.Ref, Damaged, "a second file of the same path "+escape(name))
		o.e.outside = append(o.e.outside, f)
		return
	}
	f.Path = name
	o.e.byPath[name] = f
	o.e.files = append(o.e.files, f)
}

func (o *opener) notePointer(f *File, size int64) {
	o.e.note(f.Ref, Absent, fmt.Sprintf("a git-LFS pointer stands for a file of %d bytes", size))
}

// lfsPointer returns the size that a git-LFS pointer names, or -1.
func (f *File) lfsPointer() int64 {
	const least, most = len(lfsMagic), 1023
	if f.blob == nil || f.Size < int64(least) || f.Size > most {
		return -1
	}
	b, err := f.head(most)
	if err != nil {
		return -1
	}
	return lfsSize(b)
}

func (e *Evidence) sortLists() {
	slices.SortFunc(e.files, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortStableFunc(e.outside, func(a, b *File) int { return Compare(a.Ref, b.Ref) })
	slices.SortStableFunc(e.roots, func(a, b Root) int { return cmp.Compare(a.Path, b.Path) })
}

// made are the directories of a running phone that no image fills. A link into them leads nowhere in any dump.
var made = []string{"/acct/", "/apex/", "/bugreports/", "/config/", "/d/", "/data/", "/dev/", "/linkerconfig/", "/metadata/", "/mnt/",
	"/proc/", "/sdcard/", "/storage/", "/sys/", "/cache/", "/persist/", "/mnt/"}

// maxFollowAll is maxFollow for all links together. The 20000 links of a phone take some 10 million.
const maxFollowAll = 1 << 30

// findDangling notes the links whose target should be in an image and is not here.
func (e *Evidence) findDangling() {
	work := 0
	for _, f := range e.files {
		if f.Link == "" {
			continue
		}
		if work > maxFollowAll {
			e.note(f.Ref, TooLarge, "links as long as no phone has them; whether this and later ones lead anywhere is not known")
			break
		}
		to, dir := e.lookup(f.Path, &work)
		if to != nil || dir != "" && e.holds(dir) {
			continue
		}
		if dir == "" {
			e.note(f.Ref, Damaged, "a link to "+escape(f.Link)+", which leads in a circle")
			continue
		}
		if !slices.ContainsFunc(made, func(m string) bool { return strings.HasPrefix(dir+"/", m) }) {
			e.note(f.Ref, Absent, "a link to "+escape(f.Link)+", which is not in what was given")
		}
	}
}
