package knowledge

import (
	_ "embed"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed device-power.tsv
var devicePowerTSV string

// The Android versions that the tables of ids, modes and nodes sample, oldest first.
var versions = []string{"4.4", "5.0", "5.1", "6.0", "7.0", "7.1", "8.0", "8.1", "9", "10", "11", "12", "12L", "13", "14", "15"}

// version returns the place among versions of a release as a phone states it ("8.1.0", "12L", "16"): the newest sampled one that is
// not newer, or the oldest. An empty or unreadable release is the newest.
func version(android string) int {
	major, rest, _ := strings.Cut(android, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(strings.TrimSuffix(major, "L"))
	if err != nil {
		return len(versions) - 1
	}
	b, _ := strconv.Atoi(minor)
	if a == 12 && (b > 0 || strings.HasSuffix(major, "L")) {
		return slices.Index(versions, "12L")
	}
	for i := len(versions) - 1; i > 0; i-- {
		vMajor, vMinor, _ := strings.Cut(versions[i], ".")
		x, err := strconv.Atoi(vMajor) // not of "12L", answered above
		y, _ := strconv.Atoi(vMinor)
		if err == nil && (x < a || x == a && y <= b) {
			return i
		}
	}
	return 0
}

// Versions are the Android versions in which a fact holds: the sampled ones from First to Last.
type Versions struct{ First, Last string }

func parseVersions(col string) Versions {
	from, to, ok := strings.Cut(col, "..")
	if !ok {
		to = from
	}
	return Versions{from, to}
}

// Include reports whether a release as a phone states it ("8.1.0") is among them; one that is not sampled counts as the newest
// sampled one before it, an empty one as the newest.
func (v Versions) Include(android string) bool {
	i := version(android)
	return slices.Index(versions, v.First) <= i && i <= slices.Index(versions, v.Last)
}

// UID returns the fixed id of a system user or group ("system": 1000). Names of ranges (app_start) are answered too.
func UID(name string) (int, bool) {
	for r := range all(uidsTSV) {
		id := r.next()
		if r.next() == name {
			n, err := strconv.Atoi(id)
			return n, err == nil
		}
	}
	return 0, false
}

// UIDName returns the name of a fixed id in an Android release as a phone states it ("" for the newest). Ids inside ranges (apps,
// vendors' own) have no name here.
func UIDName(uid int, android string) (string, bool) {
	const firstApp = 10000 // AID_APP_START; above it stand only limits of ranges, but for overflowuid
	for r := range find(uidsTSV, strconv.Itoa(uid)) {
		name := r.next()
		r.next()
		if strings.HasSuffix(name, "_start") || strings.HasSuffix(name, "_end") || uid >= firstApp && name != "overflowuid" {
			continue
		}
		if parseVersions(r.next()).Include(android) {
			return name, true
		}
	}
	return "", false
}

// A DeviceNode is a device node that AOSP lets everybody open.
type DeviceNode struct {
	Pattern     string // as ueventd matches: a * at the end is a prefix
	Mode        uint32 // permission bits
	User, Group string
	Versions    Versions
}

// DeviceNodes returns the nodes of AOSP's ueventd.rc that everybody may open. Do not change the slice.
var DeviceNodes = sync.OnceValue(func() []DeviceNode {
	var nodes []DeviceNode
	for r := range all(devnodesTSV) {
		nodes = append(nodes, DeviceNode{r.next(), octal(r.next()), r.next(), r.next(), parseVersions(r.next())})
	}
	return nodes
})

// DevicePower returns what opening a device node gives by the table ("memory", "root", "storage", "modem", "input", "screen", "design")
// and what the node is, or "" if the table does not know it.
func DevicePower(node string) (power, what string) {
	for r := range all(devicePowerTSV) {
		pattern := r.next()
		fits, _ := path.Match(pattern, node)
		if prefix, deep := strings.CutSuffix(pattern, "*"); fits || deep && !strings.Contains(prefix, "*") && strings.HasPrefix(node, prefix) {
			return r.next(), r.next()
		}
	}
	return "", ""
}

// A SetuidFile is a file to which AOSP gives a setuid or setgid bit or capabilities.
type SetuidFile struct {
	Path         string // a * at the end is a prefix
	Mode         uint32 // permission bits with 04000 setuid and 02000 setgid
	User, Group  string
	Capabilities []string // without CAP_
	Versions     Versions
}

// SetuidFiles returns those files; one path can stand twice, for different versions. Do not change the slice.
var SetuidFiles = sync.OnceValue(func() []SetuidFile {
	var fs []SetuidFile
	for r := range all(setuidTSV) {
		fs = append(fs, SetuidFile{r.next(), octal(r.next()), r.next(), r.next(), list(r.next(), ","), parseVersions(r.next())})
	}
	return fs
})

func octal(col string) uint32 {
	n, _ := strconv.ParseUint(col, 8, 32) // a test reads every row
	return uint32(n)
}

// A DialerCode is a documented code that a dialer acts on.
type DialerCode struct {
	Code   string // as it is typed: "*#*#4636#*#*"
	Effect string // "show": only shows; "menu": opens a menu that can change settings; "change": acts at once
	Does   string // what it does, in words
	Where  string // on which phones
	Origin string // who documents it
}

// Secret returns the number of a code that the dialer sends out as android_secret_code://NUMBER, or "".
func (d DialerCode) Secret() string {
	n, ok := strings.CutPrefix(d.Code, "*#*#")
	n, ok2 := strings.CutSuffix(n, "#*#*")
	if !ok || !ok2 {
		return ""
	}
	return n
}

// DialerCodes yields the documented codes.
func DialerCodes() iter.Seq[DialerCode] {
	return func(yield func(DialerCode) bool) {
		for r := range all(dialerTSV) {
			if !yield(DialerCode{r.next(), r.next(), r.next(), r.next(), r.next()}) {
				return
			}
		}
	}
}
