package ota

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"

	"gifthorse/internal/verity"
)

const bs = 4096

// fullPayload makes a signed payload with every operation that stands alone, and the partition it makes.
func fullPayload(t testing.TB, s *signer) (payload, system []byte) {
	salt := []byte("salt of the tree")
	a, b, c := bytesOf(3*bs, 3), bytesOf(2*bs, 5), bytesOf(4*bs, 7)
	data := make([]byte, 150*bs) // more than 128 blocks: a tree of two levels
	copy(data[0:], a[:bs])
	copy(data[4*bs:], a[bs:])
	copy(data[1*bs:], b)
	copy(data[8*bs:], c[bs:]) // its first block goes to a hole
	short := data[20*bs : 21*bs]
	copy(short, bytesOf(100, 9))
	tree, _, err := verity.Tree(bytes.NewReader(data), int64(len(data)), bs, salt, sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	system = append(bytes.Clone(data), tree...)
	system = append(system, bytesOf(bs, 11)...)
	sum := sha256.Sum256(system)

	var m maker
	blocks := uint64(len(system) / bs)
	ops := [][]byte{
		m.op(ReplaceXZ, packXZ(t, a), extent(6, 0, 1), extent(6, 4, 2)),
		m.op(Replace, b, extent(6, 1, 2)),
		m.op(ReplaceZstd, packZstd(t, c), extent(6, sparse, 1), extent(6, 8, 3)),
		m.op(Zero, nil, extent(6, 3, 1), extent(6, 6, 2), extent(6, 11, 9)),
		m.op(Discard, nil, extent(6, 21, 100)),
		m.op(Zero, nil, extent(6, 121, 29)),
		m.op(Replace, bytesOf(100, 9), extent(6, 20, 1)),
		m.op(Replace, bytesOf(bs, 11), extent(6, blocks-1, 1)),
	}
	parts := [][]byte{str(1, "system"), msg(7, num(1, uint64(len(system))), msg(2, sum[:])), str(17, "1700000000"),
		num(2, 1), str(3, "bin/postinstall"), str(4, "erofs"),
		extent(10, 0, 150), extent(11, 150, uint64(len(tree)/bs)), str(12, "sha256"), msg(13, salt)}
	payload = m.payload(s, num(3, bs), num(12, 0), num(14, 1700000000), str(18, "2023-11-05"),
		msg(13, append(parts, ops...)...),
		msg(15, msg(1, str(1, "main"), num(2, 1<<30), str(3, "system")), num(2, 1)),
		msg(17, str(1, "com.android.foo"), num(2, 7), num(3, 1), num(4, 99)))
	return payload, system
}

func TestPayload(t *testing.T) {
	for _, s := range []signer{rsaSigner(), ecSigner()} {
		b, want := fullPayload(t, &s)
		p, err := NewPayload(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		part := p.Partition("system")
		if part.Delta != nil || part.Version != "1700000000" || !part.RunPostinstall || part.Postinstall != "bin/postinstall" || part.Filesystem != "erofs" {
			t.Errorf("%+v", part)
		}
		if p.MaxTimestamp != 1700000000 || p.SecurityPatch != "2023-11-05" || !p.Snapshots ||
			!reflect.DeepEqual(p.Groups, []Group{{"main", 1 << 30, []string{"system"}}}) ||
			!reflect.DeepEqual(p.Apexes, []Apex{{"com.android.foo", 7, true, 99}}) {
			t.Errorf("%+v", p)
		}
		if err := part.Verify(); err != nil {
			t.Error(err)
		}
		m := part.Open()
		got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size()))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		// Any stretch, from several readers at once.
		var wg sync.WaitGroup
		for seed := range uint64(4) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, 1))
				for range 50 {
					from := rnd.IntN(len(want))
					b := make([]byte, rnd.IntN(len(want)-from)+1)
					if _, err := m.ReadAt(b, int64(from)); err != nil || !bytes.Equal(b, want[from:from+len(b)]) {
						t.Errorf("%d bytes at %d: %v", len(b), from, err)
					}
				}
			})
		}
		wg.Wait()

		other := rsaSigner()
		if s.cert == other.cert {
			other = ecSigner()
		}
		if c, err := p.Verify([]*x509.Certificate{other.cert, s.cert}); err != nil || c != s.cert {
			t.Errorf("signature: %v, %v", c, err)
		}
		if _, err := p.Verify([]*x509.Certificate{other.cert}); !errors.Is(err, ErrMismatch) {
			t.Errorf("another's certificate: %v", err)
		}
		bad := bytes.Clone(b)
		bad[p.BlobOff+5] ^= 1
		p, err = NewPayload(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify([]*x509.Certificate{s.cert}); !errors.Is(err, ErrMismatch) {
			t.Errorf("altered data: %v", err)
		}
		var fe *FormatError
		if err := p.Partition("system").Verify(); !errors.As(err, &fe) || fe.Off != p.BlobOff {
			t.Errorf("altered data: %v", err)
		}
	}
}

func TestBzip2(t *testing.T) {
	want := bytesOf(2*bs, 3)
	data := run(t, want, "bzip2", "-c")
	if data == nil {
		t.Skip("the bzip2 program is not installed")
	}
	var m maker
	b := m.payload(nil, msg(13, str(1, "x"), msg(7, num(1, 2*bs)), m.op(ReplaceBZ, data, extent(6, 0, 2))))
	p, err := NewPayload(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*bs)
	if _, err := p.Partition("x").Open().ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Error(err)
	}
	if err := p.Partition("x").Verify(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no digest stated: %v", err)
	}
}

// A later operation writes over an earlier one, as it would on the phone.
func TestOverlap(t *testing.T) {
	want := bytesOf(4*bs, 3)
	var m maker
	b := m.payload(nil, msg(13, str(1, "x"), msg(7, num(1, 4*bs)),
		m.op(Zero, nil, extent(6, 2, 2)), m.op(Replace, want, extent(6, 0, 4)), m.op(Zero, nil, extent(6, 1, 1))))
	p, err := NewPayload(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	clear(want[bs : 2*bs])
	got := make([]byte, len(want))
	if _, err := p.Partition("x").Open().ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Error(err)
	}
}

func TestBadPayload(t *testing.T) {
	part := func(ops ...[]byte) []byte {
		var m maker
		m.blob = make([]byte, 100)
		return m.payload(nil, msg(13, append([][]byte{str(1, "x"), msg(7, num(1, 4*bs))}, ops...)...))
	}
	for name, b := range map[string][]byte{
		"data behind the end":      part(msg(8, num(2, 99), num(3, 2), extent(6, 0, 1))),
		"data before the start":    part(msg(8, num(2, 1<<63), num(3, 2), extent(6, 0, 1))),
		"data of negative size":    part(msg(8, num(3, 1<<63), extent(6, 0, 1))),
		"blocks behind the end":    part(msg(8, extent(6, 3, 2))),
		"more blocks than a disk":  part(msg(8, extent(6, sparse, 1<<60))),
		"hash tree behind the end": part(extent(11, 4, 1)),
		"a group":                  part([]byte{1<<3 | 3}),
		"no block size":            (&maker{}).payload(nil, num(3, 0)),
		"a huge partition":         (&maker{}).payload(nil, msg(13, msg(7, num(1, 1<<60)))),
		"signatures elsewhere":     (&maker{}).payload(nil, num(4, 10), num(5, 10)),
		"cut short":                part()[:30],
	} {
		var fe *FormatError
		if p, err := NewPayload(bytes.NewReader(b), int64(len(b))); !errors.As(err, &fe) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	b := part()
	b[11] = 1
	if _, err := NewPayload(bytes.NewReader(b), int64(len(b))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("version 1: %v", err)
	}
	for name, ops := range map[string][][]byte{
		"an operation that unpacks to more": {(&maker{}).op(ReplaceZstd, packZstd(t, bytesOf(2*bs, 3)), extent(6, 0, 1))},
	} {
		m := maker{blob: packZstd(t, bytesOf(2*bs, 3))}
		b := m.payload(nil, msg(13, append([][]byte{str(1, "x"), msg(7, num(1, 4*bs))}, ops...)...))
		p, err := NewPayload(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var fe *FormatError
		if _, err := p.Partition("x").Open().ReadAt(make([]byte, 1), 0); !errors.As(err, &fe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTransferList(t *testing.T) {
	dat := bytesOf(5*bs, 3)
	want := make([]byte, 8*bs)
	copy(want[2*bs:], dat[:2*bs])
	copy(want[7*bs:], dat[2*bs:3*bs])
	copy(want[:2*bs], dat[3*bs:])
	for v, list := range map[int]string{
		1: "1\n8\nerase 2,0,100\nnew 4,2,4,7,8\nzero 2,4,7\nnew 2,0,2\n",
		2: "2\n8\n0\n0\nerase 2,0,100\nnew 4,2,4,7,8\nzero 2,4,7\nnew 2,0,2\n",
		3: "3\n8\n0\n0\nnew 4,2,4,7,8\nzero 2,4,7\nnew 2,0,2\nerase 2,8,100\n",
		4: "4\n8\n0\n0\nzero 2,0,8\nnew 4,2,4,7,8\nnew 2,0,2\nerase 2,8,100",
	} {
		l, err := NewTransferList([]byte(list))
		if err != nil {
			t.Fatal(v, err)
		}
		if l.Version != v || l.Blocks != 8 || l.NewBytes != int64(len(dat)) || l.Delta != nil || l.Size != 8*bs {
			t.Errorf("%d: %+v", v, l)
		}
		// Brotli first, as *.new.dat.br is.
		var packed, dat2 bytes.Buffer
		w := brotli.NewWriter(&packed)
		w.Write(dat)
		w.Close()
		if err := l.Unpack(&dat2, &packed); err != nil || !bytes.Equal(dat2.Bytes(), dat) {
			t.Errorf("%d: %v", v, err)
		}
		m := l.Open(bytes.NewReader(dat2.Bytes()), int64(dat2.Len()))
		got := make([]byte, m.Size())
		if _, err := m.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d: %v", v, err)
		}
		short := l.Open(bytes.NewReader(dat[:bs]), bs)
		var fe *FormatError
		if _, err := short.ReadAt(got, 0); !errors.As(err, &fe) {
			t.Errorf("%d: data cut short: %v", v, err)
		}
	}
}

func TestTransferListTree(t *testing.T) {
	dat := bytesOf(200*bs, 5)
	tree, root, err := verity.Tree(bytes.NewReader(dat), int64(len(dat)), bs, []byte{1, 2}, sha256.New())
	if err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintf("4\n203\n0\n0\nnew 2,0,200\ncompute_hash_tree 2,200,203 2,0,200 sha256 0102 %x\n", root)
	l, err := NewTransferList([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(tree))
	if _, err := l.Open(bytes.NewReader(dat), int64(len(dat))).ReadAt(got, 200*bs); err != nil || !bytes.Equal(got, tree) {
		t.Error(err)
	}
}

func TestTransferListDelta(t *testing.T) {
	l, err := NewTransferList([]byte("3\n4\n1\n1\nstash aa 2,0,1\nmove bb 2,0,1 1 2,5,6\nbsdiff 0 10 cc dd 2,1,2 1 2,1,2\nnew 2,2,3\nfree aa\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(l.Delta, errors.ErrUnsupported) {
		t.Errorf("%v", l.Delta)
	}
	m := l.Open(bytes.NewReader(bytesOf(bs, 3)), bs)
	b := make([]byte, bs)
	if _, err := m.ReadAt(b, 2*bs); err != nil || !bytes.Equal(b, bytesOf(bs, 3)) {
		t.Errorf("the new block: %v", err)
	}
	for _, at := range []int64{0, bs} {
		if _, err := m.ReadAt(b, at); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("block at %d: %v", at, err)
		}
	}
}

func TestBadTransferList(t *testing.T) {
	for _, list := range []string{
		"", "x\n", "1\n", "2\n1\n0\n", "1\n1\nnew\n", "1\n1\nnew 2,1,0\n", "1\n1\nnew 3,1,2\n", "1\n1\nnew 2,1\n", "1\n1\nnew 2,0,1,2\n",
		"1\n1\nnew 4294967294,0,1\n", "1\n1\nzero 2,0,99999999999999\n", "4\n1\n0\n0\ncompute_hash_tree 2,0,1 2,1,2 sha256 zz 00\n",
	} {
		var fe *FormatError
		if l, err := NewTransferList([]byte(list)); !errors.As(err, &fe) {
			t.Errorf("%q: %+v, %v", list, l, err)
		}
	}
	for _, list := range []string{"5\n1\n", "1\n1\nfrobnicate 2,0,1\n"} {
		if _, err := NewTransferList([]byte(list)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	m, err := ParseMetadata([]byte("ota-type=BLOCK\npre-device=foo|bar\npost-build=a/b/c:9/X/1:user/release-keys\npost-timestamp=1555\n" +
		"post-sdk-level=28\npost-security-patch-level=2019-04-05\nota-downgrade=yes\nota-wipe=yes\r\nota-required-cache=12\n"))
	if err != nil || m.Type != "BLOCK" || !reflect.DeepEqual(m.PreDevice, []string{"foo", "bar"}) || !m.Downgrade || !m.Wipe || m.PostTimestamp != 1555 ||
		m.PostPatch != "2019-04-05" || m.PostSDK != "28" || m.RequiredCache != 12 || m.PreBuild != nil || m.SPLDowngrade {
		t.Errorf("%+v, %v", m, err)
	}
	b := bytes.Join([][]byte{num(1, 1), num(2, 1), msg(4, str(1, "ota-property-files"), str(2, "payload.bin:1:2")),
		msg(5, str(1, "foo"), str(1, "bar"), str(2, "old"), str(3, "inc")),
		msg(6, str(2, "new"), num(4, 1555), str(5, "33"), str(6, "2023-05-01")), num(9, 1)}, nil)
	m, err = ParseMetadataProto(b)
	if err != nil || m.Type != "AB" || !m.Wipe || m.Downgrade || !m.SPLDowngrade || !reflect.DeepEqual(m.PreDevice, []string{"foo", "bar"}) ||
		m.PreBuild[0] != "old" || m.PreIncremental != "inc" || m.PostBuild[0] != "new" || m.PostTimestamp != 1555 || m.PostSDK != "33" ||
		m.PostPatch != "2023-05-01" || m.Keys["ota-property-files"] != "payload.bin:1:2" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := ParseMetadataProto(b[:len(b)-20]); err == nil {
		t.Error("half a message is one")
	}
}

func TestScript(t *testing.T) {
	src := `# comment ( "x"
(!less_than_int(1409861, getprop("ro.build.date.utc"))) || abort("Can't install this over newer build (" + getprop("ro.build.date.utc") + ").");
assert(getprop("ro.product.device") == "foo" || "bar" == getprop("ro.build.product"));
ifelse(is_mounted("/system"), unmount("/system"));
package_extract_file("boot.img", "/dev/block/bootdevice/by-name/boot");
block_image_update("/dev/block/system", package_extract_file("system.transfer.list"), "system.new.dat.br", "system.patch.dat") ||
  abort("E1001: \"failed\"\n\x21");
set_metadata("/system/xbin/su", "uid", 0, "gid", 2000, "mode", 06755);
if getprop("ro.x") != "" then show_progress(0.1, 10); endif;
`
	s, err := ParseScript([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, c := range s.Calls {
		calls = append(calls, c.Name+"/"+strings.Join(c.Args, "/"))
		if !strings.HasPrefix(src[c.Off:], c.Name) {
			t.Errorf("%s does not stand at %d", c.Name, c.Off)
		}
	}
	want := []string{
		"getprop/ro.build.date.utc", `less_than_int/1409861/getprop("ro.build.date.utc")`, "getprop/ro.build.date.utc",
		`abort/"Can't install this over newer build (" + getprop("ro.build.date.utc") + ")."`,
		"getprop/ro.product.device", "getprop/ro.build.product",
		`assert/getprop("ro.product.device") == "foo" || "bar" == getprop("ro.build.product")`,
		"is_mounted//system", "unmount//system", `ifelse/is_mounted("/system")/unmount("/system")`,
		"package_extract_file/boot.img//dev/block/bootdevice/by-name/boot",
		"package_extract_file/system.transfer.list",
		`block_image_update//dev/block/system/package_extract_file("system.transfer.list")/system.new.dat.br/system.patch.dat`,
		"abort/E1001: \"failed\"\n!",
		"set_metadata//system/xbin/su/uid/0/gid/2000/mode/06755",
		"getprop/ro.x", "show_progress/0.1/10",
	}
	if !reflect.DeepEqual(calls, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	var conds []string
	for _, c := range s.Conditions {
		conds = append(conds, c.Property+c.Op+c.Value)
	}
	if !reflect.DeepEqual(conds, []string{"ro.product.device==foo", "ro.build.product==bar", "ro.x!="}) {
		t.Errorf("conditions %q", conds)
	}
}

func TestTarMD5(t *testing.T) {
	file := append(bytesOf(5000, 3), make([]byte, 1024)...)
	sum := md5.Sum(file)
	b := append(bytes.Clone(file), hex.EncodeToString(sum[:])+"  AP_X.tar\n"...)
	m, err := NewTarMD5(bytes.NewReader(b), int64(len(b)))
	if err != nil || m == nil || m.Name != "AP_X.tar" || m.Off != int64(len(file)) {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
	b[7] ^= 1
	if err := m.Verify(); !errors.Is(err, ErrMismatch) {
		t.Errorf("altered: %v", err)
	}
	if m, err := NewTarMD5(bytes.NewReader(file), int64(len(file))); m != nil || err != nil {
		t.Errorf("a tar file without a line: %+v, %v", m, err)
	}
}

func FuzzPayload(f *testing.F) {
	b, _ := fullPayload(f, nil)
	f.Add(b)
	var m maker
	f.Add(m.payload(nil, msg(13, str(1, "x"), msg(7, num(1, 2*bs)), m.op(4, nil, extent(4, 0, 1), extent(6, 0, 1)), m.op(Replace, []byte("abc"), extent(6, 1, 1)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewPayload(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		p.Verify([]*x509.Certificate{ecSigner().cert})
		for i := range p.Partitions {
			m := p.Partitions[i].Open()
			if p.Partitions[i].HashTreeData.Blocks > 1000 {
				continue // right, but slow
			}
			buf := make([]byte, 3*bs+7)
			for _, at := range []int64{0, 11, m.Size() / 2, m.Size() - 5000} {
				if n, err := m.ReadAt(buf, max(at, 0)); n < len(buf) && err == nil {
					t.Fatalf("%d of %d bytes and no error", n, len(buf))
				}
			}
			if m.Size() < 1<<20 {
				p.Partitions[i].Verify()
			}
		}
	})
}

func FuzzTransferList(f *testing.F) {
	f.Add([]byte("1\n8\nerase 2,0,100\nnew 4,2,4,7,8\nzero 2,4,7\nnew 2,0,2\n"))
	f.Add([]byte("3\n4\n1\n1\nstash aa 2,0,1\nmove bb 2,0,1 1 2,5,6\nbsdiff 0 10 cc dd 2,1,2 1 2,1,2\nnew 2,2,3\nfree aa\n"))
	f.Add([]byte("4\n203\n0\n0\nnew 2,0,20\ncompute_hash_tree 2,20,21 2,0,20 sha256 0102 00\n"))
	dat := bytesOf(20*bs, 3)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := NewTransferList(b)
		if err != nil {
			return
		}
		for _, c := range l.Commands {
			if c.Name == "compute_hash_tree" && len(c.source) == 1 && c.source[0][1]-c.source[0][0] > 1000 {
				return // right, but slow
			}
		}
		m := l.Open(bytes.NewReader(dat), int64(len(dat)))
		buf := make([]byte, 3*bs+7)
		for _, at := range []int64{0, 11, m.Size() / 2, m.Size() - 5000} {
			if n, err := m.ReadAt(buf, max(at, 0)); n < len(buf) && err == nil {
				t.Fatalf("%d of %d bytes and no error", n, len(buf))
			}
		}
	})
}

func FuzzZipSignature(f *testing.F) {
	c := ecSigner().cert
	f.Add(append(bytes.Repeat([]byte{'x'}, 30), "PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x0030\x08\x00\xff\xff\x08\x00"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewZipSignature(bytes.NewReader(b), int64(len(b)))
		if err == nil && s != nil {
			if _, err := s.Verify([]*x509.Certificate{c}); err == nil {
				t.Error("verifies")
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte(`assert(getprop("a") == "b"); x(1, "2\x41", y());`))
	f.Add(bytes.Join([][]byte{num(1, 1), msg(5, str(1, "foo"))}, nil))
	f.Add([]byte("\x00d41d8cd98f00b204e9800998ecf8427e  a.tar\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseMetadata(b)
		ParseMetadataProto(b)
		if m, err := NewTarMD5(bytes.NewReader(b), int64(len(b))); err == nil && m != nil {
			m.Verify()
		}
		s, err := ParseScript(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Calls {
			if !bytes.HasPrefix(b[c.Off:], []byte(c.Name)) {
				t.Fatalf("%q does not stand at %d", c.Name, c.Off)
			}
		}
	})
}
