package prop

import (
	"strings"
)

// A Prop is one assignment of a property file.
type Prop struct {
	Name, Value string
	Line        int
}

// Props is a property file. Line orders Set and Imports among each other: init loads an imported file where the
// import stands.
type Props struct {
	Set      []Prop
	Imports  []Import
	Problems []Problem
}

// isSpace is isspace(3) of the C locale.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// ParseProps reads build.prop, default.prop, prop.default and their like, as LoadProperties of
// system/core/init/property_service.cpp does: white space around names and values goes, '#' begins a comment only
// at the start of a line, there are no escapes, and the file ends at its first zero byte.
func ParseProps(b []byte) *Props {
	p := &Props{}
	var probs problems
	text := string(b)
	if i := strings.IndexByte(text, 0); i >= 0 {
		probs.add(1+strings.Count(text[:i], "\n"), "zero byte: init reads no further")
		// What stands before it on its line is lost as well: the newline that ends a line is looked for up to the
		// zero byte only.
		text = text[:strings.LastIndexByte(text[:i], '\n')+1]
	}
	for line := 1; text != ""; line++ {
		l, rest, _ := strings.Cut(text, "\n")
		text = rest
		l = trimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		if after, ok := strings.CutPrefix(l, "import "); ok {
			path, filter, _ := strings.Cut(trimSpace(after), " ")
			p.Imports = append(p.Imports, Import{Path: path, Filter: trimSpace(filter), Line: line})
			continue
		}
		name, value, ok := strings.Cut(l, "=")
		if !ok {
			probs.add(line, "no '=' in %q", clip(l))
			continue
		}
		name = trimSpace(name)
		if name == "" {
			probs.add(line, "no name before '='")
			continue
		}
		p.Set = append(p.Set, Prop{Name: name, Value: trimSpace(value), Line: line})
	}
	p.Problems = probs
	return p
}

// clip shortens hostile text for a message.
func clip(s string) string {
	const most = 60 // enough to recognise a line, short enough for a message
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// matches says whether an import's or a load's filter lets a name through.
func matches(filter, name string) bool {
	if filter == "" {
		return true
	}
	if prefix, ok := strings.CutSuffix(filter, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return filter == name
}

// Refusal says why init of an Android API level does not take an assignment from a property file, or "".
// Source: is_legal_property_name and PropertySet of property_service.cpp, bionic's sys/system_properties.h; the API
// levels at which the limits changed, 26 and 29, were not looked up in each release. Whether SELinux lets a vendor's
// file set the name is not judged.
func Refusal(api int, p Prop) string {
	const (
		nameMax  = 32 // PROP_NAME_MAX, a limit of names up to Android 7
		valueMax = 92 // PROP_VALUE_MAX, counts a final zero byte
	)
	n := p.Name
	switch {
	case n == "" || n[0] == '.' || n[len(n)-1] == '.' || strings.Contains(n, ".."):
		return "not a legal name"
	case api < 26 && len(n) >= nameMax:
		return "name longer than Android 7 takes"
	case len(p.Value) >= valueMax && (api < 26 || !strings.HasPrefix(n, "ro.")):
		return "value too long"
	case api >= 29 && (strings.HasPrefix(n, "ctl.") || n == "sys.powerctl" || n == "selinux.restorecon_recursive"):
		return "name with a special meaning, refused in a property file"
	}
	for i := 0; i < len(n); i++ {
		switch c := n[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		case api >= 26 && (c == '@' || c == ':'):
		default:
			return "not a legal name"
		}
	}
	return ""
}

// A Load is one step of init reading the property files at boot.
type Load struct {
	Path   string
	Unless []string // the step is left out if one of these files exists
	Filter string   // as Import.Filter
}

// LoadOrder returns the property files that init of an Android API level loads when it boots normally, in order.
//
// Up to API 28 each assignment is set at once: a property whose name begins with "ro." keeps its first value, any
// other takes the last. Since API 29 all files are first read into a map, so that the last file wins for every name.
//
// Source: system/core/init/property_service.cpp, property_load_boot_defaults with load_system_props (load_all_props up
// to Android 6), later PropertyLoadBootDefaults. Read in the AOSP mirror for API 31 and, at a commit between the two
// releases, 27 and 28; for 22, 28, 29, 30 and 33 as quoted at length by others; 23 from a port of it; 24 to 26 and 32
// are taken to be as their neighbours. Android 10 and 11 choose between /odm/etc/build.prop and the two older files by
// the vendor's policy version, and 12 looks for a partition's old files by its API level; here the newer file's
// existence decides both. /data/local.prop, which debug builds of init load last, is not listed.
func LoadOrder(api int) []Load {
	plain := func(paths ...string) (steps []Load) {
		for _, p := range paths {
			steps = append(steps, Load{Path: p})
		}
		return steps
	}
	factory := Load{Path: "/factory/factory.prop", Filter: "ro.*"}
	defaults := []Load{
		{Path: "/system/etc/prop.default"},
		{Path: "/prop.default", Unless: []string{"/system/etc/prop.default"}},
		{Path: "/default.prop", Unless: []string{"/system/etc/prop.default", "/prop.default"}},
	}
	partition := func(name string) []Load {
		now := "/" + name + "/etc/build.prop"
		return []Load{
			{Path: now},
			{Path: "/" + name + "/default.prop", Unless: []string{now}},
			{Path: "/" + name + "/build.prop", Unless: []string{now}},
		}
	}
	const debug = "/debug_ramdisk/adb_debug.prop"
	var steps []Load
	add := func(more ...Load) { steps = append(steps, more...) }
	switch {
	case api <= 22:
		add(plain("/default.prop", "/system/build.prop", "/system/default.prop", "/vendor/build.prop")...)
		add(factory)
	case api <= 25:
		add(plain("/default.prop", "/system/build.prop", "/vendor/build.prop")...)
		add(factory)
	case api <= 28:
		add(defaults...)
		if api == 28 {
			add(plain("/product/build.prop")...)
		}
		add(plain("/odm/default.prop", "/vendor/default.prop",
			"/system/build.prop", "/odm/build.prop", "/vendor/build.prop")...)
		add(factory)
	case api <= 30:
		add(defaults...)
		add(plain("/system/build.prop")...)
		if api == 30 {
			add(plain("/system_ext/build.prop")...)
		}
		add(plain("/vendor/default.prop", "/vendor/build.prop")...)
		add(partition("odm")...)
		add(plain("/product/build.prop")...)
		if api == 29 {
			add(plain("/product_services/build.prop")...)
		}
		add(factory)
		add(plain(debug)...)
	default:
		// The second stage's copy of the ramdisk's /system/etc/ramdisk/build.prop.
		add(plain("/second_stage_resources/system/etc/ramdisk/build.prop", "/system/build.prop")...)
		add(partition("system_ext")...)
		if api >= 33 {
			add(plain("/system_dlkm/etc/build.prop")...)
		}
		add(plain("/vendor/default.prop", "/vendor/build.prop",
			"/vendor_dlkm/etc/build.prop", "/odm_dlkm/etc/build.prop")...)
		add(partition("odm")...)
		add(partition("product")...)
		add(plain(debug)...)
	}
	return steps
}

// A PropFile is a property file and its path as the phone has it, "/vendor/build.prop".
type PropFile struct {
	Path string
	*Props
}

// A Setting is an assignment that did not become a property's value, and why.
type Setting struct {
	Value, From string
	Line        int
	Why         string
}

// A Resolved is a property's value after boot, and the assignment it comes from.
type Resolved struct {
	Name, Value string
	From        string // path of the file, as given to Merge; "" if init made the value up (Derived)
	Line        int
	// Derived names the property (the first, if several) from which init set this one, or is "" if a file sets it.
	Derived    string
	Overridden []Setting // in load order
}

// partitionLinks are the folders in which a partition lies that the phone does not have as a partition of its own.
// The phone reaches them by symbolic links at the root.
var partitionLinks = []struct{ folder, root string }{
	{"/system/vendor/odm/", "/odm/"},
	{"/system/vendor/", "/vendor/"},
	{"/system/product/", "/product/"},
	{"/system/system_ext/", "/system_ext/"},
	{"/vendor/odm/", "/odm/"},
}

func canonical(path string) string {
	for _, l := range partitionLinks {
		if rest, ok := strings.CutPrefix(path, l.folder); ok {
			return l.root + rest
		}
	}
	if path == "/system/etc/ramdisk/build.prop" {
		return "/second_stage_resources" + path
	}
	return path
}

// Merge loads property files as init of an Android API level does at boot and returns the properties that are set,
// in the order in which their names were first met. Files that LoadOrder does not name are not loaded unless a
// loaded file imports them; where two have the same path the first is taken. An assignment init refuses (Refusal)
// sets nothing.
//
// Properties that init sets from others are added with Derived: since API 29 ro.product.{brand, device,
// manufacturer, model, name} and ro.build.fingerprint, since API 26 the adb in persist.sys.usb.config. What the boot
// loader says (ro.boot.*, ro.hardware) comes before all files and is not known here; so an import whose path holds a
// property is expanded only from the files themselves, which init does not do up to API 29. The ABI lists, and
// persistent properties saved on /data, are not made up.
func Merge(api int, files []PropFile) []Resolved {
	m := merger{api: api, files: map[string]PropFile{}, loads: map[string]int{}, index: map[string]int{}}
	for _, f := range files {
		path := canonical(f.Path)
		if _, dup := m.files[path]; !dup && f.Props != nil {
			m.files[path] = f
		}
	}
	usbDone := api < 26
steps:
	for _, step := range LoadOrder(api) {
		if step.Path == "/system/build.prop" && api < 29 && !usbDone {
			m.deriveUSB()
			usbDone = true
		}
		for _, other := range step.Unless {
			if _, ok := m.files[other]; ok {
				continue steps
			}
		}
		m.load(step.Path, step.Filter)
	}
	if api >= 29 {
		m.deriveProduct()
		m.deriveFingerprint()
	}
	if !usbDone {
		m.deriveUSB()
	}
	return m.out
}

type merger struct {
	api   int
	files map[string]PropFile
	loads map[string]int // how often each file was loaded
	out   []Resolved
	index map[string]int // name to index in out
}

// maxLoads is how often one file is loaded. Init has no limit, and files that import each other twice would be
// loaded exponentially often; real files are imported once, or a few times with different filters.
const maxLoads = 16

func (m *merger) load(path, filter string) {
	path = canonical(path)
	f, ok := m.files[path]
	if !ok || m.loads[path] == maxLoads {
		return
	}
	m.loads[path]++
	imports := f.Imports
	if filter != "" {
		imports = nil // a filtered load follows no imports
	}
	for _, p := range f.Set {
		for len(imports) > 0 && imports[0].Line < p.Line {
			m.load(m.expand(imports[0].Path), imports[0].Filter)
			imports = imports[1:]
		}
		if matches(filter, p.Name) {
			m.set(p, f.Path)
		}
	}
	for _, i := range imports {
		m.load(m.expand(i.Path), i.Filter)
	}
}

// expand replaces ${name} and ${name:-default} in an import's path. A path it cannot expand names no file.
func (m *merger) expand(path string) string {
	const pathMax = 4096 // PATH_MAX of the kernel; keeps long values from multiplying
	var out strings.Builder
	for m.api >= 30 {
		if out.Len()+len(path) > pathMax {
			return ""
		}
		before, rest, ok := strings.Cut(path, "${")
		if !ok {
			break
		}
		name, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return ""
		}
		name, value, _ := strings.Cut(name, ":-")
		if v := m.value(name); v != "" {
			value = v
		}
		if value == "" || len(value) > pathMax {
			return ""
		}
		out.WriteString(before)
		out.WriteString(value)
		path = rest
	}
	out.WriteString(path)
	return out.String()
}

func (m *merger) value(name string) string {
	if i, ok := m.index[name]; ok {
		return m.out[i].Value
	}
	return ""
}

func (m *merger) set(p Prop, from string) {
	why := Refusal(m.api, p)
	i, known := m.index[p.Name]
	if !known {
		if why != "" {
			return
		}
		m.index[p.Name] = len(m.out)
		m.out = append(m.out, Resolved{Name: p.Name, Value: p.Value, From: from, Line: p.Line})
		return
	}
	r := &m.out[i]
	if why == "" && m.api < 29 && strings.HasPrefix(p.Name, "ro.") {
		why = "read-only and already set"
	}
	if why != "" {
		r.Overridden = append(r.Overridden, Setting{p.Value, from, p.Line, why})
		return
	}
	r.Overridden = append(r.Overridden, Setting{r.Value, r.From, r.Line, "set again later"})
	r.Value, r.From, r.Line, r.Derived = p.Value, from, p.Line, ""
}

// derive sets a property from another, as init does after loading.
func (m *merger) derive(name, value, from string) {
	m.set(Prop{Name: name, Value: value}, "")
	if i, ok := m.index[name]; ok && m.out[i].Value == value && m.out[i].From == "" {
		m.out[i].Derived = from
	}
}

// deriveProduct is property_initialize_ro_product_props.
func (m *merger) deriveProduct() {
	order := "product,odm,vendor,system_ext,system"
	allowed := " odm product system_ext system vendor "
	if m.api == 29 {
		order = "product,product_services,odm,vendor,system"
		allowed = " odm product product_services system vendor "
	}
	if own := m.value("ro.product.property_source_order"); own != "" {
		legal := true
		for s := range strings.SplitSeq(own, ",") {
			legal = legal && strings.Contains(allowed, " "+s+" ")
		}
		if legal {
			order = own
		}
	}
	for _, what := range []string{"brand", "device", "manufacturer", "model", "name"} {
		if m.value("ro.product."+what) != "" {
			continue
		}
		for source := range strings.SplitSeq(order, ",") {
			from := "ro.product." + source + "." + what
			if v := m.value(from); v != "" {
				m.derive("ro.product."+what, v, from)
				break
			}
		}
	}
}

// deriveFingerprint is property_derive_build_fingerprint.
func (m *merger) deriveFingerprint() {
	const name = "ro.build.fingerprint"
	if m.value(name) != "" {
		return
	}
	release := "ro.build.version.release_or_codename"
	if m.api == 29 {
		release = "ro.build.version.release"
	}
	value, known := "", false
	for _, part := range []string{"ro.product.brand", "/", "ro.product.name", "/", "ro.product.device", ":",
		release, "/", "ro.build.id", "/", "ro.build.version.incremental", ":", "ro.build.type", "/", "ro.build.tags"} {
		if len(part) == 1 {
			value += part
		} else if v := m.value(part); v != "" {
			value += v
			known = true
		} else {
			value += "unknown"
		}
	}
	if known { // with none of the parts there is no build.prop to speak of
		m.derive(name, value, "ro.product.brand")
	}
}

// deriveUSB is update_sys_usb_config: a debuggable phone has adb added to what its USB does.
func (m *merger) deriveUSB() {
	const name, from = "persist.sys.usb.config", "ro.debuggable"
	debuggable, known := m.index[from]
	if !known {
		return // the property is in every phone's files; without it the files are not all here
	}
	on := false
	switch m.out[debuggable].Value { // android::base::ParseBool
	case "1", "y", "yes", "on", "true":
		on = true
	}
	config := m.value(name)
	switch {
	case config == "" || config == "none" && m.api >= 30:
		if on {
			m.derive(name, "adb", from)
		} else if config == "" {
			m.derive(name, "none", from)
		}
	case on && !strings.Contains(config, "adb"):
		m.derive(name, config+",adb", from)
	}
}
