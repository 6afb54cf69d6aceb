// Package evidence opens what the user has of a phone and yields the phone's files.
//
// [Open] takes folders and files: a dump, an image, what `adb pull` made, an archive of any of these, an
// update package, one app. Everything is recognised by its content, never by its name, and archives and
// images in archives are opened to a fixed depth. It looks for the phone's partitions in the layouts that
// dumps use and gives every file below them the path it has on the phone. What lies elsewhere (notes,
// scatter files, the images themselves) is kept apart in [Evidence.Outside]. APKs and JARs are files of the phone:
// the models open them. What could not be seen is a [Gap].
//
// Every file has a [Ref] that leads to it through all containers, and a path on the phone. Files are read
// in place: folders, stored members of a zip, members of a tar and files that lie in one piece in an image
// are memory-mapped; what is compressed or in pieces is put together when it is first asked for, once,
// in the heap or in one private temporary file. What is mapped
// must not be cut short by another program during the scan: on Unix that ends the process.
//
// # Paths
//
// Paths are those of the running system: /system, /vendor, /product, and so on. The root is the outer level
// of a system image, or what `adb pull /` made, or else, as before system-as-root (Android 9 and 10), the boot
// image's ramdisk, if it holds init.rc and does not start recovery. Ramdisks that the running system does not
// see stand where no phone has them: /boot-ramdisk, /vendor-ramdisk, /recovery-ramdisk.
//
// The first tree found for a partition is the partition. Another one (a second slot, a second phone in the
// same archive) is a gap and lies in [Evidence.Outside], and so does a second file of one path.
//
// An app, a DEX or a library that is given alone is no phone: [Evidence.Roots] is empty and the file's path
// is "/" and its base name. The same goes for a folder or archive of loose apps.
//
// Symbolic links are links only where the container says so (a folder, a tar, the Unix mode of a zip
// member). A small text file that git left in the place of a link is a file.
//
// # What is given along
//
// Certificates of key attestation and Google's list of revoked keys are recognised outside of the partitions, so that they can be
// given beside a phone, or alone: a file that holds a chain, a folder or several files with a certificate each.
//
// # Images
//
// File systems (ext2 to ext4, erofs, f2fs, squashfs) are listed in place through what they lie in: sparse images, whole or in
// pieces that are given together, super partitions, on several devices if these are given together, disks with a GUID partition table, block-based updates
// (*.new.dat with *.transfer.list), payload.bin. A partition of a payload is unpacked once, and so is a
// *.new.dat.br and an image that is deflated in a zip. Of boot images the ramdisks are listed, those of
// vendor_boot one over the other, as the bootloader loads them.
//
// Addresses name what has a name: super.img!system_a!app/A/A.apk, boot.img!ramdisk!init.rc,
// vendor_boot.img!dlkm!lib/m.ko, ota.zip!payload.bin!system!build.prop. That an image is sparse adds no name;
// an image in pieces has the address of the first, an update's partition that of its *.new.dat.
//
// A file system is the partition that its image is called as (system.img, vendor_a, product.new.dat), or
// else the one that it was mounted as or is labelled as, or else the one that it looks like by what it holds.
// A system image that holds the partition in a directory system is the root as well. Of two slots the first,
// _a, is the phone.
//
// # Modules
//
// An APEX is a file of the phone, and its contents are too: those of the image in it, at /apex and the module's name, as apexd
// mounts them. Of several of one name the one counts that the phone would use; see [Evidence.Apexes]. Addresses go on in
// the APEX: system.img!apex/com.android.wifi.apex!apex_payload.img!javalib/service-wifi.jar.
//
// # Not read
//
// 7z, rar: each is a gap "unsupported" with its name. Partitions that an update makes from the phone's old ones: each is a gap,
// and the others of the update are read. What is encrypted. Journals that were not replayed, writes after a last checkpoint. Which of
// two slots the phone starts. Members of a zip that are neither stored nor deflated. Tar archives behind their first damaged
// header. Owners, labels and capabilities are known only where a tar or a file system holds them, of a ramdisk's files the owners
// alone.
package evidence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gifthorse/internal/cursor"
)

// An Evidence is what was opened. It does not change after [Open], but for gaps that show when files are
// read. All methods may be used by several goroutines; Close ends the life of all data.
type Evidence struct {
	ctx     context.Context
	stop    context.CancelFunc
	files   []*File
	outside []*File
	byPath  map[string]*File
	roots   []Root
	apexes  []*Apex
	mounts  []mount // folders of modules, seen below /apex
	inputs  []*input

	attestations []Attestation
	statuses     []*File

	gapMu sync.Mutex
	gaps  map[Gap]struct{}

	spool     spool
	heap      atomic.Int64 // bytes of small inflated files held in memory
	mapMu     sync.Mutex
	maps      [][]byte
	inflation int64 // bytes that may still be inflated, by what containers announce
	hashing   sync.WaitGroup
}

// An Input is one of the things that were given to [Open].
type Input struct {
	Name string // base name
	Kind string // "folder", "zip", "apk", "tar.gz", "dex", ...: see [Identify]
	Size int64  // bytes; of a folder the sum of its files

	// SHA256 is of the file. For a folder it is of a listing, one line for each file in order of path:
	// path, NUL, size, NUL, SHA-256 of the content in hexadecimal (of a link: "link", NUL, target; of what
	// cannot be read: the reason), line feed. It is zero if the input could not be read to its end.
	SHA256 [32]byte
}

type input struct {
	Input
	file    *File   // of an input that is a file
	members []entry // of a folder, in order of name
	once    sync.Once
}

// A Root says that a partition was found, and where.
type Root struct {
	Path string // "/system", "/vendor", "/"
	At   Ref    // the folder or archive that holds it
}

// A File is one file: a regular file, a symbolic link or a special file; directories are not listed.
type File struct {
	Path string // on the phone, absolute; the bytes as they are; "" for a file outside of the phone
	Ref  Ref
	Size int64       // bytes; -1 if a compressed image is not unpacked to learn it
	Mode fs.FileMode // type and permissions as the container has them; a zip not made on Unix has none
	Link string      // the target, if a symbolic link

	// Few containers know an owner. A folder has those of the analyst's disk, which say nothing.
	HasOwner bool
	UID, GID int    // -1 if unknown
	Label    string // SELinux label, "" if unknown
	Caps     uint64 // file capabilities, the permitted set

	blob *blob
}

func newFile(at Ref, size int64, mode fs.FileMode) *File {
	return &File{Ref: at, Size: size, Mode: mode, UID: -1, GID: -1}
}

// Close unmaps all data and removes the temporary file. No slice that [File.Data] gave may be used after it.
func (e *Evidence) Close() error {
	e.stop()
	e.hashing.Wait()
	e.mapMu.Lock()
	defer e.mapMu.Unlock()
	for _, m := range e.maps {
		unmap(m)
	}
	e.maps = nil
	e.spool.close()
	return nil
}

// Files returns the files of the phone in order of path. No two have the same path.
func (e *Evidence) Files() []*File { return e.files }

// Outside returns the files that belong to no partition of the phone, in order of address: notes, scatter
// files, images, and files whose path another file has already taken.
func (e *Evidence) Outside() []*File { return e.outside }

// Roots returns the partitions that were found, in order of path. It is empty if what was given is no
// phone: one app, say.
func (e *Evidence) Roots() []Root { return e.roots }

// The maximum of symbolic links in one path: MAXSYMLINKS of Linux (include/linux/namei.h).
const maxLinks = 40

// File returns the file at a path of the phone, or nil. Links on the way and at the end are followed inside
// the phone; so are those links between partitions that every phone has and that unpackers lose.
func (e *Evidence) File(name string) *File {
	work := 0
	f, _ := e.lookup(name, &work)
	return f
}

// maxFollow is how many bytes of path names are looked up for one path. A path of ten directories through ten
// links takes 5000. Without end a made-up tree costs seconds for every path.
const maxFollow = 1 << 20

// lookup follows name to a file, or else to the directory path that it means, "" for a circle. It adds
// to work.
func (e *Evidence) lookup(name string, work *int) (*File, string) {
	full := path.Clean("/" + name)
	end := *work + maxFollow
	for range maxLinks {
		if f := e.byPath[full]; f != nil && f.Link == "" {
			return f, full
		}
		next := e.followOne(full, work)
		if next == "" {
			return nil, full
		}
		if *work > end {
			break
		}
		full = next
	}
	return nil, ""
}

// followOne replaces the first link in full, or "" if there is none.
func (e *Evidence) followOne(full string, work *int) string {
	for i := 1; i <= len(full) && i <= 2*maxTarget; i++ {
		if i < len(full) && full[i] != '/' {
			continue
		}
		*work += i
		if f := e.byPath[full[:i]]; f != nil {
			if f.Link == "" {
				return ""
			}
			if strings.HasPrefix(f.Link, "/") {
				return path.Clean(f.Link + full[i:])
			}
			return path.Clean(path.Dir(full[:i]) + "/" + f.Link + full[i:])
		}
		for _, m := range e.mounts {
			if full[:i] == m.at {
				return m.from + full[i:]
			}
		}
		for _, l := range usualLinks {
			if full[:i] == l.from && !e.holds(l.from) && e.holds(l.to) {
				return l.to + full[i:]
			}
		}
	}
	return ""
}

// holds reports whether any file lies below dir.
func (e *Evidence) holds(dir string) bool { return len(e.below(dir)) > 0 }

// usualLinks are the links that AOSP's build puts on every phone of one layout or the other
// (system/core/rootdir/Android.mk, create_root_structure.mk; build/make/core/Makefile). The partition is
// whichever of the two holds files.
var usualLinks = []struct{ from, to string }{
	{"/system/vendor", "/vendor"}, {"/vendor", "/system/vendor"},
	{"/system/product", "/product"}, {"/product", "/system/product"},
	{"/system/system_ext", "/system_ext"}, {"/system_ext", "/system/system_ext"},
	{"/vendor/odm", "/odm"}, {"/odm", "/vendor/odm"},
	{"/vendor/vendor_dlkm", "/vendor_dlkm"}, {"/vendor_dlkm", "/vendor/vendor_dlkm"},
	{"/vendor/odm_dlkm", "/odm_dlkm"}, {"/odm_dlkm", "/vendor/odm_dlkm"}, {"/odm_dlkm", "/odm/odm_dlkm"},
	{"/system/system_dlkm", "/system_dlkm"}, {"/system_dlkm", "/system/system_dlkm"},
	{"/etc", "/system/etc"}, {"/bin", "/system/bin"},
}

// Under returns the files below a directory of the phone, at any depth, in order of path. Links to the
// directory are followed, links inside are listed and not entered.
func (e *Evidence) Under(dir string) []*File {
	work := 0
	_, dir = e.lookup(dir, &work)
	if dir == "" {
		return nil
	}
	return e.below(dir)
}

func (e *Evidence) below(dir string) []*File {
	if dir == "/" {
		return e.files
	}
	// '0' is the byte after '/': everything between begins with dir and a slash.
	byPath := func(f *File, p string) int { return cmp.Compare(f.Path, p) }
	from, _ := slices.BinarySearchFunc(e.files, dir+"/", byPath)
	to, _ := slices.BinarySearchFunc(e.files, dir+"0", byPath)
	return e.files[from:to:to]
}

// Inputs returns what was given, in the order given, with hashes. The first call waits until all is read;
// the files of folders are then hashed on all cores.
func (e *Evidence) Inputs() []Input {
	out := make([]Input, len(e.inputs))
	for i, in := range e.inputs {
		in.once.Do(func() { in.SHA256 = e.hashInput(in) })
		out[i] = in.Input
	}
	return out
}

func (e *Evidence) hashInput(in *input) [32]byte {
	if in.file != nil {
		sum, _ := in.file.SHA256()
		return sum
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for e.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(in.members) {
					return
				}
				in.members[i].file.SHA256()
			}
		})
	}
	wg.Wait()
	if e.ctx.Err() != nil {
		return [32]byte{}
	}
	h := sha256.New()
	for _, m := range in.members {
		f := m.file
		fmt.Fprintf(h, "%s\x00", m.name)
		if f.Link != "" {
			fmt.Fprintf(h, "link\x00%s\n", f.Link)
			continue
		}
		sum, err := f.SHA256()
		if err != nil {
			fmt.Fprintf(h, "%d\x00%s\n", f.Size, reasonOf(err))
			continue
		}
		fmt.Fprintf(h, "%d\x00%s\n", f.Size, hex.EncodeToString(sum[:]))
	}
	return [32]byte(h.Sum(nil))
}

// maxData is how many bytes of one file [File.Data] gives. No code or text on a phone is as large; the
// largest app stores, models and fonts are well below. What is larger is an image, for ReaderAt.
const maxData = 2 << 30

// Data returns the whole contents, shared, read-only and valid until [Evidence.Close]. The contents are
// read or inflated at most once. A file of more than 2 GiB is too large. The error is a [Gap], which then is
// in [Evidence.Gaps] too; for a link or a special file it wraps [Unsupported] and is no gap.
func (f *File) Data() ([]byte, error) {
	if f.Size > maxData && f.Mode.IsRegular() {
		return nil, f.fail(&failure{TooLarge, fmt.Sprintf("%d bytes, more than the %d that are read as a whole", f.Size, int64(maxData))})
	}
	b, err := f.all()
	if int64(len(b)) > maxData {
		return nil, f.fail(&failure{TooLarge, fmt.Sprintf("%d bytes, more than the %d that are read as a whole", len(b), int64(maxData))})
	}
	return b, err
}

// ReaderAt returns a reader of the contents, of any size, with the errors of [File.Data].
func (f *File) ReaderAt() (io.ReaderAt, error) { return f.reader() }

// SHA256 returns the hash of the contents. It is computed once. It keeps no contents that nobody has asked for.
func (f *File) SHA256() ([32]byte, error) {
	if b := f.blob; b != nil && !b.loaded.Load() {
		if i, ok := b.src.(inode); ok {
			b.hash.Do(func() {
				r, err := i.contents()
				if b.hashErr = err; err == nil {
					b.sum, b.hashErr = sumOf(b.ev.ctx, r, f.Size)
				}
			})
			return f.hashed()
		}
	}
	r, err := f.reader()
	if err != nil {
		return [32]byte{}, err
	}
	b := f.blob
	b.hash.Do(func() { b.sum, b.hashErr = sumOf(b.ev.ctx, r, f.Size) })
	return f.hashed()
}

func (f *File) hashed() ([32]byte, error) {
	b := f.blob
	if b.hashErr != nil {
		return [32]byte{}, f.fail(b.hashErr)
	}
	return b.sum, nil
}

// sumOf hashes in steps, so that a scan that ends does not wait for gigabytes.
func sumOf(ctx context.Context, r io.ReaderAt, size int64) ([32]byte, error) {
	const step = 4 << 20
	h := sha256.New()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if m, ok := r.(memory); ok { // a file may have shrunk since it was listed
		size = int64(len(m))
	}
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return [32]byte{}, err
		}
		n := min(size-off, step)
		b := cursor.Slice(r, off, n)
		if b == nil {
			n = min(n, int64(len(*buf)))
			b = (*buf)[:n]
			if k, err := r.ReadAt(b, off); int64(k) < n {
				return [32]byte{}, cmp.Or(err, io.ErrUnexpectedEOF)
			}
		}
		h.Write(b)
		off += n
	}
	return [32]byte(h.Sum(nil)), nil
}

func (f *File) all() ([]byte, error) {
	if f.blob == nil {
		return nil, Gap{f.Ref, Unsupported, "not a regular file"}
	}
	b, err := f.blob.load()
	if err != nil {
		return nil, f.fail(err)
	}
	if f.blob.flaw != "" {
		f.blob.ev.note(f.Ref, Damaged, f.blob.flaw)
	}
	return b, nil
}

// fail makes a gap of a failure. That the scan was cancelled is none.
func (f *File) fail(err error) error {
	if f.blob.ev.ctx.Err() != nil {
		return f.blob.ev.ctx.Err()
	}
	w := explain(err)
	f.blob.ev.note(f.Ref, w.reason, w.detail)
	return Gap{f.Ref, w.reason, w.detail}
}
