package ota

import (
	"bytes"
	"compress/bzip2"
	"container/list"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"gifthorse/internal/cursor"
	"gifthorse/internal/verity"
	"gifthorse/internal/xz"
)

const (
	payloadHeader = 24
	// maxManifest bounds the manifest. A full update's has 200 KB, a large incremental one's some 20 MB.
	maxManifest = 128 << 20
	// maxOperations and maxExtents bound what a manifest may list: a message of two bytes becomes a hundred in memory.
	// A full update of 16 GB has 8,000 operations of one extent; incremental ones have had 300,000 operations.
	maxOperations = 1 << 20
	maxExtents    = 1 << 22
	// maxSignatures bounds the blob of signatures: two RSA-4096 signatures take 1 KB.
	maxSignatures = 64 << 10
	// maxOperation bounds the output of one packed operation, which is decoded in memory. Full updates use 2 MiB; update_engine's
	// own bound for patches is 200 MiB (kMaxBsdiffDestinationSize).
	maxOperation = 256 << 20
	// cacheBytes is how much decoded output a payload keeps: several operations of 2 MiB for each of some readers at once.
	cacheBytes = 64 << 20
	// maxBytes bounds a partition's size: a few bytes of manifest can state any number of zeros, and somebody hashes them. The
	// largest partition seen in an update, a system partition, had 6 GB.
	maxBytes = 64 << 30
)

// An OpType is InstallOperation.Type.
type OpType uint32

// The operations that stand alone. All others take the old partition.
const (
	Replace     OpType = 0
	ReplaceBZ   OpType = 1
	Zero        OpType = 6
	Discard     OpType = 7
	ReplaceXZ   OpType = 8
	ReplaceZstd OpType = 14
)

var opNames = [...]string{"REPLACE", "REPLACE_BZ", "MOVE", "BSDIFF", "SOURCE_COPY", "SOURCE_BSDIFF", "ZERO", "DISCARD", "REPLACE_XZ",
	"PUFFDIFF", "BROTLI_BSDIFF", "ZUCCHINI", "LZ4DIFF_BSDIFF", "LZ4DIFF_PUFFDIFF", "REPLACE_ZSTD"}

func (t OpType) String() string {
	if int(t) < len(opNames) {
		return opNames[t]
	}
	return fmt.Sprintf("operation %d", uint32(t))
}

// alone reports whether the operation needs nothing but the payload.
func (t OpType) alone() bool {
	switch t {
	case Replace, ReplaceBZ, Zero, Discard, ReplaceXZ, ReplaceZstd:
		return true
	}
	return false
}

// An Extent is a run of blocks.
type Extent struct{ Start, Blocks uint64 }

// sparse marks an extent that is not written: its bytes count, but go nowhere.
const sparse = 1<<64 - 1

// An Operation writes a run of bytes to the blocks Dst of a partition.
type Operation struct {
	Type             OpType
	DataOff, DataLen int64 // of its data in the file
	Src, Dst         []Extent
	Hash             []byte // SHA-256 of its data, may be empty
	out              int64  // bytes it writes
}

// A Payload is a payload.bin.
type Payload struct {
	ManifestSize  int64
	BlobOff       int64 // where the operations' data begins
	BlockSize     int64
	MinorVersion  uint32 // 0 in a full update
	MaxTimestamp  int64  // the build's time in seconds; a phone refuses an older build than its own
	SecurityPatch string
	Partial       bool // only some partitions are updated
	Snapshots     bool // the phone may write into snapshots (Virtual A/B)
	Groups        []Group
	Apexes        []Apex
	Partitions    []Partition

	MetadataSignatures []Signature // over header and manifest
	Signatures         []Signature // over the payload without signatures

	r             io.ReaderAt
	size          int64
	signed        int64 // bytes of data, from BlobOff, that the payload's signatures cover
	signatureSize int64

	mu    sync.Mutex
	cache map[*Operation]*list.Element
	order list.List // of *decoded, the last used first
	held  int64
}

type decoded struct {
	op *Operation
	b  []byte
}

// A Group is a group of dynamic partitions, as a super partition has them.
type Group struct {
	Name       string
	Size       uint64
	Partitions []string
}

// An Apex is an APEX inside the new system, listed for the space its unpacking takes.
type Apex struct {
	Name       string
	Version    int64
	Compressed bool
	Size       int64
}

// A Signature is one signature of a payload.
type Signature struct {
	Data []byte // without padding
}

// A Partition is one partition that the payload updates.
type Partition struct {
	Name             string
	OldSize, NewSize int64
	OldHash, NewHash []byte // SHA-256, empty if not stated
	Version          string
	Filesystem       string
	RunPostinstall   bool
	Postinstall      string // path of the program that the update runs from the new partition
	Operations       []Operation
	// Delta says why the payload alone does not make the partition, nil if it does. It wraps [errors.ErrUnsupported].
	Delta error

	HashTreeData, HashTree Extent // what the phone computes a hash tree over, and where it puts it
	HashTreeAlgorithm      string
	HashTreeSalt           []byte
	FECData, FEC           Extent
	FECRoots               uint32

	p *Payload
}

// NewPayload reads the header, manifest and signatures of a payload of size bytes.
func NewPayload(r io.ReaderAt, size int64) (*Payload, error) {
	h, err := readAt(r, size, 0, min(size, payloadHeader))
	if err != nil {
		return nil, err
	}
	if len(h) < payloadHeader || string(h[:4]) != "CrAU" {
		return nil, cursor.Errorf(0, "no payload: begins with %q", h[:min(4, len(h))])
	}
	if v := binary.BigEndian.Uint64(h[4:]); v != 2 {
		return nil, unsupported("payload format version %d", v)
	}
	manifest, sigs := binary.BigEndian.Uint64(h[12:]), int64(binary.BigEndian.Uint32(h[20:]))
	if manifest > maxManifest || sigs > maxSignatures || int64(manifest)+sigs > size-payloadHeader {
		return nil, cursor.Errorf(12, "manifest of %d and signatures of %d bytes, the file has %d", manifest, sigs, size)
	}
	p := &Payload{
		ManifestSize: int64(manifest), BlobOff: payloadHeader + int64(manifest) + sigs, BlockSize: 4096,
		r: r, size: size, cache: map[*Operation]*list.Element{},
	}
	b, err := readAt(r, size, payloadHeader, p.ManifestSize)
	if err != nil {
		return nil, err
	}
	if err := p.manifest(b); err != nil {
		return nil, err
	}
	b, err = readAt(r, size, payloadHeader+p.ManifestSize, sigs)
	if err != nil {
		return nil, err
	}
	if p.MetadataSignatures, err = signatures(b, payloadHeader+p.ManifestSize); err != nil {
		return nil, err
	}
	if p.signatureSize > 0 {
		b, err := readAt(r, size, p.BlobOff+p.signed, p.signatureSize)
		if err != nil {
			return nil, err
		}
		if p.Signatures, err = signatures(b, p.BlobOff+p.signed); err != nil {
			return nil, err
		}
	} else {
		p.signed = size - p.BlobOff
	}
	return p, nil
}

func (p *Payload) manifest(b []byte) error {
	operations, extents := 0, 0
	err := cursor.Fields(b, payloadHeader, func(f cursor.Field) error {
		switch f.Num {
		case 3:
			p.BlockSize = int64(f.V)
		case 4:
			p.signed = int64(f.V)
		case 5:
			p.signatureSize = int64(f.V)
		case 12:
			p.MinorVersion = uint32(f.V)
		case 13:
			part := Partition{FECRoots: 2, p: p}
			if err := part.parse(f, &operations, &extents); err != nil {
				return err
			}
			p.Partitions = append(p.Partitions, part)
		case 14:
			p.MaxTimestamp = int64(f.V)
		case 15:
			return cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
				switch f.Num {
				case 1:
					var g Group
					err := cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
						switch f.Num {
						case 1:
							g.Name = string(f.B)
						case 2:
							g.Size = f.V
						case 3:
							g.Partitions = append(g.Partitions, string(f.B))
						}
						return nil
					})
					p.Groups = append(p.Groups, g)
					return err
				case 2:
					p.Snapshots = f.V != 0
				}
				return nil
			})
		case 16:
			p.Partial = f.V != 0
		case 17:
			var a Apex
			err := cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
				switch f.Num {
				case 1:
					a.Name = string(f.B)
				case 2:
					a.Version = int64(f.V)
				case 3:
					a.Compressed = f.V != 0
				case 4:
					a.Size = int64(f.V)
				}
				return nil
			})
			p.Apexes = append(p.Apexes, a)
			return err
		case 18:
			p.SecurityPatch = string(f.B)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if bs := p.BlockSize; bs < 512 || bs > 1<<20 || bs&(bs-1) != 0 {
		return cursor.Errorf(payloadHeader, "block size of %d bytes", bs)
	}
	blob := p.size - p.BlobOff
	if p.signatureSize < 0 || p.signatureSize > maxSignatures || p.signatureSize > 0 && (p.signed < 0 || p.signed > blob-p.signatureSize) {
		return cursor.Errorf(payloadHeader, "signatures of %d bytes at %d, there are %d bytes of data", p.signatureSize, p.signed, blob)
	}
	for i := range p.Partitions {
		if err := p.Partitions[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (part *Partition) parse(f cursor.Field, operations, extents *int) error {
	info := func(f cursor.Field, size *int64, hash *[]byte) error {
		return cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
			switch f.Num {
			case 1:
				*size = int64(f.V)
			case 2:
				*hash = f.B
			}
			return nil
		})
	}
	extent := func(f cursor.Field) (e Extent, err error) {
		if *extents++; *extents > maxExtents {
			return e, cursor.Errorf(f.Off, "more than %d extents", maxExtents)
		}
		err = cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
			switch f.Num {
			case 1:
				e.Start = f.V
			case 2:
				e.Blocks = f.V
			}
			return nil
		})
		return e, err
	}
	return cursor.Fields(f.B, f.Off, func(f cursor.Field) (err error) {
		switch f.Num {
		case 1:
			part.Name = string(f.B)
		case 2:
			part.RunPostinstall = f.V != 0
		case 3:
			part.Postinstall = string(f.B)
		case 4:
			part.Filesystem = string(f.B)
		case 6:
			return info(f, &part.OldSize, &part.OldHash)
		case 7:
			return info(f, &part.NewSize, &part.NewHash)
		case 8:
			if *operations++; *operations > maxOperations {
				return cursor.Errorf(f.Off, "more than %d operations", maxOperations)
			}
			var op Operation
			err := cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
				switch f.Num {
				case 1:
					op.Type = OpType(min(f.V, 1<<31))
				case 2:
					op.DataOff = int64(f.V)
				case 3:
					op.DataLen = int64(f.V)
				case 4, 6:
					e, err := extent(f)
					if f.Num == 4 {
						op.Src = append(op.Src, e)
					} else {
						op.Dst = append(op.Dst, e)
					}
					return err
				case 8:
					op.Hash = f.B
				}
				return nil
			})
			part.Operations = append(part.Operations, op)
			return err
		case 10:
			part.HashTreeData, err = extent(f)
		case 11:
			part.HashTree, err = extent(f)
		case 12:
			part.HashTreeAlgorithm = string(f.B)
		case 13:
			part.HashTreeSalt = f.B
		case 14:
			part.FECData, err = extent(f)
		case 15:
			part.FEC, err = extent(f)
		case 16:
			part.FECRoots = uint32(f.V)
		case 17:
			part.Version = string(f.B)
		}
		return err
	})
}

// check puts data offsets where they are in the file, and finds out whether the partition stands alone.
func (part *Partition) check() error {
	p := part.p
	if part.NewSize < 0 || part.NewSize > maxBytes || part.OldSize < 0 || part.OldSize > maxBytes {
		return cursor.Errorf(payloadHeader, "partition %q of %d bytes", part.Name, max(part.NewSize, part.OldSize))
	}
	blocks := uint64((part.NewSize + p.BlockSize - 1) / p.BlockSize)
	for i := range part.Operations {
		op := &part.Operations[i]
		if !op.Type.alone() && part.Delta == nil {
			part.Delta = unsupported("partition %q: operation %d, %v, takes the old partition", part.Name, i, op.Type)
		}
		if op.DataLen > 0 && (op.DataOff < 0 || op.DataOff > p.size-p.BlobOff || op.DataLen > p.size-p.BlobOff-op.DataOff) || op.DataLen < 0 {
			return cursor.Errorf(payloadHeader, "partition %q: operation %d has %d bytes at %d, there are %d bytes of data", part.Name, i, op.DataLen, op.DataOff, p.size-p.BlobOff)
		}
		op.DataOff += p.BlobOff
		for _, e := range op.Dst {
			if e.Start != sparse && (e.Start > blocks || e.Blocks > blocks-e.Start) || e.Blocks > maxBytes/uint64(p.BlockSize) {
				return cursor.Errorf(payloadHeader, "partition %q: operation %d writes %d blocks at %d, the partition has %d", part.Name, i, e.Blocks, e.Start, blocks)
			}
			if op.out += int64(e.Blocks) * p.BlockSize; op.out > maxBytes {
				return cursor.Errorf(payloadHeader, "partition %q: operation %d writes %d bytes", part.Name, i, op.out)
			}
		}
	}
	for _, e := range []Extent{part.HashTreeData, part.HashTree, part.FECData, part.FEC} {
		if e.Start > blocks || e.Blocks > blocks-e.Start {
			return cursor.Errorf(payloadHeader, "partition %q: hash tree or error correction over %d blocks at %d, the partition has %d", part.Name, e.Blocks, e.Start, blocks)
		}
	}
	return nil
}

// Partition returns the named partition, nil if there is none.
func (p *Payload) Partition(name string) *Partition {
	for i := range p.Partitions {
		if p.Partitions[i].Name == name {
			return &p.Partitions[i]
		}
	}
	return nil
}

// Open returns the partition as the update leaves it. Operations are decoded when they are read, the hash tree that the phone would
// compute is computed when it is read. Blocks that take the old partition (see Delta) give errors that wrap [errors.ErrUnsupported].
// Open checks the digests of packed operations, not of the whole: see [Partition.Verify].
func (part *Partition) Open() *Image {
	p := part.p
	var spans []span
	for i := range part.Operations {
		off := int64(0)
		for _, e := range part.Operations[i].Dst {
			n := int64(e.Blocks) * p.BlockSize
			if e.Start != sparse && n > 0 {
				start := int64(e.Start) * p.BlockSize
				spans = append(spans, span{start, start + n, i, off})
			}
			off += n
		}
	}
	const tree, fec = -1, -2
	for _, x := range []struct {
		e    Extent
		step int
	}{{part.HashTree, tree}, {part.FEC, fec}} {
		if x.e.Blocks > 0 {
			start := int64(x.e.Start) * p.BlockSize
			spans = append(spans, span{start, start + int64(x.e.Blocks)*p.BlockSize, x.step, 0})
		}
	}
	m := &Image{size: part.NewSize, spans: lay(spans), holes: unsupported("partition %q: blocks that the payload does not write", part.Name)}
	hashTree := sync.OnceValues(func() ([]byte, error) { return part.hashTree(m) })
	m.read = func(step int, b []byte, off int64) error {
		switch step {
		case tree:
			t, err := hashTree()
			if err == nil {
				copy(b, t[off:])
			}
			return err
		case fec:
			return unsupported("partition %q: error correction that the phone computes", part.Name)
		}
		return p.read(part, step, b, off)
	}
	return m
}

// hashTree computes the tree the phone would (update_engine's VerityWriterAndroid).
func (part *Partition) hashTree(m *Image) ([]byte, error) {
	var h hash.Hash
	switch part.HashTreeAlgorithm {
	case "sha1":
		h = sha1.New()
	case "sha256":
		h = sha256.New()
	default:
		return nil, unsupported("partition %q: hash tree with %q", part.Name, part.HashTreeAlgorithm)
	}
	bs := part.p.BlockSize
	start, n := int64(part.HashTreeData.Start)*bs, int64(part.HashTreeData.Blocks)*bs
	size := int64(part.HashTree.Blocks) * bs
	if want := verity.TreeSize(n, int(bs), h.Size()); want != size {
		return nil, cursor.Errorf(payloadHeader, "partition %q: hash tree of %d bytes where %d are due", part.Name, size, want)
	}
	if t := int64(part.HashTree.Start) * bs; t < start+n && start < t+size {
		return nil, cursor.Errorf(payloadHeader, "partition %q: hash tree over itself", part.Name)
	}
	t, _, err := verity.Tree(io.NewSectionReader(m, start, n), n, int(bs), part.HashTreeSalt, h)
	if err == verity.ErrGeometry {
		return nil, cursor.Errorf(payloadHeader, "partition %q: hash tree with blocks of %d bytes", part.Name, bs)
	}
	return t, err
}

// read fills b from off bytes into the output of an operation.
func (p *Payload) read(part *Partition, step int, b []byte, off int64) error {
	op := &part.Operations[step]
	switch op.Type {
	case Zero, Discard:
		clear(b)
		return nil
	case Replace:
		// What lies behind the data in the last block is zeros.
		n := max(0, min(int64(len(b)), op.DataLen-off))
		clear(b[n:])
		if n == 0 {
			return nil
		}
		if k, err := p.r.ReadAt(b[:n], op.DataOff+off); int64(k) < n {
			return readError(op.DataOff+off, err)
		}
		return nil
	}
	if !op.Type.alone() {
		return unsupported("partition %q: operation %d, %v, takes the old partition", part.Name, step, op.Type)
	}
	out, err := p.decode(part, step)
	if err != nil {
		return err
	}
	n := 0
	if off < int64(len(out)) {
		n = copy(b, out[off:])
	}
	clear(b[n:])
	return nil
}

// decode returns the output of a packed operation, from the cache if it is there. Two readers that want the same one
// at once may both decode it.
func (p *Payload) decode(part *Partition, step int) ([]byte, error) {
	op := &part.Operations[step]
	p.mu.Lock()
	if e := p.cache[op]; e != nil {
		p.order.MoveToFront(e)
		p.mu.Unlock()
		return e.Value.(*decoded).b, nil
	}
	p.mu.Unlock()
	if op.out > maxOperation {
		return nil, unsupported("partition %q: operation %d unpacks to %d bytes", part.Name, step, op.out)
	}
	in, err := readAt(p.r, p.size, op.DataOff, op.DataLen)
	if err != nil {
		return nil, err
	}
	bad := func(err error) error {
		if errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		return cursor.Errorf(op.DataOff, "partition %q: operation %d, %v: %v", part.Name, step, op.Type, err)
	}
	if len(op.Hash) > 0 {
		if sum := sha256.Sum256(in); !bytes.Equal(sum[:], op.Hash) {
			return nil, bad(errors.New("its data does not match its digest"))
		}
	}
	var out []byte
	switch op.Type {
	case ReplaceBZ:
		out, err = drain(bzip2.NewReader(bytes.NewReader(in)), op.out)
	case ReplaceXZ:
		out, _, err = xz.Decode(in, op.out, func(in io.Reader, dict int) (io.Reader, error) {
			return lzma.Reader2Config{DictCap: dict}.NewReader2(in)
		})
	case ReplaceZstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(in), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err == nil {
			out, err = drain(z, op.out)
			z.Close()
		}
	}
	if err != nil {
		return nil, bad(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cache[op] == nil {
		p.cache[op] = p.order.PushFront(&decoded{op, out})
		p.held += int64(len(out))
		for p.held > cacheBytes && p.order.Len() > 1 {
			e := p.order.Back()
			d := p.order.Remove(e).(*decoded)
			delete(p.cache, d.op)
			p.held -= int64(len(d.b))
		}
	}
	return out, nil
}

// drain reads r to its end. More than limit bytes are an error.
func drain(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(limit, 4<<20)) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("unpacks to more than %d bytes", limit)
	}
	return b.Bytes(), err
}

// Verify reads the whole new partition and compares its digest with the manifest's. An error wraps [ErrMismatch] if it is another,
// [errors.ErrUnsupported] if the manifest has none or the payload alone does not make the partition.
func (part *Partition) Verify() error {
	if len(part.NewHash) == 0 {
		return unsupported("partition %q: the payload states no digest", part.Name)
	}
	m := part.Open()
	return same(part.Name, m, m.size, part.NewHash)
}

// VerifyOld compares the digest of an old partition with the one that a delta payload was made for.
func (part *Partition) VerifyOld(old io.ReaderAt) error {
	if len(part.OldHash) == 0 {
		return unsupported("partition %q: the payload states no digest of the old one", part.Name)
	}
	return same(part.Name, old, part.OldSize, part.OldHash)
}

func same(name string, r io.ReaderAt, size int64, want []byte) error {
	h := sha256.New()
	n, err := io.CopyBuffer(h, io.NewSectionReader(r, 0, size), make([]byte, 1<<20))
	if err != nil {
		return err
	}
	if got := h.Sum(nil); n < size || !bytes.Equal(got, want) {
		return fmt.Errorf("digest of %d bytes of partition %q is %x, the payload says %x: %w", n, name, got, want, ErrMismatch)
	}
	return nil
}

// Verify checks the payload's signatures as update_engine does: one over header and manifest, one over everything but
// the signatures. It returns the certificate that both are good for. An error wraps [ErrMismatch] if no certificate is.
func (p *Payload) Verify(certs []*x509.Certificate) (*x509.Certificate, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(p.r, 0, payloadHeader+p.ManifestSize)); err != nil {
		return nil, err
	}
	metadata := h.Sum(nil)
	if len(p.MetadataSignatures) == 0 || len(p.Signatures) == 0 {
		return nil, fmt.Errorf("payload is not signed: %w", ErrMismatch)
	}
	var sum []byte
	for _, c := range certs {
		if !anySigned(c, crypto.SHA256, metadata, p.MetadataSignatures) {
			continue
		}
		if sum == nil {
			if _, err := io.CopyBuffer(h, io.NewSectionReader(p.r, p.BlobOff, p.signed), make([]byte, 1<<20)); err != nil {
				return nil, err
			}
			sum = h.Sum(nil)
		}
		if anySigned(c, crypto.SHA256, sum, p.Signatures) {
			return c, nil
		}
	}
	if sum != nil {
		return nil, fmt.Errorf("payload signature: %w", ErrMismatch)
	}
	return nil, fmt.Errorf("payload metadata signature: %w", ErrMismatch)
}

func anySigned(c *x509.Certificate, h crypto.Hash, sum []byte, sigs []Signature) bool {
	for _, s := range sigs {
		if signed(c, h, sum, s.Data) {
			return true
		}
	}
	return false
}

// signed reports whether sig is c's signature of a digest.
func signed(c *x509.Certificate, h crypto.Hash, sum, sig []byte) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, h, sum, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, sum, sig)
	}
	return false
}

func signatures(b []byte, off int64) (sigs []Signature, err error) {
	err = cursor.Fields(b, off, func(f cursor.Field) error {
		if f.Num != 1 {
			return nil
		}
		var s Signature
		n := uint64(sparse)
		err := cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
			switch f.Num {
			case 2:
				s.Data = f.B
			case 3:
				n = f.V
			}
			return nil
		})
		if n < uint64(len(s.Data)) { // EC signatures vary in length and are padded
			s.Data = s.Data[:n]
		}
		sigs = append(sigs, s)
		return err
	})
	return sigs, err
}
