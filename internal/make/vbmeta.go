package make

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"sync"
)

// A VBMeta is a list of digests of Android Verified Boot 2.0 (external/avb/libavb/avb_vbmeta_image.h).
type VBMeta struct {
	Seed        string // of its key; "" leaves it unsigned
	Flags       uint32
	After       uint32 // flags that are written over the others once it is signed
	Rollback    uint64
	Descriptors [][]byte
}

// Bytes writes the structure, signed with SHA256_RSA2048. The same VBMeta gives the same bytes.
func (v VBMeta) Bytes() []byte {
	desc := bytes.Join(v.Descriptors, nil)
	aux := desc
	var auth, key []byte
	algorithm := uint32(0)
	if v.Seed != "" {
		key, algorithm, auth = AVBKey(v.Seed), 1, make([]byte, 320) // 32 of digest, 256 of signature, a multiple of 64
		aux = bytes.Join([][]byte{desc, key}, nil)
	}
	aux = padded(aux, 64)
	n := func(b []byte) uint64 { return uint64(len(b)) }
	h := append([]byte("AVB0"), be32(1, 0)...)
	h = append(h, be64(n(auth), n(aux))...)
	h = append(h, be32(algorithm)...)
	h = append(h, be64(0, 32, 32, 256, n(desc), n(key), n(desc)+n(key), 0, 0, n(desc), v.Rollback)...)
	if key == nil {
		copy(h[32:], make([]byte, 32))
	}
	h = append(h, be32(v.Flags, 0)...)
	h = append(h, "avbtool 1.2.0"...)
	h = append(h, make([]byte, 256-len(h))...)
	if key != nil {
		sum := sha256.Sum256(append(bytes.Clone(h), aux...))
		sig, err := rsa.SignPKCS1v15(nil, avbPrivate(v.Seed), crypto.SHA256, sum[:])
		if err != nil {
			panic(err) // a key of 2048 bits always can
		}
		copy(auth, sum[:])
		copy(auth[32:], sig)
	}
	if v.After != 0 {
		binary.BigEndian.PutUint32(h[120:], v.After)
	}
	return bytes.Join([][]byte{h, auth, aux}, nil)
}

// Boot makes a boot image of version 3, without a kernel, with a command line of up to 1535 bytes (system/tools/mkbootimg, bootimg.h).
func Boot(cmdline string) []byte {
	b := append([]byte("ANDROID!"), make([]byte, 32)...)
	b[20], b[21] = 0x2c, 0x06 // size of the header: 1580
	b = append(b, 3, 0, 0, 0)
	b = append(b, cmdline...)
	return append(b, make([]byte, 4096-len(b))...)
}

// AVBFooter puts a vbmeta structure behind an image, and a footer at its end.
func AVBFooter(image, vbmeta []byte) []byte {
	b := append(padded(bytes.Clone(image), 4096), vbmeta...)
	b = padded(b, 4096)
	footer := append([]byte("AVBf"), be32(1, 0)...)
	footer = append(footer, be64(uint64(len(image)), uint64(len(padded(bytes.Clone(image), 4096))), uint64(len(vbmeta)))...)
	return append(b, padded(footer, 64)...)
}

// AVBHash describes a partition that is hashed as a whole.
func AVBHash(partition string, image []byte) []byte {
	salt := []byte("salt")
	sum := sha256.Sum256(append(bytes.Clone(salt), image...))
	return avbDescriptor(2, be64(uint64(len(image))), padded([]byte("sha256"), 32), be32(uint32(len(partition)), 4, 32, 0), make([]byte, 60), []byte(partition), salt, sum[:])
}

// AVBHashtree describes a partition of size bytes whose hash tree, over blocks of 4096 bytes without salt, has the root digest. The
// tree itself is not stored.
func AVBHashtree(partition string, size int, root []byte) []byte {
	return avbDescriptor(1, be32(1), be64(uint64(size), uint64(size), 0), be32(4096, 4096, 0), be64(0, 0), padded([]byte("sha256"), 32),
		be32(uint32(len(partition)), 0, uint32(len(root)), 0), make([]byte, 60), []byte(partition), root)
}

// AVBChain hands a partition over to the key of a seed.
func AVBChain(partition, seed string) []byte {
	key := AVBKey(seed)
	return avbDescriptor(4, be32(1, uint32(len(partition)), uint32(len(key)), 0), make([]byte, 60), []byte(partition), key)
}

func avbDescriptor(tag uint64, parts ...[]byte) []byte {
	b := padded(bytes.Join(parts, nil), 8)
	return append(be64(tag, uint64(len(b))), b...)
}

// AVBKey returns the public key of a seed as AVB encodes it: bits, -1/n mod 2^32, n, 2^(2*bits) mod n.
func AVBKey(seed string) []byte {
	n := avbPrivate(seed).N
	word := new(big.Int).Lsh(big.NewInt(1), 32)
	n0 := new(big.Int).ModInverse(n, word)
	rr := new(big.Int).Lsh(big.NewInt(1), uint(2*n.BitLen()))
	b := be32(uint32(n.BitLen()), uint32(new(big.Int).Sub(word, n0).Uint64()))
	b = append(b, n.FillBytes(make([]byte, 256))...)
	return append(b, rr.Mod(rr, n).FillBytes(make([]byte, 256))...)
}

var avbKeys sync.Map // *rsa.PrivateKey by seed: finding the primes takes a moment

// avbPrivate makes the RSA key of a seed: the primes are the first behind two hashes. crypto/rsa's own generator would take other
// random bits each time.
func avbPrivate(seed string) *rsa.PrivateKey {
	if k, ok := avbKeys.Load(seed); ok {
		return k.(*rsa.PrivateKey)
	}
	one, e := big.NewInt(1), big.NewInt(65537)
	prime := func(what string) *big.Int {
		var b []byte
		for i := byte(0); len(b) < 128; i++ {
			sum := sha256.Sum256(append([]byte(what+seed), i))
			b = append(b, sum[:]...)
		}
		b[0] |= 0xc0 // the product of two then has all of its 2048 bits
		p := new(big.Int).SetBytes(b)
		p.SetBit(p, 0, 1)
		for ; ; p.Add(p, big.NewInt(2)) {
			less := new(big.Int).Sub(p, one)
			if p.ProbablyPrime(0) && new(big.Int).GCD(nil, nil, less, e).Cmp(one) == 0 {
				return p
			}
		}
	}
	p, q := prime("p "), prime("q ")
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q}}
	k.Precompute()
	avbKeys.Store(seed, k)
	return k
}

func padded(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

func be32(vs ...uint32) (b []byte) {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func be64(vs ...uint64) (b []byte) {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}
