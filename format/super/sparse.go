package super

import (
	"fmt"
	"math"

	"gifthorse/internal/cursor"
)

const (
	sparseMagic = 0xed26ff3a

	chunkRaw      = 0xcac1
	chunkFill     = 0xcac2
	chunkDontCare = 0xcac3
	chunkCRC32    = 0xcac4

	// maxSegments bounds the table of a view, 32 bytes each. An image of 32 GiB in which every second block of 4 KiB is a hole
	// has that many; images of phones have some thousand.
	maxSegments = 1 << 22
)

// A Sparse is the expanded view of a sparse image. It implements io.ReaderAt.
type Sparse struct {
	Gaps []error // where a part is damaged or ends early; reads of what it may have had fail

	view
}

// Size returns the size of the expanded image in bytes.
func (s *Sparse) Size() int64 { return s.size }

// NewSparse reads the headers of a sparse image, or of the sparse images into which one was cut, in the order in which they are flashed. As in
// flashing, what a part does not care about is left as the parts before have it, and is zero if none has it. The error is a
// *FormatError if a part has no header of a sparse image; what is wrong behind the header is a gap.
func NewSparse(parts ...Part) (*Sparse, error) {
	s := &Sparse{view: view{parts: parts, lost: math.MaxInt64}}
	if len(parts) == 0 {
		return nil, cursor.Errorf(0, "no sparse image")
	}
	for k := range parts {
		if err := s.add(k); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Sparse) add(part int) error {
	p := &s.parts[part]
	h := make([]byte, 28)
	if err := p.read(h, 0); err != nil {
		return err
	}
	if le.Uint32(h) != sparseMagic || le.Uint16(h[4:]) != 1 {
		return cursor.Errorf(0, "%s: no sparse image of version 1", p.Name)
	}
	header, chunkHeader := int64(le.Uint16(h[8:])), int64(le.Uint16(h[10:]))
	block, blocks, chunks := uint64(le.Uint32(h[12:])), uint64(le.Uint32(h[16:])), le.Uint32(h[20:])
	switch {
	case header < 28 || chunkHeader < 12:
		return cursor.Errorf(8, "%s: headers of %d and %d bytes", p.Name, header, chunkHeader)
	case block == 0 || block%4 != 0 || block*blocks > math.MaxInt64:
		return cursor.Errorf(12, "%s: %d blocks of %d bytes", p.Name, blocks, block)
	}
	size := int64(block * blocks)
	s.size = max(s.size, size)

	var segments []segment
	from, at := int64(0), header
	err := func() error {
		bad := func(format string, args ...any) error {
			return cursor.Errorf(at, "%s: %s", p.Name, fmt.Sprintf(format, args...))
		}
		var c [16]byte
		for range chunks {
			if err := p.read(c[:12], at); err != nil {
				return err
			}
			kind, n, total := le.Uint16(c[:]), int64(le.Uint32(c[4:])), int64(le.Uint32(c[8:]))
			data := total - chunkHeader
			if n > (size-from)/int64(block) {
				return bad("chunk of %d blocks, %d are left", n, (size-from)/int64(block))
			}
			seg := segment{from, from + n*int64(block), at + chunkHeader, int32(part)}
			switch {
			case kind == chunkRaw && data == n*int64(block):
			case (kind == chunkFill || kind == chunkCRC32) && data == 4:
				if err := p.read(c[:4], at+chunkHeader); err != nil {
					return err
				}
				seg.at, seg.part = int64(le.Uint32(c[:])), fill
			case kind == chunkDontCare && data == 0:
			default:
				return bad("chunk of type %#x with %d blocks in %d bytes", kind, n, total)
			}
			if kind == chunkCRC32 {
				at += total
				continue
			}
			var cut error
			if there := max(p.Size-seg.at, 0); kind == chunkRaw && there < data {
				seg.to = from + there/int64(block)*int64(block)
				cut = cursor.Errorf(p.Size, "%s ends here, its chunk at %#x", p.Name, at+total)
			}
			if kind != chunkDontCare && seg.to > from {
				if len(segments)+len(s.segments) >= maxSegments {
					return bad("more than %d chunks", maxSegments)
				}
				segments = append(segments, seg)
			}
			at += total
			from = seg.to
			if cut != nil {
				return cut
			}
		}
		if from < size {
			return bad("chunks end at byte %#x of %#x", from, size)
		}
		return nil
	}()
	if err != nil {
		s.Gaps = append(s.Gaps, err)
		s.lost = min(s.lost, from)
	}
	s.segments = overlay(s.segments, segments)
	return nil
}
