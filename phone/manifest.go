package phone

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/knowledge"
)

// Limits of one manifest. PackageManager keeps every component in memory and in packages.xml; the largest
// shipped manifests have some two thousand.
const (
	maxComponents = 20_000
	maxFilters    = 50_000
)

// Targets from which the platform treats an app otherwise.
const (
	targetJellyBeanMR1 = 17 // providers are no longer exported by default
	targetN            = 24 // authorities that the owner added are no longer trusted
	targetP            = 28 // cleartext is no longer permitted by default
	targetS            = 31 // a component with filters must say whether it is exported
)

// codename is the target of an app built for a platform that was not released yet: higher than all
// (Build.VERSION_CODES.CUR_DEVELOPMENT).
const codename = 10_000

// A manifest is what one AndroidManifest.xml says, before the rest of the phone is looked at.
// Parsing follows PackageParser.java (Android 6) and pkg/parsing/ParsingPackageUtils.java (Android 13).
type manifest struct {
	pkg        *Package
	split      string // name of the split, "" of a base
	privileged bool   // lies in a folder of privileged apps
	appPerm    string // permission of the application element
	protects   []string
	provides   []string // shared libraries that the app itself is
	requires   []string // of pkg.Uses, those it cannot do without
	uses       map[string]bool
	requested  map[string]bool
	security   apk.Attr // networkSecurityConfig
	cleartext  *bool    // usesCleartextTraffic, if it is said
	guards     []rawGuard
	unread     []string // what a limit cut
}

// A rawGuard is a permission whose worth is found when all permissions of the phone are known.
type rawGuard struct {
	permission string
	to         *Guard
}

type manifestReader struct {
	*manifest
	res     *apk.Resources
	api     int
	at      evidence.Ref
	enabled bool // of the application element
	filters int
}

// readManifest fills in a package from its manifest.
func readManifest(root *apk.Node, res *apk.Resources, at evidence.Ref, api int) *manifest {
	m := &manifest{pkg: &Package{Manifest: at, HasCode: true, Metadata: map[string]string{}, Granted: map[string]Grant{}},
		uses: map[string]bool{}, requested: map[string]bool{}}
	r := &manifestReader{manifest: m, res: res, api: api, at: at, enabled: true}
	p := m.pkg
	if a, ok := root.Attr("", "package"); ok {
		p.Name = a.String()
	}
	if a, ok := root.Attr("", "split"); ok {
		m.split = a.String()
	}
	if a, ok := root.Attr("", "coreApp"); ok {
		p.Core = res.Of(a).Bool(false)
	}
	p.VersionName, _ = r.text(root, "versionName")
	p.VersionCode = int64(r.integer(root, "versionCodeMajor", 0))<<32 | int64(uint32(r.integer(root, "versionCode", 0)))
	p.SharedUID, _ = r.text(root, "sharedUserId")
	p.Process = p.Name
	seen := false
	for _, n := range root.Children {
		switch n.Name {
		case "uses-sdk":
			p.MinSDK = r.sdk(n, "minSdkVersion", 1)
			p.TargetSDK = r.sdk(n, "targetSdkVersion", p.MinSDK)
		case "uses-permission", "uses-permission-sdk-23", "uses-permission-sdk-m":
			name, _ := r.text(n, "name")
			if most := r.integer(n, "maxSdkVersion", 0); name != "" && (most == 0 || api <= int(most)) {
				m.requested[name] = true
			}
		case "permission":
			if name, _ := r.text(n, "name"); name != "" {
				p.Defines = append(p.Defines, &Permission{Name: name, Level: r.level(n), By: p, At: at.At("permission "+name, n.Off)})
			}
		case "protected-broadcast":
			if name, _ := r.text(n, "name"); name != "" {
				m.protects = append(m.protects, name)
			}
		case "restrict-update":
			p.OnlyUpdate, _ = r.text(n, "hash")
		case "overlay":
			p.Overlay, _ = r.text(n, "targetPackage")
		}
	}
	for _, n := range root.Children {
		if n.Name == "application" && !seen { // a second one is passed over, as on the phone
			seen = true
			r.application(n)
		}
	}
	if !seen && p.Overlay != "" {
		p.HasCode = false
	}
	p.Uses = slices.Sorted(maps.Keys(m.uses))
	slices.SortFunc(p.Defines, func(a, b *Permission) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(m.requires)
	slices.Sort(m.protects)
	return m
}

// A splitPermission is given with another to apps that target less than some API level: the platform once
// took the one apart into both.
type splitPermission struct {
	name   string
	with   []string
	target int // 0: whatever the app targets
}

// splitPermissions are those that were fixed in PackageParser.java (SPLIT_PERMISSIONS) before they moved into
// permission files with Android 10.
var splitPermissions = []splitPermission{
	{"android.permission.WRITE_EXTERNAL_STORAGE", []string{"android.permission.READ_EXTERNAL_STORAGE"}, 0},
	{"android.permission.READ_CONTACTS", []string{"android.permission.READ_CALL_LOG"}, 16},
	{"android.permission.WRITE_CONTACTS", []string{"android.permission.WRITE_CALL_LOG"}, 16},
}

// imply adds the permissions that come with others, and those that every app has that was made before they
// were invented (PackageParser.NEW_PERMISSIONS).
func (m *manifest) imply(splits []splitPermission) {
	p := m.pkg
	if p.TargetSDK < 4 {
		m.requested["android.permission.WRITE_EXTERNAL_STORAGE"] = true
		m.requested["android.permission.READ_PHONE_STATE"] = true
	}
	for _, s := range splits {
		if m.requested[s.name] && (s.target == 0 || p.TargetSDK < s.target) {
			for _, w := range s.with {
				m.requested[w] = true
			}
		}
	}
	p.Requested = slices.Sorted(maps.Keys(m.requested))
}

// text returns an attribute with references followed. ok is false if it is not there or is @null.
func (r *manifestReader) text(n *apk.Node, name string) (s string, ok bool) {
	a, ok := n.Find(name)
	if !ok {
		return "", false
	}
	v := r.res.Of(a)
	if v.IsBag || v.Type == apk.TypeNull && v.Data != 1 {
		return "", false
	}
	return v.Text(), true
}

func (r *manifestReader) boolean(n *apk.Node, name string, def bool) bool {
	a, ok := n.Find(name)
	if !ok {
		return def
	}
	return r.res.Of(a).Bool(def)
}

func (r *manifestReader) integer(n *apk.Node, name string, def int32) int32 {
	a, ok := n.Find(name)
	if !ok {
		return def
	}
	return r.res.Of(a).Int(def)
}

// sdk reads an API level, which may be a codename.
func (r *manifestReader) sdk(n *apk.Node, name string, def int) int {
	a, ok := n.Find(name)
	if !ok {
		return def
	}
	v := r.res.Of(a)
	if s := v.Text(); v.Type == apk.TypeString && s != "" {
		if k, err := strconv.Atoi(s); err == nil {
			return k
		}
		return codename
	}
	return int(v.Int(int32(def)))
}

func (r *manifestReader) level(n *apk.Node) knowledge.Level {
	a, ok := n.Find("protectionLevel")
	if !ok {
		return knowledge.LevelOf(0)
	}
	if v := r.res.Of(a); v.Type == apk.TypeString {
		return knowledge.ParseLevel(v.String)
	}
	return knowledge.LevelOf(int(r.res.Of(a).Int(0)))
}

// className makes the full name of a class as ParsingUtils.buildClassName does.
func className(pkg, name string) string {
	switch {
	case name == "":
		return ""
	case name[0] == '.':
		return pkg + name
	case !strings.Contains(name, "."):
		return pkg + "." + name
	}
	return name
}

// descriptor turns "com.a.B" into "Lcom/a/B;".
func descriptor(class string) string {
	if class == "" {
		return ""
	}
	return "L" + strings.ReplaceAll(class, ".", "/") + ";"
}

// processName makes a process's name as ParsingUtils.buildProcessName does.
func processName(pkg, own, def string) string {
	switch {
	case own == "":
		return def
	case own[0] == ':':
		return pkg + own
	}
	return own
}

func (r *manifestReader) application(app *apk.Node) {
	p := r.pkg
	p.Label, _ = r.text(app, "label")
	if strings.HasPrefix(p.Label, "@") {
		p.Label = "" // leads to a table that is not here
	}
	p.Debuggable = r.boolean(app, "debuggable", false)
	p.Persistent = r.boolean(app, "persistent", false)
	p.TestOnly = r.boolean(app, "testOnly", false)
	p.HasCode = r.boolean(app, "hasCode", true)
	name, _ := r.text(app, "name")
	p.AppClass = descriptor(className(p.Name, name))
	own, _ := r.text(app, "process")
	p.Process = processName(p.Name, own, p.Name)
	r.appPerm, _ = r.text(app, "permission")
	r.enabled = r.boolean(app, "enabled", true)
	r.security, _ = app.Find("networkSecurityConfig")
	if _, ok := app.Find("usesCleartextTraffic"); ok {
		yes := r.boolean(app, "usesCleartextTraffic", true)
		r.cleartext = &yes
	}
	byName := map[string]*Component{} // activities, for aliases
	for _, n := range app.Children {
		if len(p.Components) >= maxComponents {
			r.unread = append(r.unread, "more than "+strconv.Itoa(maxComponents)+" components")
			break
		}
		switch n.Name {
		case "activity":
			if c := r.component(n, KindActivity); c != nil {
				byName[c.Name] = c
			}
		case "receiver":
			r.component(n, KindReceiver)
		case "service":
			r.component(n, KindService)
		case "provider":
			r.component(n, KindProvider)
		case "activity-alias":
			r.alias(n, byName)
		case "meta-data":
			r.metadata(n)
		case "uses-library":
			if name, _ := r.text(n, "name"); name != "" {
				r.uses[name] = true
				if r.boolean(n, "required", true) {
					r.requires = append(r.requires, name)
				}
			}
		case "library", "static-library", "sdk-library":
			if name, _ := r.text(n, "name"); name != "" {
				r.provides = append(r.provides, name)
			}
		}
	}
}

func (r *manifestReader) metadata(n *apk.Node) {
	name, _ := r.text(n, "name")
	if name == "" {
		return
	}
	value, ok := r.text(n, "value")
	if !ok {
		if a, found := n.Find("resource"); found {
			value = r.res.Name(a.Data)
			if value == "" {
				value = a.String()
			} else {
				value = "@" + value
			}
		}
	}
	r.pkg.Metadata[name] = value
}

func (r *manifestReader) component(n *apk.Node, kind Kind) *Component {
	p := r.pkg
	name, _ := r.text(n, "name")
	if name == "" {
		return nil
	}
	class := className(p.Name, name)
	c := &Component{Package: p, Kind: kind, Name: descriptor(class), At: r.at.At(string(kind)+" "+class, n.Off)}
	c.Enabled = r.enabled && r.boolean(n, "enabled", true)
	own, _ := r.text(n, "process")
	c.Process = processName(p.Name, own, p.Process)
	r.readFilters(n, c)
	r.export(n, c)
	perm, said := r.text(n, "permission")
	if kind == KindProvider {
		c.GrantURI = r.boolean(n, "grantUriPermissions", false)
		if list, _ := r.text(n, "authorities"); list != "" {
			for a := range strings.SplitSeq(list, ";") {
				if a = strings.TrimSpace(a); a != "" {
					c.Authorities = append(c.Authorities, a)
				}
			}
		}
		read, write := r.providerGuard(n, "readPermission", perm, said), r.providerGuard(n, "writePermission", perm, said)
		r.guard(read, &c.Read)
		r.guard(write, &c.Write)
		if read == write {
			r.guard(read, &c.Guard)
		}
		r.paths(n, c)
	} else {
		if !said {
			perm = r.appPerm
		}
		r.guard(perm, &c.Guard)
	}
	p.Components = append(p.Components, c)
	return c
}

// providerGuard is the permission to read or write a provider: its own, else that for both, else the
// application's. An empty text takes the guard away (parseProvider).
func (r *manifestReader) providerGuard(n *apk.Node, attr, both string, bothSaid bool) string {
	if own, said := r.text(n, attr); said {
		return own
	}
	if bothSaid {
		return both
	}
	return r.appPerm
}

func (r *manifestReader) guard(permission string, to *Guard) {
	if permission != "" {
		r.guards = append(r.guards, rawGuard{permission, to})
	}
}

// paths reads the parts of a provider that have guards of their own. Who holds such a permission may use
// that part without the permission of the whole.
func (r *manifestReader) paths(n *apk.Node, c *Component) {
	// The guards are pointed at, so the slice must not grow afterwards.
	c.Paths = make([]PathPermission, 0, len(n.Children))
	for _, k := range n.Children {
		if k.Name != "path-permission" {
			continue
		}
		both, bothSaid := r.text(k, "permission")
		pp := PathPermission{}
		pp.Path, _ = r.text(k, "path")
		pp.Prefix, _ = r.text(k, "pathPrefix")
		pp.Pattern, _ = r.text(k, "pathPattern")
		read, said := r.text(k, "readPermission")
		if !said && bothSaid {
			read = both
		}
		write, said := r.text(k, "writePermission")
		if !said && bothSaid {
			write = both
		}
		if read == "" && write == "" || pp.Path == "" && pp.Prefix == "" && pp.Pattern == "" {
			continue // PackageParser warns and ignores it
		}
		c.Paths = append(c.Paths, pp)
		last := &c.Paths[len(c.Paths)-1]
		r.guard(read, &last.Read)
		r.guard(write, &last.Write)
	}
	c.Paths = slices.Clip(c.Paths)
	if len(c.Paths) == 0 {
		c.Paths = nil
	}
}

func (r *manifestReader) readFilters(n *apk.Node, c *Component) {
	for _, k := range n.Children {
		if k.Name != "intent-filter" {
			continue
		}
		if r.filters++; r.filters > maxFilters {
			if r.filters == maxFilters+1 {
				r.unread = append(r.unread, "more than "+strconv.Itoa(maxFilters)+" intent filters")
			}
			return
		}
		f := Filter{Priority: int(r.integer(k, "priority", 0))}
		for _, d := range k.Children {
			switch d.Name {
			case "action":
				f.Actions = appendText(f.Actions, r, d, "name")
			case "category":
				f.Categories = appendText(f.Categories, r, d, "name")
			case "data":
				f.Schemes = appendText(f.Schemes, r, d, "scheme")
				f.Hosts = appendText(f.Hosts, r, d, "host")
			}
		}
		// PackageParser takes no filter without an action for an activity or a receiver, but for a service.
		if len(f.Actions) == 0 && (c.Kind == KindActivity || c.Kind == KindReceiver) {
			continue
		}
		c.Filters = append(c.Filters, f)
	}
}

func appendText(list []string, r *manifestReader, n *apk.Node, attr string) []string {
	if s, _ := r.text(n, attr); s != "" && !slices.Contains(list, s) {
		return append(list, s)
	}
	return list
}

// export finds whether others may reach a component.
func (r *manifestReader) export(n *apk.Node, c *Component) {
	if _, c.Declared = n.Find("exported"); c.Declared {
		c.Exported = r.boolean(n, "exported", exportedByDefault(c, r.pkg.TargetSDK, r.api))
		return
	}
	c.Exported = exportedByDefault(c, r.pkg.TargetSDK, r.api)
}

// exportedByDefault is what a platform of an API level (0: not known, a new one) takes a component for that
// does not say whether it is exported.
func exportedByDefault(c *Component, target, api int) bool {
	if c.Kind == KindProvider {
		return api != 0 && api < targetJellyBeanMR1 || target < targetJellyBeanMR1
	}
	if target >= targetS && (api == 0 || api >= targetS) {
		return false // with filters the app is not even installed
	}
	return len(c.Filters) > 0
}

// alias reads an activity-alias. It shares class and process with its target and has all else of its own,
// the permission too: none if it names none (parseActivityAlias).
func (r *manifestReader) alias(n *apk.Node, activities map[string]*Component) {
	p := r.pkg
	name, _ := r.text(n, "name")
	to, _ := r.text(n, "targetActivity")
	if name == "" || to == "" {
		return
	}
	class := className(p.Name, name)
	c := &Component{Package: p, Kind: KindActivity, Name: descriptor(className(p.Name, to)), Alias: descriptor(class),
		At: r.at.At("activity-alias "+class, n.Off), Process: p.Process}
	c.Enabled = r.enabled && r.boolean(n, "enabled", true)
	if t := activities[c.Name]; t != nil {
		c.Process = t.Process
	}
	r.readFilters(n, c)
	r.export(n, c)
	perm, _ := r.text(n, "permission")
	r.guard(perm, &c.Guard)
	p.Components = append(p.Components, c)
}
