package cursor

// A Field is one field of a message of protocol buffers (https://protobuf.dev/programming-guides/encoding/): a number in V, or
// bytes in B, by its wire type. Groups, which no message of Android has, are not read.
type Field struct {
	Num uint64
	V   uint64
	B   []byte // shares memory with the message
	Off int64  // of its value in the file
}

// Fields calls f for every field of the message b, which stands at off in the file. It goes no deeper than f does, so
// the depth of the messages a reader knows bounds the recursion. Unknown fields are f's to pass over. The error is
// f's, or a *[FormatError].
func Fields(b []byte, off int64, f func(Field) error) error {
	c := At(b, 0)
	for c.Len() > 0 {
		key := varint(&c)
		fl := Field{Num: key >> 3, Off: off + c.Off()}
		switch key & 7 {
		case 0:
			fl.V = varint(&c)
		case 1:
			fl.V = c.U64()
		case 2:
			n := varint(&c)
			if n > uint64(c.Len()) {
				c.Fail("field %d of %d bytes, %d are left", fl.Num, n, c.Len())
				break
			}
			fl.Off = off + c.Off()
			fl.B = c.Bytes(int64(n))
		case 5:
			fl.V = uint64(c.U32())
		default:
			c.Fail("field %d of wire type %d", fl.Num, key&7)
		}
		if err := c.Err(); err != nil {
			fe := err.(*FormatError)
			return Errorf(off+fe.Off, "%s", fe.Msg)
		}
		if err := f(fl); err != nil {
			return err
		}
	}
	return nil
}

func varint(c *Cursor) uint64 {
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
