package gifthorse

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gifthorse/evidence"
	mk "gifthorse/internal/make"
	"gifthorse/verdict"
)

// imageKinds are the file systems of phones, with the Debian package and the arguments that make them of a folder.
var imageKinds = []struct {
	what, pkg string
	args      []string // IMAGE, FOLDER and MIB stand for what they say
}{
	{"ext4", "e2fsprogs", []string{"mkfs.ext4", "-q", "-d", "FOLDER", "IMAGE", "MIBm"}},
	{"erofs", "erofs-utils", []string{"mkfs.erofs", "--quiet", "IMAGE", "FOLDER"}},
	{"erofs lz4", "erofs-utils", []string{"mkfs.erofs", "-zlz4", "--quiet", "IMAGE", "FOLDER"}},
	{"erofs lz4hc", "erofs-utils", []string{"mkfs.erofs", "-zlz4hc", "--quiet", "IMAGE", "FOLDER"}},
	{"f2fs", "f2fs-tools", []string{"mkfs.f2fs", "-f", "-q", "IMAGE"}},
	{"squashfs", "squashfs-tools", []string{"mksquashfs", "FOLDER", "IMAGE", "-noappend", "-no-progress", "-quiet"}},
}

// makeImage makes an image of one kind of the folder, in img.
func makeImage(t *testing.T, kind int, folder, img string) {
	t.Helper()
	k := imageKinds[kind]
	var bytes, files int64
	filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if st, err := d.Info(); err == nil {
			bytes += st.Size()
			files++
		}
		return nil
	})
	mib := max((bytes*21/20+files*8192)>>20, 60) + 4
	args := slices.Clone(k.args)
	for i, a := range args {
		switch a {
		case "FOLDER":
			args[i] = folder
		case "IMAGE":
			args[i] = img
		case "MIBm":
			args[i] = strconv.FormatInt(mib, 10) + "m"
		}
	}
	if k.what == "f2fs" {
		if err := os.WriteFile(img, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(img, mib*2<<20); err != nil {
			t.Fatal(err)
		}
	}
	runTool(t, k.pkg, args...)
	if k.what == "f2fs" {
		runTool(t, k.pkg, "sload.f2fs", "-f", folder, "-t", "/", "-P", img)
	}
}

// runTool runs a tool of a Debian package, or skips the test where it is not installed.
func runTool(t *testing.T, pkg string, args ...string) {
	t.Helper()
	tool, err := exec.LookPath(args[0])
	if err != nil {
		tool = "/usr/sbin/" + args[0]
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("no %s on this machine (Debian: %s)", args[0], pkg)
		}
	}
	if out, err := exec.Command(tool, args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// A phone in images is the phone in the folder that they were made of: the same findings, the same answers.
func TestImagesAreTheFolder(t *testing.T) {
	const folder = "examples/giftphone"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no " + folder)
	}
	want := scanPath(t, folder)
	if len(want.Findings) == 0 {
		t.Fatal("the folder has no findings to compare")
	}
	for kind, k := range imageKinds {
		t.Run(k.what, func(t *testing.T) {
			dir := t.TempDir()
			img := filepath.Join(dir, "system.img")
			makeImage(t, kind, folder, img)
			sameVerdict(t, want, img)
			if kind > 1 {
				return
			}
			b, err := os.ReadFile(img)
			if err != nil {
				t.Fatal(err)
			}
			super, err := mk.Super(mk.Image{Name: "system_a", Data: b}, mk.Image{Name: "system_b"})
			if err != nil {
				t.Fatal(err)
			}
			sparse := filepath.Join(dir, "super.img")
			if err := os.WriteFile(sparse, mk.Sparse(super, 1)[0], 0o644); err != nil {
				t.Fatal(err)
			}
			sameVerdict(t, want, sparse)
		})
	}
}

func sameVerdict(t *testing.T, want *Result, p string) {
	t.Helper()
	got := scanPath(t, p)
	if g, w := ids(got), ids(want); !slices.Equal(g, w) {
		t.Errorf("%s: findings %q, in the folder %q", filepath.Base(p), g, w)
	}
	if got.Verdict.Decision.ID != want.Verdict.Decision.ID {
		t.Errorf("%s: the decision is %s, of the folder %s", filepath.Base(p), got.Verdict.Decision.ID, want.Verdict.Decision.ID)
	}
	level := func(a, b verdict.Answer) bool { return a.Question == b.Question && a.Level == b.Level }
	if !slices.EqualFunc(got.Verdict.Answers, want.Verdict.Answers, level) {
		t.Errorf("%s: answers %v, of the folder %v", filepath.Base(p), got.Verdict.Answers, want.Verdict.Answers)
	}
	if g, w := gapsBut(got), gapsBut(want); len(g) != len(w) {
		t.Errorf("%s: %d gaps, of the folder %d: %v", filepath.Base(p), len(g), len(w), g)
	}
}

// gapsBut returns the gaps that do not come of a folder's having no owners.
func gapsBut(r *Result) []evidence.Gap {
	return slices.DeleteFunc(slices.Clone(r.Gaps), func(g evidence.Gap) bool { return strings.Contains(g.Detail, "keeps no owners") })
}

// partitionsOf are the partitions of the real phone that the images are made of.
var partitionsOf = []string{"system", "vendor", "product"}

const imagePhone = "redmi_water"

// measuredPhone lays a real phone out in a folder, and beside it copies of its files under names that mean nothing, until there
// are so many bytes. It skips unless it was asked for, for it takes minutes:
//
//	GIFTHORSE_IMAGES=4096 go test -run 'TestRealPhoneAsImages|TestImageCost' -timeout 60m -v .
//
// The number is of MiB.
func measuredPhone(t *testing.T, fill bool) string {
	t.Helper()
	mib, _ := strconv.ParseInt(os.Getenv("GIFTHORSE_IMAGES"), 10, 64)
	if mib == 0 {
		t.Skip("it takes minutes: GIFTHORSE_IMAGES=4096 go test -run 'TestRealPhoneAsImages|TestImageCost' -timeout 60m -v .")
	}
	phone := filepath.Join("..", "shared", "phones", imagePhone+".zip")
	if _, err := os.Stat(phone); err != nil {
		t.Skipf("%s is not beside the checkout", phone)
	}
	ev, err := evidence.Open(t.Context(), []string{phone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Close()
	dir := t.TempDir()
	left := mib << 20
	if !fill {
		left = 1
	}
	for round := 0; left > 0; round++ {
		for _, f := range ev.Files() {
			names := f.Ref.Names()
			part, rest, ok := strings.Cut(names[len(names)-1], "/")
			if !ok || len(names) != 2 || !slices.Contains(partitionsOf, part) || f.Link != "" || round > 0 && left <= 0 {
				continue
			}
			p := filepath.Join(dir, part, rest)
			if round > 0 {
				top := part
				if part == "system" {
					top = "system/system"
				}
				p = filepath.Join(dir, top, "more", strconv.Itoa(round), rest+".copy") // which is no app and no library
			}
			b, err := f.Data()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b, 0o644); err != nil {
				t.Fatal(err)
			}
			left -= int64(len(b))
		}
	}
	return dir
}

// sparseSuper makes a sparse super partition of the folder's partitions, as a factory image has it.
func sparseSuper(t *testing.T, kind int, folder string) string {
	t.Helper()
	dir := t.TempDir()
	var parts []mk.Partition
	for _, p := range partitionsOf {
		img := filepath.Join(dir, p)
		makeImage(t, kind, filepath.Join(folder, p), img)
		st, err := os.Stat(img)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, mk.Partition{Name: p + "_a", Size: st.Size()})
	}
	head, err := mk.Metadata([]string{"super"}, parts)
	if err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(dir, "raw")
	f, err := os.Create(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(head)
	for i, p := range partitionsOf {
		img := filepath.Join(dir, p)
		in, err := os.Open(img)
		if err == nil {
			_, err = io.Copy(io.NewOffsetWriter(f, parts[i].At), in)
			in.Close()
		}
		if err == nil {
			err = f.Truncate(parts[i].At + (parts[i].Size+4095)&^4095)
		}
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(img)
	}
	sparse := filepath.Join(dir, "super.img")
	runTool(t, "android-sdk-libsparse-utils", "img2simg", raw, sparse)
	os.Remove(raw)
	return sparse
}

// A real phone in images of every kind has the verdict that it has as a folder.
func TestRealPhoneAsImages(t *testing.T) {
	folder := measuredPhone(t, false)
	want := scanPath(t, folder)
	for kind, k := range imageKinds {
		t.Run(k.what, func(t *testing.T) { sameVerdict(t, want, sparseSuper(t, kind, folder)) })
	}
}

// A phone in a sparse super image costs at most twice the processor time of the same phone as a folder, from the start of
// the program to its verdict, and the containers at most 256 MiB of memory.
func TestImageCost(t *testing.T) {
	folder := measuredPhone(t, true)
	bin := filepath.Join(t.TempDir(), "gifthorse")
	runTool(t, "golang", "go", "build", "-o", bin, "./cmd/gifthorse")
	cost := func(p string) (cpu time.Duration) {
		for range 2 { // the first brings the files into memory
			cmd := exec.Command(bin, "check", "--fresh", "--json", "/dev/null", p)
			if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 3 {
				t.Fatalf("%s: %v", p, err)
			}
			cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		return cpu
	}
	base := cost(folder)
	t.Logf("folder: %v", base)
	for _, kind := range []int{0, 1, 2} {
		t.Run(imageKinds[kind].what, func(t *testing.T) {
			img := sparseSuper(t, kind, folder)
			st, _ := os.Stat(img)
			got := cost(img)
			most := heapToRead(t, img)
			t.Logf("an image of %d MiB: %v, %.2f times the folder's; %d MiB of memory to read all of it", st.Size()>>20, got, float64(got)/float64(base), most>>20)
			if got > 2*base {
				t.Errorf("%v, the folder %v", got, base)
			}
			if most > 256<<20 {
				t.Errorf("%d bytes of memory to read all of it", most)
			}
		})
	}
}

// heapToRead opens an image and reads all its files, and returns the most memory that was in use on the way. The collector is told
// to leave little lying about: what it lets grow otherwise, up to as much again, is the program's choice and not the containers'.
func heapToRead(t *testing.T, p string) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before, most := inUse(), uint64(0)
	stop := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			most = max(most, inUse())
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	ev, err := evidence.Open(t.Context(), []string{p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Close()
	for _, f := range ev.Files() {
		if _, err := f.Data(); err != nil && f.Link == "" {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	return most - min(before, most)
}

func scanPath(t *testing.T, path string) *Result {
	t.Helper()
	r, err := Scan(t.Context(), []string{path}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func ids(r *Result) (out []string) {
	for i := range r.Findings {
		out = append(out, r.Findings[i].ID()+" "+r.Findings[i].Text())
	}
	return out
}
