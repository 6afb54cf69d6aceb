package prop

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"gifthorse/internal/cursor"
)

// maxXMLDepth is how deep elements may nest. The files here nest four deep; the limit keeps a hostile file from
// making the decoder remember a million open elements.
const maxXMLDepth = 64

// maxXMLElements is how many elements a file may have. A phone's largest file here has some thousands; an element
// takes a hundred times the memory of its four bytes in the file.
const maxXMLElements = 1 << 18

// A node is an element of a text XML file.
type node struct {
	name     string
	attrs    []xml.Attr
	children []node
	line     int
}

// attr returns an attribute by its local name, as XmlPullParser.getAttributeValue(null, name) does.
func (n *node) attr(name string) string {
	v, _ := n.lookup(name)
	return v
}

func (n *node) lookup(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// parseXML reads a text XML file into its root element, which is never nil. Text between elements is dropped.
//
// The phone reads these files with android.util.Xml.newPullParser, takes elements as they come and stops at the
// first that is not well-formed. Here what follows is read too, as far as it can be, and a Problem says from which
// line on the phone may not have read. Whatever encoding is declared, the phone takes the bytes for UTF-8
// (SystemConfig and SELinuxMMAC open them with a FileReader).
func parseXML(b []byte, probs *problems) (*node, error) {
	if bytes.HasPrefix(b, []byte("ABX\x00")) {
		return &node{}, fmt.Errorf("binary XML (ABX): %w", errors.ErrUnsupported)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = legalXML(b)
	root, _, err := decodeXML(b, true)
	var syntax *xml.SyntaxError
	if !errors.As(err, &syntax) {
		return root, err
	}
	root, entities, err := decodeXML(b, false)
	if entities > 0 {
		probs.add(entities, "the file declares entities of its own, which the phone expands and this reader does not")
	}
	probs.add(syntax.Line, "not well-formed, the phone may read no further: %s", clip(syntax.Msg))
	return root, err
}

// legalXML replaces what encoding/xml would stop at and the phone reads: bytes that are not UTF-8, and control
// characters.
func legalXML(b []byte) []byte {
	bad := func(r rune, size int) bool {
		return r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' ||
			r == 0xfffe || r == 0xffff
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if bad(r, size) {
			out := append([]byte(nil), b[:i]...)
			for i < len(b) {
				r, size := utf8.DecodeRune(b[i:])
				if bad(r, size) {
					r = utf8.RuneError
				}
				out = utf8.AppendRune(out, r)
				i += size
			}
			return out
		}
		i += size
	}
	return b
}

// decodeXML also returns the line of a declaration of entities, or 0.
func decodeXML(b []byte, strict bool) (root *node, entities int, err error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = strict
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var top node // holds the root, so that a second root is seen
	open := []*node{&top}
	elements := 0
	done := func(err error) (*node, int, error) {
		if len(top.children) == 0 {
			if err == nil {
				err = cursor.Errorf(0, "no XML element")
			}
			return &node{}, entities, err
		}
		return &top.children[0], entities, err
	}
	for {
		line, _ := d.InputPos()
		tok, err := d.Token()
		if err == io.EOF {
			return done(nil)
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if strict && errors.As(err, &syntax) {
				return done(err) // the line in it is wanted
			}
			return done(cursor.Errorf(d.InputOffset(), "%v", err))
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if len(open) > maxXMLDepth {
				return done(cursor.Errorf(d.InputOffset(), "elements nest more than %d deep", maxXMLDepth))
			}
			if elements++; elements > maxXMLElements {
				return done(cursor.Errorf(d.InputOffset(), "more than %d elements", maxXMLElements))
			}
			parent := open[len(open)-1]
			parent.children = append(parent.children, node{name: t.Name.Local, attrs: t.Attr, line: line})
			open = append(open, &parent.children[len(parent.children)-1])
		case xml.EndElement:
			if len(open) > 1 {
				open = open[:len(open)-1]
			}
		case xml.Directive:
			if entities == 0 && bytes.Contains(t, []byte("ENTITY")) {
				entities = line
			}
		}
	}
}
