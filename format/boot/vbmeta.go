package boot

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"strings"

	"gifthorse/internal/cursor"
	"gifthorse/internal/verity"
)

var (
	// ErrUnsigned says that a vbmeta structure has no signature: its algorithm is NONE.
	ErrUnsigned = errors.New("vbmeta is not signed")
	// ErrMismatch says that a signature or a digest does not belong to the bytes.
	ErrMismatch = errors.New("does not match")
)

const (
	vbmetaHeader = 256
	footerSize   = 64
	// maxVBMeta is libavb's VBMETA_MAX_SIZE: it loads no larger structure.
	maxVBMeta = 64 << 10
)

// A Footer stands in the last 64 bytes of a partition that carries its own vbmeta structure.
type Footer struct {
	Off          int64  // where it stands
	Version      string // "1.0"
	OriginalSize int64  // of the partition's contents, without hash tree, vbmeta and padding
	VBMetaOff    int64
	VBMetaSize   int64
}

// A VBMeta is one vbmeta structure.
type VBMeta struct {
	Off              int64  // in what it was read from
	Size             int64  // header and both blocks
	RequiredVersion  string // of libavb, such as "1.0"
	Algorithm        Algorithm
	RollbackIndex    uint64
	RollbackLocation uint32
	Flags            uint32
	Release          string // who made it, such as "avbtool 1.2.0"
	PublicKey        []byte // in AVB's own encoding; empty if not signed
	KeyMetadata      []byte

	Properties []Property
	Hashtrees  []Hashtree
	Hashes     []Hash
	Cmdlines   []KernelCmdline
	Chains     []Chain
	Unknown    []uint64 // tags of other descriptors, which libavb passes over

	raw, digest, signature []byte
	aux                    int64 // where the auxiliary block begins in raw
}

// An Algorithm is libavb's AvbAlgorithmType.
type Algorithm uint32

var algorithms = []struct {
	name string
	bits int
	hash crypto.Hash
}{
	{"NONE", 0, 0},
	{"SHA256_RSA2048", 2048, crypto.SHA256},
	{"SHA256_RSA4096", 4096, crypto.SHA256},
	{"SHA256_RSA8192", 8192, crypto.SHA256},
	{"SHA512_RSA2048", 2048, crypto.SHA512},
	{"SHA512_RSA4096", 4096, crypto.SHA512},
	{"SHA512_RSA8192", 8192, crypto.SHA512},
}

func (a Algorithm) String() string {
	if int(a) < len(algorithms) {
		return algorithms[a].name
	}
	return fmt.Sprintf("algorithm %d", uint32(a))
}

// A Property is a name and a value for the system to read.
type Property struct {
	Off   int64 // of the descriptor, as in the other descriptors
	Key   string
	Value []byte
}

// A Hashtree describes a partition that dm-verity checks while it is read.
type Hashtree struct {
	Off                      int64
	Partition                string
	Version                  uint32 // of dm-verity's format
	ImageSize                uint64 // bytes covered by the tree
	TreeOff, TreeSize        uint64
	DataBlock, HashBlock     uint32
	FECRoots                 uint32
	FECOff, FECSize          uint64
	Algorithm                string // sha1, sha256, sha512, blake2b-256
	Salt, RootDigest         []byte
	Flags                    uint32
	DoNotUseAB, CheckAtMost1 bool // flags 1 and 2: no slot suffix; dm-verity's check_at_most_once
}

// A Hash describes a partition that the bootloader hashes as a whole.
type Hash struct {
	Off          int64
	Partition    string
	ImageSize    uint64
	Algorithm    string // sha256 or sha512
	Salt, Digest []byte // an empty digest is kept in the phone's own storage
	Flags        uint32
	DoNotUseAB   bool
}

// A KernelCmdline is text for the kernel's command line.
type KernelCmdline struct {
	Off     int64
	Flags   uint32 // 1: only if hash trees are enabled, 2: only if they are disabled
	Cmdline string
}

// A Chain hands a partition over to another key.
type Chain struct {
	Off              int64
	Partition        string
	RollbackLocation uint32
	PublicKey        []byte
	Flags            uint32
	DoNotUseAB       bool
}

// HashtreeDisabled reports whether the flags tell the system to mount without dm-verity.
func (v *VBMeta) HashtreeDisabled() bool { return v.Flags&1 != 0 }

// VerificationDisabled reports whether the flags tell the bootloader to look at no descriptor at all.
func (v *VBMeta) VerificationDisabled() bool { return v.Flags&2 != 0 }

// NewFooter reads the footer at the end of size bytes and the vbmeta structure it points to. If there is no footer, both are
// nil and there is no error.
func NewFooter(r io.ReaderAt, size int64) (*Footer, *VBMeta, error) {
	if size < footerSize {
		return nil, nil, nil
	}
	off := size - footerSize
	b, err := readAt(r, size, off, footerSize)
	if err != nil {
		return nil, nil, err
	}
	if string(b[:4]) != "AVBf" {
		return nil, nil, nil
	}
	be32, be64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	if major := be32(b[4:]); major != 1 {
		return nil, nil, unsupported("AVB footer version %d", major)
	}
	original, at, n := be64(b[12:]), be64(b[20:]), be64(b[28:])
	if original > uint64(off) || at > uint64(off) || n > uint64(off)-at {
		return nil, nil, cursor.Errorf(off+12, "AVB footer: %d bytes of contents and a vbmeta of %d at %d before a footer at %d", original, n, at, off)
	}
	f := &Footer{Off: off, Version: version(b[4:]), OriginalSize: int64(original), VBMetaOff: int64(at), VBMetaSize: int64(n)}
	v, err := NewVBMeta(io.NewSectionReader(r, f.VBMetaOff, f.VBMetaSize), f.VBMetaSize)
	if err != nil {
		return f, nil, shift(err, f.VBMetaOff)
	}
	v.move(f.VBMetaOff)
	return f, v, nil
}

func (v *VBMeta) move(by int64) {
	v.Off += by
	for i := range v.Properties {
		v.Properties[i].Off += by
	}
	for i := range v.Hashtrees {
		v.Hashtrees[i].Off += by
	}
	for i := range v.Hashes {
		v.Hashes[i].Off += by
	}
	for i := range v.Cmdlines {
		v.Cmdlines[i].Off += by
	}
	for i := range v.Chains {
		v.Chains[i].Off += by
	}
}

func version(b []byte) string {
	return fmt.Sprintf("%d.%d", binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]))
}

// NewVBMeta reads the vbmeta structure at the start of size bytes. What follows it, such as a partition's
// padding, is not looked at.
func NewVBMeta(r io.ReaderAt, size int64) (*VBMeta, error) {
	b, err := readAt(r, size, 0, maxVBMeta)
	if err != nil {
		return nil, err
	}
	if len(b) < vbmetaHeader || string(b[:4]) != "AVB0" {
		return nil, cursor.Errorf(0, "no vbmeta structure: begins with %q", b[:min(4, len(b))])
	}
	be32, be64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	if major := be32(b[4:]); major != 1 {
		return nil, unsupported("vbmeta for libavb %d", major)
	}
	auth, aux := be64(b[12:]), be64(b[20:])
	// libavb demands blocks of a multiple of 64 bytes.
	if auth > maxVBMeta || aux > maxVBMeta || auth%64|aux%64 != 0 || vbmetaHeader+auth+aux > uint64(len(b)) {
		return nil, cursor.Errorf(12, "vbmeta blocks of %d and %d bytes, %d are left", auth, aux, len(b)-vbmetaHeader)
	}
	v := &VBMeta{
		RequiredVersion: version(b[4:]), Algorithm: Algorithm(be32(b[28:])),
		RollbackIndex: be64(b[112:]), Flags: be32(b[120:]), RollbackLocation: be32(b[124:]),
		Release: text(b[128:176]), aux: int64(vbmetaHeader + auth),
	}
	v.raw = b[:vbmetaHeader+auth+aux]
	v.Size = int64(len(v.raw))
	authBlock, auxBlock := v.raw[vbmetaHeader:vbmetaHeader+auth], v.raw[vbmetaHeader+auth:]
	var descriptors []byte
	for _, f := range []struct {
		at    int64
		block []byte
		to    *[]byte
		what  string
	}{
		{32, authBlock, &v.digest, "digest"},
		{48, authBlock, &v.signature, "signature"},
		{64, auxBlock, &v.PublicKey, "public key"},
		{80, auxBlock, &v.KeyMetadata, "key metadata"},
		{96, auxBlock, &descriptors, "descriptors"},
	} {
		off, n := be64(b[f.at:]), be64(b[f.at+8:])
		if off > uint64(len(f.block)) || n > uint64(len(f.block))-off {
			return nil, cursor.Errorf(f.at, "vbmeta %s of %d bytes at %d in a block of %d", f.what, n, off, len(f.block))
		}
		*f.to = f.block[off : off+n : off+n]
	}
	if err := v.descriptors(descriptors, v.aux+int64(be64(b[96:]))); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *VBMeta) descriptors(b []byte, base int64) error {
	be32, be64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	for pos := int64(0); pos < int64(len(b)); {
		at := base + pos
		if len(b)-int(pos) < 16 {
			return cursor.Errorf(at, "vbmeta descriptor cut short")
		}
		tag, n := be64(b[pos:]), be64(b[pos+8:])
		if n > uint64(len(b))-uint64(pos)-16 || n%8 != 0 {
			return cursor.Errorf(at, "vbmeta descriptor of %d bytes, %d are left", n, len(b)-int(pos)-16)
		}
		d := b[pos+16 : pos+16+int64(n)]
		pos += 16 + int64(n)
		// tail cuts the variable part behind a fixed part into runs of the given sizes.
		var tail []byte
		fixed := func(size int) bool {
			if len(d) < size {
				return false
			}
			tail = d[size:]
			return true
		}
		short := false
		cut := func(n uint64) []byte {
			if n > uint64(len(tail)) {
				short = true
				return nil
			}
			c := tail[:n:n]
			tail = tail[n:]
			return c
		}
		ok := true
		switch tag {
		case 0:
			if ok = fixed(16); ok {
				key := string(cut(be64(d)))
				cut(1) // each ends with a zero byte
				v.Properties = append(v.Properties, Property{at, key, cut(be64(d[8:]))})
			}
		case 1:
			if ok = fixed(164); ok {
				flags := be32(d[100:])
				v.Hashtrees = append(v.Hashtrees, Hashtree{
					Off: at, Version: be32(d), ImageSize: be64(d[4:]), TreeOff: be64(d[12:]), TreeSize: be64(d[20:]),
					DataBlock: be32(d[28:]), HashBlock: be32(d[32:]), FECRoots: be32(d[36:]), FECOff: be64(d[40:]), FECSize: be64(d[48:]),
					Algorithm: text(d[56:88]), Partition: string(cut(uint64(be32(d[88:])))),
					Salt: cut(uint64(be32(d[92:]))), RootDigest: cut(uint64(be32(d[96:]))),
					Flags: flags, DoNotUseAB: flags&1 != 0, CheckAtMost1: flags&2 != 0,
				})
			}
		case 2:
			if ok = fixed(116); ok {
				flags := be32(d[52:])
				v.Hashes = append(v.Hashes, Hash{
					Off: at, ImageSize: be64(d), Algorithm: text(d[8:40]), Partition: string(cut(uint64(be32(d[40:])))),
					Salt: cut(uint64(be32(d[44:]))), Digest: cut(uint64(be32(d[48:]))), Flags: flags, DoNotUseAB: flags&1 != 0,
				})
			}
		case 3:
			if ok = fixed(8); ok {
				v.Cmdlines = append(v.Cmdlines, KernelCmdline{at, be32(d), string(cut(uint64(be32(d[4:]))))})
			}
		case 4:
			if ok = fixed(76); ok {
				flags := be32(d[12:])
				v.Chains = append(v.Chains, Chain{
					Off: at, RollbackLocation: be32(d), Partition: string(cut(uint64(be32(d[4:])))),
					PublicKey: cut(uint64(be32(d[8:]))), Flags: flags, DoNotUseAB: flags&1 != 0,
				})
			}
		default:
			v.Unknown = append(v.Unknown, tag)
		}
		if !ok || short {
			return cursor.Errorf(at, "vbmeta descriptor %d of %d bytes is too short for what it holds", tag, n)
		}
	}
	return nil
}

// Verify checks the structure's own digest and signature with the key inside it: nil says that whoever holds
// the key [VBMeta.PublicKey] signed exactly these bytes, not that the key is a good one. Otherwise the error is [ErrUnsigned],
// wraps [ErrMismatch], is a *[FormatError] for a key that is none, or wraps [errors.ErrUnsupported].
func (v *VBMeta) Verify() error {
	if int(v.Algorithm) >= len(algorithms) {
		return unsupported("vbmeta %v", v.Algorithm)
	}
	alg := algorithms[v.Algorithm]
	if alg.bits == 0 {
		return ErrUnsigned
	}
	h := alg.hash.New()
	h.Write(v.raw[:vbmetaHeader])
	h.Write(v.raw[v.aux:])
	sum := h.Sum(nil)
	if !bytes.Equal(sum, v.digest) {
		return fmt.Errorf("vbmeta digest: %w", ErrMismatch)
	}
	key, err := ParseKey(v.PublicKey)
	if err != nil {
		return shift(err, v.Off+v.aux)
	}
	if key.N.BitLen() != alg.bits || len(v.signature) != alg.bits/8 {
		return fmt.Errorf("vbmeta signature of %d bytes and key of %d bits for %v: %w", len(v.signature), key.N.BitLen(), v.Algorithm, ErrMismatch)
	}
	if rsa.VerifyPKCS1v15(key, alg.hash, sum, v.signature) != nil {
		return fmt.Errorf("vbmeta signature: %w", ErrMismatch)
	}
	return nil
}

// Bytes returns the whole structure as it was signed: header and both blocks. The caller must not change it.
func (v *VBMeta) Bytes() []byte { return v.raw }

// KeyFingerprints returns the SHA-256 and SHA-1 of an AVB public key as it is encoded, such as [VBMeta.PublicKey]. avbtool
// prints the SHA-1; hardware attestation states the SHA-256 as the verified boot key.
func KeyFingerprints(key []byte) (sum256 [32]byte, sum1 [20]byte) {
	return sha256.Sum256(key), sha1.Sum(key)
}

// VBMetaDigest hashes vbmeta structures in the order given: the top one first, then the chained ones in the
// order of their descriptors, as avb_slot_verify_data_calculate_vbmeta_digest does. With SHA-256 it is the kernel's
// androidboot.vbmeta.digest.
func VBMetaDigest(h crypto.Hash, images ...*VBMeta) []byte {
	d := h.New()
	for _, v := range images {
		d.Write(v.raw)
	}
	return d.Sum(nil)
}

// ParseKey decodes an AVB public key: number of bits, -1/n mod 2^32, n and 2^(2*bits) mod n. The exponent is
// always 65537. The two values that follow from n must: libavb computes with them.
func ParseKey(b []byte) (*rsa.PublicKey, error) {
	if len(b) < 8 {
		return nil, cursor.Errorf(0, "AVB key of %d bytes", len(b))
	}
	bits := binary.BigEndian.Uint32(b)
	if bits != 2048 && bits != 4096 && bits != 8192 || len(b) < 8+int(bits)/4 {
		return nil, cursor.Errorf(0, "AVB key of %d bits in %d bytes", bits, len(b))
	}
	n := new(big.Int).SetBytes(b[8 : 8+bits/8])
	if n.BitLen() != int(bits) || n.Bit(0) == 0 {
		return nil, cursor.Errorf(8, "AVB key's modulus is no RSA modulus of %d bits", bits)
	}
	word := new(big.Int).Lsh(big.NewInt(1), 32)
	n0 := new(big.Int).ModInverse(n, word)
	n0.Sub(word, n0)
	rr := new(big.Int).Lsh(big.NewInt(1), uint(2*bits))
	rr.Mod(rr, n)
	if uint64(binary.BigEndian.Uint32(b[4:])) != n0.Uint64() || rr.Cmp(new(big.Int).SetBytes(b[8+bits/8:8+bits/4])) != 0 {
		return nil, cursor.Errorf(4, "AVB key's Montgomery values do not belong to its modulus")
	}
	return &rsa.PublicKey{N: n, E: 65537}, nil
}

func digest(name string) (func() hash.Hash, error) {
	switch strings.ToLower(name) {
	case "sha1":
		return sha1.New, nil
	case "sha256":
		return sha256.New, nil
	case "sha512":
		return sha512.New, nil
	}
	return nil, unsupported("digest %q", name)
}

// covers reports whether image has size bytes, by reading the last of them.
func covers(image io.ReaderAt, size uint64, what string, off int64) error {
	if size > 1<<62 {
		return cursor.Errorf(off, "%s of %d bytes", what, size)
	}
	var b [1]byte
	if size > 0 {
		if n, err := image.ReadAt(b[:], int64(size)-1); n < 1 {
			if err == nil || err == io.EOF {
				return cursor.Errorf(off, "%s of %d bytes, the image has fewer", what, size)
			}
			return err
		}
	}
	return nil
}

// VerifyHash computes the digest of the partition image again. It returns nil if it is the descriptor's, an error wrapping [ErrMismatch]
// if it is another, a *[FormatError] (at the descriptor) if the image is too short.
func VerifyHash(d *Hash, image io.ReaderAt) error {
	alg, err := digest(d.Algorithm)
	if err != nil {
		return err
	}
	if len(d.Digest) == 0 {
		return unsupported("digest of %q is kept in the phone's own storage", d.Partition)
	}
	if err := covers(image, d.ImageSize, "hashed partition", d.Off); err != nil {
		return err
	}
	h := alg()
	h.Write(d.Salt)
	if _, err := io.Copy(h, io.NewSectionReader(image, 0, int64(d.ImageSize))); err != nil {
		return err
	}
	if got := h.Sum(nil); !bytes.Equal(got, d.Digest) {
		return fmt.Errorf("digest of %q is %x, vbmeta says %x: %w", d.Partition, got, d.Digest, ErrMismatch)
	}
	return nil
}

// VerifyHashtree computes the hash tree of the partition image again, and compares the root digest and then the tree that is stored
// in the image, which is the one that dm-verity reads. Errors are as those of [VerifyHash]. It holds the tree, 1/128 of the
// partition with SHA-256, in memory.
func VerifyHashtree(d *Hashtree, image io.ReaderAt) error {
	alg, err := digest(d.Algorithm)
	if err != nil {
		return err
	}
	if d.Version != 1 || d.DataBlock != d.HashBlock {
		return unsupported("hash tree of format %d with blocks of %d and %d bytes", d.Version, d.DataBlock, d.HashBlock)
	}
	if err := covers(image, d.ImageSize, "hash tree over a partition", d.Off); err != nil {
		return err
	}
	tree, root, err := verity.Tree(image, int64(d.ImageSize), int(d.DataBlock), d.Salt, alg())
	if err == verity.ErrGeometry {
		return cursor.Errorf(d.Off, "hash tree over %d bytes with blocks of %d bytes", d.ImageSize, d.DataBlock)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(root, d.RootDigest) {
		return fmt.Errorf("root digest of %q is %x, vbmeta says %x: %w", d.Partition, root, d.RootDigest, ErrMismatch)
	}
	if d.TreeSize == 0 {
		return nil // avbtool --no_hashtree: the phone computes the tree itself
	}
	if uint64(len(tree)) != d.TreeSize || d.TreeOff > 1<<62 {
		return fmt.Errorf("hash tree of %q has %d bytes, vbmeta says %d at %d: %w", d.Partition, len(tree), d.TreeSize, d.TreeOff, ErrMismatch)
	}
	stored := make([]byte, len(tree))
	if n, err := image.ReadAt(stored, int64(d.TreeOff)); n < len(stored) {
		return readError(int64(d.TreeOff), err)
	}
	if !bytes.Equal(stored, tree) {
		i := 0
		for stored[i] == tree[i] {
			i++
		}
		return fmt.Errorf("stored hash tree of %q differs at byte %#x: %w", d.Partition, int64(d.TreeOff)+int64(i), ErrMismatch)
	}
	return nil
}
