package apk

import (
	"crypto"
	"encoding/binary"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A digestKind is a way of hashing the whole file, all but the APK Signing Block.
// The kinds are in order of preference, as ApkSigningBlockUtils.compareContentDigestAlgorithm has them.
type digestKind uint8

const (
	chunkedSHA256 digestKind = iota
	veritySHA256
	chunkedSHA512
	digestKinds
)

func (k digestKind) String() string {
	return [...]string{"SHA-256", "verity SHA-256", "SHA-512"}[k]
}

const (
	digestChunk = 1 << 20
	verityPage  = 4096
)

var chunkBuffers = sync.Pool{New: func() any { return new([digestChunk]byte) }}

// A covered file is what the whole-file schemes sign: the bytes before the signing block, the central
// directory, and the end record, in which the offset of the central directory is that of the signing block.
type coveredFile struct {
	r      io.ReaderAt
	before int64 // length of the bytes before the signing block
	dir    int64 // offset and length of the central directory
	dirLen int64
	end    []byte
}

func newCoveredFile(r io.ReaderAt, block, dir, eocd, size int64) (*coveredFile, error) {
	f := &coveredFile{r: r, before: block, dir: dir, dirLen: eocd - dir, end: make([]byte, size-eocd)}
	if err := readAt(r, f.end, eocd); err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(f.end[16:], uint32(block))
	return f, nil
}

func (f *coveredFile) size() int64 { return f.before + f.dirLen + int64(len(f.end)) }

// ReadAt reads the three parts as if they were one file.
func (f *coveredFile) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		at := off + int64(n)
		part := b[n:]
		var err error
		switch {
		case at < f.before:
			part = part[:min(int64(len(part)), f.before-at)]
			err = readAt(f.r, part, at)
		case at < f.before+f.dirLen:
			at -= f.before
			part = part[:min(int64(len(part)), f.dirLen-at)]
			err = readAt(f.r, part, f.dir+at)
		default:
			c := copy(part, f.end[min(at-f.before-f.dirLen, int64(len(f.end))):])
			if part = part[:c]; c == 0 {
				return n, io.EOF
			}
		}
		if err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// digests computes the wanted digests on all cores.
func (f *coveredFile) digests(want [digestKinds]bool) ([digestKinds][]byte, error) {
	var out [digestKinds][]byte
	var hashes []crypto.Hash
	var kinds []digestKind
	if want[chunkedSHA256] {
		kinds, hashes = append(kinds, chunkedSHA256), append(hashes, crypto.SHA256)
	}
	if want[chunkedSHA512] {
		kinds, hashes = append(kinds, chunkedSHA512), append(hashes, crypto.SHA512)
	}
	if len(kinds) > 0 {
		sums, err := f.chunked(hashes)
		if err != nil {
			return out, err
		}
		for i, k := range kinds {
			out[k] = sums[i]
		}
	}
	if want[veritySHA256] {
		sum, err := f.verity()
		if err != nil {
			return out, err
		}
		out[veritySHA256] = sum
	}
	return out, nil
}

// chunked is the digest of APK Signature Scheme v2: each part is cut into pieces of 1 MiB, each piece is
// hashed behind 0xa5 and its length, and the hashes behind 0x5a and their number.
// (source.android.com/docs/security/features/apksigning/v2, "Integrity-protected contents")
func (f *coveredFile) chunked(hashes []crypto.Hash) ([][]byte, error) {
	parts := []int64{f.before, f.dirLen, int64(len(f.end))}
	count := int64(0)
	for _, n := range parts {
		count += (n + digestChunk - 1) / digestChunk
	}
	all := make([][]byte, len(hashes))
	for i, h := range hashes {
		all[i] = make([]byte, 5+int(count)*h.Size())
		all[i][0] = 0x5a
		binary.LittleEndian.PutUint32(all[i][1:], uint32(count))
	}
	err := parallel(int(count), func() func(int) error {
		hs := make([]hash.Hash, len(hashes))
		for i, h := range hashes {
			hs[i] = h.New()
		}
		var prefix [5]byte
		prefix[0] = 0xa5
		return func(i int) error {
			start, at := int64(0), int64(i)
			for _, n := range parts {
				c := (n + digestChunk - 1) / digestChunk
				if at >= c {
					at -= c
					start += n
					continue
				}
				buf := chunkBuffers.Get().(*[digestChunk]byte)
				defer chunkBuffers.Put(buf)
				b := buf[:min(digestChunk, n-at*digestChunk)]
				if _, err := f.ReadAt(b, start+at*digestChunk); err != nil {
					return err
				}
				binary.LittleEndian.PutUint32(prefix[1:], uint32(len(b)))
				for j, h := range hs {
					h.Reset()
					h.Write(prefix[:])
					h.Write(b)
					h.Sum(all[j][: 5+i*h.Size() : 5+(i+1)*h.Size()])
				}
				break
			}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	sums := make([][]byte, len(hashes))
	for i, h := range hashes {
		d := h.New()
		d.Write(all[i])
		sums[i] = d.Sum(nil)
	}
	return sums, nil
}

// verity is the root hash of a Merkle tree of 4096-byte pages with a salt of eight zero bytes, followed by
// the length of what was hashed (ApkVerityBuilder in android.util.apk).
func (f *coveredFile) verity() ([]byte, error) {
	var salt [8]byte
	size := f.size()
	pages := (size + verityPage - 1) / verityPage
	level := make([]byte, pages*32)
	const step = digestChunk / verityPage
	err := parallel(int((pages+step-1)/step), func() func(int) error {
		h := crypto.SHA256.New()
		return func(i int) error {
			buf := chunkBuffers.Get().(*[digestChunk]byte)
			defer chunkBuffers.Put(buf)
			start := int64(i) * digestChunk
			n := min(digestChunk, size-start)
			if _, err := f.ReadAt(buf[:n], start); err != nil {
				return err
			}
			whole := (n + verityPage - 1) / verityPage * verityPage
			clear(buf[n:whole])
			for p := int64(0); p < whole; p += verityPage {
				h.Reset()
				h.Write(salt[:])
				h.Write(buf[p : p+verityPage])
				at := (start + p) / verityPage * 32
				h.Sum(level[at : at : at+32])
			}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	h := crypto.SHA256.New()
	for {
		level = append(level, make([]byte, -len(level)&(verityPage-1))...)
		var up []byte
		for p := range slices.Chunk(level, verityPage) {
			h.Reset()
			h.Write(salt[:])
			h.Write(p)
			up = h.Sum(up)
		}
		if len(up) == 32 {
			return binary.LittleEndian.AppendUint64(up, uint64(size)), nil
		}
		level = up
	}
}

// parallel calls do(0) to do(n-1) on all cores. Each core has a do of its own, which start makes.
func parallel(n int, start func() (do func(int) error)) error {
	var (
		next   atomic.Int64
		failed atomic.Pointer[error]
		wg     sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			do := start()
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
