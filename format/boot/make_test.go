package boot

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"
	"os/exec"
	"sync"
	"testing"
)

// What Debian's mkbootimg does not make is our own making, from the headers named in the package comment.

func le(vs ...uint32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func be(vs ...uint32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func be64(vs ...uint64) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// fixed puts s into a field of n bytes.
func fixed(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func pad(b []byte, page int) []byte {
	for len(b)%page != 0 {
		b = append(b, 0)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// makeBoot makes a boot image of version 3 or 4.
func makeBoot(version uint32, kernel, ramdisk []byte, cmdline string) []byte {
	h := join([]byte("ANDROID!"), le(uint32(len(kernel)), uint32(len(ramdisk)), 13<<25|23<<4|5, 1580, 0, 0, 0, 0, version), fixed(cmdline, 1536))
	if version == 4 {
		h = join(h, le(3))
	}
	img := join(pad(h, 4096), pad(bytes.Clone(kernel), 4096), pad(bytes.Clone(ramdisk), 4096))
	if version == 4 {
		img = join(img, pad([]byte("sig"), 4096))
	}
	return img
}

type fragment struct {
	kind uint32
	name string
	data []byte
}

// makeVendor makes a vendor_boot image of version 4.
func makeVendor(page int, bootconfig string, fragments ...fragment) []byte {
	var all, table []byte
	for _, f := range fragments {
		table = join(table, le(uint32(len(f.data)), uint32(len(all)), f.kind), fixed(f.name, 32), make([]byte, 64))
		all = append(all, f.data...)
	}
	h := join([]byte("VNDRBOOT"), le(4, uint32(page), 1, 2, uint32(len(all))), fixed("vendor=1", 2048), le(0), fixed("board", 16),
		le(2128, 4, 5, 0, uint32(len(table)), uint32(len(fragments)), 108, uint32(len(bootconfig))))
	return join(pad(h, page), pad(all, page), pad([]byte("dtb!"), page), pad(table, page), pad([]byte(bootconfig), page))
}

type entry struct {
	name       string
	mode       uint32
	data       string
	uid, gid   uint32
	ino, nlink uint32
	rmaj, rmin uint32
}

func cpio(entries ...entry) []byte {
	var b []byte
	for i, e := range append(entries, entry{name: "TRAILER!!!"}) {
		if e.ino == 0 {
			e.ino = 300000 + uint32(i)
		}
		b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08X%08x%08x%08x%08x%08x%08x%08x%s\x00",
			e.ino, e.mode, e.uid, e.gid, max(e.nlink, 1), 1700000000, len(e.data), 0, 0, e.rmaj, e.rmin, len(e.name)+1, 0, e.name)
		b = append(pad(b, 4), e.data...)
		b = pad(b, 4)
	}
	return b
}

// run pipes b through a program; a test that cannot do without it skips.
func run(t testing.TB, b []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// avbKey encodes a public key as AVB does.
func avbKey(k *rsa.PublicKey) []byte {
	bits := k.N.BitLen()
	word := new(big.Int).Lsh(big.NewInt(1), 32)
	n0 := new(big.Int).ModInverse(k.N, word)
	rr := new(big.Int).Lsh(big.NewInt(1), uint(2*bits))
	rr.Mod(rr, k.N)
	b := join(be(uint32(bits), uint32(new(big.Int).Sub(word, n0).Uint64())), k.N.FillBytes(make([]byte, bits/8)))
	return append(b, rr.FillBytes(make([]byte, bits/8))...)
}

func descriptor(tag uint64, parts ...[]byte) []byte {
	b := pad(join(parts...), 8)
	return join(be64(tag, uint64(len(b))), b)
}

func property(k, v string) []byte {
	return descriptor(0, be64(uint64(len(k)), uint64(len(v))), []byte(k), []byte{0}, []byte(v), []byte{0})
}

func hashDescriptor(name, alg string, size int, salt, sum []byte, flags uint32) []byte {
	return descriptor(2, be64(uint64(size)), fixed(alg, 32), be(uint32(len(name)), uint32(len(salt)), uint32(len(sum)), flags), make([]byte, 60), []byte(name), salt, sum)
}

func treeDescriptor(name, alg string, size, tree int, salt, root []byte) []byte {
	return descriptor(1, be(1), be64(uint64(size), uint64(size), uint64(tree)), be(4096, 4096, 0), be64(0, 0), fixed(alg, 32),
		be(uint32(len(name)), uint32(len(salt)), uint32(len(root)), 2), make([]byte, 60), []byte(name), salt, root)
}

func chainDescriptor(name string, location uint32, key []byte) []byte {
	return descriptor(4, be(location, uint32(len(name)), uint32(len(key)), 1), make([]byte, 60), []byte(name), key)
}

func cmdlineDescriptor(flags uint32, s string) []byte {
	return descriptor(3, be(flags, uint32(len(s))), []byte(s))
}

// makeVBMeta makes a vbmeta structure signed with testKey, or not signed for algorithm 0.
func makeVBMeta(alg Algorithm, flags uint32, rollback uint64, descriptors ...[]byte) []byte {
	desc := join(descriptors...)
	var key []byte
	hashSize, sigSize := 0, 0
	if alg != 0 {
		key = avbKey(&testKey().PublicKey)
		hashSize, sigSize = algorithms[alg].hash.Size(), 256
	}
	aux := pad(join(desc, key), 64)
	auth := (hashSize + sigSize + 63) &^ 63
	h := join([]byte("AVB0"), be(1, 2), be64(uint64(auth), uint64(len(aux))), be(uint32(alg)),
		be64(0, uint64(hashSize), uint64(hashSize), uint64(sigSize), uint64(len(desc)), uint64(len(key)), uint64(len(desc)+len(key)), 0, 0, uint64(len(desc)), rollback),
		be(flags, 3), fixed("avbtool 1.3.0", 48), make([]byte, 80))
	if alg == 0 {
		return join(h, aux)
	}
	d := algorithms[alg].hash.New()
	d.Write(h)
	d.Write(aux)
	sum := d.Sum(nil)
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.Hash(algorithms[alg].hash), sum)
	if err != nil {
		panic(err)
	}
	return join(h, pad(join(sum, sig), 64), aux)
}
