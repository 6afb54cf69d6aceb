package super

import (
	"errors"
	"io"
	"sort"

	"gifthorse/internal/cursor"
)

// A view is bytes put together from stretches of parts. What no segment gives is zero.
type view struct {
	parts    []Part
	segments []segment // in order, none over another
	size     int64
	lost     int64 // from here on, what no segment gives is not known to be zero
}

// A segment is a stretch of a view.
type segment struct {
	from, to int64
	at       int64 // in the part, or the four bytes that fill it
	part     int32 // or fill
}

const fill = -1

func (v *view) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= v.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > v.size-off {
		p, end = p[:v.size-off], io.EOF
	}
	k := sort.Search(len(v.segments), func(k int) bool { return v.segments[k].to > off })
	for done := 0; done < len(p); {
		n := int64(len(p) - done)
		if k == len(v.segments) || off < v.segments[k].from {
			if k < len(v.segments) {
				n = min(n, v.segments[k].from-off)
			}
			if n = min(n, v.lost-off); n <= 0 {
				return done, cursor.Errorf(off, "byte of the expanded image that a damaged part may have had")
			}
			clear(p[done : done+int(n)])
		} else {
			s := &v.segments[k]
			n = min(n, s.to-off)
			q := p[done : done+int(n)]
			if s.part == fill {
				for i := range min(4, len(q)) {
					q[i] = byte(s.at >> (8 * ((off - s.from + int64(i)) & 3)))
				}
				for i := 4; i < len(q); i *= 2 {
					copy(q[i:], q[:i])
				}
			} else if err := v.parts[s.part].read(q, s.at+off-s.from); err != nil {
				return done, err
			}
			if off+n == s.to {
				k++
			}
		}
		done += int(n)
		off += n
	}
	return len(p), end
}

// Slice gives what lies in one piece of a part in memory: see [cursor.Slice].
func (v *view) Slice(off, n int64) []byte {
	if off < 0 || n < 0 || off > v.size || n > v.size-off {
		return nil
	}
	k := sort.Search(len(v.segments), func(k int) bool { return v.segments[k].to > off })
	if k == len(v.segments) || v.segments[k].part == fill || off < v.segments[k].from || n > v.segments[k].to-off {
		return nil
	}
	s := &v.segments[k]
	p, at := &v.parts[s.part], s.at+off-s.from
	if at < 0 || at > p.Size || n > p.Size-at {
		return nil
	}
	return cursor.Slice(p.R, at, n)
}

// overlay returns old with the segments of top over it.
func overlay(old, top []segment) []segment {
	if len(old) == 0 || len(top) == 0 || old[len(old)-1].to <= top[0].from {
		return append(old, top...)
	}
	out := make([]segment, 0, len(old)+len(top))
	k := 0
	for _, t := range top {
		for k < len(old) && old[k].from < t.to {
			o := &old[k]
			if o.from < t.from {
				s := *o
				s.to = min(o.to, t.from)
				out = append(out, s)
			}
			if o.to > t.to { // the rest may still meet the next segment
				if o.part != fill {
					o.at += t.to - o.from
				}
				o.from = t.to
				break
			}
			k++
		}
		out = append(out, t)
	}
	return append(out, old[k:]...)
}
