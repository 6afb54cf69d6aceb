package apk

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

const (
	chunkPackage = 0x0200
	chunkType    = 0x0201

	typeSparse   = 0x01 // ResTable_type: entries are (index, offset) pairs
	typeOffset16 = 0x02 // offsets have 16 bits and count words

	entryComplex = 0x0001 // ResTable_entry: a bag follows
	entryCompact = 0x0008 // the entry is its own value

	frameworkPackage = 0x01

	// AssetManager2::ResolveReference gives up after as many.
	maxHops = 20
)

// Resources is a resource table (resources.arsc). Only its chunks are looked up when it is opened; entries
// and strings are read from the given bytes when they are asked for. It is safe for use by several
// goroutines. A nil *Resources is an empty table.
type Resources struct {
	pool     stringPool
	packages []resPackage
}

type resPackage struct {
	id         uint8
	name       string
	typeOffset uint32 // to be added to a type's number to have it as in a resource id
	typeNames  stringPool
	keys       stringPool
	types      map[uint8][]resType
}

// A resType is a chunk with the values of one type for one configuration.
type resType struct {
	b      []byte // the whole chunk
	header int
	start  int // of the entries
	count  int
	flags  uint8
	config []byte
}

// A Value is a value of a resource or an attribute.
type Value struct {
	Type   uint8 // TypeString, TypeReference, ...
	Data   uint32
	String string // the string that Data points at, if Type is TypeString
	Config string // the configuration it is for, as in a resource folder's name ("en-rUS-v21"), "" for the default
	Parent uint32 // of a bag: the resource it inherits from
	Bag    []BagItem
	IsBag  bool // an array, a style, a plural, an attribute's definition: Type and Data say nothing
}

// A BagItem is an element of an array, a style, a plural or an attribute's definition.
type BagItem struct {
	Name uint32 // resource id of the attribute; 0x01000000 and up for plurals, 0x02000000 plus index for arrays
	Value
}

// ParseResources opens a resource table (LoadedArsc.cpp in frameworks/base/libs/androidfw). If chunks are
// damaged it returns the table as far as it goes and the error.
//
// It takes more than Android does: types without their specification chunk, more packages than announced,
// and unaligned chunks. Chunks of overlayables, shared libraries, staged aliases and flags are passed over.
func ParseResources(b []byte) (*Resources, error) {
	r := &Resources{}
	found := false
	var failed error
	for c, err := range chunks(b, 0) {
		if err != nil {
			failed = err
			break
		}
		if c.kind != chunkTable || c.header < 12 {
			continue
		}
		found = true
		for c, err := range chunks(b[:c.off+len(c.b)], c.off+c.header) {
			if err != nil {
				failed = err
				break
			}
			switch c.kind {
			case chunkStrings:
				if r.pool.entries == nil { // the first one counts
					r.pool = newStringPool(c)
				}
			case chunkPackage:
				p, err := parsePackage(b, c)
				if err != nil && failed == nil {
					failed = err
				}
				if p != nil {
					r.packages = append(r.packages, *p)
				}
			}
		}
	}
	if !found {
		if failed == nil {
			failed = cursor.Errorf(0, "not a resource table")
		}
		return nil, failed
	}
	return r, failed
}

// chunks yields the chunks from off to the end of b. At the first that is damaged it yields the error and
// ends, where ChunkIterator of libs/androidfw ends too.
func chunks(b []byte, off int) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		for off < len(b) {
			c, err := chunkAt(b, off)
			if !yield(c, err) || err != nil {
				return
			}
			off += len(c.b)
		}
	}
}

func parsePackage(b []byte, c chunk) (*resPackage, error) {
	le := binary.LittleEndian
	if c.header < 284 { // ResTable_package without typeIdOffset, which came later
		return nil, cursor.Errorf(int64(c.off), "package header of %d bytes", c.header)
	}
	p := &resPackage{id: uint8(le.Uint32(c.b[8:])), types: make(map[uint8][]resType)}
	name := c.b[12:268]
	for i := 0; i < len(name); i += 2 {
		if name[i] == 0 && name[i+1] == 0 {
			name = name[:i]
		}
	}
	p.name = string(fromUTF16(name))
	if c.header >= 288 {
		p.typeOffset = le.Uint32(c.b[284:])
	}
	typeNames, keys := int(le.Uint32(c.b[268:])), int(le.Uint32(c.b[276:]))
	for ch, err := range chunks(b[:c.off+len(c.b)], c.off+c.header) {
		if err != nil {
			return p, err
		}
		switch ch.kind {
		case chunkStrings:
			switch ch.off - c.off {
			case typeNames:
				p.typeNames = newStringPool(ch)
			case keys:
				p.keys = newStringPool(ch)
			}
		case chunkType:
			if t, id, ok := parseType(ch); ok {
				p.types[id] = append(p.types[id], t)
			}
		}
	}
	return p, nil
}

func parseType(c chunk) (t resType, id uint8, ok bool) {
	le := binary.LittleEndian
	if c.header < 24 { // up to the size of the configuration
		return t, 0, false
	}
	id = c.b[8]
	count, start := le.Uint32(c.b[12:]), le.Uint32(c.b[16:])
	if id == 0 || int64(start) > int64(len(c.b)) {
		return t, 0, false
	}
	t = resType{b: c.b, header: c.header, start: int(start), flags: c.b[9]}
	t.config = c.b[20:c.header]
	if n := le.Uint32(t.config); int64(n) < int64(len(t.config)) {
		t.config = t.config[:max(n, 4)]
	}
	width := 4
	if t.flags&(typeSparse|typeOffset16) == typeOffset16 {
		width = 2
	}
	t.count = int(min(int64(count), int64(len(c.b)-c.header)/int64(width), math.MaxUint16+1))
	return t, id, true
}

// entry returns the bytes from the entry of that index to the end of the chunk.
func (t *resType) entry(index int) ([]byte, bool) {
	le := binary.LittleEndian
	table := t.b[t.header:]
	var off uint64
	switch {
	case t.flags&typeSparse != 0:
		lo, hi := 0, t.count
		for lo < hi {
			if mid := (lo + hi) / 2; int(le.Uint16(table[mid*4:])) < index {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if lo == t.count || int(le.Uint16(table[lo*4:])) != index {
			return nil, false
		}
		off = uint64(le.Uint16(table[lo*4+2:])) * 4
	case index >= t.count:
		return nil, false
	case t.flags&typeOffset16 != 0:
		v := le.Uint16(table[index*2:])
		if v == math.MaxUint16 {
			return nil, false
		}
		off = uint64(v) * 4
	default:
		v := le.Uint32(table[index*4:])
		if v == math.MaxUint32 {
			return nil, false
		}
		off = uint64(v)
	}
	if off += uint64(t.start); off+8 > uint64(len(t.b)) {
		return nil, false
	}
	return t.b[off:], true
}

// index returns the entry index of slot i of the offset table.
func (t *resType) index(i int) int {
	if t.flags&typeSparse != 0 {
		return int(binary.LittleEndian.Uint16(t.b[t.header+i*4:]))
	}
	return i
}

// A textBudget is how many bytes of text may still be decoded. Strings may overlap in the pool, and a small
// hostile table could name a long one millions of times; what comes after the budget stays empty.
type textBudget int

// budget allows for every string of the pool twice and for short ones more often.
func (r *Resources) budget() textBudget { return textBudget(2*len(r.pool.strings) + 64<<10) }

func (r *Resources) text(v Value, left *textBudget) string {
	if v.Type != TypeString {
		return ""
	}
	if b, _ := r.pool.bytes(v.Data); textBudget(len(b)) > *left {
		return ""
	} else {
		*left -= textBudget(len(b))
	}
	s, _ := r.pool.str(v.Data)
	return s
}

// value reads an entry. The value of a bag has its items only if bag is set.
func (r *Resources) value(e []byte, bag bool, left *textBudget) (v Value, key uint32, ok bool) {
	le := binary.LittleEndian
	flags := le.Uint16(e[2:])
	if flags&entryCompact != 0 {
		v = Value{Type: uint8(flags >> 8), Data: le.Uint32(e[4:])}
		v.String = r.text(v, left)
		return v, uint32(le.Uint16(e)), true
	}
	size := int(le.Uint16(e))
	key = le.Uint32(e[4:])
	if flags&entryComplex == 0 {
		if size < 8 || len(e)-size < 8 {
			return v, key, false
		}
		return r.resValue(e[size:], left), key, true
	}
	if size < 16 || len(e) < size {
		return v, key, false
	}
	v = Value{IsBag: true, Parent: le.Uint32(e[8:])}
	if !bag {
		return v, key, true
	}
	count := int(min(int64(le.Uint32(e[12:])), int64(len(e)-size)/12))
	v.Bag = make([]BagItem, count)
	for i := range v.Bag {
		m := e[size+i*12:]
		v.Bag[i] = BagItem{Name: le.Uint32(m), Value: r.resValue(m[4:], left)}
	}
	return v, key, true
}

func (r *Resources) resValue(b []byte, left *textBudget) Value {
	v := Value{Type: b[3], Data: binary.LittleEndian.Uint32(b[4:])}
	v.String = r.text(v, left)
	return v
}

// split takes a resource id apart: the types that can hold it and the index of the entry. Package 0 is the
// table's own package in a shared library, whose number is given out when it is loaded.
func (r *Resources) split(id uint32) iter.Seq2[*resPackage, []resType] {
	return func(yield func(*resPackage, []resType) bool) {
		if r == nil {
			return
		}
		for i := range r.packages {
			p := &r.packages[i]
			if p.id != uint8(id>>24) {
				continue
			}
			n := id>>16&0xff - p.typeOffset
			if n == 0 || n > math.MaxUint8 {
				continue
			}
			if types := p.types[uint8(n)]; len(types) > 0 && !yield(p, types) {
				return
			}
		}
	}
}

// Value returns the value of a resource in the default configuration, or where there is none in the first that
// goes by the device only, or else in the first for a language or an operator. References are followed. One
// that leads out of the table, to the framework or a shared library, is returned as it is.
func (r *Resources) Value(id uint32) (Value, bool) {
	v, ok := r.own(id)
	for hops := 0; ok && hops < maxHops && !v.IsBag && (v.Type == TypeReference || v.Type == TypeDynamicReference); hops++ {
		next, found := r.own(v.Data)
		if !found {
			break
		}
		v = next
	}
	return v, ok
}

// own returns the value of a resource in the best configuration, references not followed.
func (r *Resources) own(id uint32) (Value, bool) {
	var (
		best  []byte
		conf  []byte
		worst = math.MaxInt
	)
	for _, types := range r.split(id) {
		for i := range types {
			t := &types[i]
			e, ok := t.entry(int(id & 0xffff))
			if !ok {
				continue
			}
			if rank := configRank(t.config); rank < worst {
				best, conf, worst = e, t.config, rank
			}
		}
	}
	if best == nil {
		return Value{}, false
	}
	left := r.budget()
	v, _, ok := r.value(best, true, &left)
	if worst > 0 {
		v.Config = configName(conf)
	}
	return v, ok
}

// Values returns the value of a resource in every configuration, in the order of the file, references not
// followed.
func (r *Resources) Values(id uint32) []Value {
	if r == nil {
		return nil
	}
	var all []Value
	left := r.budget()
	for _, types := range r.split(id) {
		for i := range types {
			t := &types[i]
			e, ok := t.entry(int(id & 0xffff))
			if !ok {
				continue
			}
			if v, _, ok := r.value(e, true, &left); ok {
				v.Config = configName(t.config)
				all = append(all, v)
			}
		}
	}
	return all
}

// Name returns the name of a resource with its type ("string/app_name"), or "" if the table does not have it.
func (r *Resources) Name(id uint32) string {
	for p, types := range r.split(id) {
		for i := range types {
			e, ok := types[i].entry(int(id & 0xffff))
			if !ok {
				continue
			}
			var none textBudget
			_, key, ok := r.value(e, false, &none)
			if !ok {
				continue
			}
			kind, _ := p.typeNames.str(id>>16&0xff - p.typeOffset - 1)
			name, _ := p.keys.str(key)
			return kind + "/" + name
		}
	}
	return ""
}

// All yields every value of every resource in every configuration, in the order of the file, references not
// followed and bags without their items. It takes one pass over the table.
func (r *Resources) All() iter.Seq2[uint32, Value] {
	return func(yield func(uint32, Value) bool) {
		if r == nil {
			return
		}
		strs := make([]string, r.pool.len())
		left := r.budget()
		for i := range r.packages {
			p := &r.packages[i]
			for n := uint32(1); n <= math.MaxUint8; n++ {
				for j := range p.types[uint8(n)] {
					t := &p.types[uint8(n)][j]
					config := configName(t.config)
					for slot := range t.count {
						index := t.index(slot)
						e, ok := t.entry(index)
						if !ok {
							continue
						}
						var none textBudget
						v, _, ok := r.value(e, false, &none)
						if !ok {
							continue
						}
						if v.Type == TypeString && int64(v.Data) < int64(len(strs)) {
							if strs[v.Data] == "" {
								strs[v.Data] = r.text(v, &left)
							}
							v.String = strs[v.Data]
						}
						v.Config = config
						if !yield(uint32(p.id)<<24|(n+p.typeOffset)&0xff<<16|uint32(index), v) {
							return
						}
					}
				}
			}
		}
	}
}

// Packages returns the names of the packages in the table.
func (r *Resources) Packages() []string {
	if r == nil {
		return nil
	}
	names := make([]string, len(r.packages))
	for i := range names {
		names[i] = r.packages[i].name
	}
	return names
}

// Of returns the value of an attribute, with references into the table followed.
func (r *Resources) Of(a Attr) Value {
	v := Value{Type: a.Type, Data: a.Data, String: a.Value}
	if a.Type == TypeReference || a.Type == TypeDynamicReference {
		if to, ok := r.Value(a.Data); ok {
			return to
		}
	}
	return v
}

// Resolve returns the text of an attribute's value, with references into the table followed. What cannot be
// followed stays as text: "@android:0x0104000a" for the framework's, "@0x7f010001" for others.
func (r *Resources) Resolve(a Attr) string { return r.Of(a).Text() }

// Text returns the value as text: a string as it is, numbers as they are written in XML ("16.5dp", "#ff00ff00"),
// references as "@0x7f010001", those to the framework as "@android:0x0104000a". A bag and a null have none.
func (v Value) Text() string {
	if v.IsBag {
		return ""
	}
	switch v.Type {
	case TypeString:
		return v.String
	case TypeReference, TypeDynamicReference:
		if v.Data == 0 {
			return "" // @null
		}
		return "@" + refText(v.Data)
	case TypeAttribute, TypeDynamicAttribute:
		return "?" + refText(v.Data)
	case TypeFloat:
		return strconv.FormatFloat(float64(math.Float32frombits(v.Data)), 'g', -1, 32)
	case TypeDimension:
		units := [...]string{"px", "dp", "sp", "pt", "in", "mm"}
		if u := v.Data & 0xf; int(u) < len(units) {
			return complexText(v.Data, 1) + units[u]
		}
		return complexText(v.Data, 1)
	case TypeFraction:
		if v.Data&0xf == 1 {
			return complexText(v.Data, 100) + "%p"
		}
		return complexText(v.Data, 100) + "%"
	case TypeIntHex:
		return fmt.Sprintf("0x%x", v.Data)
	case TypeIntBoolean:
		return strconv.FormatBool(v.Data != 0)
	}
	switch {
	case v.Type >= TypeIntColorARGB8 && v.Type <= TypeIntColorRGB4:
		return fmt.Sprintf("#%08x", v.Data)
	case v.Type >= TypeIntDec && v.Type < TypeIntColorARGB8:
		return strconv.Itoa(int(int32(v.Data)))
	}
	return ""
}

func refText(id uint32) string {
	if id>>24 == frameworkPackage {
		return fmt.Sprintf("android:0x%08x", id)
	}
	return fmt.Sprintf("0x%08x", id)
}

// complexText is TypedValue.complexToFloat: a mantissa of 24 bits with one of four places for the point.
func complexText(d uint32, times float64) string {
	shift := [...]float64{1, 1 << 7, 1 << 15, 1 << 23}
	f := float64(int32(d&0xffffff00)>>8) / shift[d>>4&3]
	return strconv.FormatFloat(f*times, 'g', 6, 64)
}

// Int returns the value as an integer, or def if it is none. Text is read as XmlUtils.convertValueToInt reads it.
func (v Value) Int(def int32) int32 {
	switch {
	case v.IsBag:
	case v.Type >= TypeIntDec && v.Type <= TypeIntColorRGB4:
		return int32(v.Data)
	case v.Type == TypeString:
		s, minus := strings.CutPrefix(v.String, "-")
		base := 10
		if t, ok := cutAny(s, "0x", "0X", "#"); ok {
			s, base = t, 16
		} else if len(s) > 1 && s[0] == '0' {
			base = 8
		}
		if minus {
			s = "-" + s
		}
		if n, err := strconv.ParseInt(s, base, 32); err == nil {
			return int32(n)
		}
	}
	return def
}

func cutAny(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if t, ok := strings.CutPrefix(s, p); ok {
			return t, true
		}
	}
	return s, false
}

// Bool returns the value as a truth value, or def if there is none or it lies outside the table. Text is read
// as XmlUtils.convertValueToBoolean reads it: "1", "true" and "TRUE" are true, any other text is false.
func (v Value) Bool(def bool) bool {
	switch {
	case v.IsBag:
	case v.Type >= TypeIntDec && v.Type <= TypeIntColorRGB4:
		return v.Data != 0
	case v.Type == TypeString && v.String != "":
		return v.String == "1" || v.String == "true" || v.String == "TRUE"
	}
	return def
}
