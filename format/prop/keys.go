package prop

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"gifthorse/internal/cursor"
)

// An ADBKey is a line of an adb_keys file: a computer that may use adb without asking the owner.
type ADBKey struct {
	Comment     string // usually "user@host"
	Line        int
	ModulusBits int    // 0 if the key could not be read
	Fingerprint string // MD5 as the phone shows it: "AB:CD:..."; "" if the key is not base64
	// SPKISHA256 is the hash of the key as a subject's public key info, the same for a key in whatever file.
	SPKISHA256 [32]byte
	Problem    string // why adbd does not take the key, or ""
}

// adbKeySize is sizeof(RSAPublicKey) of system/core/libcrypto_utils/android_pubkey.cpp: length in words, n0inv,
// 2048 bits of modulus, as much of a Montgomery constant, exponent; adb knows no other length of key.
const adbKeySize = 4 + 4 + 256 + 256 + 4

// ParseADBKeys reads an adb_keys file, as the ramdisk's /adb_keys or /data/misc/adb/adb_keys (adbd, daemon/auth.cpp;
// the fingerprint is AdbDebuggingManager's).
func ParseADBKeys(b []byte) []ADBKey {
	var keys []ADBKey
	line := 0
	for l := range strings.SplitSeq(string(b), "\n") {
		line++
		l = trimSpace(l)
		if l == "" || l[0] == '#' { // no comments are defined; '#' is not base64
			continue
		}
		text, comment := l, ""
		if i := strings.IndexAny(l, " \t"); i >= 0 {
			text, comment = l[:i], trimSpace(l[i:])
		}
		k := ADBKey{Comment: comment, Line: line}
		k.read(text)
		keys = append(keys, k)
	}
	return keys
}

func (k *ADBKey) read(text string) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		k.Problem = "not base64"
		return
	}
	sum := md5.Sum(raw)
	k.Fingerprint = strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
	if len(raw) < adbKeySize {
		k.Problem = fmt.Sprintf("%d bytes, a key has %d", len(raw), adbKeySize)
		return
	}
	if words := binary.LittleEndian.Uint32(raw); words != 64 {
		k.Problem = fmt.Sprintf("modulus of %d words, adb takes 64", words)
		return
	}
	modulus := slices.Clone(raw[8 : 8+256])
	slices.Reverse(modulus)
	n := new(big.Int).SetBytes(modulus)
	e := binary.LittleEndian.Uint32(raw[adbKeySize-4:])
	k.ModulusBits = n.BitLen()
	k.SPKISHA256 = sha256.Sum256(rsaSPKI(n, int64(e)))
}

// A RecoveryKey is a public key with whose private half an update must be signed for recovery to install it.
type RecoveryKey struct {
	Version    int    // 1 to 5
	Alg        string // "RSA" or "EC"
	Bits       int
	Exponent   int    // RSA
	Hash       string // of signatures: "SHA-1" or "SHA-256"
	SPKISHA256 [32]byte
	Line       int
}

// ParseRecoveryKeys reads recovery's /res/keys, the text that dumpkey makes of certificates (bootable/recovery
// verifier.cpp load_keys, up to Android 9; later recovery has certificates in an otacerts.zip). Recovery takes all
// keys of a file or, if it cannot read one, none; the keys before an error are returned with it.
//
// A key is "{words,0xn0inv,{modulus},{rr}}", words of 32 bits, or "v2", "v3", "v4" and the same, or
// "v5 {bytes,{x},{y}}"; the lowest word or byte is first, a word may be written as a negative number, and a comma
// stands between keys.
func ParseRecoveryKeys(b []byte) ([]RecoveryKey, error) {
	r := keyReader{s: string(b)}
	var keys []RecoveryKey
	line, counted := 1, 0
	for {
		r.space()
		line += strings.Count(r.s[counted:r.pos], "\n")
		counted = r.pos
		k := RecoveryKey{Version: 1, Line: line}
		if r.accept('v') {
			k.Version = int(r.number(10))
		}
		var spki []byte
		switch k.Version {
		case 1, 2, 3, 4:
			k.Alg, k.Exponent, k.Hash = "RSA", 3, "SHA-1"
			if k.Version%2 == 0 {
				k.Exponent = 65537
			}
			if k.Version >= 3 {
				k.Hash = "SHA-256"
			}
			spki = r.rsa(&k)
		case 5:
			k.Alg, k.Hash = "EC", "SHA-256"
			spki = r.ec(&k)
		default:
			r.fail("key version %d is not known", k.Version)
		}
		if r.err != nil {
			return keys, r.err
		}
		k.SPKISHA256 = sha256.Sum256(spki)
		keys = append(keys, k)
		if !r.accept(',') {
			break
		}
	}
	if r.space(); r.pos < len(r.s) {
		return keys, cursor.Errorf(int64(r.pos), "no comma between keys")
	}
	return keys, nil
}

// keyReader reads recovery's keys. It remembers its first error.
type keyReader struct {
	s   string
	pos int
	err error
}

func (r *keyReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = cursor.Errorf(int64(r.pos), format, args...)
	}
}

func (r *keyReader) space() {
	for r.pos < len(r.s) && isSpace(r.s[r.pos]) {
		r.pos++
	}
}

func (r *keyReader) accept(c byte) bool {
	r.space()
	if r.pos < len(r.s) && r.s[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *keyReader) expect(c byte) {
	if !r.accept(c) {
		r.fail("%q wanted", c)
	}
}

// number reads a number of at most 32 bits, as scanf's %u does; one that begins with 0x is hexadecimal whatever the
// base.
func (r *keyReader) number(base uint64) uint32 {
	negative := r.accept('-')
	if rest := r.s[r.pos:]; len(rest) > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X') {
		base = 16
		r.pos += 2
	}
	start := r.pos
	var v uint64
	for r.pos < len(r.s) {
		d := strings.IndexByte("0123456789abcdef", r.s[r.pos]|0x20)
		if r.s[r.pos] < '0' || d < 0 || uint64(d) >= base {
			break
		}
		if v = v*base + uint64(d); v > 1<<32-1 {
			r.fail("number of more than 32 bits")
			return 0
		}
		r.pos++
	}
	if r.pos == start {
		r.fail("number wanted")
	}
	if negative {
		return -uint32(v)
	}
	return uint32(v)
}

// list reads "{a,b,...}" of n numbers.
func (r *keyReader) list(n int) []uint32 {
	r.expect('{')
	var out []uint32
	for i := 0; i < n && r.err == nil; i++ {
		if i > 0 {
			r.expect(',')
		}
		out = append(out, r.number(10))
	}
	r.expect('}')
	return out
}

func (r *keyReader) rsa(k *RecoveryKey) []byte {
	const maxWords = 8192 / 32 // verifier.cpp takes no longer modulus
	r.expect('{')
	words := r.number(10)
	if words == 0 || words > maxWords {
		r.fail("modulus of %d words", words)
	}
	r.expect(',')
	r.number(16) // n0inv
	r.expect(',')
	if r.err != nil {
		return nil
	}
	modulus := r.list(int(words))
	r.expect(',')
	r.list(int(words)) // rr
	r.expect('}')
	if r.err != nil {
		return nil
	}
	b := make([]byte, 0, 4*words)
	for _, w := range slices.Backward(modulus) {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	n := new(big.Int).SetBytes(b)
	k.Bits = n.BitLen()
	return rsaSPKI(n, int64(k.Exponent))
}

func (r *keyReader) ec(k *RecoveryKey) []byte {
	r.expect('{')
	if size := r.number(10); size != 32 {
		r.fail("curve of %d bytes, only P-256 is known", size)
	}
	point := []byte{4} // uncompressed
	for range 2 {
		r.expect(',')
		if r.err != nil {
			return nil
		}
		for _, v := range slices.Backward(r.list(32)) {
			if v > 255 {
				r.fail("byte of %d", v)
			}
			point = append(point, byte(v))
		}
	}
	r.expect('}')
	k.Bits = 256
	return spki(oidEC, oidP256, point)
}

var (
	oidRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
)

// spki encodes a public key as certificates do. It is written out here because x509 refuses keys that are weak or
// not on their curve, whose hashes are wanted as well.
func spki(alg asn1.ObjectIdentifier, params any, key []byte) []byte {
	type algorithm struct {
		Alg    asn1.ObjectIdentifier
		Params any
	}
	der, err := asn1.Marshal(struct {
		Alg algorithm
		Key asn1.BitString
	}{algorithm{alg, params}, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
	if err != nil {
		panic("prop: encoding a public key: " + err.Error()) // no value of these types can fail
	}
	return der
}

func rsaSPKI(n *big.Int, e int64) []byte {
	key, err := asn1.Marshal(struct {
		N *big.Int
		E *big.Int
	}{n, big.NewInt(e)})
	if err != nil {
		panic("prop: encoding an RSA key: " + err.Error()) // two integers cannot fail
	}
	return spki(oidRSA, asn1.NullRawValue, key)
}
