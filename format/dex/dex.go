// Package dex reads DEX files: the classes, code and constants of Android programs.
//
// Open takes bytes (a file, a zip member, a piece of an OAT or VDEX; they may be mapped memory) and gives one
// File for each DEX in them. A File is only a set of bounds: every table is read where it lies, at the moment it
// is asked for, and nothing is decoded twice or kept. Names are indexes until somebody wants text. The path
// through a program is
//
//	File.Class -> File.ClassData -> File.Code -> Insn.Decode -> File.Method, File.Field, File.StringData
//
// and none of these allocates once the caller's ClassData is warm.
//
// The reader is as lax as the runtime: checksum and signature are facts, sections may overlap or be unaligned, the
// map may be missing (code that comes out of an OAT or VDEX is not verified again when it runs). An index or offset
// that leads outside the file gives a zero value, an empty string or a FormatError, never a panic. Where the
// dex-format page has 32-bit type indexes but ART reads 16 bits and ignores the rest (art/libdexfile/dex/
// dex_file_structs.h), this reader does what ART does.
//
// A File may be used by many goroutines at once.
//
// # Cost
//
// Each call is bounded by the size of the file, but a hostile file can make its parts overlap, so that all calls together are not: ten
// thousand classes may share one list of members, and those one piece of code. In an honest file the bytes of strings, the members and the
// code units each sum up to less than File.Size; a caller that walks everything should stop, and say so, when they do not.
//
// Sources: https://source.android.com/docs/core/runtime/dex-format and dalvik-bytecode; art/libdexfile/dex/dex_file.h,
// compact_dex_file.h, dex_instruction_list.h.
//
// # Not read
//
// Dalvik's optimised files of Android 4.4 and before ("dey\n036") and DEX in big-endian order are refused with an error that wraps
// errors.ErrUnsupported. Of a compact DEX the line numbers are not read. Hidden-API flags of the map's
// section 0xf000 are not read. The meaning of quickened operands (a field's offset, a place in a vtable) depends on the
// whole class path; they are handed out raw. Nothing is verified: types of registers, order of ids, and flags may be nonsense.
package dex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"gifthorse/internal/cursor"
)

// A FormatError says what is wrong and at which byte. In a compact DEX, bytes of the shared data section count from that
// section's start.
type FormatError = cursor.FormatError

// NoIndex stands for "no string" or "no type": ClassDef.Super of java.lang.Object, Handler.Type of a catch-all.
const NoIndex = 0xffffffff

var le = binary.LittleEndian

const (
	headerSize        = 0x70
	headerSize41      = 0x78 // adds container_size and header_offset
	headerSizeCompact = 0x88 // adds six fields; only the last, the end of owned_data, closes it
)

// maxLogical bounds the DEX of one container, every one of which may refer to all of its data. ART warns from 100 on
// (art/libdexfile/dex/dex_file_loader.cc).
const maxLogical = 1000

// A table is a run of fixed-size records whose bounds have been checked.
type table struct {
	off  int // of the first record
	size int // in records
}

// A File is one DEX.
type File struct {
	Version   int      // 35 to 41; 1 for a compact DEX
	Compact   bool     // a compact DEX of Android 9 to 11
	Size      int64    // file_size of the header: of this DEX alone, without a compact DEX's shared data
	Offset    int64    // where the header lies in the bytes given to Open; 0 but in a container (version 041)
	Checksum  uint32   // as the header has it
	Signature [20]byte // as the header has it

	main []byte // what the id tables lie in: the file, or the whole container
	data []byte // what every other offset counts from: the same, or the shared data of a compact DEX

	strings, types, protos, fields, methods, classes table
	callSites, handles                               table
}

// Open reads every DEX in data: one for versions 035 to 040, one for each header of a container (version 041).
// The Files share memory with data, which must not change. A compact DEX is read if its shared data section lies
// in data where its header says.
//
// If a later header of a container is damaged, the Files before it are returned together with the error.
func Open(data []byte) ([]*File, error) {
	if len(data) >= 8 && string(data[:4]) == "cdex" {
		if len(data) < headerSizeCompact {
			return nil, cursor.Errorf(int64(len(data)), "compact DEX ends inside its header")
		}
		off, size := uint64(le.Uint32(data[0x6c:])), uint64(le.Uint32(data[0x68:]))
		if off > uint64(len(data)) || size > uint64(len(data))-off {
			return nil, cursor.Errorf(0x68, "shared data section of the compact DEX (%d bytes at %#x) is not in these %d bytes", size, off, len(data))
		}
		f, err := OpenCompact(data, data[off:off+size])
		if err != nil {
			return nil, err
		}
		return []*File{f}, nil
	}
	var files []*File
	for off := 0; ; {
		f, err := open(data, off)
		if err != nil {
			return files, err
		}
		files = append(files, f)
		if len(files) > maxLogical {
			return files, cursor.Errorf(int64(off), "container of more than %d DEX", maxLogical)
		}
		// Only containers go on (art/libdexfile/dex/dex_file.h, IsDexContainerLastEntry); bytes after any other DEX are
		// no part of it.
		if f.Version < 41 {
			return files, nil
		}
		// file_size was checked to hold at least a header, so this ends.
		off += int(f.Size)
		if off >= len(data) || off >= int(le.Uint32(data[0x70:])) {
			return files, nil
		}
	}
}

func open(data []byte, off int) (*File, error) {
	h := data[off:]
	if len(h) < headerSize {
		return nil, cursor.Errorf(int64(off), "DEX header needs %d bytes, there are %d", headerSize, len(h))
	}
	version, err := versionOf(h, off)
	if err != nil {
		return nil, err
	}
	f := &File{Version: version, Offset: int64(off), main: data, data: data}
	need := headerSize
	if version >= 41 {
		need = headerSize41
		if len(h) < need {
			return nil, cursor.Errorf(int64(off), "header of a DEX container needs %d bytes, there are %d", need, len(h))
		}
		// All offsets count from the start of the container, which header_offset must lead back to.
		if at := le.Uint32(h[0x74:]); int64(at) != int64(off) {
			return nil, cursor.Errorf(int64(off)+0x74, "header of a DEX container says it is at %#x but is at %#x", at, off)
		}
	} else if off != 0 {
		return nil, cursor.Errorf(int64(off), "DEX version %03d inside a container", version)
	}
	if err := f.header(h); err != nil {
		return nil, err
	}
	if f.Size < int64(need) || f.Size > int64(len(h)) {
		return nil, cursor.Errorf(int64(off)+0x20, "DEX of %d bytes, of which %d are there", f.Size, len(h))
	}
	f.readMap(le.Uint32(h[0x34:]))
	return f, nil
}

// OpenCompact reads a compact DEX of a VDEX file: dex is its main section, shared the data section it shares with the
// other DEX of the VDEX. Every offset but those of the id tables counts from the start of shared.
func OpenCompact(dex, shared []byte) (*File, error) {
	if len(dex) < headerSizeCompact || string(dex[:4]) != "cdex" {
		return nil, cursor.Errorf(0, "no header of a compact DEX")
	}
	if string(dex[4:8]) != "001\x00" {
		return nil, unsupported(4, "compact DEX version %q", dex[4:7])
	}
	f := &File{Version: 1, Compact: true, main: dex, data: shared}
	if err := f.header(dex); err != nil {
		return nil, err
	}
	if f.Size < headerSizeCompact || f.Size > int64(len(dex)) {
		return nil, cursor.Errorf(0x20, "compact DEX of %d bytes, of which %d are there", f.Size, len(dex))
	}
	f.readMap(le.Uint32(dex[0x34:]))
	return f, nil
}

func versionOf(h []byte, off int) (int, error) {
	if string(h[:4]) != "dex\n" {
		if string(h[:4]) == "dey\n" {
			return 0, unsupported(off, "DEX optimised by Dalvik")
		}
		return 0, cursor.Errorf(int64(off), "no DEX magic")
	}
	v := 0
	for _, c := range h[4:7] {
		if c < '0' || c > '9' {
			return 0, cursor.Errorf(int64(off)+4, "DEX version %q is no number", h[4:7])
		}
		v = v*10 + int(c-'0')
	}
	// 036 was never released but Dalvik took it, so it is found; it is 035 in all but name.
	if v < 35 || v > 41 {
		return 0, unsupported(off+4, "DEX version %03d", v)
	}
	return v, nil
}

type unsupportedError struct{ FormatError }

func (e *unsupportedError) Unwrap() []error { return []error{errors.ErrUnsupported, &e.FormatError} }

func unsupported(off int, format string, args ...any) error {
	return &unsupportedError{FormatError{Off: int64(off), Msg: "not supported: " + fmt.Sprintf(format, args...)}}
}

// header reads what all kinds of header have in common. A table that does not fit is cut to the records that do:
// ART runs code of an OAT whose header it never checked, and half a program is better than none.
func (f *File) header(h []byte) error {
	if le.Uint32(h[0x28:]) == 0x78563412 {
		return unsupported(int(f.Offset)+0x28, "DEX in big-endian order")
	}
	f.Checksum = le.Uint32(h[8:])
	copy(f.Signature[:], h[12:])
	f.Size = int64(le.Uint32(h[0x20:]))
	f.strings = f.table(h[0x38:], 4)
	f.types = f.table(h[0x40:], 4)
	f.protos = f.table(h[0x48:], 12)
	f.fields = f.table(h[0x50:], 8)
	f.methods = f.table(h[0x58:], 8)
	f.classes = f.table(h[0x60:], 32)
	return nil
}

func (f *File) table(h []byte, record int) table {
	return f.bound(le.Uint32(h), le.Uint32(h[4:]), record)
}

func (f *File) bound(size, off uint32, record int) table {
	if uint64(off) >= uint64(len(f.main)) {
		return table{}
	}
	return table{int(off), int(min(uint64(size), uint64((len(f.main)-int(off))/record)))}
}

// readMap looks for the two tables that only the map knows. Its absence is no error (DexFile::InitializeSectionsFromMapList).
func (f *File) readMap(off uint32) {
	if off == 0 || uint64(off)+4 > uint64(len(f.data)) {
		return
	}
	b := f.data[off:]
	n := int(le.Uint32(b))
	for b = b[4:]; n > 0 && len(b) >= 12; n-- {
		size, at := le.Uint32(b[4:]), le.Uint32(b[8:])
		switch le.Uint16(b) {
		case 0x0007:
			f.callSites = f.bound(size, at, 4)
		case 0x0008:
			f.handles = f.bound(size, at, 8)
		}
		b = b[12:]
	}
}

// record returns the bytes of record i, or nil.
func (f *File) record(t table, i uint32, size int) []byte {
	if uint64(i) >= uint64(t.size) {
		return nil
	}
	off := t.off + int(i)*size
	return f.main[off : off+size]
}

// at returns the data section from off on, or nil if off is 0 (which means "none" everywhere) or outside.
func (f *File) at(off uint32) []byte {
	if off == 0 || uint64(off) >= uint64(len(f.data)) {
		return nil
	}
	return f.data[off:]
}

// How many records each table has. A table that runs past the end of the file has as many as fit.
func (f *File) NumStrings() int       { return f.strings.size }
func (f *File) NumTypes() int         { return f.types.size }
func (f *File) NumProtos() int        { return f.protos.size }
func (f *File) NumFields() int        { return f.fields.size }
func (f *File) NumMethods() int       { return f.methods.size }
func (f *File) NumClasses() int       { return f.classes.size }
func (f *File) NumCallSites() int     { return f.callSites.size }
func (f *File) NumMethodHandles() int { return f.handles.size }

// maxUnterminated is how far past its declared length a string's NUL is looked for. Names are compared up to the NUL whatever
// the length says; 64 KiB is what a class file can hold, and a bound is needed lest a million ids each search the whole file.
const maxUnterminated = 1 << 16

// StringData returns string i as the file has it, in MUTF-8 without its closing NUL, sharing the file's memory; nil if there is no such string.
// It takes time in proportion to the string's length. Hostile ids may all name one long string: who reads all strings of a file
// should bound the sum.
func (f *File) StringData(i uint32) []byte {
	id := f.record(f.strings, i, 4)
	if id == nil {
		return nil
	}
	b := f.at(le.Uint32(id))
	units, n := uleb(b)
	if n == 0 {
		return nil
	}
	b = b[n:]
	// A UTF-16 unit takes at most three bytes of MUTF-8.
	if most := 3*uint64(units) + maxUnterminated; uint64(len(b)) > most {
		b = b[:most]
	}
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return b[:len(b):len(b)]
}

// String returns string i as Go text; "" if there is no such string. Surrogate pairs become one character. A surrogate that
// stands alone is kept as its three bytes (WTF-8), and bytes that are no MUTF-8 are kept as they are: two strings of a file that
// differ never become equal by being damaged, but the result may be invalid UTF-8.
func (f *File) String(i uint32) string { return decodeMUTF8(f.StringData(i)) }

// TypeString returns the string index of type i's descriptor, NoIndex if there is no such type.
func (f *File) TypeString(i uint32) uint32 {
	if t := f.record(f.types, i, 4); t != nil {
		return le.Uint32(t)
	}
	return NoIndex
}

// Type returns the descriptor of type i: "Lcom/a/B;", "[I"; "" if there is no such type.
func (f *File) Type(i uint32) string { return f.String(f.TypeString(i)) }

// A ProtoID is the shape of a method.
type ProtoID struct {
	Shorty uint32 // string index
	Return uint32 // type index
	Params uint32 // offset of the list of parameter types; 0: none
}

// Proto returns prototype i.
func (f *File) Proto(i uint32) ProtoID {
	if p := f.record(f.protos, i, 12); p != nil {
		return ProtoID{le.Uint32(p), uint32(le.Uint16(p[4:])), le.Uint32(p[8:])}
	}
	return ProtoID{Shorty: NoIndex, Return: NoIndex}
}

// NumParams returns how many parameters prototype i has, without "this".
func (f *File) NumParams(i uint32) int { return len(f.typeList(f.Proto(i).Params)) / 2 }

// Param returns the type index of parameter k of prototype i, NoIndex if there is none.
func (f *File) Param(i uint32, k int) uint32 {
	l := f.typeList(f.Proto(i).Params)
	if k < 0 || k >= len(l)/2 {
		return NoIndex
	}
	return uint32(le.Uint16(l[2*k:]))
}

// typeList returns the 16-bit type indexes of a type_list.
func (f *File) typeList(off uint32) []byte {
	b := f.at(off)
	if len(b) < 4 {
		return nil
	}
	n := min(uint64(le.Uint32(b)), uint64(len(b)-4)/2)
	return b[4 : 4+2*n]
}

// A MethodID names a method.
type MethodID struct {
	Class uint32 // type index
	Proto uint32
	Name  uint32 // string index
}

// Method returns method i.
func (f *File) Method(i uint32) MethodID {
	if m := f.record(f.methods, i, 8); m != nil {
		return MethodID{uint32(le.Uint16(m)), uint32(le.Uint16(m[2:])), le.Uint32(m[4:])}
	}
	return MethodID{NoIndex, NoIndex, NoIndex}
}

// A FieldID names a field.
type FieldID struct {
	Class uint32 // type index
	Type  uint32 // type index
	Name  uint32 // string index
}

// Field returns field i.
func (f *File) Field(i uint32) FieldID {
	if m := f.record(f.fields, i, 8); m != nil {
		return FieldID{uint32(le.Uint16(m)), uint32(le.Uint16(m[2:])), le.Uint32(m[4:])}
	}
	return FieldID{NoIndex, NoIndex, NoIndex}
}

// MethodName returns method i as "Lcls;.name:(args)ret".
func (f *File) MethodName(i uint32) string {
	if uint64(i) >= uint64(f.methods.size) {
		return ""
	}
	return string(f.AppendMethodName(make([]byte, 0, 128), i))
}

// AppendMethodName appends what MethodName returns.
func (f *File) AppendMethodName(b []byte, i uint32) []byte { return f.appendMethod(b, i, ".", ":") }

func (f *File) appendMethod(b []byte, i uint32, dot, colon string) []byte {
	if uint64(i) >= uint64(f.methods.size) {
		return b
	}
	m := f.Method(i)
	b = f.appendType(b, m.Class)
	b = append(b, dot...)
	b = appendMUTF8(b, f.StringData(m.Name))
	b = append(b, colon...)
	return f.AppendProto(b, m.Proto)
}

// AppendProto appends prototype i as "(args)ret".
func (f *File) AppendProto(b []byte, i uint32) []byte {
	p := f.Proto(i)
	b = append(b, '(')
	for l := f.typeList(p.Params); len(l) >= 2; l = l[2:] {
		b = f.appendType(b, uint32(le.Uint16(l)))
	}
	b = append(b, ')')
	return f.appendType(b, p.Return)
}

// FieldName returns field i as "Lcls;.name:type".
func (f *File) FieldName(i uint32) string {
	if uint64(i) >= uint64(f.fields.size) {
		return ""
	}
	return string(f.AppendFieldName(make([]byte, 0, 128), i))
}

// AppendFieldName appends what FieldName returns.
func (f *File) AppendFieldName(b []byte, i uint32) []byte { return f.appendField(b, i, ".") }

func (f *File) appendField(b []byte, i uint32, dot string) []byte {
	if uint64(i) >= uint64(f.fields.size) {
		return b
	}
	m := f.Field(i)
	b = f.appendType(b, m.Class)
	b = append(b, dot...)
	b = appendMUTF8(b, f.StringData(m.Name))
	b = append(b, ':')
	return f.appendType(b, m.Type)
}

func (f *File) appendType(b []byte, i uint32) []byte {
	return appendMUTF8(b, f.StringData(f.TypeString(i)))
}

// A ClassDef is a class the file defines. The last five are places the other methods of File take the ClassDef for.
type ClassDef struct {
	Type         uint32 // type index
	Access       uint32 // ACC_ flags
	Super        uint32 // type index; NoIndex for java.lang.Object
	Interfaces   uint32 // offset, 0: none
	SourceFile   uint32 // string index; NoIndex if not known
	Annotations  uint32 // offset, 0: none
	ClassData    uint32 // offset, 0: none
	StaticValues uint32 // offset, 0: none
}

// Class returns class i, in the order of the file; a zero ClassDef with NoIndex for Type if there is no such class.
func (f *File) Class(i int) ClassDef {
	if i < 0 || i >= f.classes.size {
		return ClassDef{Type: NoIndex, Super: NoIndex, SourceFile: NoIndex}
	}
	b := f.record(f.classes, uint32(i), 32)
	c := ClassDef{
		Type:         uint32(le.Uint16(b)),
		Access:       le.Uint32(b[4:]),
		Super:        uint32(le.Uint16(b[8:])),
		Interfaces:   le.Uint32(b[12:]),
		SourceFile:   le.Uint32(b[16:]),
		Annotations:  le.Uint32(b[20:]),
		ClassData:    le.Uint32(b[24:]),
		StaticValues: le.Uint32(b[28:]),
	}
	if c.Super == 0xffff {
		c.Super = NoIndex
	}
	return c
}

// Interfaces yields the type indexes of the interfaces c names.
func (f *File) Interfaces(c ClassDef) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for l := f.typeList(c.Interfaces); len(l) >= 2; l = l[2:] {
			if !yield(uint32(le.Uint16(l))) {
				return
			}
		}
	}
}
