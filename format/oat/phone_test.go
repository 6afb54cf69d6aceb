package oat

import (
	"archive/zip"
	"encoding/binary"
	"hash/adler32"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// phone calls do with every file of a real phone's archive whose name ends in one of exts.
func phone(t testing.TB, name string, exts []string, do func(name string, data []byte)) {
	z, err := zip.OpenReader("../../../shared/phones/" + name + ".zip")
	if os.IsNotExist(err) {
		t.Skip("the phones are not here: ../shared/phones/" + name + ".zip")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, e := range z.File {
		if !slices.Contains(exts, path.Ext(e.Name)) {
			continue
		}
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		do(e.Name, data)
	}
}

// TestPhones opens every OAT and VDEX of the real phones. The counts were checked against the files' headers with another
// program, and the DEX lists of all but redmi_water's (which it does not know) against baksmali's.
func TestPhones(t *testing.T) {
	type count struct{ Files, Dex, Missing, Bytes, Quick, Intact int }
	want := map[string]count{
		"archos/odex 064":      {89, 89, 0, 4784200, 0, 28},
		"wolder/odex 064":      {108, 108, 0, 12489024, 0, 30},
		"doogee_mix/odex 079":  {114, 114, 0, 3798892, 0, 47},
		"doogee_mix/oat 079":   {10, 10, 0, 1037104, 0, 0},
		"tecno_ba2/odex 131":   {117, 0, 130, 0, 0, 0},
		"tecno_ba2/oat 131":    {21, 0, 21, 0, 0, 0},
		"tecno_ba2/vdex 010":   {105, 105, 0, 13399620, 105, 4},
		"redmi_water/odex 225": {79, 0, 118, 0, 0, 0},
		"redmi_water/oat 225":  {18, 0, 18, 0, 0, 0},
		"redmi_water/vdex 027": {93, 1, 108, 408, 0, 0},
	}
	got := map[string]count{}
	sums := map[string][]uint32{} // by path without extension
	pairs := 0
	for _, name := range []string{"archos", "wolder", "doogee_mix", "tecno_ba2", "redmi_water"} {
		phone(t, name, []string{".odex", ".oat", ".vdex"}, func(file string, data []byte) {
			f, err := Open(data)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				return
			}
			if !Is(data) {
				t.Errorf("%s: Is says no, Open yes", file)
			}
			for _, g := range f.Gaps {
				t.Errorf("%s: gap: %v", file, g)
			}
			ext := path.Ext(file)[1:]
			if isa := path.Base(path.Dir(file)); ext != "vdex" && f.ISA != isa {
				t.Errorf("%s: ISA %q", file, f.ISA)
			}
			// Of a boot image only the first OAT has a store since Android 10.
			if f.KeyValues == nil && f.Kind == "oat" && (ext != "oat" || f.Version < 170) {
				t.Errorf("%s: no key-value store", file)
			}
			if ext == "odex" && f.Version > 79 && f.Value("compiler-filter") == "" {
				t.Errorf("%s: no compiler-filter among %q", file, f.KeyValues)
			}
			key := name + "/" + ext + " " + string(versionOf(data, f))
			c := got[key]
			c.Files++
			for i, d := range f.Dex {
				if d.Data == nil {
					c.Missing++
					if d.Missing != InVDEX && d.Missing != InAPK {
						t.Errorf("%s: DEX %d missing: %s", file, i, d.Missing)
					}
					continue
				}
				c.Dex++
				c.Bytes += len(d.Data)
				if d.Quick != nil {
					c.Quick++
				}
				if &d.Data[0] != &data[d.Off] {
					t.Errorf("%s: DEX %d is not what lies at %#x", file, i, d.Off)
				}
				if !isDex(d.Data) || int(binary.LittleEndian.Uint32(d.Data[dexFileSize:])) != len(d.Data) {
					t.Errorf("%s: DEX %d at %#x has no sound header", file, i, d.Off)
				}
				if adler32.Checksum(d.Data[12:]) == binary.LittleEndian.Uint32(d.Data[8:]) {
					c.Intact++
				}
				if f.Kind == "oat" && !strings.HasPrefix(d.Location, "/") {
					t.Errorf("%s: DEX %d: location %q", file, i, d.Location)
				}
			}
			got[key] = c

			// The OAT and the VDEX beside it speak of the same DEX files. In this way the length of the OAT's entries is
			// checked for a version baksmali does not know.
			var sum []uint32
			for _, d := range f.Dex {
				sum = append(sum, d.Checksum)
			}
			stem := name + "/" + strings.TrimSuffix(file, path.Ext(file))
			if other, ok := sums[stem]; ok {
				pairs++
				if !slices.Equal(sum, other) {
					t.Errorf("%s: checksums %#x, of the file beside it %#x", file, sum, other)
				}
			}
			sums[stem] = sum
		})
	}
	if pairs == 0 {
		t.Error("no VDEX beside an OAT")
	}
	t.Logf("%d pairs of OAT and VDEX", pairs)
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s: %+v, want %+v", key, got[key], w)
		}
		delete(got, key)
	}
	for key, g := range got {
		t.Errorf("%s: %+v, not expected", key, g)
	}
}

func versionOf(data []byte, f *File) []byte {
	if f.Kind == "vdex" {
		return data[4:7]
	}
	e, _ := readELF(data)
	return e.oat()[4:7]
}

// TestUnquicken puts back what the quickening tables of a real Android 8.1 hold. A DEX that comes out with the checksum its
// header had before dex2oat changed it is proof that every index went where it came from.
func TestUnquicken(t *testing.T) {
	var dexes, quick, nops, methods, moved int
	phone(t, "tecno_ba2", []string{".vdex"}, func(file string, data []byte) {
		f, err := Open(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, d := range f.Dex {
			dexes++
			b := slices.Clone(d.Data)
			u := unquickener{t: t, name: file, dex: b, quick: d.Quick}
			u.run(func(int) uint32 { return 0 }) // not asked for in VDEX 010
			quick, nops, methods = quick+u.indexes, nops+u.casts, methods+u.methods
			if n := d.Quick.Len(); u.methods != n {
				t.Errorf("%s: %d methods unquickened, the table has %d", file, u.methods, n)
			}
			// The boot image was compiled with --profile-file: dexlayout put its DEX files in another order before they
			// were quickened, and left the checksum of what they were before.
			if strings.HasPrefix(path.Base(file), "boot") {
				moved++
				continue
			}
			if got, want := adler32.Checksum(b[12:]), binary.LittleEndian.Uint32(b[8:]); got != want {
				t.Errorf("%s: unquickened DEX has checksum %#x, its header says %#x", file, got, want)
			}
		}
	})
	t.Logf("%d DEX (%d laid out anew): %d methods, %d field and method indexes, %d check-casts", dexes, moved, methods, quick, nops)
	if dexes-moved != 89 || quick == 0 || nops == 0 {
		t.Errorf("%d DEX files compared, want 89", dexes-moved)
	}
}

// TestBaksmali compares the DEX list of a few real files with that of another program.
func TestBaksmali(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Java program")
	}
	tool, err := exec.LookPath("baksmali")
	if err != nil {
		t.Skip("baksmali is not installed")
	}
	for _, name := range []string{"archos", "doogee_mix", "tecno_ba2"} {
		var one, several bool // the first file with one DEX, and with more
		phone(t, name, []string{".odex"}, func(file string, data []byte) {
			f, err := Open(data)
			if err != nil {
				t.Fatal(err)
			}
			seen := &one
			if len(f.Dex) > 1 {
				seen = &several
			}
			if *seen {
				return
			}
			*seen = true
			tmp := filepath.Join(t.TempDir(), path.Base(file))
			if err := os.WriteFile(tmp, data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tool, "list", "dex", tmp).Output()
			if err != nil {
				t.Fatalf("baksmali: %v", err)
			}
			var locs []string
			for _, d := range f.Dex {
				locs = append(locs, d.Location)
			}
			if want := strings.Fields(string(out)); !slices.Equal(locs, want) {
				t.Errorf("%s: DEX files %q, baksmali lists %q", file, locs, want)
			}
		})
	}
}
