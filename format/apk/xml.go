package apk

import (
	_ "embed"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"

	"gifthorse/internal/cursor"
)

// AndroidNS is the namespace of the framework's attributes.
const AndroidNS = "http://schemas.android.com/apk/res/android"

const (
	chunkXMLFirst       = 0x0100
	chunkStartNamespace = 0x0100
	chunkEndNamespace   = 0x0101
	chunkStartElement   = 0x0102
	chunkEndElement     = 0x0103
	chunkCDATA          = 0x0104
	chunkXMLLast        = 0x017f
	chunkResourceMap    = 0x0180
)

// Elements below this depth are passed over. A manifest is read seven deep, layouts reach some thirty; whoever
// walks the tree may do it by recursion.
const maxDepth = 256

// A Node is an element of a binary XML file.
type Node struct {
	Space    string // namespace, "" for none
	Name     string
	Attrs    []Attr // in the order of the file
	Children []*Node
	Text     string // the text directly inside, joined
	Line     int    // of the source, as the file says
	Off      int64  // of the element's chunk
}

// An Attr is an attribute of an element. Its name, its id, its text and its value are stored apart, and
// nothing makes them agree.
type Attr struct {
	Space string // namespace, "" for none
	Name  string // as the string pool has it; may be empty or wrong
	ID    uint32 // resource id of the name, 0 for none
	Type  uint8  // kind of Data: TypeString, TypeReference, ...
	Data  uint32
	Value string // the string that Data points at, if Type is TypeString
	Raw   string // the source text, which may be absent
	Off   int64
}

// IsBinaryXML reports whether b looks like binary XML. Most Androids do not look at the chunk type in the first
// two bytes (ResXMLTree::setTo), so a document that starts otherwise counts if a string pool follows.
func IsBinaryXML(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	le := binary.LittleEndian
	header := int(le.Uint16(b[2:]))
	if header < 8 || header > len(b)-8 || int64(le.Uint32(b[4:])) < int64(header) {
		return false
	}
	if le.Uint16(b) == chunkXML {
		return true
	}
	c, err := chunkAt(b, header)
	return err == nil && c.kind == chunkStrings && c.header >= 28
}

// ParseXML reads binary XML (ResXMLTree in frameworks/base/libs/androidfw/ResourceTypes.cpp) and returns its
// first element. What follows the end of that element is not read, as PackageManager does not read it.
//
// If the document is damaged behind its first element, ParseXML returns the tree as far as it goes and the
// error; Android gives up at the same place.
//
// As in Android: chunks of unknown kind are passed over, the last string pool and the last resource map before
// the first element count, header and attribute sizes may be larger than needed, an end tag ends whatever
// element is open, and missing end tags are no error.
func ParseXML(b []byte) (*Node, error) {
	if !IsBinaryXML(b) {
		return nil, cursor.Errorf(0, "not binary XML")
	}
	le := binary.LittleEndian
	end := int(min(int64(le.Uint32(b[4:])), int64(len(b))))
	p := xmlReader{b: b[:end], budget: end / 4, text: 2*end + 64<<10}
	off := int(le.Uint16(b[2:]))
	var open []openNode
	var root *Node
	defer func() {
		for _, o := range open {
			p.join(o)
		}
	}()
	deeper := 0 // open elements below maxDepth
	for off < end {
		if p.text < 0 {
			return root, cursor.Errorf(int64(off), "the strings are longer than the document")
		}
		c, err := chunkAt(p.b, off)
		if err == nil && root != nil && c.header < 16 {
			err = cursor.Errorf(int64(off), "node header of %d bytes", c.header)
		}
		if err != nil {
			return root, err
		}
		off += len(c.b)
		switch {
		case c.kind == chunkStrings && root == nil:
			p.pool = newStringPool(c)
			p.cache = make([]string, p.pool.len())
			p.cached = make([]bool, p.pool.len())
		case c.kind == chunkResourceMap && root == nil:
			p.ids = c.b[c.header:]
		case c.kind == chunkStartElement:
			if len(open) == maxDepth {
				deeper++
				continue
			}
			n, err := p.element(c)
			if n == nil {
				return root, err
			}
			if root == nil {
				root = n
			} else {
				parent := open[len(open)-1].n
				parent.Children = append(parent.Children, n)
			}
			if err != nil {
				return root, err
			}
			open = append(open, openNode{n: n})
		case c.kind == chunkEndElement && root != nil:
			if deeper > 0 {
				deeper--
				continue
			}
			last := open[len(open)-1]
			open = open[:len(open)-1]
			if err := p.join(last); err != nil || len(open) == 0 {
				return root, err
			}
		case c.kind == chunkCDATA && root != nil && deeper == 0:
			if len(c.b)-c.header < 4 {
				return root, cursor.Errorf(int64(c.off), "text chunk too short")
			}
			o := &open[len(open)-1]
			o.text = append(o.text, p.str(le.Uint32(c.b[c.header:])))
		}
	}
	if root == nil {
		return nil, cursor.Errorf(int64(end), "no element")
	}
	return root, nil
}

// xmlReader holds what elements point at.
type xmlReader struct {
	b      []byte
	pool   stringPool
	cache  []string
	cached []bool
	ids    []byte
	// A quarter of the document's bytes. An attribute takes twenty bytes, a text its own length; the budget
	// ends documents that name the same bytes over and over.
	budget int
	// How many bytes of strings may still be decoded: every string twice, as they can overlap in the pool.
	text int
}

// An openNode is an element whose end has not come, with the pieces of its text.
type openNode struct {
	n    *Node
	text []string
}

// join sets the text of an element. One piece costs nothing, it lies in the string pool.
func (p *xmlReader) join(o openNode) error {
	if len(o.text) < 2 {
		o.n.Text = strings.Join(o.text, "")
		return nil
	}
	for _, s := range o.text {
		p.budget -= len(s) / 4
	}
	if p.budget < 0 {
		return cursor.Errorf(o.n.Off, "the text is longer than the document")
	}
	o.n.Text = strings.Join(o.text, "")
	return nil
}

func (p *xmlReader) str(i uint32) string {
	if int64(i) >= int64(len(p.cache)) {
		return ""
	}
	if !p.cached[i] && p.text >= 0 {
		p.cache[i], _ = p.pool.str(i)
		p.cached[i] = true
		p.text -= len(p.cache[i])
	}
	return p.cache[i]
}

func (p *xmlReader) id(name uint32) uint32 {
	if int64(name)*4+4 > int64(len(p.ids)) {
		return 0
	}
	return binary.LittleEndian.Uint32(p.ids[name*4:])
}

// element reads a start tag. It returns what it has along with an error.
func (p *xmlReader) element(c chunk) (*Node, error) {
	le := binary.LittleEndian
	ext := c.b[c.header:]
	if c.header < 16 || len(ext) < 20 {
		return nil, cursor.Errorf(int64(c.off), "start tag too short")
	}
	n := &Node{
		Space: p.str(le.Uint32(ext)),
		Name:  p.str(le.Uint32(ext[4:])),
		Line:  int(le.Uint32(c.b[8:])),
		Off:   int64(c.off),
	}
	start, size, count := int(le.Uint16(ext[8:])), int(le.Uint16(ext[10:])), int(le.Uint16(ext[12:]))
	if start+size*count > len(ext) {
		return n, cursor.Errorf(int64(c.off), "%d attributes of %d bytes do not fit the start tag", count, size)
	}
	if size == 0 {
		count = min(count, 1) // the same one again and again
	}
	if p.budget -= count; p.budget < 0 {
		return n, cursor.Errorf(int64(c.off), "more attributes than the document can hold")
	}
	// An attribute size below 20 makes the last attribute reach into what follows, here as in Android.
	base := c.off + c.header + start
	if count > 0 {
		n.Attrs = make([]Attr, 0, count)
	}
	for i := range count {
		off := base + i*size
		if off > len(p.b)-20 {
			return n, cursor.Errorf(int64(off), "attribute outside the document")
		}
		a := p.b[off:]
		name := le.Uint32(a[4:])
		attr := Attr{
			Space: p.str(le.Uint32(a)),
			Name:  p.str(name),
			ID:    p.id(name),
			Raw:   p.str(le.Uint32(a[8:])),
			Type:  a[15],
			Data:  le.Uint32(a[16:]),
			Off:   int64(off),
		}
		if attr.Type == TypeString {
			attr.Value = p.str(attr.Data)
		}
		n.Attrs = append(n.Attrs, attr)
	}
	return n, nil
}

// AttrID returns the attribute with that resource id, as Resources.obtainAttributes finds it: it walks the
// attributes and the wanted ids side by side, both in rising order (RetrieveAttributes in
// libs/androidfw/AttributeResolution.cpp). So of several the first counts, and one that stands behind an
// attribute with a higher id does not exist.
func (n *Node) AttrID(id uint32) (Attr, bool) {
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.ID >= id {
			return *a, a.ID == id
		}
	}
	return Attr{}, false
}

// Attr returns the first attribute with that namespace and name, as XmlBlock.Parser.getAttributeValue finds
// it. PackageManager reads "package", "split" and the names of actions and categories in this way, and all
// else by id. An empty space stands for no namespace.
func (n *Node) Attr(space, name string) (Attr, bool) {
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.Name == name && a.Space == space {
			return *a, true
		}
	}
	return Attr{}, false
}

//go:embed attrs.txt
var attrsFile string

var frameworkAttrs = sync.OnceValue(func() map[string]uint32 {
	m := make(map[string]uint32, 300)
	for line := range strings.Lines(attrsFile) {
		id, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if v, err := strconv.ParseUint(id, 0, 32); ok && err == nil {
			m[name] = uint32(v)
		}
	}
	return m
})

// FrameworkAttr returns the resource id of an attribute of the android namespace, or 0 if attrs.txt, the
// table of those that manifests use, does not have it.
func FrameworkAttr(name string) uint32 { return frameworkAttrs()[name] }

// Find returns the framework attribute of that name ("permission", "exported") by its resource id, whatever
// name the file gives it. An attribute that carries the name but no id is taken only if nothing in the element
// has an id: Android does not see it, but such files are not made for Android's eyes alone.
func (n *Node) Find(name string) (Attr, bool) {
	if id := FrameworkAttr(name); id != 0 {
		if a, ok := n.AttrID(id); ok {
			return a, true
		}
		for i := range n.Attrs {
			if n.Attrs[i].ID != 0 {
				return Attr{}, false
			}
		}
	}
	return n.Attr(AndroidNS, name)
}

// String returns the text of the framework attribute of that name, found as [Node.Find] does, or "".
// References are not followed: see [Resources.Resolve].
func (n *Node) String(name string) string {
	a, _ := n.Find(name)
	return a.String()
}

// String returns the attribute's value as text, references as "@0x7f010001".
func (a Attr) String() string {
	return Value{Type: a.Type, Data: a.Data, String: a.Value}.Text()
}

// Value types (Res_value in ResourceTypes.h).
const (
	TypeNull             = 0x00 // Data 0 is undefined, 1 is empty
	TypeReference        = 0x01 // Data is a resource id
	TypeAttribute        = 0x02 // Data is the id of an attribute of the theme
	TypeString           = 0x03
	TypeFloat            = 0x04
	TypeDimension        = 0x05
	TypeFraction         = 0x06
	TypeDynamicReference = 0x07 // like TypeReference, into a shared library
	TypeDynamicAttribute = 0x08
	TypeIntDec           = 0x10 // first of the integers
	TypeIntHex           = 0x11
	TypeIntBoolean       = 0x12
	TypeIntColorARGB8    = 0x1c // first of the colours
	TypeIntColorRGB4     = 0x1f // last of the colours and of the integers
)
