package evidence

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"sync"
)

// A segment holds many inflated files in one mapping: Linux gives a process 65530 mappings by default
// (vm.max_map_count), fewer than a phone has files.
const segmentSize = 256 << 20

// A spool is one private temporary file. What has no random access, or is too large for the heap, is
// written there once and mapped. On Unix the file has no name from the start; elsewhere close removes it.
type spool struct {
	mu      sync.Mutex
	f       *os.File
	end     int64  // of the space given away, a multiple of align
	segment []byte // mapped, not yet given away
	segOff  int64  // where segment starts in f
	maps    [][]byte
}

const align = 64 << 10 // a multiple of every page size in use, and of the granularity of Windows

func roundUp(n int64) int64 { return (n + align - 1) &^ (align - 1) }

func (s *spool) open() error {
	if s.f != nil {
		return nil
	}
	f, err := os.CreateTemp("", "gifthorse-*")
	if err != nil {
		return err
	}
	os.Remove(f.Name()) // fails on Windows, where close does it
	s.f = f
	return nil
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.maps {
		unmap(m)
	}
	s.maps, s.segment = nil, nil
	if s.f != nil {
		s.f.Close()
		os.Remove(s.f.Name())
		s.f = nil
	}
}

var errTooLong = errors.New("longer than its container says")

// buffers are what spooled bytes pass through. 256 KiB make the number of system calls negligible.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// put writes the n bytes that r gives and returns them mapped. An error that r returns after the last of
// them comes back with the bytes.
func (s *spool) put(ctx context.Context, n int64, r io.Reader) ([]byte, error) {
	if n == 0 {
		return nil, drain(r)
	}
	if n > math.MaxInt {
		return nil, errors.New("more than this machine can address")
	}
	off, room, err := s.take(n)
	if err != nil {
		return nil, err
	}
	w := &spoolWriter{ctx: ctx, f: s.f, off: off, limit: n}
	if err := w.copy(io.LimitReader(r, n)); err != nil {
		return nil, err
	}
	if w.n < n {
		if err := drain(r); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	}
	if room == nil {
		if room, err = s.mapRegion(off, n); err != nil {
			return nil, err
		}
	}
	return room, drain(r)
}

// drain asks a reader that has given all it should how it ends.
func drain(r io.Reader) error {
	var b [1]byte
	n, err := io.ReadFull(r, b[:])
	if n > 0 {
		return errTooLong
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// fill makes n bytes, zeros but for what write writes, and returns them mapped.
func (s *spool) fill(n int64, write func(io.WriterAt) error) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if n > math.MaxInt {
		return nil, errors.New("more than this machine can address")
	}
	s.mu.Lock()
	err := s.open()
	off := s.end
	if err == nil {
		s.end += roundUp(n)
		err = s.f.Truncate(s.end) // what is not written is a hole
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := write(io.NewOffsetWriter(s.f, off)); err != nil {
		return nil, err
	}
	return s.mapRegion(off, n)
}

// take gives away n bytes of the file; if they lie in a segment, with its mapping.
func (s *spool) take(n int64) (off int64, room []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return 0, nil, err
	}
	if !mapsFollow || n > segmentSize/4 {
		off = s.end
		s.end += roundUp(n)
		return off, nil, nil
	}
	if int64(len(s.segment)) < n {
		if err := s.f.Truncate(s.end + segmentSize); err != nil {
			return 0, nil, err
		}
		b, err := mapFile(s.f, s.end, segmentSize)
		if err != nil {
			return 0, nil, err
		}
		s.maps = append(s.maps, b)
		s.segment, s.segOff = b, s.end
		s.end += segmentSize
	}
	off, room = s.segOff, s.segment[:n:n]
	// Values of eight bytes in a file should lie as they do in the file.
	step := min((n+7)&^7, int64(len(s.segment)))
	s.segment, s.segOff = s.segment[step:], s.segOff+step
	return off, room, nil
}

func (s *spool) mapRegion(off, n int64) ([]byte, error) {
	b, err := mapFile(s.f, off, int(n))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.maps = append(s.maps, b)
	s.mu.Unlock()
	return b, nil
}

// stream writes all that r gives, at most limit bytes, and returns it mapped. Whatever ended r early comes
// back with what was there before; errTooLong says that there was more. tick is told the length as it grows.
func (s *spool) stream(ctx context.Context, limit int64, r io.Reader, tick func(int64)) ([]byte, error) {
	// Nobody else can be given space while the length is not known.
	s.mu.Lock()
	if err := s.open(); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	off := s.end
	w := &spoolWriter{ctx: ctx, f: s.f, off: off, limit: min(limit, math.MaxInt), tick: tick}
	err := w.copy(r)
	s.end += roundUp(w.n)
	s.mu.Unlock()
	if w.n == 0 {
		return nil, err
	}
	b, merr := s.mapRegion(off, w.n)
	if merr != nil {
		return nil, merr
	}
	return b, err
}

// A spoolWriter copies to a place in the spool and counts.
type spoolWriter struct {
	ctx   context.Context
	f     *os.File
	off   int64
	limit int64
	n     int64
	tick  func(int64) // or nil
}

// A spoolError is a failure of the spool, not of what is read.
type spoolError struct{ error }

func (e spoolError) Unwrap() error { return e.error }

func (w *spoolWriter) copy(r io.Reader) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		var n int
		var err error
		for n < len(*buf) && err == nil {
			var m int
			m, err = r.Read((*buf)[n:])
			n += m
		}
		over := int64(n) > w.limit-w.n
		if over {
			n = int(w.limit - w.n)
		}
		if _, err := w.f.WriteAt((*buf)[:n], w.off+w.n); err != nil {
			return spoolError{err}
		}
		w.n += int64(n)
		if w.tick != nil {
			w.tick(w.n)
		}
		switch {
		case over:
			return errTooLong
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
