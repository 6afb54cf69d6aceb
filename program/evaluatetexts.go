package program

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	classString  = "Ljava/lang/String;"
	classChars   = "Ljava/lang/CharSequence;"
	classBuilder = "Ljava/lang/StringBuilder;"
	classBuffer  = "Ljava/lang/StringBuffer;"
)

// textOps are the methods of String, and of what else is read like one.
func textOps(on modeller, pure pureModeller) {
	for _, c := range [...]string{classString, classChars, classBuilder, classBuffer} {
		pure(c, "length", func(k *inputs) value {
			n, ok := utf16Length(k.text(0))
			if !ok {
				return k.unknown()
			}
			return intVal(int64(n))
		})
		pure(c, "charAt", func(k *inputs) value {
			u, ok := utf16At(k.text(0), k.num(1))
			if !ok {
				return k.unknown()
			}
			return intVal(int64(u))
		})
		pure(c, "substring subSequence", func(k *inputs) value {
			t := k.text(0)
			to := int64(len(t))
			from, ok := utf16Offset(t, k.num(1))
			if len(k.s.args) > 2 {
				end, there := utf16Offset(t, k.num(2))
				to, ok = int64(end), ok && there
			}
			if !ok || int64(from) > to {
				return k.unknown()
			}
			return k.textValue(t[from:to])
		})
		pure(c, "indexOf lastIndexOf", indexOf)
	}
	pure(classString, "isEmpty", func(k *inputs) value { return truth(k.text(0) == "") })
	pure(classString, "hashCode", func(k *inputs) value {
		u, ok := utf16Units(k.text(0))
		if !ok {
			return k.unknown()
		}
		h := int32(0)
		for _, x := range u {
			h = 31*h + int32(x)
		}
		return intVal(int64(h))
	})
	pure(classString, "compareTo compareToIgnoreCase", func(k *inputs) value {
		a, b := k.text(0), k.text(1)
		if k.s.name == "compareToIgnoreCase" {
			if !isASCII(a) || !isASCII(b) {
				return k.unknown()
			}
			a, b = strings.ToLower(a), strings.ToLower(b)
		}
		x, ok1 := utf16Units(a)
		y, ok2 := utf16Units(b)
		if !ok1 || !ok2 {
			return k.unknown()
		}
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				return intVal(int64(x[i]) - int64(y[i]))
			}
		}
		return intVal(int64(len(x) - len(y)))
	})
	on(classString, "trim toLowerCase toUpperCase", func(r *run, s *site) value {
		v := r.content(s.cur, s.arg(0))
		t, ok := r.isText(v)
		if !ok {
			return value{taint: v.taint, typ: v.typ, alts: v.alts}
		}
		switch {
		case s.name == "trim":
			t = strings.TrimFunc(t, func(c rune) bool { return c <= ' ' })
		case !isASCII(t): // what letters there are depends on the phone's release
			return value{taint: v.taint, typ: v.typ}
		case s.name == "toLowerCase":
			t = strings.ToLower(t)
		default:
			t = strings.ToUpper(t)
		}
		w := r.text(t)
		w.taint = v.taint
		return w
	})
	pure(classString, "replace replaceAll replaceFirst", func(k *inputs) value {
		t := k.text(0)
		var a, b string
		if k.param(1) == "C" {
			a, b = fromUnits([]uint16{uint16(k.num(1))}), fromUnits([]uint16{uint16(k.num(2))})
		} else {
			a, b = k.text(1), k.text(2)
		}
		if k.s.name != "replace" {
			lit, ok := literal(a)
			if !ok || strings.ContainsAny(b, `\$`) {
				return k.unknown()
			}
			a = lit
		}
		if a == "" && !isASCII(t) || k.open {
			return k.unknown()
		}
		n := -1
		if k.s.name == "replaceFirst" {
			n = 1
		}
		if n < 0 && len(t)+strings.Count(t, a)*len(b) > maxTextSize {
			return k.unknown()
		}
		return k.textValue(strings.Replace(t, a, b, n))
	})
	pure(classString, "repeat", func(k *inputs) value {
		t := k.text(0)
		return k.textValue(strings.Repeat(t, k.index(1, maxTextSize/max(len(t), 1))))
	})
	on(classString, "matches", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		if lit, ok := literal(k.text(1)); ok && !k.open {
			return r.equals(s, s.arg(0), r.text(lit))
		}
		return r.rule(s)
	})
	pure(classString, "split", func(k *inputs) value {
		t, limit := k.text(0), int64(0)
		sep, ok := literal(k.text(1))
		if len(k.s.args) > 2 {
			limit = k.num(2)
		}
		if !ok || sep == "" || k.open || strings.Count(t, sep) >= maxTextSize/4 {
			return k.unknown()
		}
		parts := split(t, sep, limit)
		return k.r.arrayOf(k.s, "[Ljava/lang/String;", len(parts), k.taint, func(i int) value {
			v := k.r.text(parts[i])
			v.taint = k.taint
			return v
		})
	})
	join := func(k *inputs) value {
		sep := k.text(0)
		if k.param(1) == "Ljava/lang/Iterable;" {
			return k.unknown()
		}
		var parts []string
		for _, v := range k.list(1) {
			parts = append(parts, k.isText(k.r.toText(k.s.cur, v, "Ljava/lang/Object;")))
		}
		return k.textValue(strings.Join(parts, sep))
	}
	pure(classString, "join", join)
	pure("Landroid/text/TextUtils;", "join", join)
	on(classString, "format", func(r *run, s *site) value {
		at := 0
		if paramType(s.proto, 0) == "Ljava/util/Locale;" {
			at = 1
		}
		k := &inputs{r: r, s: s}
		form, args := k.text(at), k.list(at+1)
		if k.open {
			return r.rule(s)
		}
		v, ok := r.format(s.cur, form, args)
		if !ok {
			return r.rule(s)
		}
		v.taint = r.labelSets.union(v.taint, k.taint)
		return v
	})
	on(classString, "valueOf copyValueOf", func(r *run, s *site) value {
		if paramType(s.proto, 0) == "[C" {
			return r.newText(s, 0)
		}
		return r.toText(s.cur, s.arg(0), paramType(s.proto, 0))
	})
	on(classString, "<init>", func(r *run, s *site) value {
		v := r.text("")
		if len(s.args) > 1 {
			v = r.newText(s, 1)
		}
		for _, o := range r.objectsOf(s.arg(0)) {
			r.write(s.cur, o, keyAll, v, true)
		}
		for i, reg := range s.cur.regs { // the text stands for the object from here on
			if reg.kind == object && reg.n == s.arg(0).n {
				s.cur.regs[i] = v
			}
		}
		return value{}
	})
	on(classString, "toCharArray getBytes", func(r *run, s *site) value {
		class := "[C"
		if s.name == "getBytes" {
			class = "[B"
		}
		if !strings.HasSuffix(s.proto, ")"+class) { // the old getBytes writes into an array
			return r.rule(s)
		}
		k := &inputs{r: r, s: s}
		if t := k.text(0); class == "[B" {
			if b, ok := encodeText(t, k.charset(1)); ok && !k.open {
				return r.bytesOf(s, b, k.taint)
			}
		} else if u, ok := utf16Units(t); ok && !k.open {
			return r.arrayOf(s, class, len(u), k.taint, func(i int) value { return value{kind: number, n: int64(u[i]), taint: k.taint} })
		}
		v := r.content(s.cur, s.arg(0))
		a := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids[class], 0, true)
		o := r.objectsOf(a)[0]
		r.objects[o].label = r.labelSets.union(r.objects[o].label, v.taint)
		r.write(s.cur, o, keyAll, value{taint: v.taint}, false)
		return a
	})
	// A charset is the text of its name.
	pure("Ljava/nio/charset/Charset;", "forName name toString displayName", func(k *inputs) value { return k.textValue(k.text(0)) })
	pure("Ljava/nio/charset/Charset;", "defaultCharset", func(k *inputs) value { return k.textValue("UTF-8") })
}

// newText is the text that a constructor of String makes of its arguments, which begin at argument i.
func (r *run) newText(s *site, i int) value {
	k := &inputs{r: r, s: s}
	var t string
	ok := true
	switch k.param(i) {
	case "[C":
		u := k.units(i)
		if len(s.args) > i+1 {
			from := k.index(i+1, len(u))
			n := k.index(i+2, len(u)-from)
			u = u[from : from+n]
		}
		t = fromUnits(u)
	case "[B":
		b := k.part(i)
		last := len(s.args) - 1
		if k.param(i+1) == "I" && k.param(i+2) != "I" { // the high byte of every character
			ok = false
		} else {
			t, ok = decodeText(b, k.charset(max(last, i)))
		}
	case "[I":
		ok = false
	default:
		return r.toText(s.cur, s.arg(i), classString)
	}
	if !ok || k.open {
		return value{taint: r.labelsIn(s)}
	}
	v := r.text(t)
	v.taint = r.labelSets.union(v.taint, k.taint)
	return v
}

func indexOf(k *inputs) value {
	t := k.text(0)
	var x string
	if k.param(1) == "I" {
		c := k.num(1)
		if c < 0 || c > utf8.MaxRune || c >= 0xd800 && c < 0xe000 {
			return k.unknown()
		}
		x = string(rune(c))
	} else {
		x = k.text(1)
	}
	if k.open || !utf8.ValidString(t) || !utf8.ValidString(x) {
		return k.unknown()
	}
	from, i := len(t), 0
	last := k.s.name == "lastIndexOf"
	if len(k.s.args) > 2 {
		n, _ := utf16Length(t)
		at, ok := utf16Offset(t, min(max(k.num(2), 0), int64(n)))
		if !ok || k.open || last && k.num(2) < 0 {
			return k.unknown()
		}
		from = at
	} else if !last {
		from = 0
	}
	if last {
		i = strings.LastIndex(t[:min(from+len(x), len(t))], x)
	} else if i = strings.Index(t[from:], x); i >= 0 {
		i += from
	}
	if i < 0 {
		return intVal(-1)
	}
	n, _ := utf16Length(t[:i])
	return intVal(int64(n))
}

// split does as String.split with a separator that is no pattern (libcore, java.util.regex.Splitter.fastSplit).
func split(t, sep string, limit int64) []string {
	if t == "" {
		return []string{""}
	}
	n := -1
	if limit > 0 {
		n = int(min(limit, maxTextSize))
	}
	parts := strings.SplitN(t, sep, n)
	if limit == 0 {
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	return parts
}

// literal returns the text that a regular expression matches, if it matches but one: it has no operators, or all
// of them are escaped.
func literal(re string) (string, bool) {
	if n := len(re); n >= 4 && strings.HasPrefix(re, `\Q`) && strings.Index(re, `\E`) == n-2 {
		return re[2 : n-2], true
	}
	var b strings.Builder
	for i := 0; i < len(re); i++ {
		c := re[i]
		if strings.IndexByte(`.[]{}()*+?^$|`, c) >= 0 {
			return "", false
		}
		if c == '\\' {
			if i++; i == len(re) || re[i] >= 0x80 || re[i] >= '0' && re[i] <= '9' || re[i]|0x20 >= 'a' && re[i]|0x20 <= 'z' {
				return "", false
			}
			c = re[i]
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// format does what String.format does with the conversions s, d, x, c, b, n and %. What an argument that is not known
// becomes is not known, the text around it is. It reports false for what it does not read, and for mistakes.
func (r *run) format(cur *local, form string, args []value) (value, bool) {
	out, next, last := r.text(""), 0, -1
	for form != "" {
		i := strings.IndexByte(form, '%')
		if i < 0 {
			i = len(form)
		}
		if out = r.concat(out, r.text(form[:i])); i == len(form) {
			break
		}
		form = form[i+1:]
		digits := func() (n int, ok bool) {
			i := 0
			for i < len(form) && form[i] >= '0' && form[i] <= '9' {
				i++
			}
			n, err := strconv.Atoi("0" + form[:i])
			if err != nil || n > maxTextSize {
				return 0, false
			}
			ok = i > 0
			form = form[i:]
			return n, ok
		}
		which := -1
		if before := form; strings.HasPrefix(form, "<") {
			form, which = form[1:], last
			if which < 0 {
				return value{}, false
			}
		} else if n, ok := digits(); ok && n > 0 && strings.HasPrefix(form, "$") {
			form, which = form[1:], n-1
		} else {
			form = before
		}
		i = 0
		for i < len(form) && strings.IndexByte("-+ 0", form[i]) >= 0 {
			i++
		}
		flags := form[:i]
		form = form[i:]
		width, _ := digits()
		precision := -1
		if strings.HasPrefix(form, ".") {
			form = form[1:]
			n, ok := digits()
			if !ok {
				return value{}, false
			}
			precision = n
		}
		if form == "" {
			return value{}, false
		}
		conv := form[0]
		form = form[1:]
		if conv == '%' || conv == 'n' {
			if flags != "" || width > 0 || precision >= 0 {
				return value{}, false
			}
			out = r.concat(out, r.text(map[byte]string{'%': "%", 'n': "\n"}[conv]))
			continue
		}
		if which < 0 {
			which, next = next, next+1
		}
		if which >= len(args) {
			return value{}, false
		}
		last = which
		v := args[which]
		t, known, ok := r.formatted(cur, v, conv|0x20, flags, precision)
		if !ok || conv < 'a' && strings.IndexByte("SXCB", conv) < 0 {
			return value{}, false
		}
		if !known {
			w := value{taint: r.deep(cur.heap, v)}
			if conv == 's' && width == 0 && precision < 0 && flags == "" {
				if c := r.toText(cur, v, "Ljava/lang/Object;"); c.kind != number {
					c.taint = r.labelSets.union(c.taint, w.taint)
					w = c
				}
			}
			out = r.concat(out, w)
			continue
		}
		if conv < 'a' {
			if !isASCII(t) {
				return value{}, false
			}
			t = strings.ToUpper(t)
		}
		n, ok := utf16Length(t)
		if !ok || strings.ContainsAny(flags, "-0") && width == 0 || strings.Contains(flags, "-") && strings.Contains(flags, "0") {
			return value{}, false
		}
		if pad := width - n; pad > 0 {
			switch {
			case strings.Contains(flags, "-"):
				t += strings.Repeat(" ", pad)
			case strings.Contains(flags, "0"):
				sign := ""
				if t[0] == '-' || t[0] == '+' || t[0] == ' ' {
					sign, t = t[:1], t[1:]
				}
				t = sign + strings.Repeat("0", pad) + t
			default:
				t = strings.Repeat(" ", pad) + t
			}
		}
		w := r.text(t)
		w.taint = v.taint
		out = r.concat(out, w)
	}
	return out, out.kind == text || out.kind == prefix || out.kind == suffix || out.kind == rooted || out.taint != 0
}

// formatted converts one argument of String.format. ok is false where that is a mistake or not read.
func (r *run) formatted(cur *local, v value, conv byte, flags string, precision int) (t string, known, ok bool) {
	box := ""
	if v.kind == number {
		if box = r.p.syms.text[v.typ]; v.isNull() && box == "" && conv != 's' { // null is said as null
			return "", false, true
		}
	}
	signed := strings.ContainsAny(flags, "+ ")
	switch conv {
	case 's':
		if strings.ContainsAny(flags, "+ 0") {
			return "", false, false
		}
		t, known := r.isText(r.toText(cur, v, "Ljava/lang/Object;"))
		if known && precision >= 0 {
			if at, ok := utf16Offset(t, int64(precision)); ok {
				t = t[:at]
			}
		}
		return t, known, true
	case 'd', 'x':
		if precision >= 0 || box == boxChar || box == boxBoolean || v.kind == text || conv == 'x' && signed || strings.Contains(flags, "+") && strings.Contains(flags, " ") {
			return "", false, false
		}
		if v.kind != number {
			return "", false, true
		}
		if conv == 'x' {
			n, wide := uint64(v.n), map[string]int{boxByte: 8, boxShort: 16, boxInt: 32, boxLong: 64}[box]
			if v.n < 0 && wide == 0 {
				return "", false, true
			}
			if wide != 0 {
				n &= 1<<wide - 1
			}
			return strconv.FormatUint(n, 16), true, true
		}
		t = strconv.FormatInt(v.n, 10)
		if signed && v.n >= 0 {
			t = strings.Trim(flags, "-0")[:1] + t
		}
		return t, true, true
	case 'c':
		if precision >= 0 || strings.ContainsAny(flags, "+ 0") || box == boxBoolean || box == boxLong || v.kind == text {
			return "", false, false
		}
		if v.kind != number || v.n < 0 || v.n > 0xffff {
			return "", false, true
		}
		return fromUnits([]uint16{uint16(v.n)}), true, true
	case 'b':
		if precision >= 0 || strings.ContainsAny(flags, "+ 0") {
			return "", false, false
		}
		return strconv.FormatBool(v.n != 0), v.kind == number && box == boxBoolean, true
	}
	return "", false, false
}

// toText turns a value of a declared type into the text that String.valueOf or a builder makes of it.
func (r *run) toText(cur *local, v value, typ string) value {
	none := value{taint: v.taint}
	switch typ {
	case "C", "Z", "I", "S", "B", "J", "F", "D":
		if v.kind != number {
			if v.kind == below {
				return none
			}
			return v
		}
	case "[C":
		list, taint, ok := r.numbers(cur, v)
		if !ok {
			return value{taint: r.deep(cur.heap, v)}
		}
		u := make([]uint16, len(list))
		for i, n := range list {
			u[i] = uint16(n)
		}
		w := r.text(fromUnits(u))
		w.taint = taint
		return w
	default:
		if os := r.objectsOf(v); len(os) == 1 && r.objects[os[0]].array {
			return value{taint: r.deep(cur.heap, v)}
		}
		if v = r.content(cur, v); v.kind == below {
			return none
		}
		if v.kind != number {
			return v
		}
		none = value{taint: v.taint}
		switch r.p.syms.text[v.typ] {
		case boxChar:
			typ = "C"
		case boxBoolean:
			typ = "Z"
		case boxInt, boxLong, boxShort, boxByte:
			typ = "J"
		default:
			if v.n != 0 {
				return none
			}
			w := r.text("null")
			w.taint = v.taint
			return w
		}
		if v.n == 0 { // a box that was never set is null, and looks the same
			return none
		}
	}
	var w value
	switch typ {
	case "C":
		w = r.text(fromUnits([]uint16{uint16(v.n)}))
	case "Z":
		w = r.text(strconv.FormatBool(v.n != 0))
	case "F", "D":
		return none
	default:
		w = r.text(strconv.FormatInt(v.n, 10))
	}
	w.taint = v.taint
	return w
}

// builders are StringBuilder and StringBuffer: their content is their text.
func builders(on modeller) {
	for _, c := range [...]string{classBuilder, classBuffer} {
		on(c, "<init>", func(r *run, s *site) value {
			v := r.text("")
			if len(s.args) > 1 && paramType(s.proto, 0) != "I" {
				v = r.content(s.cur, s.arg(1))
			}
			for _, o := range r.objectsOf(s.arg(0)) {
				r.write(s.cur, o, keyAll, v, true)
			}
			return value{}
		})
		edit := func(names string, f func(k *inputs, old value) value) {
			on(c, names, func(r *run, s *site) value {
				os := r.objectsOf(s.arg(0))
				if len(os) == 0 {
					t := uint32(0)
					for _, a := range s.args {
						t = r.labelSets.union(t, r.deep(s.cur.heap, a))
					}
					return value{taint: t, typ: s.arg(0).typ}
				}
				for _, o := range os {
					old, ok := s.cur.heap.get(fieldKey(o, keyAll))
					if !ok {
						old = value{}
					}
					k := &inputs{r: r, s: s}
					v := f(k, old)
					if v.kind == text {
						r.steps += len(r.texts[v.n]) / 256 // each state of a growing text is kept
					}
					if k.open {
						v = value{taint: r.labelSets.union(old.taint, r.labelsIn(s))}
					}
					r.write(s.cur, o, keyAll, v, true)
				}
				return s.arg(0)
			})
		}
		// what is appended or inserted: argument i
		piece := func(k *inputs, i int) value {
			r, s := k.r, k.s
			if len(s.args) <= i+1 {
				return r.toText(s.cur, s.arg(i), k.param(i))
			}
			if k.param(i) == "[C" { // offset and length
				return r.newText(s, i)
			}
			t := k.text(i) // start and end
			from, ok1 := utf16Offset(t, k.num(i+1))
			to, ok2 := utf16Offset(t, k.num(i+2))
			if !ok1 || !ok2 || from > to {
				return k.unknown()
			}
			v := r.text(t[from:to])
			v.taint = k.taint
			return v
		}
		edit("append", func(k *inputs, old value) value {
			p := piece(k, 1)
			if k.open { // what stands before stays
				p, k.open = value{taint: k.r.labelsIn(k.s)}, false
			}
			return k.r.concat(old, p)
		})
		edit("insert", func(k *inputs, old value) value {
			p := piece(k, 2)
			at := k.num(1)
			if at == 0 && !k.open {
				return k.r.concat(p, old)
			}
			t, ok := k.r.isText(old)
			i, there := utf16Offset(t, at)
			if !ok || !there || k.open {
				return k.unknown()
			}
			v := k.r.concat(k.r.concat(k.r.text(t[:i]), p), k.r.text(t[i:]))
			v.taint = k.r.labelSets.union(v.taint, old.taint)
			return v
		})
		edit("appendCodePoint", func(k *inputs, old value) value {
			c := k.num(1)
			if k.open || c < 0 || c > utf8.MaxRune || c >= 0xd800 && c < 0xe000 {
				return k.unknown()
			}
			return k.r.concat(old, k.r.text(string(rune(c))))
		})
		// The others put text b in the place of units from to to-1 of the builder's.
		replace := func(names string, f func(k *inputs, n int64) (from, to int64, b string)) {
			edit(names, func(k *inputs, old value) value {
				t, ok := k.r.isText(old)
				n, whole := utf16Length(t)
				from, to, b := f(k, int64(n))
				i, ok1 := utf16Offset(t, from)
				j, ok2 := utf16Offset(t, to)
				if !ok || !whole || !ok1 || !ok2 || i > j || k.open {
					return k.unknown()
				}
				v := k.r.text(joinText(joinText(t[:i], b), t[j:]))
				v.taint = k.r.labelSets.union(old.taint, k.taint)
				return v
			})
		}
		replace("setCharAt", func(k *inputs, n int64) (int64, int64, string) {
			i := k.num(1)
			return i, i + 1, fromUnits([]uint16{uint16(k.num(2))})
		})
		replace("deleteCharAt", func(k *inputs, n int64) (int64, int64, string) { i := k.num(1); return i, i + 1, "" })
		replace("delete", func(k *inputs, n int64) (int64, int64, string) { return k.num(1), min(k.num(2), n), "" })
		replace("replace", func(k *inputs, n int64) (int64, int64, string) { return k.num(1), min(k.num(2), n), k.text(3) })
		replace("setLength", func(k *inputs, n int64) (int64, int64, string) {
			m := k.index(1, maxTextSize)
			return min(int64(m), n), n, strings.Repeat("\x00", max(m-int(n), 0))
		})
		edit("reverse", func(k *inputs, old value) value {
			t, ok := k.r.isText(old)
			if !ok || !utf8.ValidString(t) {
				return k.unknown()
			}
			c := []rune(t)
			slices.Reverse(c)
			v := k.r.text(string(c))
			v.taint = old.taint
			return v
		})
		on(c, "toString", func(r *run, s *site) value { return r.content(s.cur, s.arg(0)) })
	}
}

// Texts are UTF-16 to Dalvik and UTF-8 here. A surrogate that stands alone is three bytes (WTF-8, as package dex gives
// it); a text that is neither has no units that could be told.

func isASCII(t string) bool {
	for i := range len(t) {
		if t[i] >= 0x80 {
			return false
		}
	}
	return true
}

// next returns how many units and bytes the first character of t takes.
func next(t string) (c rune, units, size int, ok bool) {
	c, size = utf8.DecodeRuneInString(t)
	if c == utf8.RuneError && size <= 1 {
		if len(t) >= 3 && t[0] == 0xed && t[1] >= 0xa0 && t[1] < 0xc0 && t[2]&0xc0 == 0x80 {
			return 0xd000 | rune(t[1]&0x3f)<<6 | rune(t[2]&0x3f), 1, 3, true
		}
		return 0, 0, 0, false
	}
	if c > 0xffff {
		return c, 2, size, true
	}
	return c, 1, size, true
}

// utf16Length is String.length.
func utf16Length(t string) (n int, ok bool) {
	if isASCII(t) {
		return len(t), true
	}
	for t != "" {
		_, units, size, ok := next(t)
		if !ok {
			return 0, false
		}
		n += units
		t = t[size:]
	}
	return n, true
}

// utf16Offset is the byte at which unit at of t begins. It reports false where that is outside, or within a character.
func utf16Offset(t string, at int64) (int, bool) {
	if at < 0 || at > int64(len(t)) {
		return 0, false
	}
	if isASCII(t[:at]) {
		return int(at), true
	}
	i := 0
	for at > 0 {
		_, units, size, ok := next(t[i:])
		if !ok || i == len(t) || int64(units) > at {
			return 0, false
		}
		at -= int64(units)
		i += size
	}
	return i, true
}

// utf16At is String.charAt.
func utf16At(t string, at int64) (uint16, bool) {
	if at < 0 || at >= int64(len(t)) {
		return 0, false
	}
	if isASCII(t[:at+1]) {
		return uint16(t[at]), true
	}
	u, ok := utf16Units(t)
	if !ok || at >= int64(len(u)) {
		return 0, false
	}
	return u[at], true
}

func utf16Units(t string) ([]uint16, bool) {
	u := make([]uint16, 0, len(t))
	for t != "" {
		c, units, size, ok := next(t)
		if !ok {
			return nil, false
		}
		if units == 2 {
			a, b := utf16.EncodeRune(c)
			u = append(u, uint16(a), uint16(b))
		} else {
			u = append(u, uint16(c))
		}
		t = t[size:]
	}
	return u, true
}

func fromUnits(u []uint16) string {
	b := make([]byte, 0, len(u))
	for i := 0; i < len(u); i++ {
		c := rune(u[i])
		if utf16.IsSurrogate(c) {
			if i+1 < len(u) {
				if p := utf16.DecodeRune(c, rune(u[i+1])); p != utf8.RuneError {
					b = utf8.AppendRune(b, p)
					i++
					continue
				}
			}
			b = append(b, 0xed, 0x80|byte(c>>6)&0x3f, 0x80|byte(c)&0x3f)
			continue
		}
		b = utf8.AppendRune(b, c)
	}
	return string(b)
}

// joinText joins two texts; the halves of a character that each had become one.
func joinText(a, b string) string {
	if n := len(a); n >= 3 && len(b) >= 3 && a[n-3] == 0xed && b[0] == 0xed {
		if hi, _, size, ok := next(a[n-3:]); ok && size == 3 && utf16.IsSurrogate(hi) {
			if lo, _, _, ok := next(b); ok {
				if p := utf16.DecodeRune(hi, lo); p != utf8.RuneError {
					return a[:n-3] + string(p) + b[3:]
				}
			}
		}
	}
	return a + b
}

func charsetNamed(name string) string {
	switch n := strings.ToUpper(name); n {
	case "UTF-8", "UTF8":
		return "UTF-8"
	case "ISO-8859-1", "ISO8859-1", "ISO8859_1", "LATIN1":
		return "ISO-8859-1"
	case "US-ASCII", "ASCII":
		return "US-ASCII"
	case "UTF-16", "UTF-16BE", "UTF-16LE":
		return n
	}
	return ""
}

// encodeText is String.getBytes.
func encodeText(t, charset string) ([]byte, bool) {
	charset = charsetNamed(charset)
	if isASCII(t) && charset != "" && !strings.HasPrefix(charset, "UTF-16") {
		return []byte(t), true
	}
	u, ok := utf16Units(t)
	if !ok {
		return nil, false
	}
	b := make([]byte, 0, len(u)*2)
	switch charset {
	case "UTF-8":
		for t != "" {
			c, _, size, _ := next(t)
			if utf16.IsSurrogate(c) {
				c = '?'
			}
			b = utf8.AppendRune(b, c)
			t = t[size:]
		}
	case "ISO-8859-1", "US-ASCII":
		top := rune(0xff)
		if charset == "US-ASCII" {
			top = 0x7f
		}
		for t != "" {
			c, _, size, _ := next(t)
			if c > top {
				c = '?'
			}
			b = append(b, byte(c))
			t = t[size:]
		}
	case "UTF-16", "UTF-16BE", "UTF-16LE":
		if charset == "UTF-16" && len(u) > 0 {
			b = append(b, 0xfe, 0xff)
		}
		for _, x := range u {
			if charset == "UTF-16LE" {
				b = append(b, byte(x), byte(x>>8))
			} else {
				b = append(b, byte(x>>8), byte(x))
			}
		}
	default:
		return nil, false
	}
	return b, true
}

// decodeText is new String. Bytes that are no text in the charset become what the phone's release makes of them.
func decodeText(b []byte, charset string) (string, bool) {
	switch c := charsetNamed(charset); c {
	case "UTF-8":
		return string(b), utf8.Valid(b)
	case "US-ASCII":
		return string(b), isASCII(string(b))
	case "ISO-8859-1":
		u := make([]uint16, len(b))
		for i, x := range b {
			u[i] = uint16(x)
		}
		return fromUnits(u), true
	case "UTF-16", "UTF-16BE", "UTF-16LE":
		little := c == "UTF-16LE"
		if c == "UTF-16" && len(b) >= 2 && (b[0] == 0xfe && b[1] == 0xff || b[0] == 0xff && b[1] == 0xfe) {
			little = b[0] == 0xff
			b = b[2:]
		}
		if len(b)%2 != 0 {
			return "", false
		}
		u := make([]uint16, len(b)/2)
		for i := range u {
			hi, lo := b[2*i], b[2*i+1]
			if little {
				hi, lo = lo, hi
			}
			u[i] = uint16(hi)<<8 | uint16(lo)
		}
		t := fromUnits(u)
		return t, utf8.ValidString(t)
	}
	return "", false
}
