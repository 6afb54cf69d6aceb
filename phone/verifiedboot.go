package phone

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/boot"
	"gifthorse/format/super"
	"gifthorse/knowledge"
)

// A VerifiedBoot is what the images say of how the bootloader checks the phone's software (Android Verified Boot 2.0, since
// Android 8), and what fstab says of how the system does. Of two slots it is the first, _a, if that is there.
type VerifiedBoot struct {
	// Chain holds the vbmeta structures: the top one, then those that it hands partitions over to, in its order. It is empty if
	// the top one is not in the evidence.
	Chain []VBMeta
	// Partitions are those that the chain has digests of, in its order.
	Partitions []VerifiedPartition
	// Complete says that all vbmeta structures which the chain names are here.
	Complete bool
	// Digest is the SHA-256 over the whole chain in hex, as the bootloader hands it to the kernel (androidboot.vbmeta.digest) and
	// to key attestation; "" if a part is missing. A bootloader may use another hash.
	Digest string
	// Images are those of partitions, by partition, then address, whether the chain has a digest of them or not.
	Images []PartitionImage
	Mounts []Mount // what fstab mounts, in order of files and lines
}

// A VBMeta is one signed list of digests.
type VBMeta struct {
	Partition string // that it lies in: "vbmeta", "vbmeta_system", "boot"
	At        evidence.Ref
	// KeySHA256 is of the public key inside, as attestation states it; "" if it is not signed. KeySHA1 is what avbtool prints.
	KeySHA256, KeySHA1 string
	// PublicKey names the key if its private half is public, else "".
	PublicKey string
	// Signature is "verified" (by the key inside, and by the one that the top structure names for it), "none", "broken", or "unread".
	Signature string
	Problem   string // why it is broken or unread
	// Edited says that the signature fits once the flags are taken out: they were set after it was signed, as fastboot
	// --disable-verity and --disable-verification do on an unlocked phone.
	Edited                                 bool
	HashtreeDisabled, VerificationDisabled bool
	RollbackIndex                          uint64
	RollbackLocation                       uint32
	Release                                string // who made it: "avbtool 1.2.0"
}

// A Match says how a partition's image compares with the digest in the chain.
type Match string

// The matches.
const (
	Matches  Match = "matches"
	Differs  Match = "differs"
	NotGiven Match = "not given" // the image is not in the evidence
	NotRead  Match = "not read"
)

// A VerifiedPartition is one partition that the chain has a digest of.
type VerifiedPartition struct {
	Name     string
	By       int  // which of Chain
	Hashtree bool // checked while it is read, and not as a whole before it is started
	Match    Match
	Why      string // what differs, or why it was not read
	Image    evidence.Ref
}

// A PartitionImage is the image of a partition.
type PartitionImage struct {
	Partition string
	At        evidence.Ref
	Beside    bool // it lies where the top vbmeta does, or in an image that does: it belongs to the same build
	file      *evidence.File
	slot      string // "a", "b", or ""
}

// A Mount is a line of fstab that mounts a partition while the phone starts as usual.
type Mount struct {
	Point    string // "/vendor"
	Verified bool   // the flags avb or verify are there
	At       evidence.Ref
}

// Whole reports whether the chain is that of a phone. That of a generic system image speaks of the system alone, and no kernel is there.
func (v *VerifiedBoot) Whole() bool {
	starts := func(name string) bool { return name == "boot" || name == "init_boot" || name == "recovery" }
	return len(v.Chain) > 0 && (slices.ContainsFunc(v.Partitions, func(x VerifiedPartition) bool { return starts(x.Name) }) ||
		slices.ContainsFunc(v.Images, func(x PartitionImage) bool { return starts(x.Partition) }))
}

// LeftOut returns the partitions of programs whose image of this build is here and of which the complete chain has no digest.
func (v *VerifiedBoot) LeftOut() (names []string) {
	for name := range knowledge.VerifiedPartitions() {
		if v.Complete && slices.ContainsFunc(v.Images, func(x PartitionImage) bool { return x.Partition == name && x.Beside }) &&
			!slices.ContainsFunc(v.Partitions, func(x VerifiedPartition) bool { return x.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// Unchecked returns, for each partition of programs that fstab mounts and in no line with a check, the first line.
func (v *VerifiedBoot) Unchecked() (open []Mount) {
	for name := range knowledge.VerifiedPartitions() {
		is := func(m Mount) bool { return m.Point == "/"+name || name == "system" && m.Point == "/" }
		i := slices.IndexFunc(v.Mounts, is)
		if i >= 0 && !slices.ContainsFunc(v.Mounts, func(m Mount) bool { return is(m) && m.Verified }) {
			open = append(open, v.Mounts[i])
		}
	}
	return open
}

// imageEndings are what files of partition images are called by.
var imageEndings = []string{".img", ".raw", ".image", ".bin", ".mbn", ".ext4"}

// maxHashed bounds how many bytes are hashed for all digests together, which lists can name again and again. The partitions of a phone
// that are checked have some 12 GB; a tree takes 1/127 of its partition in memory.
const maxHashed = 32 << 30

// maxImages bounds how many images are considered. A phone has some hundred partitions.
const maxImages = 4096

// readVerifiedBoot finds the images, reads the chain and compares what it has digests of.
func (b *builder) readVerifiedBoot(ctx context.Context) {
	v := &b.phone.VerifiedBoot
	b.mounts()
	if len(b.ev.Roots()) == 0 {
		return // no phone
	}
	b.partitionImages()
	if b.phone.API > 0 && b.phone.API < 26 {
		b.listed(evidence.VerifiedBoot)
		b.failed(evidence.VerifiedBoot, evidence.Gap{At: b.root("/system"), Reason: evidence.Unsupported,
			Detail: "Verified Boot of Android 4.4 to 7 (a signature behind the boot image, metadata behind the system's) is not judged by this version"})
		return
	}
	top := b.image("vbmeta", nil)
	b.listed(evidence.VerifiedBoot)
	if top == nil {
		b.failed(evidence.VerifiedBoot, evidence.Gap{At: b.root("/system"), Reason: evidence.Absent,
			Detail: "the image of the partition vbmeta is not in what was given, so it cannot be told what the bootloader checks"})
		return
	}
	t, err := vbmetaOf(top)
	if err != nil {
		b.failed(evidence.VerifiedBoot, gapOf(top.At, err))
		return
	}
	b.read(evidence.VerifiedBoot)
	all := []*boot.VBMeta{t}
	v.Chain = append(v.Chain, describeVBMeta("vbmeta", top, t, nil))
	v.Complete = true
	for _, c := range t.Chains {
		b.listed(evidence.VerifiedBoot)
		img := b.image(c.Partition, top)
		if img == nil {
			v.Complete = false
			b.failed(evidence.VerifiedBoot, evidence.Gap{At: top.At, Reason: evidence.Absent, Detail: "vbmeta hands " + c.Partition + " over to another key, and the image of that partition is not in what was given"})
			continue
		}
		m, err := vbmetaOf(img)
		if err != nil {
			v.Complete = false
			b.failed(evidence.VerifiedBoot, gapOf(img.At, err))
			continue
		}
		b.read(evidence.VerifiedBoot)
		all = append(all, m)
		v.Chain = append(v.Chain, describeVBMeta(c.Partition, img, m, c.PublicKey))
	}
	if v.Complete {
		v.Digest = hex.EncodeToString(boot.VBMetaDigest(crypto.SHA256, all...))
	}
	type digest struct {
		name   string
		by     int
		tree   bool
		size   uint64
		verify func(io.ReaderAt) error
	}
	var digests []digest
	for by, m := range all {
		for i := range m.Hashes {
			d := &m.Hashes[i]
			digests = append(digests, digest{d.Partition, by, false, d.ImageSize, func(r io.ReaderAt) error { return boot.VerifyHash(d, r) }})
		}
		for i := range m.Hashtrees {
			d := &m.Hashtrees[i]
			digests = append(digests, digest{d.Partition, by, true, d.ImageSize, func(r io.ReaderAt) error { return boot.VerifyHashtree(d, r) }})
		}
	}
	v.Partitions = make([]VerifiedPartition, len(digests))
	var jobs []func()
	left := uint64(maxHashed)
	for i, d := range digests {
		p := &v.Partitions[i]
		p.Name, p.By, p.Hashtree, p.Match = d.name, d.by, d.tree, NotGiven
		if d.size > left {
			p.Match, p.Why = NotRead, "the partitions of the list are larger than what is hashed"
			b.listed(evidence.VerifiedBoot)
			b.failed(evidence.VerifiedBoot, evidence.Gap{At: v.Chain[d.by].At, Reason: evidence.TooLarge,
				Detail: fmt.Sprintf("the partition %s of %d bytes, when at most %d are hashed in all", d.name, d.size, int64(maxHashed))})
			continue
		}
		left -= d.size
		jobs = append(jobs, func() {
			b.guarded(evidence.VerifiedBoot, v.Chain[d.by].At, func() { b.compare(p, b.image(d.name, top), d.verify) })
		})
	}
	for i := range v.Images {
		img := &v.Images[i]
		names := img.At.Names()
		holder := evidence.Ref{}
		for _, n := range names[:len(names)-1] {
			holder = holder.Inner(n)
		}
		img.Beside = beside(img.At, top.At) || len(names) > 1 && beside(holder, top.At)
	}
	b.work(ctx, jobs, nil)
}

// partitionImages lists the files that are called as a partition is.
func (b *builder) partitionImages() {
	v := &b.phone.VerifiedBoot
	add := func(f *evidence.File) {
		names := f.Ref.Names()
		if len(names) == 0 || f.Link != "" || len(v.Images) >= maxImages {
			return
		}
		name, slot := partitionName(names[len(names)-1])
		if name != "" {
			v.Images = append(v.Images, PartitionImage{Partition: name, At: f.Ref, file: f, slot: slot})
		}
	}
	for _, f := range b.ev.Outside() {
		add(f)
	}
	for _, f := range b.ev.Files() { // images that lie beside the files of the root
		if path.Dir(f.Path) == "/" {
			add(f)
		}
	}
	slices.SortStableFunc(v.Images, func(x, y PartitionImage) int {
		return cmp.Or(cmp.Compare(x.Partition, y.Partition), evidence.Compare(x.At, y.At))
	})
}

// partitionName returns the partition and slot that a file is called by, or "" if it is called by none.
func partitionName(file string) (name, slot string) {
	name = strings.ToLower(path.Base(file))
	for _, e := range imageEndings {
		name = strings.TrimSuffix(name, e)
	}
	for _, s := range []string{"a", "b"} {
		if n, ok := strings.CutSuffix(name, "_"+s); ok {
			name, slot = n, s
		}
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return "", ""
	}
	return name, slot
}

// image returns the image of a partition, of slot b only if vbmeta is, and of several the one that lies beside vbmeta, or else
// the first of those that lie least deep.
func (b *builder) image(name string, vbmeta *PartitionImage) *PartitionImage {
	var best *PartitionImage
	rank := func(i *PartitionImage) (n int) {
		n = 16 * len(i.At.Names())
		if n += strings.Count(i.At.String(), "/"); vbmeta != nil && beside(i.At, vbmeta.At) {
			n -= 1 << 20
		}
		if i.slot == "b" {
			n += 1 << 21
		}
		return n
	}
	list := b.phone.VerifiedBoot.Images
	for i := range list {
		m := &list[i]
		if m.Partition != name || vbmeta != nil && m.slot != "" && vbmeta.slot != "" && m.slot != vbmeta.slot {
			continue
		}
		if name == "vbmeta" { // then it must be one
			if head, err := m.head(4); err != nil || string(head) != "AVB0" {
				continue
			}
		}
		if best == nil || rank(m) < rank(best) {
			best = m
		}
	}
	return best
}

// beside reports whether two files lie in the same folder or archive.
func beside(x, y evidence.Ref) bool {
	a, b := x.Names(), y.Names()
	n := len(a) - 1
	return len(a) == len(b) && slices.Equal(a[:n], b[:n]) && path.Dir(a[n]) == path.Dir(b[n])
}

func (i *PartitionImage) head(n int64) ([]byte, error) {
	r, err := i.file.ReaderAt()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, n)
	k, err := r.ReadAt(buf, 0)
	if int64(k) < n {
		return nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return buf, nil
}

// open returns the contents of a partition: of a sparse image what it means.
func (i *PartitionImage) open() (r io.ReaderAt, size int64, err error) {
	if r, err = i.file.ReaderAt(); err != nil {
		return nil, 0, err
	}
	if size = i.file.Size; size < 0 { // of a compressed partition, which is unpacked by now
		data, err := i.file.Data()
		if err != nil {
			return nil, 0, err
		}
		size = int64(len(data))
	}
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err == nil && binary.LittleEndian.Uint32(magic[:]) == 0xed26ff3a { // system/core libsparse, sparse_format.h
		s, err := super.NewSparse(super.Part{Name: i.Partition, R: r, Size: size})
		if err != nil {
			return nil, 0, err
		}
		return s, s.Size(), nil
	}
	return r, size, nil
}

// vbmetaOf reads the structure at the beginning of an image, or the one that its footer leads to.
func vbmetaOf(i *PartitionImage) (*boot.VBMeta, error) {
	r, size, err := i.open()
	if err != nil {
		return nil, err
	}
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err == nil && string(magic[:]) == "AVB0" {
		return boot.NewVBMeta(r, size)
	}
	_, m, err := boot.NewFooter(r, size)
	if err == nil && m == nil {
		err = evidence.Gap{At: i.At, Reason: evidence.Absent, Detail: "the image has no AVB footer at its end, where vbmeta says that its own list of digests is"}
	}
	return m, err
}

// describeVBMeta says what a structure is; want is the key that the top one names for it, nil for the top itself.
func describeVBMeta(partition string, i *PartitionImage, m *boot.VBMeta, want []byte) VBMeta {
	d := VBMeta{Partition: partition, At: i.At, HashtreeDisabled: m.HashtreeDisabled(), VerificationDisabled: m.VerificationDisabled(),
		RollbackIndex: m.RollbackIndex, RollbackLocation: m.RollbackLocation, Release: m.Release, Signature: "verified"}
	if len(m.PublicKey) > 0 {
		sum256, sum1 := boot.KeyFingerprints(m.PublicKey)
		d.KeySHA256, d.KeySHA1 = hex.EncodeToString(sum256[:]), hex.EncodeToString(sum1[:])
		d.PublicKey = knowledge.PublicAVBKey(d.KeySHA256)
	}
	err := m.Verify()
	if err == nil && want != nil && !bytes.Equal(want, m.PublicKey) {
		err = errors.New("it is signed with another key than the top vbmeta names for it")
		d.Signature, d.Problem = "broken", err.Error()
		return d
	}
	switch {
	case err == nil:
	case errors.Is(err, boot.ErrUnsigned):
		d.Signature = "none"
	case errors.Is(err, errors.ErrUnsupported):
		d.Signature, d.Problem = "unread", err.Error()
	default:
		d.Signature, d.Problem = "broken", err.Error()
		if m.Flags != 0 {
			raw := bytes.Clone(m.Bytes())
			binary.BigEndian.PutUint32(raw[120:], 0) // AvbVBMetaImageHeader.flags
			if clean, err := boot.NewVBMeta(bytes.NewReader(raw), int64(len(raw))); err == nil && clean.Verify() == nil {
				d.Edited = true
			}
		}
	}
	return d
}

// compare holds a partition's image against the digest that verify knows.
func (b *builder) compare(p *VerifiedPartition, img *PartitionImage, verify func(io.ReaderAt) error) {
	b.listed(evidence.VerifiedBoot)
	if img == nil {
		b.failed(evidence.VerifiedBoot, evidence.Gap{At: b.phone.VerifiedBoot.Chain[p.By].At, Reason: evidence.Absent,
			Detail: "vbmeta has a digest of the partition " + p.Name + ", whose image is not in what was given"})
		return
	}
	p.Image = img.At
	r, _, err := img.open()
	if err == nil {
		err = verify(r)
	}
	switch {
	case err == nil:
		p.Match = Matches
	case errors.Is(err, boot.ErrMismatch):
		p.Match, p.Why = Differs, err.Error()
	default:
		p.Match, p.Why = NotRead, err.Error()
		b.failed(evidence.VerifiedBoot, gapOf(img.At, fmt.Errorf("it could not be held against its digest: %w", err)))
		return
	}
	b.read(evidence.VerifiedBoot)
}

// mounts reads fstab: the one that init's first stage uses, which lies in a ramdisk, and those on the partitions. Format:
// system/core fs_mgr/fs_mgr_fstab.cpp.
func (b *builder) mounts() {
	var files []*evidence.File
	for _, dir := range []string{"/", "/first_stage_ramdisk", "/boot-ramdisk", "/boot-ramdisk/first_stage_ramdisk", "/vendor-ramdisk", "/vendor-ramdisk/first_stage_ramdisk", "/system/etc", "/vendor/etc", "/odm/etc"} {
		for _, f := range b.ev.Under(dir) {
			if f.Link == "" && strings.HasPrefix(path.Base(f.Path), "fstab.") && path.Dir(f.Path) == path.Clean(dir) {
				files = append(files, f)
			}
		}
	}
	for _, f := range files {
		data, ok := b.text(evidence.VerifiedBoot, f)
		if !ok {
			continue
		}
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			w := strings.Fields(line)
			if len(w) < 5 || strings.HasPrefix(w[0], "#") {
				continue
			}
			flags := strings.Split(w[4], ",")
			if slices.Contains(flags, "recoveryonly") || w[2] == "emmc" || w[2] == "mtd" || w[2] == "swap" {
				continue
			}
			verified := slices.ContainsFunc(flags, func(s string) bool {
				name, _, _ := strings.Cut(s, "=")
				return name == "avb" || name == "avb_keys" || name == "avb_hashtree_digest" || name == "verify" || name == "verifyatboot"
			})
			b.phone.VerifiedBoot.Mounts = append(b.phone.VerifiedBoot.Mounts, Mount{w[1], verified, lineRef(f.Ref, n)})
		}
	}
}
