package evidence

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"gifthorse/format/apk"
)

// openZip reads the list of a zip. A zip without its end, as a broken-off download leaves it, is read by
// its local headers.
func (o *opener) openZip(f *File, b []byte) (*zipFile, error) {
	z, err := apk.NewZip(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		return &zipFile{z, b}, nil
	}
	dir := rebuild(b)
	if dir == nil {
		return nil, err
	}
	whole := joined{b[:min(int64(len(b)), math.MaxUint32)], dir}
	z, err = apk.NewZip(whole, int64(len(whole[0])+len(dir)))
	if err != nil {
		return nil, err
	}
	o.e.note(f.Ref, CutShort, fmt.Sprintf("the zip has no central directory; the %d files found by their own headers are read", len(z.Entries)))
	return &zipFile{z, b}, nil
}

// A joined is two pieces of memory, one behind the other.
type joined [2][]byte

func (j joined) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if first := int64(len(j[0])); off < first {
		n = copy(p, j[0][off:])
		off = first
	}
	m, err := bytes.NewReader(j[1]).ReadAt(p[n:], off-int64(len(j[0])))
	return n + m, err
}

// rebuild makes a central directory and an end record for a zip from its local headers, or nil if there
// are none. A member whose length is not in its header is ended by its data descriptor; the last one, if
// its end is not there, is left out. (APPNOTE.TXT sections 4.3.7 to 4.3.16.)
func rebuild(b []byte) []byte {
	const local, central, maxMembers = 30, 46, math.MaxUint16 - 1 // more would need 64-bit records
	le := binary.LittleEndian
	b = b[:min(int64(len(b)), math.MaxUint32)] // offsets behind it would need 64-bit records
	var dir []byte
	n := 0
	for p := 0; n < maxMembers; {
		if len(b)-p < local || string(b[p:p+4]) != "PK\x03\x04" {
			break
		}
		h := b[p:]
		nameLen, extraLen := int(le.Uint16(h[26:])), int(le.Uint16(h[28:]))
		data := p + local + nameLen + extraLen
		if data > len(b) {
			break
		}
		crc, packed, size := le.Uint32(h[14:]), uint64(le.Uint32(h[18:])), uint64(le.Uint32(h[22:]))
		next := 0
		if le.Uint16(h[6:])&8 != 0 {
			d := descriptor(b[data:])
			if d < 0 {
				break
			}
			crc, packed, size = le.Uint32(b[data+d+4:]), uint64(d), uint64(le.Uint32(b[data+d+12:]))
			next = data + d + 16
		} else if uint64(len(b)-data) < packed {
			break // also any of 4 GiB, which 64-bit sizes would be needed for
		} else {
			next = data + int(packed)
		}
		c := make([]byte, central, central+nameLen)
		le.PutUint32(c, 0x02014b50)
		copy(c[6:16], h[4:14]) // version, flags, method, time, date
		le.PutUint32(c[16:], crc)
		le.PutUint32(c[20:], uint32(packed))
		le.PutUint32(c[24:], uint32(size))
		le.PutUint16(c[28:], uint16(nameLen))
		le.PutUint32(c[42:], uint32(p))
		dir = append(append(dir, c...), h[local:local+nameLen]...)
		n++
		p = next
	}
	if n == 0 {
		return nil
	}
	end := make([]byte, 22)
	le.PutUint32(end, 0x06054b50)
	le.PutUint16(end[8:], uint16(n))
	le.PutUint16(end[10:], uint16(n))
	le.PutUint32(end[12:], uint32(len(dir)))
	le.PutUint32(end[16:], uint32(len(b)))
	return append(dir, end...)
}

// descriptor finds the data descriptor that ends a member: the signature, with the distance from the
// member's start behind it as the compressed size.
func descriptor(b []byte) int {
	for off := 0; ; {
		i := bytes.Index(b[off:], []byte("PK\x07\x08"))
		if i < 0 || off+i+16 > len(b) {
			return -1
		}
		off += i
		if uint64(binary.LittleEndian.Uint32(b[off+8:])) == uint64(off) {
			return off
		}
		off += 4
	}
}

const zipEncrypted = 1 << 0 // flag of a member (APPNOTE.TXT 4.4.4)

// listZip lists the members of a zip that was given or lies outside of the phone. Where such a zip is read
// by people, Android's leniency towards APKs is no guide: what is flagged as encrypted counts as encrypted.
func (o *opener) listZip(f *File, in *zipFile) []entry {
	z := in.zip
	out := make([]entry, 0, min(len(z.Entries), maxEntries))
	for i := range z.Entries {
		ent := &z.Entries[i]
		if !o.count(f, ent.Name) {
			break
		}
		if strings.HasSuffix(ent.Name, "/") {
			continue // a directory
		}
		m := newFile(f.Ref.Inner(ent.Name), ent.Size, zipMode(ent))
		out = append(out, entry{ent.Name, m})
		src := o.zipSource(in, ent)
		m.blob = &blob{ev: o.e, src: src}
		if w, bad := src.(*failure); bad {
			o.e.note(m.Ref, w.reason, w.detail)
			continue
		}
		if m.Mode&fs.ModeSymlink != 0 {
			// A zip holds the target as contents.
			target, err := src.head(o.e, maxTarget+1)
			if err != nil {
				m.fail(err)
			}
			o.link(m, string(target))
		}
	}
	for _, d := range z.Disagreements {
		if d.Entry == "" && d.What == "number of entries" {
			o.e.note(f.Ref, Damaged, "the zip lists "+d.Central+", "+d.Local)
		}
	}
	return out
}

// maxTarget is PATH_MAX of Linux, the longest target of a link.
const maxTarget = 4096

func (o *opener) zipSource(in *zipFile, ent *apk.Entry) source {
	packed := ent.CompressedSize
	if ent.Method == apk.Stored {
		packed = ent.Size
	}
	switch {
	case ent.DataOff < 0:
		return &failure{Damaged, "the zip lists it, but it is not where the zip says"}
	case ent.Flags&zipEncrypted != 0:
		return &failure{Encrypted, "an encrypted member of a zip"}
	case ent.Method != apk.Stored && ent.Method != apk.Deflated:
		return &failure{Unsupported, fmt.Sprintf("compression method %d of zip", ent.Method)}
	case packed > int64(len(in.bytes))-ent.DataOff:
		return &failure{CutShort, fmt.Sprintf("its %d bytes go beyond the end of the zip", packed)}
	}
	if ent.Method == apk.Deflated {
		if tooDense(packed, ent.Size) {
			return &failure{TooLarge, fmt.Sprintf("%d bytes that claim to hold %d", packed, ent.Size)}
		}
		if !o.mayInflate(ent.Size) {
			return &failure{TooLarge, "more than may be inflated in all"}
		}
	}
	return zipMember{in, ent}
}

// zipMode returns the mode of a member that was packed on Unix, or else 0.
func zipMode(ent *apk.Entry) fs.FileMode {
	if host := ent.MadeBy >> 8; host != 3 && host != 19 { // Unix, and macOS (APPNOTE.TXT 4.4.2)
		return 0
	}
	return unixMode(ent.ExternalAttrs >> 16)
}

// unixMode turns st_mode into Go's form (Linux include/uapi/linux/stat.h).
func unixMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	switch m & 0o170000 {
	case 0o120000:
		mode |= fs.ModeSymlink
	}
	return mode
}
