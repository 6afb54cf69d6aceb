package apk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sync"

	"gifthorse/internal/cursor"

	"github.com/klauspost/compress/flate"
)

// A FormatError says what is wrong with a file, and at which byte of it.
type FormatError = cursor.FormatError

// ErrChecksum is returned after the last byte of an entry whose content does not have the CRC-32 that the
// central directory names. Android does not look at the CRC (kCrcChecksEnabled is false in
// system/libziparchive/zip_archive.cc): it uses such an entry, so the bytes are handed out all the same.
var ErrChecksum = errors.New("the content does not have the checksum the zip names")

// Compression methods. Every other number is left to [Zip.Open] to judge.
const (
	Stored   = 0
	Deflated = 8
)

const (
	sizeLocal     = 30
	sizeCentral   = 46
	sizeEOCD      = 22
	sizeLocator64 = 20
	sizeEOCD64    = 56

	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigEOCD       = 0x06054b50
	sigLocator64  = 0x07064b50
	sigEOCD64     = 0x06064b50
	sigDescriptor = 0x08074b50

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3

	// A comment's length has 16 bits, so the end record starts at most this far before the end of the file.
	maxEOCDSearch = math.MaxUint16 + sizeEOCD

	// The central directory is held in memory. A million entries with names of 200 bytes fit in this.
	maxCentralDir = 256 << 20

	// Disagreements are evidence to be shown. A thousand show as much as a million would, in bounded memory.
	maxDisagreements = 1000
)

// A Zip is an opened zip container. It is read-only and safe for use by several goroutines.
type Zip struct {
	Entries []Entry // in the order of the central directory
	Comment []byte

	CentralDir int64 // offset of the central directory
	EOCD       int64 // offset of the end of central directory record

	// Disagreements are the places where the zip says two things at once, at most 1000 of them.
	Disagreements []Disagreement

	r     io.ReaderAt
	size  int64
	index map[string]int32
}

// An Entry is one file of a zip, as its central directory describes it.
type Entry struct {
	Name           string // the bytes as they are; Android takes UTF-8 without NUL only
	Method         uint16 // Stored, Deflated, or a number no Android knows
	Flags          uint16
	MadeBy         uint16 // upper byte: the host system, 3 is Unix
	ExternalAttrs  uint32
	CRC            uint32
	CompressedSize int64
	Size           int64
	HeaderOff      int64 // of the local header
	DataOff        int64 // of the content, from the local header's own lengths; -1 if no local header is there
}

// UnixMode returns the entry's Unix mode with its file type bits. An entry that was not made by a Unix
// program counts as 0777, as in system/libziparchive.
func (e *Entry) UnixMode() uint32 {
	if e.MadeBy>>8 == 3 {
		return e.ExternalAttrs >> 16
	}
	return 0o777
}

// A Disagreement is a place where two readers of a zip can come to different results.
type Disagreement struct {
	Entry   string // name of the entry, "" for the zip as a whole
	What    string // the field or rule: "name", "size", "duplicate name", "encrypted flag", ...
	Off     int64  // where in the file it shows
	Central string // what the central directory, or the first of two, says
	Local   string // what the local header, or the second of two, says
	Refused bool   // today's system/libziparchive refuses the entry, or with Entry "" the whole zip
}

func (d Disagreement) String() string {
	s := d.What
	if d.Entry != "" {
		s = fmt.Sprintf("%q: %s", d.Entry, d.What)
	}
	if d.Central != "" || d.Local != "" {
		s += fmt.Sprintf(": %s against %s", d.Central, d.Local)
	}
	return s
}

func (z *Zip) disagree(d Disagreement) {
	if len(z.Disagreements) < maxDisagreements {
		z.Disagreements = append(z.Disagreements, d)
	}
}

// NewZip opens a zip of size bytes. It reads the central directory and every local header, no content.
//
// It takes everything system/libziparchive/zip_archive.cc takes, and more: what libziparchive refuses is
// read as far as it goes and noted as a [Disagreement] with Refused set. The number of entries is bounded
// by the size of the central directory, which is at most 256 MiB.
func NewZip(r io.ReaderAt, size int64) (*Zip, error) {
	z := &Zip{r: r, size: size}
	end, err := z.findEnd()
	if err != nil {
		return nil, err
	}
	z.CentralDir, z.EOCD, z.Comment, z.Disagreements = end.dir, end.eocd, end.comment, end.notes
	if end.size > maxCentralDir {
		return nil, fmt.Errorf("central directory of %d bytes: %w", end.size, errors.ErrUnsupported)
	}
	dir := make([]byte, end.size)
	if err := readAt(r, dir, z.CentralDir); err != nil {
		return nil, err
	}
	z.readCentral(dir, end)
	z.readLocals()
	z.findOverlaps()
	return z, nil
}

func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return cursor.Errorf(off, "%d bytes wanted, %d left", len(b), n)
	}
	return err
}

// end is what the end records say of the central directory.
type end struct {
	count   uint64
	dir     int64 // offset of the central directory
	size    int64
	eocd    int64
	prefix  int64 // to be added to every offset: bytes put before a zip that does not know of them
	comment []byte
	notes   []Disagreement
}

// findEnd finds the end of central directory record. Android takes the last signature in the file and
// refuses the zip if the comment does not end exactly where the file ends, or if there are no entries. Here
// the last one that leads to an entry is taken, so that junk behind a zip does not hide it.
func (z *Zip) findEnd() (end, error) {
	if z.size < sizeEOCD {
		return end{}, cursor.Errorf(0, "%d bytes are too few for a zip", z.size)
	}
	n := min(z.size, maxEOCDSearch)
	tail := make([]byte, n)
	start := z.size - n
	if err := readAt(z.r, tail, start); err != nil {
		return end{}, err
	}
	var (
		sig   = []byte("PK\x05\x06")
		last  = -1
		empty *end
		first error
	)
	for i := bytes.LastIndex(tail[:int(n)-sizeEOCD+len(sig)], sig); i >= 0; i = bytes.LastIndex(tail[:i], sig) {
		last = max(last, i)
		e, err := z.readEnd(tail[i:], start+int64(i))
		switch {
		case err != nil:
			if first == nil {
				first = err
			}
		case e.count == 0:
			if empty == nil {
				empty = &e
			}
		default:
			if i < last {
				e.notes = append(e.notes, Disagreement{What: "a later end record leads nowhere", Off: start + int64(last), Refused: true})
			}
			return e, nil
		}
	}
	switch {
	case empty != nil:
		return *empty, nil
	case first != nil:
		return end{}, first
	}
	return end{}, cursor.Errorf(start, "no end of central directory record")
}

// readEnd reads the end record at the start of b, which reaches to the end of the file.
func (z *Zip) readEnd(b []byte, off int64) (end, error) {
	var (
		le    = binary.LittleEndian
		count = uint64(le.Uint16(b[10:]))
		size  = uint64(le.Uint32(b[12:]))
		dir   = uint64(le.Uint32(b[16:]))
		clen  = int64(le.Uint16(b[20:]))
		limit = off // the directory ends before this
		notes []Disagreement
	)
	// libziparchive turns to the zip64 record for a size or offset of all ones, and not for the count.
	// Writers of more than 65534 entries set the count alone.
	need64 := size == math.MaxUint32 || dir == math.MaxUint32
	if need64 || count == math.MaxUint16 {
		c64, s64, d64, off64, err := z.readEnd64(off)
		switch {
		case err == nil:
			if !need64 && c64 != count {
				notes = append(notes, Disagreement{What: "number of entries, zip64 record against end record", Off: off,
					Central: fmt.Sprint(c64), Local: fmt.Sprint(count)})
			}
			count, size, dir, limit = c64, s64, d64, off64
		case need64:
			return end{}, err
		}
	}
	if size > uint64(limit) || dir > uint64(limit)-size {
		return end{}, cursor.Errorf(off, "central directory (%d bytes at %#x) outside the file", size, dir)
	}
	e := end{count: count, dir: int64(dir), size: int64(size), eocd: off}
	if count > 0 && !z.isCentral(e.dir) {
		// Bytes in front of a zip that its maker did not count: offsets are from the zip's own first byte.
		shifted := limit - e.size
		if shifted == e.dir || !z.isCentral(shifted) {
			return end{}, cursor.Errorf(e.dir, "no central directory there")
		}
		notes = append(notes, Disagreement{What: "offsets do not count the bytes before the zip", Off: off, Refused: true,
			Central: fmt.Sprint(e.dir), Local: fmt.Sprint(shifted)})
		e.prefix, e.dir = shifted-e.dir, shifted
	}
	comment := b[sizeEOCD:]
	if int64(len(comment)) != clen {
		notes = append(notes, Disagreement{What: "length of the comment", Off: off + 20, Refused: true,
			Central: fmt.Sprint(clen), Local: fmt.Sprintf("%d bytes to the end of the file", len(comment))})
	}
	e.comment = bytes.Clone(comment[:min(clen, int64(len(comment)))])
	e.notes = notes
	return e, nil
}

func (z *Zip) isCentral(off int64) bool {
	var b [4]byte
	return readAt(z.r, b[:], off) == nil && binary.LittleEndian.Uint32(b[:]) == sigCentral
}

func (z *Zip) readEnd64(eocd int64) (count, size, dir uint64, off int64, err error) {
	le := binary.LittleEndian
	var loc [sizeLocator64]byte
	at := eocd - sizeLocator64
	if at < 0 {
		return 0, 0, 0, 0, cursor.Errorf(eocd, "no room for a zip64 locator")
	}
	if err := readAt(z.r, loc[:], at); err != nil {
		return 0, 0, 0, 0, err
	}
	if le.Uint32(loc[:]) != sigLocator64 {
		return 0, 0, 0, 0, cursor.Errorf(at, "no zip64 locator")
	}
	rec := le.Uint64(loc[8:])
	if at < sizeEOCD64 || rec > uint64(at-sizeEOCD64) {
		return 0, 0, 0, 0, cursor.Errorf(at, "zip64 end record at %#x is outside the file", rec)
	}
	off = int64(rec)
	var b [sizeEOCD64]byte
	if err := readAt(z.r, b[:], off); err != nil {
		return 0, 0, 0, 0, err
	}
	if le.Uint32(b[:]) != sigEOCD64 {
		return 0, 0, 0, 0, cursor.Errorf(off, "no zip64 end record")
	}
	return le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:]), off, nil
}

// readCentral fills Entries and the index.
func (z *Zip) readCentral(dir []byte, end end) {
	le := binary.LittleEndian
	n := int(min(end.count, uint64(len(dir)/sizeCentral)))
	z.Entries = make([]Entry, 0, n)
	z.index = make(map[string]int32, n)
	names := string(dir) // every name is a part of this one string
	p := 0
	for len(z.Entries) < n {
		h := dir[p:]
		if len(h) < sizeCentral || le.Uint32(h) != sigCentral {
			break
		}
		nameLen, extraLen, commentLen := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
		if len(h) < sizeCentral+nameLen+extraLen {
			break
		}
		e := Entry{
			MadeBy:        le.Uint16(h[4:]),
			Flags:         le.Uint16(h[8:]),
			Method:        le.Uint16(h[10:]),
			CRC:           le.Uint32(h[16:]),
			ExternalAttrs: le.Uint32(h[38:]),
			Name:          names[p+sizeCentral : p+sizeCentral+nameLen],
			DataOff:       -1,
		}
		csize, size, off := le.Uint32(h[20:]), le.Uint32(h[24:]), le.Uint32(h[42:])
		sz := sizes64{uint64(csize), uint64(size), uint64(off)}
		if csize == math.MaxUint32 || size == math.MaxUint32 || off == math.MaxUint32 {
			if !sz.read(h[sizeCentral+nameLen:sizeCentral+nameLen+extraLen], true) {
				z.disagree(Disagreement{Entry: e.Name, What: "zip64 field missing or damaged", Off: z.CentralDir + int64(p), Refused: true})
			}
		}
		e.CompressedSize, e.Size, e.HeaderOff = clamp(sz.compressed), clamp(sz.size), clamp(sz.header)
		if e.HeaderOff <= math.MaxInt64-end.prefix {
			e.HeaderOff += end.prefix
		}
		z.checkCentral(&e, p)
		if i, ok := z.index[e.Name]; ok {
			// zip_cd_entry_map.cc: kDuplicateEntry, the archive does not open.
			z.disagree(Disagreement{What: "duplicate name " + fmt.Sprintf("%q", e.Name), Off: z.CentralDir + int64(p), Refused: true,
				Central: fmt.Sprintf("entry %d", i), Local: fmt.Sprintf("entry %d", len(z.Entries))})
		} else {
			z.index[e.Name] = int32(len(z.Entries))
		}
		z.Entries = append(z.Entries, e)
		p += sizeCentral + nameLen + extraLen
		if commentLen > len(dir)-p {
			z.disagree(Disagreement{What: "comment of the last entry leaves the central directory", Off: z.CentralDir + int64(p), Refused: true})
			p = len(dir)
			break
		}
		p += commentLen
	}
	if got := uint64(len(z.Entries)); got < end.count {
		z.disagree(Disagreement{What: "number of entries", Off: z.CentralDir + int64(p), Refused: true,
			Central: fmt.Sprintf("%d in the end record", end.count), Local: fmt.Sprintf("%d found", got)})
	} else if p < len(dir) {
		// Android stops counting here too, without a word.
		z.disagree(Disagreement{What: "bytes behind the last entry of the central directory", Off: z.CentralDir + int64(p),
			Central: fmt.Sprintf("%d entries", end.count), Local: fmt.Sprintf("%d bytes more", len(dir)-p)})
	}
}

func clamp(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

func (z *Zip) checkCentral(e *Entry, p int) {
	off := z.CentralDir + int64(p)
	if e.Flags&flagEncrypted != 0 {
		// Neither libziparchive nor AssetManager looks at this bit; unpackers ask for a password.
		z.disagree(Disagreement{Entry: e.Name, What: "encrypted flag, which Android ignores", Off: off + 8})
	}
	if e.Method != Stored && e.Method != Deflated {
		z.disagree(Disagreement{Entry: e.Name, What: "unknown compression method, which AssetManager takes for stored", Off: off + 10,
			Central: fmt.Sprint(e.Method), Local: fmt.Sprint(Stored)})
	}
	if e.Method == Stored && e.CompressedSize != e.Size {
		// CopyEntryToWriter takes the uncompressed size.
		z.disagree(Disagreement{Entry: e.Name, What: "stored, but with two sizes", Off: off + 20,
			Central: fmt.Sprint(e.CompressedSize), Local: fmt.Sprint(e.Size)})
	}
	if !validName(e.Name) {
		z.disagree(Disagreement{What: fmt.Sprintf("name %q is not UTF-8 or holds NUL", e.Name), Off: off + sizeCentral, Refused: true})
	}
}

// validName is the rule of system/libziparchive/entry_name_utils-inl.h: no NUL, and every leading byte
// followed by as many continuation bytes as it announces. Overlong forms and surrogates pass.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == 0 || c&0xc0 == 0x80 || c&0xfe == 0xfe {
			return false
		}
		if c < 0x80 {
			continue
		}
		for m := c << 1; m&0x80 != 0; m <<= 1 {
			if i++; i >= len(s) || s[i]&0xc0 != 0x80 {
				return false
			}
		}
	}
	return true
}

// sizes64 are the three values that a zip64 extra field can replace.
type sizes64 struct{ compressed, size, header uint64 }

// read replaces those values that are all ones. central says that the field may hold a header offset.
func (s *sizes64) read(extra []byte, central bool) bool {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return false
		}
		f := extra[:n]
		extra = extra[n:]
		if id != 1 {
			continue
		}
		all := n >= 24 // Go's zip writer writes all three whatever is needed
		for _, v := range []*uint64{&s.size, &s.compressed, &s.header} {
			if v == &s.header && !central || *v != math.MaxUint32 && !all {
				continue
			}
			if len(f) < 8 {
				return false
			}
			*v = le.Uint64(f)
			f = f[8:]
		}
		return true
	}
	return false
}

// readLocals finds the content of every entry and compares its local header with the central directory.
func (z *Zip) readLocals() {
	le := binary.LittleEndian
	buf := make([]byte, sizeLocal+256)
	first := int64(math.MaxInt64)
	for i := range z.Entries {
		e := &z.Entries[i]
		first = min(first, e.HeaderOff)
		note := func(what string, central, local any) {
			z.disagree(Disagreement{Entry: e.Name, What: what, Off: e.HeaderOff, Central: fmt.Sprint(central), Local: fmt.Sprint(local), Refused: true})
		}
		if e.HeaderOff > z.CentralDir-sizeLocal {
			note("local header outside", e.HeaderOff, z.CentralDir)
			if e.HeaderOff > z.size-sizeLocal {
				continue
			}
		}
		want := sizeLocal + len(e.Name)
		if want > len(buf) {
			buf = make([]byte, want)
		}
		b := buf[:min(int64(want), z.size-e.HeaderOff)]
		if readAt(z.r, b, e.HeaderOff) != nil || le.Uint32(b) != sigLocal {
			note("no local header", e.HeaderOff, "nothing")
			continue
		}
		nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
		e.DataOff = e.HeaderOff + sizeLocal + int64(nameLen) + int64(extraLen)
		if nameLen != len(e.Name) || string(b[sizeLocal:]) != e.Name {
			local := make([]byte, nameLen)
			n, _ := z.r.ReadAt(local, e.HeaderOff+sizeLocal)
			note("name", fmt.Sprintf("%q", e.Name), fmt.Sprintf("%q", local[:n]))
		}
		// Android goes by the central directory for the method, by the local header for the flags, and looks
		// at no other flag than that of the data descriptor.
		flags, method := le.Uint16(b[6:]), le.Uint16(b[8:])
		if flags != e.Flags {
			z.disagree(Disagreement{Entry: e.Name, What: "flags", Off: e.HeaderOff + 6,
				Central: fmt.Sprintf("%#x", e.Flags), Local: fmt.Sprintf("%#x", flags)})
		}
		if method != e.Method {
			z.disagree(Disagreement{Entry: e.Name, What: "method", Off: e.HeaderOff + 8, Central: fmt.Sprint(e.Method), Local: fmt.Sprint(method)})
		}
		if e.DataOff > z.CentralDir || e.CompressedSize > z.CentralDir-e.DataOff || e.Method == Stored && e.Size > z.CentralDir-e.DataOff {
			note("content outside", fmt.Sprintf("%d bytes at %#x", e.CompressedSize, e.DataOff), fmt.Sprintf("%#x", z.CentralDir))
			continue
		}
		crc, sz := le.Uint32(b[14:]), sizes64{compressed: uint64(le.Uint32(b[18:])), size: uint64(le.Uint32(b[22:]))}
		if flags&flagDescriptor != 0 {
			crc, sz = z.readDescriptor(e, crc, sz)
		} else if sz.compressed == math.MaxUint32 || sz.size == math.MaxUint32 {
			extra := make([]byte, extraLen)
			if readAt(z.r, extra, e.DataOff-int64(extraLen)) != nil || !sz.read(extra, false) {
				note("zip64 field", "there", "missing or damaged")
				continue
			}
		}
		if uint64(e.CompressedSize) != sz.compressed {
			note("compressed size", e.CompressedSize, sz.compressed)
		}
		if uint64(e.Size) != sz.size {
			note("size", e.Size, sz.size)
		}
		if e.CRC != crc {
			note("CRC", fmt.Sprintf("%08x", e.CRC), fmt.Sprintf("%08x", crc))
		}
	}
	if len(z.Entries) == 0 {
		return
	}
	// Since the patches of December 2017 the file must start with a local header (bug 64211847): before, a DEX could stand
	// in front of the zip, and one file was two programs.
	var b [4]byte
	if readAt(z.r, b[:], 0) != nil || le.Uint32(b[:]) != sigLocal {
		z.disagree(Disagreement{What: "does not start with a local header", Refused: true})
	} else if first > 0 {
		z.disagree(Disagreement{What: "bytes before the first entry", Local: fmt.Sprint(first)})
	}
}

// readDescriptor reads what stands behind the content of an entry written without knowing its size.
// (ValidateDataDescriptor in zip_archive.cc, which runs only when an entry is extracted.)
func (z *Zip) readDescriptor(e *Entry, crc uint32, sz sizes64) (uint32, sizes64) {
	le := binary.LittleEndian
	var b [24]byte
	n := e.CompressedSize
	if e.Method == Stored {
		n = e.Size
	}
	if readAt(z.r, b[:], e.DataOff+n) != nil {
		return crc, sz
	}
	d := b[:]
	if le.Uint32(d) == sigDescriptor {
		d = d[4:]
	}
	crc = le.Uint32(d)
	if e.CompressedSize >= math.MaxUint32 || e.Size >= math.MaxUint32 {
		return crc, sizes64{compressed: le.Uint64(d[4:]), size: le.Uint64(d[12:])}
	}
	return crc, sizes64{compressed: uint64(le.Uint32(d[4:])), size: uint64(le.Uint32(d[8:]))}
}

// findOverlaps notes entries that share bytes. No Android forbids it; it is how one file is read as two.
func (z *Zip) findOverlaps() {
	order := make([]int32, len(z.Entries))
	sorted := true
	for i := range order {
		order[i] = int32(i)
		sorted = sorted && (i == 0 || z.Entries[i-1].HeaderOff <= z.Entries[i].HeaderOff)
	}
	if !sorted {
		slices.SortStableFunc(order, func(a, b int32) int {
			x, y := z.Entries[a].HeaderOff, z.Entries[b].HeaderOff
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
	}
	var (
		prev *Entry
		end  int64
	)
	for _, i := range order {
		e := &z.Entries[i]
		if e.DataOff < 0 {
			continue
		}
		if prev != nil && e.HeaderOff < end {
			z.disagree(Disagreement{Entry: e.Name, What: "shares bytes with another entry", Off: e.HeaderOff,
				Central: fmt.Sprintf("%q to %#x", prev.Name, end), Local: fmt.Sprintf("%#x", e.HeaderOff)})
		}
		if to := e.DataOff + min(e.CompressedSize, z.size); to > end {
			prev, end = e, to
		}
	}
}

// Entry returns the entry of that name, or nil. Where a name is there twice it returns the first, as the
// native readers did before Android 4.4 (Java's took the last, which was the "master key" hole). Since then
// system/libziparchive refuses the whole zip.
func (z *Zip) Entry(name string) *Entry {
	i, ok := z.index[name]
	if !ok {
		return nil
	}
	return &z.Entries[i]
}

// Section returns the bytes of an entry as they lie in the file. For an entry that is [Stored] this is its
// content, and a container inside it can be read in place. It is empty if the entry has no local header.
func (z *Zip) Section(e *Entry) *io.SectionReader {
	if e.DataOff < 0 || e.DataOff > z.size {
		return io.NewSectionReader(z.r, 0, 0)
	}
	n := e.CompressedSize
	if e.Method == Stored {
		n = e.Size
	}
	return io.NewSectionReader(z.r, e.DataOff, min(n, z.size-e.DataOff))
}

// Open returns a reader of an entry's content: exactly Size bytes of it, then io.EOF, [ErrChecksum], or a
// *FormatError if there is less or more. Bytes are handed out before they are checked. A reader may be
// dropped without Close; Close lets its memory be used again.
//
// The encrypted flag is ignored, as Android ignores it. A method that is neither Stored nor Deflated makes
// extraction fail in libziparchive, but AssetManager, which reads the manifest, the resource table and the
// assets, takes it for stored since Android 9 (ZipAssetsProvider in libs/androidfw) and for deflated before
// (AssetManager.cpp). Such an entry is read as deflated if only that gives the named size and checksum, and
// else as stored.
func (z *Zip) Open(e *Entry) (io.ReadCloser, error) {
	if e.DataOff < 0 || e.DataOff > z.size {
		return nil, cursor.Errorf(e.HeaderOff, "no local header for %q", e.Name)
	}
	switch e.Method {
	case Stored:
		return z.openStored(e), nil
	case Deflated:
		return z.openDeflated(e), nil
	}
	for _, r := range []*reader{z.openStored(e), z.openDeflated(e)} {
		_, err := io.Copy(io.Discard, r)
		r.Close()
		if err == nil {
			if r.inflate != nil {
				return z.openDeflated(e), nil
			}
			break
		}
	}
	return z.openStored(e), nil
}

func (z *Zip) openStored(e *Entry) *reader {
	raw := io.NewSectionReader(z.r, e.DataOff, min(e.Size, z.size-e.DataOff))
	return &reader{e: e, src: raw, left: e.Size}
}

func (z *Zip) openDeflated(e *Entry) *reader {
	in := inflaters.Get().(*inflater)
	in.in.Reset(io.NewSectionReader(z.r, e.DataOff, min(e.CompressedSize, z.size-e.DataOff)))
	in.out.(flate.Resetter).Reset(&in.in, nil) // fails for no reason of its own
	return &reader{e: e, src: in.out, inflate: in, left: e.Size}
}

// An inflater is a decompressor with its input buffer. Together they are some 80 KB, worth keeping.
type inflater struct {
	in  bufio.Reader
	out io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	in := &inflater{in: *bufio.NewReaderSize(nil, 32<<10)}
	in.out = flate.NewReader(&in.in)
	return in
}}

// A reader hands out an entry's content and checks it as it goes.
type reader struct {
	e       *Entry
	src     io.Reader
	inflate *inflater // nil if stored
	left    int64     // bytes still to come
	crc     uint32
	err     error
}

func (r *reader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	if r.left == 0 {
		r.err = r.finish()
		return 0, r.err
	}
	if int64(len(b)) > r.left {
		b = b[:r.left]
	}
	n, err := r.src.Read(b)
	r.crc = crc32.Update(r.crc, crc32.IEEETable, b[:n])
	r.left -= int64(n)
	if err == io.EOF && r.left == 0 {
		err = nil
	} else if err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = cursor.Errorf(r.e.DataOff, "%q ends %d bytes early", r.e.Name, r.left)
		} else if _, ok := errors.AsType[flate.CorruptInputError](err); ok {
			err = cursor.Errorf(r.e.DataOff, "%q does not inflate after %d bytes", r.e.Name, r.e.Size-r.left)
		}
		r.err = err
	}
	return n, err
}

// finish looks at what is left once all Size bytes are out.
func (r *reader) finish() error {
	if r.inflate != nil {
		var more [1]byte
		if n, _ := r.src.Read(more[:]); n > 0 {
			return cursor.Errorf(r.e.DataOff, "%q goes on after its %d bytes", r.e.Name, r.e.Size)
		}
	}
	if r.crc != r.e.CRC {
		return fmt.Errorf("%q: %w", r.e.Name, ErrChecksum)
	}
	return io.EOF
}

func (r *reader) Close() error {
	if r.inflate != nil && r.src != nil {
		r.inflate.in.Reset(nil)
		inflaters.Put(r.inflate)
		r.src = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// ReadFile returns an entry's content, which must be at most limit bytes long. Memory is taken as data
// really arrives, so a lying size costs nothing. If the content is damaged ReadFile returns an error with
// those bytes that could be read; with [ErrChecksum] they are all the bytes there are.
func (z *Zip) ReadFile(e *Entry, limit int64) ([]byte, error) {
	if e.Size > limit {
		return nil, cursor.Errorf(e.HeaderOff, "%q has %d bytes, more than the %d asked for", e.Name, e.Size, limit)
	}
	r, err := z.Open(e)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// DEX and XML shrink to a fifth or so; sixteen times saves nearly every file a second allocation.
	there := min(e.CompressedSize, z.size)
	if e.Method != Deflated {
		there = min(e.Size, z.size)
	}
	b := make([]byte, 0, min(e.Size, there*16+4096))
	for {
		if len(b) == cap(b) {
			if int64(len(b)) == e.Size {
				var none [1]byte
				if _, err := r.Read(none[:]); err != io.EOF {
					return b, err
				}
				return b, nil
			}
			grown := make([]byte, len(b), min(e.Size, int64(cap(b))*2))
			copy(grown, b)
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
