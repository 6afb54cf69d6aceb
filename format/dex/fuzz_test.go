package dex

import (
	"archive/zip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// walk reads everything there is in f, but no more than budget units, members and values, since hostile parts overlap.
func walk(f *File, budget int) (insns int) {
	sink := 0
	spend := func(n int) bool {
		budget -= n + 1
		return budget > 0
	}
	for i := 0; i < f.NumStrings() && spend(len(f.StringData(uint32(i)))); i++ {
		sink += len(f.String(uint32(i)))
	}
	for i := 0; i < f.NumMethods() && spend(f.NumParams(f.Method(uint32(i)).Proto)); i++ {
		for k := range f.NumParams(f.Method(uint32(i)).Proto) {
			sink += int(f.Param(uint32(i), k))
		}
	}
	for i := 0; i < f.NumFields() && spend(1); i++ {
		sink += int(f.Field(uint32(i)).Type)
	}
	for i := 0; i < f.NumCallSites() && spend(100); i++ {
		v, _ := f.CallSite(uint32(i))
		spend(len(v))
	}
	for i := 0; i < f.NumMethodHandles() && spend(1); i++ {
		sink += int(f.MethodHandle(uint32(i)).Index)
	}
	annotations := func(s AnnotationSet) {
		for range f.AnnotationTypes(s) {
			spend(1)
		}
		a, _ := f.Annotations(s)
		spend(10 * len(a))
	}
	var d ClassData
	var in Insn
	for i := 0; i < f.NumClasses() && spend(10); i++ {
		c := f.Class(i)
		for range f.Interfaces(c) {
			spend(1)
		}
		v, _ := f.StaticValues(c)
		spend(len(v))
		annotations(f.ClassAnnotations(c))
		for _, s := range f.FieldAnnotations(c) {
			if annotations(s); !spend(1) {
				break
			}
		}
		for _, s := range f.MethodAnnotations(c) {
			if annotations(s); !spend(1) {
				break
			}
		}
		for _, l := range f.ParameterAnnotations(c) {
			for _, s := range l {
				annotations(s)
			}
			if !spend(len(l)) {
				break
			}
		}
		f.ClassData(c, &d)
		spend(len(d.StaticFields) + len(d.InstanceFields))
		for _, list := range [][]MemberMethod{d.Direct, d.Virtual} {
			for _, m := range list {
				code, err := f.Code(m.Code)
				if !spend(1) {
					return insns
				}
				if err != nil {
					continue
				}
				for pc := uint32(0); spend(1) && in.Decode(code.Insns, pc) == nil; pc = in.Next {
					if in.Next <= pc {
						panic("no way forward")
					}
					if insns++; insns%16 == 0 {
						sink += len(f.Disassemble(&in))
						spend(100)
					}
					for range in.Switch(code.Insns) {
						spend(1)
					}
					w, data := in.FillArray(code.Insns)
					sink += w + len(data) + int(in.Arg(4)+in.Arg(300))
				}
				for t := range f.Tries(code) {
					for range f.Handlers(t) {
						spend(1)
					}
				}
				if lines, err := f.DebugLines(code); err == nil {
					for range lines {
						if !spend(1) {
							break
						}
					}
				}
			}
		}
	}
	return insns
}

func FuzzOpen(f *testing.F) {
	f.Add(seed(35), false)
	f.Add(seed(39), false)
	f.Add(container(2), false)
	main, shared := compact(false)
	f.Add(append(binary.LittleEndian.AppendUint16(nil, uint16(len(main))), append(main, shared...)...), true)
	f.Fuzz(func(t *testing.T, data []byte, split bool) {
		if split && len(data) >= 2 {
			n := int(binary.LittleEndian.Uint16(data))
			data = data[2:]
			if n <= len(data) {
				if file, err := OpenCompact(data[:n], data[n:]); err == nil {
					walk(file, 1<<16)
				}
			}
			return
		}
		files, err := Open(data)
		if err == nil && len(files) == 0 {
			t.Fatal("neither a file nor an error")
		}
		for _, file := range files {
			walk(file, 1<<16)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, tt := range formatTests {
		f.Add(units(tt.code...))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		var file File
		var in Insn
		for pc := uint32(0); ; pc = in.Next {
			if err := in.Decode(code, pc); err != nil {
				if in.Next != pc {
					t.Fatalf("error at %d, next %d", pc, in.Next)
				}
				break
			}
			if in.Next <= pc || 2*uint64(in.Next) > uint64(len(code)) {
				t.Fatalf("from %d to %d in %d bytes", pc, in.Next, len(code))
			}
			file.Disassemble(&in)
		}
	})
}

// corpus calls f with classes.dex of APKs of droidbench.
func corpus(tb testing.TB, most int, f func(name string, dex []byte)) {
	const dir = "../../../shared/corpus/droidbench"
	names, _ := filepath.Glob(filepath.Join(dir, "*.apk"))
	if len(names) == 0 {
		tb.Skip("no APKs in " + dir)
	}
	for i := 0; i < len(names); i += max(1, len(names)/most) {
		z, err := zip.OpenReader(names[i])
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range z.File {
			if m.Name == "classes.dex" {
				r, err := m.Open()
				if err != nil {
					tb.Fatal(err)
				}
				data, err := io.ReadAll(r)
				if err != nil {
					tb.Fatal(err)
				}
				f(filepath.Base(names[i]), data)
			}
		}
		z.Close()
	}
}

// benchFile returns the DEX of $DEX, or the largest of the corpus.
func benchFile(b *testing.B) (*File, []byte) {
	var data []byte
	if name := os.Getenv("DEX"); name != "" {
		var err error
		if data, err = os.ReadFile(name); err != nil {
			b.Fatal(err)
		}
	} else {
		corpus(b, 76, func(_ string, d []byte) {
			if len(d) > len(data) {
				data = d
			}
		})
	}
	files, err := Open(data)
	if err != nil {
		b.Fatal(err)
	}
	return files[0], data
}

func BenchmarkOpen(b *testing.B) {
	_, data := benchFile(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClassData(b *testing.B) {
	f, _ := benchFile(b)
	var d ClassData
	members := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range f.NumClasses() {
			if err := f.ClassData(f.Class(i), &d); err != nil {
				b.Fatal(err)
			}
			members += len(d.StaticFields) + len(d.InstanceFields) + len(d.Direct) + len(d.Virtual)
		}
	}
	b.ReportMetric(float64(members)/b.Elapsed().Seconds()/1e6, "Mmembers/s")
}

// BenchmarkDecode decodes all code of a DEX, found beforehand.
func BenchmarkDecode(b *testing.B) {
	f, _ := benchFile(b)
	var d ClassData
	var codes [][]byte
	for i := range f.NumClasses() {
		f.ClassData(f.Class(i), &d)
		for _, list := range [...][]MemberMethod{d.Direct, d.Virtual} {
			for _, m := range list {
				if code, err := f.Code(m.Code); err == nil {
					codes = append(codes, code.Insns)
				}
			}
		}
	}
	var in Insn
	insns, invokes := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for _, code := range codes {
			end := uint32(len(code) / 2)
			for pc := uint32(0); pc < end; pc = in.Next {
				if err := in.Decode(code, pc); err != nil {
					b.Fatal(err)
				}
				insns++
				if in.Op.IsInvoke() {
					invokes++
				}
			}
		}
	}
	b.ReportMetric(float64(insns)/b.Elapsed().Seconds()/1e6, "Minsns/s")
}

// BenchmarkWalk goes from the file to each instruction.
func BenchmarkWalk(b *testing.B) {
	f, _ := benchFile(b)
	var d ClassData
	var in Insn
	insns := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range f.NumClasses() {
			f.ClassData(f.Class(i), &d)
			for _, list := range [...][]MemberMethod{d.Direct, d.Virtual} {
				for _, m := range list {
					code, _ := f.Code(m.Code)
					for pc, end := uint32(0), code.Units(); pc < end; pc = in.Next {
						if err := in.Decode(code.Insns, pc); err != nil {
							b.Fatal(err)
						}
						insns++
					}
				}
			}
		}
	}
	b.ReportMetric(float64(insns)/b.Elapsed().Seconds()/1e6, "Minsns/s")
}

func BenchmarkStrings(b *testing.B) {
	f, _ := benchFile(b)
	b.ReportAllocs()
	for b.Loop() {
		for i := range f.NumStrings() {
			if f.StringData(uint32(i)) == nil {
				b.Fatal(i)
			}
		}
	}
	b.ReportMetric(float64(b.N)*float64(f.NumStrings())/b.Elapsed().Seconds()/1e6, "Mstrings/s")
}
