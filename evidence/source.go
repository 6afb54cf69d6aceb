package evidence

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"gifthorse/format/apk"
	"gifthorse/format/ext4"
	"gifthorse/format/f2fs"
	"gifthorse/internal/cursor"
)

// A blob is the contents of a file, and of all hard links to it.
type blob struct {
	ev  *Evidence
	src source

	once   sync.Once
	loaded atomic.Bool // or being loaded
	data   []byte
	err    error
	flaw   string // what is wrong with contents that are handed out all the same

	hash    sync.Once
	sum     [32]byte
	hashErr error
}

// A source is where contents come from.
type source interface {
	// load returns all of the contents, and what is wrong with them if they can be used nevertheless.
	load(e *Evidence) (b []byte, flaw string, err error)
	// head returns the first n bytes, or all if there are fewer.
	head(e *Evidence, n int) ([]byte, error)
}

func (b *blob) load() ([]byte, error) {
	b.once.Do(func() {
		b.loaded.Store(true)
		b.data, b.flaw, b.err = b.src.load(b.ev)
	})
	return b.data, b.err
}

// head returns the first n bytes. Short files are loaded, for they will be asked for again.
func (f *File) head(n int) ([]byte, error) {
	if f.blob == nil {
		return nil, nil
	}
	if f.Size <= int64(n) {
		b, err := f.blob.load()
		return b[:min(n, len(b))], err
	}
	return f.blob.src.head(f.blob.ev, n)
}

// A failure is why contents cannot be had, before it is known which file it is.
type failure struct {
	reason Reason
	detail string
}

func (f *failure) Error() string { return f.reason.String() + ": " + f.detail }

// explain says in the same words everywhere why contents cannot be had.
func explain(err error) *failure {
	if w, ok := errors.AsType[*failure](err); ok {
		return w
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &failure{TooLarge, "the folder for temporary files is full"}
	case errors.Is(err, fs.ErrPermission):
		return &failure{Denied, "reading it is not permitted"}
	case errors.Is(err, fs.ErrNotExist):
		return &failure{Absent, "it went away during the scan"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{CutShort, "it ends early"}
	case errors.Is(err, ext4.ErrEncrypted), errors.Is(err, f2fs.ErrEncrypted):
		return &failure{Encrypted, "encrypted by fscrypt"}
	case errors.Is(err, errors.ErrUnsupported):
		return &failure{Unsupported, errno(err)}
	case errors.Is(err, errTooLong):
		return &failure{Damaged, errTooLong.Error()}
	}
	if e, ok := errors.AsType[spoolError](err); ok {
		return &failure{TooLarge, "the temporary file cannot be written: " + errno(e.error)}
	}
	if e, ok := errors.AsType[*cursor.FormatError](err); ok {
		return &failure{Damaged, e.Error()}
	}
	return &failure{Damaged, errno(err)}
}

// errno leaves out paths of this machine, which differ from run to run.
func errno(err error) string {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func reasonOf(err error) string { return explain(err).reason.String() }

// load and head make a failure the source of a file that is listed and cannot be read.
func (f *failure) load(*Evidence) ([]byte, string, error)  { return nil, "", f }
func (f *failure) head(e *Evidence, n int) ([]byte, error) { return nil, f }

// A diskFile is a file of a folder, by its path on this machine.
type diskFile string

// Below this many bytes reading is cheaper than mapping, and takes less memory than the pages would.
const minMapped = 16 << 10

func (d diskFile) load(e *Evidence) ([]byte, string, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	n := st.Size()
	if !st.Mode().IsRegular() {
		return nil, "", &failure{Damaged, "it changed during the scan"}
	}
	if n > math.MaxInt {
		return nil, "", &failure{TooLarge, "more than this machine can address"}
	}
	if n >= minMapped {
		if b, err := mapFile(f, 0, int(n)); err == nil {
			e.mapMu.Lock()
			e.maps = append(e.maps, b)
			e.mapMu.Unlock()
			return b, "", nil
		}
		// Out of mappings, or a file system that has none. What the heap cannot hold is too large.
		if n > maxHeapFile {
			return nil, "", &failure{TooLarge, "it cannot be mapped"}
		}
	}
	b := make([]byte, n)
	m, err := io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return b[:m], "", nil
	}
	return b, "", err
}

// maxHeapFile bounds a file that is read because it cannot be mapped.
const maxHeapFile = 256 << 20

func (d diskFile) head(e *Evidence, n int) ([]byte, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readHead(f, n)
}

func readHead(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF || n > 0 {
		err = nil
	}
	return b[:n], err
}

// A memory is contents that lie in mapped memory as they are.
type memory []byte

func (m memory) load(*Evidence) ([]byte, string, error)  { return m, "", nil }
func (m memory) head(e *Evidence, n int) ([]byte, error) { return m[:min(n, len(m))], nil }

func (m memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Slice gives a part in place: see [cursor.Slice].
func (m memory) Slice(off, n int64) []byte {
	if off < 0 || n < 0 || off > int64(len(m)) || n > int64(len(m))-off {
		return nil
	}
	return m[off:][:n:n]
}

// A zipMember is a member of a zip whose bytes are mapped.
type zipMember struct {
	in    *zipFile
	entry *apk.Entry
}

// A zipFile is a zip and its bytes.
type zipFile struct {
	zip   *apk.Zip
	bytes []byte
}

// maxSmall is up to which size inflated contents go to the heap, maxHeap how much goes there in all. Most
// files of a phone are small, and an allocation costs less than a write; but not without end: what containers take of the
// memory should stay below 256 MiB, the lists of files and what the collector leaves lying in it.
const (
	maxSmall = 1 << 20
	maxHeap  = 64 << 20
)

const wrongChecksum = "its checksum is not the one its container names"

func (z zipMember) load(e *Evidence) ([]byte, string, error) {
	ent := z.entry
	if ent.Method == apk.Stored {
		b := z.in.bytes[ent.DataOff:][:ent.Size:ent.Size] // checked when the zip was listed
		flaw := ""
		if crc32.ChecksumIEEE(b) != ent.CRC {
			flaw = wrongChecksum
		}
		return b, flaw, nil
	}
	var b []byte
	var err error
	if ent.Size <= maxSmall && e.heap.Add(ent.Size) <= maxHeap {
		b, err = z.in.zip.ReadFile(ent, maxSmall)
	} else {
		var r io.ReadCloser
		if r, err = z.in.zip.Open(ent); err != nil {
			return nil, "", err
		}
		defer r.Close()
		b, err = e.spool.put(e.ctx, ent.Size, r)
	}
	if errors.Is(err, apk.ErrChecksum) {
		return b, wrongChecksum, nil
	}
	if err != nil {
		return nil, "", err
	}
	return b, "", nil
}

func (z zipMember) head(e *Evidence, n int) ([]byte, error) {
	r, err := z.in.zip.Open(z.entry)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readHead(r, n)
}
