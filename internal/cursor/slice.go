package cursor

import "io"

// Slice returns the n bytes at off of r where they lie in memory, to be read only, or nil if they do not lie there in one
// piece. A reader that can tell has a method Slice(off, n int64) []byte of the same meaning, which answers for any
// off and n; of a section, such as an [io.SectionReader], the reader it is of is asked.
func Slice(r io.ReaderAt, off, n int64) []byte {
	switch r := r.(type) {
	case interface{ Slice(off, n int64) []byte }:
		return r.Slice(off, n)
	case interface {
		Outer() (r io.ReaderAt, off, n int64)
	}:
		outer, at, size := r.Outer()
		if off < 0 || n < 0 || off > size || n > size-off {
			return nil
		}
		return Slice(outer, at+off, n)
	}
	return nil
}
