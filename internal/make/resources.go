package make

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// A Resource is one entry of a resource table. Value is text as it stands in res/values: it is typed by Type, for
// "string", "bool", "integer", "color" and "dimen"; a reference ("@string/other") is one in any type. For a type whose
// entries are files (xml, raw, layout) it is the file's name in the APK. With Items the entry is an array, and each
// item is typed by its looks.
type Resource struct {
	Type, Name, Value string
	Items             []string
}

// Resources writes a resource table (resources.arsc) of one package, number 0x7f, with every value in the default
// configuration, and returns what gives the id of "type/name" or "package:type/name", for XML. Types and
// entries are numbered in the order given. Source of the format: frameworks/base/libs/androidfw/include/androidfw/
// ResourceTypes.h.
func Resources(pkg string, list []Resource) (table []byte, resolve func(name string) (id uint32, ok bool), err error) {
	type entry struct {
		Resource
		key uint32
	}
	var types, keys, pool []string
	entries := map[string][]entry{}
	index := func(list *[]string, s string) uint32 {
		i := slices.Index(*list, s)
		if i < 0 {
			i, *list = len(*list), append(*list, s)
		}
		return uint32(i)
	}
	ids := map[string]uint32{}
	for _, r := range list {
		name := r.Type + "/" + r.Name
		if ids[name] != 0 {
			return nil, nil, fmt.Errorf("the resource %s is given twice", name)
		}
		t := index(&types, r.Type)
		n := len(entries[r.Type])
		if t >= 0xff || n > 0xffff {
			return nil, nil, fmt.Errorf("%s: a table has 255 types of 65536 entries", name)
		}
		ids[name] = 0x7f<<24 | (t+1)<<16 | uint32(n)
		entries[r.Type] = append(entries[r.Type], entry{r, index(&keys, r.Name)})
	}
	resolve = func(name string) (uint32, bool) {
		if p, rest, ok := strings.Cut(name, ":"); ok && p == pkg {
			name = rest
		}
		id, ok := ids[name]
		return id, ok
	}

	le := binary.LittleEndian
	x := xmlEncoder{resolve: resolve}
	var failed error
	value := func(b []byte, r *Resource, s string, decl *attribute) []byte {
		typ, data, err := x.value(s, decl)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s/%s: %q: %w", r.Type, r.Name, s, err)
		}
		if typ == resString {
			data = index(&pool, unescapeXML(s))
		}
		return le.AppendUint32(append(le.AppendUint16(b, 8), 0, typ), data)
	}
	// The formats that the types of res/values have. All else is the name of a file.
	formats := map[string]*attribute{"string": {formats: []string{"string"}}, "bool": {formats: []string{"boolean"}},
		"integer": {formats: []string{"integer"}}, "color": {formats: []string{"color"}}, "dimen": {formats: []string{"dimension", "float"}}}
	var chunks []byte
	for i, name := range types {
		var offsets, data []byte
		for _, e := range entries[name] {
			offsets = le.AppendUint32(offsets, uint32(len(data)))
			if e.Items == nil {
				decl := formats[name]
				if decl == nil {
					decl = formats["string"]
				}
				data = le.AppendUint32(append(data, 8, 0, 0, 0), e.key)
				data = value(data, &e.Resource, e.Value, decl)
				continue
			}
			data = le.AppendUint32(append(data, 16, 0, 1, 0), e.key) // 1: complex
			data = le.AppendUint32(data, 0)                          // no parent
			data = le.AppendUint32(data, uint32(len(e.Items)))
			for k, s := range e.Items {
				data = value(le.AppendUint32(data, 0x02000000|uint32(k)), &e.Resource, s, nil)
			}
		}
		n := uint32(len(entries[name]))
		head := le.AppendUint32([]byte{byte(i + 1), 0, 0, 0}, n)
		chunks = append(chunks, resourceChunk(chunkTypeSpec, head, make([]byte, 4*n))...)
		const config = 64 // ResTable_config of Android 8; all zero is the default
		head = le.AppendUint32(head, uint32(8+len(head)+4+config+len(offsets)))
		head = append(le.AppendUint32(head, config), make([]byte, config-4)...)
		chunks = append(chunks, resourceChunk(chunkType, head, append(offsets, data...))...)
	}
	if failed != nil {
		return nil, nil, failed
	}
	typePool, keyPool := resourcePool(types), resourcePool(keys)
	const packageHeader = 288
	head := le.AppendUint32(nil, 0x7f)
	for _, c := range utf16.Encode([]rune(pkg)) {
		head = le.AppendUint16(head, c)
	}
	if len(head) > 4+254 {
		return nil, nil, fmt.Errorf("the package name %.80q is longer than the 127 characters of its field", pkg)
	}
	head = append(head, make([]byte, 4+256-len(head))...)
	for _, v := range []int{packageHeader, len(types), packageHeader + len(typePool), len(keys), 0} {
		head = le.AppendUint32(head, uint32(v))
	}
	body := resourceChunk(chunkPackage, head, slices.Concat(typePool, keyPool, chunks))
	return resourceChunk(chunkTable, le.AppendUint32(nil, 1), append(resourcePool(pool), body...)), resolve, nil
}

const (
	chunkTable    = 0x0002
	chunkPackage  = 0x0200
	chunkType     = 0x0201
	chunkTypeSpec = 0x0202
)

func resourceChunk(kind uint16, header, body []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, kind), uint16(8+len(header)))
	b = le.AppendUint32(b, uint32(8+len(header)+len(body)))
	return append(append(b, header...), body...)
}

// resourcePool writes a string pool in UTF-8, as aapt2 does for tables: two lengths, in UTF-16 units and in bytes.
func resourcePool(list []string) []byte {
	le := binary.LittleEndian
	var offsets, data []byte
	length := func(n int) {
		if n > 0x7f {
			data = append(data, 0x80|byte(n>>8))
		}
		data = append(data, byte(n))
	}
	for _, s := range list {
		s = strings.ToValidUTF8(s, "?")
		for len(s) > 0x7fff { // what two bytes of length hold
			s = strings.ToValidUTF8(s[:0x7fff], "")
		}
		offsets = le.AppendUint32(offsets, uint32(len(data)))
		length(len(utf16.Encode([]rune(s))))
		length(len(s))
		data = append(append(data, s...), 0)
	}
	data = append(data, make([]byte, -len(data)&3)...)
	head := le.AppendUint32(nil, uint32(len(list)))
	head = le.AppendUint32(head, 0)    // styles
	head = le.AppendUint32(head, 1<<8) // UTF-8
	head = le.AppendUint32(head, uint32(28+len(offsets)))
	head = le.AppendUint32(head, 0)
	return resourceChunk(chunkStringPool, head, append(offsets, data...))
}
