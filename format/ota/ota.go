// Package ota reads update packages: what a phone is given to replace its system with, who signed it, and what it is meant for.
//
// [NewPayload] reads a payload.bin (A/B updates); [Partition.Open] gives a partition as an [io.ReaderAt] whose operations are
// decoded as they are read. [NewTransferList] and [TransferList.Open] do the same for *.transfer.list and *.new.dat. [NewZipSignature]
// reads the signature over a whole package that recovery checks, [ParseMetadata] and [ParseMetadataProto] META-INF/com/android/metadata,
// [ParseScript] an updater-script, [NewTarMD5] the line behind Samsung's .tar.md5 files. Members of a package are opened by the caller,
// who has a reader of zip files.
//
// Signatures are checked against certificates that the caller brings (on a phone: /system/etc/security/otacerts.zip).
//
// Formats: system/update_engine/update_metadata.proto and payload_consumer/ (payloads), bootable/recovery/updater/blockimg.cpp
// (transfer lists), bootable/recovery/install/verifier.cpp (package signatures), build/tools/releasetools/ota_metadata.proto,
// bootable/recovery/edify (scripts).
//
// # Not read
//
// What takes the phone's old partitions: SOURCE_COPY and the patches (bsdiff, puffdiff, zucchini, lz4diff, imgdiff, move, stash). Such
// an image reads as far as it stands alone; the rest gives an error that wraps [errors.ErrUnsupported]. Forward error correction
// that the phone computes after an update. Payloads of format version 1 (Chrome OS). Values that an updater-script computes.
package ota

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"gifthorse/internal/cursor"
)

// A FormatError says what is wrong with a package, and at which byte of it.
type FormatError = cursor.FormatError

// ErrMismatch says that a digest or a signature does not belong to the bytes.
var ErrMismatch = errors.New("does not match")

// An Image is a partition as the update would write it. It implements [io.ReaderAt] and is safe for concurrent use.
type Image struct {
	size  int64
	spans []span // sorted, disjoint
	// read fills p from off bytes into what step produces. Bytes no step writes are zeros or, if holes is set, that error.
	read  func(step int, p []byte, off int64) error
	holes error
}

// A span is a run of bytes of the image that a step of the update writes.
type span struct {
	start, end int64
	step       int
	off        int64 // of start in the step's output
}

// Size returns the size of the image in bytes.
func (m *Image) Size() int64 { return m.size }

// ReadAt reads from the image. An error that wraps [errors.ErrUnsupported] says that the bytes cannot be had from this package alone.
func (m *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("ota: negative offset")
	}
	if off >= m.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > m.size-off {
		p, end = p[:m.size-off], io.EOF
	}
	i := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].end > off })
	for n := 0; n < len(p); {
		at := off + int64(n)
		stop := off + int64(len(p))
		if i < len(m.spans) && m.spans[i].start <= at {
			s := &m.spans[i]
			stop = min(stop, s.end)
			if err := m.read(s.step, p[n:n+int(stop-at)], s.off+at-s.start); err != nil {
				return n, err
			}
			i++
		} else {
			if m.holes != nil {
				return n, m.holes
			}
			if i < len(m.spans) {
				stop = min(stop, m.spans[i].start)
			}
			clear(p[n : n+int(stop-at)])
		}
		n += int(stop - at)
	}
	return len(p), end
}

// lay sorts spans that steps write one after the other, where a later one writes over an earlier.
func lay(spans []span) []span {
	ordered := slices.IsSortedFunc(spans, func(a, b span) int { return int(max(-1, min(1, a.start-b.end))) })
	if !ordered {
		// Cut the image at every end of a span, and give each cut to the last span that covers it.
		cuts := make([]int64, 0, 2*len(spans))
		for _, s := range spans {
			cuts = append(cuts, s.start, s.end)
		}
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
		owner := make([]int32, len(cuts)) // 1 + index of the span, 0 for none
		next := make([]int32, len(cuts)+1)
		for i := range next {
			next[i] = int32(i)
		}
		free := func(i int32) int32 { // the first cut from i on without an owner
			for next[i] != i {
				next[i] = next[next[i]]
				i = next[i]
			}
			return i
		}
		for i := len(spans) - 1; i >= 0; i-- {
			from, _ := slices.BinarySearch(cuts, spans[i].start)
			to, _ := slices.BinarySearch(cuts, spans[i].end)
			for c := free(int32(from)); int(c) < to; c = free(c) {
				owner[c] = int32(i) + 1
				next[c] = c + 1
			}
		}
		var out []span
		for c := range len(cuts) - 1 {
			if owner[c] == 0 {
				continue
			}
			s := spans[owner[c]-1]
			s.off += cuts[c] - s.start
			s.start, s.end = cuts[c], cuts[c+1]
			out = append(out, s)
		}
		spans = out
	}
	// Join what goes on.
	n := 0
	for _, s := range spans {
		if n > 0 {
			if l := &spans[n-1]; l.end == s.start && l.step == s.step && l.off+l.end-l.start == s.off {
				l.end = s.end
				continue
			}
		}
		spans[n] = s
		n++
	}
	return spans[:n]
}

// readAt reads n bytes at off, growing as they come, so that a size stated too large costs nothing.
func readAt(r io.ReaderAt, size, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > size || n > size-off {
		return nil, cursor.Errorf(off, "%d bytes wanted, the file has %d", n, size)
	}
	var b bytes.Buffer
	if n <= 1<<20 {
		b.Grow(int(n) + bytes.MinRead)
	}
	if k, err := b.ReadFrom(io.NewSectionReader(r, off, n)); err != nil || k < n {
		return nil, readError(off+k, err)
	}
	return b.Bytes(), nil
}

func readError(off int64, err error) error {
	if err == nil || err == io.EOF {
		return cursor.Errorf(off, "file ends early")
	}
	return err
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}
