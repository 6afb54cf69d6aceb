package apk

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"gifthorse/internal/cursor"
)

// The APK Signing Block stands right before the central directory: its length, pairs of length, id and
// value, its length again, and a magic. (source.android.com/docs/security/features/apksigning/v2;
// android.util.apk.ApkSigningBlockUtils)

const (
	signingMagic = "APK Sig Block 42"

	idV2     = 0x7109871a
	idV3     = 0xf05368c0
	idV31    = 0x1b93ad61
	idStamp1 = 0x2b09189e
	idStamp2 = 0x6dff800d

	// Attributes of a signer.
	attrStripping   = 0xbeeff00d // v2: a newer scheme that must be there too
	attrRotation    = 0x3ba06f8c // v3: the rotation history
	attrRotationMin = 0x559f8b02 // v3: the first API level that a v3.1 block is for
	attrDevRelease  = 0xc2a6b3ba // v3.1: for the release after the API level it names

	// The blocks of real apps have some kilobytes, those with a store's notes in them some hundred. A phone
	// reads the whole block into the memory of one process, of which this is a good part.
	maxSigningBlock = 64 << 20

	// MAX_APK_SIGNERS of apksig.
	maxSigners = 10
	// A v3 signer is for a range of API levels of its own, and there are some forty levels.
	maxV3Signers = 64
	// There are ten signature algorithms.
	maxAlgorithms = 64
	// Each entry of a history costs a verification. A key changed every month would take twenty years.
	maxLineage = 256
)

// A signingBlock is the APK Signing Block of a file.
type signingBlock struct {
	b    []byte // all of it
	off  int64  // where it lies in the file
	file *coveredFile
}

// findSigningBlock returns nil and the reason if phones find no signing block. Whatever they find wrong with
// its frame makes them look for an older scheme, not refuse the file.
func findSigningBlock(r io.ReaderAt, size int64, eocd int64) (*signingBlock, string, error) {
	le := binary.LittleEndian
	var end [sizeEOCD]byte
	if err := readAt(r, end[:], eocd); err != nil {
		return nil, "", err
	}
	dirSize, dir := int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case eocd+sizeEOCD+int64(le.Uint16(end[20:])) != size:
		return nil, "the zip's comment does not end with the file", nil
	case dir+dirSize != eocd:
		return nil, fmt.Sprintf("the central directory (%d bytes at %#x) is not right before its end record at %#x", dirSize, dir, eocd), nil
	case dir < 32:
		return nil, "", nil
	}
	if eocd >= sizeLocator64 {
		var loc [4]byte
		if err := readAt(r, loc[:], eocd-sizeLocator64); err != nil {
			return nil, "", err
		}
		if le.Uint32(loc[:]) == sigLocator64 {
			return nil, "", nil // "ZIP64 APK not supported", says ApkSigningBlockUtils
		}
	}
	var footer [24]byte
	if err := readAt(r, footer[:], dir-24); err != nil {
		return nil, "", err
	}
	if string(footer[8:]) != signingMagic {
		return nil, "", nil
	}
	n := le.Uint64(footer[:])
	if n < 24 || n > uint64(dir)-8 {
		return nil, fmt.Sprintf("the signing block before %#x claims %d bytes", dir, n), nil
	}
	if n > maxSigningBlock {
		return nil, fmt.Sprintf("the signing block before %#x has %d bytes, more than the %d read here", dir, n, maxSigningBlock), nil
	}
	s := &signingBlock{b: make([]byte, n+8), off: dir - int64(n) - 8}
	if err := readAt(r, s.b, s.off); err != nil {
		return nil, "", err
	}
	if head := le.Uint64(s.b); head != n {
		return nil, fmt.Sprintf("the signing block at %#x has two lengths, %d and %d", s.off, head, n), nil
	}
	var err error
	s.file, err = newCoveredFile(r, s.off, dir, eocd, size)
	return s, "", err
}

// find returns the value of the first pair with that id, as a cursor whose offsets count from the start of
// the block. A damaged pair before it hides it, as on phones.
func (s *signingBlock) find(id uint32) (cursor.Cursor, bool) {
	c := cursor.At(s.b[:len(s.b)-24], 8)
	for c.Len() > 0 {
		n := c.U64()
		if n < 4 || n > uint64(c.Len()) {
			break
		}
		end := c.Off() + int64(n)
		if c.U32() == id {
			return cursor.At(s.b[:end], c.Off()), true
		}
		c.Move(end)
	}
	return cursor.Cursor{}, false
}

// part returns the length-prefixed value at c as bytes and as a cursor with c's count of offsets.
func (s *signingBlock) part(c *cursor.Cursor) ([]byte, cursor.Cursor) {
	n := c.U32()
	start := c.Off()
	v := c.Bytes(int64(n))
	if c.Err() != nil {
		return nil, cursor.Cursor{}
	}
	return v, cursor.At(s.b[:start+int64(n)], start)
}

// A blockAlgorithm is a signature algorithm of the whole-file schemes.
type blockAlgorithm struct {
	id     uint32
	key    keyType
	hash   crypto.Hash
	digest digestKind
	minSDK int // first API level that knows it
}

// (SignatureAlgorithm in apksig, ApkSigningBlockUtils in the framework)
var blockAlgorithms = []blockAlgorithm{
	{0x0101, keyRSAPSS, crypto.SHA256, chunkedSHA256, 24},
	{0x0102, keyRSAPSS, crypto.SHA512, chunkedSHA512, 24},
	{0x0103, keyRSA, crypto.SHA256, chunkedSHA256, 24},
	{0x0104, keyRSA, crypto.SHA512, chunkedSHA512, 24},
	{0x0201, keyECDSA, crypto.SHA256, chunkedSHA256, 24},
	{0x0202, keyECDSA, crypto.SHA512, chunkedSHA512, 24},
	{0x0301, keyDSA, crypto.SHA256, chunkedSHA256, 24},
	{0x0411, keyRSA, crypto.SHA256, veritySHA256, 28},
	{0x0413, keyECDSA, crypto.SHA256, veritySHA256, 28},
	{0x0415, keyDSA, crypto.SHA256, veritySHA256, 28},
}

func blockAlgorithmByID(id uint32) *blockAlgorithm {
	for i := range blockAlgorithms {
		if blockAlgorithms[i].id == id {
			return &blockAlgorithms[i]
		}
	}
	return nil
}

// A blockSigner is one signer of a v2, v3 or v3.1 block.
type blockSigner struct {
	certs          []*certificate
	minSDK, maxSDK int
	digests        []blockValue
	verified       [digestKinds]bool // the kinds of digest that the verified signatures vouch for
	lineage        []Signer
	rotationMin    int // 0 if the attribute is not there
	devRelease     bool
	expectsV3      bool // v2: says the file is signed with v3 too

	problems []string // why phones refuse the signer before they look at the rest of the file
	mismatch []string // digests of the file that are not those signed
}

// first returns the first API level of released phones that the signer is for. A signer for a platform under
// development names the level of the release before it.
func (s *blockSigner) first() int {
	if s.devRelease {
		return s.minSDK + 1
	}
	return s.minSDK
}

func (s *blockSigner) covers(sdk int) bool { return s.first() <= sdk && sdk <= s.maxSDK }

// A blockValue is a signature or digest with the algorithm it is for.
type blockValue struct {
	id    uint32
	value []byte
}

// A blockScheme is the v2, v3 or v3.1 block of a file.
type blockScheme struct {
	signers  []*blockSigner
	problems []string
}

// first returns the first API level of released phones that a signer is for.
func (b *blockScheme) first() int {
	first := math.MaxInt
	for _, s := range b.signers {
		first = min(first, s.first())
	}
	return first
}

func (b *blockScheme) ok() bool {
	if len(b.problems) > 0 {
		return false
	}
	for _, s := range b.signers {
		if len(s.problems) > 0 || len(s.mismatch) > 0 {
			return false
		}
	}
	return true
}

// readScheme reads the block with that id and verifies the signatures in it for phones from minSDK to maxSDK.
// It returns nil if there is no such block.
func (s *signingBlock) readScheme(id uint32, minSDK, maxSDK int) *blockScheme {
	c, ok := s.find(id)
	if !ok {
		return nil
	}
	b := &blockScheme{}
	_, list := s.part(&c)
	if c.Err() != nil {
		b.problems = append(b.problems, s.where(c.Err(), "list of signers"))
		return b
	}
	limit := maxV3Signers
	if id == idV2 {
		limit = maxSigners
	}
	for list.Len() > 0 {
		if len(b.signers) == limit {
			b.problems = append(b.problems, fmt.Sprintf("more than %d signers", limit))
			return b
		}
		at := s.off + list.Off()
		_, body := s.part(&list)
		signer := &blockSigner{}
		if id != idV2 {
			signer.maxSDK = math.MaxInt32 // until it says what phones it is for, it spoils the file for all
		}
		b.signers = append(b.signers, signer)
		err := list.Err()
		if err == nil {
			err = s.readSigner(&body, signer, id, minSDK, maxSDK)
		}
		if err != nil {
			signer.problems = append(signer.problems, s.where(err, fmt.Sprintf("signer %d at %#x", len(b.signers), at)))
			if list.Err() != nil {
				return b
			}
		}
	}
	if len(b.signers) == 0 {
		b.problems = append(b.problems, "no signers")
	}
	return b
}

// where puts an error of a cursor in words, with its offset in the file.
func (s *signingBlock) where(err error, what string) string {
	if e, ok := err.(*cursor.FormatError); ok {
		return fmt.Sprintf("%s: %s at %#x", what, e.Msg, s.off+e.Off)
	}
	return what + ": " + err.Error()
}

// readSigner reads one signer and verifies its signature over the data it signs. The order of the checks is
// that of parseSigner in apksig's V2SchemeVerifier and V3SchemeVerifier: nothing is read from the signed
// data before its signature has verified.
func (s *signingBlock) readSigner(c *cursor.Cursor, out *blockSigner, id uint32, minSDK, maxSDK int) error {
	signed, data := s.part(c)
	if id != idV2 {
		// A v3 signer says itself what phones it is for. Java reads the levels as signed numbers.
		minSDK, maxSDK = int(int32(c.U32())), int(int32(c.U32()))
		if err := c.Err(); err != nil {
			return err
		}
		out.minSDK, out.maxSDK = minSDK, maxSDK
	}
	_, list := s.part(c)
	key, _ := s.part(c)
	if err := c.Err(); err != nil {
		return err
	}
	if id != idV2 && (out.minSDK < 0 || out.minSDK > out.maxSDK) {
		return fmt.Errorf("for API levels %d to %d", out.minSDK, out.maxSDK)
	}
	sigs, err := s.values(&list)
	if err != nil {
		return err
	}
	if len(sigs) == 0 {
		return fmt.Errorf("no signatures")
	}
	picked, err := pickSignatures(sigs, minSDK, maxSDK)
	if err != nil {
		return err
	}
	pub, err := parsePublicKey(key)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	for _, p := range picked {
		a := blockAlgorithmByID(p.id)
		if err := pub.verify(a.key, a.hash, signed, p.value); err != nil {
			return fmt.Errorf("signature %#04x: %w", p.id, err)
		}
		out.verified[a.digest] = true
	}

	_, digests := s.part(&data)
	_, certs := s.part(&data)
	if id != idV2 {
		lo, hi := int(int32(data.U32())), int(int32(data.U32()))
		if data.Err() == nil && (lo != out.minSDK || hi != out.maxSDK) {
			return fmt.Errorf("for API levels %d to %d, but %d to %d were signed", out.minSDK, out.maxSDK, lo, hi)
		}
	}
	_, attrs := s.part(&data)
	if err := data.Err(); err != nil {
		return err
	}
	for certs.Len() > 0 {
		at := certs.Off()
		der, _ := s.part(&certs)
		if err := certs.Err(); err != nil {
			return err
		}
		cert, err := parseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate at %#x: %w", s.off+at, err)
		}
		out.certs = append(out.certs, cert)
	}
	if len(out.certs) == 0 {
		return fmt.Errorf("no certificates")
	}
	if !out.certs[0].key.same(key) {
		return fmt.Errorf("the public key is not that of the certificate")
	}
	if out.digests, err = s.values(&digests); err != nil {
		return err
	}
	if !slices.EqualFunc(sigs, out.digests, func(a, b blockValue) bool { return a.id == b.id }) {
		return fmt.Errorf("signatures and digests are not for the same algorithms")
	}
	return s.readAttributes(&attrs, out, id)
}

// values reads a list of signatures or digests.
func (s *signingBlock) values(list *cursor.Cursor) ([]blockValue, error) {
	var all []blockValue
	for list.Len() > 0 && list.Err() == nil {
		if len(all) == maxAlgorithms {
			return nil, cursor.Errorf(list.Off(), "more than %d signatures or digests", maxAlgorithms)
		}
		_, rec := s.part(list)
		if list.Err() != nil {
			break
		}
		id := rec.U32()
		v, _ := s.part(&rec)
		if err := rec.Err(); err != nil {
			return nil, err
		}
		all = append(all, blockValue{id, v})
	}
	return all, list.Err()
}

// pickSignatures returns the signatures that phones of these levels verify: on each level the best of those
// it knows (ApkSigningBlockUtilsLite.getSignaturesToVerify).
func pickSignatures(sigs []blockValue, minSDK, maxSDK int) ([]blockValue, error) {
	best := map[int]blockValue{}
	first := math.MaxInt
	for _, s := range sigs {
		a := blockAlgorithmByID(s.id)
		if a == nil || a.minSDK > maxSDK {
			continue
		}
		first = min(first, a.minSDK)
		if old, ok := best[a.minSDK]; !ok || a.digest > blockAlgorithmByID(old.id).digest {
			best[a.minSDK] = s
		}
	}
	if first > minSDK {
		return nil, fmt.Errorf("no signature that a phone of API level %d knows (%#04x)", minSDK, algorithmIDs(sigs))
	}
	var all []blockValue
	for _, s := range best {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b blockValue) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

func algorithmIDs(sigs []blockValue) []uint32 {
	var ids []uint32
	for _, s := range sigs[:min(len(sigs), 8)] {
		ids = append(ids, s.id)
	}
	return ids
}

func (s *signingBlock) readAttributes(attrs *cursor.Cursor, out *blockSigner, id uint32) error {
	for attrs.Len() > 0 {
		_, a := s.part(attrs)
		if err := attrs.Err(); err != nil {
			return err
		}
		key := a.U32()
		switch {
		case id == idV2 && key == attrStripping:
			out.expectsV3 = a.U32() == 3 || out.expectsV3
		case id != idV2 && key == attrRotation:
			if out.lineage != nil {
				return fmt.Errorf("two rotation histories")
			}
			var err error
			if out.lineage, err = s.readLineage(&a); err != nil {
				return fmt.Errorf("rotation history: %w", err)
			}
			if n := len(out.lineage); n > 0 && !bytes.Equal(out.lineage[n-1].Certificate, out.certs[0].raw) {
				return fmt.Errorf("the rotation history does not end with the signer's certificate")
			}
		case id == idV3 && key == attrRotationMin:
			out.rotationMin = int(int32(a.U32()))
		case id == idV31 && key == attrDevRelease:
			out.devRelease = true
		}
		if err := a.Err(); err != nil {
			return err
		}
	}
	return attrs.Err()
}

// readLineage reads a rotation history and verifies that each certificate was signed by the one before it
// (V3SigningCertificateLineage in apksig, verifyProofOfRotationStruct in the framework).
func (s *signingBlock) readLineage(c *cursor.Cursor) ([]Signer, error) {
	if v := c.U32(); c.Err() == nil && v != 1 {
		return nil, fmt.Errorf("version %d", v)
	}
	var (
		all    []Signer
		last   *certificate
		lastID uint32
	)
	for c.Len() > 0 && c.Err() == nil {
		if len(all) == maxLineage {
			return nil, fmt.Errorf("more than %d certificates", maxLineage)
		}
		_, node := s.part(c)
		if c.Err() != nil {
			break
		}
		signed, data := s.part(&node)
		flags, id := node.U32(), node.U32()
		sig, _ := s.part(&node)
		der, _ := s.part(&data)
		by := data.U32()
		if err := cmp.Or(node.Err(), data.Err()); err != nil {
			return nil, err
		}
		if last != nil {
			a := blockAlgorithmByID(lastID)
			if a == nil || by != lastID {
				return nil, fmt.Errorf("certificate %d: signed with algorithm %#x, announced as %#x", len(all)+1, by, lastID)
			}
			if last.keyErr != nil {
				return nil, fmt.Errorf("certificate %d: %w", len(all), last.keyErr)
			}
			if err := last.key.verify(a.key, a.hash, signed, sig); err != nil {
				return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
			}
		}
		cert, err := parseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		signer := cert.signer()
		signer.Capabilities = Capability(flags)
		for i := range all {
			if all[i].SHA256 == signer.SHA256 {
				return nil, fmt.Errorf("certificate %d is there twice", i+1)
			}
		}
		all = append(all, signer)
		last, lastID = cert, id
	}
	return all, c.Err()
}

// digestsWanted adds the kinds of digest that the scheme's signatures vouch for.
func (b *blockScheme) digestsWanted(want *[digestKinds]bool) {
	for _, s := range b.signers {
		for k, v := range s.verified {
			want[k] = want[k] || v
		}
	}
}

// compare notes where the digests of the file are not those that were signed.
func (b *blockScheme) compare(block *signingBlock, got [digestKinds][]byte) {
	var want [digestKinds]bool
	b.digestsWanted(&want)
	for i, s := range b.signers {
		for _, d := range s.digests {
			a := blockAlgorithmByID(d.id)
			if a == nil || !want[a.digest] {
				continue
			}
			if a.digest == veritySHA256 && (block.off%verityPage != 0 || len(block.b)%verityPage != 0) {
				s.mismatch = append(s.mismatch, fmt.Sprintf("signer %d: the signing block (%d bytes at %#x) is not made of whole pages", i+1, len(block.b), block.off))
			}
			if !bytes.Equal(d.value, got[a.digest]) {
				s.mismatch = append(s.mismatch, fmt.Sprintf("signer %d: the file's %v digest is %x, signed was %x", i+1, a.digest, got[a.digest], d.value))
			}
		}
	}
}

// checkRanges checks that the v3 signers are for adjoining ranges of API levels that reach from minSDK to
// maxSDK, and that the newer ones have the longer histories. It returns the longest history.
func (b *blockScheme) checkRanges(minSDK, maxSDK int) []Signer {
	sorted := slices.Clone(b.signers)
	slices.SortStableFunc(sorted, func(x, y *blockSigner) int { return cmp.Compare(x.maxSDK, y.maxSDK) })
	var longest []Signer
	for i, s := range sorted {
		if i > 0 {
			if prev := sorted[i-1]; s.minSDK != prev.maxSDK+1 && !(s.minSDK == prev.maxSDK && s.devRelease) {
				b.problems = append(b.problems, fmt.Sprintf("signers for API levels %d to %d and %d to %d do not adjoin", prev.minSDK, prev.maxSDK, s.minSDK, s.maxSDK))
				return longest
			}
		}
		if s.lineage == nil {
			continue
		}
		for j := range longest {
			if j >= len(s.lineage) || s.lineage[j].SHA256 != longest[j].SHA256 {
				b.problems = append(b.problems, "the signers have different rotation histories")
				return longest
			}
		}
		longest = s.lineage
	}
	if len(sorted) > 0 && (sorted[0].first() > minSDK || sorted[len(sorted)-1].maxSDK < maxSDK) {
		b.problems = append(b.problems, fmt.Sprintf("no signer for some of the API levels %d to %d", minSDK, maxSDK))
	}
	return longest
}

// readStamp reads the certificate of a source stamp, the mark of the store an app came from. pin is the
// content of the zip entry stamp-cert-sha256.
func (s *signingBlock) readStamp(pin []byte) *Stamp {
	for _, k := range []struct {
		id      uint32
		version int
	}{{idStamp2, 2}, {idStamp1, 1}} {
		c, ok := s.find(k.id)
		if !ok {
			continue
		}
		_, body := s.part(&c)
		der, _ := s.part(&body)
		if cmp.Or(c.Err(), body.Err()) != nil {
			return nil
		}
		cert, err := parseCertificate(der)
		if err != nil {
			return nil
		}
		sum := sha256.Sum256(der)
		return &Stamp{Version: k.version, Signer: cert.signer(), Pinned: bytes.Equal(sum[:], pin)}
	}
	return nil
}
