// Package oat finds the DEX code inside the files in which Android keeps what it compiled ahead of time:
// OAT (*.odex, *.oat), VDEX (*.vdex) and the ODEX of Dalvik.
//
// A preinstalled app often has no classes.dex in its APK; the code lies beside it, in oat/<isa>/X.odex (Android 5 to 7.1)
// or oat/<isa>/X.vdex (since 8.0). [Open] recognises the file by its first bytes and returns every DEX file in the order
// stored, as a slice of the input, with the location string that the OAT table records for it. Where a DEX is only
// listed, [Dex.Missing] says where it is kept.
//
// dex2oat may also have "quickened" the DEX: it replaced instructions that name a field or method by faster ones which
// hold an offset or vtable index. Since Android 8.0 the VDEX keeps the replaced indexes; [Dex.Quick] finds those of a
// method and [QuickInfo] says how to take them. Before 8.0 (OAT 039 to 088) nothing was kept: Quick is nil and whoever
// meets a quick instruction has to resolve it over the class path.
//
// The data go one way: Open checks the container, then a caller gives Dex.Data (and Dex.Shared) to a DEX reader. This
// package reads of a DEX its header's magic and sizes; only for VDEX 006, whose quickening data can be assigned in no
// other way, it also steps over class definitions to find the methods' code offsets in order.
//
// # Layouts
//
// The formats have no specification; they are what the ART of one release wrote and loads:
// art/runtime/oat.h and oat_file.cc, vdex_file.h and vdex_file.cc, quicken_info.h, dex_to_dex_decompiler.cc, and
// libdexfile/dex/compact_offset_table.cc of the branches lollipop-release (OAT 039, 045), marshmallow (064), nougat (079,
// 088), oreo (124, 126, VDEX 006), oreo-mr1 (131, VDEX 010), pie (138, VDEX 019), android10 (170, VDEX 021), android11
// (183, VDEX 021), android12 (195, 199, VDEX 027), android13 (225, VDEX 027), android14 and later (230 and up, VDEX 027).
// A version between these is read with the nearest layout, and only if what that layout points at is what it should be.
// Real files of 064, 079, 131, 225 and of VDEX 010 and 027 were read; the others only as the tests make them.
//
// # Not read
//
// Compiled code, class and method tables, verifier dependencies and type lookup tables. The OAT of Android 4.4 (007), whose
// table has another form. Quickening data of VDEX versions that no release wrote (their DEX is read, [File.Gaps] tells).
// Instructions optimised by Dalvik itself (execute-inline, invoke-direct-empty, ...): the DEX of a "dey\n" file is handed
// out as it lies there. *.art images and *.dm archives (a .dm is a zip; the primary.vdex in it can be given to Open).
package oat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"gifthorse/internal/cursor"
)

// FormatError says what is wrong with a file, and at which byte of it.
type FormatError = cursor.FormatError

// What [Dex.Missing] says where nothing is wrong: the DEX is kept elsewhere.
const (
	InVDEX = "in the VDEX beside it"
	InAPK  = "stored in the APK"
)

// A File is an opened OAT, VDEX or ODEX file. It and what it returns share memory with the input and are safe for
// concurrent reading.
type File struct {
	Kind      string     // "oat", "vdex", or "odex" for that of Dalvik
	Version   int        // of the format: 64, 79, 131, ... for "oat"; 6, 10, 19, 21, 27 for "vdex"; 35 or 36 for "odex"
	ISA       string     // "arm", "arm64", "x86", "x86_64", "mips", "mips64", "riscv64"; "" if the file does not say
	Dex       []Dex      // in the order stored: classes.dex, classes2.dex, ..., or jar after jar in a boot image
	KeyValues []KeyValue // the OAT header's store, in the order stored, which is by key: "compiler-filter", "dex2oat-cmdline", ...
	Gaps      []error    // what the file holds but was not read; each wraps errors.ErrUnsupported or is a *FormatError
}

// A KeyValue is an entry of the OAT header's store, as it stands there.
type KeyValue struct{ Key, Value string }

// Value returns the value stored under key, or "".
func (f *File) Value(key string) string {
	for _, kv := range f.KeyValues {
		if kv.Key == key {
			return kv.Value
		}
	}
	return ""
}

// A Dex is one DEX file in a File, or the mention of one.
type Dex struct {
	// Location is the path that the OAT records: "/system/app/X/X.apk" for the first DEX of an APK or jar, with
	// ":classes2.dex" (Android 5 to 8.0) or "!classes2.dex" (8.1 and later) after it for the next ones. "" in VDEX and ODEX.
	Location string
	// Checksum is the CRC-32 of the DEX's entry in its APK as the file records it. (It is the checksum of the DEX
	// header where the DEX did not come from a zip.) 0 in ODEX.
	Checksum uint32
	// Data is the whole DEX, from its magic ("dex\n" or, for compact DEX, "cdex"), file_size bytes long. nil if it is not stored here.
	Data []byte
	// Off is where Data begins in the input.
	Off int64
	// Shared is the data section of a compact DEX: offsets of class data, code, string data, type lists, annotations,
	// encoded arrays and the map count from Shared[0], not from Data[0] (DexFile::DataBegin, ArtDexFileLoader::OpenCommon).
	// The DEX files of a VDEX may have the same one. nil for other DEX.
	Shared []byte
	// SharedOff is where Shared begins in the input.
	SharedOff int64
	// Missing says why Data is nil: InVDEX, InAPK, or what is wrong with the DEX header ("damaged: ..."). "" if there is Data.
	Missing string
	// Quick finds the operands that quickening replaced. nil if the file keeps none for this DEX.
	Quick *QuickTable
}

// Is tells whether data begin like a file that Open reads. It looks at the dynamic symbols of an ELF file.
func Is(data []byte) bool {
	switch {
	case isVdex(data), isOdex(data), isOat(data):
		return true
	case isELF(data):
		e, err := readELF(data)
		return err == nil && isOat(e.oat())
	}
	return false
}

func isVdex(b []byte) bool { return len(b) >= 8 && string(b[:4]) == "vdex" && b[7] == 0 }
func isOat(b []byte) bool  { return len(b) >= 8 && string(b[:4]) == "oat\n" && b[7] == 0 }
func isOdex(b []byte) bool { return len(b) >= 8 && string(b[:4]) == "dey\n" && b[7] == 0 }

// Open reads data, which must not change as long as the File is used. The error is a *FormatError if data are damaged or none of
// the formats, or wraps errors.ErrUnsupported if the version cannot be read. A damaged DEX in a sound container is no error:
// its Missing tells, and so do the File's Gaps.
func Open(data []byte) (*File, error) {
	switch {
	case isVdex(data):
		return openVdex(data)
	case isOdex(data):
		return openOdex(data)
	case isOat(data):
		return openOat(&image{data: data, segs: []segment{{size: int64(len(data))}}})
	case isELF(data):
		e, err := readELF(data)
		if err != nil {
			return nil, err
		}
		return openOat(e)
	}
	return nil, cursor.Errorf(0, "neither OAT, VDEX nor ODEX")
}

// version reads the three digits of "064\0".
func version(b []byte) (int, bool) {
	v := 0
	for _, c := range b[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, b[3] == 0
}

func unsupported(kind string, version int) error {
	return fmt.Errorf("%s version %03d: %w", kind, version, errors.ErrUnsupported)
}

// Of the DEX header (dalvik executable format; dex_file.h) these are used. A compact DEX has the same.
const (
	dexHeaderSize  = 0x70
	dexFileSize    = 0x20
	dexMethodIDs   = 0x58 // method_ids_size
	dexClassDefs   = 0x60 // class_defs_size, then class_defs_off
	dexDataSize    = 0x68 // data_size, then data_off
	cdexHeaderSize = dexHeaderSize + 24
)

func isDex(b []byte) bool {
	return len(b) >= dexHeaderSize && (string(b[:4]) == "dex\n" || string(b[:4]) == "cdex") && b[7] == 0
}

// dexAt fills d with the DEX at off of data. If it is damaged d.Missing says so, and ok is false.
// The DEX's end is the only thing asked of its file_size: what the runtime demands beyond that (verified checksums, known
// versions) it does not demand of code that comes from its own cache (dex_file_loader.cc, OpenCommon with verify=false).
func (d *Dex) dexAt(data []byte, off int64) (ok bool) {
	d.Off = off
	if off < 0 || off > int64(len(data)) {
		d.Missing = fmt.Sprintf("damaged: offset %#x is outside the %d bytes there are", off, len(data))
		return false
	}
	b := data[off:]
	if !isDex(b) {
		d.Missing = fmt.Sprintf("damaged: no DEX header at %#x", off)
		return false
	}
	size := int64(binary.LittleEndian.Uint32(b[dexFileSize:]))
	compact := b[0] == 'c'
	least := int64(dexHeaderSize)
	if compact {
		least = cdexHeaderSize
	}
	if size < least || size > int64(len(b)) {
		d.Missing = fmt.Sprintf("damaged: DEX at %#x gives its size as %d, there are %d bytes", off, size, len(b))
		return false
	}
	if compact {
		n := int64(binary.LittleEndian.Uint32(b[dexDataSize:]))
		at := int64(binary.LittleEndian.Uint32(b[dexDataSize+4:]))
		if at > int64(len(b)) || n > int64(len(b))-at {
			d.Missing = fmt.Sprintf("damaged: compact DEX at %#x has its %d bytes of data at %#x, there are %d bytes", off, n, at, len(b))
			return false
		}
		d.Shared, d.SharedOff = b[at:at+n:at+n], off+at
	}
	d.Data = b[:size:size]
	return true
}

// openOdex reads the header that Dalvik's dexopt put before a DEX (dalvik/libdex/DexFile.h, DexOptHeader).
func openOdex(data []byte) (*File, error) {
	v, ok := version(data[4:])
	if !ok {
		return nil, cursor.Errorf(4, "ODEX version %q is no number", data[4:7])
	}
	c := cursor.At(data, 8)
	off, size := c.U32(), c.U32()
	if err := c.Err(); err != nil {
		return nil, err
	}
	f := &File{Kind: "odex", Version: v, Dex: make([]Dex, 1)}
	d := &f.Dex[0]
	end := min(int64(off)+int64(size), int64(len(data)))
	if !d.dexAt(data[:end], int64(off)) {
		f.damaged(d)
	}
	return f, nil
}

// damaged records in the file's gaps that d could not be read.
func (f *File) damaged(d *Dex) {
	f.Gaps = append(f.Gaps, cursor.Errorf(d.Off, "%s", d.Missing))
}

// readKeyValues takes the store apart: NUL-terminated key, NUL-terminated value, and so on. ART 14 and later pad some
// values with more NULs (oat.h, kNonDeterministicFieldsAndLengths). ok tells whether b is such a store to its end.
func readKeyValues(b []byte) (kvs []KeyValue, ok bool) {
	for {
		for len(kvs) > 0 && len(b) > 0 && b[0] == 0 {
			b = b[1:]
		}
		if len(b) == 0 {
			return kvs, true
		}
		k := bytes.IndexByte(b, 0)
		if k < 0 || !isKey(b[:k]) {
			return kvs, false
		}
		v := bytes.IndexByte(b[k+1:], 0)
		if v < 0 {
			return kvs, false
		}
		kvs = append(kvs, KeyValue{string(b[:k]), string(b[k+1 : k+1+v])})
		b = b[k+1+v+1:]
	}
}

// isKey tells whether b looks like a key of the store. All there ever were are like "dex2oat-cmdline".
func isKey(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(b) > 0
}
