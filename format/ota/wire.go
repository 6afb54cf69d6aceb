package ota

import "gifthorse/internal/cursor"

// A field is one field of a protobuf message: a number in v, or bytes in b, by its wire type.
type field struct {
	num uint64
	v   uint64
	b   []byte
	off int64 // of its value in the file
}

// fields calls f for every field of the message b, which stands at off in the file. It goes no deeper than f does, so
// the depth of the messages a reader knows bounds the recursion. Unknown fields are f's to pass over.
// https://protobuf.dev/programming-guides/encoding/
func fields(b []byte, off int64, f func(field) error) error {
	c := cursor.At(b, 0)
	for c.Len() > 0 {
		key := varint(&c)
		fl := field{num: key >> 3, off: off + c.Off()}
		switch key & 7 {
		case 0:
			fl.v = varint(&c)
		case 1:
			fl.v = c.U64()
		case 2:
			n := varint(&c)
			if n > uint64(c.Len()) {
				c.Fail("field %d of %d bytes, %d are left", fl.num, n, c.Len())
				break
			}
			fl.off = off + c.Off()
			fl.b = c.Bytes(int64(n))
		case 5:
			fl.v = uint64(c.U32())
		default: // groups, which no message here has
			c.Fail("field %d of wire type %d", fl.num, key&7)
		}
		if err := c.Err(); err != nil {
			fe := err.(*FormatError)
			return cursor.Errorf(off+fe.Off, "%s", fe.Msg)
		}
		if err := f(fl); err != nil {
			return err
		}
	}
	return nil
}

func varint(c *cursor.Cursor) uint64 {
	var v uint64
	for shift := 0; shift < 70; shift += 7 {
		b := c.U8()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.Fail("number longer than ten bytes")
	return 0
}
