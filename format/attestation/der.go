package attestation

import (
	"math/big"
	"time"

	"gifthorse/internal/cursor"
)

// Tags of ASN.1 that are read here, with the class in the two highest bits of a byte's worth (X.690 8.1.2).
const (
	tagBoolean     = 1
	tagInteger     = 2
	tagBitString   = 3
	tagOctetString = 4
	tagOID         = 6
	tagEnumerated  = 10
	tagSequence    = 16
	tagSet         = 17
	tagUTCTime     = 23
	tagTime        = 24

	universal = 0
	context   = 2
)

// An element is one value of DER: what it is called and where its contents lie.
type element struct {
	off   int64 // of its first byte, in what is read as a whole
	class int
	tag   int
	raw   []byte // with its header
	body  []byte
}

func (e element) is(tag int) bool { return e.class == universal && e.tag == tag }

// inside returns a reader of what a constructed element holds.
func (e element) inside() *der { return &der{e.body, e.off + int64(len(e.raw)-len(e.body))} }

// A der takes one element after the other off. Beyond DER it takes lengths that are longer than they need be, as Bouncy Castle does,
// with which Google's verifiers read.
type der struct {
	b   []byte
	off int64
}

func (d *der) more() bool { return len(d.b) > 0 }

// next takes the next element off.
func (d *der) next() (element, error) {
	fail := func(msg string) (element, error) { return element{}, cursor.Errorf(d.off, "%s", msg) }
	if len(d.b) < 2 {
		return fail("a value of ASN.1 is cut short")
	}
	e := element{off: d.off, class: int(d.b[0] >> 6), tag: int(d.b[0] & 31)}
	i := 1
	if e.tag == 31 {
		for e.tag = 0; ; i++ {
			// Two bytes of seven bits name every tag there is: the largest is 724.
			if i >= len(d.b) || i > 3 {
				return fail("a tag of ASN.1 is longer than any that is in use")
			}
			e.tag = e.tag<<7 | int(d.b[i]&127)
			if d.b[i]&128 == 0 {
				i++
				break
			}
		}
	}
	if i >= len(d.b) {
		return fail("a value of ASN.1 is cut short")
	}
	n := int(d.b[i])
	i++
	if n == 128 {
		return fail("a value of ASN.1 of indefinite length, which no certificate has")
	}
	if n > 128 {
		k := n & 127
		if k > len(d.b)-i {
			return fail("a value of ASN.1 is cut short")
		}
		n = 0
		for ; k > 0; k, i = k-1, i+1 {
			if n >= 1<<23 {
				return fail("a value of ASN.1 is longer than its file")
			}
			n = n<<8 | int(d.b[i])
		}
	}
	if n > len(d.b)-i {
		return fail("a value of ASN.1 is longer than what holds it")
	}
	e.raw, e.body = d.b[:i+n], d.b[i:i+n]
	d.b, d.off = d.b[i+n:], d.off+int64(i+n)
	return e, nil
}

// want takes the next element off if it has the tag.
func (d *der) want(tag int, what string) (element, error) {
	e, err := d.next()
	if err == nil && !e.is(tag) {
		err = cursor.Errorf(e.off, "%s is not of the type it should be (tag %d)", what, e.tag)
	}
	return e, err
}

// maxNumber is how long an integer may be: twice the modulus of a root's key.
const maxNumber = 1 << 10

// number reads an INTEGER, or an ENUMERATED: Google's verifiers take either for the other (ASN1Parsing.getIntegerFromAsn1).
func (e element) number(what string) (*big.Int, error) {
	if !e.is(tagInteger) && !e.is(tagEnumerated) || len(e.body) == 0 || len(e.body) > maxNumber {
		return nil, cursor.Errorf(e.off, "%s is no number", what)
	}
	n := new(big.Int).SetBytes(e.body)
	if e.body[0] >= 128 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(e.body))))
	}
	return n, nil
}

// small reads a number that fits an int32, or -1.
func (e element) small(what string) (int, error) {
	n, err := e.number(what)
	if err != nil {
		return -1, err
	}
	if !n.IsInt64() || n.Int64() < 0 || n.Int64() > 1<<31-1 {
		return -1, cursor.Errorf(e.off, "%s is out of range", what)
	}
	return int(n.Int64()), nil
}

// truth reads a BOOLEAN. DER has 0xff alone for true; devices write 1, and Bouncy Castle's ASN1Boolean takes all but 0.
func (e element) truth(what string) (bool, error) {
	if !e.is(tagBoolean) || len(e.body) != 1 {
		return false, cursor.Errorf(e.off, "%s is no boolean", what)
	}
	return e.body[0] != 0, nil
}

func (e element) bytes(what string) ([]byte, error) {
	if !e.is(tagOctetString) {
		return nil, cursor.Errorf(e.off, "%s is no octet string", what)
	}
	return e.body, nil
}

// when reads a UTCTime or GeneralizedTime (RFC 5280 4.1.2.5), or the zero time.
func (e element) when() time.Time {
	layouts := []string{"060102150405Z", "0601021504Z"}
	if e.is(tagTime) {
		layouts = []string{"20060102150405Z", "20060102150405.999Z", "200601021504Z"}
	} else if !e.is(tagUTCTime) {
		return time.Time{}
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, string(e.body)); err == nil {
			if e.is(tagUTCTime) && t.Year() >= 2050 {
				t = t.AddDate(-100, 0, 0)
			} else if e.is(tagUTCTime) && t.Year() < 1950 {
				t = t.AddDate(100, 0, 0)
			}
			return t
		}
	}
	return time.Time{}
}
