package apk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// configRank orders configurations (ResTable_config): 0 the default, 1 one that goes by the device, 2 one for
// an operator or a language.
func configRank(c []byte) int {
	rank := 0
	for i, b := range c[min(4, len(c)):] {
		if b == 0 {
			continue
		}
		if i < 8 || i >= 32 && i < 44 { // mcc, mnc, language, country; script, variant
			return 2
		}
		rank = 1
	}
	return rank
}

// Names of one-byte fields, by value under the mask. Zero is "any".
var (
	genders    = []string{"", "neuter", "feminine", "masculine"}
	directions = []string{"", "ldltr", "ldrtl"}
	sizes      = []string{"", "small", "normal", "large", "xlarge"}
	longs      = []string{"", "notlong", "long"}
	rounds     = []string{"", "notround", "round"}
	gamuts     = []string{"", "nowidecg", "widecg"}
	ranges     = []string{"", "lowdr", "highdr"}
	turns      = []string{"", "port", "land", "square"}
	uiModes    = []string{"", "", "desk", "car", "television", "appliance", "watch", "vrheadset"}
	nights     = []string{"", "notnight", "night"}
	touches    = []string{"", "notouch", "stylus", "finger"}
	keysHidden = []string{"", "keysexposed", "keyshidden", "keyssoft"}
	keyboards  = []string{"", "nokeys", "qwerty", "12key"}
	navHidden  = []string{"", "navexposed", "navhidden"}
	navs       = []string{"", "nonav", "dpad", "trackball", "wheel"}
	densities  = map[uint16]string{120: "ldpi", 160: "mdpi", 213: "tvdpi", 240: "hdpi", 320: "xhdpi", 480: "xxhdpi",
		640: "xxxhdpi", 0xfffe: "anydpi", 0xffff: "nodpi"}
)

// configName writes a configuration as the qualifiers of a resource folder, in their fixed order
// (ResTable_config::toString in ResourceTypes.cpp). Old tables have shorter configurations; what is not there
// is zero.
func configName(c []byte) string {
	var full [64]byte
	copy(full[:], c)
	le := binary.LittleEndian
	u16 := func(off int) uint16 { return le.Uint16(full[off:]) }
	var q []string
	number := func(format string, v uint16) {
		if v != 0 {
			q = append(q, fmt.Sprintf(format, v))
		}
	}
	word := func(words []string, what string, v byte) {
		switch {
		case v == 0:
		case int(v) < len(words) && words[v] != "":
			q = append(q, words[v])
		default:
			q = append(q, fmt.Sprintf("%s=%d", what, v))
		}
	}
	number("mcc%d", u16(4))
	number("mnc%d", u16(6))
	if l := localeName(full[:]); l != "" {
		q = append(q, l)
	}
	word(genders, "grammaticalInflection", full[19]&3)
	layout, layout2, color, ui, input := full[28], full[48], full[49], full[29], full[18]
	word(directions, "layoutDir", layout>>6)
	number("sw%ddp", u16(30))
	number("w%ddp", u16(32))
	number("h%ddp", u16(34))
	word(sizes, "screenLayoutSize", layout&0xf)
	word(longs, "screenLayoutLong", layout>>4&3)
	word(rounds, "screenRound", layout2&3)
	word(gamuts, "wideColorGamut", color&3)
	word(ranges, "hdr", color>>2&3)
	word(turns, "orientation", full[12])
	word(uiModes, "uiModeType", ui&0xf)
	word(nights, "uiModeNight", ui>>4&3)
	if d := u16(14); densities[d] != "" {
		q = append(q, densities[d])
	} else {
		number("%ddpi", d)
	}
	word(touches, "touchscreen", full[13])
	word(keysHidden, "keysHidden", input&3)
	word(keyboards, "keyboard", full[16])
	word(navHidden, "navHidden", input>>2&3)
	word(navs, "navigation", full[17])
	if w, h := u16(20), u16(22); w != 0 || h != 0 {
		q = append(q, fmt.Sprintf("%dx%d", w, h))
	}
	if v, minor := u16(24), u16(26); minor != 0 {
		q = append(q, fmt.Sprintf("v%d.%d", v, minor))
	} else {
		number("v%d", v)
	}
	return strings.Join(q, "-")
}

// localeName writes the language of a configuration: "en-rUS", or "b+sr+Latn+RS" where a script, a variant or
// a numbering system is given.
func localeName(c []byte) string {
	language, country := unpackLocale(c[8:10], 'a'), unpackLocale(c[10:12], '0')
	if language == "" {
		return ""
	}
	text := func(b []byte) string {
		s, _, _ := strings.Cut(string(b), "\x00")
		return s
	}
	script, variant, numbers := text(c[36:40]), text(c[40:48]), text(c[53:61])
	if c[52] != 0 { // computed from the language, not written by anyone
		script = ""
	}
	if script == "" && variant == "" && numbers == "" {
		if country != "" {
			return language + "-r" + country
		}
		return language
	}
	s := "b+" + language
	for _, part := range []string{script, country, variant} {
		if part != "" {
			s += "+" + part
		}
	}
	if numbers != "" {
		s += "+u+nu+" + numbers
	}
	return s
}

// unpackLocale reads two letters, or three of five bits each if the top bit is set.
func unpackLocale(b []byte, base byte) string {
	if b[0]&0x80 == 0 {
		if b[0] == 0 {
			return ""
		}
		return string(b)
	}
	return string([]byte{base + b[1]&0x1f, base + b[1]>>5 + b[0]&3<<3, base + b[0]>>2&0x1f})
}
