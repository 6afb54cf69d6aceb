package evidence

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// partitions are the partitions with files of the running system, by the names that fstab, images and dumps
// give them, and where init mounts them. Sources: AOSP build/make/core/Makefile and
// system/core/fs_mgr; the fstab of vendors for cust, mi_ext, my_*, tr_*, prism, optics, preload.
var partitions = map[string]string{
	"system": "/system", "vendor": "/vendor", "product": "/product", "system_ext": "/system_ext",
	"odm": "/odm", "oem": "/oem", "system_other": "/system_other",
	"vendor_dlkm": "/vendor_dlkm", "odm_dlkm": "/odm_dlkm", "system_dlkm": "/system_dlkm",
	"cust": "/cust", "mi_ext": "/mi_ext", // Xiaomi
	"prism": "/prism", "optics": "/optics", "preload": "/preload", // Samsung, others
	"hw_product": "/hw_product", "version": "/version", // Huawei
	"product_h": "/product_h", "carrier": "/carrier",
	"data": "/data", "userdata": "/data",
}

// partitionPrefixes name families of partitions: OPPO, OnePlus and realme; Transsion.
var partitionPrefixes = []string{"my_", "tr_"}

// decorations are what unpackers and build systems put around a partition's name, behind it and, with
// binwalk's underscore, before it.
var decorations = []string{
	".d", ".extracted", "_extracted", ".unpacked", "_unpacked", ".out", "_out",
	".img", ".raw", ".bin", ".ext4", ".erofs", ".new", ".dat", ".br", "_image", ".image", "_sparse", "_a", "_b",
	".simg", ".tar", ".tgz", ".zip", ".gz", ".xz", ".bz2", ".zst", ".lz4",
}

// undecorated returns the name of the partition or image inside a folder's or an archive's name, which may
// be none.
func undecorated(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for {
		if partitions[name] != "" {
			return name
		}
		was := name
		for _, d := range decorations {
			if s, ok := strings.CutSuffix(name, d); ok && s != "" {
				name = s
				break
			}
		}
		if name == was {
			name = strings.TrimPrefix(name, "_")
		}
		if name == was {
			return name
		}
	}
}

// partitionOf returns the mount point that a folder's or an archive's name stands for, or "".
func partitionOf(name string) string {
	name = undecorated(name)
	if p := partitions[name]; p != "" {
		return p
	}
	for _, p := range partitionPrefixes {
		if strings.HasPrefix(name, p) && len(name) > len(p) {
			return "/" + name
		}
	}
	return ""
}

// A dir is a directory of a tree, with what decides which partition it is.
type dir struct {
	path string // with a slash at its end, or "" for the top
	dirs map[string]*dir
	has  map[string]bool // telling files, by name
}

// tellingFiles are the files that say what a directory is.
var tellingFiles = set("build.prop", "init.rc", "default.prop", "prop.default", "init.environ.rc", "ueventd.rc", "recovery", "fstab")

// partitionDirs are the directories that partitions have at their top, partitionsInside those that are
// partitions on some phones and directories of another partition on others.
var (
	partitionDirs = set("app", "priv-app", "framework", "etc", "bin", "lib", "lib64", "xbin", "usr", "apex", "media", "fonts",
		"overlay", "firmware", "data-app", "del-app", "plugin", "operator", "rfs", "dsp")
	partitionsInside = set("vendor", "product", "system_ext", "odm")
)

// dataDirs are the directories of /data, rootDirs those of a root file system that no partition has.
var (
	dataDirs = set("app", "data", "system", "misc", "local", "dalvik-cache", "user", "user_de", "property", "app-private", "adb")
	rootDirs = set("acct", "apex", "d", "data", "debug_ramdisk", "dev", "linkerconfig", "metadata", "mnt", "postinstall", "proc",
		"sbin", "second_stage_resources", "storage", "sys")
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func (d *dir) count(known map[string]bool) int {
	n := 0
	for name := range d.dirs {
		if known[name] {
			n++
		}
	}
	return n
}

// child returns the directory of that name in whatever case, or nil.
func (d *dir) child(name string) *dir {
	if sub := d.dirs[name]; sub != nil {
		return sub
	}
	for _, n := range d.names() {
		if strings.EqualFold(n, name) {
			return d.dirs[n]
		}
	}
	return nil
}

func (d *dir) names() []string {
	names := make([]string, 0, len(d.dirs))
	for n := range d.dirs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// weight says how much a directory looks like a partition by what it holds itself.
func (d *dir) weight() int {
	n := d.count(partitionDirs)
	if d.has["build.prop"] {
		n++
	}
	return n
}

// looksLike reports whether a directory that is called as a partition can be it.
func (d *dir) looksLike(mount string) bool {
	if mount == "/data" {
		return d.count(dataDirs) >= 2
	}
	return d.weight()+d.count(partitionsInside) > 0
}

// systemIn returns the directory of the system partition in a system image with its root, or nil.
func (d *dir) systemIn() *dir {
	if s := d.child("system"); s != nil && s.weight() > 0 {
		return s
	}
	return nil
}

// contents passes down through directories that hold nothing but one directory, which unpackers make around
// the contents of an image, to the one that looks like the partition; it returns nil if there is none.
func (d *dir) contents(mount string) *dir {
	for range 3 {
		if d.looksLike(mount) || mount == "/system" && d.systemIn() != nil {
			return d
		}
		if len(d.dirs) != 1 {
			return nil
		}
		d = d.dirs[d.names()[0]]
	}
	return nil
}

// isRoot reports whether d is the root of a file system of a phone.
func (d *dir) isRoot() bool {
	return d.has["init.rc"] || d.has["init.environ.rc"] || d.has["default.prop"] || d.has["prop.default"] ||
		d.has["ueventd.rc"] || d.count(rootDirs) >= 4
}

// isRecovery reports whether a ramdisk starts the recovery system, if only when asked to.
func (d *dir) isRecovery() bool {
	if s := d.dirs["sbin"]; s != nil && s.has["recovery"] {
		return true
	}
	if s := d.dirs["system"]; s != nil && s.dirs["bin"] != nil && s.dirs["bin"].has["recovery"] {
		return true
	}
	return d.dirs["first_stage_ramdisk"] != nil
}

// maxWrappers is how many folders may lie around a phone's files: an archive's own name, "out", "target",
// a date. More would find the trees that toolkits carry along.
const maxWrappers = 4

// maxTreeDepth is how deep directories are told apart: wrappers, a partition, what an unpacker puts into it,
// and two levels that say what it is.
const maxTreeDepth = maxWrappers + 5

// A tree is the list of one container.
type tree struct {
	at      Ref    // of the container; zero for a folder that needs no name
	hint    string // the container's name, which may be a partition's
	entries []entry

	partitions bool // the entries are partitions, called as the phone calls them

	// claims are the directories that are on the phone: path in the tree, with a slash at its end, to path there.
	// A directory of the phone that was found before has "-".
	claims map[string]string
}

// An entry is a file by its name in its container.
type entry struct {
	name string
	file *File
}

// cleanName takes apart a name in a container. It is nil if the name climbs out.
func cleanName(name string) []string {
	parts := strings.Split(name, "/")
	out := parts[:0]
	for _, p := range parts {
		switch p {
		case "", ".":
		case "..":
			return nil
		default:
			out = append(out, p)
		}
	}
	return out
}

// maxDirs is how many directories are told apart. A whole phone has some 30000; a directory takes 400 bytes.
const maxDirs = 300_000

// top makes the directories of a tree. whole is false if there are too many.
func (t *tree) top() (top *dir, whole bool) {
	top, n := &dir{}, 0
	for _, ent := range t.entries {
		d := top
		parts := cleanName(ent.name)
		for i, p := range parts {
			if i == maxTreeDepth {
				break
			}
			if i == len(parts)-1 {
				if tellingFiles[p] {
					if d.has == nil {
						d.has = map[string]bool{}
					}
					d.has[p] = true
				}
				break
			}
			sub := d.dirs[p]
			if sub == nil {
				if n++; n > maxDirs {
					return top, false
				}
				if d.dirs == nil {
					d.dirs = map[string]*dir{}
				}
				sub = &dir{path: d.path + p + "/"}
				d.dirs[p] = sub
			}
			d = sub
		}
	}
	return top, true
}

// place returns the directory of the tree that an entry's path on the phone is decided by, and the rest of
// the entry's name. ok is false if the entry lies outside of the phone.
func (t *tree) place(name string) (claim, rest string, ok bool) {
	parts := cleanName(name)
	if len(parts) == 0 {
		return "", "", false
	}
	full := strings.Join(parts, "/")
	end := 0
	for range maxTreeDepth + 1 {
		if m := t.claims[full[:end]]; m != "" {
			claim, ok = full[:end], m != "-"
		}
		i := strings.IndexByte(full[end:], '/')
		if i < 0 {
			break
		}
		end += i + 1
	}
	return claim, full[len(claim):], ok
}

// Ramdisks are mounted where no partition is. A ramdisk stands at its claim until it is known whether it is
// the root.
const (
	bootRamdisk     = "/boot-ramdisk"
	recoveryRamdisk = "/recovery-ramdisk"
	vendorRamdisk   = "/vendor-ramdisk"
)

// ramdisks are the images with a ramdisk, by name, and where it goes.
var ramdisks = map[string]string{
	"boot": bootRamdisk, "init_boot": bootRamdisk, "recovery": recoveryRamdisk,
	"vendor_boot": vendorRamdisk, "vendor_kernel_boot": vendorRamdisk,
}

// A layout finds the partitions in trees. What one tree has taken, no later one gets.
type layout struct {
	e      *Evidence
	taken  map[string]bool // mount points
	rooted bool            // a root was found that is no ramdisk, so no ramdisk is the root
	legacy []*claim        // ramdisks that are the root if nothing else is
}

type claim struct {
	t     *tree
	d     *dir
	mount string
}

// find looks for partitions in a tree, level by level from its top.
func (l *layout) find(t *tree) {
	t.claims = map[string]string{}
	top, whole := t.top()
	if !whole {
		l.e.note(t.dirRef(top), TooLarge, fmt.Sprintf("more than %d folders; partitions are looked for in the first", maxDirs))
	}
	level := []*dir{top}
	for depth := 0; depth <= maxWrappers && len(level) > 0; depth++ {
		first := len(t.claims) == 0
		for _, d := range level {
			hint := t.hint
			if d != top {
				hint = d.path[strings.LastIndexByte(d.path[:len(d.path)-1], '/')+1 : len(d.path)-1]
			}
			l.look(t, d, hint, first)
		}
		var next []*dir
		for _, d := range level {
			if t.claims[d.path] == "-" || t.claims[d.path] != "" && t.claims[d.path] != "/" {
				continue
			}
			for _, n := range d.names() {
				if sub := d.dirs[n]; t.claims[sub.path] == "" {
					next = append(next, sub)
				}
			}
		}
		level = next
	}
}

// findImage decides what the file system of an image is. It is called by its first name that means something:
// that of the file, where it was mounted, its label.
func (l *layout) findImage(t *tree, names []string) {
	t.claims = map[string]string{}
	top, whole := t.top()
	if !whole {
		l.e.note(t.at, TooLarge, fmt.Sprintf("more than %d folders; the partition is known by the first", maxDirs))
	}
	system := top.systemIn()
	mount := ""
	for i, n := range names {
		if mount = partitionOf(path.Base(n)); mount == "" && i > 0 && n == "/" && system != nil {
			mount = "/system"
		}
		if mount != "" {
			break
		}
	}
	switch {
	case mount != "":
	case system != nil:
		mount = "/system"
	case top.count(dataDirs) >= 4:
		mount = "/data"
	default:
		mount = top.bare("", true)
	}
	switch {
	case mount == "":
	case mount != "/system" || system == nil:
		l.claim(t, top, mount)
	case l.claim(t, system, mount):
		l.rooted = true
		l.claim(t, top, "/")
	default:
		t.claims[top.path] = "-"
	}
}

// findRamdisk places a ramdisk at mount, or if that is "" by what it holds.
func (l *layout) findRamdisk(t *tree, mount string) {
	t.claims = map[string]string{}
	top, _ := t.top()
	switch {
	case mount != "":
	case top.isRecovery() && top.dirs["first_stage_ramdisk"] == nil:
		mount = recoveryRamdisk
	default:
		mount = bootRamdisk
	}
	if l.claim(t, top, mount) && mount == bootRamdisk && top.has["init.rc"] && !top.isRecovery() {
		l.legacy = append(l.legacy, &claim{t, top, mount})
	}
}

// look decides whether d is a partition or holds some. If partitions were found further up, first is false
// and only what cannot be anything else is taken.
func (l *layout) look(t *tree, d *dir, hint string, first bool) {
	least := 1
	if !first {
		least = 2
	}
	system := d.child("system")
	if system != nil {
		system = system.contents("/system")
	}
	if system == nil {
		if mount := d.bare(hint, first); mount != "" && (first || !l.taken[mount]) {
			l.claim(t, d, mount)
			return
		}
	}
	found := false
	for _, n := range d.names() {
		mount := partitionOf(n)
		if mount == "" {
			continue
		}
		sub := d.dirs[n].contents(mount)
		if sub == nil {
			continue
		}
		if inner := sub.systemIn(); mount == "/system" && inner != nil {
			if l.claim(t, inner, "/system") {
				l.rooted = true
				l.claim(t, sub, "/")
			} else {
				t.claims[sub.path] = "-"
			}
			found = true
		} else if first || sub.weight() >= least {
			l.claim(t, sub, mount)
			found = true
		}
	}
	for _, n := range d.names() {
		sub := d.dirs[n]
		if strings.EqualFold(n, "root") && found && sub.isRoot() { // target files of AOSP's build
			l.rooted = true
			l.claim(t, sub, "/")
			continue
		}
		mount := ramdisks[undecorated(n)]
		if r := sub.child("ramdisk"); mount != "" && r != nil {
			sub = r
		} else if strings.EqualFold(n, "ramdisk") && sub.isRoot() {
			mount = bootRamdisk
		} else {
			continue
		}
		if mount == bootRamdisk && sub.has["init.rc"] && !sub.isRecovery() {
			l.legacy = append(l.legacy, &claim{t, sub, mount})
		}
		if l.claim(t, sub, mount) {
			found = true
		}
	}
	if found && system != nil && d.isRoot() {
		l.rooted = true
		l.claim(t, d, "/")
	}
}

// bare returns the mount point of a directory that is a partition without being called one by its parent,
// or "".
func (d *dir) bare(hint string, first bool) string {
	w := d.weight()
	if mount := partitionOf(hint); mount != "" {
		if mount == "/data" && d.looksLike(mount) || mount != "/data" && (w > 1 || w > 0 && first) {
			return mount
		}
		return ""
	}
	if !first || w < 2 || !d.has["build.prop"] && d.dirs["app"] == nil && d.dirs["priv-app"] == nil && d.dirs["framework"] == nil {
		return ""
	}
	if d.dirs["framework"] == nil && d.dirs["priv-app"] == nil && d.dirs["firmware"] != nil {
		return "/vendor"
	}
	return "/system"
}

// claim takes a directory as what is mounted at mount, and reports whether it got it. The root can be taken
// several times: the outer level of a system image and a folder of odds and ends make it up together.
func (l *layout) claim(t *tree, d *dir, mount string) bool {
	if t.claims[d.path] != "" {
		return false
	}
	if l.taken[mount] && mount != "/" {
		what := fmt.Sprintf("a second tree for %s; the first is read", mount)
		if names := t.at.Names(); len(names) > 0 && otherSlot(names[len(names)-1]) {
			what = fmt.Sprintf("the second slot's tree for %s; the first slot is read, and which of them the phone starts is not in what was read", mount)
		}
		l.e.note(t.dirRef(d), Damaged, what)
		t.claims[d.path] = "-"
		return false
	}
	if !l.taken[mount] {
		l.e.roots = append(l.e.roots, Root{mount, t.dirRef(d)})
	}
	l.taken[mount] = true
	t.claims[d.path] = mount
	return true
}

func (t *tree) dirRef(d *dir) Ref {
	switch {
	case d.path != "":
		return t.at.Inner(strings.TrimSuffix(d.path, "/"))
	case t.at == Ref{}:
		return t.at.Inner(".")
	}
	return t.at
}

// settle makes the first ramdisk the root if nothing else is.
func (l *layout) settle() {
	if l.rooted {
		return
	}
	for _, c := range l.legacy {
		if c.t.claims[c.d.path] != c.mount {
			continue
		}
		c.t.claims[c.d.path] = "/"
		for i, r := range l.e.roots {
			if r.Path == c.mount && r.At == c.t.dirRef(c.d) {
				l.e.roots[i].Path = "/"
			}
		}
		return
	}
}
