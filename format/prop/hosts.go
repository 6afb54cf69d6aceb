package prop

import (
	"net/netip"
	"strconv"
	"strings"
)

// A Host is a line of a hosts file.
type Host struct {
	IP    string     // as written
	Addr  netip.Addr // the same as an address
	Names []string
	Line  int
	// Ignored says why the phone's resolver passes the line over, or is "".
	Ignored string
}

// ParseHosts reads /system/etc/hosts as bionic does (libc/dns/net/gethnamaddr.c and sethostent.c, _gethtent of
// getaddrinfo.c): '#' begins a comment anywhere, and a line that begins with white space, or ends without a newline,
// is passed over. Such lines are returned with Ignored. Comments and lines without a word are not returned.
func ParseHosts(b []byte) []Host {
	var hosts []Host
	text := string(b)
	for line := 1; text != ""; line++ {
		l, rest, newline := strings.Cut(text, "\n")
		text = rest
		l, _, comment := strings.Cut(l, "#")
		words := strings.FieldsFunc(l, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == 0 })
		if len(words) == 0 {
			continue
		}
		h := Host{IP: words[0], Addr: hostAddr(words[0]), Names: words[1:], Line: line}
		switch {
		case l[0] == ' ' || l[0] == '\t':
			h.Ignored = "white space before the address"
		case !h.Addr.IsValid():
			h.Ignored = "not an address"
		case len(h.Names) == 0:
			h.Ignored = "no name"
		case !newline && !comment:
			h.Ignored = "last line without a newline"
		case strings.HasSuffix(l, "\r"):
			h.Ignored = "a carriage return ends the last name"
		case strings.IndexByte(l, 0) >= 0:
			h.Ignored = "zero byte"
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// hostAddr reads an address as getaddrinfo with AI_NUMERICHOST does: IPv6, or IPv4 in the forms of inet_aton, of one
// to four numbers that may be octal or hexadecimal, "0x7f000001" or "127.1".
func hostAddr(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}
	}
	var v uint64
	for i, p := range parts {
		if strings.ContainsAny(p, "_oO") || strings.HasPrefix(p, "0b") || strings.HasPrefix(p, "0B") {
			return netip.Addr{} // numbers of Go, not of C
		}
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}
		}
		if i == len(parts)-1 {
			left := 8 * (5 - len(parts))
			if n >= 1<<left {
				return netip.Addr{}
			}
			v = v<<left | n
		} else {
			if n > 255 {
				return netip.Addr{}
			}
			v = v<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
