package apk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/klauspost/compress/flate"
)

// What tests need to write by hand: containers with nothing right in them but what the test is about.

type bin struct{ bytes.Buffer }

func (b *bin) put(vs ...any) *bin {
	for _, v := range vs {
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case []byte:
			b.Write(v)
		default:
			if err := binary.Write(b, binary.LittleEndian, v); err != nil {
				panic(err)
			}
		}
	}
	return b
}

func deflate(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

// A zipEntry is written as it says; zero fields are filled in by newEntry only.
type zipEntry struct {
	name, localName     string
	method, localMethod uint16
	flags, localFlags   uint16
	crc                 uint32
	data                []byte
	csize, size         uint32 // in the central directory
	lcsize, lsize       uint32 // in the local header
	extra, localExtra   []byte
	behind              []byte // after the content
	at                  uint32 // header offset to claim, 0 for the true one
}

func newEntry(name string, method uint16, content string) zipEntry {
	e := zipEntry{name: name, localName: name, method: method, localMethod: method, data: []byte(content),
		crc: crc32.ChecksumIEEE([]byte(content)), size: uint32(len(content))}
	if method == Deflated {
		e.data = deflate(content)
	}
	e.csize, e.lcsize, e.lsize = uint32(len(e.data)), uint32(len(e.data)), e.size
	return e
}

func (e zipEntry) with(f func(*zipEntry)) zipEntry {
	f(&e)
	return e
}

func makeZip(comment string, entries ...zipEntry) []byte {
	var b, dir bin
	for _, e := range entries {
		at := uint32(b.Len())
		if e.at != 0 {
			at = e.at
		}
		b.put("PK\x03\x04", uint16(20), e.localFlags, e.localMethod, uint32(0), e.crc, e.lcsize, e.lsize,
			uint16(len(e.localName)), uint16(len(e.localExtra)), e.localName, e.localExtra, e.data, e.behind)
		dir.put("PK\x01\x02", uint16(0x0314), uint16(20), e.flags, e.method, uint32(0), e.crc, e.csize, e.size,
			uint16(len(e.name)), uint16(len(e.extra)), uint16(0), uint16(0), uint16(0), uint32(0o100644<<16), at, e.name, e.extra)
	}
	off := b.Len()
	b.put(dir.Bytes(), "PK\x05\x06", uint32(0), uint16(len(entries)), uint16(len(entries)),
		uint32(dir.Len()), uint32(off), uint16(len(comment)), comment)
	return b.Bytes()
}

func makeChunk(kind uint16, header, body []byte) []byte {
	return new(bin).put(kind, uint16(8+len(header)), uint32(8+len(header)+len(body)), header, body).Bytes()
}

func makeStrings(utf8 bool, strs ...string) []byte {
	var offs, data bin
	for _, s := range strs {
		offs.put(uint32(data.Len()))
		if utf8 {
			data.put(uint8(len(s)), uint8(len(s)), s, uint8(0))
			continue
		}
		var units bin
		for _, r := range s {
			units.put(uint16(r))
		}
		data.put(uint16(units.Len()/2), units.Bytes(), uint16(0))
	}
	for data.Len()%4 != 0 {
		data.put(uint8(0))
	}
	flags := uint32(0)
	if utf8 {
		flags = 1 << 8
	}
	header := new(bin).put(uint32(len(strs)), uint32(0), flags, uint32(28+offs.Len()), uint32(0))
	return makeChunk(chunkStrings, header.Bytes(), append(offs.Bytes(), data.Bytes()...))
}

const none = math.MaxUint32

// makeAttr is ns, name, raw, type, data.
func makeAttr(ns, name, raw uint32, typ uint8, data uint32) []byte {
	return new(bin).put(ns, name, raw, uint16(8), uint8(0), typ, data).Bytes()
}

func makeNode(kind uint16, line uint32, body []byte) []byte {
	return makeChunk(kind, new(bin).put(line, uint32(none)).Bytes(), body)
}

func makeStart(line, name uint32, attrs ...[]byte) []byte {
	body := new(bin).put(uint32(none), name, uint16(20), uint16(20), uint16(len(attrs)), uint16(0), uint16(0), uint16(0))
	for _, a := range attrs {
		body.put(a)
	}
	return makeNode(chunkStartElement, line, body.Bytes())
}

func makeEnd() []byte {
	return makeNode(chunkEndElement, 0, new(bin).put(uint32(none), uint32(none)).Bytes())
}

func makeText(s uint32) []byte {
	return makeNode(chunkCDATA, 0, new(bin).put(s, uint16(8), uint8(0), uint8(0), uint32(0)).Bytes())
}

func makeXML(parts ...[]byte) []byte {
	return makeChunk(chunkXML, nil, bytes.Join(parts, nil))
}

func makeIDs(ids ...uint32) []byte {
	return makeChunk(chunkResourceMap, nil, new(bin).put(ids).Bytes())
}

// makeType writes a type chunk with a configuration of 64 bytes that has language and SDK version.
func makeType(id, flags uint8, language string, sdk uint16, count int, offsets, entries []byte) []byte {
	config := make([]byte, 64)
	config[0] = 64
	copy(config[8:], language)
	binary.LittleEndian.PutUint16(config[24:], sdk)
	for len(offsets)%4 != 0 {
		offsets = append(offsets, 0xff)
	}
	header := new(bin).put(id, flags, uint16(0), uint32(count), uint32(20+64+len(offsets)), config)
	return makeChunk(chunkType, header.Bytes(), append(bytes.Clone(offsets), entries...))
}

func makeEntry(key uint32, typ uint8, data uint32) []byte {
	return new(bin).put(uint16(8), uint16(0), key, uint16(8), uint8(0), typ, data).Bytes()
}

func makePackage(id uint32, types, keys []byte, chunks ...[]byte) []byte {
	name := make([]byte, 256)
	copy(name, "a\x00p\x00p\x00")
	header := new(bin).put(id, name, uint32(288), uint32(0), uint32(288+len(types)), uint32(0), uint32(0))
	return makeChunk(chunkPackage, header.Bytes(), bytes.Join(append([][]byte{types, keys}, chunks...), nil))
}

func makeTable(parts ...[]byte) []byte {
	return makeChunk(chunkTable, new(bin).put(uint32(1)).Bytes(), bytes.Join(parts, nil))
}
