package knowledge

import (
	"slices"
	"strconv"
	"strings"
)

// A Level is the protection level of a permission.
type Level struct {
	Base  string   // "normal", "dangerous", "signature" or "internal"
	Flags []string // "privileged", "development", "appop", "preinstalled", ...; sorted
}

// The bits of android:protectionLevel (android.content.pm.PermissionInfo of Android 16); names as in PermissionInfo.protectionToString.
var levelFlags = [...]string{
	4: "privileged", 5: "development", 6: "appop", 7: "pre23", 8: "installer", 9: "verifier", 10: "preinstalled", 11: "setup",
	12: "instant", 13: "runtime", 14: "oem", 15: "vendorPrivileged", 16: "textClassifier", 17: "wellbeing", 18: "documenter",
	19: "configurator", 20: "incidentReportApprover", 21: "appPredictor", 22: "module", 23: "companion", 24: "retailDemo",
	25: "recents", 26: "role", 27: "knownSigner",
}

var levelBases = [...]string{0: "normal", 1: "dangerous", 2: "signature", 4: "internal"}

// LevelOf decodes the number that a manifest holds. Base 3 is signatureOrSystem of old: "signature|privileged". A base that
// Android does not know grants nothing, as there: it is returned as "internal". Unknown flags are named by their bit, as "0x10000000".
func LevelOf(protectionLevel int) Level {
	bits := uint32(protectionLevel)
	base := bits & 0xf
	l := Level{Base: "internal"}
	switch {
	case base == 3:
		l.Base = "signature"
		bits |= 0x10
	case base < uint32(len(levelBases)):
		l.Base = levelBases[base]
	}
	for i := 4; i < 32; i++ {
		switch {
		case bits&(1<<i) == 0:
		case i < len(levelFlags):
			l.Flags = append(l.Flags, levelFlags[i])
		default:
			l.Flags = append(l.Flags, "0x"+strconv.FormatUint(1<<i, 16))
		}
	}
	slices.Sort(l.Flags)
	return l
}

// ParseLevel reads a level in words, as manifests and AOSP write it ("signature|privileged"), or as a number. The old words
// signatureOrSystem, system and ephemeral are understood; an empty text is "normal", the default.
func ParseLevel(s string) Level {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 0, 64); err == nil {
		return LevelOf(int(n))
	}
	l := Level{Base: "normal"}
	for w := range strings.SplitSeq(s, "|") {
		switch w = strings.TrimSpace(w); w {
		case "":
		case "normal", "dangerous", "signature", "internal":
			l.Base = w
		case "signatureOrSystem":
			l.Base = "signature"
			l.Flags = append(l.Flags, "privileged")
		case "system":
			l.Flags = append(l.Flags, "privileged")
		case "ephemeral":
			l.Flags = append(l.Flags, "instant")
		default:
			l.Flags = append(l.Flags, w)
		}
	}
	slices.Sort(l.Flags)
	l.Flags = slices.Compact(l.Flags)
	return l
}

// String writes a level in the words of a manifest: "signature|privileged".
func (l Level) String() string { return strings.Join(append([]string{l.Base}, l.Flags...), "|") }

// Has reports whether the level has a flag.
func (l Level) Has(flag string) bool { return slices.Contains(l.Flags, flag) }

// AnyApp reports whether any app gets the permission by naming it in its manifest, without a question to the owner: the base is
// normal, or the flag pre23 gives it to every app built for Android before 6.0
// (PermissionManagerService.shouldGrantPermissionBySignature).
func (l Level) AnyApp() bool { return l.Base == "normal" || l.Has("pre23") }

// WithConsent reports whether any app can get the permission if the owner agrees: dangerous (asked since API level 23, shown at
// install before) or with the flag appop (a switch in the settings). Flags by which the owner's choice of a default app grants it
// (role) are not counted: most roles are held by the system's own apps.
func (l Level) WithConsent() bool { return l.Base == "dangerous" || l.Has("appop") }

// The API levels that the tables cover. A phone below or above is answered as the nearest of them.
const (
	minAPI = 16
	maxAPI = 36
)

// nearest maps an API level to one that the tables sample: 20 (watches only) to 19.
func nearest(api int) int {
	if api == 20 {
		return 19
	}
	return min(max(api, minAPI), maxAPI)
}

// covers reports whether ranges ("16-36", "28", joined by sep) contain an API level; "-" contains none.
func covers(ranges string, api int) bool {
	for r := range strings.SplitSeq(ranges, ",") {
		if within(r, api) {
			return true
		}
	}
	return false
}

func within(r string, api int) bool {
	from, to, ok := strings.Cut(r, "-")
	if !ok {
		to = from
	}
	lo, err := strconv.Atoi(from)
	hi, err2 := strconv.Atoi(to)
	return err == nil && err2 == nil && lo <= api && api <= hi
}

// Permission returns the level with which AOSP's core/res declares a permission at an API level, and false if it does not declare
// it there. A level below 16 is answered as 16, 20 as 19, one above 36 as 36; one that is not known (0 or less) is never answered.
// Permissions of other AOSP packages and of vendors are not in the table: false is not "undefined on this phone".
func Permission(name string, api int) (Level, bool) {
	if api <= 0 {
		return Level{}, false
	}
	r, ok := first(permissionsTSV, name)
	if !ok {
		return Level{}, false
	}
	api = nearest(api)
	for part := range strings.SplitSeq(string(r), ";") {
		if span, level, _ := strings.Cut(part, "="); within(span, api) {
			return ParseLevel(level), true
		}
	}
	return Level{}, false
}

// An Answer may be neither yes nor no.
type Answer int

// The answers of ProtectedBroadcast. No is only ever "not by AOSP's core/res".
const (
	No Answer = iota
	Yes
	Uncertain
)

func (a Answer) String() string { return [...]string{"no", "yes", "uncertain"}[a] }

// ProtectedBroadcast reports whether AOSP's core/res protects an action at an API level, so that only the system may send it.
// Uncertain: the level lies between two sampled ones of which one lists the action, or is not known (0 or less). No says nothing of
// the phone's other packages, which protect actions of their own: join it with what the phone declares.
func ProtectedBroadcast(action string, api int) Answer {
	r, ok := first(broadcastsTSV, action)
	if !ok {
		return No
	}
	if api <= 0 {
		return Uncertain
	}
	api = nearest(api)
	listed, uncertain := r.next(), r.next()
	switch {
	case covers(listed, api):
		return Yes
	case covers(uncertain, api):
		return Uncertain
	}
	return No
}
