package apk

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func openZip(t testing.TB, b []byte) *Zip {
	t.Helper()
	z, err := NewZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// says reports whether there is a disagreement about that.
func says(z *Zip, what string, refused bool) bool {
	return slices.ContainsFunc(z.Disagreements, func(d Disagreement) bool {
		return strings.HasPrefix(d.What, what) && d.Refused == refused
	})
}

func TestZipTricks(t *testing.T) {
	const text = "what the entry holds, holds, holds, holds"
	const manifest = "AndroidManifest.xml"
	plain := newEntry(manifest, Deflated, text)
	stored := newEntry(manifest, Stored, text)
	descriptor := func(b ...any) []byte { return new(bin).put(b...).Bytes() }
	tests := []struct {
		name    string
		zip     []byte
		what    string // the disagreement it must note, "" for none at all
		refused bool
		want    string // content of the manifest
		err     bool   // reading ends with an error that is not ErrChecksum
	}{
		{name: "plain", zip: makeZip("", plain), want: text},
		{name: "stored", zip: makeZip("", stored), want: text},
		{name: "comment", zip: makeZip("a comment", plain), want: text},
		{name: "comment with the start of an end record", zip: makeZip("PK\x05\x06 and then some more text to fill it up",
			plain), what: "a later end record leads nowhere", refused: true, want: text},
		{name: "comment with an empty end record", zip: makeZip("PK\x05\x06"+strings.Repeat("\x00", 18), plain),
			what: "a later end record leads nowhere", refused: true, want: text},
		{name: "trailing junk", zip: append(makeZip("", plain), "junk"...), what: "length of the comment", refused: true, want: text},
		{name: "bytes in front", zip: append([]byte("dex\n035 "), makeZip("", plain)...),
			what: "offsets do not count", refused: true, want: text},
		{name: "encrypted flag", zip: makeZip("", plain.with(func(e *zipEntry) { e.flags |= 1; e.localFlags |= 1 })),
			what: "encrypted flag", want: text},
		{name: "bogus method, stored", zip: makeZip("", stored.with(func(e *zipEntry) { e.method, e.localMethod = 0x3412, 0x3412 })),
			what: "unknown compression method", want: text},
		{name: "bogus method, deflated", zip: makeZip("", plain.with(func(e *zipEntry) { e.method, e.localMethod = 99, 99 })),
			what: "unknown compression method", want: text},
		{name: "bogus method, wrong checksum", zip: makeZip("", stored.with(func(e *zipEntry) { e.method, e.crc = 99, 1 })),
			what: "unknown compression method", want: text},
		{name: "another method in the local header", zip: makeZip("", plain.with(func(e *zipEntry) { e.localMethod = Stored })),
			what: "method", want: text},
		{name: "another name in the local header", zip: makeZip("", plain.with(func(e *zipEntry) { e.localName = "classes.dex" })),
			what: "name", refused: true, want: text},
		{name: "another size in the local header", zip: makeZip("", plain.with(func(e *zipEntry) { e.lsize-- })),
			what: "size", refused: true, want: text},
		{name: "stored with a lying compressed size", zip: makeZip("", stored.with(func(e *zipEntry) { e.csize, e.lcsize = 3, 3 })),
			what: "stored, but with two sizes", want: text},
		{name: "extra fields of nonsense", zip: makeZip("", plain.with(func(e *zipEntry) {
			e.extra, e.localExtra = []byte("\xff\xff\xff\xffjunk"), []byte("\x00")
		})), want: text},
		{name: "data descriptor", zip: makeZip("", plain.with(func(e *zipEntry) {
			e.flags, e.localFlags = flagDescriptor, flagDescriptor
			e.behind = descriptor("PK\x07\x08", e.crc, e.lcsize, e.lsize)
			e.lcsize, e.lsize = 0, 0
		})), want: text},
		{name: "data descriptor without signature, wrong size", zip: makeZip("", plain.with(func(e *zipEntry) {
			e.flags, e.localFlags = flagDescriptor, flagDescriptor
			e.behind = descriptor(e.crc, e.lcsize, e.lsize+1)
		})), what: "size", refused: true, want: text},
		{name: "zip64 sizes", zip: makeZip("", plain.with(func(e *zipEntry) {
			e.extra = descriptor(uint16(1), uint16(16), uint64(e.size), uint64(e.csize))
			e.localExtra = e.extra
			e.csize, e.size, e.lcsize, e.lsize = none, none, none, none
		})), want: text},
		{name: "zip64 field missing", zip: makeZip("", plain.with(func(e *zipEntry) { e.size = none })),
			what: "zip64 field missing", refused: true, want: text, err: true},
		{name: "duplicate", zip: makeZip("", plain, newEntry(manifest, Stored, "the second")),
			what: "duplicate name", refused: true, want: text},
		{name: "overlap", zip: makeZip("", newEntry("outer", Stored, string(makeZip("", plain)[:80])), plain.with(func(e *zipEntry) {
			e.at = 30 + 5
		})), what: "shares bytes", want: text},
		{name: "NUL in a name", zip: makeZip("", plain, newEntry("a\x00b", Stored, "")), what: "name", refused: true, want: text},
		{name: "header outside", zip: makeZip("", plain, newEntry("b", Stored, "").with(func(e *zipEntry) { e.at = 1 << 30 })),
			what: "local header outside", refused: true, want: text},
		{name: "content outside", zip: makeZip("", plain.with(func(e *zipEntry) { e.csize, e.lcsize = 1<<20, 1<<20 })),
			what: "content outside", refused: true, want: text},
		{name: "larger than it says", zip: makeZip("", plain.with(func(e *zipEntry) { e.size, e.lsize = 9, 9 })),
			want: text[:9], err: true},
		{name: "smaller than it says", zip: makeZip("", plain.with(func(e *zipEntry) { e.size, e.lsize = 1<<30, 1<<30 })),
			want: text, err: true},
		{name: "does not inflate", zip: makeZip("", stored.with(func(e *zipEntry) { e.method, e.localMethod = 8, 8 })), err: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			z := openZip(t, test.zip)
			if test.what == "" && len(z.Disagreements) > 0 {
				t.Errorf("unexpected: %v", z.Disagreements)
			}
			if test.what != "" && !says(z, test.what, test.refused) {
				t.Errorf("no %q (refused %v) in %v", test.what, test.refused, z.Disagreements)
			}
			e := z.Entry(manifest)
			if e == nil {
				t.Fatal("entry not found")
			}
			got, err := z.ReadFile(e, 1<<33)
			if failed := err != nil && !errors.Is(err, ErrChecksum); failed != test.err {
				t.Errorf("error %v", err)
			}
			if string(got) != test.want {
				t.Errorf("content %q", got)
			}
		})
	}
}

func TestZipNumberOfEntries(t *testing.T) {
	b := makeZip("", newEntry("a", Stored, "1"), newEntry("b", Stored, "2"))
	count := b[len(b)-sizeEOCD+10:]
	for _, test := range []struct {
		count   byte
		entries int
		what    string
		refused bool
	}{
		{1, 1, "bytes behind the last entry", false},
		{3, 2, "number of entries", true},
	} {
		count[0] = test.count
		z := openZip(t, b)
		if len(z.Entries) != test.entries || !says(z, test.what, test.refused) {
			t.Errorf("count %d: %d entries, %v", test.count, len(z.Entries), z.Disagreements)
		}
	}
}

func TestZip64(t *testing.T) {
	b := makeZip("", newEntry("a", Stored, "content"))
	cut := len(b) - sizeEOCD
	eocd := bytes.Clone(b[cut:])
	dirSize, dirOff := le32(eocd[12:]), le32(eocd[16:])
	copy(eocd[16:], "\xff\xff\xff\xff")
	out := new(bin).put(b[:cut], "PK\x06\x06", uint64(44), uint32(0), uint32(0), uint32(0), uint64(1), uint64(1),
		uint64(dirSize), uint64(dirOff), "PK\x06\x07", uint32(0), uint64(cut), uint32(1), eocd).Bytes()
	z := openZip(t, out)
	got, err := z.ReadFile(z.Entry("a"), 10)
	if string(got) != "content" || err != nil || len(z.Disagreements) > 0 {
		t.Errorf("%q, %v, %v", got, err, z.Disagreements)
	}
	out[cut+sizeEOCD64+8] ^= 0xff // where the record is
	if z, err := NewZip(bytes.NewReader(out), int64(len(out))); err == nil {
		t.Errorf("a wrong locator was followed: %v", z.Entries)
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func TestZipChecksum(t *testing.T) {
	z := openZip(t, makeZip("", newEntry("a", Deflated, "content").with(func(e *zipEntry) { e.crc++ })))
	got, err := z.ReadFile(z.Entry("a"), 10)
	if string(got) != "content" || !errors.Is(err, ErrChecksum) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := z.ReadFile(z.Entry("a"), 6); err == nil {
		t.Error("no error for an entry over the limit")
	}
}

func TestZipLyingSizeAllocatesNothing(t *testing.T) {
	z := openZip(t, makeZip("", newEntry("a", Deflated, "content").with(func(e *zipEntry) { e.size = 1 << 31 })))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := z.ReadFile(z.Entry("a"), 1<<40); err == nil {
		t.Error("no error for missing bytes")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for seven", n)
	}
}

func TestZipSection(t *testing.T) {
	inner := makeZip("", newEntry("x", Stored, "deep"))
	z := openZip(t, makeZip("", newEntry("in.apk", Stored, string(inner))))
	s := z.Section(z.Entry("in.apk"))
	in, err := NewZip(s, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := in.ReadFile(in.Entry("x"), 10); string(got) != "deep" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestZipUnixMode(t *testing.T) {
	z := openZip(t, makeZip("", newEntry("a", Stored, "")))
	if m := z.Entries[0].UnixMode(); m != 0o100644 {
		t.Errorf("mode %o", m)
	}
	if m := (&Entry{ExternalAttrs: 1}).UnixMode(); m != 0o777 {
		t.Errorf("mode %o of an entry made by DOS", m)
	}
}

// corpus calls f with every step-th APK of the shared test suites and of the phones, those of at most 3 MiB.
// With step 1 it takes a minute; every test here has passed with that.
func corpus(t *testing.T, step int, f func(name string, b []byte)) {
	t.Helper()
	const shared = "../../../shared"
	if _, err := os.Stat(shared); err != nil {
		t.Skip("no shared folder beside the repository")
	}
	n := 0
	for _, dir := range []string{"droidbench", "apksig"} {
		err := filepath.WalkDir(filepath.Join(shared, "corpus", dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(p, ".apk") {
				return err
			}
			if n++; n%step != 0 {
				return nil
			}
			b, err := os.ReadFile(p)
			f(p, b)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	phones, _ := filepath.Glob(filepath.Join(shared, "phones", "*.zip"))
	for _, p := range phones {
		file, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		z, err := NewZip(file, info.Size())
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		for i := range z.Entries {
			e := &z.Entries[i]
			if !strings.HasSuffix(e.Name, ".apk") || e.Size > 3<<20 {
				continue
			}
			if n++; n%step != 0 {
				continue
			}
			b, err := z.ReadFile(e, 3<<20)
			if err != nil {
				t.Errorf("%s!%s: %v", p, e.Name, err)
				continue
			}
			f(p+"!"+e.Name, b)
		}
	}
}

// TestZipAgainstGo compares with archive/zip: names, sizes, content, and where the content lies.
func TestZipAgainstGo(t *testing.T) {
	files := 0
	corpus(t, 8, func(name string, b []byte) {
		want, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		z, err2 := NewZip(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != (err2 == nil) {
			t.Errorf("%s: archive/zip says %v, we say %v", name, err, err2)
		}
		if err != nil || err2 != nil {
			return
		}
		if len(want.File) != len(z.Entries) || want.Comment != string(z.Comment) {
			t.Errorf("%s: %d entries, want %d", name, len(z.Entries), len(want.File))
			return
		}
		for i, w := range want.File {
			e := &z.Entries[i]
			if off, err := w.DataOffset(); err == nil && off != e.DataOff {
				t.Errorf("%s!%s: content at %#x, want %#x", name, w.Name, e.DataOff, off)
			}
			r, err := w.Open()
			if err != nil {
				continue // a method it does not know
			}
			data, err := io.ReadAll(r)
			got, err2 := z.ReadFile(e, 1<<30)
			if err == nil && (err2 != nil || !bytes.Equal(data, got)) || e.Name != w.Name {
				t.Errorf("%s!%s: %d bytes, want %d: %v", name, w.Name, len(got), len(data), err2)
			}
			files++
		}
	})
	t.Logf("%d files", files)
}

func FuzzZip(f *testing.F) {
	plain := newEntry("AndroidManifest.xml", Deflated, "content content content")
	f.Add(makeZip("", plain))
	f.Add(makeZip("c", plain, newEntry("b", Stored, "2").with(func(e *zipEntry) { e.localFlags = flagDescriptor; e.flags = 9 })))
	f.Add(makeZip("", plain.with(func(e *zipEntry) { e.method = 77; e.size = none; e.extra = make([]byte, 28); e.extra[0] = 1 })))
	f.Add(append([]byte("junk"), makeZip("", plain)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := NewZip(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(z.Entries) > len(b)/sizeCentral {
			t.Fatalf("%d entries in %d bytes", len(z.Entries), len(b))
		}
		for i := range z.Entries {
			e := &z.Entries[i]
			got, err := z.ReadFile(e, 1<<20)
			if err == nil && int64(len(got)) != e.Size {
				t.Fatalf("%d bytes of %d without an error", len(got), e.Size)
			}
			if s := z.Section(e); s.Size() > int64(len(b)) {
				t.Fatalf("section of %d bytes", s.Size())
			}
			if z.Entry(e.Name) == nil {
				t.Fatalf("%q is listed and not found", e.Name)
			}
		}
		for _, d := range z.Disagreements {
			_ = d.String()
		}
	})
}

func BenchmarkNewZip(b *testing.B) {
	var entries []zipEntry
	for i := range 5000 {
		entries = append(entries, newEntry("res/layout/some_layout_"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+"_"+
			strings.Repeat("9", i/1000)+string(rune('0'+i/100%10))+string(rune('0'+i/10%10))+string(rune('0'+i%10)), Stored, "12345678"))
	}
	data := makeZip("", entries...)
	r := bytes.NewReader(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewZip(r, int64(len(data))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadFile(b *testing.B) {
	var text strings.Builder
	for i := range 200_000 {
		text.WriteString("Lcom/example/")
		text.WriteByte(byte(i * 7))
		text.WriteByte(byte(i >> 8))
	}
	data := makeZip("", newEntry("classes.dex", Deflated, text.String()))
	z := openZip(b, data)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := z.ReadFile(&z.Entries[0], 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}
