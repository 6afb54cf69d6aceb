package oat

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var oatVersions = []int{39, 45, 64, 73, 79, 88, 124, 126, 131, 138, 170, 183, 195, 199, 225, 230, 241}

func TestOat(t *testing.T) {
	dex, _ := makeDex(true)
	for _, v := range oatVersions {
		for _, wrap := range []string{"bare", "elf32", "elf64"} {
			t.Run(fmt.Sprintf("%03d/%s", v, wrap), func(t *testing.T) {
				bare := makeOat(v, storeText, [][]byte{dex, dex, dex})
				data, isa := bare, "arm64"
				switch wrap {
				case "elf32":
					data, isa = makeELF(bare, false), "arm"
				case "elf64":
					data = makeELF(bare, true)
				}
				f, err := Open(data)
				if err != nil {
					t.Fatal(err)
				}
				if !Is(data) {
					t.Error("Is says no")
				}
				if f.Kind != "oat" || f.Version != v || f.ISA != isa || len(f.Gaps) != 0 {
					t.Errorf("%s %d %s, gaps %v", f.Kind, f.Version, f.ISA, f.Gaps)
				}
				kv := []KeyValue{{"compiler-filter", "speed"}, {"dex2oat-cmdline", "--a --b"}, {"pic", "false"}}
				if !slices.Equal(f.KeyValues, kv) || f.Value("pic") != "false" || f.Value("x") != "" {
					t.Errorf("key-value store %q", f.KeyValues)
				}
				if len(f.Dex) != 3 {
					t.Fatalf("%d DEX files", len(f.Dex))
				}
				for i, d := range f.Dex {
					loc := "/system/app/X/X.apk"
					if i > 0 {
						loc += fmt.Sprintf("!classes%d.dex", i+1)
					}
					if d.Location != loc {
						t.Errorf("location %q", d.Location)
					}
					if d.Checksum != uint32(0x1000+i) {
						t.Errorf("checksum %#x", d.Checksum)
					}
					if v >= onlyVdex {
						if d.Data != nil || d.Missing != InVDEX {
							t.Errorf("data %v, missing %q", d.Data != nil, d.Missing)
						}
						continue
					}
					if !bytes.Equal(d.Data, dex) || d.Missing != "" || d.Quick != nil {
						t.Errorf("%d bytes at %#x, missing %q", len(d.Data), d.Off, d.Missing)
					} else if &d.Data[0] != &data[d.Off] {
						t.Error("DEX was copied, or Off is not where it lies")
					}
				}
			})
		}
	}
}

// A version whose header and table are those of another is read; one that fits none is named.
func TestOatUnknownVersion(t *testing.T) {
	dex, _ := makeDex(false)
	data := makeOat(131, storeText, [][]byte{dex, dex})
	copy(data[4:], "299")
	f, err := Open(data)
	if err != nil || len(f.Dex) != 2 || f.Value("pic") != "false" || f.Dex[1].Location != "/system/app/X/X.apk!classes2.dex" {
		t.Fatalf("%+v, %v", f, err)
	}

	data[bytes.Index(data, []byte("!classes2"))] = 1
	if _, err = Open(data); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "299") {
		t.Errorf("table without a second location: %v", err)
	}
	copy(data[4:], "007")
	if _, err = Open(data); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "007") {
		t.Errorf("version 007: %v", err)
	}
}

func TestOatStore(t *testing.T) {
	// Of a boot image's OAT files only the first has a store.
	f, err := Open(makeOat(225, "", nil))
	if err != nil || len(f.KeyValues) != 0 || len(f.Gaps) != 0 || len(f.Dex) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	// Padding, and a value that is empty, as that of an app without a class path.
	f, err = Open(makeOat(241, "apex-versions\x00/1\x00\x00\x00\x00classpath\x00\x00pic\x00true\x00\x00\x00", nil))
	if err != nil || !slices.Equal(f.KeyValues, []KeyValue{{"apex-versions", "/1"}, {"classpath", ""}, {"pic", "true"}}) {
		t.Errorf("%+v, %v", f, err)
	}
	// Damaged: the table can still be found if the header says where it is.
	if f, err = Open(makeOat(225, "\x01\x02", nil)); err != nil || len(f.Gaps) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err = Open(makeOat(79, "\x01\x02", nil)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestOatDamagedDex(t *testing.T) {
	dex, _ := makeDex(false)
	for _, v := range []int{64, 79} {
		data := makeOat(v, storeText, [][]byte{dex, dex})
		at := bytes.Index(data, []byte("dex\n"))
		data[at+1] = 'x'
		f, err := Open(data)
		if err != nil {
			t.Fatal(err)
		}
		d := f.Dex[0]
		var fe *FormatError
		if d.Data != nil || !strings.Contains(d.Missing, "damaged") || !errors.As(f.Gaps[0], &fe) || fe.Off != int64(at) {
			t.Errorf("%d: %+v, gaps %v", v, d, f.Gaps)
		}
		// Before 075 the length of an entry depends on the DEX.
		if n := len(f.Dex); n != map[int]int{64: 1, 79: 2}[v] {
			t.Errorf("%d: %d DEX files", v, n)
		}
	}
}

func TestVdex(t *testing.T) {
	was, _ := makeDex(false)
	is, codes := makeDex(true)
	for _, v := range []int{6, 10, 12, 18, 19, 20, 21, 26, 27} {
		t.Run(fmt.Sprintf("%03d", v), func(t *testing.T) {
			data := makeVdex(v, [][]byte{is, is}, codes, nil)
			f, err := Open(data)
			if err != nil {
				t.Fatal(err)
			}
			if !Is(data) || f.Kind != "vdex" || f.Version != v || len(f.Dex) != 2 {
				t.Fatalf("%+v", f)
			}
			known := isReleasedVdex(v)
			if known != (len(f.Gaps) == 0) {
				t.Errorf("gaps %v", f.Gaps)
			}
			for i, d := range f.Dex {
				if !bytes.Equal(d.Data, is) || d.Checksum != uint32(0x1000+i) || d.Shared != nil || &d.Data[0] != &data[d.Off] {
					t.Fatalf("%d: %d bytes at %#x, checksum %#x, missing %q", i, len(d.Data), d.Off, d.Checksum, d.Missing)
				}
				if (d.Quick != nil) != (known && v < vdexSections) {
					t.Fatalf("%d: quickening table %v", i, d.Quick)
				}
				if d.Quick == nil {
					continue
				}
				b := bytes.Clone(d.Data)
				u := unquickener{t: t, name: t.Name(), dex: b, quick: d.Quick}
				u.run(func(n int) uint32 { return methodIDs[n] })
				if !bytes.Equal(b, was) {
					t.Errorf("%d: unquickened is\n%x, was\n%x", i, b, was)
				}
				if u.methods != 2 || u.indexes != 3 || u.casts != 1 {
					t.Errorf("%d: %d methods, %d indexes, %d casts", i, u.methods, u.indexes, u.casts)
				}
				for _, id := range []uint32{1, 2, 3, 19, 20, 1 << 31} {
					if _, ok := d.Quick.Info(codes[1], id); ok {
						t.Errorf("%d: method %d has quickening data", i, id)
					}
				}
			}
		})
	}
}

func TestVdexCompact(t *testing.T) {
	for _, v := range []int{19, 21, 27} {
		// The second DEX's data begin where those of both are: behind the section.
		a, shared := makeCdex(len(mustCdex(0)) + map[bool]int{true: 4}[v < 27])
		b, _ := makeCdex(0)
		data := makeVdex(v, [][]byte{a, b}, []uint32{0, 0, 0, 0}, shared)
		f, err := Open(data)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range f.Dex {
			if string(d.Shared) != "data" || &d.Shared[0] != &data[d.SharedOff] || len(d.Data) != cdexHeaderSize {
				t.Errorf("%d: %d: %q at %#x of %d bytes, missing %q", v, i, d.Shared, d.SharedOff, len(d.Data), d.Missing)
			}
		}
	}
}

func mustCdex(gap int) []byte { d, _ := makeCdex(gap); return d }

func TestVdexWithoutDex(t *testing.T) {
	// 019 and 021 say so by their DEX section's version, 006 and 010 by its size, 027 by an empty section.
	for _, data := range [][]byte{
		bytes.Join([][]byte{[]byte("vdex010\x00"), u32(2, 0, 0, 0, 7, 8)}, nil),
		bytes.Join([][]byte{[]byte("vdex019\x00000\x00"), u32(2, 0, 7, 8)}, nil),
		bytes.Join([][]byte{[]byte("vdex021\x00000\x00"), u32(2, 0, 0, 0, 7, 8)}, nil),
		bytes.Join([][]byte{[]byte("vdex027\x00"), u32(4, 0, 60, 8, 1, 0, 0, 2, 68, 0, 3, 68, 0, 7, 8)}, nil),
	} {
		f, err := Open(data)
		if err != nil {
			t.Errorf("%.7s: %v", data, err)
			continue
		}
		if len(f.Dex) != 2 || f.Dex[1].Checksum != 8 || f.Dex[0].Missing != InAPK || f.Dex[1].Missing != InAPK || len(f.Gaps) != 0 {
			t.Errorf("%.7s: %+v", data, f)
		}
	}
}

// A VDEX that ends early gives what is there of it.
func TestVdexCut(t *testing.T) {
	is, codes := makeDex(true)
	whole := makeVdex(10, [][]byte{is, is}, codes, nil)
	f, _ := Open(whole)
	end := int(f.Dex[1].Off) + 20
	f, err := Open(whole[:end])
	if err != nil {
		t.Fatal(err)
	}
	if f.Dex[0].Data == nil || f.Dex[1].Data != nil || !strings.Contains(f.Dex[1].Missing, "damaged") || len(f.Gaps) == 0 {
		t.Errorf("%+v", f)
	}
	f, err = Open(whole[:len(whole)-1])
	if err != nil || f.Dex[1].Data == nil || f.Dex[1].Quick != nil || len(f.Gaps) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestVdexUnknownVersion(t *testing.T) {
	is, codes := makeDex(true)
	data := makeVdex(10, [][]byte{is}, codes, nil)
	copy(data[4:], "015") // in which the DEX would lie elsewhere
	if _, err := Open(data); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "015") {
		t.Errorf("%v", err)
	}
}

// Many classes that point at the same long class data must not be walked one by one.
func TestVdexClassDataBomb(t *testing.T) {
	const n = 20000
	dex := make([]byte, dexHeaderSize+n*32)
	copy(dex, "dex\n035\x00")
	data := append([]byte{0, 0, 0x80, 0x80, 0x10, 0}, make([]byte, 3*1<<18)...) // 262144 methods without code
	for i := range n {
		le.PutUint32(dex[dexHeaderSize+i*32+24:], uint32(len(dex)))
	}
	dex = append(dex, data...)
	le.PutUint32(dex[dexFileSize:], uint32(len(dex)))
	le.PutUint32(dex[dexClassDefs:], n)
	le.PutUint32(dex[dexClassDefs+4:], dexHeaderSize)
	b := append([]byte("vdex006\x00"), u32(1, uint32(len(dex)), 0, 4, 0)...)
	f, err := Open(append(append(b, dex...), 0, 0, 0, 0))
	if err != nil || f.Dex[0].Data == nil || len(f.Gaps) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestOdex(t *testing.T) {
	dex, _ := makeDex(false)
	data := makeOdex(dex)
	f, err := Open(data)
	if err != nil || !Is(data) {
		t.Fatal(err)
	}
	if f.Kind != "odex" || f.Version != 36 || len(f.Dex) != 1 || !bytes.Equal(f.Dex[0].Data, dex) || f.Dex[0].Off != 40 {
		t.Errorf("%+v", f)
	}
}

func TestOther(t *testing.T) {
	dex, _ := makeDex(false)
	elf := makeELF(makeOat(64, storeText, nil), false)
	renamed := bytes.Replace(elf, []byte("oatdata"), []byte("ootdata"), 1)
	big := bytes.Clone(elf)
	big[5] = 2
	for _, data := range [][]byte{nil, []byte("vdex"), []byte("oat\n064"), dex, renamed, big, elf[:200], []byte("PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaa")} {
		f, err := Open(data)
		var fe *FormatError
		if f != nil || !errors.As(err, &fe) {
			t.Errorf("%.10q: %+v, %v", data, f, err)
		}
		if Is(data) {
			t.Errorf("%.10q: Is says yes", data)
		}
	}
}

func TestSegments(t *testing.T) {
	elf := makeELF(makeOat(64, storeText, nil), false)
	le.PutUint32(elf[28:], uint32(len(elf)))
	le.PutUint16(elf[44:], maxSegments+1)
	elf = append(elf, bytes.Repeat(append(u32(ptLoad), make([]byte, 28)...), maxSegments+1)...)
	if _, err := Open(elf); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func FuzzOpen(f *testing.F) {
	dex, codes := makeDex(true)
	cdex, shared := makeCdex(0)
	for _, v := range oatVersions {
		f.Add(makeOat(v, storeText, [][]byte{dex, dex}))
	}
	f.Add(makeELF(makeOat(64, storeText, [][]byte{dex}), false))
	f.Add(makeELF(makeOat(79, storeText, [][]byte{dex, dex}), true))
	for _, v := range []int{6, 10, 15, 18, 19, 21, 27} {
		f.Add(makeVdex(v, [][]byte{dex, dex}, codes, nil))
	}
	f.Add(makeVdex(21, [][]byte{cdex}, codes, shared))
	f.Add(makeVdex(27, [][]byte{cdex}, codes, shared))
	f.Add(makeOdex(dex))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := Open(data)
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) && !errors.Is(err, errors.ErrUnsupported) || o != nil {
				t.Fatalf("%T %v, %v", err, err, o)
			}
			return
		}
		if !Is(data) {
			t.Fatal("Is says no")
		}
		for _, g := range o.Gaps {
			var fe *FormatError
			if !errors.As(g, &fe) && !errors.Is(g, errors.ErrUnsupported) {
				t.Fatalf("gap %T %v", g, g)
			}
		}
		for _, d := range o.Dex {
			if (d.Data == nil) != (d.Missing != "") {
				t.Fatalf("%d bytes, missing %q", len(d.Data), d.Missing)
			}
			if d.Data == nil {
				continue
			}
			if !isDex(d.Data) || &d.Data[0] != &data[d.Off] || len(d.Shared) > 0 && &d.Shared[0] != &data[d.SharedOff] {
				t.Fatalf("DEX at %#x", d.Off)
			}
			if d.Quick == nil {
				continue
			}
			for i := range uint32(300) {
				info, ok := d.Quick.Info(codes[i%4], i)
				if ok != (info.Left() > 0) {
					t.Fatal("Info with nothing in it")
				}
				for pc := uint32(0); info.Left() > 0 && pc < 50; pc++ {
					info.Nop(pc)
					info.Index(pc)
				}
			}
		}
	})
}

func BenchmarkOpenVdex010(b *testing.B) {
	is, codes := makeDex(true)
	var dexes [][]byte
	for range 100 {
		dexes = append(dexes, is)
	}
	data := makeVdex(10, dexes, codes, nil)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInfo(b *testing.B) {
	is, codes := makeDex(true)
	for _, v := range []int{6, 10, 21} {
		b.Run(fmt.Sprintf("%03d", v), func(b *testing.B) {
			f, err := Open(makeVdex(v, [][]byte{is}, codes, nil))
			if err != nil {
				b.Fatal(err)
			}
			q := f.Dex[0].Quick
			b.ReportAllocs()
			for b.Loop() {
				info, ok := q.Info(codes[0], 0)
				if !ok {
					b.Fatal("no data")
				}
				info.Index(0)
				info.Nop(2)
				info.Nop(3)
				info.Index(5)
			}
		})
	}
}
