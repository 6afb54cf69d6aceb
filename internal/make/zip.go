package make

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"unicode/utf8"
)

// An Entry is a file of a zip archive. It is deflated unless Store is set.
type Entry struct {
	Name  string
	Data  []byte
	Store bool
}

// Zip writes entries in the order given, duplicates included, all with the time stamp of 1 January 2009
// that aapt gives. The data of stored entries is aligned to four bytes, as zipalign does it, by the extra
// field 0xd935 that apksigner writes. It fails where zip64 would be needed.
func Zip(entries []Entry) ([]byte, error) {
	var z zipWriter
	if err := z.add(entries); err != nil {
		return nil, err
	}
	return z.close()
}

// A zipWriter holds an archive's file data and its central directory.
type zipWriter struct {
	data, dir []byte
	entries   int
}

const (
	zipLocal     = 0x04034b50
	zipDirectory = 0x02014b50
	zipEnd       = 0x06054b50
	zipEndSize   = 22
	zipTime      = 0                         // midnight
	zipDate      = (2009-1980)<<9 | 1<<5 | 1 // 1 January 2009
)

func (z *zipWriter) add(entries []Entry) error {
	le := binary.LittleEndian
	for _, e := range entries {
		body, method := e.Data, uint16(0)
		if !e.Store {
			var b bytes.Buffer
			f, err := flate.NewWriter(&b, flate.BestCompression)
			if err != nil {
				return err
			}
			if _, err := f.Write(e.Data); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			body, method = b.Bytes(), 8
		}
		if len(e.Name) > math.MaxUint16 || uint64(len(e.Data)) > math.MaxUint32 || uint64(len(z.data)+len(body)) > math.MaxUint32 {
			return fmt.Errorf("%.80q is too large for a zip without zip64", e.Name)
		}
		var flags uint16
		for i := range len(e.Name) {
			if e.Name[i] >= utf8.RuneSelf && utf8.ValidString(e.Name) {
				flags = 1 << 11
			}
		}
		// Both headers share these 26 bytes: version needed to lengths of name and extra field.
		common := le.AppendUint16(nil, 20)
		common = le.AppendUint16(common, flags)
		common = le.AppendUint16(common, method)
		common = le.AppendUint16(common, zipTime)
		common = le.AppendUint16(common, zipDate)
		common = le.AppendUint32(common, crc32.ChecksumIEEE(e.Data))
		common = le.AppendUint32(common, uint32(len(body)))
		common = le.AppendUint32(common, uint32(len(e.Data)))
		common = le.AppendUint16(common, uint16(len(e.Name)))

		var extra []byte
		off := len(z.data)
		if begin := off + 30 + len(e.Name); e.Store && begin%4 != 0 {
			pad := -(begin + 6) & 3
			extra = le.AppendUint16(extra, 0xd935)
			extra = le.AppendUint16(extra, uint16(2+pad))
			extra = le.AppendUint16(extra, 4)
			extra = append(extra, make([]byte, pad)...)
		}
		z.data = le.AppendUint32(z.data, zipLocal)
		z.data = append(z.data, common...)
		z.data = le.AppendUint16(z.data, uint16(len(extra)))
		z.data = append(append(append(z.data, e.Name...), extra...), body...)

		z.dir = le.AppendUint32(z.dir, zipDirectory)
		z.dir = le.AppendUint16(z.dir, 20)
		z.dir = append(z.dir, common...)
		z.dir = append(z.dir, make([]byte, 12)...) // no extra field, comment, disk or attributes
		z.dir = le.AppendUint32(z.dir, uint32(off))
		z.dir = append(z.dir, e.Name...)
		z.entries++
	}
	return nil
}

func (z *zipWriter) close() ([]byte, error) {
	if z.entries > math.MaxUint16 || uint64(len(z.data))+uint64(len(z.dir)) > math.MaxUint32 {
		return nil, fmt.Errorf("%d entries, %d bytes: too large for a zip without zip64", z.entries, len(z.data))
	}
	out := append(bytes.Clone(z.data), z.dir...)
	return append(out, zipEndRecord(z.entries, len(z.dir), len(z.data))...), nil
}

func zipEndRecord(entries, size, off int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, zipEnd)
	b = le.AppendUint32(b, 0) // disks
	b = le.AppendUint16(b, uint16(entries))
	b = le.AppendUint16(b, uint16(entries))
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, uint32(off))
	return le.AppendUint16(b, 0)
}
