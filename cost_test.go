//go:build linux

package gifthorse

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gifthorse/check/checktest"
	"gifthorse/evidence"
	"gifthorse/format/dex"
	"gifthorse/phone"

	"golang.org/x/tools/txtar"
)

// What a scan costs, held against a yardstick that runs beside it: ../shared/tools/floor unzips, hashes, and walks the code, and does no
// more than that. Machines differ and are busy, so the bounds are ratios of processor time, taken as the median of several
// rounds, with room for noise. A plain run of the tests measures one phone once; all is measured with
//
//	GIFTHORSE_COST=5 go test -run '^TestCost$' -timeout 60m -v .
//
// where the number is of rounds.
const askForCost = "all costs take minutes: GIFTHORSE_COST=5 go test -run '^TestCost$' -timeout 60m -v ."

var costPhones = []string{"doogee_mix", "wolder", "redmi_water", "archos", "tecno_ba2"}

// The lines that were promised, and where a test fails. Where the second is far above the first, the first is not kept yet.
const (
	costLine, costFails   = 6, 18   // times unzip, hash and walk: the whole scan
	graphLine, graphFails = 2, 5    // times the walk: the call graph and what leads to effects
	appLine, appFails     = 10, 30  // times the median app, per instruction
	benchSeconds          = 8       // for all of DroidBench
	secondFails           = 0.6     // times the first look
	memoryLine            = 1 << 30 // for every input below 100 MB
)

func costRounds() int {
	n, _ := strconv.Atoi(os.Getenv("GIFTHORSE_COST"))
	return n
}

// wantCosts skips unless all costs were asked for.
func wantCosts(t *testing.T) (rounds int) {
	t.Helper()
	if rounds = costRounds(); rounds == 0 {
		t.Skip(askForCost)
	}
	return rounds
}

// builtTool builds a command of the module in dir, as it is shipped and without the race detector.
func builtTool(t *testing.T, dir, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tool")
	cmd := exec.Command("go", "build", "-C", dir, "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s in %s: %v\n%s", pkg, dir, err, out)
	}
	return bin
}

func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("costs take a while")
	}
	gifthorse := builtTool(t, ".", "./cmd/gifthorse")
	t.Run("many apps", func(t *testing.T) { costOfManyApps(t, gifthorse) })
	t.Run("DroidBench", func(t *testing.T) { costOfDroidBench(t, gifthorse) })
	dir := filepath.Join("..", "shared", "tools", "floor")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the yardstick is not beside the checkout: ", err)
	}
	floor := builtTool(t, dir, ".")
	t.Run("everything", func(t *testing.T) { costOfPhones(t, gifthorse, floor) })
	t.Run("call graph", func(t *testing.T) { costOfCallGraph(t, floor) })
	t.Run("heap", costOfHeap)
	t.Run("per app", func(t *testing.T) { costPerApp(t, floor) })
}

// A spent is what a process took: processor seconds, and the most bytes of memory, mapped files among them.
type spent struct {
	cpu    float64
	memory int64
	out    []byte
}

func spend(t *testing.T, name string, args ...string) spent {
	t.Helper()
	var out, diag bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &diag
	err := cmd.Run()
	if s := cmd.ProcessState; s == nil || !slices.Contains([]int{0, 3, 4}, s.ExitCode()) {
		t.Fatalf("%s %q: %v\n%s", name, args, err, &diag)
	}
	s := cmd.ProcessState
	return spent{(s.UserTime() + s.SystemTime()).Seconds(), s.SysUsage().(*syscall.Rusage).Maxrss << 10, out.Bytes()}
}

// processor returns the seconds that this process took so far.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	if len(x) == 0 {
		return 0
	}
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func costPhone(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join("..", "shared", "phones", name+".zip")
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not beside the checkout", file)
	}
	return file
}

// dexFiles writes out every DEX that a scan reads of a phone, wherever it lay, as a yardstick that knows no OAT and no VDEX needs
// it, each app's and each library's in a folder of its own. It returns the folder of all, the apps', and the bytes of DEX.
func dexFiles(t *testing.T, file string) (dir string, ofApp map[string]string, size int64) {
	t.Helper()
	ev, err := evidence.Open(t.Context(), []string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Close()
	ph := phone.Build(t.Context(), ev, nil)
	dir, ofApp = t.TempDir(), map[string]string{}
	write := func(code []phone.CodeFile) string {
		to, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range code {
			if c.Shared != nil {
				t.Fatalf("%s is a compact DEX, which the yardstick cannot read", c.Ref)
			}
			if err := os.WriteFile(filepath.Join(to, strconv.Itoa(i)+".dex"), unquickened(t, c.Data), 0o644); err != nil {
				t.Fatal(err)
			}
			size += int64(len(c.Data))
		}
		return to
	}
	for _, l := range ph.Libraries {
		write(l.Code)
	}
	for _, p := range ph.Packages {
		ofApp[p.Name] = write(p.Code)
	}
	return dir, ofApp, size
}

// unquickened returns a DEX in which each instruction that ART rewrote is an ordinary one of the same length. What it names is not
// restored: the yardstick counts it and does not ask.
func unquickened(t *testing.T, data []byte) []byte {
	t.Helper()
	data = bytes.Clone(data)
	files, err := dex.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	var class dex.ClassData
	var in dex.Insn
	for _, f := range files {
		for k := range f.NumClasses() {
			if err := f.ClassData(f.Class(k), &class); err != nil {
				t.Fatal(err)
			}
			for _, m := range slices.Concat(class.Direct, class.Virtual) {
				code, err := f.Code(m.Code)
				if err != nil {
					t.Fatal(err)
				}
				for pc := uint32(0); pc < code.Units() && in.Decode(code.Insns, pc) == nil; pc = in.Next {
					switch op := code.Insns[2*pc:]; {
					case in.Op == dex.OpReturnVoidNoBarrier:
						op[0] = byte(dex.OpReturnVoid)
					case in.Op.IndexKind() == dex.IndexVtable:
						op[0], op[2], op[3] = byte(dex.OpInvokeVirtual), 0, 0
					case in.Op.IndexKind() == dex.IndexQuickField:
						op[0], op[2], op[3] = byte(dex.OpIget), 0, 0
					}
				}
			}
		}
	}
	return data
}

var counted = regexp.MustCompile(` baddex=0 .* insns=(\d+) `)

// instructions returns how many instructions the yardstick counts below dir.
func instructions(t *testing.T, floor, dir string) float64 {
	t.Helper()
	m := counted.FindSubmatch(spend(t, floor, "graph", dir).out)
	if m == nil {
		t.Fatalf("the yardstick cannot read all of the code: %s", spend(t, floor, "graph", dir).out)
	}
	n, _ := strconv.ParseFloat(string(m[1]), 64)
	return n
}

// costOfPhones: a phone from its zip to the page and the report.
func costOfPhones(t *testing.T, gifthorse, floor string) {
	phones, rounds := costPhones, costRounds()
	if rounds == 0 {
		phones, rounds = phones[:1], 1
	}
	for _, name := range phones {
		t.Run(name, func(t *testing.T) {
			file := costPhone(t, name)
			dir, _, _ := dexFiles(t, file)
			page, report := filepath.Join(t.TempDir(), "page"), filepath.Join(t.TempDir(), "report")
			insns := instructions(t, floor, dir)
			var seconds, ratio, zip, graph []float64
			var memory int64
			for range rounds {
				s := spend(t, gifthorse, "check", "--fresh", "--html", page, "--json", report, file)
				var z, g []float64
				for range 5 { // it is soon done, and so its time is uncertain
					z = append(z, spend(t, floor, "zipsha", file).cpu)
					g = append(g, spend(t, floor, "graph", dir).cpu)
				}
				seconds, zip, graph = append(seconds, s.cpu), append(zip, median(z)), append(graph, median(g))
				ratio = append(ratio, s.cpu/(median(z)+median(g)))
				memory = max(memory, s.memory)
			}
			t.Logf("%.2f CPU s, %d MiB; the floor zipsha %.2f, graph %.2f: %.1f times, the line is %d; %.0f instructions per CPU second",
				median(seconds), memory>>20, median(zip), median(graph), median(ratio), costLine, insns/median(seconds))
			if r := median(ratio); r > costFails {
				t.Errorf("a scan costs %.1f times the floor", r)
			}
			if memory > memoryLine {
				t.Errorf("%d bytes of memory", memory)
			}

			// The second look at the same phone says the same, with what the first kept.
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			look := func() (spent, []byte) {
				again := filepath.Join(t.TempDir(), "again")
				s := spend(t, gifthorse, "check", "--html", page, "--json", again, file)
				return s, read(t, again)
			}
			look()
			var second []float64
			for range max(rounds, 1) {
				s, again := look()
				second = append(second, s.cpu)
				if !bytes.Equal(again, read(t, report)) {
					t.Error("the second look says something else")
				}
			}
			t.Logf("second look: %.2f CPU s, %.2f of the first", median(second), median(second)/median(seconds))
			if median(second) > secondFails*median(seconds) {
				t.Error("that is too much")
			}
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// costOfCallGraph: the names, classes, calls of a phone, and what leads to effects; nothing of the interpreter. The program's own
// part is measured by the benchmark of package program.
func costOfCallGraph(t *testing.T, floor string) {
	rounds := wantCosts(t)
	for _, name := range costPhones {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := dexFiles(t, costPhone(t, name))
			insns := instructions(t, floor, dir)
			var seconds, graph, ratio []float64
			for range rounds {
				out := spend(t, "go", "test", "-run=^$", "-bench=^BenchmarkCallGraph$/^"+name+"$", "-benchtime=5x", "./program").out
				m := regexp.MustCompile(`([\d.]+) cpu-ms`).FindSubmatch(out)
				if m == nil {
					t.Fatalf("the benchmark does not tell what it took:\n%s", out)
				}
				ms, _ := strconv.ParseFloat(string(m[1]), 64)
				var g []float64
				for range 9 {
					g = append(g, spend(t, floor, "graph", dir).cpu)
				}
				seconds, graph, ratio = append(seconds, ms/1000), append(graph, median(g)), append(ratio, ms/1000/median(g))
			}
			t.Logf("%.3f CPU s, the floor graph %.3f: %.1f times, the line is %d; %.0f instructions per CPU second",
				median(seconds), median(graph), median(ratio), graphLine, insns/median(seconds))
			if r := median(ratio); r > graphFails {
				t.Errorf("the call graph costs %.1f times the floor", r)
			}
		})
	}
}

// costOfHeap: what lives on the heap when a scan is done, code that was inflated among it; mapped files are not.
func costOfHeap(t *testing.T) {
	wantCosts(t)
	for _, name := range costPhones {
		t.Run(name, func(t *testing.T) {
			file := costPhone(t, name)
			_, _, size := dexFiles(t, file)
			before := heapInUse()
			r, err := Scan(t.Context(), []string{file}, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			all := heapInUse() - before
			runtime.KeepAlive(r)
			limit := 2*size + 64<<20
			t.Logf("%d MiB of live heap for %d MiB of DEX; the line is %d", all>>20, size>>20, limit>>20)
			if all > limit {
				t.Errorf("%d bytes of live heap, want at most %d", all, limit)
			}
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what only a finalizer held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// costPerApp: no app costs far more per instruction than the others. One core does one app after the other, so that the time
// between two reports of progress is one app's; what is done for all at once is shared out by instructions.
func costPerApp(t *testing.T, floor string) {
	wantCosts(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(300)) // as the command does
	for _, name := range costPhones {
		t.Run(name, func(t *testing.T) {
			file := costPhone(t, name)
			dir, ofApp, _ := dexFiles(t, file)
			seconds := map[string]float64{}
			var alone float64
			start := processor()
			last := start
			r, err := Scan(t.Context(), []string{file}, "", func(p evidence.Progress) {
				now := processor()
				if p.Stage == "following ways in" {
					seconds[p.Item] += now - last
					alone += now - last
				}
				last = now
			})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			common := (processor() - start - alone) / instructions(t, floor, dir)
			type app struct {
				name                     string
				insns, seconds, perMInsn float64
			}
			var apps []app
			var each []float64
			for name, dir := range ofApp {
				if n := instructions(t, floor, dir); n >= 20_000 {
					a := app{name, n, seconds[name], (seconds[name]/n + common) * 1e6}
					apps, each = append(apps, a), append(each, a.perMInsn)
				}
			}
			slices.SortFunc(apps, func(a, b app) int { return -cmp.Compare(a.perMInsn, b.perMInsn) })
			mid := median(each)
			t.Logf("%d apps of 20,000 instructions or more; median %.2f CPU s per million, %.2f of it for all at once", len(apps), mid, common*1e6)
			over := 0
			for i, a := range apps {
				times := a.perMInsn / mid
				if over += btoi(times > appLine); i < 4 || times > appLine {
					t.Logf("%s: %.0f instructions, %.2f CPU s, %.1f times the median; the line is %d", a.name, a.insns, a.seconds, times, appLine)
				}
				if times > appFails {
					t.Errorf("%s costs %.1f times the median per instruction", a.name, times)
				}
			}
			t.Logf("%d of %d apps over the line", over, len(apps))
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// costOfDroidBench: all its apps, each in a run of its own, as score-flows does.
func costOfDroidBench(t *testing.T, gifthorse string) {
	wantCosts(t)
	apps, _ := filepath.Glob(filepath.Join(droidBench, "*.apk"))
	if len(apps) == 0 {
		t.Skip("no DroidBench")
	}
	var cpu float64
	var memory int64
	for _, a := range apps {
		s := spend(t, gifthorse, "flows", "--json", "-", "--sources-sinks", filepath.Join(droidBench, "sources-sinks.txt"), a)
		cpu, memory = cpu+s.cpu, max(memory, s.memory)
	}
	t.Logf("%d apps in %.2f CPU s; the line is %d; at most %d MiB", len(apps), cpu, benchSeconds, memory>>20)
	if cpu > 2*benchSeconds {
		t.Errorf("%d apps take %.2f CPU s", len(apps), cpu)
	}
}

// manyApp is an app with a way in that leads over a helper to an effect; APP is its name.
const manyApp = `-- system/priv-app/APP/AndroidManifest.xml --
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.oem.APP" android:sharedUserId="android.uid.system">
  <uses-sdk android:minSdkVersion="21" android:targetSdkVersion="23"/>
  <permission android:name="com.oem.APP.CALL" android:protectionLevel="normal"/>
  <application>
    <receiver android:name=".Command" android:exported="true">
      <intent-filter><action android:name="com.oem.COMMAND"/></intent-filter>
    </receiver>
  </application>
</manifest>
-- system/priv-app/APP/Command.smali --
.class public Lcom/oem/APP/Command;
.super Landroid/content/BroadcastReceiver;

.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/content/BroadcastReceiver;-><init>()V
    return-void
.end method

.method public onReceive(Landroid/content/Context;Landroid/content/Intent;)V
    .registers 5
    const-string v0, "line"
    invoke-virtual {p2, v0}, Landroid/content/Intent;->getStringExtra(Ljava/lang/String;)Ljava/lang/String;
    move-result-object v0
    invoke-static {v0}, Lcom/oem/APP/Shell;->run(Ljava/lang/String;)V
    return-void
.end method
-- system/priv-app/APP/Shell.smali --
.class Lcom/oem/APP/Shell;
.super Ljava/lang/Object;

.method static run(Ljava/lang/String;)V
    .registers 2
    invoke-static {}, Ljava/lang/Runtime;->getRuntime()Ljava/lang/Runtime;
    move-result-object v0
    invoke-virtual {v0, p0}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
    return-void
.end method
`

// costOfManyApps: an app more costs as much as the one before, however many there are. All of them listen to the same action,
// share a uid and have findings.
func costOfManyApps(t *testing.T, gifthorse string) {
	few, many, rounds := 30, 150, 1
	if n := costRounds(); n > 0 {
		few, many, rounds = 100, 1000, n
	}
	dir := t.TempDir()
	upTo := 0
	cost := func(n int) (float64, int64) {
		text := bytes.NewBufferString("-- system/build.prop --\nro.build.version.sdk=23\n")
		for ; upTo < n; upTo++ {
			text.WriteString(strings.ReplaceAll(manyApp, "APP", fmt.Sprintf("app%d", upTo)))
		}
		if err := checktest.Write(dir, txtar.Parse(text.Bytes())); err != nil {
			t.Fatal(err)
		}
		var all []float64
		var s spent
		report := filepath.Join(t.TempDir(), "report")
		for range 2*rounds + 1 {
			s = spend(t, gifthorse, "check", "--fresh", "--json", report, dir)
			all = append(all, s.cpu)
		}
		b, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		if found := bytes.Count(b, []byte("calls Lcom/oem/app")); found < n {
			t.Fatalf("%d apps, and only %d times their way to the effect", n, found)
		}
		return median(all), s.memory
	}
	base, _ := cost(1)
	some, m1 := cost(few)
	all, m2 := cost(many)
	first, more := (some-base)/float64(few-1), (all-some)/float64(many-few)
	t.Logf("%d apps %.2f CPU s, %d MiB; %d apps %.2f CPU s, %d MiB: %.2f ms an app, then %.2f ms", few, some, m1>>20, many, all, m2>>20, first*1000, more*1000)
	if more > 3*first {
		t.Errorf("an app more costs %.2f ms where there are many, %.2f ms where there are few", more*1000, first*1000)
	}
}
