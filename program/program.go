// Package program models what the code of a phone can do: its classes and calls, the ways in that its
// components open, and the paths from a way in to an effect, each with a witness that can be followed in
// the bytecode and with every gate that stands on it.
//
// Build reads the DEX files that package phone found, whichever app or library they belong to, and numbers
// their classes and methods (load.go). One linear walk of all code keeps the calls (calls.go). From the few
// calls that have an effect, that ask who calls, or that yield personal data (knowledge/framework.txt), the
// walk goes back over callers: only what can reach one of them is looked at further. That is what makes a
// whole phone cheap.
//
// Then each way in of each app is interpreted (entries.go, interp.go), as the platform would drive it: the
// component is created, its life-cycle methods run, its binder, its receivers registered in code and its
// listeners are called. Values are partly known: constants, texts, objects by where they were made, and of
// everything unknown, whose data it is. While every decision is known the run follows the one path, so that
// code which decodes a constant simply decodes it; at a decision that is not known both ways are followed
// and joined where they meet (value.go). A join remembers which decision led to which constant, so that
// "allowed = checkPermission()" in a helper still gates what the caller does with the answer.
//
// What was decided on every way to an effect are its gates (gates.go). What the platform does with values
// is in knowledge where it is a fact, and in model.go where it is a rule.
//
// # What is tracked
//
// Constants of all primitive types but the arithmetic of floats and doubles; texts, also built and decoded
// ones; objects with their fields, arrays by constant index, entries of intents, bundles and maps by
// constant key; static fields and class initialisers; exceptions; calls to overrides by the object where it
// is known and by the class hierarchy where it is not and the overrides are few; threads, handlers,
// messages, tasks and listeners; intents between components of one app; reflection with known names, also of
// the platform's methods and constructors. A thrown exception goes to the callers' handlers by its type, with
// what it carries; a handler of an exception that only some instructions raise is entered only if one of them,
// or the platform with an array in hand, can have raised it.
//
// Flows drives whole apps (flows.go). Each component lives once, comes back some times, and lives again, made
// anew, if data lies where the next life finds it: static fields, preferences, the application. A listener, a
// receiver registered in code, or a fragment is called from when it is handed over until it is taken back. The
// result of an activity goes to the one that awaits it; what another app hands back may be made of what it was
// handed. What is put into an intent gets out where the intent leaves the app, and an intent that the app made
// brings nothing in. Support libraries that an app carries are modelled as the platform is (knowledge/carried.txt).
//
// # What runs by itself
//
// Remote and Sent (remote.go) drive what needs nobody at a door: receivers and services as the phone sets them off. Labels
// are put on what comes in from far away (the role "input" of the facts) instead of on a caller's data. Such a run may lead
// into other apps (peers.go), over intents and binders that they export to it; there the caller is known, and questions
// about him are answered from package phone: a check that he passes becomes a gate that does not hold, and is told.
//
// # Budgets
//
// A run has a number of steps, and a call gets most of what is left and not all. What a call would give that did not end is
// not known; if who calls may be asked in it, a gate with an unknown answer stands on the way behind it (passedBy).
//
// An intent that the outsider made is told from one that the app made: started, it counts as an effect of its own
// (redirect.go). So are messages to all apps from those to one (broadcast.go).
//
// # Files and tables
//
// What is read from a file bears the file's name, as far as code tells it, and what comes in and is written to a file or a
// preference is remembered (kept.go): so a check can be told whose list the code behind it writes, and code that is loaded from a
// file is steered by who wrote the file. Personal data that one component writes to a table and another sends is put together
// after all have run (tables.go).
//
// # The second look
//
// What following an app gave is kept on the disk (cache.go), with the questions that were asked of the rest of the phone (asks). A run
// that asks the phone something new must note it, or an entry may outlive its reasons. Numbers that depend on what else
// is on the phone (Sym, ClassID) must not decide the order of anything a run does.
//
// # What is not
//
// Native code, of which is known only that what it is given may come out; code that native code changes; what
// is shown by which way was taken, but not carried; MIME types of intents; layouts; floating point; reflection with names that are not known; calls on receivers of unknown
// class with many overrides; whatever the budgets at the head of interp.go cut. Each is counted (Stats,
// Gaps), and none is taken for harmless: it is said.
//
// To add a fact about the framework, add a line to knowledge/framework.txt; if values must go through a
// call in a way that the general rule loses, add a model.
package program

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"gifthorse/evidence"
	"gifthorse/phone"
)

// A Program is the model of all code on a phone. It is not changed after Build.
type Program struct {
	Phone *phone.Phone
	Stats Stats

	syms      *symtab
	spaces    []space
	ofPackage map[*phone.Package]int
	dexes     []dexFile
	classes   []class
	methods   []method
	externs   []extern
	subs      map[Sym][]ClassID // direct subclasses and implementers by descriptor
	boot      map[Sym]ClassID   // the classes of the boot class path, which every space uses
	bodies    []bodies
	models    map[string][]modelOf
	rules     *Rules // sources and sinks in place of knowledge's
	whole     bool   // whole apps are driven, as Flows does
	relevant  []reaches
	api       int
	paths     []Path
	remote    []Path
	sent      []Sending
	redirects []Path
	told      []Sending
	doors     doors
	gaps      []evidence.Gap
	// Where there is a cache:
	contents *contents
	asked    []map[question]bool // by space: of the phone, on the way
}

// A Site is a place in code.
type Site struct {
	Method MethodID
	Name   string // of the method it lies in
	At     evidence.Ref
}

// A Step is one step of a witness.
type Step struct {
	At   evidence.Ref
	What string
}

// Holds says what a gate is worth against the one who comes in.
type Holds uint8

// What a gate can be worth.
const (
	GateUnknown Holds = iota
	GateHolds
	GateDoesNotHold
)

func (h Holds) String() string { return [...]string{"unknown", "holds", "does not hold"}[h] }

// wellKnown are names that the interpreter looks up; they must have a Sym even if no DEX has them.
var wellKnown = strings.Fields(`run:()V call:()Ljava/lang/Object; [C [B [Ljava/lang/String; Ljava/lang/String; Ljava/lang/Class;
	Landroid/os/Parcel; Landroid/os/Message; Landroid/os/Bundle; Landroid/content/Intent; Landroid/content/ContentValues; Landroid/net/Uri;
	what:I arg1:I arg2:I obj:Ljava/lang/Object; <init>:()V <clinit>:()V handleMessage:(Landroid/os/Message;)V
	handleMessage:(Landroid/os/Message;)Z onPreExecute:()V doInBackground:([Ljava/lang/Object;)Ljava/lang/Object;
	onServiceConnected:(Landroid/content/ComponentName;Landroid/os/IBinder;)V onTransact:(ILandroid/os/Parcel;Landroid/os/Parcel;I)Z
	onFinish:()V signatures:[Landroid/content/pm/Signature; packageName:Ljava/lang/String; Landroid/content/pm/PackageInfo; Landroid/content/pm/Signature; [Landroid/content/pm/Signature; onReceive:(Landroid/content/Context;Landroid/content/Intent;)V onPostExecute:(Ljava/lang/Object;)V onActivityResult:(IILandroid/content/Intent;)V Landroid/content/SharedPreferences; Landroid/view/View; Landroid/app/PendingIntent; Landroid/content/Context; Ljava/io/File;`)

// Build reads all code of ph and finds the paths from its ways in to effects. folder is where what was
// worked out of each app is kept for the next time (cache.go); "" is nowhere.
func Build(ctx context.Context, ph *phone.Phone, folder string, progress func(evidence.Progress)) *Program {
	if progress == nil {
		progress = func(evidence.Progress) {}
	}
	p := &Program{Phone: ph, api: ph.API}
	progress(evidence.Progress{Stage: "reading code"})
	p.load(ph)
	p.scan()
	p.relevance()
	p.interpretAll(ctx, openCache(folder), progress)
	return p
}

// Paths returns every path found, by package, entry, effect and address.
func (p *Program) Paths() []Path { return p.paths }

// Gaps returns what of the code could not be read or followed.
func (p *Program) Gaps() []evidence.Gap { return p.gaps }

// interpretAll runs every way in, on all cores. Each app is one job, so that the order within it is fixed
// and what is found does not depend on the number of cores.
func (p *Program) interpretAll(ctx context.Context, cache *cache, progress func(evidence.Progress)) {
	p.findDoors()
	if cache != nil {
		p.contents, p.asked = contentsOf(p.Phone), make([]map[question]bool, len(p.spaces))
	}
	results := make([]*followed, len(p.spaces))
	var mu sync.Mutex
	done, kept := 0, false
	parallel(len(p.spaces), func(i int) {
		pkg := p.spaces[i].pkg
		if pkg == nil || ctx.Err() != nil {
			return
		}
		known := false
		if cache != nil {
			results[i], known = cache.load(p, i)
		}
		if !known {
			results[i] = p.follow(i)
			if cache != nil {
				cache.keep(p, i, results[i])
			}
		}
		mu.Lock()
		defer mu.Unlock()
		kept = kept || !known
		done++
		progress(evidence.Progress{Stage: "following ways in", Item: pkg.Name, Done: int64(done), Total: int64(len(p.ofPackage))})
	})
	if cache != nil && kept {
		cache.trim()
	}
	for _, r := range results {
		if r == nil {
			continue
		}
		p.paths = append(p.paths, r.Paths...)
		p.remote = append(p.remote, r.Remote...)
		p.sent = append(p.sent, r.Sent...)
		p.gaps = append(p.gaps, r.Gaps...)
		p.Stats.Unknown += r.Unknown
	}
	inOrder := func(a, b Path) int {
		return cmp.Or(cmp.Compare(a.Entry.Package.Name, b.Entry.Package.Name), cmp.Compare(a.Entry.What, b.Entry.What),
			cmp.Compare(a.Effect.ID, b.Effect.ID), evidence.Compare(a.At, b.At))
	}
	slices.SortStableFunc(p.paths, inOrder)
	slices.SortStableFunc(p.remote, inOrder)
	slices.SortStableFunc(p.sent, func(a, b Sending) int {
		return cmp.Or(cmp.Compare(a.Entry.Package.Name, b.Entry.Package.Name), cmp.Compare(a.Entry.What, b.Entry.What),
			cmp.Compare(a.Data.ID, b.Data.ID), evidence.Compare(a.At, b.At))
	})
	// What the outsider's own intents do, and what goes to the phone's apps only, is asked for apart.
	p.told, p.sent = apart(p.sent, func(x Sending) bool { return x.Over.Rank == "apps" })
	p.redirects, p.paths = apart(p.paths, func(x Path) bool { return x.Effect.Redirects })
}

// follow runs every way into an app, and what it does by itself.
func (p *Program) follow(sp int) *followed {
	f := new(followed)
	if p.asked != nil {
		p.asked[sp] = map[question]bool{}
	}
	var gaps []evidence.Gap
	f.Paths, f.Gaps, f.Unknown = p.interpretPackage(sp)
	f.Remote, f.Sent, gaps = p.driveAlone(sp)
	f.Gaps = append(f.Gaps, gaps...)
	return f
}

// apart divides a list into what is so and what is not, in the same order.
func apart[T any](list []T, is func(T) bool) (so, not []T) {
	for _, x := range list {
		if is(x) {
			so = append(so, x)
		} else {
			not = append(not, x)
		}
	}
	return so, not
}

// Coverage says how much of the code was read.
func (p *Program) Coverage() evidence.Coverage {
	c := evidence.Coverage{What: evidence.Code}
	for _, k := range p.Phone.Coverage {
		if k.What == evidence.Code {
			c = k
		}
	}
	c.Gaps = slices.Clone(c.Gaps)
	c.Gaps = append(c.Gaps, p.gaps...)
	if left := p.Stats.Quickened - p.Stats.Resolved; left > 0 {
		c.Gaps = append(c.Gaps, evidence.Gap{Reason: evidence.Unsupported,
			Detail: fmt.Sprintf("%d instructions that ART rewrote for this phone's boot class path could not be turned back without it", left)})
	}
	if n := p.Stats.Native; n > 0 {
		c.Gaps = append(c.Gaps, evidence.Gap{Reason: evidence.Unsupported, Detail: fmt.Sprintf("%d methods are native; their code was not read", n)})
	}
	if n := p.Stats.Unknown; n > 0 {
		c.Gaps = append(c.Gaps, evidence.Gap{Reason: evidence.Unsupported,
			Detail: fmt.Sprintf("%d calls on the ways in could not be followed, for the class of their object is not known", n)})
	}
	return c
}

// parallel calls f for 0 to n-1 on all cores and returns when all are done. f must not share what it writes.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	sem := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		wg.Go(func() {
			sem <- struct{}{}
			defer func() { <-sem }()
			f(i)
		})
	}
	wg.Wait()
}
