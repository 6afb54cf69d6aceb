package boot

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"gifthorse/internal/cursor"
)

const (
	banner      = "Linux version "
	configStart = "IKCFG_ST"
	// maxBanner bounds the version banner: the compiler's own version makes up most of it, 400 bytes at most so far.
	maxBanner = 1024
	// maxConfig bounds the unpacked configuration. A current Android kernel's has 200 KB.
	maxConfig = 4 << 20
	// maxTries bounds how many places in a self-unpacking kernel are tried as the start of the packed one. The
	// decompressor before it is some 30 KB of code, in which two bytes that look like gzip's come up once at most.
	maxTries = 16
	// maxSelf bounds how far into a self-unpacking kernel the packed one may begin.
	maxSelf = 1 << 20
)

// A Kernel is what can be read from a kernel without running it.
type Kernel struct {
	Packing string // how it is packed: "" for a plain image, gzip, lz4, ...
	Arch    string // arm64, arm, x86 or "" if its header says nothing
	Size    int64  // unpacked
	Banner  string // /proc/version's line, "" if it was not found
	Version string // the banner's third word, such as "4.19.191+"
	Config  string // the configuration it was built with (CONFIG_IKCONFIG), "" if it is not in it
}

// Option returns an option of the configuration without its quotes, such as Option("CONFIG_MODULES") "y"; "" if it is not set.
func (k *Kernel) Option(name string) string {
	for line := range strings.Lines(k.Config) {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.Trim(strings.TrimRight(v, "\r\n"), `"`)
		}
	}
	return ""
}

// NewKernel reads a kernel of size bytes: a plain Image, one packed by any packing the kernel itself knows, or a zImage,
// bzImage or EFI image that unpacks itself. What follows the packed kernel, such as device trees, is passed over.
// A kernel in which no banner is found is no error.
func NewKernel(r io.ReaderAt, size int64) (*Kernel, error) {
	if n := mediatek(r, 0, size); n > 0 {
		r, size = io.NewSectionReader(r, mediatekHeader, n), n
	}
	b, err := readAll(r, size)
	if err != nil {
		return nil, err
	}
	// Qualcomm's tools put 20 bytes before a kernel that is not packed.
	b = bytes.TrimPrefix(b, []byte("UNCOMPRESSED_IMG"))
	k := &Kernel{Arch: arch(b)}
	if kind := packing(b); kind != "" {
		out, _, err := unpack(b, kind, maxPart)
		if err != nil && len(out) == 0 {
			return nil, err
		}
		k.Packing, k.Arch = kind, arch(out)
		k.read(out)
		return k, nil
	}
	if k.read(b); k.Banner != "" {
		return k, nil
	}
	// A kernel that unpacks itself. EFI images state where the packed one is; elsewhere it must be looked for.
	from, to := 0, min(len(b), maxSelf)
	if len(b) >= 16 && string(b[:2]) == "MZ" && string(b[4:8]) == "zimg" {
		if off := binary.LittleEndian.Uint32(b[8:]); uint64(off) < uint64(len(b)) {
			from, to = int(off), int(off)+1
		}
	}
	left := int64(maxPart)
	for tries := 0; from < to && tries < maxTries && left > 0; from++ {
		kind := packed(b[from:])
		if kind == "" {
			continue
		}
		tries++
		out, _, _ := unpack(b[from:], kind, left)
		left -= int64(len(out))
		inner := Kernel{Arch: k.Arch}
		if inner.read(out); inner.Banner != "" {
			inner.Packing = kind
			if a := arch(out); a != "" {
				inner.Arch = a
			}
			*k = inner
			break
		}
	}
	return k, nil
}

// packed is packing, but surer of itself: it is asked at every byte of a program.
func packed(b []byte) string {
	if len(b) < 16 {
		return ""
	}
	switch kind := packing(b); kind {
	case "gzip":
		if b[2] == 8 && b[3]&0xe0 == 0 { // deflate, no reserved flags
			return kind
		}
	case "lzma":
		// A dictionary of a power of two, and a size that is unknown or sane.
		dict, size := binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint64(b[5:])
		if dict&(dict-1) == 0 && dict != 0 && (size == 1<<64-1 || size < maxPart) {
			return kind
		}
	case "bzip2":
		if b[3] >= '1' && b[3] <= '9' && string(b[4:10]) == "1AY&SY" {
			return kind
		}
	default:
		return kind
	}
	return ""
}

func arch(b []byte) string {
	switch {
	case len(b) >= 64 && string(b[0x38:0x3c]) == "ARM\x64":
		return "arm64"
	case len(b) >= 40 && binary.LittleEndian.Uint32(b[0x24:]) == 0x016f2818:
		return "arm"
	case len(b) >= 0x206 && string(b[0x202:0x206]) == "HdrS":
		return "x86"
	}
	return ""
}

// read looks for the banner and the configuration in an unpacked kernel.
func (k *Kernel) read(b []byte) {
	k.Size = int64(len(b))
	for rest := b; ; {
		i := bytes.Index(rest, []byte(banner))
		if i < 0 {
			break
		}
		rest = rest[i:]
		line := rest[:min(len(rest), maxBanner)]
		if j := bytes.IndexAny(line, "\n\x00"); j >= 0 {
			line = line[:j]
		}
		// The format string of /proc/version begins the same way and goes on with %s.
		if c := byte(0); len(line) > len(banner) {
			if c = line[len(banner)]; c >= '0' && c <= '9' {
				k.Banner = string(line)
				k.Version, _, _ = strings.Cut(k.Banner[len(banner):], " ")
				break
			}
		}
		rest = rest[len(banner):]
	}
	if i := bytes.Index(b, []byte(configStart)); i >= 0 {
		if out, _, err := unpack(b[i+len(configStart):], "gzip", maxConfig); err == nil {
			k.Config = string(out)
		}
	}
}

// A DTBO is a table of device trees or overlays: the dtbo partition, or a boot image's part "recovery_dtbo".
type DTBO struct {
	Version uint32
	Entries []DTBOEntry
}

// A DTBOEntry is one device tree.
type DTBOEntry struct {
	Off, Size int64
	ID, Rev   uint32
	Custom    [4]uint32
	Packing   string // "", zlib or gzip (table version 1)
}

const (
	dtboMagic = 0xd7b7ab1e
	// maxDTBO bounds the table. One vendor ships 60 boards in a table.
	maxDTBO = 4096
)

// NewDTBO reads the table at the start of size bytes.
func NewDTBO(r io.ReaderAt, size int64) (*DTBO, error) {
	h, err := readAt(r, size, 0, 32)
	if err != nil {
		return nil, err
	}
	if len(h) < 32 || binary.BigEndian.Uint32(h) != dtboMagic {
		return nil, cursor.Errorf(0, "no device tree table: begins with %x", h[:min(4, len(h))])
	}
	be := binary.BigEndian.Uint32
	each, n, off := int64(be(h[12:])), int64(be(h[16:])), int64(be(h[20:]))
	t := &DTBO{Version: be(h[28:])}
	if t.Version > 1 {
		return nil, unsupported("device tree table version %d", t.Version)
	}
	if each < 32 || n > maxDTBO || off+each*n > size {
		return nil, cursor.Errorf(12, "table of %d entries of %d bytes at %d in %d bytes", n, each, off, size)
	}
	b, err := readAt(r, size, off, each*n)
	if err != nil {
		return nil, err
	}
	for i := range n {
		e := b[i*each:]
		d := DTBOEntry{Size: int64(be(e)), Off: int64(be(e[4:])), ID: be(e[8:]), Rev: be(e[12:])}
		for j := range d.Custom {
			d.Custom[j] = be(e[16+4*j:])
		}
		if d.Off+d.Size > size {
			return nil, cursor.Errorf(off+i*each, "device tree of %d bytes at %d in %d bytes", d.Size, d.Off, size)
		}
		if t.Version == 1 {
			switch d.Custom[0] & 15 { // it has the flags in version 1
			case 1:
				d.Packing = "zlib"
			case 2:
				d.Packing = "gzip"
			}
		}
		t.Entries = append(t.Entries, d)
	}
	return t, nil
}
