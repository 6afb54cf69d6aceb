package phone

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gifthorse/evidence"
	"gifthorse/format/apk"
)

// Limits of what is read of one APK.
const (
	maxManifest  = 32 << 20  // the largest shipped manifest has some 2 MiB
	maxResources = 512 << 20 // a resource table; those of the largest apps have 30 MiB
	maxConfig    = 4 << 20   // a network security configuration
)

// Build reads a phone's text files, manifests, signatures and the places of its code. What could not be read
// is in the phone's Coverage; Build itself does not fail, but returns nil if ctx ends. progress may be nil;
// it is not called by two goroutines at once.
func Build(ctx context.Context, ev *evidence.Evidence, progress func(evidence.Progress)) *Phone {
	b := &builder{ev: ev, phone: &Phone{Evidence: ev}, cover: map[evidence.Kind]*evidence.Coverage{}, gaps: map[evidence.Kind]map[evidence.Gap]bool{}}
	for _, k := range kinds {
		b.cover[k] = &evidence.Coverage{What: k}
		b.gaps[k] = map[evidence.Gap]bool{}
	}
	b.readProperties()
	b.readInit()
	b.readSysconfig()
	b.readTrust()
	b.readADBKeys()
	b.readHosts()
	b.readVerifiedBoot(ctx)
	b.readAttestations()
	b.readStart()
	b.readDeviceNodes()
	b.readPolicy()
	b.readRootFiles()
	b.isa = b.primaryISA()
	b.cached = len(ev.Under("/data/dalvik-cache")) > 0
	b.readApps(ctx, progress)
	if ctx.Err() != nil {
		return nil
	}
	b.declare()
	b.settleGuards()
	b.applyOverrides()
	b.findPlatformSigner()
	b.grant()
	b.linkLibraries()
	b.finish()
	return b.phone
}

// kinds are the kinds of evidence, in the order of Phone.Coverage.
var kinds = []evidence.Kind{evidence.Properties, evidence.Manifests, evidence.Signatures, evidence.Code, evidence.Permissions, evidence.Init, evidence.TrustStore, evidence.VerifiedBoot, evidence.AttestedFacts, evidence.FileModes, evidence.Policy}

// A builder is what is needed while a phone is built, and not afterwards.
type builder struct {
	ev        *evidence.Evidence
	phone     *Phone
	isa       string // which the phone's apps are compiled for
	cached    bool   // /data/dalvik-cache is here
	classPath []classPathEntry
	firstBoot string // the first JAR of the boot class path on the system partition, which names the boot image
	sysconfig sysconfig
	manifests []*manifest // in order of Phone.Packages
	pointers  []string    // names of the APKs in whose place git-LFS left a pointer

	mu    sync.Mutex
	cover map[evidence.Kind]*evidence.Coverage
	gaps  map[evidence.Kind]map[evidence.Gap]bool
}

func (b *builder) listed(k evidence.Kind) { b.mu.Lock(); b.cover[k].Listed++; b.mu.Unlock() }
func (b *builder) read(k evidence.Kind)   { b.mu.Lock(); b.cover[k].Read++; b.mu.Unlock() }

// failed notes that one listed thing was not read, and why.
func (b *builder) failed(k evidence.Kind, g evidence.Gap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cover[k].Failed++
	b.gaps[k][g] = true
}

// spoiled notes that what counted as read cannot be used.
func (b *builder) spoiled(k evidence.Kind, g evidence.Gap) {
	b.mu.Lock()
	b.cover[k].Read--
	b.mu.Unlock()
	b.failed(k, g)
}

// gap notes that a part of something that was read is missing.
func (b *builder) gap(k evidence.Kind, g evidence.Gap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaps[k][g] = true
}

func (b *builder) finish() {
	for _, k := range kinds {
		c := b.cover[k]
		c.Gaps = slices.SortedFunc(maps.Keys(b.gaps[k]), func(x, y evidence.Gap) int {
			return cmp.Or(evidence.Compare(x.At, y.At), cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Detail, y.Detail))
		})
		b.phone.Coverage = append(b.phone.Coverage, *c)
	}
}

// appDirs are the folders in which the package manager looks for apps, on whichever partition. MediaTek's
// looks into plugin too.
var appDirs = []string{"app", "priv-app", "framework", "overlay", "plugin"}

// A place is what the path of an APK says of it.
type place struct {
	found      bool // by the package manager
	system     bool
	privileged bool
	folder     string // of the app alone, "" if it lies among others
}

// placeOf judges a path on the phone. Apps lie in a folder of their own below one of appDirs, or directly there
// (scanDirLI of PackageManagerService); what lies deeper is only data to it.
func placeOf(name string, api int) (p place) {
	parts := strings.Split(strings.TrimPrefix(path.Dir(name), "/"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		data, preload := parts[0] == "data", strings.HasSuffix(parts[i], "-app") && parts[i] != "priv-app" // makers' data-app, del-app
		if !slices.Contains(appDirs, parts[i]) && !preload {
			continue
		}
		if i == 0 && !preload && parts[i] != "app" {
			continue
		}
		if below := len(parts) - 1 - i; below > 1 && !data {
			return place{}
		} else if below > 0 {
			p.folder = path.Dir(name)
		}
		p.found = true
		p.system = !data && !preload
		p.privileged = p.system && (parts[i] == "priv-app" || parts[i] == "framework" || api > 0 && api < 19 && parts[0] == "system")
		return p
	}
	return p
}

// An app is an APK on its way to a package.
type app struct {
	file     *evidence.File
	place    place
	alone    bool // not part of a phone
	manifest *manifest
	code     []CodeFile
	gap      *evidence.Gap // of the code
}

func (b *builder) readApps(ctx context.Context, progress func(evidence.Progress)) {
	var apps []*app
	modules := map[*evidence.File]bool{}
	for _, a := range b.ev.Apexes() {
		modules[a.File] = true
	}
	folders := map[string]bool{} // that hold an APK
	for _, f := range b.ev.Files() {
		if strings.HasPrefix(f.Path, "/recovery-ramdisk/") {
			continue
		}
		if f.Link != "" {
			if path.Ext(f.Path) == ".apk" && b.ev.File(f.Path) == nil {
				folders[path.Dir(f.Path)] = true
				b.listed(evidence.Manifests)
				b.failed(evidence.Manifests, evidence.Gap{At: f.Ref, Reason: evidence.Absent, Detail: "a link to " + f.Link + ", which is not in what was given"})
			}
			continue
		}
		pl, alone := placeOf(f.Path, b.phone.API), b.alone(f)
		if !alone && path.Ext(f.Path) != ".apk" || modules[f] {
			continue
		}
		if alone && !isZip(f) {
			continue
		}
		if pl.folder != "" {
			folders[pl.folder] = true
		}
		apps = append(apps, &app{file: f, place: pl, alone: alone})
	}
	for _, f := range b.ev.Outside() {
		b.pointer(f)
	}
	orphans := b.orphans(folders)
	jars := b.jars()
	libs := make([]*Library, len(jars))
	b.phone.Modules = make([]*Module, len(b.ev.Apexes()))
	jobs := make([]func(), 0, len(apps)+len(jars)+len(b.phone.Modules))
	for i, a := range b.ev.Apexes() {
		jobs = append(jobs, func() {
			b.guarded(evidence.Manifests, a.File.Ref, func() { b.phone.Modules[i] = b.readModule(a) })
		})
	}
	for _, a := range apps {
		jobs = append(jobs, func() { b.guarded(evidence.Manifests, a.file.Ref, func() { b.readApp(a) }) })
	}
	for i, j := range jars {
		jobs = append(jobs, func() {
			b.guarded(evidence.Code, evidence.Ref{}.Inner(j.path), func() {
				b.listed(evidence.Code)
				l, gaps := b.library(j)
				for _, g := range gaps {
					b.gap(evidence.Code, g)
				}
				if l.Gap != nil {
					b.failed(evidence.Code, *l.Gap)
				} else {
					b.read(evidence.Code)
				}
				libs[i] = l
			})
		})
	}
	b.work(ctx, jobs, progress)
	if ctx.Err() != nil {
		return
	}
	b.phone.Modules = slices.DeleteFunc(b.phone.Modules, func(m *Module) bool { return m == nil })
	b.phone.Libraries = slices.DeleteFunc(libs, func(l *Library) bool { return l == nil })
	b.collect(apps, orphans)
}

// work runs the jobs on all cores. The order does not matter to what comes out.
func (b *builder) work(ctx context.Context, jobs []func(), progress func(evidence.Progress)) {
	var wg sync.WaitGroup
	var next, done atomic.Int64
	var say sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				jobs[i]()
				if n := done.Add(1); progress != nil {
					say.Lock()
					progress(evidence.Progress{Stage: "apps", Done: n, Total: int64(len(jobs))})
					say.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// guarded runs f. That a reader panics on one file must not end the scan: it is a gap like damage.
func (b *builder) guarded(k evidence.Kind, at evidence.Ref, f func()) {
	defer func() {
		if r := recover(); r != nil {
			b.failed(k, evidence.Gap{At: at, Reason: evidence.Damaged, Detail: fmt.Sprintf("reading it failed: %v", r)})
		}
	}()
	f()
}

// alone reports whether a file was given by itself and belongs to no partition. Then its path is its name, or
// there is no phone at all.
func (b *builder) alone(f *evidence.File) bool {
	roots := b.ev.Roots()
	if _, ok := inModule(f.Path); ok {
		return false
	}
	if len(roots) == 0 {
		return true
	}
	if path.Dir(f.Path) != "/" {
		return false
	}
	for _, r := range roots {
		if r.Path != "/" {
			continue
		}
		at := r.At.String()
		if at == "." || strings.HasPrefix(f.Ref.String(), at+"/") || strings.HasPrefix(f.Ref.String(), at+"!") {
			return false
		}
	}
	return true
}

func isZip(f *evidence.File) bool {
	data, err := f.Data()
	return err == nil && len(data) > 4 && data[0] == 'P' && data[1] == 'K'
}

// pointer notes an APK in whose place git-LFS left a pointer.
func (b *builder) pointer(f *evidence.File) {
	const lfs = "version https://git-lfs.github.com/spec/"
	names := f.Ref.Names()
	if f.Size > 1023 || f.Link != "" || len(names) == 0 || path.Ext(names[len(names)-1]) != ".apk" {
		return
	}
	if data, err := f.Data(); err == nil && bytes.HasPrefix(data, []byte(lfs)) {
		b.listed(evidence.Manifests)
		b.failed(evidence.Manifests, evidence.Gap{At: f.Ref, Reason: evidence.Absent, Detail: "a git-LFS pointer stands for the APK"})
		b.pointers = append(b.pointers, "/"+names[len(names)-1])
	}
}

// An orphan is an APK that is missing while other files of the app are there.
type orphan struct {
	apk  string
	at   evidence.Ref // one of the files
	code compiled
}

// orphans finds compiled code without its APK, and folders of apps without any. folders are those that hold
// an APK.
func (b *builder) orphans(folders map[string]bool) (out []orphan) {
	seen := map[string]bool{}
	add := func(apk string, at evidence.Ref) {
		if !seen[apk] {
			seen[apk] = true
			out = append(out, orphan{apk, at, b.compiledFor(apk)})
		}
	}
	for _, f := range b.ev.Files() {
		if strings.HasPrefix(f.Path, "/recovery-ramdisk/") || strings.HasPrefix(f.Path, "/data/") || strings.Contains(f.Path, "/framework/") {
			continue
		}
		if dir, name, ok := strings.Cut(f.Path, "/oat/"); ok && (path.Ext(name) == ".odex" || path.Ext(name) == ".vdex") {
			isa, base, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), "/")
			if slices.Contains(isas, isa) && !strings.Contains(base, "/") {
				folders[dir] = true
				if apk := dir + "/" + base + ".apk"; b.ev.File(apk) == nil {
					add(apk, f.Ref)
				}
			}
		}
	}
	for _, f := range b.ev.Files() {
		parts := strings.Split(f.Path, "/")
		for i := 2; i+2 < len(parts); i++ {
			if parts[i] != "app" && parts[i] != "priv-app" || parts[1] == "data" || parts[1] == "recovery-ramdisk" {
				continue
			}
			if folder := strings.Join(parts[:i+2], "/"); !folders[folder] {
				folders[folder] = true
				add(folder+"/"+parts[i+1]+".apk", f.Ref)
			}
			break
		}
	}
	return out
}

// readApp reads all of one APK.
func (b *builder) readApp(a *app) {
	b.listed(evidence.Manifests)
	fail := func(err error) { b.failed(evidence.Manifests, gapOf(a.file.Ref, err)) }
	data, err := a.file.Data()
	if err != nil {
		fail(err)
		return
	}
	z, err := apk.NewZip(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		fail(err)
		return
	}
	e := z.Entry("AndroidManifest.xml")
	if e == nil {
		fail(errors.New("a zip without AndroidManifest.xml, no app"))
		return
	}
	at := a.file.Ref.Inner("AndroidManifest.xml")
	raw, err := member(z, data, e, maxManifest)
	if err != nil {
		b.failed(evidence.Manifests, gapOf(at, err))
		return
	}
	root, err := apk.ParseXML(raw)
	if root == nil || root.Name != "manifest" {
		b.failed(evidence.Manifests, gapOf(at, cmp.Or(err, errors.New("its first element is not manifest"))))
		return
	}
	if err != nil {
		b.gap(evidence.Manifests, gapOf(at, err))
	}
	var res *apk.Resources
	if e := z.Entry("resources.arsc"); e != nil {
		if t, err := member(z, data, e, maxResources); err != nil {
			b.gap(evidence.Manifests, gapOf(a.file.Ref.Inner(e.Name), err))
		} else if res, err = apk.ParseResources(t); err != nil {
			b.gap(evidence.Manifests, gapOf(a.file.Ref.Inner(e.Name), err))
		}
	}
	m := readManifest(root, res, at, b.phone.API)
	m.imply(b.sysconfig.splits)
	p := m.pkg
	if p.Name == "" {
		b.failed(evidence.Manifests, gapOf(at, errors.New("it names no package")))
		return
	}
	for _, what := range m.unread {
		b.gap(evidence.Manifests, evidence.Gap{At: at, Reason: evidence.TooLarge, Detail: what})
	}
	p.File = a.file
	p.System = a.place.system
	p.Dormant = !a.place.found && !a.alone
	m.privileged = a.place.privileged
	p.ABIs = b.abis(z, a)
	b.sign(p, z)
	p.Privileged = m.privileged
	p.Cleartext = b.cleartext(m, z, data, res)
	a.code, a.gap = b.appCode(p, z, data, m.split != "")
	a.manifest = m
	b.read(evidence.Manifests)
}

// abis lists for which ABIs an app has native code.
func (b *builder) abis(z *apk.Zip, a *app) []string {
	found := map[string]bool{}
	for i := range z.Entries {
		rest, ok := strings.CutPrefix(z.Entries[i].Name, "lib/")
		if abi, _, sub := strings.Cut(rest, "/"); ok && sub && isaOf[abi] != "" {
			found[abi] = true
		}
	}
	if a.place.folder != "" && len(found) == 0 {
		for _, f := range b.ev.Under(a.place.folder + "/lib") {
			isa := path.Base(path.Dir(f.Path))
			for _, abi := range []string{"arm64-v8a", "armeabi-v7a", "x86_64", "x86"} {
				if isaOf[abi] == isa {
					found[abi] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (b *builder) cleartext(m *manifest, z *apk.Zip, data []byte, res *apk.Resources) Cleartext {
	var config *apk.Node
	at := m.pkg.Manifest
	if file := res.Resolve(m.security); strings.HasPrefix(file, "res/") || strings.HasSuffix(file, ".xml") {
		at = m.pkg.File.Ref.Inner(file)
		e := z.Entry(file)
		if e == nil {
			b.gap(evidence.Manifests, evidence.Gap{At: at, Reason: evidence.Absent, Detail: "the network security configuration is not in the APK"})
		} else if raw, err := member(z, data, e, maxConfig); err != nil {
			b.gap(evidence.Manifests, gapOf(at, err))
		} else if config, err = apk.ParseXML(raw); err != nil {
			b.gap(evidence.Manifests, gapOf(at, err))
		}
	}
	return readCleartext(m.pkg, m.cleartext, config, res, at, b.phone.API)
}

// sign finds out who signed an app.
func (b *builder) sign(p *Package, z *apk.Zip) {
	b.listed(evidence.Signatures)
	s, err := z.Verify(b.phone.API, b.phone.API)
	if err != nil {
		p.Signature = Signature{Verdict: "broken", Problem: err.Error()}
		b.failed(evidence.Signatures, gapOf(p.File.Ref, err))
		return
	}
	b.read(evidence.Signatures)
	p.Signature.Verdict = s.Verdict.String()
	signers := s.Signers
	if s.Verdict == apk.Broken {
		// PackageManager goes by the claim on a system partition, which verified boot vouches for.
		signers = s.Claimed
		if moved(s) {
			p.Signature.Verdict = "stripped"
		}
		p.Signature.Problem = strings.Join(s.Problems, "; ")
		for _, c := range s.Schemes {
			if p.Signature.Problem == "" && len(c.Problems) > 0 {
				p.Signature.Problem = c.ID.String() + ": " + c.Problems[0]
			}
		}
	}
	for _, c := range s.Schemes {
		if c.Checked {
			p.Signature.Schemes = append(p.Signature.Schemes, c.ID.String())
		}
	}
	for _, c := range signers {
		p.Signature.Signers = append(p.Signature.Signers, Signer{SHA256: hexOf(c.SHA256), Subject: c.Subject})
		p.Signature.Certificates = append(p.Signature.Certificates, string(c.Certificate))
	}
}

// moved reports whether a signature is broken by nothing but code that was taken out of the APK.
func moved(s *apk.Signatures) bool {
	if len(s.StrippedEntries) == 0 || len(s.Claimed) == 0 {
		return false
	}
	for _, e := range s.StrippedEntries {
		if !strings.HasPrefix(e, "classes") || path.Ext(e) != ".dex" {
			return false
		}
	}
	for _, p := range s.Problems {
		if !slices.ContainsFunc(s.StrippedEntries, func(e string) bool { return strings.Contains(p, e) }) {
			return false
		}
	}
	return true
}

// appCode finds the DEX files of an app: in the APK, or beside it; and behind them those that it carries among its assets.
func (b *builder) appCode(p *Package, z *apk.Zip, data []byte, split bool) ([]CodeFile, *evidence.Gap) {
	code, gaps := zipCode(z, data, p.File.Ref)
	var c compiled
	if len(code) == 0 && p.HasCode {
		c = b.compiledFor(p.File.Path)
		code = c.code
		if len(code) > 0 {
			gaps = append(gaps, c.gaps...)
		}
	}
	carried, more := carriedCode(z, data, p.File.Ref)
	gaps = append(gaps, more...)
	expected := p.HasCode && !split && p.Name != frameworkName
	if expected || len(code)+len(carried) > 0 {
		b.listed(evidence.Code)
	}
	for _, g := range gaps {
		b.gap(evidence.Code, g)
	}
	switch {
	case len(code) > 0 || len(carried) > 0 && !expected:
		b.read(evidence.Code)
	case expected:
		c.gaps = append(slices.Clone(gaps), c.gaps...)
		g := b.absentCode(p.File, c, p.ABIs)
		b.failed(evidence.Code, *g)
		return carried, g
	}
	return append(code, carried...), nil
}

// collect makes the list of packages: splits go to their base, folders without an APK become packages of
// code alone.
func (b *builder) collect(apps []*app, orphans []orphan) {
	bases, lone := map[string]*app{}, map[string]bool{}
	key := func(a *app) string { return path.Dir(a.file.Path) + "\x00" + a.manifest.pkg.Name }
	for _, a := range apps {
		if a.manifest != nil && a.manifest.split == "" && bases[key(a)] == nil {
			bases[key(a)] = a
		}
	}
	for _, a := range apps {
		if a.manifest == nil {
			continue
		}
		p := a.manifest.pkg
		p.Code, p.CodeGap = append(p.Code, a.code...), a.gap
		base := bases[key(a)]
		if a.manifest.split != "" && base != nil {
			to := base.manifest
			for _, c := range p.Components {
				c.Package = to.pkg
			}
			to.pkg.Components = append(to.pkg.Components, p.Components...)
			to.pkg.Code = append(to.pkg.Code, a.code...)
			to.guards = append(to.guards, a.manifest.guards...)
			continue
		}
		if a.manifest.split != "" && !lone[key(a)] {
			lone[key(a)] = true
			dir := path.Dir(a.file.Path)
			orphans = append(orphans, orphan{apk: dir + "/" + path.Base(dir) + ".apk", at: a.file.Ref})
		}
		if a.manifest.split != "" && len(p.Code) == 0 && len(p.Components) == 0 {
			continue // resources
		}
		b.manifests = append(b.manifests, a.manifest)
	}
	for _, o := range orphans {
		b.missing(o)
	}
	slices.SortStableFunc(b.manifests, func(x, y *manifest) int {
		return cmp.Or(cmp.Compare(x.pkg.Name, y.pkg.Name), cmp.Compare(x.pkg.path(), y.pkg.path()))
	})
	for _, m := range b.manifests {
		slices.SortStableFunc(m.pkg.Components, func(x, y *Component) int {
			return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Alias, y.Alias))
		})
		b.phone.Packages = append(b.phone.Packages, m.pkg)
	}
}

// missing notes an app whose APK is missing. If its code is here it is a package of code alone.
func (b *builder) missing(o orphan) {
	if !slices.ContainsFunc(b.pointers, func(p string) bool { return strings.HasSuffix(p, o.apk) }) {
		b.listed(evidence.Manifests)
		b.failed(evidence.Manifests, evidence.Gap{At: o.at, Reason: evidence.Absent, Detail: o.apk + " is not in what was given, though other files of the app are"})
	}
	b.listed(evidence.Code)
	if len(o.code.code) == 0 {
		where := o.apk // it stands for its code since Android 12, and where nothing was compiled
		if o.code.want != "" {
			where = o.code.want
		}
		b.failed(evidence.Code, evidence.Gap{At: o.at, Reason: evidence.Absent, Detail: "the code of the app is in " + where + ", which is not in what was given"})
		return
	}
	b.read(evidence.Code)
	for _, g := range o.code.gaps {
		b.gap(evidence.Code, g)
	}
	name := strings.TrimSuffix(path.Base(o.apk), ".apk")
	pl := placeOf(o.apk, b.phone.API)
	b.manifests = append(b.manifests, &manifest{privileged: pl.privileged, pkg: &Package{Name: name, Manifest: o.at, System: pl.system, Dormant: !pl.found,
		Process: name, HasCode: true, Code: o.code.code, Metadata: map[string]string{}, Granted: map[string]Grant{},
		Signature: Signature{Verdict: "none", Problem: "the APK is missing"}}})
}

func (p *Package) path() string {
	if p.File == nil {
		return p.Manifest.String()
	}
	return p.File.Path
}

// linkLibraries notes the shared libraries that apps need and nothing on the phone is.
func (b *builder) linkLibraries() {
	known := map[string]bool{}
	for _, l := range b.phone.Libraries {
		known[l.Name] = true
	}
	for _, m := range b.manifests {
		for _, n := range m.provides {
			known[n] = true
		}
	}
	if len(b.ev.Roots()) == 0 {
		return
	}
	targets := map[string]bool{frameworkName: true} // its gap is told once, with the permissions
	for _, m := range b.manifests {
		targets[m.pkg.Name] = true
	}
	for _, m := range b.manifests {
		for _, n := range m.requires {
			if !known[n] {
				known[n] = true // one gap for each
				b.gap(evidence.Code, evidence.Gap{At: m.pkg.Manifest, Reason: evidence.Absent, Detail: "it uses the library " + n + ", which nothing in what was given is"})
			}
		}
		if t := m.pkg.Overlay; t != "" && !targets[t] {
			targets[t] = true
			b.gap(evidence.Manifests, evidence.Gap{At: m.pkg.Manifest, Reason: evidence.Absent, Detail: "it overlays the package " + t + ", which is not in what was given"})
		}
	}
}
